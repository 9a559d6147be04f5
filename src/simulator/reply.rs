//! What an account answers to a push: proved, opened and read as WeChat does.

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use data_encoding::BASE64;
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;
use serde_json::Value;

use super::push::PushAccount;

impl PushAccount {
    /// The text that an answer sends to this person.
    ///
    /// `None` for `success`, for an answer that is not signed or sealed as the push was, and for one to somebody else.
    pub fn read_reply(&self, answer: &str, openid: &str) -> Option<String> {
        let opened = match &self.key {
            None => answer.to_owned(),
            Some(key) => self.open(key, answer)?,
        };
        let field = |name: &str| self.field(&opened, name);
        let is_text = field("MsgType")? == "text" && field("ToUserName")? == openid;
        field("CreateTime")?.parse::<u64>().ok()?;
        let is_ours = field("FromUserName")? == "gh_account";
        field("Content").filter(|text| is_text && is_ours && !text.is_empty())
    }

    fn open(&self, key: &[u8; 32], answer: &str) -> Option<String> {
        let sealed = self.field(answer, "Encrypt")?;
        let (time, nonce) = (
            self.field(answer, "TimeStamp")?,
            self.field(answer, "Nonce")?,
        );
        let signature = self.sign(&[&time, &nonce, &sealed]);
        if self.field(answer, "MsgSignature")? != signature {
            return None;
        }
        let mut bytes = BASE64.decode(sealed.as_bytes()).ok()?;
        let mut vector = [0; 16];
        vector.copy_from_slice(&key[..16]);
        let context = DecryptionContext::Iv128(FixedLength::from(vector));
        let key = UnboundCipherKey::new(&AES_256, key).ok()?;
        let plain = DecryptingKey::cbc(key)
            .and_then(|key| key.decrypt(&mut bytes, context).map(|plain| plain.to_vec()))
            .ok()?;
        let length: [u8; 4] = plain.get(16..20)?.try_into().ok()?;
        let end = 20 + usize::try_from(u32::from_be_bytes(length)).ok()?;
        let (message, rest) = (plain.get(20..end)?, plain.get(end..)?);
        let is_for_us = rest.starts_with(self.appid.as_bytes());
        String::from_utf8(message.to_vec())
            .ok()
            .filter(|_| is_for_us)
    }

    /// A field of an answer, which has the form of what was pushed.
    fn field(&self, text: &str, name: &str) -> Option<String> {
        if !self.is_json {
            return xml_field(text, name);
        }
        match serde_json::from_str::<Value>(text).ok()?.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

/// The text of the first element of this name.
fn xml_field(text: &str, name: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    let (mut is_inside, mut found) = (false, String::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => is_inside = start.name().as_ref() == name,
            Event::End(end) if end.name().as_ref() == name => return Some(found),
            Event::Text(text) if is_inside => found.push_str(&text),
            Event::CData(text) if is_inside => found.push_str(&text),
            Event::GeneralRef(reference) if is_inside => {
                found.push_str(resolve_xml_entity(&reference)?);
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}
