//! The requests of one HTTP/2 connection: how many there are, and which client has stopped taking its answer.
//!
//! A client that grants no window stops one stream while the socket goes on, so each stream has its own deadline.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::activity::Activity;
use super::frames::PER_REQUEST;

/// All streams of one connection.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) activity: Activity,
    began: Instant,
    /// What requests have earned and [`Frames`](super::frames::Frames) has not taken yet.
    earned: AtomicI64,
    /// Locked for a few lines only.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    count: usize,
    /// Also some that have ended.
    streams: Vec<Weak<Stream>>,
    /// The newest, until its task is known.
    newest: Option<Arc<Stream>>,
}

/// One request and its answer, until the last byte has been taken.
#[derive(Debug)]
pub(super) struct Stream {
    streams: Arc<Streams>,
    task: OnceLock<AbortHandle>,
    /// Since when we wait for the client to take something, in milliseconds since the connection began; `NEVER` while we do not.
    waiting_since: AtomicU64,
    has_ended: AtomicBool,
}

/// What the timer found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stall {
    /// Look again then at the latest.
    None(Option<Instant>),
    /// An answer that nobody can take back is not being taken: the connection must end.
    Connection,
}

const NEVER: u64 = u64::MAX;

/// How many ended streams may be remembered before they are looked for.
const REMEMBERED: usize = 64;

