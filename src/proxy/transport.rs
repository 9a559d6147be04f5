//! What a connection runs over: TCP, TLS over TCP, or a socket of this machine.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::room::{Entry, Room};

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Transport {
    stream: Stream,
    /// Its place among those that the server may have; given back when it closes.
    entry: Option<Entry>,
    /// The server's address, where its name may come to mean others.
    peer: Option<SocketAddr>,
}

/// A closed set, so that the plain one costs a comparison instead of a call through a table.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    /// Boxed because its state is large.
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Transport {
    /// To a server whose address stays what it is.
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            entry: None,
            peer: None,
        }
    }

    /// To an address that was found by name.
    pub(super) fn found_at(mut self, peer: Option<SocketAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// Counts it among those that the server may have, for as long as it is open.
    pub(super) fn counted(mut self, entry: Entry) -> Self {
        self.entry = Some(entry);
        self
    }

    /// Where it is counted.
    pub(super) fn room(&self) -> Option<Arc<Room>> {
        self.entry.as_ref().map(Entry::room)
    }

    /// The address that was found by name.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }
}

/// The same call on whichever it is.
macro_rules! on_each {
    ($transport:expr, $stream:ident => $call:expr) => {
        match &mut $transport.stream {
            Stream::Tcp($stream) => $call,
            Stream::Tls($stream) => $call,
            Stream::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_each!(self.get_mut(), stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_each!(self.get_mut(), stream => Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_each!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
            Stream::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self.get_mut(), stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(context))
    }
}
