//! One request, sent until somebody answers or nobody may be asked any more.

use std::io;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::answer::{self, Reuse};
use super::connect;
use super::error::Error;
use super::headers;
use super::outgoing::{Copy, Outgoing, Upload};
use super::retry::{self, Attempt, Outcome, Step};
use super::settings::HostHeader;
use super::upstream::{Server, Tried, Upstream};
use super::wire::{self, Deadlines, Failure, Wire};

/// What stays the same over all attempts.
pub(super) struct Sending<'a> {
    pub(super) upstream: &'a Upstream,
    /// `None` where there is no body.
    pub(super) upload: Option<Arc<Upload>>,
    pub(super) deadlines: Deadlines,
    /// Asks for a tunnel: on a connection of its own.
    pub(super) tunnel: bool,
    /// Logs in the connection: nobody else may use it later.
    pub(super) binds_connection: bool,
    /// Takes interim answers; `None` where nobody can.
    pub(super) interim: Option<&'a wire::PassOn<'a>>,
}

/// The head of an answer that may be passed on, and the connection it came from.
pub(super) struct Answered {
    pub(super) response: Response<Incoming>,
    pub(super) wire: Box<Wire>,
    pub(super) server: Arc<Server>,
    pub(super) attempts: u32,
}

/// Where the next attempt goes.
struct Next {
    index: usize,
    /// Not on a connection from the pool.
    new_connection: bool,
}

/// A failed attempt: what happened, and the request if there is still one to send.
struct Failed {
    outcome: Outcome,
    reused: bool,
    request: Option<Request<Outgoing>>,
    error: Error,
}

