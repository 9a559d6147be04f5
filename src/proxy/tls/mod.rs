//! TLS towards servers: what is trusted, who we are, and what we offer to speak.
//!
//! The only place of this module that knows rustls' types.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, Error, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::Offer;

mod fault;
mod trust;

pub use fault::TlsFault;

use fault::fault;
use trust::{Anybody, roots};

const HTTP_1: &[u8] = b"http/1.1";
const HTTP_2: &[u8] = b"h2";

/// How servers are told from impostors, and how we show who we are.
#[derive(PartialEq, Eq)]
pub struct TlsSettings {
    /// Whether certificates are checked at all.
    pub verify: bool,
    /// The only authorities trusted; `None` means the public ones and those of the system.
    pub authorities: Option<Vec<CertificateDer<'static>>>,
    /// What we show to servers that ask.
    pub identity: Option<Identity>,
    /// The name that certificates must have, instead of the server's own.
    pub server_name: Option<ServerName<'static>>,
    /// Whether servers may choose HTTP/2.
    pub http2: bool,
}

/// Our certificate, its chain, and its key.
#[derive(PartialEq, Eq)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Why files cannot be used for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableFile {
    /// No certificate is in it, or one that cannot be read.
    #[error("holds no certificate in PEM form that can be used")]
    Certificate,
    /// No private key is in it, or one that cannot be read.
    #[error("holds no private key in PEM form that can be used")]
    Key,
    /// The certificate is of another key.
    #[error("is not the key of the certificate")]
    OtherKey,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsSettings")
            .field("verify", &self.verify)
            .field("authorities", &self.authorities.as_ref().map(Vec::len))
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .field("http2", &self.http2)
            .finish()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Default for TlsSettings {
    /// Public authorities and those of the system.
    fn default() -> Self {
        Self {
            verify: true,
            authorities: None,
            identity: None,
            server_name: None,
            http2: true,
        }
    }
}

impl TlsSettings {
    /// Reads the authorities to trust: at least one.
    pub fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, UnusableFile> {
        let found = certificates(pem)?;
        let mut roots = RootCertStore::empty();
        for certificate in &found {
            let added = roots.add(certificate.clone());
            added.map_err(|_| UnusableFile::Certificate)?;
        }
        Ok(found)
    }

    /// Reads a name as certificates have it: a host name or an address.
    pub fn server_name(name: &str) -> Option<ServerName<'static>> {
        ServerName::try_from(name.to_owned()).ok()
    }
}

impl Identity {
    /// Reads a certificate, followed by its chain, and a key. [`Tls::new`] finds out whether they belong together.
    pub fn read(chain: &[u8], key: &[u8]) -> Result<Self, UnusableFile> {
        Ok(Self {
            chain: certificates(chain)?,
            key: PrivateKeyDer::from_pem_slice(key).map_err(|_| UnusableFile::Key)?,
        })
    }
}

/// TLS towards the servers of one upstream; equal where the settings are.
#[derive(Clone)]
pub struct Tls {
    settings: Arc<TlsSettings>,
    connector: TlsConnector,
    /// For what only HTTP/1.1 can carry.
    http1_connector: TlsConnector,
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(formatter)
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Tls {}

impl Tls {
    /// Sets everything up; reads the system's authorities where no others are given.
    pub fn new(settings: TlsSettings) -> Result<Self, UnusableFile> {
        let config = client_config(&settings).map_err(|error| match error {
            Error::InconsistentKeys(_) => UnusableFile::OtherKey,
            Error::InvalidCertificate(_) => UnusableFile::Certificate,
            _ => UnusableFile::Key,
        })?;
        let mut http1_config = config.clone();
        http1_config.alpn_protocols = vec![HTTP_1.to_vec()];
        Ok(Self {
            settings: Arc::new(settings),
            connector: TlsConnector::from(Arc::new(config)),
            http1_connector: TlsConnector::from(Arc::new(http1_config)),
        })
    }

    /// The name that a server's certificate must have; `None` when `host` cannot be one.
    pub fn name(&self, host: &str) -> Option<ServerName<'static>> {
        let configured = self.settings.server_name.clone();
        configured.or_else(|| TlsSettings::server_name(host))
    }

    /// Whether servers may choose HTTP/2.
    pub(super) fn offers_http2(&self) -> bool {
        self.settings.http2
    }

    /// The same trust for a library that makes its own connections and speaks HTTP/1.1.
    pub fn http1_config(&self) -> ClientConfig {
        ClientConfig::clone(self.http1_connector.config())
    }

    /// The certificate that a server shows on this connection, which must be good. Cancelling closes it.
    pub async fn certificate(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
    ) -> io::Result<CertificateDer<'static>> {
        let stream = self.connector.connect(name, stream).await?;
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates();
        let first = chain
            .and_then(<[_]>::first)
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(first.clone().into_owned())
    }

    /// Makes one connection safe. The second value says that the server chose HTTP/2. Cancelling closes the connection.
    pub(super) async fn shake(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
        offer: Offer,
    ) -> Result<(TlsStream<TcpStream>, bool), (TlsFault, io::Error)> {
        let connector = match offer {
            Offer::Http1 => &self.http1_connector,
            Offer::Either => &self.connector,
        };
        let stream = connector.connect(name, stream).await;
        let stream = stream.map_err(|error| (fault(&error), error))?;
        let (_, connection) = stream.get_ref();
        let is_http2 = connection.alpn_protocol() == Some(HTTP_2);
        Ok((stream, is_http2))
    }
}

fn client_config(settings: &TlsSettings) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = if settings.verify {
        builder.with_root_certificates(roots(settings.authorities.as_deref()))
    } else {
        let anybody = Arc::new(Anybody(provider));
        builder
            .dangerous()
            .with_custom_certificate_verifier(anybody)
    };
    let mut config = match &settings.identity {
        Some(Identity { chain, key }) => {
            builder.with_client_auth_cert(chain.clone(), key.clone_key())?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = match settings.http2 {
        true => vec![HTTP_2.to_vec(), HTTP_1.to_vec()],
        false => vec![HTTP_1.to_vec()],
    };
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, UnusableFile> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|_| UnusableFile::Certificate)?;
    (!found.is_empty())
        .then_some(found)
        .ok_or(UnusableFile::Certificate)
}
