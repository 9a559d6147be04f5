//! What the configuration says about upstreams and forwarding.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};
use rustls::pki_types::ServerName;

use super::names::Resolver;
use super::tls::Tls;
use crate::message::{RequestId, Scheme};

/// Every upstream.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Every upstream; [`UpstreamId`] counts here.
    pub upstreams: Vec<UpstreamSettings>,
    /// Looks up the names of servers.
    pub resolver: Resolver,
}

/// An upstream's place in [`Settings::upstreams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamId(pub usize);

/// One application behind us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// The operator's name, or the URL.
    pub name: String,
    /// Where it listens; never empty.
    pub servers: Vec<Server>,
    /// Which server gets the next request.
    pub balance: Balance,
    /// Which `Host` it sees.
    pub host_header: HostHeader,
    /// Deadline for a new connection.
    pub connect_timeout: Duration,
    /// Deadline from the last byte of the request to the head of the answer.
    pub response_header_timeout: Duration,
    /// How long a body or tunnel may make no progress.
    pub idle_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Idle connections kept per server.
    pub max_idle: usize,
    /// Connections per server, idle ones and WebSockets included; at least 1.
    pub max_connections: usize,
    /// How often a request may be tried again.
    pub retries: u32,
    /// Asks each server whether it is well; `None` where only connecting tells.
    pub health_check: Option<HealthCheck>,
}

/// Which server gets the next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Each in turn.
    RoundRobin,
    /// The one with the fewest requests that have not ended; in turn where several have as few.
    LeastRequests,
    /// The one that the visitor's cookie names; in turn for those without.
    Cookie(AffinityCookie),
}

/// The cookie that leads a visitor back to the same server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffinityCookie {
    /// The whole name, with its prefix.
    pub name: String,
    /// Off only on loopback http.
    pub is_secure: bool,
}

/// How servers are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path and query.
    pub path: PathAndQuery,
    /// How often, more or less a tenth.
    pub interval: Duration,
    /// From connecting to the head of the answer.
    pub timeout: Duration,
    /// Good statuses.
    pub expect: Vec<RangeInclusive<u16>>,
    /// Good answers in a row until an ill server is well; at least 1.
    pub healthy_after: u32,
    /// Bad answers in a row until a server is ill; at least 1.
    pub unhealthy_after: u32,
}

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it listens.
    pub address: Address,
    /// What it speaks.
    pub protocol: Protocol,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// On a network.
    Tcp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// At a socket of this machine.
    Unix(PathBuf),
}

/// What a server speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 without TLS, which the server must know beforehand. WebSockets are asked for over HTTP/1.1, because most servers take both.
    H2c,
    /// Over TLS: HTTP/2 where the server chooses it and `tls` offers it, else HTTP/1.1.
    Https {
        /// The same for all servers of an upstream.
        tls: Tls,
        /// What its certificate must be for.
        name: ServerName<'static>,
    },
}

impl Protocol {
    /// The port that URLs may leave out.
    pub fn default_port(&self) -> u16 {
        match self {
            Self::Http | Self::H2c => 80,
            Self::Https { .. } => 443,
        }
    }

    /// Whether connections are safe from those on the way.
    pub(super) fn is_secure(&self) -> bool {
        matches!(self, Self::Https { .. })
    }

    /// Whether connections may speak HTTP/2.
    pub(super) fn may_be_http2(&self) -> bool {
        match self {
            Self::Http => false,
            Self::H2c => true,
            Self::Https { tls, .. } => tls.offers_http2(),
        }
    }
}

/// Which `Host` the upstream sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The visitor's.
    Preserve,
    /// The server's own authority.
    Upstream,
    /// Always this.
    Literal(HeaderValue),
}

/// What a route adds to forwarding.
#[derive(Clone, Debug)]
pub struct Forwarding {
    /// Where to.
    pub upstream: UpstreamId,
    /// Cut off the front of the path, by whole segments.
    pub strip_prefix: Option<String>,
    /// Applied to the request last, but they can never touch identity or framing headers.
    pub request_headers: HeaderEdits,
    /// Applied to the answer last.
    pub response_headers: HeaderEdits,
    /// Instead of the upstream's own.
    pub response_header_timeout: Option<Duration>,
    /// The largest request body; `None` means no limit.
    pub max_body: Option<u64>,
}

/// Headers to set and to remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Set, replacing what is there.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Removed before setting.
    pub remove: Vec<HeaderName>,
}

/// What the upstream learns about where the request came from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The visitor's address.
    pub client: IpAddr,
    /// The peer is a trusted proxy: what it said in `X-Forwarded-For` is kept in front of its own address.
    pub trusted_peer: Option<IpAddr>,
    /// What visitors type.
    pub scheme: Scheme,
    /// Names the request.
    pub request_id: RequestId,
    /// Under this name.
    pub request_id_header: HeaderName,
}
