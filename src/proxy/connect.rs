//! New connections to one server.

use std::io;

use tokio::net::{TcpStream, UnixStream};

use super::http2::Refusal;
use super::settings::{Address, Protocol, Server};
use super::tls::TlsFault;
use super::transport::Transport;

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Failure {
    /// What the system says.
    Connect(io::Error),
    /// Connected, but not safely.
    Tls(TlsFault, io::Error),
}

/// Which HTTP a server may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// A request that only HTTP/1.1 can carry: a WebSocket, or a login of the connection.
    Http1,
    /// Whatever the configuration lets it speak.
    Either,
}

/// A connection on which nobody has spoken yet.
#[derive(Debug)]
pub(super) enum Opened {
    Http1(Transport),
    Http2(Transport),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Connect(io::Error::other(refusal))
    }
}

/// Opens a connection; names are resolved by the system, and each of their addresses is tried. The caller has a deadline;
/// cancelling closes what was opened.
pub(super) async fn open(server: &Server, offer: Offer) -> Result<Opened, Failure> {
    let stream = match &server.address {
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(Failure::Connect)?;
            return Ok(Opened::Http1(Transport::Unix(stream)));
        }
        Address::Tcp { host, port } => TcpStream::connect((host.as_str(), *port)).await,
    };
    let stream = stream.map_err(Failure::Connect)?;
    stream.set_nodelay(true).map_err(Failure::Connect)?;
    match &server.protocol {
        Protocol::H2c if offer == Offer::Either => Ok(Opened::Http2(Transport::Tcp(stream))),
        Protocol::Http | Protocol::H2c => Ok(Opened::Http1(Transport::Tcp(stream))),
        Protocol::Https { tls, name } => match tls.shake(name.clone(), stream, offer).await {
            Ok((stream, true)) => Ok(Opened::Http2(Transport::Tls(Box::new(stream)))),
            Ok((stream, false)) => Ok(Opened::Http1(Transport::Tls(Box::new(stream)))),
            Err((fault, error)) => Err(Failure::Tls(fault, error)),
        },
    }
}

impl Opened {
    /// The connection, whatever it speaks.
    pub(super) fn into_transport(self) -> Transport {
        match self {
            Self::Http1(stream) | Self::Http2(stream) => stream,
        }
    }
}
