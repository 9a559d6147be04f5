//! A connection to a server, as hyper sees it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::transport::Transport;

use super::interim::Interims;

/// What passed in each direction.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
    /// What came before the answer.
    pub(super) interims: Interims,
}

impl Traffic {
    /// Bytes read.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes written.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// A connection that counts, and leaves the last word to the reading side.
///
/// A server may answer early and close while we still write. The failed write must not hide the answer that waits to be read,
/// so a write error makes the writing side deaf: it never gets ready again, and reading finds the answer or the end.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Transport,
    traffic: Arc<Traffic>,
    deaf: bool,
}

impl Socket {
    /// Counts in `traffic`, which the holder of the connection keeps a hand on.
    pub(super) fn new(stream: Transport, traffic: Arc<Traffic>) -> Self {
        Self {
            stream,
            traffic,
            deaf: false,
        }
    }

    /// The bare connection.
    pub(super) fn into_stream(self) -> Transport {
        self.stream
    }

    fn written(&mut self, written: io::Result<usize>) -> Poll<io::Result<usize>> {
        match written {
            Ok(count) => {
                self.traffic.sent.fetch_add(count as u64, Ordering::Relaxed);
                Poll::Ready(Ok(count))
            }
            Err(_) => {
                // The reader was registered before we wrote and is woken by the same event.
                self.deaf = true;
                Poll::Pending
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        self.traffic.interims.follow(bytes);
        let count = bytes.len();
        self.traffic
            .received
            .fetch_add(count as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Pending;
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Pending;
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
