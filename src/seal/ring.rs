//! Keys derived from secrets, and the form of a sealed text.
//!
//! A sealed text is base64url (RFC 4648, no padding) of: one byte version, four bytes key id, twelve bytes nonce, then the
//! ciphertext with its tag of sixteen bytes. Bound in as associated data are version, key id, purpose and context, each
//! text after its length, so that no two combinations give the same bytes.

use std::time::SystemTime;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, rand};
use data_encoding::BASE64URL_NOPAD;

use super::{Error, Purpose};
use crate::secret::Secret;

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES;
const TAG_BYTES: usize = 16;
/// Bytes of a secret that we make ourselves.
pub(super) const SECRET_BYTES: usize = 32;
/// Separates our keys from those of any other use of the same secret.
const SALT: &[u8] = b"wxgate sealed text 1";

/// One secret of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RingSecret {
    pub(super) bytes: Secret<Vec<u8>>,
    /// In whole seconds; means nothing for secrets that the operator gave.
    pub(super) created_at: SystemTime,
}

impl RingSecret {
    /// A new one.
    pub(super) fn random(now: SystemTime) -> Result<Self, Error> {
        let mut bytes = vec![0; SECRET_BYTES];
        rand::fill(&mut bytes).map_err(|_| Error::Random)?;
        let seconds = crate::clock::unix_seconds(now);
        Ok(Self {
            bytes: Secret::new(bytes),
            created_at: crate::clock::from_unix_seconds(seconds),
        })
    }
}

/// All keys, ready to use. Never changes: a rotation makes a new one.
#[derive(Debug)]
pub(super) struct Ring {
    secrets: Vec<RingSecret>,
    /// One per secret, in the same order: the first seals.
    keys: Vec<Keys>,
}

/// What is derived from one secret.
#[derive(Debug)]
struct Keys {
    id: [u8; KEY_ID_BYTES],
    session: LessSafeKey,
    attempts: LessSafeKey,
    form: LessSafeKey,
    token: LessSafeKey,
    record: LessSafeKey,
    app_token: LessSafeKey,
}

impl Ring {
    /// Derives all keys. There must be at least one secret.
    pub(super) fn new(secrets: Vec<RingSecret>) -> Self {
        let keys = secrets.iter().map(Keys::derive).collect();
        Self { secrets, keys }
    }

    pub(super) fn secrets(&self) -> &[RingSecret] {
        &self.secrets
    }

    #[expect(
        clippy::expect_used,
        reason = "sealing fails only for more bytes than memory holds, or without random bytes"
    )]
    pub(super) fn seal(&self, purpose: Purpose, context: &str, plain: &[u8]) -> String {
        let keys = &self.keys[0];
        let header = header(keys.id);
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).expect("the system gives random bytes");
        let mut text = Vec::with_capacity(HEADER_BYTES + NONCE_LEN + plain.len() + TAG_BYTES);
        text.extend_from_slice(&header);
        text.extend_from_slice(&nonce);
        text.extend_from_slice(plain);
        let bound = Aad::from(associated(header, purpose, context));
        let tag = keys
            .of(purpose)
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                bound,
                &mut text[HEADER_BYTES + NONCE_LEN..],
            )
            .expect("the plain text is short");
        text.extend_from_slice(tag.as_ref());
        BASE64URL_NOPAD.encode(&text)
    }

    pub(super) fn open(&self, purpose: Purpose, context: &str, sealed: &str) -> Option<Vec<u8>> {
        let mut bytes = BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?;
        let (header, rest) = bytes.split_first_chunk_mut::<HEADER_BYTES>()?;
        let (nonce, ciphertext) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
        let [version, id @ ..] = *header;
        if version != VERSION {
            return None;
        }
        let bound = associated(*header, purpose, context);
        // Ids are short, so two secrets could share one: a failed try spoils the bytes, hence the copy where there are more.
        let mut candidates = self.keys.iter().filter(|keys| keys.id == id).peekable();
        while let Some(keys) = candidates.next() {
            let mut copy = Vec::new();
            let target: &mut [u8] = if candidates.peek().is_some() {
                copy.extend_from_slice(ciphertext);
                &mut copy
            } else {
                ciphertext
            };
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let opened = keys
                .of(purpose)
                .open_in_place(nonce, Aad::from(bound.as_slice()), target);
            if let Ok(plain) = opened {
                return Some(plain.to_vec());
            }
        }
        None
    }
}

impl Keys {
    fn derive(secret: &RingSecret) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT);
        let root = salt.extract(secret.bytes.reveal());
        Self {
            id: expand(&root, "id"),
            session: key(&root, Purpose::Session),
            attempts: key(&root, Purpose::Attempts),
            form: key(&root, Purpose::Form),
            token: key(&root, Purpose::Token),
            record: key(&root, Purpose::Record),
            app_token: key(&root, Purpose::AppToken),
        }
    }

    fn of(&self, purpose: Purpose) -> &LessSafeKey {
        match purpose {
            Purpose::Session => &self.session,
            Purpose::Attempts => &self.attempts,
            Purpose::Form => &self.form,
            Purpose::Token => &self.token,
            Purpose::Record => &self.record,
            Purpose::AppToken => &self.app_token,
        }
    }
}

impl Purpose {
    /// Part of every sealed text; must never change.
    fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Attempts => "attempts",
            Self::Form => "form",
            Self::Token => "token",
            Self::Record => "record",
            Self::AppToken => "app token",
        }
    }
}

/// The key of one purpose.
#[expect(clippy::expect_used, reason = "32 bytes are a key of this cipher")]
fn key(root: &hkdf::Prk, purpose: Purpose) -> LessSafeKey {
    let bytes: [u8; 32] = expand(root, purpose.label());
    let key = UnboundKey::new(&AES_256_GCM, &bytes).expect("the length is right");
    LessSafeKey::new(key)
}

/// `N` bytes for one use.
#[expect(
    clippy::expect_used,
    reason = "the longest output, 32 bytes, is far below the limit of 8160"
)]
fn expand<const N: usize>(root: &hkdf::Prk, purpose: &str) -> [u8; N] {
    let mut bytes = [0; N];
    root.expand(&[b"wxgate ", purpose.as_bytes()], Length(N))
        .and_then(|output| output.fill(&mut bytes))
        .expect("the length is allowed");
    bytes
}

/// How many bytes to expand to.
#[derive(Clone, Copy)]
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn header(id: [u8; KEY_ID_BYTES]) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = id;
    [VERSION, a, b, c, d]
}

fn associated(header: [u8; HEADER_BYTES], purpose: Purpose, context: &str) -> Vec<u8> {
    let mut bound = Vec::with_capacity(HEADER_BYTES + 24 + context.len());
    bound.extend_from_slice(&header);
    for text in [purpose.label(), context] {
        bound.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bound.extend_from_slice(text.as_bytes());
    }
    bound
}
