//! The body of an answer: streams from the server and drives its connection while it does.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::fault::Fault;
use super::pool::Idle;
use super::server::Load;
use super::source::Source;
use super::{PrivateNames, answer};

/// Why the body of an answer ended early. The visitor must see the transfer break: it is never a short complete one.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The server closed or reset the connection, or broke the framing.
    #[error("answer ended early")]
    Broken(#[source] Fault),
    /// The server sent nothing for the whole deadline.
    #[error("answer made no progress for {} s", .0.as_secs())]
    Stalled(Duration),
}

/// The body of an answer.
///
/// Nothing is read from the server until somebody polls, so a slow client slows the server down; what waits in between is
/// bounded by the connection's buffer. Ended cleanly, the connection goes back to its pool; dropped before, it is closed.
pub struct Body {
    stream: Option<Stream>,
}

struct Stream {
    source: Source,
    server: Load,
    idle: Duration,
    /// The deadline runs since the last frame.
    is_waiting: bool,
    /// When the head came; `None` once more had to be asked for than came with it.
    came: Option<Instant>,
    /// To be told at the next poll. Boxed, because bodies are moved often and seldom fail.
    failure: Option<Box<BodyError>>,
    /// What trailers may not have; `None` where no trailers can come.
    private: Option<PrivateNames>,
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Body")
            .field("is_empty", &self.stream.is_none())
            .finish_non_exhaustive()
    }
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self { stream: None }
    }

    /// The body behind a head that was read at `came`.
    pub(super) fn new(
        source: Source,
        server: Load,
        idle: Duration,
        came: Instant,
        private: &PrivateNames,
    ) -> Self {
        let ended = source.is_ended();
        let mut stream = Stream {
            private: source.may_have_trailers().then(|| Arc::clone(private)),
            source,
            server,
            idle,
            is_waiting: false,
            came: Some(came),
            failure: None,
        };
        if ended {
            // hyper's server does not poll a body that has ended, so nobody else would do it.
            stream.release();
            return Self::empty();
        }
        Self {
            stream: Some(stream),
        }
    }
}

impl Stream {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Some(Err(*failure)));
        }
        match self.source.poll_frame(context) {
            Poll::Ready(Some(Err(fault))) => {
                self.fail("reset", BodyError::Broken(fault), context);
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(self.pass(frame, context)))),
            Poll::Ready(None) => {
                self.release();
                Poll::Ready(None)
            }
            Poll::Pending => {
                self.poll_deadline(context);
                Poll::Pending
            }
        }
    }

    fn pass(&mut self, mut frame: Frame<Bytes>, context: &mut Context<'_>) -> Frame<Bytes> {
        self.is_waiting = false;
        if let Some(trailers) = frame.trailers_mut() {
            match &self.private {
                Some(private) => answer::clean_trailers(trailers, private),
                None => trailers.clear(),
            }
            // The last frame; hyper's server polls no further.
            self.finish(context);
        } else if self.source.is_ended() {
            self.release();
        } else {
            self.came = None;
        }
        frame
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) {
        if !self.is_waiting {
            self.is_waiting = true;
            self.came = None;
            self.source.expect_progress(self.idle);
        }
        if self.source.poll_stalled(context).is_ready() {
            self.fail("timeout", BodyError::Stalled(self.idle), context);
        }
    }

    /// Ends the body with an error, at the next poll: hyper's server throws away what it has not written when a body fails, and
    /// writes when a body is not ready. So the visitor gets all that came, and then sees it break off.
    fn fail(&mut self, kind: &'static str, failure: BodyError, context: &Context<'_>) {
        self.source.close();
        self.failure = Some(Box::new(failure));
        self.server.metrics.failed(kind);
        context.waker().wake_by_ref();
    }

    /// Lets the connection come to rest, then gives it back.
    fn finish(&mut self, context: &mut Context<'_>) {
        if let Source::Hyper(by_hyper) = &mut self.source
            && let Some(wire) = &mut by_hyper.wire
        {
            wire.drive(context);
        }
        self.release();
    }

    /// Gives the connection back when both sides of the exchange have ended; an upload that still runs closes it.
    fn release(&mut self) {
        let idle = match &mut self.source {
            Source::Bare(bare) => bare.take().map(Idle::Bare),
            Source::Hyper(by_hyper) => {
                let wire = by_hyper.wire.take();
                wire.filter(|wire| wire.is_idle()).map(Idle::Wire)
            }
            Source::Http2(stream) => {
                *stream = None;
                None
            }
        };
        if let Some(idle) = idle {
            // PERF: the clock is not read again for what came together with its head.
            let now = self.came.unwrap_or_else(Instant::now);
            self.server.pool.put(idle, now);
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.stream {
            Some(stream) => stream.poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream
            .as_ref()
            .is_none_or(|stream| stream.failure.is_none() && stream.source.is_ended())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.stream {
            Some(stream) => stream.source.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
