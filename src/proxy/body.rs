//! The body of an answer: streams from the server and drives its connection while it does.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::upstream::Server;
use super::wire::Wire;
use super::{PrivateNames, answer};

/// Why the body of an answer ended early. The visitor must see the transfer break: it is never a short complete one.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The server closed or reset the connection, or broke the framing.
    #[error("answer ended early")]
    Broken(#[source] hyper::Error),
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
    incoming: Incoming,
    /// `None` when the connection has ended or went back to the pool.
    wire: Option<Box<Wire>>,
    server: Arc<Server>,
    idle: Duration,
    /// The deadline runs since the last frame.
    is_waiting: bool,
    /// To be told at the next poll.
    failure: Option<BodyError>,
    private: PrivateNames,
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

    /// The body behind a head that was just read from `wire`.
    pub(super) fn new(
        incoming: Incoming,
        wire: Box<Wire>,
        server: Arc<Server>,
        idle: Duration,
        private: PrivateNames,
    ) -> Self {
        let ended = http_body::Body::is_end_stream(&incoming);
        let mut stream = Stream {
            incoming,
            wire: Some(wire),
            server,
            idle,
            is_waiting: false,
            failure: None,
            private,
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
            return Poll::Ready(Some(Err(failure)));
        }
        let mut polled = self.poll_incoming(context);
        if polled.is_pending()
            && let Some(wire) = &mut self.wire
        {
            let open = wire.drive(context);
            polled = self.poll_incoming(context);
            if !open {
                self.wire = None;
            }
        }
        match polled {
            Poll::Ready(Some(Err(error))) => {
                self.fail("reset", BodyError::Broken(error), context);
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

    fn poll_incoming(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        http_body::Body::poll_frame(Pin::new(&mut self.incoming), context)
    }

    fn pass(&mut self, mut frame: Frame<Bytes>, context: &mut Context<'_>) -> Frame<Bytes> {
        self.is_waiting = false;
        if let Some(trailers) = frame.trailers_mut() {
            answer::clean_trailers(trailers, &self.private);
            // The last frame; hyper's server polls no further.
            self.finish(context);
        } else if http_body::Body::is_end_stream(&self.incoming) {
            self.release();
        }
        frame
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) {
        let Some(wire) = &mut self.wire else {
            return;
        };
        if !self.is_waiting {
            self.is_waiting = true;
            wire.expect_progress(self.idle);
        }
        if wire.poll_stalled(context).is_ready() {
            self.fail("timeout", BodyError::Stalled(self.idle), context);
        }
    }

    /// Ends the body with an error, at the next poll: hyper's server throws away what it has not written when a body fails, and
    /// writes when a body is not ready. So the visitor gets all that came, and then sees it break off.
    fn fail(&mut self, kind: &'static str, failure: BodyError, context: &Context<'_>) {
        self.wire = None;
        self.failure = Some(failure);
        self.server.metrics.failed(kind);
        context.waker().wake_by_ref();
    }

    /// Lets the connection come to rest, then gives it back.
    fn finish(&mut self, context: &mut Context<'_>) {
        if let Some(wire) = &mut self.wire {
            wire.drive(context);
        }
        self.release();
    }

    /// Gives the connection back when both sides of the exchange have ended; an upload that still runs closes it.
    fn release(&mut self) {
        if let Some(wire) = self.wire.take()
            && wire.is_idle()
        {
            self.server.pool.put(wire, Instant::now());
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
            .is_none_or(|stream| http_body::Body::is_end_stream(&stream.incoming))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.stream {
            Some(stream) => http_body::Body::size_hint(&stream.incoming),
            None => SizeHint::with_exact(0),
        }
    }
}
