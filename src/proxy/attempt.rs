//! One request, sent until somebody answers or nobody may be asked any more.

use std::io;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, response};
use tokio::time::Instant;

use super::Unusable;
use super::answer::{BodyEnd, Reuse, judge};
use super::bare::Framing;
use super::deadline::Deadlines;
use super::error::Error;
use super::headers::Fields;
use super::outgoing::{Outgoing, Upload};
use super::retry::{self, Attempt, Outcome, Step};
use super::server::{Load, Server};
use super::source::Source;
use super::transport::Transport;
use super::upstream::{Tried, Upstream};
use super::wire;
use crate::observe::{OpenSpan, SpanKind};

/// What stays the same over all attempts.
pub(super) struct Sending<'a> {
    pub(super) upstream: &'a Upstream,
    /// `None` where there is no body.
    pub(super) upload: Option<Arc<Upload>>,
    pub(super) deadlines: Deadlines,
    /// The server that the visitor was sent to before.
    pub(super) wanted: Option<usize>,
    /// Asks for a tunnel: on a connection of its own.
    pub(super) tunnel: bool,
    /// Logs in the connection: nobody else may use it later.
    pub(super) binds_connection: bool,
    pub(super) method: &'a Method,
    /// Takes interim answers; `None` where nobody can.
    pub(super) interim: Option<&'a wire::PassOn<'a>>,
    /// Failed attempts become spans below this one.
    pub(super) span: Option<&'a OpenSpan>,
}

/// A request in the form in which it is sent.
pub(super) enum Message<'a> {
    /// Without a body: written by ourselves, anew for each attempt.
    Bare(Fields<'a>, &'a PathAndQuery),
    /// Sent by hyper.
    Hyper(Box<Request<Outgoing>>),
}

/// Who gave an answer that may be passed on, and where its body comes from.
pub(super) struct Answered {
    pub(super) source: Source,
    pub(super) server: Load,
    /// Its place among the upstream's servers.
    pub(super) index: usize,
    pub(super) attempts: u32,
}

/// Where the next attempt goes.
pub(super) struct Next {
    pub(super) index: usize,
    /// Not on a connection from the pool.
    pub(super) new_connection: bool,
    /// The server has said that it wants HTTP/1.1 for this request.
    pub(super) http1_only: bool,
    /// On this one, which was opened to find out what the server speaks.
    ///
    /// PERF: boxed, so that requests to servers that are known do not carry its size around.
    pub(super) opened: Option<Box<Transport>>,
}

/// A failed attempt: what happened, and the request if there is still one to send.
pub(super) struct Failed<'a> {
    pub(super) outcome: Outcome,
    pub(super) reused: bool,
    pub(super) message: Option<Message<'a>>,
    pub(super) error: Error,
}

/// How far the search for an answer is.
struct Course {
    /// Sending the request twice does what sending it once does.
    repeatable: bool,
    /// Retries that are left.
    left: u32,
    tried: Tried,
    attempts: u32,
    /// No server was believed to be well when the search began.
    all_marked: bool,
}

impl<'a> Sending<'a> {
    /// Sends the request, and puts the head of the answer into `answer`. Each attempt ends there or in [`retry::next`].
    pub(super) async fn answer(
        &self,
        mut message: Message<'a>,
        answer: &mut response::Parts,
        mut now: Instant,
    ) -> Result<Answered, Error> {
        let (mut course, mut next) = self.begin(now)?;
        loop {
            let server = &self.upstream.servers()[next.index];
            let load = Load::on(server);
            let began = self.span.map(|_| Instant::now());
            let share = match self.may_share(server) && !next.http1_only {
                true => {
                    let share = Box::pin(self.find_share(&mut next, server)).await;
                    now = Instant::now();
                    share
                }
                false => Ok(None),
            };
            let attempted = match share {
                Ok(None) => match message {
                    Message::Bare(fields, target) => {
                        self.attempt(&mut next, fields, target, answer, now).await
                    }
                    Message::Hyper(request) => {
                        // PERF: boxed, so that requests without a body do not carry its size around.
                        let sending = self.attempt_by_hyper(&mut next, *request, answer, now);
                        Box::pin(sending).await
                    }
                },
                Ok(Some(share)) => {
                    Box::pin(self.attempt_over_http2(share, message, answer, &mut next)).await
                }
                Err(error) => Err(Failed {
                    outcome: Outcome::without_connection(&error),
                    reused: false,
                    message: Some(message),
                    error,
                }),
            };
            let failed = match attempted {
                Ok(source) => {
                    return self.accept(answer, source, (next.index, load), course.attempts);
                }
                Err(failed) => failed,
            };
            self.note_failure(&failed, began, &next);
            // The time that an attempt took is not the next one's.
            now = Instant::now();
            (message, next) = self.again(failed, &mut course, next, now)?;
        }
    }

