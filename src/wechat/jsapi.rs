//! JS-SDK: the ticket and the signature that pages give to `wx.config`.
//!
//! <https://developers.weixin.qq.com/doc/service/guide/h5/jssdk.html>

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::Value;

use super::access_token::{AccessTokens, value_and_lifetime};
use super::app_call::AppCall;
use super::kept::{Kept, Turn};
use super::{App, Error};
use crate::clock::unix_seconds;
use crate::secret::Secret;

/// What a page gives to `wx.config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsConfig {
    /// WeChat's id of the app.
    pub app_id: String,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// As it was given.
    pub nonce: String,
    /// 40 lower-case hex digits.
    pub signature: String,
}

/// The text that is signed; its order is fixed. Holds the ticket, so it is shown only where an operator asks for it.
pub fn js_signed_text(ticket: &str, nonce: &str, timestamp: u64, url: &str) -> String {
    format!("jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url}")
}

/// The signature for a page's address, which must have no `#`. WeChat compares text, so every byte counts.
pub fn js_signature(ticket: &str, nonce: &str, timestamp: u64, url: &str) -> String {
    let text = js_signed_text(ticket, nonce, timestamp, url);
    HEXLOWER.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

impl AccessTokens {
    /// Signs the address of a page. `nonce` is random text `[A-Za-z0-9]`.
    pub async fn js_config(
        &self,
        app: &App,
        url: &str,
        nonce: String,
        now: SystemTime,
    ) -> Result<JsConfig, Error> {
        let ticket = self.jsapi_ticket(app).await?;
        let timestamp = unix_seconds(now);
        Ok(JsConfig {
            app_id: app.id.as_str().to_owned(),
            signature: js_signature(ticket.reveal(), &nonce, timestamp, url),
            timestamp,
            nonce,
        })
    }

    /// The app's ticket; fetched when there is none that lasts five minutes more.
    pub async fn jsapi_ticket(&self, app: &App) -> Result<Secret<String>, Error> {
        if let Some(kept) = self.keeper().get(&name(app), None).await? {
            return Ok(kept.value);
        }
        let (tokens, app) = (self.clone(), app.clone());
        let fetching = async move { tokens.fetch_ticket_in_turn(&app).await };
        Ok(self.in_a_task(fetching).await?.value)
    }

    async fn fetch_ticket_in_turn(&self, app: &App) -> Result<Kept, Error> {
        let lease = match self.keeper().turn(&name(app), None).await? {
            Turn::Kept(kept) => return Ok(kept),
            Turn::Yours(lease) => lease,
        };
        let call = AppCall {
            endpoint: "getticket",
            path: "/cgi-bin/ticket/getticket",
            query: &[("type", "jsapi")],
            body: None,
        };
        let answer: Result<TicketAnswer, Error> = self.call(app, &call).await;
        let fetched = answer
            .and_then(|answer| value_and_lifetime(answer.ticket, "ticket", &answer.expires_in));
        let kept = self.keeper().finish(lease, fetched).await;
        self.count(app, "jsapi_ticket", &kept);
        kept
    }
}

fn name(app: &App) -> String {
    format!("{}:jsapi-ticket", app.id.as_str())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TicketAnswer {
    ticket: Value,
    expires_in: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_the_documentation() {
        // The example of WeChat's guide, appendix 1.
        let ticket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
        let url = "http://mp.weixin.qq.com?params=value";

        assert_eq!(
            js_signature(ticket, "Wm3WZYTPz0wzccnW", 1_414_587_457, url),
            "0f9de62fce790f9a083d5c99e95740ceb90c27ed"
        );
    }
}
