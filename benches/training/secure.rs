//! A certificate for the training, and connections that trust it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Self-signed, for one host.
pub(crate) struct Certificate {
    host: &'static str,
    made: rcgen::CertifiedKey<rcgen::KeyPair>,
}

impl Certificate {
    pub(crate) fn of(host: &'static str) -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed([host.to_owned()])?;
        Ok(Self { host, made })
    }

    /// Writes certificate and key; their paths.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&cert, self.made.cert.pem())?;
        std::fs::write(&key, self.made.signing_key.serialize_pem())?;
        Ok((cert, key))
    }

    /// Connects over TLS with this protocol (ALPN).
    pub(crate) fn client(&self, protocol: &str) -> anyhow::Result<Client> {
        let mut roots = RootCertStore::empty();
        roots.add(self.made.cert.der().clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Ok(Client {
            connector: TlsConnector::from(Arc::new(config)),
            host: ServerName::try_from(self.host)?,
        })
    }
}

/// Opens connections to the certificate's host.
pub(crate) struct Client {
    connector: TlsConnector,
    host: ServerName<'static>,
}

impl Client {
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
    ) -> anyhow::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        Ok(self.connector.connect(self.host.clone(), stream).await?)
    }
}
