//! One request from its beginning to the head of its answer.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderMap, Response, StatusCode, request};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use super::attempt::{Answered, Message, Sending, Source};
use super::body::Body;
use super::deadline::Deadlines;
use super::error::Error;
use super::headers::Fields;
use super::outgoing::{Outgoing, outgoing_request};
use super::settings::Forwarding;
use super::tunnel::{self, Tunnel};
use super::upstream::Upstream;
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
        additions: Additions<'_>,
    ) -> Result<Forwarded, Error> {
        let upstream = &self.upstreams[forwarding.upstream.0];
        prepare(body, &parts.headers, forwarding, upstream)?;
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
            deadlines: deadlines(forwarding, upstream),
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
        Ok(self.forwarded(answered, began, client, forwarding, &additions))
    }

    /// Counts the answer, and says who gave it.
    fn forwarded(
        &self,
        answered: Answered,
        began: Instant,
        client: Option<OnUpgrade>,
        forwarding: &Forwarding,
        additions: &Additions<'_>,
    ) -> Forwarded {
        let upstream = &self.upstreams[forwarding.upstream.0];
        let (waited, attempts) = (began.elapsed(), answered.attempts);
        let server = Arc::clone(&answered.server.name);
        let metrics = &answered.server.metrics;
        metrics.request_finished(answered.parts.status, waited);
        let affinity = match additions.wanted == Some(answered.index) {
            true => None,
            false => upstream.affinity_cookie(answered.index),
        };
        Forwarded {
            response: self.finish(answered, client, forwarding, additions, upstream),
            server,
            waited,
            attempts,
            affinity,
        }
    }

    /// Cuts the head, and joins the body or the tunnel with the connection.
    fn finish(
        &self,
        answered: Answered,
        client: Option<OnUpgrade>,
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
