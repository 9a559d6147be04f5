//! Certificates by server name; loaded again when their files change.
//!
//! The files are compared by content: a rename, a rewritten file and a swapped symbolic link all look alike. What cannot be
//! used is refused, and the certificate that is in use stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::{Certificate, CertificateError, CertificateFiles, Content, Pair};
use crate::observe::ListenerMetrics;

/// The certificates of one listener. A client that names no server, or an unknown one, gets the first.
#[derive(Debug)]
pub(super) struct Certificates {
    files: Vec<CertificateFiles>,
    provider: Arc<CryptoProvider>,
    table: ArcSwap<Table>,
    /// Bad content that was seen, for each pair.
    suspects: Mutex<Vec<Option<Suspect>>>,
}

/// Which certificate is for which name.
#[derive(Debug, Default)]
struct Table {
    certificates: Vec<Arc<Certificate>>,
    /// Names as they stand in certificates, wildcards with their `*`.
    by_name: HashMap<String, usize>,
}

/// Files that hold something that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspect {
    /// Seen once: perhaps somebody is writing.
    Seen(Option<Content>),
    /// Seen twice and told.
    Told(Option<Content>),
}

/// What was found instead of a certificate. There is no content where a file could not be read.
struct Refused {
    content: Option<Content>,
    error: CertificateError,
}

impl Table {
    fn new(certificates: Vec<Arc<Certificate>>) -> Self {
        let mut by_name = HashMap::new();
        for (index, certificate) in certificates.iter().enumerate() {
            for name in certificate.names() {
                by_name.entry(name.clone()).or_insert(index);
            }
        }
        Self {
            certificates,
            by_name,
        }
    }

    fn find(&self, server: Option<&str>) -> Option<&Arc<Certificate>> {
        let index = server.and_then(|server| {
            let server = server.trim_end_matches('.').to_ascii_lowercase();
            let below = || {
                let (_, rest) = server.split_once('.')?;
                self.by_name.get(&format!("*.{rest}"))
            };
            self.by_name.get(&server).or_else(below).copied()
        });
        self.certificates.get(index.unwrap_or(0))
    }
}

impl Certificates {
    /// Loads every pair. Blocking file access.
    pub(super) fn load(
        files: Vec<CertificateFiles>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, CertificateError> {
        let now = SystemTime::now();
        let load = |files| {
            Pair::read(files)?
                .parse(files, &provider, now)
                .map(Arc::new)
        };
        let certificates: Vec<_> = files.iter().map(load).collect::<Result<_, _>>()?;
        Ok(Self {
            suspects: Mutex::new(vec![None; files.len()]),
            table: ArcSwap::from_pointee(Table::new(certificates)),
            files,
            provider,
        })
    }

    /// Tells the metrics what is in use instead of what was before.
    pub(super) fn show(&self, before: Option<&Self>, metrics: &ListenerMetrics) {
        let before = before.map(|before| before.table.load_full());
        let before = before.iter().flat_map(|table| &table.certificates);
        let table = self.table.load();
        let now = table.certificates.iter();
        metrics.certificates(
            before.map(|one| one.subject()),
            now.map(|one| (one.subject(), one.ends())),
        );
    }

    /// Takes what changed on disk. A pair that cannot be used is told once, when it is still the same at the next look; the
    /// one in use stays. Blocking file access.
    pub(super) fn refresh(&self, metrics: &ListenerMetrics) {
        let before = self.table.load_full();
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        let mut certificates = before.certificates.clone();
        let mut renewed = Vec::new();
        for ((files, current), suspect) in self
            .files
            .iter()
            .zip(&mut certificates)
            .zip(suspects.iter_mut())
        {
            match self.look(files, current) {
                Ok(None) => *suspect = None,
                Ok(Some(new)) => {
                    metrics.certificate_reloaded("ok");
                    (*current, *suspect) = (Arc::new(new), None);
                    renewed.push(Arc::clone(current));
                }
                Err(refused) => {
                    let content = refused.content;
                    *suspect = Some(match *suspect {
                        Some(Suspect::Told(told)) if told == content => Suspect::Told(content),
                        Some(Suspect::Seen(seen)) if seen == content => {
                            let error: &dyn std::error::Error = &refused.error;
                            tracing::error!(error, "certificate refused, the old one stays");
                            metrics.certificate_reloaded("refused");
                            Suspect::Told(content)
                        }
                        _ => Suspect::Seen(content),
                    });
                }
            }
        }
        if !renewed.is_empty() {
            let new = Table::new(certificates);
            let now = new.certificates.iter();
            metrics.certificates(
                before.certificates.iter().map(|one| one.subject()),
                now.map(|one| (one.subject(), one.ends())),
            );
            self.table.store(Arc::new(new));
        }
        // When it is true for whoever reads it.
        for certificate in renewed {
            tracing::info!(
                certificate = certificate.subject(),
                "certificate loaded again"
            );
        }
    }

    /// `None` where the files hold what is in use.
    fn look(
        &self,
        files: &CertificateFiles,
        current: &Certificate,
    ) -> Result<Option<Certificate>, Box<Refused>> {
        let refused = |content, error| Box::new(Refused { content, error });
        let pair = Pair::read(files).map_err(|error| refused(None, error))?;
        let content = pair.content();
        if content == current.content {
            return Ok(None);
        }
        pair.parse(files, &self.provider, SystemTime::now())
            .map(Some)
            .map_err(|error| refused(Some(content), error))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        let found = table.find(hello.server_name())?;
        Some(Arc::clone(&found.key))
    }
}
