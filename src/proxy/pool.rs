//! Idle connections of one server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::bare::Bare;
use super::room::Room;
use super::transport::Transport;
use super::wire::Wire;

/// The connection used last is on top.
#[derive(Debug, Default)]
struct Stack {
    idle: Vec<Idle>,
    /// Where connections may lead, once a name has changed its addresses.
    peers: Option<Arc<Vec<SocketAddr>>>,
}

/// An idle connection as its last exchange left it; either kind becomes the other for the asking.
///
/// Boxed because a connection is handed around a lot, and is larger than what that should cost.
#[derive(Debug)]
pub(super) enum Idle {
    Bare(Box<Bare>),
    Wire(Box<Wire>),
}

impl Idle {
    /// Whether it may carry another exchange. Must be called inside the runtime.
    fn rest(&mut self) -> bool {
        match self {
            Self::Bare(bare) => bare.rest(),
            Self::Wire(wire) => wire.rest(),
        }
    }

    /// The connection for whoever speaks on it next; `None` when something came that nobody asked for.
    pub(super) fn into_transport(self) -> Option<Transport> {
        match self {
            Self::Bare(bare) => Some(bare.into_stream()),
            Self::Wire(wire) => wire.into_stream(),
        }
    }

    fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Bare(bare) => bare.peer(),
            Self::Wire(wire) => wire.peer(),
        }
    }

    fn since(&mut self) -> &mut Instant {
        match self {
            Self::Bare(bare) => &mut bare.idle_since,
            Self::Wire(wire) => &mut wire.idle_since,
        }
    }
}

/// A stack: the connection used last is used next, so that the others may grow old and go.
///
/// An idle connection is in nobody's hands, so nobody sees the server close it. The next request finds out in the same
/// poll in which it would be written, and gets itself back unsent ([`Wire::exchange`], [`Bare::exchange`]); [`sweep`](Self::sweep) finds the
/// rest.
#[derive(Debug)]
pub(super) struct Pool {
    stack: Mutex<Stack>,
    most: usize,
    keep_alive: Duration,
    /// Told when a connection becomes idle.
    room: Arc<Room>,
}

impl Pool {
    /// Holds at most `most` connections, each for at most `keep_alive`.
    pub(super) fn new(most: usize, keep_alive: Duration, room: Arc<Room>) -> Self {
        Self {
            stack: Mutex::default(),
            most,
            keep_alive,
            room,
        }
    }

    /// The connection that was used last.
    pub(super) fn take(&self, now: Instant) -> Option<Idle> {
        let mut stack = self.lock();
        let mut last = stack.idle.pop()?;
        if self.is_fresh(&mut last, now) {
            return Some(last);
        }
        // Those below it are older still. They are closed after the lock is released.
        let old = std::mem::take(&mut stack.idle);
        drop(stack);
        drop(old);
        None
    }

    /// Keeps a connection whose exchange has ended. Closes it when there are enough, or when more came than the answer.
    pub(super) fn put(&self, mut connection: Idle, now: Instant) {
        if !connection.rest() {
            return;
        }
        *connection.since() = now;
        let mut stack = self.lock();
        if stack.idle.len() < self.most && stack.admits(&connection) {
            stack.idle.push(connection);
            drop(stack);
            self.room.tell();
        }
    }

    /// From now on only connections to these addresses are kept.
    pub(super) fn keep_only(&self, peers: &Arc<Vec<SocketAddr>>) {
        let mut stack = self.lock();
        stack.peers = Some(Arc::clone(peers));
        let idle = std::mem::take(&mut stack.idle);
        let (kept, gone): (Vec<_>, Vec<_>) = idle
            .into_iter()
            .partition(|connection| stack.admits(connection));
        stack.idle = kept;
        drop(stack);
        // Closed after the lock is released.
        drop(gone);
    }

    /// Closes what is too old or was closed by the server. Must be called inside the runtime.
    pub(super) fn sweep(&self, now: Instant) {
        // Polled outside the lock; whoever comes meanwhile opens a new connection.
        let mut idle = std::mem::take(&mut self.lock().idle);
        idle.retain_mut(|connection| self.is_fresh(connection, now) && connection.rest());
        let mut newer = self.lock();
        idle.append(&mut newer.idle);
        let surplus = idle.len().saturating_sub(self.most);
        let surplus: Vec<_> = idle.drain(..surplus).collect();
        let kept = idle.len();
        newer.idle = idle;
        drop(newer);
        drop(surplus);
        // Whoever came meanwhile found none of them.
        (0..kept).for_each(|_| self.room.tell());
    }

    /// Whether there is one to take.
    pub(super) fn has_idle(&self) -> bool {
        !self.lock().idle.is_empty()
    }

    /// How many connections are idle.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().idle.len()
    }

    fn is_fresh(&self, connection: &mut Idle, now: Instant) -> bool {
        now.saturating_duration_since(*connection.since()) < self.keep_alive
    }

    fn lock(&self) -> MutexGuard<'_, Stack> {
        // Nothing can panic half-way through a change of the stack.
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stack {
    fn admits(&self, connection: &Idle) -> bool {
        match (&self.peers, connection.peer()) {
            (Some(peers), Some(peer)) => peers.contains(&peer),
            (None, _) | (_, None) => true,
        }
    }
}
