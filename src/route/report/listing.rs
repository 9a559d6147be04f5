//! Every route in matching order.

use http::Method;
use serde_json::json;

use super::Facts;
use super::table::Table;
use crate::route::{HostPattern, PathPattern, Route};

/// The routes in matching order, one a line.
pub fn text(facts: &Facts<'_>) -> String {
    let head = [
        "#", "route", "host", "path", "methods", "auth", "upstream", "line",
    ];
    let mut table = Table::new(head);
    for (rank, (id, route)) in facts.routes.in_order().enumerate() {
        table.push([
            (rank + 1).to_string(),
            route.name.clone(),
            host(&route.host),
            path(&route.path),
            methods(&route.methods),
            route.rule.auth.as_str().to_owned(),
            facts.upstream(id).to_owned(),
            route.line.to_string(),
        ]);
    }
    table.text(0)
}

/// The same as one document.
pub fn json(facts: &Facts<'_>) -> serde_json::Value {
    let routes = facts
        .routes
        .in_order()
        .enumerate()
        .map(|(rank, (id, route))| {
            let mut entry = describe(route);
            entry["rank"] = json!(rank + 1);
            entry["upstream"] = json!(facts.upstream(id));
            entry
        });
    json!({ "config": facts.source, "routes": routes.collect::<Vec<_>>() })
}

/// What a machine may want to know about a route.
pub(super) fn describe(route: &Route) -> serde_json::Value {
    let methods: Vec<&str> = route.methods.iter().map(Method::as_str).collect();
    json!({
        "name": route.name,
        "line": route.line,
        "host": host(&route.host),
        "path_kind": path_kind(&route.path),
        "path": route.path.text(),
        "methods": methods,
        "auth": route.rule.auth.as_str(),
    })
}

/// As in the file; `any` where it says nothing.
pub(super) fn host(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(host) => host.as_str().to_owned(),
        HostPattern::Below(suffix) => format!("*{suffix}"),
        HostPattern::Any => "any".to_owned(),
    }
}

/// The pattern, with `=` before an exact path.
pub(super) fn path(pattern: &PathPattern) -> String {
    match pattern {
        PathPattern::Exact(text) => format!("= {text}"),
        PathPattern::Prefix(text) | PathPattern::Glob(text) => text.clone(),
    }
}

/// The key in the file.
pub(super) fn path_kind(pattern: &PathPattern) -> &'static str {
    match pattern {
        PathPattern::Exact(_) => "path_exact",
        PathPattern::Prefix(_) => "path",
        PathPattern::Glob(_) => "path_glob",
    }
}

pub(super) fn methods(methods: &[Method]) -> String {
    if methods.is_empty() {
        return "any".to_owned();
    }
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    names.join(",")
}
