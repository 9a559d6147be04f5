//! `token/renew`: a token whose idle time begins anew.

use std::time::SystemTime;

use http::StatusCode;
use serde::Serialize;

use super::{Refusal, by_token};
use crate::clock::unix_seconds;
use crate::login::me::rfc_3339;
use crate::login::{Error, Login, Visit};
use crate::message::{self, Answer};
use crate::session::IssuedToken;

/// A token as clients get it. The names are part of the product: fields may be added, none changes.
#[derive(Serialize)]
pub(super) struct TokenBody<'a> {
    token: &'a str,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    /// RFC 3339, UTC.
    expires_at: String,
}

impl<'a> TokenBody<'a> {
    pub(super) fn new(token: &'a IssuedToken, now: SystemTime) -> Self {
        // Times of sessions are whole milliseconds, and `now` is not.
        let left = unix_seconds(token.expires_at).saturating_sub(unix_seconds(now));
        Self {
            token: token.text.reveal(),
            token_type: "Bearer",
            expires_in: left,
            expires_at: rfc_3339(token.expires_at),
        }
    }
}

impl Login {
    /// Answers `token/renew`. The tokens before stay good until their own end.
    pub(super) async fn renew_token(&self, visit: &Visit<'_>) -> Result<Answer, Error> {
        let session = match by_token(visit) {
            Ok(session) => session,
            Err(refusal) => return Ok(self.refuse(&refusal, visit)),
        };
        let renewed = self.parts.sessions.renew_token(session, visit.now).await?;
        let Some(token) = renewed else {
            return Ok(self.refuse(&Refusal::invalid_token(), visit));
        };
        let body = TokenBody::new(&token, visit.now);
        Ok(message::json(StatusCode::OK, "token-renewed", &body))
    }
}
