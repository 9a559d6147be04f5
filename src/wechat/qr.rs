//! Codes of an account with a scene in them: whoever reads one follows the account, and WeChat pushes the scene to us.
//!
//! <https://developers.weixin.qq.com/doc/service/api/qrcode/qrcodes/api_createqrcode>. Only verified service accounts have them,
//! and only temporary ones are made here: of the permanent ones an account has 100,000 in all.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::access_token::AccessTokens;
use super::app_call::AppCall;
use super::{App, Error};

/// How long a temporary code may live: 30 days.
const LONGEST_LIFE: u64 = 2_592_000;

/// Real addresses have under 64 bytes.
const LONGEST_URL: usize = 256;

/// Real tickets have under 128 bytes.
const LONGEST_TICKET: usize = 512;

/// A code as WeChat made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SceneCode {
    /// Names the code in [`Event::Scanned`](super::Event::Scanned).
    pub ticket: String,
    /// What the picture holds, such as `http://weixin.qq.com/q/…`. Drawn by ourselves, no page of ours asks WeChat for a picture.
    pub url: String,
}

impl AccessTokens {
    /// A new code that holds `scene`, 1 to 64 characters `[A-Za-z0-9]`, for a time in whole seconds, at most 30 days.
    ///
    /// What only the operator can mend, and a quota that is used up, is not asked for again within ten seconds.
    pub async fn scene_code(
        &self,
        app: &App,
        scene: &str,
        lifetime: Duration,
    ) -> Result<SceneCode, Error> {
        let call = AppCall {
            endpoint: "qrcode_create",
            path: "/cgi-bin/qrcode/create",
            query: &[],
            body: Some(json!({
                "expire_seconds": lifetime.as_secs().clamp(1, LONGEST_LIFE),
                "action_name": "QR_STR_SCENE",
                "action_info": { "scene": { "scene_str": scene } },
            })),
        };
        let answer: CodeAnswer = self.call_unless_refused(app, &call).await?;
        answer.into_code()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CodeAnswer {
    ticket: Value,
    url: Value,
}

impl CodeAnswer {
    fn into_code(self) -> Result<SceneCode, Error> {
        let url = text(self.url, LONGEST_URL).ok_or(Error::Field("url"))?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Error::Field("url"));
        }
        let ticket = text(self.ticket, LONGEST_TICKET).ok_or(Error::Field("ticket"))?;
        Ok(SceneCode { ticket, url })
    }
}

fn text(value: Value, longest: usize) -> Option<String> {
    match value {
        Value::String(text) => {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
            (is_plain && (1..=longest).contains(&text.len())).then_some(text)
        }
        _ => None,
    }
}
