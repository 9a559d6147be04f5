//! The body of an answer over HTTP/2.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tokio_util::task::AbortOnDropHandle;

use super::Share;
use crate::proxy::deadline::later;
use crate::proxy::fault::Fault;

/// One exchange whose answer has begun. Dropping it before its end resets the stream; the connection goes on.
pub(in crate::proxy) struct Stream {
    body: RecvStream,
    data_has_ended: bool,
    /// What is left of the length that was announced.
    left: Option<u64>,
    timer: Pin<Box<Sleep>>,
    /// The request may go on while the answer does.
    _upload: Option<AbortOnDropHandle<()>>,
    /// Given back last.
    share: Share,
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl Stream {
    pub(super) fn new(
        body: RecvStream,
        timer: Pin<Box<Sleep>>,
        upload: Option<AbortOnDropHandle<()>>,
        share: Share,
    ) -> Self {
        Self {
            body,
            data_has_ended: false,
            left: None,
            timer,
            _upload: upload,
            share,
        }
    }

    /// Says how long the body is.
    pub(in crate::proxy) fn announce(&mut self, length: u64) {
        self.left = Some(length);
    }

    /// The next frame. The server may send more as soon as it was taken.
    ///
    /// A stream that was reset is an error whatever its reason: a server that has said all ends the stream first, and what it
    /// said can be read after a reset too.
    pub(in crate::proxy) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        while !self.data_has_ended {
            match ready!(self.body.poll_data(context)) {
                Some(Ok(data)) => {
                    // Fails only where the stream is gone.
                    let _ = self.body.flow_control().release_capacity(data.len());
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(Fault::Http2(error)))),
                None => self.data_has_ended = true,
            }
        }
        let trailers = ready!(self.body.poll_trailers(context)).map_err(Fault::Http2);
        Poll::Ready(
            trailers
                .transpose()
                .map(|trailers| trailers.map(Frame::trailers)),
        )
    }

    /// Whether nothing more comes.
    pub(in crate::proxy) fn is_ended(&self) -> bool {
        self.body.is_end_stream()
    }

    /// How much is left, as far as it is known.
    pub(in crate::proxy) fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.is_ended() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::new(),
        }
    }

    /// Starts the deadline of [`poll_stalled`](Self::poll_stalled).
    pub(in crate::proxy) fn expect_progress(&mut self, within: Duration) {
        self.timer.as_mut().reset(later(within));
    }

    /// Ready when the deadline has passed; then the connection is doubted.
    pub(in crate::proxy) fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        ready!(self.timer.as_mut().poll(context));
        self.share.connection().doubt();
        Poll::Ready(())
    }
}