impl Streams {
    pub(super) fn new() -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            activity: Activity::new(now),
            began: now,
            earned: AtomicI64::new(0),
            open: Mutex::default(),
        })
    }

    /// A request has come. Its task is told next, by [`runs_in`](Self::runs_in).
    pub(super) fn begin(self: &Arc<Self>) -> Arc<Stream> {
        let stream = Arc::new(Stream {
            streams: Arc::clone(self),
            task: OnceLock::new(),
            waiting_since: AtomicU64::new(NEVER),
            has_ended: AtomicBool::new(false),
        });
        let mut open = self.open();
        if open.count == 0 {
            self.activity.request_began();
        }
        open.count += 1;
        if open.streams.len() >= REMEMBERED && open.streams.len() > 2 * open.count {
            open.streams.retain(|stream| stream.strong_count() > 0);
        }
        open.streams.push(Arc::downgrade(&stream));
        let before = open.newest.replace(Arc::clone(&stream));
        drop(open);
        // Outside of the lock, which its end takes.
        drop(before);
        stream
    }

    /// The newest stream is answered by this task.
    pub(super) fn runs_in(&self, task: AbortHandle) {
        let newest = self.open().newest.take();
        if let Some(stream) = newest {
            // Told once, so it cannot be there.
            let _ = stream.task.set(task);
        }
    }

    /// What requests have earned since the last call.
    pub(super) fn earned(&self) -> i64 {
        self.earned.swap(0, Ordering::Relaxed)
    }

    /// Cuts streams whose client has taken nothing for so long.
    pub(super) fn cut_stalled(&self, now: Instant, patience: Duration) -> Stall {
        let live: Vec<_> = {
            let open = self.open();
            open.streams.iter().filter_map(Weak::upgrade).collect()
        };
        let mut next: Option<Instant> = None;
        for stream in live {
            let since = match stream.waiting_since.load(Ordering::Relaxed) {
                NEVER => continue,
                since => self.began + Duration::from_millis(since),
            };
            let until = since + patience;
            if until > now {
                next = Some(next.map_or(until, |next| next.min(until)));
                continue;
            }
            match stream.task.get() {
                Some(task) if !task.is_finished() => task.abort(),
                _ => return Stall::Connection,
            }
        }
        Stall::None(next)
    }

    /// Ends the tasks of all streams.
    pub(super) fn abort(&self) {
        let streams = std::mem::take(&mut self.open().streams);
        for stream in streams.iter().filter_map(Weak::upgrade) {
            if let Some(task) = stream.task.get() {
                task.abort();
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// From now on the client must take something.
    fn client_is_next(&self) {
        let since = self.streams.began.elapsed().as_millis();
        let since = u64::try_from(since).unwrap_or(NEVER - 1);
        self.waiting_since.store(since, Ordering::Relaxed);
    }

    fn we_are_next(&self) {
        self.waiting_since.store(NEVER, Ordering::Relaxed);
    }

    /// The client took something.
    fn progressed(&self) {
        if self.waiting_since.load(Ordering::Relaxed) != NEVER {
            self.client_is_next();
        }
    }

    /// The answer is complete, as far as we are concerned.
    fn ended(&self) {
        if !self.has_ended.swap(true, Ordering::Relaxed) {
            self.streams
                .earned
                .fetch_add(PER_REQUEST, Ordering::Relaxed);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        open.count -= 1;
        if open.count == 0 {
            // Under the lock, so that a request that begins now is not taken for idleness.
            self.streams.activity.request_ended();
        }
    }
}

/// A piece of an answer; knows when the library has let it go.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    stream: Arc<Stream>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.stream.progressed();
    }
}

pin_project! {
    /// An answer's body that notes who is waited for.
    pub(super) struct StreamBody<B> {
        #[pin]
        body: B,
        stream: Arc<Stream>,
    }
}

impl<B: Body<Data = Bytes>> StreamBody<B> {
    pub(super) fn new(body: B, stream: Arc<Stream>) -> Self {
        if body.is_end_stream() {
            stream.ended();
        } else {
            // The library asks for the body once the client has room for it.
            stream.client_is_next();
        }
        Self { body, stream }
    }
}

impl<B: Body<Data = Bytes>> Body for StreamBody<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, B::Error>>> {
        let mut this = self.project();
        let polled = this.body.as_mut().poll_frame(context);
        let stream = &*this.stream;
        match &polled {
            Poll::Pending => stream.we_are_next(),
            Poll::Ready(Some(Ok(frame))) => {
                stream.client_is_next();
                if frame.is_trailers() || this.body.is_end_stream() {
                    stream.ended();
                }
            }
            Poll::Ready(None) => stream.ended(),
            Poll::Ready(Some(Err(_))) => {}
        }
        polled.map(|frame| {
            frame.map(|frame| {
                frame.map(|frame| {
                    frame.map_data(|bytes| Piece {
                        bytes,
                        stream: Arc::clone(stream),
                    })
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_stream_whose_client_takes_nothing_is_cut() {
        let streams = Streams::new();
        let (stalled, busy) = (streams.begin(), {
            streams.runs_in(tokio::spawn(std::future::pending::<()>()).abort_handle());
            streams.begin()
        });
        let task = tokio::spawn(std::future::pending::<()>());
        streams.runs_in(task.abort_handle());
        stalled.client_is_next();
        busy.we_are_next();

        tokio::time::advance(PATIENCE).await;
        stalled.progressed();
        let later = Instant::now() + PATIENCE;
        assert_eq!(
            streams.cut_stalled(Instant::now(), PATIENCE),
            Stall::None(Some(later))
        );

        tokio::time::advance(PATIENCE).await;
        assert_eq!(
            streams.cut_stalled(Instant::now(), PATIENCE),
            Stall::None(None)
        );
        tokio::task::yield_now().await;
        assert!(stalled.task.get().is_some_and(AbortHandle::is_finished));
        assert!(!task.is_finished(), "the other one goes on");

        // It has ended, and what it left is still not taken.
        assert_eq!(
            streams.cut_stalled(Instant::now(), PATIENCE),
            Stall::Connection
        );
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_busy_until_its_last_stream_has_ended() {
        let streams = Streams::new();
        let all: Vec<_> = (0..500)
            .map(|_| {
                let stream = streams.begin();
                let task = tokio::spawn(async {});
                streams.runs_in(task.abort_handle());
                stream
            })
            .collect();
        assert_eq!(streams.open().count, 500);
        drop(all);
        assert_eq!(streams.open().count, 0);
        for _ in 0..500 {
            drop(streams.begin());
            streams.runs_in(tokio::spawn(async {}).abort_handle());
        }
        assert!(streams.open().streams.len() <= 2 * REMEMBERED, "forgets");
    }

    #[tokio::test]
    async fn only_an_answer_that_ends_earns() {
        let streams = Streams::new();
        drop(streams.begin());
        drop(StreamBody::new(
            http_body_util::Full::new(Bytes::from("x")),
            streams.begin(),
        ));
        assert_eq!(streams.earned(), 0);

        drop(StreamBody::new(
            http_body_util::Empty::<Bytes>::new(),
            streams.begin(),
        ));
        assert_eq!(streams.earned(), PER_REQUEST);
        assert_eq!(streams.earned(), 0);
    }
}
