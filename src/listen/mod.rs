//! Sockets to HTTP requests: bind, accept, back off, connection limit.
//!
//! The accept loop only accepts; each connection is one task. Knows nothing of routes or sessions: a [`Handler`] gets each
//! request.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

use crate::drain::Guard;
use crate::observe::ListenerMetrics;

mod activity;
mod address;
mod admission;
mod certificate;
mod certificates;
mod chunks;
mod fields;
mod frames;
mod http2;
mod inherited;
mod interim;
mod observed;
mod opening;
mod proxy_protocol;
mod seldom;
mod serve;
mod streams;
mod tls;
mod transport;
mod tuning;
mod watched;

pub use address::reachable;
pub use admission::Flaw;
pub use certificate::{Certificate, CertificateError, CertificateFiles};
pub use inherited::Inherited;
pub use interim::Interim;
pub use proxy_protocol::ProxyProtocol;
pub use tls::{TlsSettings, TlsVersion};
pub use tuning::{Prepared, Tuning};

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
    /// `None` for plain connections.
    pub tls: Option<TlsSettings>,
    /// On a plain connection, HTTP/2 for whoever begins with its preface. With TLS the handshake decides.
    pub h2c: bool,
    /// Each connection begins with such a header; `None` for those of clients.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Who may send that header; all others are closed.
    pub trusted_proxies: Vec<IpNet>,
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be taken.
    #[error("cannot take the address")]
    Bind(#[from] io::Error),
    /// A certificate cannot be used.
    #[error("certificate")]
    Certificate(#[from] CertificateError),
}

/// How long a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A TLS handshake, from the beginning of the connection.
    pub tls_handshake: Duration,
    /// From the first byte of a head to its last; also the first request on a connection, from its beginning.
    pub request_header: Duration,
    /// Between two requests on one connection.
    pub keep_alive: Duration,
    /// How long a body, in either direction, may make no progress at the client.
    pub body_progress: Duration,
}

/// Who is at the other end of a request's connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The other end's address, as a trusted proxy announced it where it did.
    pub address: SocketAddr,
    /// The listener's address.
    pub listener: SocketAddr,
    /// What is wrong with the raw head, although it could be parsed. Such a request must be refused with 400.
    pub flaw: Option<Flaw>,
    /// Takes interim answers (103) to this request; `None` where the client cannot read any.
    pub interim: Option<Arc<Interim>>,
}

/// Answers requests. Dropping the future means that the client went away.
pub trait Handler: Clone + Send + Sync + 'static {
    /// What answers consist of.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send;

    /// Answers one request; cannot fail.
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// A bound socket. Connections wait in the system's queue until [`run`](Self::run).
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tuning: Arc<Tuning>,
    metrics: ListenerMetrics,
}

/// How many connections the system keeps for us before we accept them.
const BACKLOG: i32 = 4096;

impl Listener {
    /// Binds and loads certificates; needs a running Tokio runtime.
    pub fn bind(settings: Settings) -> Result<Self, Error> {
        let prepared = Prepared::new(settings)?;
        let settings = &prepared.settings;
        let socket = Socket::new(
            Domain::for_address(settings.address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // A restart must not wait for the connections of the process before it.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        if settings.address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&settings.address.into())?;
        socket.listen(BACKLOG)?;
        Self::with(socket.into(), prepared)
    }

    /// On a socket that listens already and does not block; loads certificates; needs a running Tokio runtime.
    pub fn on(socket: std::net::TcpListener, settings: Settings) -> Result<Self, Error> {
        Self::with(socket, Prepared::new(settings)?)
    }

    fn with(socket: std::net::TcpListener, prepared: Prepared) -> Result<Self, Error> {
        let socket = TcpListener::from_std(socket)?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            tuning: Arc::new(Tuning::new(prepared)),
            metrics: ListenerMetrics::default(),
        })
    }

    /// Counts from now on here.
    pub fn count_in(&mut self, metrics: ListenerMetrics) {
        if let Some(tls) = &self.tuning.current().tls {
            tls.certificates().show(None, &metrics);
        }
        self.metrics = metrics;
    }

    /// To change the settings while it runs.
    pub fn tuning(&self) -> Arc<Tuning> {
        Arc::clone(&self.tuning)
    }

    /// Where it listens, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until `guard` is told to stop; then the socket closes. Every connection's task holds a clone of the guard.
    pub async fn run(self, handler: impl Handler, guard: Guard) {
        tokio::select! {
            () = self.accept_all(handler, guard) => {}
            () = self.tuning.watch_certificates(&self.metrics) => {}
        }
    }

    async fn accept_all(&self, handler: impl Handler, mut guard: Guard) {
        let mut pause = Backoff::default();
        loop {
            let next = async {
                let permit = self.tuning.place().await;
                (self.socket.accept().await, permit)
            };
            let (accepted, permit) = tokio::select! {
                next = next => next,
                () = guard.stopping() => return self.accept_waiting(&handler, &guard).await,
            };
            match accepted {
                Ok((stream, address)) => {
                    pause = Backoff::default();
                    self.serve((stream, address), permit, &handler, &guard);
                }
                Err(error) => {
                    if let Some(wait) = pause.after(&error) {
                        tracing::warn!(listener = %self.address, %error, "accept failed, waiting");
                        tokio::time::sleep(wait).await;
                    }
                }
            }
        }
    }
}

impl Listener {
    /// Accepts what waits in the system's queue already, and would be reset when the socket closes.
    async fn accept_waiting(&self, handler: &impl Handler, guard: &Guard) {
        while let Some(permit) = self.tuning.free_place() {
            let waiting = poll_fn(|context| match self.socket.poll_accept(context) {
                Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
                Poll::Pending => Poll::Ready(None),
            });
            let Some(accepted) = waiting.await else {
                return;
            };
            self.serve(accepted, Some(permit), handler, guard);
        }
    }

    fn serve(
        &self,
        (stream, address): (TcpStream, SocketAddr),
        permit: Option<OwnedSemaphorePermit>,
        handler: &impl Handler,
        guard: &Guard,
    ) {
        let peer = Peer {
            address,
            listener: self.address,
            flaw: None,
            interim: None,
        };
        let accepted = serve::Accepted {
            stream,
            permit,
            peer,
            current: self.tuning.current(),
            metrics: self.metrics.clone(),
        };
        tokio::spawn(serve::connection(accepted, handler.clone(), guard.clone()));
    }
}

/// How long to wait after a failed accept, so that a lack of descriptors does not spin.
#[derive(Debug, Default)]
struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);

    /// `None` when only the one connection failed and the next can be accepted at once.
    fn after(&mut self, error: &io::Error) -> Option<Duration> {
        match error.kind() {
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted => None,
            _ => {
                let wait = self
                    .last
                    .map_or(Self::FIRST, |last| (last * 2).min(Self::LONGEST));
                self.last = Some(wait);
                Some(wait)
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn accept_backs_off_when_out_of_descriptors() {
        let mut backoff = Backoff::default();
        let exhausted = io::Error::from_raw_os_error(24);

        let waits: Vec<_> = (0..9)
            .map(|_| backoff.after(&exhausted).unwrap().as_millis())
            .collect();

        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn a_connection_that_died_in_the_queue_costs_no_pause() {
        let mut backoff = Backoff::default();
        let aborted = io::Error::from(io::ErrorKind::ConnectionAborted);

        assert_eq!(backoff.after(&aborted), None);
    }
}
