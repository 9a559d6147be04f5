//! One request from its beginning to the head of its answer.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderMap, Response, StatusCode, request, response};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use super::attempt::{Answered, Message, Sending};
use super::body::Body;
use super::deadline::Deadlines;
use super::error::Error;
use super::headers::Fields;
use super::outgoing::{Outgoing, outgoing_request};
use super::server::Load;
use super::settings::Forwarding;
use super::source::Source;
use super::tunnel::{self, Tunnel};
use super::upstream::Upstream;
use super::wire::Wire;
use super::{Additions, Forwarded, Proxy, answer, interim, origin};
use crate::message::{self, RequestBody};

impl Proxy {
    /// Forwards one request and waits for the head of its answer.
    ///
    /// The client's headers must be scrubbed of forged identity and of our own cookie already; hop-by-hop and forwarded fields
    /// are handled here. `target` replaces the request's own. Extensions stay behind, except that hyper's `OnUpgrade` is taken out
    /// of a request that may become a tunnel; so is a body that is not empty. Cancelling closes the connection to the server.
    ///
    /// # Panics
    ///
    /// If `forwarding` names an upstream that [`Settings`](super::Settings) did not have.
    pub async fn forward(
        &self,
        forwarding: &Forwarding,
        (parts, body): (&mut request::Parts, &mut RequestBody),
        target: &PathAndQuery,
        additions: &Additions<'_>,
    ) -> Result<Forwarded, Error> {
        let upstream = &self.upstreams[forwarding.upstream.0];
        prepare(body, &parts.headers, forwarding, upstream)?;
        // PERF: what the client did not send is not looked for (350 instructions a request).
        let present = additions.present;
        let client = match present.upgrade {
            true => tunnel::asked(parts, body),
            false => None,
        };
        let fields = Fields {
            parts,
            visited: origin::visited_host(parts),
            body,
            tunnel: client.is_some(),
            additions,
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
            deadlines: deadlines(forwarding, upstream),
            tunnel: client.is_some(),
            binds_connection: present.credentials
                && answer::request_binds_connection(&parts.headers),
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
        let (mut head, ()) = Response::new(()).into_parts();
        let answered = sending.answer(message, &mut head, began).await?;
        let times = (began, Instant::now());
        Ok(self.forwarded((head, answered), times, client, forwarding, additions))
    }

    /// Counts the answer, says who gave it, cuts its head, and joins the body or the tunnel with the connection.
    fn forwarded(
        &self,
        (mut head, answered): (response::Parts, Answered),
        (began, came): (Instant, Instant),
        client: Option<OnUpgrade>,
        forwarding: &Forwarding,
        additions: &Additions<'_>,
    ) -> Forwarded {
        let upstream = &self.upstreams[forwarding.upstream.0];
        let Answered {
            source,
            server: load,
            index,
            attempts,
        } = answered;
        let waited = came.saturating_duration_since(began);
        let server = Arc::clone(&load.name);
        load.metrics.request_finished(head.status, waited);
        let affinity = match additions.wanted == Some(index) {
            true => None,
            false => upstream.affinity_cookie(index),
        };
        let switched = head.status == StatusCode::SWITCHING_PROTOCOLS;
        let edits = &forwarding.response_headers;
        answer::clean(&mut head, additions.private, edits, switched);
        let idle = upstream.settings.idle_timeout;
        let body = match (client.filter(|_| switched), source) {
            (Some(client), Source::Hyper(by_hyper)) => {
                self.begin_tunnel((client, by_hyper.wire), load, idle, additions);
                Body::empty()
            }
            (_, source) => Body::new(source, load, idle, came, additions.private),
        };
        Forwarded {
            response: Response::from_parts(head, body),
            server,
            waited,
            attempts,
            affinity,
        }
    }

    fn begin_tunnel(
        &self,
        (client, wire): (OnUpgrade, Option<Box<Wire>>),
        load: Load,
        idle: Duration,
        additions: &Additions<'_>,
    ) {
        let end = additions.end.map(|make| make());
        let guard = self.tunnels.guard();
        tokio::spawn(async move {
            if let Some(wire) = wire
                && let Some((stream, first)) = wire.into_tunnel().await
            {
                let tunnel = Tunnel {
                    client,
                    server: stream,
                    first,
                    idle,
                    end,
                    guard,
                    load,
                };
                tunnel.run().await;
            }
        });
    }
}

/// Holds the body to the route's limit and to the time that it may pause.
fn prepare(
    body: &mut RequestBody,
    headers: &HeaderMap,
    forwarding: &Forwarding,
    upstream: &Upstream,
) -> Result<(), Error> {
    if let Some(limit) = forwarding.max_body
        && body.announces_more_than(Some(limit))
    {
        return Err(Error::RequestBody(message::BodyError::TooLarge { limit }));
    }
    body.set_limit(forwarding.max_body);
    if !body.is_empty() && is_call(headers) {
        // Either side of a call may say nothing for as long as the other may.
        body.set_patience(upstream.settings.idle_timeout);
    }
    Ok(())
}

fn deadlines(forwarding: &Forwarding, upstream: &Upstream) -> Deadlines {
    let of_route = forwarding.response_header_timeout;
    Deadlines {
        head: of_route.unwrap_or(upstream.settings.response_header_timeout),
        idle: upstream.settings.idle_timeout,
    }
}

/// Whether the request is a gRPC call, in which both sides may talk in any order.
fn is_call(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// The target without a prefix of whole segments; `None` where it does not begin with it.
pub(super) fn stripped(target: &PathAndQuery, prefix: &str) -> Option<PathAndQuery> {
    let rest = target.as_str().strip_prefix(prefix.trim_end_matches('/'))?;
    match rest.as_bytes().first() {
        Some(b'/') => PathAndQuery::try_from(rest).ok(),
        None | Some(b'?') => PathAndQuery::try_from(format!("/{rest}")).ok(),
        Some(_) => None,
    }
}
