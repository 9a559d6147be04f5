//! Answers that every part of login gives.

use std::time::Duration;

use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::query::LoginQuery;
use super::{Endpoint, Login, Visit};
use crate::limit::{Action, TooMany};
use crate::message::{self, Answer};
use crate::pages::{Cause, Language, Page};

/// What every answer of login carries, whatever it is.
///
/// Stubborn caches of web-views must not keep a login, and no `Referer` may take a code or a state to another site.
pub(super) fn finish(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A page with a form has said something else: our own form shall name its origin.
    let no_referrer = HeaderValue::from_static("no-referrer");
    headers.entry(REFERRER_POLICY).or_insert(no_referrer);
    headers.append(VARY, HeaderValue::from_static("Cookie"));
    answer
}

/// Whether the client asks for JSON and not for a page.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let accepts = |what: &str| {
        headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.contains(what))
    };
    accepts("application/json") && !accepts("text/html")
}

/// The honest status for a login that did not finish.
fn status_of(cause: Cause) -> StatusCode {
    match cause {
        Cause::LoginBlocked => StatusCode::FORBIDDEN,
        Cause::LoginSetup | Cause::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Cause::WechatTimeout => StatusCode::GATEWAY_TIMEOUT,
        Cause::WechatTrouble => StatusCode::BAD_GATEWAY,
        Cause::StoreTrouble => StatusCode::SERVICE_UNAVAILABLE,
        // Nobody is logged in, and trying again may help.
        Cause::LoginCancelled
        | Cause::LoginState
        | Cause::LoginCode
        | Cause::LoopCookie
        | Cause::LoopHttp
        | Cause::LoopHost
        | Cause::LoopClock
        | Cause::LoopKeys
        | Cause::LoopUnionid => StatusCode::UNAUTHORIZED,
        // The causes of other pages end no login.
        Cause::UpstreamBroken
        | Cause::UpstreamTimeout
        | Cause::UpstreamUnavailable
        | Cause::BadRequest
        | Cause::NotFound
        | Cause::MethodNotAllowed
        | Cause::TooSlow
        | Cause::TooLarge
        | Cause::UnknownHost
        | Cause::TooManyRequests
        | Cause::NotSupported => StatusCode::BAD_REQUEST,
    }
}

/// Says with a 401 how to log in, as the standard demands.
pub(super) fn challenge(answer: &mut Answer) {
    if answer.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Wxgate");
        answer.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
}

impl Login {
    /// A page.
    pub(super) fn page(
        &self,
        status: StatusCode,
        reason: &'static str,
        page: &Page,
        visit: &Visit<'_>,
    ) -> Answer {
        let mut answer = self
            .parts
            .pages
            .render(status, reason, page, visit.info, visit.headers);
        challenge(&mut answer);
        answer
    }

    /// The language of the pages that this visitor sees.
    pub(super) fn language(&self, visit: &Visit<'_>) -> Language {
        self.parts.pages.language(visit.info, visit.headers)
    }

    /// P6: says why a login did not finish. `retry` begins a fresh one.
    pub(super) fn not_finished(
        &self,
        cause: Cause,
        retry: Option<LoginQuery>,
        visit: &Visit<'_>,
    ) -> Answer {
        let retry_url = retry.map(|query| self.link(&query));
        self.not_finished_at(cause, retry_url, visit)
    }

    /// The same with any address for another try.
    pub(super) fn not_finished_at(
        &self,
        cause: Cause,
        retry_url: Option<String>,
        visit: &Visit<'_>,
    ) -> Answer {
        let page = Page::NotFinished { cause, retry_url };
        self.page(status_of(cause), "login-not-finished", &page, visit)
    }

    /// The path of a link to `login`.
    pub(super) fn link(&self, query: &LoginQuery) -> String {
        self.parts.site.endpoint_path(&query.link())
    }

    /// Sends the browser on.
    pub(super) fn go(&self, reason: &'static str, location: &str, visit: &Visit<'_>) -> Answer {
        message::redirect(&visit.info.method, reason, location)
    }

    /// Spends a token. `Some` when there is none left: the answer says when to come back.
    pub(super) fn over_limit(&self, action: Action, visit: &Visit<'_>) -> Option<Answer> {
        let rule = match action {
            Action::LoginStart => "login_start",
            Action::Callback => "callback",
            Action::CodeApi => "code_api",
            Action::ScanPoll => "scan_poll",
            Action::JsConfig => "js_config",
        };
        let TooMany { retry_after } = self
            .parts
            .limits
            .admit(action, visit.info.client, visit.now)
            .err()?;
        self.parts.metrics.rate_limited(rule);
        Some(self.too_many(retry_after, visit))
    }

    fn too_many(&self, retry_after: Duration, visit: &Visit<'_>) -> Answer {
        let page = Page::Refused {
            cause: Cause::TooManyRequests,
            retry_after: Some(retry_after),
        };
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut answer = self.page(status, "rate-limited", &page, visit);
        let seconds = HeaderValue::from(retry_after.as_secs().max(1));
        answer.headers_mut().insert(RETRY_AFTER, seconds);
        answer
    }

    /// 405 with what is allowed.
    pub(super) fn method_not_allowed(&self, endpoint: &Endpoint, visit: &Visit<'_>) -> Answer {
        let page = Page::Refused {
            cause: Cause::MethodNotAllowed,
            retry_after: None,
        };
        let allowed = endpoint.allowed();
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let mut answer = self.page(status, "method-not-allowed", &page, visit);
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(allowed));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_uncached_and_silent_about_where_it_came_from() {
        let mut answer = message::empty(StatusCode::FOUND, "x");
        answer
            .headers_mut()
            .insert(VARY, HeaderValue::from_static("Origin"));

        let answer = finish(answer);

        let headers = answer.headers();
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        assert_eq!(headers[REFERRER_POLICY], "no-referrer");
        let vary: Vec<_> = headers.get_all(VARY).iter().collect();
        assert_eq!(vary, ["Origin", "Cookie"]);
    }

    #[test]
    fn json_is_for_those_who_ask_for_nothing_else() {
        let table = [
            ("application/json", true),
            ("application/json, text/plain, */*", true),
            (
                "text/html,application/xhtml+xml,application/json;q=0.1",
                false,
            ),
            ("*/*", false),
            ("", false),
        ];
        for (accept, expected) in table {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(wants_json(&headers), expected, "{accept}");
        }
        assert!(!wants_json(&HeaderMap::new()));
    }

    #[test]
    fn only_a_401_carries_a_challenge() {
        for (status, expected) in [
            (StatusCode::UNAUTHORIZED, true),
            (StatusCode::OK, false),
            (StatusCode::FORBIDDEN, false),
        ] {
            let mut answer = message::empty(status, "x");
            challenge(&mut answer);
            assert_eq!(answer.headers().contains_key(WWW_AUTHENTICATE), expected);
        }
    }
}
