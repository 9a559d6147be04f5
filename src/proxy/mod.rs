//! Requests to upstreams. Knows nothing of users.
//!
//! A connection over HTTP/1.1 is driven inside the request's own task: nothing is spawned and nothing is sent through a channel
//! between tasks, except for WebSocket tunnels, which outlive their request.
//!
//! The way of a request: `upstream` names a server, `pool` or a new connection takes it there, `headers` says what goes up,
//! `bare` writes and reads where there is no body to send and `wire` has hyper do it elsewhere, `http2` shares a connection with
//! others where the server speaks it (`multiplex` finds out), `retry` decides what a failure means, `answer` judges and cuts the head that came, `body` streams the rest and gives the connection back. `send` is one
//! attempt, `attempt` the loop over them.
//!
//! Interim answers such as 103 are passed on as they come; 100 is not, because hyper's server answers `Expect: 100-continue`
//! by itself when the body is first read.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, request};
use tokio::time::Instant;

use crate::drain::Drain;
use crate::message::{self, RequestBody};
use crate::observe::{Metrics, OpenSpan};

mod affinity;
mod answer;
mod attempt;
mod bare;
mod body;
mod claims;
mod connect;
mod deadline;
mod error;
mod fault;
mod frames;
mod headers;
mod health;
mod hop;
mod http2;
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
mod tls;
mod transport;
mod tunnel;
mod upstream;
mod wire;

pub use answer::Unusable;
pub use body::{Body, BodyError};
pub use error::Error;
pub use fault::Fault;
pub use names::{Found, Resolver};
pub use settings::{
    Address, AffinityCookie, Balance, Forwarding, HeaderEdits, HealthCheck, HostHeader, Origin,
    Protocol, Server, Settings, UpstreamId, UpstreamSettings,
};
pub use tls::{Identity, Tls, TlsFault, TlsSettings, UnusableFile};

