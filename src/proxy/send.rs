//! One attempt: a connection, a request on it, and what came of it.

use std::time::Duration;

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, response};
use tokio::time::Instant;

use super::attempt::{Failed, Message, Next, Sending};
use super::bare::{self, Bare};
use super::deadline::after;
use super::error::Error;
use super::fault::Fault;
use super::headers::Fields;
use super::outgoing::Outgoing;
use super::pool::Idle;
use super::retry::Outcome;
use super::server::Server;
use super::settings::HostHeader;
use super::source::{ByHyper, Source};
use super::wire::{self, Wire};

impl<'a> Sending<'a> {
    /// One attempt of a request without a body.
    pub(super) async fn attempt(
        &self,
        next: &mut Next,
        fields: Fields<'a>,
        target: &'a PathAndQuery,
        answer: &mut response::Parts,
        now: Instant,
    ) -> Result<Source, Failed<'a>> {
        let server = &self.upstream.servers()[next.index];
        let pooled = self.pooled(next, now).and_then(|idle| match idle {
            Idle::Bare(bare) => Some(bare),
            Idle::Wire(wire) => wire.into_stream().map(Bare::new),
        });
        let failed = |outcome, reused, error| Failed {
            outcome,
            reused,
            message: Some(Message::Bare(fields, target)),
            error,
        };
        let (mut bare, reused, begun) = match pooled {
            // PERF: nothing was waited for, so the clock need not be read again.
            Some(bare) => (bare, true, now),
            None => match Box::pin(self.connected(next, server)).await {
                Ok((stream, reused)) => (Bare::new(stream), reused, Instant::now()),
                Err(error) => {
                    return Err(failed(Outcome::without_connection(&error), false, error));
                }
            },
        };
        let head = bare.begin(self.method, target);
        fields.write(self.host(fields, server), head);
        head.extend_from_slice(b"\r\n");
        let deadline = after(begun, self.deadlines.head);
        let exchange = bare.exchange(deadline, self.interim, answer);
        let failure = match exchange.await {
            Ok(()) => {
                self.upstream.mark_working(next.index);
                return Ok(Source::Bare(Some(bare)));
            }
            Err(failure) => failure,
        };
        let (outcome, error) = match failure {
            bare::Failure::Unsent(source) => (Outcome::Unsent, self.broken(source)),
            bare::Failure::Died { source, begun } => self.died(source, begun, server),
            bare::Failure::Late => self.late(self.deadlines.head, server),
        };
        Err(failed(outcome, reused, error))
    }

    /// One attempt through hyper. What it sends has a body or asks for a tunnel, so a request is sent again only where hyper gives it
    /// back unsent.
    pub(super) async fn attempt_by_hyper(
        &self,
        next: &mut Next,
        mut request: Request<Outgoing>,
        answer: &mut response::Parts,
        now: Instant,
    ) -> Result<Source, Failed<'a>> {
        let server = &self.upstream.servers()[next.index];
        let pooled = match self.pooled(next, now) {
            Some(Idle::Wire(wire)) => Some(wire),
            Some(Idle::Bare(bare)) => Wire::new(bare.into_stream()).await.ok(),
            None => None,
        };
        let (mut wire, reused) = match pooled {
            Some(wire) => (wire, true),
            None => match self.connected_for_hyper(next, server).await {
                Ok(connected) => connected,
                Err(error) => {
                    return Err(Failed {
                        outcome: Outcome::without_connection(&error),
                        reused: false,
                        message: Some(Message::Hyper(Box::new(request))),
                        error,
                    });
                }
            },
        };
        self.address(request.headers_mut(), server);
        match wire
            .exchange(
                request,
                self.upload.as_deref(),
                self.deadlines,
                self.interim,
            )
            .await
        {
            Ok(response) => {
                self.upstream.mark_working(next.index);
                let (parts, incoming) = response.into_parts();
                *answer = parts;
                let wire = Some(wire);
                Ok(Source::Hyper(Box::new(ByHyper { incoming, wire })))
            }
            Err(failure) => Err(self.judge(failure, reused, server)),
        }
    }

    /// The `Host` that this upstream wants to see; `None` means the visitor's.
    pub(super) fn host<'s>(
        &'s self,
        fields: Fields<'_>,
        server: &'s Server,
    ) -> Option<&'s HeaderValue> {
        match &self.upstream.settings.host_header {
            HostHeader::Preserve if fields.visited.is_some() => None,
            HostHeader::Preserve | HostHeader::Upstream => Some(&server.authority),
            HostHeader::Literal(host) => Some(host),
        }
    }

    /// Sets the `Host` that this upstream wants to see; the visitor's is there already.
    pub(super) fn address(&self, headers: &mut HeaderMap, server: &Server) {
        let host = match &self.upstream.settings.host_header {
            HostHeader::Preserve if headers.contains_key(HOST) => return,
            HostHeader::Preserve | HostHeader::Upstream => server.authority.clone(),
            HostHeader::Literal(host) => host.clone(),
        };
        headers.insert(HOST, host);
    }

    /// Turns a failure into what `retry::next` reads, and counts it unless it is the client's.
    fn judge(&self, failure: wire::Failure, reused: bool, server: &Server) -> Failed<'a> {
        let upload = self.upload.as_ref();
        let (outcome, error, request) = match failure {
            _ if let Some(error) = upload.and_then(|upload| upload.take_failure()) => {
                (Outcome::Begun, Error::RequestBody(error), None)
            }
            wire::Failure::Unsent(request, source) => {
                (Outcome::Unsent, self.broken(source.into()), Some(request))
            }
            wire::Failure::Died { source, begun } => {
                let (outcome, error) = self.died(source.into(), begun, server);
                (outcome, error, None)
            }
            wire::Failure::Late(after) => {
                let (outcome, error) = self.late(after, server);
                (outcome, error, None)
            }
        };
        Failed {
            outcome,
            reused,
            message: request.map(Message::Hyper),
            error,
        }
    }

    pub(super) fn broken(&self, source: Fault) -> Error {
        let upstream = self.upstream.settings.name.clone();
        Error::Broken { upstream, source }
    }

    pub(super) fn died(&self, source: Fault, begun: bool, server: &Server) -> (Outcome, Error) {
        let kind = match source.is_protocol() {
            true => "protocol",
            false => "reset",
        };
        server.metrics.failed(kind);
        let outcome = match begun {
            true => Outcome::Begun,
            false => Outcome::Silent,
        };
        (outcome, self.broken(source))
    }

    pub(super) fn late(&self, after: Duration, server: &Server) -> (Outcome, Error) {
        server.metrics.failed("timeout");
        let upstream = self.upstream.settings.name.clone();
        (Outcome::Late, Error::HeadTimeout { upstream, after })
    }
}
