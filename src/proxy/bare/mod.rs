//! HTTP/1.1 for requests without a body, which are nearly all: written and read by the task that asks.
//!
//! PERF: a request through hyper's client becomes a header map, a message in a channel and a task's state before it becomes
//! bytes. Here the head is written straight from what the client sent. Uploads and WebSockets go through hyper
//! ([`Wire`](super::wire::Wire)), and connections change hands between the two while they are idle.

use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use http::uri::PathAndQuery;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::deadline::later;
use super::fault::Fault;
use super::transport::Transport;

mod exchange;
mod framing;
mod head;

pub(super) use exchange::Failure;
pub(super) use framing::Framing;

use framing::Piece;
use head::Place;

/// Room for a usual head and a small body.
const FIRST_READ: usize = 8 * 1024;
/// The most that is read ahead of a slow client.
const LARGEST_READ: usize = 32 * 1024;
/// The largest head of a request whose memory stays with an idle connection.
const LARGEST_KEPT_HEAD: usize = 4 * 1024;

/// An answer with more fields leaves no memory for them with an idle connection.
const MOST_KEPT_PLACES: usize = 32;

/// A connection on which we speak ourselves. Nobody drives it but the one who holds it: dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Bare {
    stream: Transport,
    /// The head of a request; empty when it is written. Its memory serves the next one.
    head: Vec<u8>,
    /// What was read and not taken yet.
    read: BytesMut,
    /// For the fields of a head that is being read; empty in between.
    places: Vec<Place>,
    /// What is left of the answer's body.
    framing: Framing,
    /// Wakes at `deadline` or before.
    timer: Pin<Box<Sleep>>,
    /// When whatever is waited for is late.
    deadline: Instant,
    /// Cleared when there is any doubt about where the answer ends, or whom the connection belongs to.
    pub(super) may_be_reused: bool,
    /// When it was put into the pool.
    pub(super) idle_since: Instant,
}

impl Bare {
    /// Takes a connection that is idle.
    pub(super) fn new(stream: Transport) -> Box<Self> {
        let now = Instant::now();
        Box::new(Self {
            stream,
            head: Vec::new(),
            read: BytesMut::new(),
            places: Vec::new(),
            framing: Framing::Ended,
            timer: Box::pin(sleep_until(now)),
            deadline: now,
            may_be_reused: true,
            idle_since: now,
        })
    }

