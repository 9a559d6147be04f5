//! Mini programs: `wx.login` codes, session keys, and what WeChat's client signs and encrypts for a mini program.

use std::collections::HashMap;
use std::time::SystemTime;

use aws_lc_rs::cipher::{AES_128, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::iv::FixedLength;
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};

use super::person::Person;
use super::tokens::{CODE_LIFETIME, Refusal, random, random_word};
use crate::clock::unix_seconds;

/// A `wx.login` code.
#[derive(Debug)]
struct JsCode {
    appid: String,
    person: Person,
    expires: SystemTime,
    is_used: bool,
}

/// All mini programs' codes, and the present key of each person at each of them.
#[derive(Debug, Default)]
pub(super) struct MiniPrograms {
    codes: HashMap<String, JsCode>,
    keys: HashMap<(String, String), [u8; 16]>,
    /// By app and person: the minute, and how many codes were exchanged in it.
    exchanges: HashMap<(String, String), (u64, u32)>,
}

/// Codes of one person that WeChat exchanges in a minute.
const MOST_IN_A_MINUTE: u32 = 100;

/// What `wx.getUserInfo` and its kin give to a mini program, under WeChat's own names.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenData {
    /// The signed text.
    pub raw_data: String,
    /// `sha1(rawData + session_key)` in hex.
    pub signature: String,
    /// AES-128-CBC in base64.
    pub encrypted_data: String,
    /// In base64.
    pub iv: String,
}

impl MiniPrograms {
    /// What `wx.login` gives to the mini program.
    pub(super) fn mint(&mut self, appid: &str, person: &Person, now: SystemTime) -> String {
        self.codes.retain(|_, code| code.expires > now);
        let code = random_word();
        let entry = JsCode {
            appid: appid.to_owned(),
            person: person.clone(),
            expires: now + CODE_LIFETIME,
            is_used: false,
        };
        self.codes.insert(code.clone(), entry);
        code
    }

    /// Trades a code for a person and a new session key, once. The person's key from before is void then.
    pub(super) fn exchange(
        &mut self,
        appid: &str,
        code: &str,
        now: SystemTime,
    ) -> Result<(Person, String), Refusal> {
        let entry = self.codes.get_mut(code);
        let entry = entry.filter(|code| code.appid == appid && code.expires > now);
        let entry = entry.ok_or(Refusal(40029))?;
        let owner = (appid.to_owned(), entry.person.name.clone());
        let minute = unix_seconds(now) / 60;
        let (of, count) = self.exchanges.entry(owner.clone()).or_default();
        if std::mem::replace(of, minute) != minute {
            *count = 0;
        }
        *count += 1;
        if *count > MOST_IN_A_MINUTE {
            return Err(Refusal(45011));
        }
        if std::mem::replace(&mut entry.is_used, true) {
            return Err(Refusal(40163));
        }
        let (person, key) = (entry.person.clone(), random::<16>());
        self.keys.insert(owner, key);
        Ok((person, BASE64.encode(&key)))
    }

    /// The present key of a person.
    pub(super) fn key(&self, appid: &str, person: &str) -> Option<String> {
        let key = self.keys.get(&(appid.to_owned(), person.to_owned()))?;
        Some(BASE64.encode(key))
    }

    /// What WeChat's client would hand to the mini program now; `None` for somebody who never logged in there.
    pub(super) fn open_data(
        &self,
        appid: &str,
        watermark: &str,
        person: &Person,
        now: SystemTime,
    ) -> Option<OpenData> {
        let key = self.keys.get(&(appid.to_owned(), person.name.clone()))?;
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let shown = json!({ "nickName": person.nickname, "avatarUrl": person.avatar() });
        let mut secret = shown.clone();
        if let Value::Object(fields) = &mut secret {
            fields.insert("openId".to_owned(), json!(person.openid(appid)));
            fields.insert("unionId".to_owned(), json!(person.unionid()));
            let watermark = json!({ "appid": watermark, "timestamp": seconds });
            fields.insert("watermark".to_owned(), watermark);
        }
        let raw_data = shown.to_string();
        let signed = format!("{raw_data}{}", BASE64.encode(key));
        let signature = digest(&SHA1_FOR_LEGACY_USE_ONLY, signed.as_bytes());
        let iv = random::<16>();
        Some(OpenData {
            raw_data,
            signature: HEXLOWER.encode(signature.as_ref()),
            encrypted_data: encrypt(&secret, key, iv)?,
            iv: BASE64.encode(&iv),
        })
    }
}

fn encrypt(fields: &Value, key: &[u8; 16], iv: [u8; 16]) -> Option<String> {
    let key = UnboundCipherKey::new(&AES_128, key).ok()?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).ok()?;
    let mut bytes = fields.to_string().into_bytes();
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    key.less_safe_encrypt(&mut bytes, context).ok()?;
    Some(BASE64.encode(&bytes))
}
