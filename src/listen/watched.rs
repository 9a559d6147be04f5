//! A client's socket that notes what happens on it, for the deadlines and the judgement of raw heads.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::activity::Activity;
use super::admission::Scanner;
use super::transport::Transport;
use super::{Flaw, Interim};

/// A part of the last request is missing.
const UNFINISHED: u64 = u64::MAX;

/// What socket, service and timer of one connection share.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) activity: Activity,
    pub(super) interim: Arc<Interim>,
    /// Locked for a few lines by one task only, so never contended.
    scanner: Mutex<Scanner>,
    /// How many requests came, or `UNFINISHED`.
    came: AtomicU64,
    /// How many of them were handed to somebody who answers.
    begun: AtomicU64,
    max_header: usize,
}

impl Watch {
    pub(super) fn new(max_header: usize) -> Self {
        Self {
            activity: Activity::new(Instant::now()),
            interim: Arc::default(),
            scanner: Mutex::default(),
            came: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            max_header,
        }
    }

    fn received(&self, bytes: &[u8]) {
        let mut scanner = self.scanner.lock().unwrap_or_else(PoisonError::into_inner);
        scanner.follow(bytes, self.max_header);
        let came = scanner.whole_requests().unwrap_or(UNFINISHED);
        self.came.store(came, Ordering::Relaxed);
        // PERF: what came completely begins to be answered at once, so nobody needs to know since when it comes.
        if came == UNFINISHED {
            self.activity.received();
        }
    }

    /// Whether the client has sent all it has, and waits for an answer.
    fn is_answering(&self) -> bool {
        self.activity.is_busy()
            && self.came.load(Ordering::Relaxed) == self.begun.load(Ordering::Relaxed)
    }

    /// What is wrong with the head of the request that begins to be answered.
    pub(super) fn next_flaw(&self) -> Option<Flaw> {
        let index = self.begun.fetch_add(1, Ordering::Relaxed);
        let mut scanner = self.scanner.lock().unwrap_or_else(PoisonError::into_inner);
        scanner.flaw_of(index)
    }
}

/// A socket that notes what happens on it.
#[derive(Debug)]
pub(super) struct WatchedStream {
    transport: Transport,
    watch: Arc<Watch>,
    /// A tunnel takes the socket over, and its place with it.
    _permit: Option<OwnedSemaphorePermit>,
}

impl WatchedStream {
    pub(super) fn new(
        transport: Transport,
        watch: Arc<Watch>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            transport,
            watch,
            _permit: permit,
        }
    }

    /// Whether [`poll_flush`](AsyncWrite::poll_flush) says that the client left while its request is being answered.
    ///
    /// PERF: hyper would find out by reading, for which it gets a new buffer for each request, because the old one still
    /// holds the head. What TLS has in its own buffers cannot be peeked at.
    pub(super) fn notices_leaving(&self) -> bool {
        matches!(self.transport, Transport::Plain(_))
    }

    /// Ready when the client has left although its request is being answered.
    fn poll_left(&self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Transport::Plain(stream) = &self.transport else {
            return Poll::Pending;
        };
        if !self.watch.is_answering() {
            return Poll::Pending;
        }
        let mut byte = [0; 1];
        match ready!(stream.poll_peek(context, &mut ReadBuf::new(&mut byte))) {
            Ok(0) => Poll::Ready(io::ErrorKind::UnexpectedEof.into()),
            // The next request, which hyper reads when it is time.
            Ok(_) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        }
    }

    fn note_write<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &written {
            Poll::Pending => self.watch.activity.write_blocked(),
            Poll::Ready(_) => self.watch.activity.write_progressed(),
        }
        written
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.transport).poll_read(context, buffer);
        if polled.is_ready() {
            match buffer.filled().get(before..) {
                None | Some([]) => {}
                Some(bytes) => self.watch.received(bytes),
            }
        }
        polled
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write(context, bytes);
        self.note_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write_vectored(context, slices);
        self.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            transport, watch, ..
        } = &mut *self;
        // hyper flushes when it has written everything it has, so nothing is cut in two here.
        if watch.interim.is_waiting() {
            let written = watch.interim.poll_write(Pin::new(&mut *transport), context);
            ready!(self.note_write(written))?;
        }
        if let Poll::Ready(error) = self.poll_left(context) {
            return Poll::Ready(Err(error));
        }
        // TLS takes bytes before the socket does, and says here that the socket does not.
        let flushed = Pin::new(&mut self.transport).poll_flush(context);
        self.note_write(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }
}
