//! Tokens for upstreams: claims, signing, and the keys that others verify with.
//!
//! Formats: JWT (RFC 7519), JWS (RFC 7515), JWK (RFC 7517), thumbprints (RFC 7638), Ed25519 (RFC 8037).

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use data_encoding::BASE64URL_NOPAD;

use crate::secret::Secret;

mod claims;
mod file;
mod jwks;
mod key;
mod keys;
mod object;
mod rotate;
mod verify;

#[cfg(test)]
mod tests;

pub use claims::Claims;
pub use jwks::Jwks;
pub use key::{NewKey, generate};
pub use rotate::Rotated;
pub use verify::{Inspection, VerifyError, inspect, verify};

use key::Key;
use keys::Ring;

/// How tokens are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The `iss` claim.
    pub issuer: String,
    /// How long a token is valid.
    pub lifetime: Duration,
    /// Where the keys come from.
    pub keys: KeySource,
}

/// Algorithms that applications can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSA with 2048 bits.
    Rs256,
    /// A shared secret of 32 bytes or more; never published.
    Hs256,
}

impl Algorithm {
    /// Its name in a token and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Where signing keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Made on first start in this file (mode 0600) and rotated.
    Automatic {
        /// The file.
        file: PathBuf,
        /// How long a key is the active one.
        rotate_every: Duration,
    },
    /// Given by the operator: the first signs, all are published. PKCS#8 PEM, or the shared secret for HS256.
    Given(Vec<Secret<String>>),
    /// Made for this process only (tests, demo).
    Ephemeral,
}

/// Why no token can be made. Never shows a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file cannot be read or written. The operator's to fix.
    #[error("key file `{}`", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The key file is not as we wrote it. Restore it, or remove it to get new keys.
    #[error("key file `{}` is damaged: {problem}", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A given key is not what it must be.
    #[error("key {position} is no PKCS#8 private key in PEM for {algorithm}")]
    Key {
        /// Counted from 1.
        position: usize,
        /// What it must fit.
        algorithm: Algorithm,
    },
    /// A given shared secret is too short to be one.
    #[error("secret {position} has {length} bytes, at least 32 are needed for HS256")]
    ShortSecret {
        /// Counted from 1.
        position: usize,
        /// Bytes it has.
        length: usize,
    },
    /// HS256 without a secret: applications could not know one that is made here.
    #[error("HS256 needs a given secret of at least 32 bytes")]
    NoSecret,
    /// The list of given keys is empty.
    #[error("no key is given")]
    NoKey,
    /// The system gave no random bytes, or the library no key.
    #[error("no key can be made")]
    Generate,
    /// The library did not sign.
    #[error("token cannot be signed")]
    Sign,
    /// The claims cannot be written as JSON.
    #[error("claims")]
    Claims(#[source] serde_json::Error),
}

/// Signs tokens; knows which keys to publish.
#[derive(Debug)]
pub struct Minter {
    issuer: String,
    lifetime: Duration,
    algorithm: Algorithm,
    /// What requests use; replaced as a whole.
    current: ArcSwap<Current>,
    generation: AtomicU64,
    /// Only where keys rotate. Locked while the file is written, so that two rotations cannot cross.
    rotating: Option<Mutex<Rotating>>,
}

#[derive(Debug)]
struct Current {
    key: Arc<Key>,
    jwks: Jwks,
}

#[derive(Debug)]
struct Rotating {
    ring: Ring,
    file: PathBuf,
    every: Duration,
}

impl Minter {
    /// Reads or makes the keys. Blocking file access.
    pub fn open(settings: Settings, now: SystemTime) -> Result<Self, Error> {
        let algorithm = settings.algorithm;
        let mut rotating = None;
        let (key, jwks) = match settings.keys {
            KeySource::Automatic { file, rotate_every } => {
                let ring = keys::open(&file, algorithm, now)?;
                let published = (ring.signing_key(), ring.publish());
                rotating = Some(Mutex::new(Rotating {
                    ring,
                    file,
                    every: rotate_every,
                }));
                published
            }
            KeySource::Given(texts) => publish_all(given(&texts, algorithm)?)?,
            KeySource::Ephemeral => publish_all(vec![key::ephemeral(algorithm)?])?,
        };
        Ok(Self {
            issuer: settings.issuer,
            lifetime: settings.lifetime,
            algorithm,
            generation: AtomicU64::new(key.generation()),
            current: ArcSwap::from_pointee(Current { key, jwks }),
            rotating,
        })
    }

    /// The `iss` claim.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// How tokens are signed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How long a token is valid.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// How long a minted token may be reused: a third of its life.
    pub fn reuse_for(&self) -> Duration {
        self.lifetime / 3
    }

    /// Changes when another key signs: kept tokens must be minted again. The same key has the same number in every process.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Signs.
    pub fn mint(&self, claims: &Claims) -> Result<String, Error> {
        let claims = serde_json::to_vec(claims).map_err(Error::Claims)?;
        let current = self.current.load();
        let mut token = String::with_capacity(512 + claims.len() * 4 / 3);
        token.push_str(current.key.header());
        token.push('.');
        BASE64URL_NOPAD.encode_append(&claims, &mut token);
        let signature = current.key.sign(token.as_bytes())?;
        token.push('.');
        BASE64URL_NOPAD.encode_append(&signature, &mut token);
        Ok(token)
    }

    /// The public keys, next, active and previous. Never a shared secret. Cheap: they are kept ready.
    pub fn jwks(&self) -> Jwks {
        self.current.load().jwks.clone()
    }

    /// The `kid` of the key that signs and since when it does; only of [`KeySource::Automatic`].
    pub fn signing_since(&self) -> Option<(String, SystemTime)> {
        let rotating = self.rotating.as_ref()?;
        let rotating = rotating.lock().unwrap_or_else(PoisonError::into_inner);
        rotating.ring.signing_since()
    }
}

fn given(texts: &[Secret<String>], algorithm: Algorithm) -> Result<Vec<Arc<Key>>, Error> {
    texts
        .iter()
        .zip(1..)
        .map(|(text, position)| key::from_text(text, algorithm, position).map(Arc::new))
        .collect()
}

/// The first key signs; all are published.
fn publish_all(keys: Vec<Arc<Key>>) -> Result<(Arc<Key>, Jwks), Error> {
    let first = keys.first().ok_or(Error::NoKey)?;
    let jwks = jwks::publish(keys.iter().map(Arc::as_ref));
    Ok((Arc::clone(first), jwks))
}
