//! Message push: what WeChat sends to a server of the operator, and how it is proved and answered.
//!
//! <https://developers.weixin.qq.com/doc/oplatform/developers/dev/push>. Knows the wire only; what an event means to us is
//! decided in `login`.

use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use data_encoding::HEXLOWER;
use url::form_urlencoded::parse;

use crate::clock::{from_unix_seconds, unix_seconds};
use crate::secret::Secret;

use super::AppId;

mod envelope;
mod fields;
mod message;
#[cfg(test)]
mod tests;

pub use envelope::PushKey;
pub use message::{Change, Event, PushMessage};

use fields::Fields;
use message::Form;

/// So far the time of a push may be from ours: WeChat tries again within seconds, so what is older was recorded by somebody.
const FRESH: Duration = Duration::from_secs(300);

/// How an app's message push is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushKeys {
    /// The token that WeChat's console shows.
    pub token: Secret<String>,
    /// Opens and seals messages. Without one only plain messages are understood.
    pub key: Option<PushKey>,
    /// Whether messages that are not sealed are taken: their signature says nothing about what they say.
    pub takes_plain: bool,
}

impl PushKeys {
    /// The query of WeChat's check of an address, which is to be answered with `echo`. Both texts are letters and digits.
    pub fn address_check(&self, nonce: &str, echo: &str, now: SystemTime) -> String {
        let timestamp = unix_seconds(now).to_string();
        let signature = sign([self.token.reveal(), &timestamp, nonce]);
        format!("signature={signature}&timestamp={timestamp}&nonce={nonce}&echostr={echo}")
    }
}

/// Why a push is not what it says. The caller's fault, whoever it is; never holds what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// Missing, doubled or wrong: not from WeChat, or the token is not the console's.
    #[error("signature is wrong")]
    Signature,
    /// Too old, or ahead of our clock: recorded and sent again, or a clock is wrong.
    #[error("timestamp is more than five minutes away")]
    Timestamp,
    /// A plain message where only sealed ones are taken: the mode at WeChat's console differs.
    #[error("message is not sealed")]
    Plain,
    /// It does not open: EncodingAESKey differs, or it is for another app.
    #[error("message does not open")]
    Sealed,
    /// Not a message: neither XML nor JSON, a DTD, an entity, too many fields.
    #[error("message cannot be read")]
    Malformed,
}

/// The query of a push, its signature checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushQuery {
    timestamp: String,
    nonce: String,
    signature: String,
    message_signature: Option<String>,
    echo: Option<String>,
}

impl PushQuery {
    /// Reads a query and checks that somebody who knows the token has made it, a moment ago.
    pub fn check(query: &str, keys: &PushKeys, now: SystemTime) -> Result<Self, PushError> {
        let only = |name: &str| {
            let mut values = parse(query.as_bytes()).filter(|(key, _)| key == name);
            match (values.next(), values.next()) {
                (Some((_, value)), None) => Some(value.into_owned()),
                _ => None,
            }
        };
        let (Some(timestamp), Some(nonce), Some(signature)) =
            (only("timestamp"), only("nonce"), only("signature"))
        else {
            return Err(PushError::Signature);
        };
        let right = sign([keys.token.reveal(), &timestamp, &nonce]);
        if verify_slices_are_equal(right.as_bytes(), signature.as_bytes()).is_err() {
            return Err(PushError::Signature);
        }
        if !is_fresh(&timestamp, now) {
            return Err(PushError::Timestamp);
        }
        Ok(Self {
            timestamp,
            nonce,
            signature,
            message_signature: only("msg_signature"),
            echo: only("echostr"),
        })
    }

    /// What WeChat wants to hear when the address is entered in its console; only what cannot be anything else.
    pub fn echo(&self) -> Option<&str> {
        let is_harmless = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-')
        };
        self.echo
            .as_deref()
            .filter(|echo| (1..=256).contains(&echo.len()) && echo.bytes().all(is_harmless))
    }

    /// Names this push: the same again is a replay or a second try.
    pub fn name(&self) -> String {
        sign([&self.timestamp, &self.nonce, &self.signature])
    }

    /// Opens and reads the body.
    pub fn open(
        &self,
        body: &[u8],
        keys: &PushKeys,
        app: &AppId,
    ) -> Result<PushMessage, PushError> {
        let fields = Fields::read(body)?;
        let sealed = fields.get("Encrypt").map(str::to_owned);
        let is_sealed = sealed.is_some();
        let is_json = Fields::is_json(body);
        let fields = match (&sealed, &keys.key) {
            (Some(sealed), Some(key)) => {
                let right = sign([keys.token.reveal(), &self.timestamp, &self.nonce, sealed]);
                let given = self.message_signature.as_deref().unwrap_or_default();
                if verify_slices_are_equal(right.as_bytes(), given.as_bytes()).is_err() {
                    return Err(PushError::Signature);
                }
                let plain = key.open(sealed, app).ok_or(PushError::Sealed)?;
                Fields::read(&plain)?
            }
            (Some(_), None) => return Err(PushError::Sealed),
            (None, _) if keys.takes_plain => fields,
            (None, _) => return Err(PushError::Plain),
        };
        Ok(PushMessage::of(&fields, Form { is_sealed, is_json }))
    }
}

/// SHA-1 over the sorted parts, which is what WeChat made of it.
fn sign<const PARTS: usize>(mut parts: [&str; PARTS]) -> String {
    parts.sort_unstable();
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part.as_bytes());
    }
    HEXLOWER.encode(context.finish().as_ref())
}

fn is_fresh(timestamp: &str, now: SystemTime) -> bool {
    let Ok(seconds) = timestamp.parse::<u64>() else {
        return false;
    };
    let sent = from_unix_seconds(seconds);
    let away = now
        .duration_since(sent)
        .unwrap_or_else(|ahead| ahead.duration());
    away <= FRESH
}
