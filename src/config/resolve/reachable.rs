//! Routes that tie, and routes that no request can reach.

use http::Method;

use crate::config::code::Code;
use crate::config::file::File;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::values::Item;
use crate::message::{Host, Site};
use crate::route::{HostPattern, PathPattern, Route};

pub(super) fn check(
    file: &File,
    routes: &[Item<Route>],
    site: Option<&Site>,
    reader: &mut Reader<'_>,
) {
    for (position, item) in routes.iter().enumerate() {
        let mut earlier = routes.iter().take(position);
        if let Some(other) = earlier.find(|other| tie(&item.value, &other.value)) {
            let what = format!(
                "matches the same requests as the route \"{}\" in line {}",
                other.value.name, other.value.line
            );
            let hint = "give one of them a longer path, another host, or methods";
            let problem = Problem::new(Code::RouteTie, &item.place, what).hint(hint);
            reader.report(problem.also(&other.place, "this one"));
        }
    }
    let Some(site) = site else { return };
    for item in routes {
        if let Some(reason) = unreachable(file, &item.value, routes, site) {
            let what = format!("can never be reached: {reason}");
            reader.report(Problem::new(Code::UnreachableRoute, &item.place, what));
        }
    }
}

/// Whether nothing but chance could choose between two routes for some request.
fn tie(one: &Route, other: &Route) -> bool {
    one.host == other.host
        && same_paths(&one.path, &other.path)
        && one.methods.is_empty() == other.methods.is_empty()
        && (one.methods.is_empty() || share_methods(&one.methods, &other.methods))
}

/// GET serves HEAD as well.
fn share_methods(one: &[Method], other: &[Method]) -> bool {
    let serves = |methods: &[Method], method: &Method| {
        methods.contains(method) || (method == Method::HEAD && methods.contains(&Method::GET))
    };
    one.iter().any(|method| serves(other, method)) || other.iter().any(|method| serves(one, method))
}

/// `/member`, `/member/` and the glob `/member/**` are the same paths, and a glob without stars is exact.
fn same_paths(one: &PathPattern, other: &PathPattern) -> bool {
    plain(one) == plain(other)
}

fn plain(path: &PathPattern) -> PathPattern {
    let PathPattern::Glob(glob) = path else {
        return path.clone();
    };
    match glob.strip_suffix("/**") {
        Some("") => PathPattern::Prefix("/".to_owned()),
        Some(prefix) if !prefix.contains('*') => PathPattern::Prefix(prefix.to_owned()),
        Some(_) | None if glob.contains('*') => path.clone(),
        Some(_) | None => PathPattern::Exact(glob.clone()),
    }
}

/// Why no request can get to a route.
fn unreachable(file: &File, route: &Route, routes: &[Item<Route>], site: &Site) -> Option<String> {
    let path = plain(&route.path);
    if is_below(&literal(&path), &site.path_prefix) {
        return Some(format!(
            "`{}` belongs to our own endpoints",
            site.path_prefix
        ));
    }
    if let PathPattern::Exact(path) = &path {
        let names = file.verification_files.value.names();
        let mut names = names.filter(|name| path.strip_prefix('/') == Some(*name));
        if let Some(name) = names.next() {
            return Some(format!("`verification_files` answers for `{name}`"));
        }
    }
    if route.host == HostPattern::Any && site.wildcard_hosts.is_empty() {
        let covered = |host: &Host| {
            let of_host = HostPattern::Exact(host.clone());
            let mut others = routes.iter().map(|item| &item.value);
            others.any(|other| other.host == of_host && covers(other, route))
        };
        if site.hosts.iter().all(covered) {
            return Some("every host has a route of its own for these paths".to_owned());
        }
    }
    None
}

/// Whether `wide` serves every path and method that `narrow` serves.
fn covers(wide: &Route, narrow: &Route) -> bool {
    let methods = wide.methods.is_empty()
        || (!narrow.methods.is_empty()
            && narrow
                .methods
                .iter()
                .all(|method| wide.methods.contains(method)));
    let paths = match plain(&wide.path) {
        PathPattern::Prefix(prefix) => is_below(&literal(&plain(&narrow.path)), &prefix),
        exact @ PathPattern::Exact(_) => exact == plain(&narrow.path),
        glob @ PathPattern::Glob(_) => glob == plain(&narrow.path),
    };
    methods && paths
}

/// The whole segments that every matching path begins with.
fn literal(path: &PathPattern) -> String {
    match path {
        PathPattern::Exact(path) | PathPattern::Prefix(path) => path.clone(),
        PathPattern::Glob(glob) => {
            let literal = glob.split('*').next().unwrap_or_default();
            let end = literal.rfind('/').unwrap_or(0);
            literal.get(..end).unwrap_or_default().to_owned()
        }
    }
}

/// Whether a path is the prefix or below it, by whole segments.
fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
