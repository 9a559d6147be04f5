//! All routes in their order, and the way to the one for a request.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use http::Method;

use super::index::PathIndex;
use super::pattern::{self, Matcher};
use super::{HostPattern, Route, RouteId, Settings};
use crate::message::Host;
use crate::target::Target;

/// All routes, ready for look-up.
#[derive(Debug)]
pub struct Routes {
    pub(super) routes: Vec<Route>,
    /// One for each of `routes`.
    pub(super) matchers: Vec<Matcher>,
    in_order: Vec<RouteId>,
    exact_hosts: HashMap<Box<str>, PathIndex>,
    /// By the suffix with its dot.
    below_hosts: HashMap<Box<str>, PathIndex>,
    any_host: PathIndex,
}

impl Routes {
    /// Builds the lookup; lookup cost does not grow with the number of routes.
    pub fn new(settings: Settings) -> Self {
        let routes = settings.routes;
        let matchers: Vec<Matcher> = routes
            .iter()
            .map(|route| Matcher::new(&route.path))
            .collect();
        let mut in_order: Vec<RouteId> = (0..routes.len()).map(RouteId).collect();
        in_order.sort_by(|a, b| {
            let place = |id: &RouteId| (&routes[id.0], &matchers[id.0]);
            compare(place(a), place(b)).then(a.0.cmp(&b.0))
        });
        let mut exact_hosts = HashMap::new();
        let mut below_hosts = HashMap::new();
        let mut any_host = PathIndex::default();
        let host = |id: &RouteId| &routes[id.0].host;
        // Routes of one host stand together in this order.
        for ids in in_order.chunk_by(|a, b| host(a) == host(b)) {
            let index = PathIndex::new(ids.iter().map(|id| (*id, &matchers[id.0])));
            match host(&ids[0]) {
                HostPattern::Exact(name) => {
                    exact_hosts.insert(name.as_str().into(), index);
                }
                HostPattern::Below(suffix) => {
                    below_hosts.insert(suffix.as_str().into(), index);
                }
                HostPattern::Any => any_host = index,
            }
        }
        Self {
            any_host,
            exact_hosts,
            below_hosts,
            in_order,
            matchers,
            routes,
        }
    }

    /// The route for a request; `None` means 404.
    ///
    /// Where the path has `;` parameters, servers differ in whether they cut them off: the stricter of the two routes is the
    /// one, with parameters kept where they are even. Where one reading has no route, or each of two routes is stricter in its
    /// own way, there is none.
    pub fn find(&self, host: &Host, target: &Target, method: &Method) -> Option<(RouteId, &Route)> {
        let kept = self.find_path(host, &target.decoded_path(), method)?;
        let chosen = match target.path_without_parameters() {
            None => kept,
            Some(path) => self.stricter(kept, self.find_path(host, path, method)?)?,
        };
        Some((chosen, &self.routes[chosen.0]))
    }

    /// In matching order.
    pub fn in_order(&self) -> impl Iterator<Item = (RouteId, &Route)> {
        self.in_order.iter().map(|id| (*id, &self.routes[id.0]))
    }

    fn find_path(&self, host: &Host, path: &str, method: &Method) -> Option<RouteId> {
        let serves = |id: RouteId| {
            pattern::serves(&self.routes[id.0].methods, method) && self.matchers[id.0].matches(path)
        };
        let name = host.as_str();
        let mut found = self
            .exact_hosts
            .get(name)
            .and_then(|index| index.find(path, serves));
        // PERF: a name is only taken apart where something may begin with a `*`.
        if found.is_none() && !self.below_hosts.is_empty() {
            let dots = name.match_indices('.').filter(|(place, _)| *place > 0);
            found = dots
                .filter_map(|(place, _)| self.below_hosts.get(&name[place..]))
                .find_map(|index| index.find(path, serves));
        }
        found.or_else(|| self.any_host.find(path, serves))
    }

    fn stricter(&self, kept: RouteId, cut: RouteId) -> Option<RouteId> {
        let (kept_rule, cut_rule) = (&self.routes[kept.0].rule, &self.routes[cut.0].rule);
        if kept_rule.is_as_strict_as(cut_rule) {
            Some(kept)
        } else {
            cut_rule.is_as_strict_as(kept_rule).then_some(cut)
        }
    }
}

/// Which of two routes comes first.
fn compare(a: (&Route, &Matcher), b: (&Route, &Matcher)) -> Ordering {
    fn host(route: &Route) -> (u8, Reverse<usize>, &str) {
        match &route.host {
            HostPattern::Exact(host) => (0, Reverse(0), host.as_str()),
            HostPattern::Below(suffix) => (1, Reverse(suffix.len()), suffix),
            HostPattern::Any => (2, Reverse(0), ""),
        }
    }
    fn path(matcher: &Matcher) -> (bool, Reverse<usize>) {
        let is_exact = matches!(matcher, Matcher::Exact(_));
        (!is_exact, Reverse(matcher.literal().len()))
    }
    fn rest<'r>(
        (route, matcher): (&'r Route, &Matcher),
    ) -> (bool, Reverse<usize>, &'r str, &'r str) {
        let is_glob = matches!(matcher, Matcher::Glob(_));
        let text = route.path.text();
        (!is_glob, Reverse(text.len()), text, &route.name)
    }
    host(a.0)
        .cmp(&host(b.0))
        .then_with(|| path(a.1).cmp(&path(b.1)))
        .then_with(|| a.0.methods.is_empty().cmp(&b.0.methods.is_empty()))
        .then_with(|| rest(a).cmp(&rest(b)))
}
