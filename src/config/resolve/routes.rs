//! `[[routes]]`.

use std::time::Duration;

use super::edits::edits;
use super::headers::Names;
use super::lists::{Chosen, Lists};
use super::proxy::Upstreams;
use super::wechat::Apps;
use super::{paths, values};
use crate::config::code::Code;
use crate::config::file::{File, RouteFile};
use crate::config::problem::{Problem, locate};
use crate::config::read::Reader;
use crate::config::table::Optional;
use crate::config::values::Item;
use crate::message::Host;
use crate::proxy::{Forwarding, UpstreamId, UpstreamSettings};
use crate::route::{Auth, HostPattern, PathPattern, Route, Rule};
use crate::target::EncodedSeparators;

/// What routes refer to.
#[derive(Debug)]
pub(super) struct Known<'k> {
    pub(super) apps: &'k Apps,
    pub(super) upstreams: Upstreams,
    pub(super) lists: &'k Lists,
    pub(super) protected: &'k Names,
}

/// Routes and how each forwards, in the order of the file; `None` where it has no upstream.
#[derive(Debug)]
pub(super) struct ResolvedRoutes {
    pub(super) resolved: Vec<Item<Route>>,
    pub(super) forwarding: Vec<Option<Forwarding>>,
    pub(super) upstreams: Vec<UpstreamSettings>,
}

pub(super) fn routes(file: &File, known: Known<'_>, reader: &mut Reader<'_>) -> ResolvedRoutes {
    let Known {
        apps,
        mut upstreams,
        lists,
        protected,
    } = known;
    let items = file.routes.value.as_deref().unwrap_or_default();
    if items.is_empty() && !file.routes.is_broken() {
        let what = "must hold at least one route: everything would be 404";
        reader.report(Problem::new(Code::MissingKey, &file.routes.place, what));
    }
    let mut resolved = Vec::new();
    let mut forwarding = Vec::new();
    for item in items {
        let pattern = paths::pattern(item, reader);
        let upstream = upstream(file, item, &mut upstreams, reader);
        let forward = upstream
            .map(|upstream| forward(file, item, protected, upstream, pattern.as_ref(), reader));
        let rule = rule(&item.value, lists, apps, reader);
        if item.value.audience.value.as_deref() == Some("") {
            let what = "must not be empty";
            reader.report(Problem::new(
                Code::BadText,
                &item.value.audience.place,
                what,
            ));
        }
        if let Some(pattern) = pattern {
            resolved.push(Item {
                value: route(item, pattern, rule, reader.document),
                place: item.place.clone(),
            });
            forwarding.push(forward);
        }
    }
    refuse_names_twice(items, reader);
    ResolvedRoutes {
        resolved,
        forwarding,
        upstreams: upstreams.settings,
    }
}

fn route(item: &Item<RouteFile>, path: PathPattern, rule: Rule, document: &str) -> Route {
    let file = &item.value;
    let host = match &file.host.value {
        None => HostPattern::Any,
        Some(host) => match host.0.strip_prefix('*') {
            Some(suffix) => HostPattern::Below(suffix.to_owned()),
            None => HostPattern::Exact(Host::from_canonical(&host.0)),
        },
    };
    let mut allow_encoded = EncodedSeparators::default();
    for separator in &file.allow_encoded.value {
        allow_encoded = allow_encoded.with(separator.value);
    }
    Route {
        name: name(file, &path),
        line: locate(document, item.place.span.start).0,
        host,
        path,
        methods: values(&file.methods.value),
        rule,
        audience: file.audience.value.clone(),
        allow_encoded,
    }
}

/// The operator's name, or the pattern: `POST www.example.com/pay`.
fn name(file: &RouteFile, path: &PathPattern) -> String {
    if let Some(name) = &file.name.value {
        return name.clone();
    }
    let (PathPattern::Exact(path) | PathPattern::Prefix(path) | PathPattern::Glob(path)) = path;
    let host = file.host.value.as_ref().map_or("", |host| host.0.as_str());
    let methods: Vec<_> = file
        .methods
        .value
        .iter()
        .map(|method| method.value.as_str())
        .collect();
    match methods.as_slice() {
        [] => format!("{host}{path}"),
        methods => format!("{} {host}{path}", methods.join("|")),
    }
}

fn refuse_names_twice(items: &[Item<RouteFile>], reader: &mut Reader<'_>) {
    for (position, item) in items.iter().enumerate() {
        let Some(name) = &item.value.name.value else {
            continue;
        };
        let place = &item.value.name.place;
        if name.is_empty() || name.len() > 64 {
            let what = "must have 1 to 64 bytes";
            reader.report(Problem::new(Code::BadName, place, what));
        }
        let mut earlier = items.iter().take(position);
        let same = |other: &&Item<RouteFile>| other.value.name.value.as_ref() == Some(name);
        if let Some(other) = earlier.find(same) {
            let what = "is also the name of another route";
            let problem = Problem::new(Code::BadName, place, what);
            reader.report(problem.also(&other.value.name.place, "here"));
        }
    }
}

