//! JSON for clients without pages: mini programs and apps for phones.
//!
//! They hand in a code and get a bearer token; with the token they get a ticket for a web-view, a fresh token, or what
//! WeChat encrypted for us. There are no CORS headers: no page of another site can use any of this.

use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Error, Login, Visit};
use crate::limit::Action;
use crate::message::{self, Answer, RequestBody};
use crate::session::{Carrier, Session};
use crate::wechat::{self, Reaction};

mod ask;
mod code;
mod open_data;
mod renew;
mod ticket;
mod token;

use code::Kind;

pub use token::challenge_token;

/// The longest body: encrypted data has a few KiB.
const LONGEST_BODY: u64 = 64 * 1024;

/// How long a client should wait when WeChat is busy: quotas begin anew each minute.
const BUSY_SECONDS: u64 = 5;

/// What a client without pages may ask for; always by POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `mini-program/login`
    MiniProgramLogin,
    /// `mini-program/check`
    MiniProgramCheck,
    /// `app/login`
    AppLogin,
    /// `token/renew`
    RenewToken,
    /// `ticket`
    IssueTicket,
}

impl Call {
    /// The call with this name below our prefix.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "mini-program/login" => Some(Self::MiniProgramLogin),
            "mini-program/check" => Some(Self::MiniProgramCheck),
            "app/login" => Some(Self::AppLogin),
            "token/renew" => Some(Self::RenewToken),
            "ticket" => Some(Self::IssueTicket),
            _ => None,
        }
    }
}

/// Why there is nothing for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    /// What happened; part of the product.
    error: &'static str,
    /// What the client should do: `retry` the same later, `restart` with a new code, tell the `user`, or nothing before
    /// the operator changes the `config`.
    reaction: &'static str,
    /// WeChat's number, where it sent one.
    errcode: Option<i64>,
}

#[derive(Serialize)]
struct RefusalBody<'a> {
    error: &'static str,
    reaction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    request_id: &'a str,
}

impl Refusal {
    fn new(status: StatusCode, error: &'static str, reaction: &'static str) -> Self {
        Self {
            status,
            error,
            reaction,
            errcode: None,
        }
    }

    /// The client's own mistake: another try will not do better.
    fn malformed(error: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, "config")
    }

    /// The token is missing, or over.
    fn invalid_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_token", "restart")
    }

    /// What an error of WeChat's means to a client.
    fn of(error: &wechat::Error) -> Self {
        let (status, word, reaction) = match error.reaction() {
            Reaction::Later if matches!(error, wechat::Error::Timeout(_)) => {
                (StatusCode::GATEWAY_TIMEOUT, "wechat_timeout", "restart")
            }
            // The code may be used up; only "busy" says that it is not.
            Reaction::Later => match error.code() {
                Some(-1 | 45009 | 45011) => {
                    (StatusCode::SERVICE_UNAVAILABLE, "wechat_busy", "retry")
                }
                _ => (StatusCode::BAD_GATEWAY, "wechat_trouble", "restart"),
            },
            Reaction::Restart | Reaction::CodeUsed => {
                (StatusCode::UNAUTHORIZED, "invalid_code", "restart")
            }
            Reaction::Visitor => (StatusCode::FORBIDDEN, "account_blocked", "user"),
            Reaction::Operator => (StatusCode::INTERNAL_SERVER_ERROR, "setup", "config"),
        };
        Self {
            errcode: error.code(),
            ..Self::new(status, word, reaction)
        }
    }

    fn answer(&self, visit: &Visit<'_>) -> Answer {
        let body = RefusalBody {
            error: self.error,
            reaction: self.reaction,
            errcode: self.errcode,
            request_id: visit.info.id.as_str(),
        };
        let mut answer = message::json(self.status, "api-refused", &body);
        let headers = answer.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from(BUSY_SECONDS));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(token::INVALID));
        }
        answer
    }
}

impl Login {
    /// Answers a call, unless its client asks too often.
    pub(super) async fn answer_call(
        &self,
        call: Call,
        body: RequestBody,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        if let Some(answer) = self.over_limit(Action::CodeApi, visit) {
            return Ok(answer);
        }
        match call {
            Call::MiniProgramLogin => self.log_in_by_code(Kind::MiniProgram, body, visit).await,
            Call::MiniProgramCheck => self.check_open_data(body, visit).await,
            Call::AppLogin => self.log_in_by_code(Kind::MobileApp, body, visit).await,
            Call::RenewToken => self.renew_token(visit).await,
            Call::IssueTicket => self.issue_ticket(body, visit).await,
        }
    }

    fn refuse(&self, refusal: &Refusal, visit: &Visit<'_>) -> Answer {
        refusal.answer(visit)
    }
}

/// The session of a bearer token. That of a cookie does not count: whoever has one needs no token, and a form on another site
/// could use it.
fn by_token<'v>(visit: &Visit<'v>) -> Result<&'v Session, Refusal> {
    let session = visit
        .session
        .filter(|session| session.carrier == Carrier::Token);
    session.ok_or_else(Refusal::invalid_token)
}

/// Reads a JSON object. The outer error is the connection's.
async fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: RequestBody,
) -> Result<Result<T, Refusal>, Error> {
    // SECURITY: a page of another site cannot send this type without asking first, and nobody answers that question.
    if !is_json(headers) {
        return Ok(Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "json_needed",
            "config",
        )));
    }
    let bytes = body.collect(LONGEST_BODY).await?;
    Ok(serde_json::from_slice(&bytes).map_err(|_| Refusal::malformed("malformed_json")))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    kind.and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_wechat_tells_the_client_what_to_do() {
        let table = [
            (-1, 503, "wechat_busy", "retry"),
            (45011, 503, "wechat_busy", "retry"),
            (45009, 503, "wechat_busy", "retry"),
            (40029, 401, "invalid_code", "restart"),
            (40163, 401, "invalid_code", "restart"),
            (41008, 401, "invalid_code", "restart"),
            (40226, 403, "account_blocked", "user"),
            (50002, 403, "account_blocked", "user"),
            (40001, 500, "setup", "config"),
            (40013, 500, "setup", "config"),
            (40125, 500, "setup", "config"),
            (99999, 502, "wechat_trouble", "restart"),
        ];
        for (code, status, error, reaction) in table {
            let refused = wechat::Error::Refused {
                code,
                reference: String::new(),
            };
            let refusal = Refusal::of(&refused);
            let found = (refusal.status.as_u16(), refusal.error, refusal.reaction);
            assert_eq!(found, (status, error, reaction), "{code}");
            assert_eq!(refusal.errcode, Some(code));
        }
    }

    #[test]
    fn a_code_that_may_be_used_up_is_not_sent_again() {
        let timeout = wechat::Error::Timeout(std::time::Duration::from_secs(5));
        assert_eq!(Refusal::of(&timeout).reaction, "restart");
        assert_eq!(Refusal::of(&timeout).status, 504);
        assert_eq!(Refusal::of(&wechat::Error::Status(502)).reaction, "restart");
    }
}
