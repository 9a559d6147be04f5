//! What a generation serves, as the status page shows it.

use std::net::SocketAddr;
use std::time::SystemTime;

use crate::admin::{AppFacts, Generation, RouteFacts, ServerFacts, UpstreamFacts};
use crate::config::Config;
use crate::gateway::Gateway;
use crate::observe::IdentityMask;
use crate::route::{HostPattern, PathPattern, Route, RouteId};

/// The facts of this configuration.
pub(super) fn of(
    config: &Config,
    gateway: &Gateway,
    listeners: &[SocketAddr],
    now: SystemTime,
) -> Generation {
    let apps = config.wechat.apps.iter().map(|app| AppFacts {
        name: app.name.as_str().to_owned(),
        app_id: IdentityMask::Masked.apply(app.id.as_str()),
        tokens: Vec::new(),
        last_error: None,
    });
    Generation {
        file: config.source.display().to_string(),
        sha256: config.fingerprint.clone(),
        loaded_at: now,
        listeners: listeners.iter().map(SocketAddr::to_string).collect(),
        certificates: Vec::new(),
        apps: apps.collect(),
        routes: gateway
            .routes()
            .in_order()
            .map(|(id, route)| route_facts(id, route, config))
            .collect(),
        upstreams: gateway.proxy().names().map(upstream_facts).collect(),
    }
}

fn route_facts(id: RouteId, route: &Route, config: &Config) -> RouteFacts {
    let forwarding = config.gateway.forwarding.get(id.0);
    let upstream = forwarding.and_then(Option::as_ref);
    let upstream = upstream.and_then(|one| config.proxy.upstreams.get(one.upstream.0));
    RouteFacts {
        name: route.name.clone(),
        host: match &route.host {
            HostPattern::Exact(host) => host.as_str().to_owned(),
            HostPattern::Below(suffix) => format!("*{suffix}"),
            HostPattern::Any => "any".to_owned(),
        },
        path: match &route.path {
            PathPattern::Exact(text) => format!("= {text}"),
            PathPattern::Prefix(text) | PathPattern::Glob(text) => text.clone(),
        },
        auth: route.rule.auth.as_str(),
        upstream: upstream.map_or_else(String::new, |upstream| upstream.name.clone()),
        requests: 0,
        denied: 0,
        requests_5m: 0,
        denied_5m: 0,
    }
}

fn upstream_facts((name, servers): (&str, Vec<&str>)) -> UpstreamFacts {
    let servers = servers.into_iter().map(|server| ServerFacts {
        name: server.to_owned(),
        healthy: true,
        answers: 0,
    });
    UpstreamFacts {
        name: name.to_owned(),
        servers: servers.collect(),
        errors: 0,
    }
}
