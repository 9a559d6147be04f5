//! Sockets to HTTP requests.

use std::net::SocketAddr;
use std::time::Duration;

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// The most bytes a request head may have.
    pub max_header: usize,
    /// The most header fields a request may have.
    pub max_headers: usize,
    /// The most connections at once; more wait in the system's queue.
    pub max_connections: usize,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// How long a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a head to its last; also the first request on a connection, from its beginning.
    pub request_header: Duration,
    /// Between two requests on one connection.
    pub keep_alive: Duration,
    /// How long a body, in either direction, may make no progress at the client.
    pub body_progress: Duration,
}
