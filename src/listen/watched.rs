//! A client's socket that notes what happens on it, for the deadlines and the judgement of raw heads.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::activity::Activity;
use super::admission::Scanner;
use super::observed::{Observed, Observer};
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
    /// Something is wrong with one of the heads that came.
    is_flawed: AtomicBool,
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
            is_flawed: AtomicBool::new(false),
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
        if scanner.has_flaws() {
            self.is_flawed.store(true, Ordering::Relaxed);
        }
        // PERF: what came completely begins to be answered at once, so nobody needs to know since when it comes.
        if came == UNFINISHED {
            self.activity.received();
        }
    }

    /// The connection becomes a tunnel: what passes from now on is nobody's head, and not kept.
    pub(super) fn tunnel_begins(&self) {
        let mut scanner = self.scanner.lock().unwrap_or_else(PoisonError::into_inner);
        scanner.finish();
    }

    /// Whether the client has sent all it has, and waits for an answer.
    fn is_answering(&self) -> bool {
        self.activity.is_busy()
            && self.came.load(Ordering::Relaxed) == self.begun.load(Ordering::Relaxed)
    }

    /// Ready when the client has left although its request is being answered; see [`notices_leaving`].
    fn poll_left(&self, transport: &Transport, context: &mut Context<'_>) -> Poll<io::Error> {
        let Transport::Plain(stream) = transport else {
            return Poll::Pending;
        };
        if !self.is_answering() {
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

    /// What is wrong with the head of the request that begins to be answered.
    pub(super) fn next_flaw(&self) -> Option<Flaw> {
        // One task counts, so nothing can come between.
        let index = self.begun.load(Ordering::Relaxed);
        self.begun.store(index + 1, Ordering::Relaxed);
        if !self.is_flawed.load(Ordering::Relaxed) {
            return None;
        }
        let mut scanner = self.scanner.lock().unwrap_or_else(PoisonError::into_inner);
        scanner.flaw_of(index)
    }
}

/// A socket that is watched.
pub(super) type WatchedStream = Observed<Arc<Watch>>;

/// Whether a socket finds out, while its request is being answered, that the client has left.
///
/// PERF: hyper would find out by reading, for which it gets a new buffer for each request, because the old one still
/// holds the head. What TLS has in its own buffers cannot be peeked at.
pub(super) fn notices_leaving(transport: &Transport) -> bool {
    matches!(transport, Transport::Plain(_))
}

impl Observer for Arc<Watch> {
    fn activity(&self) -> &Activity {
        &self.activity
    }

    fn received(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.as_ref().received(bytes);
        Ok(())
    }

    fn sent(&mut self, _: usize) {}

    fn poll_flushing(
        &mut self,
        transport: &mut Transport,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        // hyper flushes when it has written everything it has, so nothing is cut in two here.
        if self.interim.is_waiting() {
            let written = self.interim.poll_write(Pin::new(&mut *transport), context);
            match &written {
                Poll::Pending => self.activity.write_blocked(),
                Poll::Ready(_) => self.activity.write_progressed(),
            }
            ready!(written)?;
        }
        match self.poll_left(transport, context) {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }
}
