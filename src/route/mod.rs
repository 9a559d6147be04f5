//! What is allowed: find the route for host, path and method; say why.
//!
//! Routes are ranked, whatever their order in the file: exact host before `*.host` (the longer one first) before any host; then
//! exact path; then the longer literal, where a glob counts up to its first `*`; then routes with methods before those without.
//! What is still even is settled by the pattern: glob before prefix, longer before shorter, then by text and name. The first
//! route in this order that matches host, path and method is the one. Paths are case-sensitive; query and fragment never matter.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::time::Duration;

use http::Method;
use ipnet::IpNet;

use crate::message::{Browser, Host};
use crate::target::{EncodedSeparators, Target};

mod explain;
mod index;
pub mod list;
mod pattern;
pub mod policy;
pub mod report;

#[cfg(test)]
mod tests;

use index::PathIndex;
use pattern::Matcher;

pub use explain::{Explanation, Question, Standing, Verdict, explain};
pub use pattern::same_requests;

/// Every route; the order of the file has no meaning.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Every route.
    pub routes: Vec<Route>,
}

/// A route's place in [`Settings::routes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteId(pub usize);

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// The operator's name, or the pattern; appears in logs and metrics.
    pub name: String,
    /// Where in the file it begins, for `routes explain`.
    pub line: usize,
    /// Which hosts.
    pub host: HostPattern,
    /// Which paths.
    pub path: PathPattern,
    /// Which methods; empty means any.
    pub methods: Vec<Method>,
    /// Who may pass.
    pub rule: Rule,
    /// The JWT's `aud`; default: the host of the request.
    pub audience: Option<String>,
    /// Encoded separators that the application needs.
    pub allow_encoded: EncodedSeparators,
}

/// Which hosts a route serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This host.
    Exact(Host),
    /// `*.example.com`, kept as `.example.com`: every name below, not the name itself.
    Below(String),
    /// Every host served.
    Any,
}

/// Which paths a route serves. Literals are kept decoded, like [`Target::decoded_path`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// Only this path.
    Exact(String),
    /// This path and everything below it, by whole segments: `/api` and `/api/x`, not `/apix`. `/api/` is the same as `/api`.
    Prefix(String),
    /// `*` inside a segment, `**` across segments.
    Glob(String),
}

/// Who may pass.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The level.
    pub auth: Auth,
    /// How to answer without a session.
    pub unauthenticated: Unauthenticated,
    /// Origins that may read our 401.
    pub cors_origins: Vec<String>,
    /// `require = ["unionid"]`
    pub require_unionid: bool,
    /// Log in again when the login is older.
    pub max_age: Option<Duration>,
    /// Which clients; empty means any.
    pub clients: Vec<Client>,
    /// Nobody else; `None` means everybody.
    pub allow: Option<list::Ids>,
    /// These never; wins over `allow`.
    pub deny: Option<list::Ids>,
    /// From these addresses only; empty means any.
    pub allow_ips: Vec<IpNet>,
    /// What the refused see.
    pub on_deny: OnDeny,
}

/// Levels of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Everybody, without identity.
    Public,
    /// Everybody, with identity when there is one.
    Optional,
    /// A session.
    Base,
    /// A session with profile scope.
    Userinfo,
    /// Nobody.
    Deny,
}

impl Auth {
    /// The configuration's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Optional => "optional",
            Self::Base => "base",
            Self::Userinfo => "userinfo",
            Self::Deny => "deny",
        }
    }
}

/// How to answer without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthenticated {
    /// Redirect page loads, 401 for the rest.
    Auto,
    /// Redirect every GET and HEAD that is no prefetch.
    Redirect,
    /// Always 401.
    Status,
}

/// Kinds of client a route may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Any WeChat browser.
    Wechat,
    /// A mini program's web-view.
    MiniProgram,
    /// A desktop browser.
    Desktop,
    /// A phone browser outside WeChat.
    Phone,
}

impl Client {
    /// Whether a browser is one.
    pub fn matches(self, browser: Browser) -> bool {
        match self {
            Self::Wechat => browser.is_wechat(),
            Self::MiniProgram => browser == Browser::MiniProgram,
            Self::Desktop => matches!(browser, Browser::Desktop | Browser::WechatDesktop),
            Self::Phone => browser == Browser::Phone,
        }
    }
}

/// What the refused see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDeny {
    /// Page P8 with 403.
    Page,
    /// 403 without a page.
    Forbidden,
    /// 404, as if nothing were there.
    NotFound,
}

/// All routes, ready for look-up.
#[derive(Debug)]
pub struct Routes {
    routes: Vec<Route>,
    /// One for each of `routes`.
    matchers: Vec<Matcher>,
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