use attempt::{Answered, Message, Sending, Source};
use deadline::Deadlines;
use headers::Fields;
use outgoing::{Outgoing, outgoing_request};
use tunnel::Tunnel;
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
    /// Set after the client's own fields were cleaned; they replace what is there.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// One more, such as a token made for this request.
    pub more: Option<(HeaderName, HeaderValue)>,
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
        // The values are people's identities.
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        formatter
            .debug_struct("Additions")
            .field("headers", &names)
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

    /// Forwards one request and waits for the head of its answer.
    ///
    /// The client's headers must be scrubbed of forged identity and of our own cookie already; hop-by-hop and forwarded fields
    /// are handled here. `target` replaces the request's own. Extensions stay behind, except that hyper's `OnUpgrade` is taken out
    /// of a request that may become a tunnel; so is a body that is not empty. Cancelling closes the connection to the server.
    ///
    /// # Panics
    ///
    /// If `forwarding` names an upstream that [`Settings`] did not have.
    pub async fn forward(
        &self,
        forwarding: &Forwarding,
        (parts, body): (&mut request::Parts, &mut RequestBody),
        target: &PathAndQuery,
        additions: Additions<'_>,
    ) -> Result<Forwarded, Error> {
        let upstream = &self.upstreams[forwarding.upstream.0];
        limit(body, forwarding.max_body)?;
        if !body.is_empty() && is_call(&parts.headers) {
            // Either side of a call may say nothing for as long as the other may.
            body.set_patience(upstream.settings.idle_timeout);
        }
        let client = tunnel::asked(parts, body);
        let fields = Fields {
            parts,
            visited: origin::visited_host(parts),
            body,
            tunnel: client.is_some(),
            additions: &additions,
            edits: &forwarding.request_headers,
        };
        let strip_prefix = forwarding.strip_prefix.as_deref();
        let stripped = strip_prefix.and_then(|prefix| stripped(target, prefix));
        let target = stripped.as_ref().unwrap_or(target);
        let interim = additions.interim.map(|sink| {
            let (private, edits) = (additions.private, &forwarding.response_headers);
            move |head| interim::pass_on(head, sink, private, edits)
        });
        let mut sending = Sending {
            wanted: additions.wanted,
            upstream,
            upload: None,
            deadlines: Deadlines {
                head: forwarding
                    .response_header_timeout
                    .unwrap_or(upstream.settings.response_header_timeout),
                idle: upstream.settings.idle_timeout,
            },
            tunnel: client.is_some(),
            binds_connection: answer::request_binds_connection(&parts.headers),
            method: &parts.method,
            interim: interim.as_ref().map(|pass_on| pass_on as _),
            span: additions.span,
        };

        let began = Instant::now();
        let message = match body.is_empty() && client.is_none() {
            true => Message::Bare(fields, target),
            false => {
                let headers = fields.to_map(None);
                let body = std::mem::replace(body, RequestBody::empty());
                let (body, upload) = Outgoing::new(body);
                sending.upload = upload;
                Message::Hyper(outgoing_request(parts, target, headers, body))
            }
        };
        let answered = sending.answer(message, began).await?;

        let waited = began.elapsed();
        let server = Arc::clone(&answered.server.name);
        answered
            .server
            .metrics
            .request_finished(answered.parts.status, waited);
        let attempts = answered.attempts;
        let affinity = match additions.wanted == Some(answered.index) {
            true => None,
            false => upstream.affinity_cookie(answered.index),
        };
        let response = self.finish(answered, client, forwarding, &additions, upstream);
        Ok(Forwarded {
            response,
            server,
            waited,
            attempts,
            affinity,
        })
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

    /// Cuts the head, and joins the body or the tunnel with the connection.
    fn finish(
        &self,
        answered: Answered,
        client: Option<hyper::upgrade::OnUpgrade>,
        forwarding: &Forwarding,
        additions: &Additions<'_>,
        upstream: &Upstream,
    ) -> Response<Body> {
        let Answered {
            mut parts,
            source,
            server,
            ..
        } = answered;
        let switched = parts.status == StatusCode::SWITCHING_PROTOCOLS;
        answer::clean(
            &mut parts,
            additions.private,
            &forwarding.response_headers,
            switched,
        );
        let idle = upstream.settings.idle_timeout;
        let client = client.filter(|_| switched);
        let (client, wire) = match (client, source) {
            (Some(client), Source::Hyper(_, Some(wire))) => (client, wire),
            (_, source) => {
                let private = Arc::clone(additions.private);
                let body = Body::new(source, server, idle, private);
                return Response::from_parts(parts, body);
            }
        };
        let end = additions.end.map(|make| make());
        let guard = self.tunnels.guard();
        tokio::spawn(async move {
            if let Some((stream, first)) = wire.into_tunnel().await {
                let tunnel = Tunnel {
                    client,
                    server: stream,
                    first,
                    idle,
                    end,
                    guard,
                    load: server,
                };
                tunnel.run().await;
            }
        });
        Response::from_parts(parts, Body::empty())
    }
}

fn limit(body: &mut RequestBody, limit: Option<u64>) -> Result<(), Error> {
    if let Some(limit) = limit
        && body.announces_more_than(Some(limit))
    {
        return Err(Error::RequestBody(message::BodyError::TooLarge { limit }));
    }
    body.set_limit(limit);
    Ok(())
}

/// Whether the request is a gRPC call, in which both sides may talk in any order.
fn is_call(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// The target without a prefix of whole segments; `None` where it does not begin with it.
fn stripped(target: &PathAndQuery, prefix: &str) -> Option<PathAndQuery> {
    let rest = target.as_str().strip_prefix(prefix.trim_end_matches('/'))?;
    match rest.as_bytes().first() {
        Some(b'/') => PathAndQuery::try_from(rest).ok(),
        None | Some(b'?') => PathAndQuery::try_from(format!("/{rest}")).ok(),
        Some(_) => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
