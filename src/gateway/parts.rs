//! What the request path works with: one immutable [`Gateway`] per configuration.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::identity::Identity;
use crate::jwt::Minter;
use crate::login::Login;
use crate::message::Site;
use crate::observe::{AccessLog, IdentityMask, ListenerMetrics, LoggedRoute};
use crate::observe::{Metrics, RouteMetrics, Tracer};
use crate::pages::Pages;
use crate::proxy::{Forwarding, PrivateNames, Proxy};
use crate::route::{Auth, Route, RouteId, Routes};
use crate::session::Sessions;
use crate::wechat::AccessTokens;

use super::Settings;
use super::inspect::Inspector;
use super::scrub::{Forged, Scrub};
use super::visitor::Visitors;

/// What app puts together for a gateway.
#[derive(Debug)]
pub struct Parts {
    /// Opens cookies.
    pub sessions: Arc<Sessions>,
    /// Names people to applications.
    pub identity: Arc<Identity>,
    /// Signs tokens.
    pub minter: Arc<Minter>,
    /// Shows pages.
    pub pages: Arc<Pages>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// One line per request.
    pub access_log: Arc<AccessLog>,
    /// Begins traces; `None` where tracing is off.
    pub tracer: Option<Arc<Tracer>>,
    /// How people appear in logs.
    pub mask: IdentityMask,
    /// Where visitors find us.
    pub site: Arc<Site>,
    /// The time.
    pub clock: Clock,
    /// Each listener's name and counts.
    pub listeners: Vec<(SocketAddr, Arc<ListenerMetrics>)>,
    /// Stands for a listener that a reload took away while its last connections end.
    pub gone_listener: Arc<ListenerMetrics>,
}

impl Parts {
    /// The name and counts of a listener.
    pub(super) fn listener(&self, listener: SocketAddr) -> &Arc<ListenerMetrics> {
        self.listeners
            .iter()
            .find(|(address, _)| *address == listener)
            .map_or(&self.gone_listener, |(_, metrics)| metrics)
    }

    /// A client sent headers that only we may set.
    pub(super) fn count_forged(&self, forged: Forged) {
        for (kind, number) in [
            ("identity", forged.identity),
            ("underscore", forged.underscore),
        ] {
            if number > 0 {
                self.metrics.headers_stripped(kind, number);
            }
        }
    }
}

/// What app hands over beside [`Parts`].
#[derive(Debug)]
pub struct Rooms {
    /// Answers our login endpoints.
    pub login: Login,
    /// Finds routes.
    pub routes: Routes,
    /// Talks to upstreams.
    pub proxy: Arc<Proxy>,
    /// The upstreams' names, in the order of `proxy::Settings::upstreams`.
    pub upstreams: Vec<Arc<str>>,
    /// How long a request body may pause.
    pub body_patience: Duration,
    /// Whether `sub` needs a unionid.
    pub subject_needs_unionid: bool,
    /// Tells the request ids of this process from those of others.
    pub request_id_seed: u64,
}

/// Everything one configuration needs to answer requests. Immutable; a request keeps the one it began with.
pub struct Gateway {
    pub(super) parts: Arc<Parts>,
    pub(super) inspector: Inspector,
    pub(super) scrub: Arc<Scrub>,
    pub(super) private_names: PrivateNames,
    pub(super) visitors: Visitors,
    pub(super) login: Login,
    pub(super) routes: Routes,
    pub(super) proxy: Arc<Proxy>,
    pub(super) upstreams: Vec<Arc<str>>,
    pub(super) settings: Settings,
    pub(super) facts: Vec<Arc<RouteFacts>>,
    pub(super) no_route: Arc<RouteFacts>,
    pub(super) body_patience: Duration,
    pub(super) subject_needs_unionid: bool,
}

/// What is resolved once per route.
#[derive(Debug)]
pub(super) struct RouteFacts {
    pub(super) logged: LoggedRoute,
    pub(super) metrics: Arc<RouteMetrics>,
    pub(super) is_public: bool,
}

impl RouteFacts {
    fn new(route: &Route, metrics: &Metrics) -> Arc<Self> {
        let auth = route.rule.auth;
        Arc::new(Self {
            logged: LoggedRoute::new(&route.name, auth.as_str()),
            metrics: Arc::new(metrics.route(&route.name)),
            is_public: auth == Auth::Public,
        })
    }

    /// For requests that no route was found for.
    fn none(metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self {
            logged: LoggedRoute::new("none", ""),
            metrics: Arc::new(metrics.route("none")),
            is_public: false,
        })
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Gateway").finish_non_exhaustive()
    }
}

impl Gateway {
    /// Puts one configuration together; does no I/O.
    pub fn new(settings: Settings, parts: Parts, rooms: Rooms) -> Self {
        let mut routes: Vec<_> = rooms.routes.in_order().collect();
        routes.sort_by_key(|(id, _)| id.0);
        let facts = routes
            .into_iter()
            .map(|(_, route)| RouteFacts::new(route, &parts.metrics))
            .collect();
        let names = parts
            .identity
            .header_names()
            .chain([&settings.jwt_header, &settings.request_id_header]);
        let scrub = Arc::new(Scrub::new(names, parts.sessions.cookie_names()));
        let private = Arc::clone(&scrub);
        Self {
            inspector: Inspector::new(
                &settings.site,
                settings.trusted_proxies.clone(),
                settings.request_id_header.clone(),
                rooms.request_id_seed,
            ),
            visitors: Visitors::new(
                settings.jwt_header.clone(),
                settings.jwt_prefix.clone(),
                settings.claims.clone(),
            ),
            private_names: Arc::new(move |name| private.is_private(name)),
            scrub,
            no_route: RouteFacts::none(&parts.metrics),
            parts: Arc::new(parts),
            login: rooms.login,
            routes: rooms.routes,
            proxy: rooms.proxy,
            upstreams: rooms.upstreams,
            body_patience: rooms.body_patience,
            subject_needs_unionid: rooms.subject_needs_unionid,
            settings,
            facts,
        }
    }

    /// The proxy, for the next generation to take pools over.
    pub fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy
    }

    /// The sessions, for the next generation to share revocations with.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.parts.sessions
    }

    /// The app-wide tokens, for the admin listener to share.
    pub fn access_tokens(&self) -> &AccessTokens {
        self.login.access_tokens()
    }

    /// The login, for its codes to be counted.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// The routes, for lists to be read again.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// How a route forwards; `None` where it has no upstream.
    pub(super) fn forwarding(&self, id: RouteId) -> Option<&Forwarding> {
        self.settings.forwarding.get(id.0)?.as_ref()
    }

    /// The upstream's name, for logs.
    pub(super) fn upstream_name(&self, forwarding: &Forwarding) -> Arc<str> {
        let name = self.upstreams.get(forwarding.upstream.0);
        name.map_or_else(|| Arc::from("none"), Arc::clone)
    }

    /// What was resolved for a route.
    pub(super) fn facts(&self, id: RouteId) -> &Arc<RouteFacts> {
        self.facts.get(id.0).unwrap_or(&self.no_route)
    }
}
