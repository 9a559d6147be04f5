//! A client's socket, and somebody who looks at what passes through it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use super::activity::Activity;
use super::transport::Transport;

/// Looks at what passes.
pub(super) trait Observer: Unpin {
    /// Where to note whether the client takes bytes.
    fn activity(&self) -> &Activity;

    /// Bytes came, never none. An error ends the connection.
    fn received(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// The socket took so many bytes.
    fn sent(&mut self, count: usize);

    /// Asked before each flush, when nothing is half written: whatever else has to be written or found out then.
    fn poll_flushing(
        &mut self,
        transport: &mut Transport,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>>;
}

/// A socket with its observer.
#[derive(Debug)]
pub(super) struct Observed<O> {
    transport: Transport,
    observer: O,
    /// A tunnel takes the socket over, and its place with it.
    _permit: Option<OwnedSemaphorePermit>,
}

impl<O: Observer> Observed<O> {
    /// `permit` is given back when the socket closes.
    pub(super) fn new(
        transport: Transport,
        observer: O,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            transport,
            observer,
            _permit: permit,
        }
    }

    fn note_write<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &written {
            Poll::Pending => self.observer.activity().write_blocked(),
            Poll::Ready(_) => self.observer.activity().write_progressed(),
        }
        written
    }

    fn note_sent(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.observer.sent(*count);
        }
        self.note_write(written)
    }
}

impl<O: Observer> AsyncRead for Observed<O> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.transport).poll_read(context, buffer))?;
        Poll::Ready(match buffer.filled().get(before..) {
            None | Some([]) => Ok(()),
            Some(bytes) => self.observer.received(bytes),
        })
    }
}

impl<O: Observer> AsyncWrite for Observed<O> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write(context, bytes);
        self.note_sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write_vectored(context, slices);
        self.note_sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            transport,
            observer,
            ..
        } = &mut *self;
        ready!(observer.poll_flushing(transport, context))?;
        // TLS takes bytes before the socket does, and says here that the socket does not.
        let flushed = Pin::new(&mut self.transport).poll_flush(context);
        self.note_write(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }
}
