//! A certificate authority of our own, and sites that it vouches for.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::server::{Server, answer_each};

/// Issues certificates and writes them into a folder.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

/// A certificate and its key, in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "wxgate test authority");
        let key = KeyPair::generate().unwrap();
        let authority = Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
            folder: tempfile::TempDir::new().unwrap(),
        };
        authority.write("authority.pem", &authority.issuer.pem());
        authority
    }

    /// The file that others must trust.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A certificate for these names and addresses, good for servers and clients.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |_| ())
    }

    /// One whose time is over.
    pub(crate) fn issue_expired(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |params| {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        })
    }

    fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let file = names.join("-").replace([':', '*'], "_");
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: self.write(&format!("{file}.crt"), &certificate.pem()),
            key: self.write(&format!("{file}.key"), &key.serialize_pem()),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Issued {
    /// What a server needs. `clients` names the authority whose clients alone may come in.
    pub(crate) fn server(&self, clients: Option<&Authority>, protocols: &[&str]) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add_parsable_certificates(certificates(&authority.file()));
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let mut config = builder
            .with_single_cert(certificates(&self.certificate), key)
            .unwrap();
        config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        config
    }
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// A site behind TLS.
pub(crate) struct SecureSite {
    server: Server,
    connections: Arc<AtomicUsize>,
    /// The names that clients asked for in their handshakes.
    names: Arc<Mutex<Vec<Option<String>>>>,
}

impl SecureSite {
    /// Plays a script on each connection whose handshake worked.
    pub(crate) async fn start<F, Played>(config: ServerConfig, script: F) -> Self
    where
        F: Fn(TlsStream<TcpStream>) -> Played + Clone + Send + 'static,
        Played: Future<Output = io::Result<()>> + Send + 'static,
    {
        let connections = Arc::new(AtomicUsize::new(0));
        let names = Arc::new(Mutex::new(Vec::new()));
        let (count, log) = (Arc::clone(&connections), Arc::clone(&names));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = Server::start(move |stream| {
            let (acceptor, script) = (acceptor.clone(), script.clone());
            let (count, log) = (Arc::clone(&count), Arc::clone(&log));
            async move {
                let stream = acceptor.accept(stream).await?;
                let name = stream.get_ref().1.server_name().map(str::to_owned);
                log.lock().unwrap().push(name);
                count.fetch_add(1, Ordering::SeqCst);
                script(stream).await
            }
        });
        Self {
            server: server.await,
            connections,
            names,
        }
    }

    /// Answers every request with "ok".
    pub(crate) async fn answering(config: ServerConfig) -> Self {
        Self::start(config, |stream| async move {
            let answer = async |_| Response::new(Full::new(Bytes::from_static(b"ok")));
            answer_each(stream, answer).await;
            Ok(())
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.server.address())
    }

    /// The same under a name that the system resolves to this machine.
    pub(crate) fn url_by_name(&self) -> String {
        format!("https://localhost:{}", self.server.address().port())
    }

    /// Connections whose handshake worked.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The names that clients asked for, in order.
    pub(crate) fn names(&self) -> Vec<Option<String>> {
        self.names.lock().unwrap().clone()
    }
}