    /// The server's address, where it was found by name.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
    }

    /// The bare connection. Only an idle one may be taken out: what was read and not taken is lost.
    pub(super) fn into_stream(self) -> Transport {
        self.stream
    }

    /// Begins a request: the line before its fields is in what it returns; the fields and an empty line must follow there. Then
    /// comes [`exchange`](Self::exchange).
    pub(super) fn begin(&mut self, method: &Method, target: &PathAndQuery) -> &mut Vec<u8> {
        head::begin(&mut self.head, method, target);
        &mut self.head
    }

    /// Says how the answer's body is framed.
    pub(super) fn begin_body(&mut self, framing: Framing) {
        self.framing = framing;
    }

    /// The next frame of the answer's body. Waits without a deadline; see [`poll_stalled`](Self::poll_stalled).
    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        loop {
            let frame = match self.framing.next(&mut self.read) {
                Ok(Piece::Data(data)) => Frame::data(data),
                Ok(Piece::Trailers(trailers)) => Frame::trailers(trailers),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::More) => match ready!(self.poll_read_body(context)) {
                    Ok(()) => continue,
                    Err(fault) => return Poll::Ready(Some(Err(fault))),
                },
                Err(fault) => return Poll::Ready(Some(Err(fault))),
            };
            return Poll::Ready(Some(Ok(frame)));
        }
    }

    /// Whether the answer's body has ended.
    pub(super) fn is_ended(&self) -> bool {
        self.framing.is_ended()
    }

    /// Whether trailers may follow the answer's body.
    pub(super) fn may_have_trailers(&self) -> bool {
        matches!(self.framing, Framing::Chunked(_))
    }

    /// How much of the body is left, as far as it is known.
    pub(super) fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Ended => SizeHint::with_exact(0),
            Framing::Length(left) => SizeHint::with_exact(left),
            Framing::Chunked(_) | Framing::UntilClose => SizeHint::new(),
        }
    }

    /// Starts the deadline of [`poll_stalled`](Self::poll_stalled).
    pub(super) fn expect_progress(&mut self, within: Duration) {
        self.expect_by(later(within));
    }

    /// The same with the time itself.
    ///
    /// PERF: the timer stays where it is when it wakes early enough. It is moved once for each time that it fires, not once for
    /// each request.
    fn expect_by(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if self.timer.is_elapsed() || self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
    }

    /// Ready when the deadline has passed.
    pub(super) fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        ready!(self.timer.as_mut().poll(context));
        if self.deadline <= Instant::now() {
            return Poll::Ready(());
        }
        self.timer.as_mut().reset(self.deadline);
        self.timer.as_mut().poll(context)
    }

    /// Lets go of the task that read last, so that the server does not wake it, and says whether the connection may carry
    /// another exchange: the answer has ended, nothing came behind it, and the server has not closed. Must be called inside
    /// the runtime.
    pub(super) fn rest(&mut self) -> bool {
        let is_at_rest = self.may_be_reused
            && self.framing.is_ended()
            && self.read.is_empty()
            && self
                .poll_surplus(&mut Context::from_waker(Waker::noop()))
                .is_pending();
        if self.read.capacity() > FIRST_READ {
            // A large answer must not leave its memory with an idle connection.
            self.read = BytesMut::new();
        }
        if self.head.capacity() > LARGEST_KEPT_HEAD {
            self.head = Vec::new();
        }
        if self.places.capacity() > MOST_KEPT_PLACES {
            self.places = Vec::new();
        }
        is_at_rest
    }

    fn poll_read_body(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let room = match self.framing {
            Framing::Length(left) => usize::try_from(left).unwrap_or(LARGEST_READ),
            Framing::Ended | Framing::Chunked(_) | Framing::UntilClose => LARGEST_READ / 2,
        };
        let room = room.clamp(FIRST_READ, LARGEST_READ);
        Poll::Ready(match ready!(self.poll_read(room, context)) {
            Ok(0) => self.framing.close(),
            Ok(_) => Ok(()),
            Err(fault) => Err(fault),
        })
    }

    fn poll_read(&mut self, room: usize, context: &mut Context<'_>) -> Poll<Result<usize, Fault>> {
        // PERF: takes the memory of the last answer again when nobody holds a piece of it any more.
        self.read.reserve(room);
        let reading = pin!(self.stream.read_buf(&mut self.read));
        reading.poll(context).map_err(Fault::Reset)
    }

    /// Ready when the server said something although nobody asked, or has closed the connection.
    fn poll_surplus(&mut self, context: &mut Context<'_>) -> Poll<Fault> {
        let mut byte = [0; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
            Ok(()) => Poll::Ready(Fault::Ended),
            Err(error) => Poll::Ready(Fault::Reset(error)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::future::poll_fn;

    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::advance;

    use super::*;
    use crate::proxy::transport::Stream;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_counts_from_when_it_was_set_whatever_was_set_before() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let mut bare = Bare::new(Transport::new(Stream::Tcp(stream.unwrap())));
        let seconds = Duration::from_secs;
        // The deadline before, how long after that the next one is set, and the next one.
        for (before, after, next) in [(4, 3, 4), (4, 5, 4), (60, 1, 2), (4, 4, 4), (1, 0, 9)] {
            bare.expect_progress(seconds(before));
            assert!(
                poll_fn(|context| Poll::Ready(bare.poll_stalled(context)))
                    .await
                    .is_pending()
            );
            advance(seconds(after)).await;

            let set = Instant::now();
            bare.expect_progress(seconds(next));
            poll_fn(|context| bare.poll_stalled(context)).await;

            // Timers tick in milliseconds.
            let waited = set.elapsed();
            assert!(
                waited >= seconds(next) && waited < seconds(next) + Duration::from_millis(2),
                "{before} {after} {next}: {waited:?}"
            );
        }
    }
}
