//! Tokens for upstreams: claims and signing.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;

use crate::secret::Secret;

/// How tokens are signed.
#[derive(Clone, Debug)]
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

/// Where signing keys come from.
#[derive(Clone, Debug)]
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

/// What a token says.
#[derive(Clone, Debug, Serialize)]
pub struct Claims {
    /// The public URL.
    pub iss: String,
    /// The route's audience.
    pub aud: String,
    /// The person.
    pub sub: String,
    /// Issued at, Unix seconds; also `nbf`.
    pub iat: u64,
    /// Not before.
    pub nbf: u64,
    /// Expiry.
    pub exp: u64,
    /// Unique per minted token.
    pub jti: String,
    /// Names the session without giving it away.
    pub sid: String,
    /// When the visitor logged in.
    pub auth_time: u64,
    /// How.
    pub amr: Vec<&'static str>,
    /// The openid.
    pub openid: String,
    /// The unionid, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unionid: Option<String>,
    /// WeChat's id of the app.
    pub appid: String,
    /// The operator's name of the app.
    pub app: String,
    /// `snsapi_base` or `snsapi_userinfo`.
    pub scope: &'static str,
    /// Optional claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// Optional claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// Optional claim: when nickname and picture were fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_at: Option<u64>,
}

/// Why no token can be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file cannot be read or written.
    #[error("key file `{}`", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Signs tokens; knows which keys to publish.
#[derive(Debug)]
pub struct Minter {}

impl Minter {
    /// Reads or makes the keys. Blocking file access.
    pub fn open(_settings: Settings, _now: SystemTime) -> Result<Self, Error> {
        todo!()
    }

    /// The `iss` claim.
    pub fn issuer(&self) -> &str {
        todo!()
    }

    /// How long a token is valid.
    pub fn lifetime(&self) -> Duration {
        todo!()
    }

    /// How long a minted token may be reused: a third of its life.
    pub fn reuse_for(&self) -> Duration {
        todo!()
    }

    /// Changes when another key signs: kept tokens must be minted again.
    pub fn generation(&self) -> u64 {
        todo!()
    }

    /// Signs.
    pub fn mint(&self, _claims: &Claims) -> Result<String, Error> {
        todo!()
    }

    /// The public keys, next, active and previous. Never a shared secret.
    pub fn jwks(&self) -> Jwks {
        todo!()
    }

    /// Moves keys along when it is time. Blocking file access. Says whether anything changed; a failure keeps what was.
    pub fn rotate(&self, _now: SystemTime) -> Result<bool, Error> {
        todo!()
    }
}

/// The published key set.
#[derive(Clone, Debug)]
pub struct Jwks {
    /// `application/jwk-set+json`
    pub body: Bytes,
    /// A strong tag of the body.
    pub etag: HeaderValue,
}