impl Sending<'_> {
    /// Sends the request. Each attempt ends in an answer or in [`retry::next`].
    pub(super) async fn answer(
        &self,
        request: Request<Outgoing>,
        now: Instant,
    ) -> Result<Answered, Error> {
        let repeatable = retry::is_repeatable(request.method(), self.upload.is_some());
        let mut left = self.upstream.settings.retries;
        let mut tried = Tried::default();
        let mut attempts = 1;
        // There is at least one server and none was tried.
        let (index, all_marked) = self.upstream.pick(&tried, now).unwrap_or((0, false));
        let mut next = Next {
            index,
            new_connection: self.tunnel,
        };
        let mut request = request;
        loop {
            let keep_copy = repeatable && left > 0;
            let failed = match self.attempt(&next, request, keep_copy, now).await {
                Ok((response, wire)) => return self.accept(response, wire, next.index, attempts),
                Err(failed) => failed,
            };
            if failed.outcome == Outcome::NotConnected {
                let now = Instant::now();
                self.upstream.mark_failed(next.index, &mut tried, now);
            }
            let step = retry::next(Attempt {
                outcome: failed.outcome,
                reused: failed.reused,
                repeatable,
                left,
                other_server: self.upstream.has_other(next.index, &tried),
            });
            let Some(again) = failed.request.filter(|_| step != Step::GiveUp) else {
                return Err(self.final_error(failed.error, all_marked));
            };
            request = again;
            attempts += 1;
            if step != Step::Reconnect {
                left -= 1;
            }
            next.new_connection = true;
            if step == Step::NextServer {
                tried.add(next.index);
                next = self.other(&tried).unwrap_or(next);
            }
        }
    }

    fn other(&self, tried: &Tried) -> Option<Next> {
        let (index, _) = self.upstream.pick(tried, Instant::now())?;
        Some(Next {
            index,
            new_connection: self.tunnel,
        })
    }

    /// One attempt. `keep_copy` asks for a copy of the head where hyper may not give the request back; it is made only for a
    /// connection from the pool, because only those die by nobody's fault.
    async fn attempt(
        &self,
        next: &Next,
        mut request: Request<Outgoing>,
        keep_copy: bool,
        now: Instant,
    ) -> Result<(Response<Incoming>, Box<Wire>), Failed> {
        let server = &self.upstream.servers()[next.index];
        let pooled = match next.new_connection {
            true => None,
            false => server.pool.take(now),
        };
        let reused = pooled.is_some();
        let mut wire = match pooled {
            Some(wire) => wire,
            None => match self.connect(server).await {
                Ok(wire) => {
                    self.upstream.mark_working(next.index);
                    wire
                }
                Err(error) => {
                    return Err(Failed {
                        outcome: Outcome::NotConnected,
                        reused: false,
                        request: Some(request),
                        error,
                    });
                }
            },
        };
        self.address(&mut request, server);
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
                Ok((response, wire))
            }
            Err(failure) => Err(self.judge(failure, reused, copy, server)),
        }
    }

    async fn connect(&self, server: &Server) -> Result<Box<Wire>, Error> {
        let after = self.upstream.settings.connect_timeout;
        let opening = Wire::open(&server.place);
        let upstream = || self.upstream.settings.name.clone();
        match tokio::time::timeout(after, opening).await {
            Ok(Ok(wire)) => Ok(wire),
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

    /// Sets the `Host` that this upstream wants to see; the visitor's is there already.
    fn address(&self, request: &mut Request<Outgoing>, server: &Server) {
        let host = match &self.upstream.settings.host_header {
            HostHeader::Preserve if request.headers().contains_key(http::header::HOST) => return,
            HostHeader::Preserve | HostHeader::Upstream => server.authority.clone(),
            HostHeader::Literal(host) => host.clone(),
        };
        headers::set_host(request.headers_mut(), host);
    }

    /// Turns a failure into what [`retry::next`] reads, and counts it unless it is the client's.
    fn judge(&self, failure: Failure, reused: bool, copy: Option<Copy>, server: &Server) -> Failed {
        let upstream = self.upstream.settings.name.clone();
        let given_up = |outcome, error| Failed {
            outcome,
            reused,
            request: None,
            error,
        };
        if let Some(error) = self
            .upload
            .as_ref()
            .and_then(|upload| upload.take_failure())
        {
            return given_up(Outcome::Begun, Error::RequestBody(error));
        }
        match failure {
            Failure::Unsent(request, source) => Failed {
                outcome: Outcome::Unsent,
                reused,
                request: Some(*request),
                error: Error::Broken { upstream, source },
            },
            Failure::Died { source, begun } => {
                let is_protocol = source.is_parse();
                server
                    .metrics
                    .failed(if is_protocol { "protocol" } else { "reset" });
                Failed {
                    outcome: if begun {
                        Outcome::Begun
                    } else {
                        Outcome::Silent
                    },
                    reused,
                    request: copy.map(Copy::into_request),
                    error: Error::Broken { upstream, source },
                }
            }
            Failure::Late(after) => {
                server.metrics.failed("timeout");
                given_up(Outcome::Late, Error::HeadTimeout { upstream, after })
            }
        }
    }

    fn accept(
        &self,
        response: Response<Incoming>,
        mut wire: Box<Wire>,
        index: usize,
        attempts: u32,
    ) -> Result<Answered, Error> {
        let server = Arc::clone(&self.upstream.servers()[index]);
        let (parts, incoming) = response.into_parts();
        match answer::judge(&parts, self.tunnel) {
            Ok(Reuse::Allowed) => wire.may_be_reused = !self.tunnel && !self.binds_connection,
            Ok(Reuse::Never) => wire.may_be_reused = false,
            Err(source) => {
                server.metrics.failed("protocol");
                return Err(Error::Unusable {
                    upstream: self.upstream.settings.name.clone(),
                    source,
                });
            }
        }
        Ok(Answered {
            response: Response::from_parts(parts, incoming),
            wire,
            server,
            attempts,
        })
    }

    /// 503 instead of 502 or 504 where no server was believed to be well before either, and there are several.
    fn final_error(&self, error: Error, all_marked: bool) -> Error {
        match error {
            Error::Connect { upstream, source } if all_marked => {
                Error::NoServer { upstream, source }
            }
            Error::Tls {
                upstream, source, ..
            } if all_marked => Error::NoServer { upstream, source },
            Error::ConnectTimeout { upstream, .. } if all_marked => Error::NoServer {
                upstream,
                source: io::ErrorKind::TimedOut.into(),
            },
            Error::NoServer { .. }
            | Error::Connect { .. }
            | Error::Tls { .. }
            | Error::ConnectTimeout { .. }
            | Error::HeadTimeout { .. }
            | Error::Broken { .. }
            | Error::Unusable { .. }
            | Error::RequestBody(_) => error,
        }
    }
}
