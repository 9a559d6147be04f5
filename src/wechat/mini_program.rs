//! Mini programs: what a `wx.login` code brings, and what WeChat's client encrypted for us.
//!
//! Facts: `code2Session` and "signature verification and encryption of open data" in WeChat's documentation
//! (<https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/signature.html>).

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::iv::FixedLength;
use data_encoding::{BASE64, HEXLOWER};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::clock::unix_seconds;
use crate::secret::Secret;

use super::call::Call;
use super::fields::{integer, parse_openid, parse_unionid};
use super::{App, AppId, Client, Code, Error, OpenId, UnionId};

/// How old encrypted data may be: it is sent right after it was made.
const FRESH: Duration = Duration::from_secs(600);
/// How far WeChat's clock may be ahead of ours.
const LEEWAY: Duration = Duration::from_secs(60);
/// Bytes of an AES-128 key and of an initialisation vector.
const BLOCK: usize = 16;

/// What a `wx.login` code tells.
#[derive(Clone, Debug)]
pub struct MiniProgramGrant {
    /// Who, for this mini program.
    pub openid: OpenId,
    /// Who, for all apps of the operator; known when the mini program is bound to an open platform account.
    pub unionid: Option<UnionId>,
    /// Opens what the client encrypts for us. It never leaves this program.
    pub session_key: SessionKey,
}

/// The key that WeChat's client and we share for one login of one person.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey(Secret<String>);

/// Why data of the client is refused. Which of its parts is wrong is not told: that would help to guess the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("data was not made by WeChat for this login")]
pub struct NotGenuine;

impl Client {
    /// Trades a `wx.login` code for a person. Always a GET: WeChat answers a POST with "appid missing".
    ///
    /// Sent once; again only when WeChat says that it was busy or nothing was sent. Dropping the future loses the code.
    pub async fn code_to_session(&self, app: &App, code: &Code) -> Result<MiniProgramGrant, Error> {
        let query = [
            ("appid", app.id.as_str()),
            ("secret", app.secret.reveal().as_str()),
            ("js_code", code.reveal()),
            ("grant_type", "authorization_code"),
        ];
        let call = Call {
            app,
            endpoint: "jscode2session",
            path: "/sns/jscode2session",
            query: &query,
            deadline: Instant::now() + self.timeout(),
            trace: self.trace.as_ref(),
        };
        let answer: SessionAnswer = self.shared.caller.send(call).await?;
        answer.into_grant()
    }
}

impl SessionKey {
    /// Takes base64 of 16 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let key = Self(Secret::new(text.to_owned()));
        key.bytes().map(|_| key)
    }

    /// The key as WeChat wrote it, to be sealed.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// Whether WeChat's client signed this text: `sha1(rawData + session_key)` in hex.
    pub fn check_signature(&self, raw_data: &str, signature: &str) -> Result<(), NotGenuine> {
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        context.update(raw_data.as_bytes());
        context.update(self.reveal().as_bytes());
        let expected = HEXLOWER.encode(context.finish().as_ref());
        verify_slices_are_equal(expected.as_bytes(), signature.as_bytes()).map_err(|_| NotGenuine)
    }

    /// What WeChat's client encrypted for this app a short time ago, without ids of the person and without the watermark.
    ///
    /// AES-128-CBC with PKCS#7, both parts in base64. Data for another app, or older than ten minutes, is refused.
    pub fn decrypt(
        &self,
        encrypted: &str,
        iv: &str,
        app_id: &AppId,
        now: SystemTime,
    ) -> Result<Map<String, Value>, NotGenuine> {
        let plain = self.open(encrypted, iv).ok_or(NotGenuine)?;
        let mut fields: Map<String, Value> =
            serde_json::from_slice(&plain).map_err(|_| NotGenuine)?;
        let watermark = fields.remove("watermark").ok_or(NotGenuine)?;
        let is_ours = watermark.get("appid").and_then(Value::as_str) == Some(app_id.as_str());
        if !is_ours || !is_fresh(&watermark, now) {
            return Err(NotGenuine);
        }
        for id in ["openId", "unionId", "openid", "unionid"] {
            fields.remove(id);
        }
        Ok(fields)
    }

    fn open(&self, encrypted: &str, iv: &str) -> Option<Vec<u8>> {
        let iv: [u8; BLOCK] = BASE64.decode(iv.as_bytes()).ok()?.try_into().ok()?;
        let mut bytes = BASE64.decode(encrypted.as_bytes()).ok()?;
        let key = UnboundCipherKey::new(&AES_128, &self.bytes()?).ok()?;
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).ok()?;
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        let plain = key.decrypt(&mut bytes, context).ok()?;
        Some(plain.to_vec())
    }

    fn bytes(&self) -> Option<[u8; BLOCK]> {
        let bytes = BASE64.decode(self.reveal().as_bytes()).ok()?;
        bytes.try_into().ok()
    }
}

