//! Sending a head, and waiting for the head of the answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{StatusCode, response};
use memchr::memmem;
use tokio::io::AsyncWrite as _;
use tokio::time::Instant;

use super::{Bare, FIRST_READ, head};
use crate::proxy::fault::Fault;
use crate::proxy::interim::{self, Head};
use crate::proxy::wire::PassOn;

/// The largest head of an answer.
const LARGEST_HEAD: usize = 64 * 1024;
/// The most interim answers (100, 103) before an answer: more are a flood.
const MOST_INTERIM: u32 = 1024;

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::proxy) enum Failure {
    /// The connection was closed before anything was written.
    Unsent(Fault),
    /// The connection broke or the answer is no HTTP.
    Died {
        source: Fault,
        /// At least one byte of an answer had come.
        begun: bool,
    },
    /// The deadline passed.
    Late,
}

/// How far an exchange is.
struct Exchange {
    /// So much of the request's head is written.
    written: usize,
    /// Nothing of the head waits inside the connection: TLS may hold it back.
    is_flushed: bool,
    /// The connection was looked at before the first byte.
    is_checked: bool,
    /// How much of an incomplete head was looked at.
    seen: usize,
    interim: u32,
    has_begun: bool,
    is_waiting: bool,
}

impl Bare {
    /// Sends the head that was [begun](Self::begin), and waits for the head of the answer, until `deadline` at most: it is then in
    /// `answer`, and [`begin_body`](Self::begin_body) must be called next.
    ///
    /// PERF: lent and not returned, because it is large and would be moved once for each function on the way.
    ///
    /// A connection that was closed while it was idle is found here, before anything is written. Cancelling leaves the
    /// connection in the middle of an answer: drop it.
    pub(in crate::proxy) async fn exchange(
        &mut self,
        deadline: Instant,
        pass_on: Option<&PassOn<'_>>,
        answer: &mut response::Parts,
    ) -> Result<(), Failure> {
        let mut exchange = Exchange {
            written: 0,
            is_flushed: false,
            is_checked: false,
            seen: 0,
            interim: 0,
            has_begun: false,
            is_waiting: false,
        };
        poll_fn(|context| {
            match self.poll_answer(&mut exchange, pass_on, answer, context) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(source)) => {
                    return Poll::Ready(Err(match exchange.is_checked {
                        false => Failure::Unsent(source),
                        true => Failure::Died {
                            source,
                            begun: exchange.has_begun,
                        },
                    }));
                }
                Poll::Pending => {}
            }
            if !exchange.is_waiting {
                exchange.is_waiting = true;
                self.expect_by(deadline);
            }
            self.poll_stalled(context).map(|()| Err(Failure::Late))
        })
        .await
    }

    fn poll_answer(
        &mut self,
        exchange: &mut Exchange,
        pass_on: Option<&PassOn<'_>>,
        answer: &mut response::Parts,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        if !exchange.is_checked {
            if let Poll::Ready(fault) = self.poll_surplus(context) {
                return Poll::Ready(Err(fault));
            }
            exchange.is_checked = true;
        }
        self.poll_write(exchange, context);
        loop {
            match self.take_head(exchange, pass_on, answer) {
                Ok(false) => {}
                // An answer before the whole request: the rest of it must not become part of the next.
                Ok(true) => {
                    self.may_be_reused &= exchange.is_flushed;
                    return Poll::Ready(Ok(()));
                }
                Err(fault) => return Poll::Ready(Err(fault)),
            }
            let count = match ready!(self.poll_read(FIRST_READ, context)) {
                Ok(0) => return Poll::Ready(Err(Fault::Ended)),
                Ok(count) => count,
                Err(fault) => return Poll::Ready(Err(fault)),
            };
            exchange.has_begun |= count > 0;
        }
    }

    /// Writes what the server takes. A failed write is not the end: a server may answer early and close, and the answer that
    /// waits to be read, or the end, must be seen.
    fn poll_write(&mut self, exchange: &mut Exchange, context: &mut Context<'_>) {
        while !self.head.is_empty() {
            let rest = self.head.get(exchange.written..).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(count)) if count > 0 && count < rest.len() => {
                    exchange.written += count;
                }
                Poll::Ready(Ok(count)) if count == rest.len() => self.head.clear(),
                Poll::Ready(Ok(_) | Err(_)) => {
                    self.may_be_reused = false;
                    self.head.clear();
                }
                Poll::Pending => return,
            }
        }
        if !exchange.is_flushed {
            let flushed = Pin::new(&mut self.stream).poll_flush(context);
            exchange.is_flushed = flushed.is_ready();
        }
    }

    /// Whether the head of the answer is complete; interim answers are skipped.
    fn take_head(
        &mut self,
        exchange: &mut Exchange,
        pass_on: Option<&PassOn<'_>>,
        answer: &mut response::Parts,
    ) -> Result<bool, Fault> {
        while is_worth_reading(&self.read, exchange.seen) {
            if !head::take(&mut self.read, &mut self.places, answer)? {
                break;
            }
            let switches = answer.status == StatusCode::SWITCHING_PROTOCOLS;
            if switches || !answer.status.is_informational() {
                return Ok(true);
            }
            exchange.seen = 0;
            exchange.interim += 1;
            let is_worth_passing =
                exchange.interim <= interim::MOST && answer.status != StatusCode::CONTINUE;
            if let Some(pass_on) = pass_on.filter(|_| is_worth_passing) {
                pass_on(Head {
                    status: answer.status,
                    headers: std::mem::take(&mut answer.headers),
                });
            }
            if exchange.interim > MOST_INTERIM {
                return Err(Fault::Interim {
                    limit: MOST_INTERIM,
                });
            }
        }
        exchange.seen = self.read.len();
        match exchange.seen {
            0..LARGEST_HEAD => Ok(false),
            _ => Err(Fault::TooLarge {
                limit: LARGEST_HEAD,
            }),
        }
    }
}

/// Whether the head could be complete, `seen` bytes of which were not. Without this, a head that drips in would be parsed from
/// its beginning for each of its bytes.
fn is_worth_reading(read: &[u8], seen: usize) -> bool {
    if seen == 0 {
        return !read.is_empty();
    }
    let end = read.get(seen.saturating_sub(3)..).unwrap_or_default();
    memmem::find(end, b"\n\r\n").is_some() || memmem::find(end, b"\n\n").is_some()
}
