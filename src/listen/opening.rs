//! What comes on a connection before its first request: the PROXY header, the TLS handshake, the choice of a protocol.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frames::PREFACE;
use super::proxy_protocol;
use super::tls::Tls;
use super::transport::{Replayed, Transport};
use super::tuning::Prepared;
use crate::observe::ListenerMetrics;

/// The protocol that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A connection on which requests may come.
pub(super) struct Opened {
    pub(super) transport: Transport,
    pub(super) protocol: Protocol,
    /// The other end, as far as a proxy in front has told it.
    pub(super) client: SocketAddr,
}

impl Opened {
    /// A connection that needs nothing: most of them, behind another server.
    pub(super) fn plain(stream: TcpStream, client: SocketAddr) -> Self {
        Self {
            transport: Transport::Plain(stream),
            protocol: Protocol::Http1,
            client,
        }
    }
}

/// Opens one connection, each step in its own time. `None` where it must be closed; that was counted.
pub(super) async fn open(
    mut stream: TcpStream,
    peer: SocketAddr,
    current: &Prepared,
    metrics: &ListenerMetrics,
) -> Option<Opened> {
    let client = client(&mut stream, peer, current, metrics).await?;
    let settings = &current.settings;
    let (transport, protocol) = match &current.tls {
        Some(tls) => secure(tls, stream, client, current, metrics).await?,
        None if settings.h2c => {
            let choosing = timeout(settings.timeouts.request_header, choose(stream));
            // Whoever says nothing or leaves needs no word.
            choosing.await.ok()?.ok()?
        }
        None => (Transport::Plain(stream), Protocol::Http1),
    };
    Some(Opened {
        transport,
        protocol,
        client,
    })
}

/// Who is at the other end.
async fn client(
    stream: &mut TcpStream,
    peer: SocketAddr,
    current: &Prepared,
    metrics: &ListenerMetrics,
) -> Option<SocketAddr> {
    let Some(taken) = current.settings.proxy_protocol else {
        return Some(peer);
    };
    let ip = peer.ip().to_canonical();
    let trusted = &current.settings.trusted_proxies;
    if !trusted.iter().any(|network| network.contains(&ip)) {
        metrics.proxy_header("untrusted");
        tracing::debug!(client.addr = %peer, "no trusted proxy where a PROXY header belongs");
        return None;
    }
    match proxy_protocol::read(stream, taken).await {
        Ok(Some(client)) => {
            metrics.proxy_header("ok");
            Some(client)
        }
        Ok(None) => {
            metrics.proxy_header("local");
            Some(peer)
        }
        Err(error) => {
            metrics.proxy_header(error.word());
            let error: &dyn std::error::Error = &error;
            tracing::debug!(client.addr = %peer, error, "no PROXY header");
            None
        }
    }
}

async fn secure(
    tls: &Tls,
    stream: TcpStream,
    client: SocketAddr,
    current: &Prepared,
    metrics: &ListenerMetrics,
) -> Option<(Transport, Protocol)> {
    let patience = current.settings.timeouts.tls_handshake;
    match tls.accept(stream, patience, metrics).await {
        Ok(stream) => {
            let protocol = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Protocol::Http2,
                _ => Protocol::Http1,
            };
            Some((Transport::Tls(Box::new(stream)), protocol))
        }
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(client.addr = %client, error, "no TLS connection");
            None
        }
    }
}

/// HTTP/2 for a client that begins with its preface, HTTP/1.1 for every other. Cancelling closes the connection.
async fn choose(mut stream: TcpStream) -> io::Result<(Transport, Protocol)> {
    let mut first = Vec::new();
    let mut ahead = [0; PREFACE.len()];
    let protocol = loop {
        let rest = PREFACE.get(first.len()..).unwrap_or_default();
        let place = ahead.get_mut(..rest.len()).unwrap_or_default();
        let count = stream.peek(place).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let came = place.get(..count).unwrap_or_default();
        match rest.strip_prefix(came) {
            None => break Protocol::Http1,
            Some([]) => break Protocol::Http2,
            // Looking again would show the same bytes at once, so they are taken.
            Some(_) => first.extend_from_slice(came),
        }
        stream
            .read_exact(ahead.get_mut(..count).unwrap_or_default())
            .await?;
    };
    let transport = if first.is_empty() {
        Transport::Plain(stream)
    } else {
        Transport::Replayed(Box::new(Replayed::new(first, stream)))
    };
    Ok((transport, protocol))
}
