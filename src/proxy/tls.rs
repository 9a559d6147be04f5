//! TLS towards servers: what is trusted, who we are, and whose fault a failed handshake is.
//!
//! The only place of this module that knows rustls' types.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const HTTP_1: &[u8] = b"http/1.1";

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

/// Whose fault a failed handshake is. For the log; visitors are told nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// Set `ca` where the server's authority is a private one.
    #[error("the server's certificate is by an unknown authority")]
    UnknownAuthority,
    /// The server needs a new certificate, or our clock is wrong.
    #[error("the server's certificate has expired")]
    Expired,
    /// Somebody's clock is wrong.
    #[error("the server's certificate is not valid yet")]
    NotValidYet,
    /// Set `server_name` where the name in the URL is not the certificate's.
    #[error("the server's certificate is for another name")]
    OtherName,
    /// Broken, revoked, or not made for servers.
    #[error("the server's certificate is not acceptable")]
    Certificate,
    /// Set `cert` and `key`, or other ones.
    #[error("the server does not accept our certificate, or wants one")]
    OurCertificate,
    /// No version, cipher or protocol in common.
    #[error("the server speaks no TLS or HTTP that we do")]
    NothingInCommon,
    /// A plain HTTP server, perhaps.
    #[error("the server does not speak TLS")]
    NotTls,
    /// The connection broke.
    #[error("the handshake broke off")]
    Broken,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsSettings")
            .field("verify", &self.verify)
            .field("authorities", &self.authorities.as_ref().map(Vec::len))
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
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
        Ok(Self {
            settings: Arc::new(settings),
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    /// The name that a server's certificate must have; `None` when `host` cannot be one.
    pub fn name(&self, host: &str) -> Option<ServerName<'static>> {
        let configured = self.settings.server_name.clone();
        configured.or_else(|| TlsSettings::server_name(host))
    }

    /// Makes one connection safe. Cancelling closes it.
    pub(super) async fn shake(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, (TlsFault, io::Error)> {
        let shaken = self.connector.connect(name, stream).await;
        shaken.map_err(|error| (fault(&error), error))
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
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, UnusableFile> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|_| UnusableFile::Certificate)?;
    (!found.is_empty())
        .then_some(found)
        .ok_or(UnusableFile::Certificate)
}

/// The authorities given, or the built-in public ones, which images without certificate files need, and the system's.
fn roots(authorities: Option<&[CertificateDer<'static>]>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(authorities) => {
            roots.add_parsable_certificates(authorities.iter().cloned());
        }
        None => {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    roots
}

fn fault(error: &io::Error) -> TlsFault {
    let source = error.get_ref().and_then(|source| source.downcast_ref());
    match source {
        Some(Error::InvalidCertificate(error)) => match error {
            // Two private authorities often share a name; then the signature tells them apart.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                TlsFault::UnknownAuthority
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                TlsFault::Expired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TlsFault::NotValidYet
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::OtherName
            }
            _ => TlsFault::Certificate,
        },
        Some(Error::AlertReceived(alert)) => match alert {
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA => TlsFault::OurCertificate,
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity
            | AlertDescription::NoApplicationProtocol => TlsFault::NothingInCommon,
            _ => TlsFault::Broken,
        },
        Some(Error::PeerIncompatible(_)) => TlsFault::NothingInCommon,
        Some(Error::InvalidMessage(_)) => TlsFault::NotTls,
        Some(_) | None => TlsFault::Broken,
    }
}

/// `verify = false`: takes any certificate of whoever has its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
