//! Links that open a page of a mini program from any browser on a phone.
//!
//! <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/qrcode-link/url-link/generateUrlLink.html>. Only published mini programs have
//! them; one link may be opened by everybody, and half a million can be made a day.

use serde::Deserialize;
use serde_json::{Value, json};

use super::access_token::AccessTokens;
use super::app_call::AppCall;
use super::{App, Error};

/// Days that a link lives; WeChat allows 30.
const DAYS: u64 = 1;

/// Real links have under 64 bytes.
const LONGEST_LINK: usize = 256;

impl AccessTokens {
    /// A link that opens `page` with `query`, of at most 1024 characters, for a day.
    ///
    /// What only the operator can mend, and a quota that is used up, is not asked for again within ten seconds.
    pub async fn url_link(&self, app: &App, page: &str, query: &str) -> Result<String, Error> {
        let call = AppCall {
            endpoint: "generate_urllink",
            path: "/wxa/generate_urllink",
            query: &[],
            body: Some(json!({
                "path": page,
                "query": query,
                "is_expire": true,
                "expire_type": 1,
                "expire_interval": DAYS,
            })),
        };
        let answer: LinkAnswer = self.call_unless_refused(app, &call).await?;
        answer.into_link()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LinkAnswer {
    url_link: Value,
}

impl LinkAnswer {
    fn into_link(self) -> Result<String, Error> {
        let Value::String(link) = self.url_link else {
            return Err(Error::Field("url_link"));
        };
        let is_plain = link.bytes().all(|byte| byte.is_ascii_graphic());
        let is_link = is_plain && link.len() <= LONGEST_LINK && link.starts_with("https://");
        is_link.then_some(link).ok_or(Error::Field("url_link"))
    }
}
