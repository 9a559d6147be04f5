//! New connections to one server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use super::http2::Refusal;
use super::names::Name;
use super::room::Entry;
use super::server::Server;
use super::settings::{Address, Protocol};
use super::tls::TlsFault;
use super::transport::{Stream, Transport};

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

/// Opens a connection. The caller has a deadline; cancelling closes what was opened.
pub(super) async fn open(server: &Server, offer: Offer) -> Result<Opened, Failure> {
    let (stream, peer) = match (&server.place.address, &server.addresses) {
        (Address::Unix(path), _) => {
            let stream = UnixStream::connect(path).await.map_err(Failure::Connect)?;
            let transport = Transport::new(Stream::Unix(stream));
            return Ok(match server.place.protocol {
                Protocol::H2c if offer == Offer::Either => Opened::Http2(transport),
                Protocol::H2c | Protocol::Http | Protocol::Https { .. } => Opened::Http1(transport),
            });
        }
        (Address::Tcp { .. }, Some(name)) => {
            let reached = reach(name, server.connect_timeout).await;
            let (stream, peer) = reached.map_err(Failure::Connect)?;
            (stream, Some(peer))
        }
        (Address::Tcp { host, port }, None) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await;
            (stream.map_err(Failure::Connect)?, None)
        }
    };
    stream.set_nodelay(true).map_err(Failure::Connect)?;
    let (stream, is_http2) = match &server.place.protocol {
        Protocol::Http => (Stream::Tcp(stream), false),
        Protocol::H2c => (Stream::Tcp(stream), offer == Offer::Either),
        Protocol::Https { tls, name } => match tls.shake(name.clone(), stream, offer).await {
            Ok((stream, is_http2)) => (Stream::Tls(Box::new(stream)), is_http2),
            Err((fault, error)) => return Err(Failure::Tls(fault, error)),
        },
    };
    let transport = Transport::new(stream).found_at(peer);
    Ok(match is_http2 {
        true => Opened::Http2(transport),
        false => Opened::Http1(transport),
    })
}

/// The first address of a name that takes a connection. None of them gets all the time, so that one that is dead does not hide the next.
async fn reach(name: &Name, within: Duration) -> io::Result<(TcpStream, SocketAddr)> {
    let addresses = name.addresses().await?;
    let share = match addresses.len() {
        0 | 1 => within,
        2 => within / 2,
        _ => within / 3,
    };
    let mut last = io::ErrorKind::NotFound.into();
    for address in addresses {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, address)),
            Ok(Err(error)) => last = error,
            Err(late) => last = late.into(),
        }
    }
    Err(last)
}

impl Opened {
    /// The connection, whatever it speaks.
    pub(super) fn into_transport(self) -> Transport {
        match self {
            Self::Http1(stream) | Self::Http2(stream) => stream,
        }
    }

    /// Counts the connection among those that the server may have.
    pub(super) fn counted(self, entry: Entry) -> Self {
        match self {
            Self::Http1(stream) => Self::Http1(stream.counted(entry)),
            Self::Http2(stream) => Self::Http2(stream.counted(entry)),
        }
    }
}
