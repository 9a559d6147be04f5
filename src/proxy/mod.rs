//! Requests to upstreams. Knows nothing of users.
//!
//! A connection over HTTP/1.1 is driven inside the request's own task: nothing is spawned and nothing is sent through a channel
//! between tasks, except for WebSocket tunnels, which outlive their request.
//!
//! The way of a request, which `forward` begins: `upstream` names a server, `pool` or a new connection takes it there, `headers`
//! says what goes up, `bare` writes and reads where there is no body to send and `wire` has hyper do it elsewhere, `http2` shares a
//! connection with others where the server speaks it (`multiplex` finds out), `retry` decides what a failure means, `answer` judges
//! and cuts the head that came, `body` streams the rest and gives the connection back. `send` is one attempt, for which `connecting`
//! finds a connection, `attempt` the loop over them.
//!
//! Interim answers such as 103 are passed on as they come; 100 is not, because hyper's server answers `Expect: 100-continue`
//! by itself when the body is first read.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tokio::time::Instant;

use crate::drain::Drain;
use crate::message::Present;
use crate::observe::{Metrics, OpenSpan};

mod affinity;
mod answer;
mod attempt;
mod bare;
mod body;
mod claims;
mod connect;
mod connecting;
mod deadline;
mod error;
mod fault;
mod forward;
mod frames;
mod headers;
mod health;
mod hop;
mod http2;
mod identity;
mod interim;
mod mark;
mod multiplex;
mod names;
mod origin;
mod outgoing;
mod pool;
mod retry;
mod room;
mod send;
mod server;
mod settings;
mod socket;
mod source;
mod taken;
mod tls;
mod transport;
mod tunnel;
mod upstream;
mod wire;

pub use answer::Unusable;
pub use body::{Body, BodyError};
pub use error::Error;
pub use fault::Fault;
pub use identity::IdentityFields;
pub use names::{Found, Resolver};
pub use settings::{
    Address, AffinityCookie, Balance, Forwarding, HeaderEdits, HealthCheck, HostHeader, Origin,
    Protocol, Server, Settings, UpstreamId, UpstreamSettings,
};
pub use tls::{Identity, Tls, TlsFault, TlsSettings, UnusableFile};

use upstream::Upstream;

/// Says which fields only we may set: removed from every answer, and out of reach of a route's edits.
pub type PrivateNames = Arc<dyn Fn(&HeaderName) -> bool + Send + Sync>;

/// Ready when a tunnel must end. Dropped when the tunnel has ended, so it may carry what counts open tunnels.
pub type EndSignal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Gets status and fields of each interim answer, without what visitors may not see.
pub type InterimSink<'a> = dyn Fn(StatusCode, &HeaderMap) + Send + Sync + 'a;

/// Every upstream, with its idle connections and the marks of servers that failed.
#[derive(Debug)]
pub struct Proxy {
    upstreams: Vec<Arc<Upstream>>,
    tunnels: Arc<Drain>,
}

/// What we add to a request, and how its answer is cut.
#[derive(Clone)]
pub struct Additions<'a> {
    /// Where the request came from.
    pub origin: &'a Origin,
    /// Which fields the client sent; some may have been removed since.
    pub present: Present,
    /// Set after the client's own fields were cleaned; `None` where nobody is told of.
    pub identity: Option<&'a IdentityFields>,
    /// Removed from the answer and its trailers; no route's edits can set them.
    pub private: &'a PrivateNames,
    /// The server to prefer: what [`Proxy::wanted`] found before our cookies were cut.
    pub wanted: Option<usize>,
    /// Makes the signal that ends a WebSocket tunnel; asked only when there is one.
    pub end: Option<&'a (dyn Fn() -> EndSignal + Send + Sync)>,
    /// Told of interim answers, at most 16; `None` where nobody can take them.
    pub interim: Option<&'a InterimSink<'a>>,
    /// The trace that the request belongs to; replaces what the client sent.
    pub traceparent: Option<(HeaderName, HeaderValue)>,
    /// Attempts that fail become spans below this one; `None` where nothing is recorded.
    pub span: Option<&'a OpenSpan>,
}

/// An answer, and how it was got.
#[derive(Debug)]
pub struct Forwarded {
    /// To be passed on as it is. Status 101 means that the client's connection becomes a tunnel.
    pub response: Response<Body>,
    /// Which server answered: `host:port`.
    pub server: Arc<str>,
    /// From the beginning of the first attempt to the head of the answer.
    pub waited: Duration,
    /// How many servers or connections it took: 1 unless something was tried again.
    pub attempts: u32,
    /// The `Set-Cookie` that leads the visitor back to the same server, where the upstream wants that and the cookie led elsewhere.
    pub affinity: Option<HeaderValue>,
}

impl fmt::Debug for Additions<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Additions")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// Nothing is connected yet. `previous` hands over pools and marks of upstreams whose settings are equal. Each
    /// tunnel counts as open in `tunnels` until it ends; health checks begin at once, and end when it is told to stop.
    pub fn new(
        settings: Settings,
        previous: Option<&Self>,
        metrics: &Metrics,
        tunnels: Arc<Drain>,
    ) -> Self {
        let resolver = settings.resolver;
        let keep_or_make = |settings: UpstreamSettings| {
            let kept = previous
                .into_iter()
                .flat_map(|previous| &previous.upstreams)
                .find(|upstream| upstream.settings == settings);
            match kept {
                Some(upstream) => Arc::clone(upstream),
                None => Arc::new(Upstream::new(settings, &resolver, metrics, &tunnels)),
            }
        };
        Self {
            upstreams: settings.upstreams.into_iter().map(keep_or_make).collect(),
            tunnels,
        }
    }

    /// The server that a visitor's cookie names, where this upstream sends visitors back to the same one.
    pub fn wanted(&self, forwarding: &Forwarding, headers: &HeaderMap) -> Option<usize> {
        self.upstreams.get(forwarding.upstream.0)?.wanted(headers)
    }

    /// The name of each upstream and those of its servers, as in the metrics.
    pub fn names(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.upstreams.iter().map(|upstream| {
            let servers = upstream.servers().iter().map(|server| &*server.name);
            (upstream.settings.name.as_str(), servers.collect())
        })
    }

    /// Closes idle connections that are too old or were closed by their server. Call it now and then, inside the runtime.
    pub fn sweep(&self, now: Instant) {
        for server in self
            .upstreams
            .iter()
            .flat_map(|upstream| upstream.servers())
        {
            server.pool.sweep(now);
            server.shared.sweep(now);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
