//! `GET /token/<app>`: an app's token for other systems of the operator, each app with a bearer token of its own.
//!
//! The answer has the form of WeChat's own, so that programs which ask `cgi-bin/token` need another address only.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::{bearer, is_same, unauthorized};
use crate::clock::Clock;
use crate::message::{self, Answer};
use crate::secret::Secret;
use crate::wechat::{AccessTokens, App, AppName, Reaction};

/// Who may read which token.
#[derive(Debug)]
pub struct TokenShares {
    /// Where tokens come from.
    pub tokens: AccessTokens,
    /// An app and the bearer token that opens its token.
    pub shares: Vec<(App, Secret<String>)>,
    /// The time.
    pub clock: Clock,
}

impl TokenShares {
    /// The shared app that a path names.
    pub(super) fn find(&self, path: &str) -> Option<&(App, Secret<String>)> {
        let name = AppName::parse(path.strip_prefix("/token/")?)?;
        self.shares.iter().find(|(app, _)| app.name == name)
    }

    /// The app's token, for whoever has the bearer token; never more than the app's own.
    pub(super) async fn answer(
        &self,
        (app, secret): &(App, Secret<String>),
        headers: &HeaderMap,
    ) -> Answer {
        if !bearer(headers).is_some_and(|given| is_same(given, secret)) {
            return unauthorized();
        }
        match self.tokens.access_token(app).await {
            Ok(token) => {
                let left = seconds_left(token.expires_at, self.clock.now());
                let body = json!({
                    "access_token": token.value.reveal(),
                    "expires_in": left,
                });
                message::json(StatusCode::OK, "admin", &body)
            }
            Err(error) => {
                let source: &dyn std::error::Error = &error;
                let app = app.name.as_str();
                tracing::error!(app, error = source, "no app-wide token to share");
                let status = match error.reaction() {
                    Reaction::Later => StatusCode::SERVICE_UNAVAILABLE,
                    Reaction::Restart
                    | Reaction::Operator
                    | Reaction::Visitor
                    | Reaction::CodeUsed => StatusCode::BAD_GATEWAY,
                };
                let body = json!({ "error": "wechat_unavailable", "errcode": error.code() });
                message::json(status, "admin-token-unavailable", &body)
            }
        }
    }
}

fn seconds_left(expires_at: SystemTime, now: SystemTime) -> u64 {
    expires_at.duration_since(now).unwrap_or_default().as_secs()
}
