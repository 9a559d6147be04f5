//! What WeChat sends to an operator's server: signed, sealed or plain, as XML or JSON.

use std::time::SystemTime;

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::iv::FixedLength;
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Map, Value, json};

use super::tokens::random_word;
use crate::clock::unix_seconds;

/// An account whose messages are pushed somewhere.
#[derive(Clone, Debug)]
pub struct PushAccount {
    /// The app that sealed messages are for.
    pub appid: String,
    /// The token that both sides know.
    pub token: String,
    /// The bytes of EncodingAESKey; `None` pushes plain messages.
    pub key: Option<[u8; 32]>,
    /// Whether messages are JSON; service accounts get XML only.
    pub is_json: bool,
}

/// A push, ready to be sent as it is, changed, or twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Without `?`.
    pub query: String,
    /// The body.
    pub body: String,
}

impl PushAccount {
    /// The query with which WeChat checks an address.
    pub fn check(&self, echo: &str, now: SystemTime) -> String {
        let (timestamp, nonce) = (unix_seconds(now).to_string(), "1514711492");
        let signature = self.sign(&[&timestamp, nonce]);
        format!("signature={signature}&timestamp={timestamp}&nonce={nonce}&echostr={echo}")
    }

    /// A person changed what an app may know: `event` is `user_authorization_revoke`, `user_authorization_cancellation`
    /// or `user_info_modified`. The unionid is seldom told.
    pub fn consent(
        &self,
        event: &str,
        openid: &str,
        unionid: Option<&str>,
        now: SystemTime,
    ) -> Push {
        let mut fields = vec![
            // It comes from the platform; who it is about is said below.
            ("FromUserName", "gh_platform"),
            ("Event", event),
            ("OpenID", openid),
            ("AppID", &self.appid),
            ("RevokeInfo", "205"),
        ];
        fields.extend(unionid.map(|unionid| ("UnionID", unionid)));
        self.event(&fields, now)
    }

    /// A person read a code; `is_new` means that the person follows the account only now.
    pub fn scan(
        &self,
        openid: &str,
        (scene, ticket): (&str, &str),
        is_new: bool,
        now: SystemTime,
    ) -> Push {
        let (event, key) = match is_new {
            true => ("subscribe", format!("qrscene_{scene}")),
            false => ("SCAN", scene.to_owned()),
        };
        let fields = [
            ("FromUserName", openid),
            ("Event", event),
            ("EventKey", &key),
            ("Ticket", ticket),
        ];
        self.event(&fields, now)
    }

    fn event(&self, fields: &[(&str, &str)], now: SystemTime) -> Push {
        let created = unix_seconds(now).to_string();
        let mut all = vec![
            ("ToUserName", "gh_account"),
            ("CreateTime", created.as_str()),
            ("MsgType", "event"),
        ];
        all.extend_from_slice(fields);
        let message = match self.is_json {
            true => as_json(&all),
            false => as_xml(&all),
        };
        self.push(&message, now)
    }

    /// Signs and seals any message.
    pub fn push(&self, message: &str, now: SystemTime) -> Push {
        let (timestamp, nonce) = (unix_seconds(now).to_string(), random_word());
        let signature = self.sign(&[&timestamp, &nonce]);
        let query = format!("signature={signature}&timestamp={timestamp}&nonce={nonce}");
        let Some(key) = &self.key else {
            let body = message.to_owned();
            return Push { query, body };
        };
        let sealed = seal(key, message, &self.appid);
        let signature = self.sign(&[&timestamp, &nonce, &sealed]);
        let fields = [("ToUserName", "gh_account"), ("Encrypt", sealed.as_str())];
        Push {
            query: format!("{query}&encrypt_type=aes&msg_signature={signature}"),
            body: match self.is_json {
                true => as_json(&fields),
                false => as_xml(&fields),
            },
        }
    }

    pub(super) fn sign(&self, more: &[&str]) -> String {
        let mut parts = vec![self.token.as_str()];
        parts.extend_from_slice(more);
        parts.sort_unstable();
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes());
        HEXLOWER.encode(hash.as_ref())
    }
}

#[expect(
    clippy::expect_used,
    reason = "the key has the length of the cipher and the text that of its blocks"
)]
fn seal(key: &[u8; 32], message: &str, appid: &str) -> String {
    let mut text = random_word().into_bytes();
    text.truncate(16);
    let length = u32::try_from(message.len()).expect("messages are short");
    text.extend(length.to_be_bytes());
    text.extend(message.bytes());
    text.extend(appid.bytes());
    let padding = 32 - text.len() % 32;
    text.extend(std::iter::repeat_n(
        u8::try_from(padding).expect("at most 32"),
        padding,
    ));
    let mut vector = [0; 16];
    vector.copy_from_slice(&key[..16]);
    let context = EncryptionContext::Iv128(FixedLength::from(vector));
    UnboundCipherKey::new(&AES_256, key)
        .and_then(EncryptingKey::cbc)
        .and_then(|key| key.less_safe_encrypt(&mut text, context))
        .expect("whole blocks");
    BASE64.encode(&text)
}

/// Numbers without, everything else within CDATA.
fn as_xml(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| match value.parse::<u64>() {
        Ok(number) => format!("<{name}>{number}</{name}>\n"),
        Err(_) => format!("<{name}><![CDATA[{value}]]></{name}>\n"),
    };
    format!(
        "<xml>{}</xml>",
        fields.iter().map(field).collect::<String>()
    )
}

/// Some names have a space before them, as in the published samples.
fn as_json(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        let name = match *name {
            "OpenID" | "UnionID" | "RevokeInfo" => format!(" {name}"),
            name => name.to_owned(),
        };
        (name, json!(value))
    };
    Value::Object(fields.iter().map(field).collect::<Map<_, _>>()).to_string()
}
