//! One certificate and its key, as two files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use ::aws_lc_rs::digest::{Context, SHA256};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use zeroize::Zeroizing;

/// Where a certificate chain and its key are, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The server's certificate first, then those that lead to a root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why a certificate cannot be used. Ours to fix.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no certificate in the file, or a broken one.
    #[error("`{}` holds no readable certificate in PEM form", .path.display())]
    NoCertificate {
        /// Which.
        path: PathBuf,
    },
    /// There is no private key in the file, or a broken one.
    #[error("`{}` holds no readable private key in PEM form", .path.display())]
    NoKey {
        /// Which.
        path: PathBuf,
    },
    /// The key belongs to another certificate, or is of a kind that TLS does not know.
    #[error("`{}` is not the key of `{}`", .files.key.display(), .files.cert.display())]
    Mismatch {
        /// Both.
        files: CertificateFiles,
        /// What the library says.
        #[source]
        source: rustls::Error,
    },
    /// Its time is over.
    #[error("`{}` has expired", .path.display())]
    Expired {
        /// Which.
        path: PathBuf,
        /// Since when.
        ended: SystemTime,
    },
}

/// A certificate that can be used.
#[derive(Debug)]
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    names: Vec<String>,
    ends: SystemTime,
    pub(super) content: Content,
}

/// SHA-256 of both files.
pub(super) type Content = [u8; 32];

impl Certificate {
    /// Reads and checks a pair. Blocking file access.
    pub fn load(files: &CertificateFiles, now: SystemTime) -> Result<Self, CertificateError> {
        Pair::read(files)?.parse(files, &aws_lc_rs::default_provider(), now)
    }

    /// When it ends.
    pub fn ends(&self) -> SystemTime {
        self.ends
    }

    /// Names of servers that it is for, lower-case, maybe with `*.` in front.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What it is called in metrics.
    pub(super) fn subject(&self) -> &str {
        self.names.first().map_or("no-name", String::as_str)
    }
}

/// The content of two files.
pub(super) struct Pair {
    cert: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Pair {
    pub(super) fn read(files: &CertificateFiles) -> Result<Self, CertificateError> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|source| CertificateError::Unreadable {
                path: path.clone(),
                source,
            })
        };
        Ok(Self {
            cert: read(&files.cert)?,
            key: Zeroizing::new(read(&files.key)?),
        })
    }

    pub(super) fn content(&self) -> Content {
        let mut context = Context::new(&SHA256);
        context.update(&(self.cert.len() as u64).to_be_bytes());
        context.update(&self.cert);
        context.update(&self.key);
        let mut content = Content::default();
        content.copy_from_slice(context.finish().as_ref());
        content
    }

    pub(super) fn parse(
        &self,
        files: &CertificateFiles,
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Certificate, CertificateError> {
        let no_certificate = || CertificateError::NoCertificate {
            path: files.cert.clone(),
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.cert).collect();
        let chain = chain.map_err(|_| no_certificate())?;
        let first = chain.first().ok_or_else(no_certificate)?;
        let (names, ends) = facts(first).ok_or_else(no_certificate)?;
        let key =
            PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| CertificateError::NoKey {
                path: files.key.clone(),
            })?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|source| {
            CertificateError::Mismatch {
                files: files.clone(),
                source,
            }
        })?;
        if ends <= now {
            return Err(CertificateError::Expired {
                path: files.cert.clone(),
                ended: ends,
            });
        }
        Ok(Certificate {
            key: Arc::new(key),
            names,
            ends,
            content: self.content(),
        })
    }
}

/// Names and end of a certificate.
fn facts(certificate: &[u8]) -> Option<(Vec<String>, SystemTime)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()?;
    let names = names
        .into_iter()
        .flat_map(|extension| &extension.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let ends = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    Some((names.collect(), UNIX_EPOCH + Duration::from_secs(ends)))
}
