//! HTTP/2 to servers: connections that many requests share.
//!
//! Built on the `h2` crate and not on hyper's client, which would put a task and a channel between each request and its stream,
//! skip interim answers, and hide when a server has said how many streams it takes. Each connection has a task that drives it;
//! a request writes its head, waits for its answer and reads the body in its own task. Only an upload has a task besides, because
//! both directions must move at once (gRPC).

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use h2::{Ping, PingPong};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::room::Room;
use super::transport::Transport;

mod exchange;
mod shared;
mod stream;
mod upload;

pub(super) use exchange::{Exchange, Failure};
pub(super) use shared::{Share, Shared};
pub(super) use stream::Stream;

/// The most streams on one connection, however many the server would take: all of them break with it.
const MOST_STREAMS: u32 = 100;
/// What a server may send on one stream ahead of a slow client.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The same for a connection: clients that stand still on every stream cannot block it for the others.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * (MOST_STREAMS + 1);
/// The largest head of an answer, as HTTP/2 counts it.
const LARGEST_HEAD: u32 = 64 * 1024;
/// The most of a request body that waits in a stream.
const SEND_BUFFER: usize = 64 * 1024;
/// How often a server is asked for a sign of life while requests are open. gRPC servers end a connection that asks more often
/// than every five minutes.
const PING_EVERY: Duration = Duration::from_secs(310);
/// How long it may take to give one.
const PING_WITHIN: Duration = Duration::from_secs(10);

/// A connection that streams share. It closes when nobody holds it any more.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    state: Arc<State>,
    /// The server's address, where it was found by name.
    peer: Option<SocketAddr>,
    /// Told when a stream has ended, because another may begin.
    room: Option<Arc<Room>>,
    /// Dropped with the connection, which tells its driver; `h2` by itself does not notice.
    _held: oneshot::Sender<Infallible>,
}

#[derive(Debug)]
struct State {
    /// Streams that have not ended.
    open: AtomicUsize,
    /// Since when there is none.
    idle_since: Mutex<Instant>,
    /// A deadline passed here, and the server has not answered a ping since.
    is_doubted: AtomicBool,
    doubt: Notify,
}

/// Why there is no connection although the server took one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// What came is no HTTP/2, or says that nothing more will come.
    #[error("server does not speak http/2")]
    Broken(#[source] h2::Error),
    /// The server closed at once.
    #[error("server closed the connection before it spoke http/2")]
    Closed,
}

impl Connection {
    /// Speaks HTTP/2 on a connection, until the server has answered a ping: then it does speak it, and has said how many streams
    /// it takes. The caller has a deadline; cancelling closes the connection. Must be called inside the runtime.
    pub(super) async fn open(stream: Transport) -> Result<Self, Refusal> {
        let (peer, room) = (stream.peer(), stream.room());
        let (sender, mut connection) = client::Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(LARGEST_HEAD)
            .max_send_buffer_size(SEND_BUFFER)
            .handshake(stream)
            .await
            .map_err(Refusal::Broken)?;
        let mut pings = connection.ping_pong().ok_or(Refusal::Closed)?;
        tokio::select! {
            ended = &mut connection => return Err(ended.err().map_or(Refusal::Closed, Refusal::Broken)),
            pong = pings.ping(Ping::opaque()) => pong.map_err(Refusal::Broken)?,
        };
        let state = Arc::new(State {
            open: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
            is_doubted: AtomicBool::new(false),
            doubt: Notify::new(),
        });
        let (held, let_go) = oneshot::channel();
        // Ends with the connection, which ends when nobody holds it.
        tokio::spawn(drive(connection, pings, let_go, Arc::clone(&state)).in_current_span());
        Ok(Self {
            sender,
            state,
            peer,
            room,
            _held: held,
        })
    }

    /// Whether another stream may begin now.
    fn has_room(&self) -> bool {
        let most = self.sender.current_max_send_streams();
        self.state.open.load(Ordering::Relaxed) < most.min(MOST_STREAMS as usize)
            && !self.state.is_doubted.load(Ordering::Relaxed)
    }

    /// Whether it has neither ended nor been told to end.
    fn is_open(&self) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let polled = self.sender.clone().poll_ready(&mut context);
        matches!(polled, Poll::Ready(Ok(())))
    }

    /// Whether it has no stream.
    fn is_idle(&self) -> bool {
        self.state.open.load(Ordering::Relaxed) == 0
    }

    /// Whether nothing has used it for so long.
    fn is_idle_for(&self, duration: Duration, now: Instant) -> bool {
        let since = *self.idle_since();
        self.is_idle() && now.saturating_duration_since(since) >= duration
    }

    /// A deadline passed: nothing new begins here until the server gives a sign of life.
    fn doubt(&self) {
        self.state.is_doubted.store(true, Ordering::Relaxed);
        self.state.doubt.notify_one();
    }

    fn idle_since(&self) -> std::sync::MutexGuard<'_, Instant> {
        let idle_since = self.state.idle_since.lock();
        idle_since.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a connection read and write until it ends, or the server stops answering pings.
async fn drive(
    connection: client::Connection<Transport, Bytes>,
    pings: PingPong,
    let_go: oneshot::Receiver<Infallible>,
    state: Arc<State>,
) {
    let mut connection = pin!(connection);
    let mut let_go = Some(let_go);
    let ended = poll_fn(|context| {
        if let Some(waiting) = &mut let_go
            && Pin::new(waiting).poll(context).is_ready()
        {
            let_go = None;
        }
        connection.as_mut().poll(context)
    });
    tokio::select! {
        ended = ended => if let Err(error) = ended {
            // Each stream has its own error for the log.
            tracing::debug!(%error, "connection over http/2 broke");
        },
        () = watch_pulse(pings, &state) => tracing::debug!("connection over http/2 is dead"),
    }
}

/// Ready when the server did not answer a ping.
async fn watch_pulse(mut pings: PingPong, state: &State) {
    loop {
        let is_doubted = tokio::select! {
            () = state.doubt.notified() => true,
            () = tokio::time::sleep(PING_EVERY) => false,
        };
        if !is_doubted && state.open.load(Ordering::Relaxed) == 0 {
            continue;
        }
        match tokio::time::timeout(PING_WITHIN, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => state.is_doubted.store(false, Ordering::Relaxed),
            // The connection knows it as well.
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => return,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
