//! One attempt: a connection, a request on it, and what came of it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, response};
use tokio::time::Instant;

use super::attempt::{Failed, Message, Next, Sending, Source};
use super::bare::{self, Bare};
use super::connect::{self, Offer};
use super::error::Error;
use super::fault::Fault;
use super::headers::Fields;
use super::outgoing::{Copy, Outgoing};
use super::pool::Idle;
use super::retry::Outcome;
use super::room::Entry;
use super::server::Server;
use super::settings::HostHeader;
use super::transport::Transport;
use super::wire::{self, Wire};

/// What one who waits for a connection may get.
enum Free {
    /// One that was used before.
    Connection(Transport),
    /// Room for a new one.
    Room(Entry),
}

impl<'a> Sending<'a> {
    /// One attempt of a request without a body.
    pub(super) async fn attempt(
        &self,
        next: &mut Next,
        fields: Fields<'a>,
        target: &'a PathAndQuery,
        now: Instant,
    ) -> Result<(response::Parts, Source), Failed<'a>> {
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
        let (mut bare, reused) = match pooled {
            Some(bare) => (bare, true),
            None => match Box::pin(self.connected(next, server)).await {
                Ok((stream, reused)) => (Bare::new(stream), reused),
                Err(error) => {
                    return Err(failed(Outcome::without_connection(&error), false, error));
                }
            },
        };
        let head = bare.begin(self.method, target);
        fields.write(self.host(fields, server), head);
        head.extend_from_slice(b"\r\n");
        let failure = match bare.exchange(self.deadlines.head, self.interim).await {
            Ok(parts) => {
                self.upstream.mark_working(next.index);
                return Ok((parts, Source::Bare(Some(bare))));
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

    /// One attempt through hyper. `keep_copy` asks for a copy of the head where hyper may not give the request back; it is made
    /// only for a connection from the pool, because only those die by nobody's fault.
    pub(super) async fn attempt_by_hyper(
        &self,
        next: &mut Next,
        mut request: Request<Outgoing>,
        keep_copy: bool,
        now: Instant,
    ) -> Result<(response::Parts, Source), Failed<'a>> {
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
        let copy = (keep_copy && reused).then(|| Copy::of(&request));
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
                Ok((parts, Source::Hyper(incoming, Some(wire))))
            }
            Err(failure) => Err(self.judge(failure, reused, copy, server)),
        }
    }

    fn pooled(&self, next: &Next, now: Instant) -> Option<Idle> {
        match next.new_connection {
            true => None,
            false => self.upstream.servers()[next.index].pool.take(now),
        }
    }

    async fn connected_for_hyper(
        &self,
        next: &mut Next,
        server: &Server,
    ) -> Result<(Box<Wire>, bool), Error> {
        let (stream, reused) = self.connected(next, server).await?;
        let wire = Wire::new(stream).await.map_err(|source| Error::Connect {
            upstream: self.upstream.settings.name.clone(),
            source,
        })?;
        Ok((wire, reused))
    }

    /// A connection that speaks HTTP/1.1: a new one, or, where the server has as many as it may, one that becomes free. Says
    /// whether it was used before.
    async fn connected(
        &self,
        next: &mut Next,
        server: &Server,
    ) -> Result<(Transport, bool), Error> {
        if let Some(opened) = next.opened.take() {
            return Ok((opened, false));
        }
        let free = match server.room.enter() {
            Some(entry) => Free::Room(entry),
            None => self.wait_for_free(next.new_connection, server).await?,
        };
        let entry = match free {
            Free::Connection(stream) => return Ok((stream, true)),
            Free::Room(entry) => entry,
        };
        let opening = connect::open(server, Offer::Http1);
        let opened = self.within_deadline(opening, server).await?;
        self.upstream.mark_working(next.index);
        Ok((opened.counted(entry).into_transport(), false))
    }

    async fn wait_for_free(&self, needs_new: bool, server: &Server) -> Result<Free, Error> {
        let look = || {
            let idle = server.pool.take(Instant::now());
            // What must be new takes the room of an idle one.
            let stream = idle.filter(|_| !needs_new).and_then(Idle::into_transport);
            let stream = stream.map(Free::Connection);
            let free = stream.or_else(|| server.room.enter().map(Free::Room));
            if free.is_none() {
                server.shared.give_up_idle();
            }
            free
        };
        let after = self.upstream.settings.connect_timeout;
        let found = tokio::time::timeout(after, server.room.wait_for(look)).await;
        found.map_err(|_| self.full(server))
    }

    /// Nothing became free in time.
    pub(super) fn full(&self, server: &Server) -> Error {
        server.metrics.failed("full");
        Error::Full {
            upstream: self.upstream.settings.name.clone(),
            after: self.upstream.settings.connect_timeout,
        }
    }

    /// Waits for a connection, for as long as this upstream may take, and counts what fails.
    pub(super) async fn within_deadline<T>(
        &self,
        opening: impl Future<Output = Result<T, connect::Failure>>,
        server: &Server,
    ) -> Result<T, Error> {
        let after = self.upstream.settings.connect_timeout;
        let upstream = || self.upstream.settings.name.clone();
        let opened = tokio::time::timeout(after, opening).await;
        if !matches!(opened, Ok(Ok(_))) {
            server.doubt_addresses();
        }
        match opened {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(connect::Failure::Connect(source))) => {
                server.metrics.failed("connect");
                Err(Error::Connect {
                    upstream: upstream(),
                    source,
                })
            }
            Ok(Err(connect::Failure::Tls(fault, source))) => {
                server.metrics.failed("tls");
                Err(Error::Tls {
                    upstream: upstream(),
                    server: Arc::clone(&server.name),
                    fault,
                    source,
                })
            }
            Err(_) => {
                server.metrics.failed("timeout");
                Err(Error::ConnectTimeout {
                    upstream: upstream(),
                    after,
                })
            }
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
    fn judge(
        &self,
        failure: wire::Failure,
        reused: bool,
        copy: Option<Copy>,
        server: &Server,
    ) -> Failed<'a> {
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
                let copy = copy.map(|copy| Box::new(copy.into_request()));
                (outcome, error, copy)
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
