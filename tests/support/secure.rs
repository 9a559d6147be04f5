//! Certificates made for a test, and clients that trust them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{KeepAlive, Reply};

/// A self-signed certificate and its key, both PEM.
#[derive(Clone)]
pub(crate) struct TestCertificate {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl TestCertificate {
    /// For these names, for many years.
    pub(crate) fn of(names: &[&str]) -> Self {
        Self::ending_in(names, 20 * 365)
    }

    /// Ends in so many days; expired where that is negative.
    pub(crate) fn ending_in(names: &[&str], days: i64) -> Self {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let ends = Timestamp::now() + SignedDuration::from_hours(24 * days);
        let ends = ends.to_zoned(jiff::tz::TimeZone::UTC);
        let (month, day) = (ends.month().unsigned_abs(), ends.day().unsigned_abs());
        params.not_after = date_time_ymd(ends.year().into(), month, day);
        let key = KeyPair::generate().unwrap();
        Self {
            cert: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes both files; their paths.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let paths = (
            folder.join(format!("{name}.pem")),
            folder.join(format!("{name}.key")),
        );
        std::fs::write(&paths.0, &self.cert).unwrap();
        std::fs::write(&paths.1, &self.key).unwrap();
        paths
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }
}

/// What a TLS client says and believes.
#[derive(Clone)]
pub(crate) struct TlsClient {
    config: ClientConfig,
    name: ServerName<'static>,
}

impl TlsClient {
    /// Asks for a server of this name and trusts these certificates.
    pub(crate) fn new(name: &str, trusted: &[&TestCertificate]) -> Self {
        let versions: &[_] = &[&rustls::version::TLS13, &rustls::version::TLS12];
        Self::speaking(name, trusted, versions)
    }

    /// Speaks these versions only.
    pub(crate) fn speaking(
        name: &str,
        trusted: &[&TestCertificate],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in trusted {
            roots.add(certificate.der()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A resumed session shows the certificate of the first one.
        config.resumption = Resumption::disabled();
        Self {
            config,
            name: ServerName::try_from(name.to_owned()).unwrap(),
        }
    }

    /// Comes back with the ticket of the last session.
    pub(crate) fn resuming(mut self) -> Self {
        self.config.resumption = Resumption::in_memory_sessions(8);
        self
    }

    /// Offers these protocols.
    pub(crate) fn offering(mut self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
        self.config.alpn_protocols = protocols.collect();
        self
    }

    /// Names no server.
    pub(crate) fn without_name(mut self) -> Self {
        self.config.enable_sni = false;
        self
    }

    /// A connection after its handshake.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.over(TcpStream::connect(address).await?).await
    }

    /// A handshake on a connection that is there already.
    pub(crate) async fn over(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        connector.connect(self.name.clone(), stream).await
    }

    /// A connection for HTTP/1.1.
    pub(crate) async fn open(&self, address: SocketAddr) -> std::io::Result<TlsConnection> {
        let stream = self.connect(address).await?;
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        Ok(TlsConnection {
            http: KeepAlive::over(stream).await,
            shown,
        })
    }
}

/// HTTP/1.1 over TLS.
pub(crate) struct TlsConnection {
    http: KeepAlive,
    shown: CertificateDer<'static>,
}

impl TlsConnection {
    /// Whether the server showed this certificate.
    pub(crate) fn shows(&self, certificate: &TestCertificate) -> bool {
        self.shown == certificate.der()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.http.get(path).await
    }
}
