//! The shared connections of one server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Connection;

/// Connections over HTTP/2 to one server.
///
/// Streams go where the oldest connection has room, so that the others may grow idle and go. Whoever finds no room opens one
/// more, one at a time: a hundred requests at once share what the first has opened.
#[derive(Debug)]
pub(in crate::proxy) struct Shared {
    connections: Mutex<Vec<Arc<Connection>>>,
    /// Held while one is opened.
    turn: tokio::sync::Mutex<()>,
    /// What the server chose when it was asked last.
    chose_http1: AtomicBool,
    keep_alive: Duration,
}

/// One stream's part in a connection.
#[derive(Debug)]
pub(in crate::proxy) struct Share(Arc<Connection>);

impl Shared {
    /// Keeps connections without streams for `keep_alive`.
    pub(in crate::proxy) fn new(keep_alive: Duration) -> Self {
        Self {
            connections: Mutex::new(Vec::new()),
            turn: tokio::sync::Mutex::new(()),
            chose_http1: AtomicBool::new(false),
            keep_alive,
        }
    }

    /// A part in a connection that is open and has room.
    pub(in crate::proxy) fn take(&self, now: Instant) -> Option<Share> {
        let mut connections = self.lock();
        let mut ended = Vec::new();
        let mut found = None;
        connections.retain(|connection| {
            let is_usable = self.is_usable(connection, now);
            if !is_usable {
                ended.push(Arc::clone(connection));
            } else if found.is_none() && connection.has_room() {
                found = Some(Share::of(connection));
            }
            is_usable
        });
        drop(connections);
        // Closed after the lock is released.
        drop(ended);
        found
    }

    /// Adds a connection that was just opened, for its first stream.
    pub(in crate::proxy) fn add(&self, connection: Connection) -> Share {
        let connection = Arc::new(connection);
        let share = Share::of(&connection);
        self.lock().push(connection);
        share
    }

    /// Waits until nobody else opens a connection. Dropping the guard lets the next one in.
    pub(in crate::proxy) async fn wait_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Whether the server, given the choice, spoke HTTP/1.1 lately: then connections need not be opened one at a time.
    pub(in crate::proxy) fn chose_http1(&self) -> bool {
        self.chose_http1.load(Ordering::Relaxed)
    }

    /// Notes what the server chose.
    pub(in crate::proxy) fn note_choice(&self, is_http1: bool) {
        self.chose_http1.store(is_http1, Ordering::Relaxed);
    }

    /// Closes what has been without streams for too long, and forgets what has ended.
    pub(in crate::proxy) fn sweep(&self, now: Instant) {
        let mut ended = Vec::new();
        self.lock().retain(|connection| {
            let is_usable = self.is_usable(connection, now);
            if !is_usable {
                ended.push(Arc::clone(connection));
            }
            is_usable
        });
    }

    /// Lets all go; each ends with its last stream.
    #[cfg(test)]
    pub(in crate::proxy) fn forget(&self) {
        let connections = std::mem::take(&mut *self.lock());
        drop(connections);
    }

    /// How many connections are open.
    #[cfg(test)]
    pub(in crate::proxy) fn len(&self) -> usize {
        self.lock().len()
    }

    fn is_usable(&self, connection: &Connection, now: Instant) -> bool {
        connection.is_open() && !connection.is_idle_for(self.keep_alive, now)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        let connections = self.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// All of a connection that nobody else uses.
    pub(in crate::proxy) fn alone(connection: Connection) -> Self {
        Self::of(&Arc::new(connection))
    }

    fn of(connection: &Arc<Connection>) -> Self {
        connection.state.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.0.state.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            *self.0.idle_since() = Instant::now();
        }
    }
}
