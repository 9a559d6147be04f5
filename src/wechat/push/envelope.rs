//! The envelope of safe mode: AES-256-CBC with the key's own first bytes as vector, padded to 32 bytes.

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use data_encoding::{BASE64, Encoding, Specification};

use crate::secret::Secret;
use crate::wechat::AppId;

/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// Letters of EncodingAESKey.
const KEY_LETTERS: usize = 43;
/// Random bytes before a message.
const SALT_BYTES: usize = 16;
/// Bytes that say how long the message is.
const LENGTH_BYTES: usize = 4;
/// What is padded to.
const BLOCK: usize = 32;

/// An app's EncodingAESKey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushKey(Secret<[u8; KEY_BYTES]>);

impl PushKey {
    /// Reads the 43 letters that WeChat's console shows.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != KEY_LETTERS {
            return None;
        }
        let bytes = lenient().decode(format!("{text}=").as_bytes()).ok()?;
        Some(Self(Secret::new(bytes.try_into().ok()?)))
    }

    /// The message in an envelope for this app. Every failure is the same, so that nobody learns about the padding.
    pub(super) fn open(&self, sealed: &str, app: &AppId) -> Option<Vec<u8>> {
        let mut bytes = BASE64.decode(sealed.as_bytes()).ok()?;
        let key = UnboundCipherKey::new(&AES_256, self.0.reveal()).ok()?;
        let context = DecryptionContext::Iv128(self.vector());
        let plain = DecryptingKey::cbc(key)
            .and_then(|key| key.decrypt(&mut bytes, context).map(|plain| plain.to_vec()))
            .ok()?;
        let padding = usize::from(*plain.last()?);
        let is_padding = (1..=BLOCK).contains(&padding)
            && plain.len() >= padding
            && plain
                .iter()
                .rev()
                .take(padding)
                .all(|byte| usize::from(*byte) == padding);
        if !is_padding {
            return None;
        }
        let (_, rest) = plain
            .get(..plain.len() - padding)?
            .split_at_checked(SALT_BYTES)?;
        let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (message, receiver) = rest.split_at_checked(length)?;
        (receiver == app.as_str().as_bytes()).then(|| message.to_vec())
    }

    /// An envelope from this app. `None` only when the system gives no random bytes.
    pub(super) fn seal(&self, message: &[u8], app: &AppId) -> Option<String> {
        let mut bytes = vec![0; SALT_BYTES];
        rand::fill(&mut bytes).ok()?;
        bytes.extend_from_slice(&u32::try_from(message.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(message);
        bytes.extend_from_slice(app.as_str().as_bytes());
        let padding = BLOCK - bytes.len() % BLOCK;
        bytes.resize(bytes.len() + padding, u8::try_from(padding).ok()?);
        let key = UnboundCipherKey::new(&AES_256, self.0.reveal()).ok()?;
        let context = EncryptionContext::Iv128(self.vector());
        EncryptingKey::cbc(key)
            .and_then(|key| key.less_safe_encrypt(&mut bytes, context))
            .ok()?;
        Some(BASE64.encode(&bytes))
    }

    fn vector(&self) -> FixedLength<16> {
        let [vector @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *self.0.reveal();
        FixedLength::from(vector)
    }
}

/// Base64 that does not mind the two bits too many of a key's last letter: consoles make it of random letters.
#[expect(clippy::expect_used, reason = "the alphabet is valid, a test uses it")]
fn lenient() -> Encoding {
    let mut specification: Specification = BASE64.specification();
    specification.check_trailing_bits = false;
    specification.encoding().expect("the alphabet is valid")
}
