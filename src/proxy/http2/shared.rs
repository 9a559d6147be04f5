//! The shared connections of one server.

use std::net::SocketAddr;
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
    list: Mutex<List>,
    /// Held while one is opened.
    turn: tokio::sync::Mutex<()>,
    /// What the server chose when it was asked last.
    chose_http1: AtomicBool,
    keep_alive: Duration,
}

#[derive(Debug, Default)]
struct List {
    connections: Vec<Arc<Connection>>,
    /// Where connections may lead, once a name has changed its addresses.
    peers: Option<Arc<Vec<SocketAddr>>>,
}

/// One stream's part in a connection.
#[derive(Debug)]
pub(in crate::proxy) struct Share(Arc<Connection>);

impl Shared {
    /// Keeps connections without streams for `keep_alive`.
    pub(in crate::proxy) fn new(keep_alive: Duration) -> Self {
        Self {
            list: Mutex::default(),
            turn: tokio::sync::Mutex::new(()),
            chose_http1: AtomicBool::new(false),
            keep_alive,
        }
    }

    /// A part in a connection that is open and has room.
    pub(in crate::proxy) fn take(&self, now: Instant) -> Option<Share> {
        let (found, ended) = {
            let mut list = self.lock();
            let ended = list.remove_unusable(self.keep_alive, now);
            let found = list
                .connections
                .iter()
                .find(|connection| connection.has_room());
            (found.map(Share::of), ended)
        };
        // Closed after the lock is released.
        drop(ended);
        found
    }

    /// Adds a connection that was just opened, for its first stream.
    pub(in crate::proxy) fn add(&self, connection: Connection) -> Share {
        let connection = Arc::new(connection);
        let share = Share::of(&connection);
        self.lock().connections.push(connection);
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

    /// Lets one connection without streams go, for something that cannot share it. Its room is free when it has closed.
    pub(in crate::proxy) fn give_up_idle(&self) {
        let idle = {
            let mut list = self.lock();
            // No stream can begin meanwhile: whoever wants a part asks for the same lock.
            let place = list.connections.iter().position(|one| one.is_idle());
            place.map(|place| list.connections.remove(place))
        };
        drop(idle);
    }

    /// Closes what has been without streams for too long, and forgets what has ended.
    pub(in crate::proxy) fn sweep(&self, now: Instant) {
        let ended = self.lock().remove_unusable(self.keep_alive, now);
        drop(ended);
    }

    /// From now on only connections to these addresses get new streams.
    pub(in crate::proxy) fn keep_only(&self, peers: &Arc<Vec<SocketAddr>>) {
        let ended = {
            let mut list = self.lock();
            list.peers = Some(Arc::clone(peers));
            list.remove_unusable(self.keep_alive, Instant::now())
        };
        drop(ended);
    }

    /// Lets all go; each ends with its last stream.
    #[cfg(test)]
    pub(in crate::proxy) fn forget(&self) {
        let connections = std::mem::take(&mut self.lock().connections);
        drop(connections);
    }

    /// How many connections are open.
    #[cfg(test)]
    pub(in crate::proxy) fn len(&self) -> usize {
        self.lock().connections.len()
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    /// Takes out what has ended, leads where it should not, or was without streams for too long. It closes with its last stream.
    fn remove_unusable(&mut self, keep_alive: Duration, now: Instant) -> Vec<Arc<Connection>> {
        let is_usable = |connection: &Arc<Connection>| {
            let leads_there = match (&self.peers, connection.peer) {
                (Some(peers), Some(peer)) => peers.contains(&peer),
                (None, _) | (_, None) => true,
            };
            leads_there && connection.is_open() && !connection.is_idle_for(keep_alive, now)
        };
        let connections = std::mem::take(&mut self.connections);
        let (usable, ended) = connections.into_iter().partition(is_usable);
        self.connections = usable;
        ended
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
        if let Some(room) = &self.0.room {
            room.tell();
        }
    }
}