/// Where the route forwards to; `None` when it is only judged for front proxies, or refuses everybody.
fn upstream(
    file: &File,
    item: &Item<RouteFile>,
    upstreams: &mut Upstreams,
    reader: &mut Reader<'_>,
) -> Option<UpstreamId> {
    let route = &item.value;
    let place = &route.upstream.place;
    match route.upstream.value.as_deref() {
        Some("none") => {
            only_judged(file, route, reader);
            None
        }
        // One that is unknown or broken is reported; what depends on it shall be checked all the same.
        Some(text) => Some(upstreams.find(text, place, reader).unwrap_or(UpstreamId(0))),
        None if route.auth.value == Auth::Deny && !route.auth.is_broken => None,
        None => {
            if !route.upstream.is_given {
                let what = "must be given";
                let hint = "a name from [upstreams], or \"http://127.0.0.1:8080\"";
                reader.report(Problem::new(Code::MissingKey, place, what).hint(hint));
            }
            Some(UpstreamId(0))
        }
    }
}

/// A route without upstream needs somebody who asks about it, and has no use for what changes a forwarded request.
fn only_judged(file: &File, route: &RouteFile, reader: &mut Reader<'_>) {
    let server = &file.server.value;
    if server.trusted_proxies.value.is_empty() && !server.trusted_proxies.is_broken {
        let what = "= \"none\": nobody may ask about this route";
        let hint = "name the proxy that asks in `server.trusted_proxies`";
        reader.report(Problem::new(Code::OnlyJudged, &route.upstream.place, what).hint(hint));
    }
    let unused = [
        (route.strip_prefix.is_given, &route.strip_prefix.place),
        (route.request_headers.is_given, &route.request_headers.place),
        (
            route.response_headers.is_given,
            &route.response_headers.place,
        ),
        (route.max_body.is_given, &route.max_body.place),
        (
            route.response_header_timeout.is_given,
            &route.response_header_timeout.place,
        ),
    ];
    for (_, place) in unused.into_iter().filter(|(is_given, _)| *is_given) {
        let what = "has no effect where nothing is forwarded: `upstream = \"none\"`";
        reader.report(Problem::new(Code::OnlyJudged, place, what).hint("remove it"));
    }
}

fn forward(
    file: &File,
    item: &Item<RouteFile>,
    protected: &Names,
    upstream: UpstreamId,
    pattern: Option<&PathPattern>,
    reader: &mut Reader<'_>,
) -> Forwarding {
    let route = &item.value;
    let max_body = match &route.max_body.value {
        Some(limit) => limit.0,
        None => file.server.value.max_body.value.0,
    };
    let timeout = |key: &Optional<crate::config::values::Positive>| key.value.map(|time| time.0);
    let timeout: Option<Duration> = timeout(&route.response_header_timeout);
    Forwarding {
        upstream,
        strip_prefix: strip_prefix(route, pattern, reader),
        request_headers: edits(&route.request_headers.value, protected, reader),
        response_headers: edits(&route.response_headers.value, protected, reader),
        response_header_timeout: timeout,
        max_body: max_body.map(|size| size.0),
    }
}

fn strip_prefix(
    route: &RouteFile,
    pattern: Option<&PathPattern>,
    reader: &mut Reader<'_>,
) -> Option<String> {
    let key = &route.strip_prefix;
    let prefix = paths::prefix(key.value.0.as_ref()?, &key.place, reader)?;
    let (PathPattern::Exact(path) | PathPattern::Prefix(path) | PathPattern::Glob(path)) = pattern?;
    let rest = path.strip_prefix(prefix.trim_end_matches('/'));
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        let what = format!("= \"{prefix}\" is not at the front of the route's path \"{path}\"");
        reader.report(Problem::new(Code::BadPath, &key.place, what));
    }
    (prefix != "/").then_some(prefix)
}

fn rule(file: &RouteFile, lists: &Lists, apps: &Apps, reader: &mut Reader<'_>) -> Rule {
    let mut choose = |key: &Optional<_>| -> Option<Chosen> {
        let references: &crate::config::file::ListReferences = key.value.as_ref()?;
        let names = references.lists.value.as_ref()?;
        let chosen = lists.choose(names, reader);
        if chosen.has_only_openids && apps.apps.len() > 1 {
            let what = "names only openids, and each app knows a person by another openid";
            let hint = "list unionids as well";
            reader.report(Problem::new(Code::OnlyOpenids, &key.place, what).hint(hint));
        }
        Some(chosen)
    };
    let allow = choose(&file.allow);
    let deny = choose(&file.deny);
    if let Some(allow) = &allow
        && allow.size == 0
        && !allow.is_partial
    {
        let what = "names nobody: this route refuses everybody";
        reader.report(Problem::new(Code::EmptyAllowList, &file.allow.place, what));
    }
    Rule {
        auth: file.auth.value,
        unauthenticated: file.unauthenticated.value,
        cors_origins: file
            .cors_origins
            .value
            .iter()
            .map(|origin| origin.value.0.clone())
            .collect(),
        require_unionid: !file.require.value.is_empty(),
        max_age: file.max_age.value.map(|age| age.0),
        clients: values(&file.clients.value),
        allow: allow.and_then(|chosen| chosen.ids),
        deny: deny.and_then(|chosen| chosen.ids),
        allow_ips: file
            .allow_ips
            .value
            .iter()
            .map(|item| item.value.0)
            .collect(),
        on_deny: file.on_deny.value,
    }
}
