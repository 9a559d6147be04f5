//! TLS on a listener: the handshake, its deadline and its limits.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::{CertificateError, CertificateFiles};
use super::certificates::Certificates;
use crate::observe::ListenerMetrics;

/// TLS of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// At least one. The first is for clients that name no server or an unknown one.
    pub certificates: Vec<CertificateFiles>,
    /// The oldest version that clients may speak.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2
    V12,
    /// 1.3
    V13,
}

/// The most handshakes at once, counted from a client's first byte; more wait within their deadline. Each costs a signature
/// and some tens of kilobytes, which idle connections do not.
const HANDSHAKES: usize = 1000;

/// What a client of another protocol hears.
const PLAIN_HTTP: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    X-Wxgate-Response: plain-http\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: 90\r\n\r\n\
    This port speaks https: write https:// in the address.\n此端口只接受 https 访问。\n";

/// How long a client that was told so may take to read it.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// It took too long. The client's fault or its network's.
    #[error("TLS handshake took too long")]
    Late,
    /// The client speaks plain HTTP; it was told.
    #[error("plain HTTP where TLS belongs")]
    PlainHttp,
    /// The client went away or does not agree with us.
    #[error("TLS handshake failed")]
    Failed(#[source] io::Error),
}

impl HandshakeError {
    /// One word for metrics.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Late => "timeout",
            Self::PlainHttp => "plain_http",
            Self::Failed(_) => "failed",
        }
    }
}

/// Accepts TLS connections.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
    places: Semaphore,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Loads the certificates. Blocking file access.
    pub(super) fn new(settings: &TlsSettings) -> Result<Self, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let files = settings.certificates.clone();
        let certificates = Arc::new(Certificates::load(files, Arc::clone(&provider))?);
        let versions: &[_] = match settings.min_version {
            TlsVersion::V12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::V13 => &[&rustls::version::TLS13],
        };
        #[expect(
            clippy::expect_used,
            reason = "the provider has suites for both versions"
        )]
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions fit the provider")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Early data could be replayed; rustls takes none unless told.
        debug_assert_eq!(config.max_early_data_size, 0);
        if let Ok(ticketer) = aws_lc_rs::Ticketer::new() {
            config.ticketer = ticketer;
        }
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificates,
            places: Semaphore::new(HANDSHAKES),
        })
    }

    /// The certificates, to be shown and loaded again.
    pub(super) fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// One handshake, from the connection's beginning. Cancelling closes the connection.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        patience: Duration,
        metrics: &ListenerMetrics,
    ) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let handshake = timeout(patience, self.handshake(stream));
        let result = handshake.await.unwrap_or(Err(HandshakeError::Late));
        metrics.handshake(result.as_ref().map_or_else(HandshakeError::word, |_| "ok"));
        result
    }

    async fn handshake(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let mut first = [0];
        // Whoever says nothing takes no place.
        let count = stream.peek(&mut first).await;
        if count.map_err(HandshakeError::Failed)? == 1 && first[0].is_ascii_alphabetic() {
            // Nothing depends on whether it is heard.
            let _ = timeout(FAREWELL, refuse_plain_http(stream)).await;
            return Err(HandshakeError::PlainHttp);
        }
        let _place = self.places.acquire().await;
        let accepted = self.acceptor.accept(stream).await;
        accepted.map_err(HandshakeError::Failed)
    }
}

/// Reads on until the client leaves: closing earlier would take our words back.
async fn refuse_plain_http(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(PLAIN_HTTP.as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_of_plain_http_has_its_own_length() {
        let parts = PLAIN_HTTP.split_once("\r\n\r\n");

        let length = parts.map_or(0, |(_, body)| body.len());

        assert!(PLAIN_HTTP.contains(&format!("Content-Length: {length}\r\n")));
    }
}