fn is_fresh(watermark: &Value, now: SystemTime) -> bool {
    let made = watermark.get("timestamp").and_then(integer);
    let Some(made) = made.and_then(|made| u64::try_from(made).ok()) else {
        return false;
    };
    let now = unix_seconds(now);
    made <= now.saturating_add(LEEWAY.as_secs()) && now.saturating_sub(made) <= FRESH.as_secs()
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SessionAnswer {
    openid: Value,
    unionid: Value,
    session_key: Value,
}

impl SessionAnswer {
    fn into_grant(self) -> Result<MiniProgramGrant, Error> {
        let session_key = self.session_key.as_str().and_then(SessionKey::parse);
        Ok(MiniProgramGrant {
            openid: parse_openid(&self.openid)?,
            unionid: parse_unionid(&self.unionid, false)?,
            session_key: session_key.ok_or(Error::Field("session_key"))?,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use aws_lc_rs::cipher::{EncryptionContext, PaddedBlockEncryptingKey};

    use super::*;
    use crate::clock::from_unix_seconds;

    /// From WeChat's own example.
    const KEY: &str = "tiihtNczf5v6AKRyjwEUhQ==";
    const MADE: u64 = 1_477_314_187;

    fn key() -> SessionKey {
        SessionKey::parse(KEY).unwrap()
    }

    fn app() -> AppId {
        AppId::parse("wx4f4bc4dec97d474b").unwrap()
    }

    /// What WeChat's client would send.
    fn encrypt(plain: &str, key: &SessionKey, iv: [u8; BLOCK]) -> String {
        let key = UnboundCipherKey::new(&AES_128, &key.bytes().unwrap()).unwrap();
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).unwrap();
        let mut bytes = plain.as_bytes().to_vec();
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        key.less_safe_encrypt(&mut bytes, context).unwrap();
        BASE64.encode(&bytes)
    }

    fn made_by(app: &str, timestamp: u64) -> String {
        format!(
            r#"{{"nickName":"Band","openId":"o1","unionId":"u1","watermark":{{"timestamp":{timestamp},"appid":"{app}"}}}}"#
        )
    }

    fn decrypt(plain: &str, now: u64) -> Result<Map<String, Value>, NotGenuine> {
        let encrypted = encrypt(plain, &key(), [7; BLOCK]);
        let iv = BASE64.encode(&[7; BLOCK]);
        key().decrypt(&encrypted, &iv, &app(), from_unix_seconds(now))
    }

    #[test]
    fn data_for_this_app_is_opened_without_ids() {
        let fields = decrypt(&made_by("wx4f4bc4dec97d474b", MADE), MADE + 600).unwrap();

        assert_eq!(
            Value::Object(fields),
            serde_json::json!({ "nickName": "Band" })
        );
    }

    #[test]
    fn data_with_a_foreign_or_stale_watermark_is_refused() {
        let app = "wx4f4bc4dec97d474b";
        let table = [
            (made_by("wx00000000000000aa", MADE), MADE),
            (made_by("", MADE), MADE),
            (made_by(app, MADE), MADE + 601),
            (made_by(app, MADE), MADE - 61),
            (r#"{"nickName":"Band"}"#.to_owned(), MADE),
            (
                r#"{"watermark":{"appid":"wx4f4bc4dec97d474b"}}"#.to_owned(),
                MADE,
            ),
            ("[]".to_owned(), MADE),
        ];
        for (plain, now) in table {
            assert_eq!(decrypt(&plain, now), Err(NotGenuine), "{plain}");
        }
    }

    #[test]
    fn data_of_another_key_or_of_no_key_is_refused() {
        let plain = made_by("wx4f4bc4dec97d474b", MADE);
        let other = SessionKey::parse("o0q0otL8aEzpcZL/FT9WsQ==").unwrap();
        let iv = BASE64.encode(&[7; BLOCK]);
        let right = encrypt(&plain, &key(), [7; BLOCK]);
        let now = from_unix_seconds(MADE);
        for (encrypted, iv) in [
            (encrypt(&plain, &other, [7; BLOCK]).as_str(), iv.as_str()),
            (&right, "AAAA"),
            (&right, "*"),
            (right.get(4..).unwrap(), &iv),
            ("", &iv),
            ("*", &iv),
        ] {
            let opened = key().decrypt(encrypted, iv, &app(), now);
            assert_eq!(opened, Err(NotGenuine), "{encrypted} {iv}");
        }
    }

    #[test]
    fn a_signature_counts_only_for_its_text_and_key() {
        // From the page named above.
        let key = SessionKey::parse("HyVFkGl5F5OQWJZZaNzBBg==").unwrap();
        let raw_data = r#"{"nickName":"Band","gender":1,"language":"zh_CN","city":"Guangzhou","province":"Guangdong","country":"CN","avatarUrl":"http://wx.qlogo.cn/mmopen/vi_32/1vZvI39NWFQ9XM4LtQpFrQJ1xlgZxx3w7bQxKARol6503Iuswjjn6nIGBiaycAjAtpujxyzYsrztuuICqIM5ibXQ/0"}"#;
        let signature = "75e81ceda165f4ffa64f4068af58c64b8f54b88c";

        assert_eq!(key.check_signature(raw_data, signature), Ok(()));
        let other = SessionKey::parse(KEY).unwrap();
        assert_eq!(other.check_signature(raw_data, signature), Err(NotGenuine));
        assert_eq!(key.check_signature("{}", signature), Err(NotGenuine));
        for wrong in ["", "75e8", &signature.to_uppercase()] {
            assert_eq!(key.check_signature(raw_data, wrong), Err(NotGenuine));
        }
    }

    #[test]
    fn a_key_is_sixteen_bytes_and_never_printed() {
        for wrong in ["", "AAAA", "not base64", "tiihtNczf5v6AKRyjwEUhQ"] {
            assert_eq!(SessionKey::parse(wrong), None, "{wrong}");
        }
        assert_eq!(format!("{:?}", key()), "Secret(…)");
    }
}
