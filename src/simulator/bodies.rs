//! Bodies that no client should trust.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

use super::server::Closed;

/// A JSON object that begins with very many spaces, or with spaces without end.
pub(super) struct Spaces {
    left: Option<usize>,
}

impl Spaces {
    /// A body that goes on for as long as somebody reads.
    pub(super) fn without_end() -> Self {
        Self { left: None }
    }

    /// A body of about this many bytes.
    pub(super) fn of(length: usize) -> Self {
        Self { left: Some(length) }
    }
}

impl http_body::Body for Spaces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const CHUNK: &[u8] = &[b' '; 16 * 1024];
        let chunk = match &mut self.left {
            None => Bytes::from_static(CHUNK),
            Some(0) => return Poll::Ready(None),
            Some(left) if *left <= CHUNK.len() => {
                *left = 0;
                Bytes::from_static(b"{}")
            }
            Some(left) => {
                *left -= CHUNK.len();
                Bytes::from_static(CHUNK)
            }
        };
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

/// A body that breaks off after what it has.
pub(super) struct Broken {
    rest: Option<Bytes>,
    has_paused: bool,
}

impl Broken {
    /// Breaks off after these bytes.
    pub(super) fn after(bytes: Bytes) -> Self {
        Self {
            rest: Some(bytes),
            has_paused: false,
        }
    }
}

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        if let Some(bytes) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if !self.has_paused {
            // The server sends what it has only when it must wait for more.
            self.has_paused = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Closed)))
    }
}