    /// The first server to ask.
    fn begin(&self, now: Instant) -> Result<(Course, Next), Error> {
        let tried = Tried::default();
        let Some((index, all_marked)) = self.upstream.pick(self.wanted, &tried, now) else {
            let upstream = self.upstream.settings.name.clone();
            return Err(Error::AllIll { upstream });
        };
        let course = Course {
            repeatable: retry::is_repeatable(self.method, self.upload.is_some()),
            left: self.upstream.settings.retries,
            tried,
            attempts: 1,
            all_marked,
        };
        Ok((course, self.first_on(index)))
    }

    /// An attempt on a server that was not asked yet.
    fn first_on(&self, index: usize) -> Next {
        Next {
            index,
            new_connection: self.tunnel,
            http1_only: false,
            opened: None,
        }
    }

    fn note_failure(&self, failed: &Failed<'a>, began: Option<Instant>, next: &Next) {
        if let (Some(span), Some(began)) = (self.span, began) {
            let server = &self.upstream.servers()[next.index].name;
            let mut attempt = span.child_since("attempt", SpanKind::Client, began);
            attempt.note("wxgate.upstream_server", server.to_string());
            attempt.fail(failed.outcome.as_str());
        }
    }

    /// What is sent next, and where, after a failed attempt at `next`; the error where nothing is.
    fn again(
        &self,
        failed: Failed<'a>,
        course: &mut Course,
        mut next: Next,
        now: Instant,
    ) -> Result<(Message<'a>, Next), Error> {
        if failed.outcome == Outcome::NotConnected {
            self.upstream
                .mark_failed(next.index, &mut course.tried, now);
        }
        let step = retry::next(Attempt {
            outcome: failed.outcome,
            reused: failed.reused,
            repeatable: course.repeatable,
            left: course.left,
            other_server: self.upstream.has_other(next.index, &course.tried),
        });
        let Some(message) = failed.message.filter(|_| step != Step::GiveUp) else {
            return Err(self.final_error(failed.error, course.all_marked));
        };
        course.attempts += 1;
        if step != Step::Reconnect {
            course.left -= 1;
        }
        next.new_connection = true;
        if step == Step::NextServer {
            course.tried.add(next.index);
            let other = self.upstream.pick(None, &course.tried, now);
            next = other.map_or(next, |(index, _)| self.first_on(index));
        }
        Ok((message, next))
    }

    fn accept(
        &self,
        answer: &response::Parts,
        mut source: Source,
        (index, server): (usize, Load),
        attempts: u32,
    ) -> Result<Answered, Error> {
        let (reuse, body_end) =
            judge(answer, self.tunnel).map_err(|reason| self.unusable(reason, &server))?;
        let may_be_reused = reuse == Reuse::Allowed && !self.tunnel && !self.binds_connection;
        match &mut source {
            Source::Bare(Some(bare)) => {
                bare.may_be_reused &= may_be_reused;
                bare.begin_body(self.framing(answer.status, body_end));
            }
            Source::Hyper(by_hyper) => {
                if let Some(wire) = &mut by_hyper.wire {
                    wire.may_be_reused = may_be_reused;
                }
            }
            Source::Http2(Some(stream)) => {
                if let BodyEnd::Length(length) = body_end {
                    stream.announce(length);
                }
            }
            Source::Bare(None) | Source::Http2(None) => {}
        }
        Ok(Answered {
            source,
            server,
            index,
            attempts,
        })
    }

    fn unusable(&self, source: Unusable, server: &Server) -> Error {
        server.metrics.failed("protocol");
        let upstream = self.upstream.settings.name.clone();
        Error::Unusable { upstream, source }
    }

    fn framing(&self, status: StatusCode, body_end: BodyEnd) -> Framing {
        let is_bodyless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        match body_end {
            _ if is_bodyless || *self.method == Method::HEAD => Framing::Ended,
            BodyEnd::Length(length) => Framing::sized(length),
            BodyEnd::Chunks => Framing::chunked(),
            BodyEnd::Close => Framing::UntilClose,
        }
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
            | Error::AllIll { .. }
            | Error::Full { .. }
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
