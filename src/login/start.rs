//! A request that may not pass: a login, or a 401 that says where to log in.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, LOCATION, ORIGIN, REFERER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::address::{Destination, path_within, tidy};
use super::attempt::Ring;
use super::query::LoginQuery;
use super::send::Intent;
use super::{Login, Visit, answer, guard, opening};
use crate::message::{self, Answer, Load};
use crate::route::Rule;
use crate::route::policy::{Because, Need};
use crate::wechat::Scope;

/// Tells a front proxy where to send the visitor.
const LOGIN_URL: HeaderName = HeaderName::from_static("x-wxgate-login-url");

/// The body of a 401.
#[derive(Serialize)]
struct LoginRequired<'a> {
    error: &'static str,
    login_url: &'a str,
    request_id: &'a str,
}

impl Login {
    /// Answers a request that may not pass.
    pub(super) fn answer_to_need(&self, need: Need, rule: &Rule, visit: &Visit<'_>) -> Answer {
        let kept = self.attempts.read(visit.headers);
        let intent = self.intent(need, rule, kept.ring(), visit);
        let mut answer = self.open(&intent, rule.unauthenticated, kept, visit);
        if answer.status() == StatusCode::UNAUTHORIZED {
            share_with_origins(&mut answer, &rule.cors_origins, visit.headers);
        }
        answer
    }

    /// 401 for a front proxy, which sends the visitor on by itself where a page is waited for.
    pub(super) fn point_to_login(&self, need: Need, rule: &Rule, visit: &Visit<'_>) -> Answer {
        let kept = self.attempts.read(visit.headers);
        let intent = self.intent(need, rule, kept.ring(), visit);
        let (method, load) = (&visit.info.method, visit.info.load);
        let waits = opening::waits_for_page(rule.unauthenticated, method, load);
        let (login_url, reason) = match waits {
            true => {
                let link = intent.query().link();
                let login_url = self.parts.site.endpoint(&visit.info.host, &link);
                (login_url, "login-redirect")
            }
            false => (self.login_url(&intent, visit), "login-required"),
        };
        let mut answer = login_required_answer(&login_url, reason, visit);
        if let Ok(address) = HeaderValue::try_from(login_url) {
            let headers = answer.headers_mut();
            headers.insert(LOCATION, address.clone());
            headers.insert(LOGIN_URL, address);
        }
        answer
    }

    fn intent(&self, need: Need, rule: &Rule, ring: Option<&Ring>, visit: &Visit<'_>) -> Intent {
        let target = tidy(visit.info.target.as_str(), &self.parts.site.path_prefix);
        let max_age = rule.max_age.filter(|_| need.because == Because::Age);
        let host = visit.info.host.as_str();
        Intent {
            target: target.to_owned(),
            scope: scope_to_ask(need.scope, need.because),
            because: need.because,
            max_age,
            required: true,
            clicked: false,
            is_at_target: true,
            rounds: guard::rounds_before(ring, host, target, max_age, visit.now),
        }
    }

    /// 401 for whoever is not waiting for a page.
    pub(super) fn login_required(&self, intent: &Intent, visit: &Visit<'_>) -> Answer {
        login_required_answer(&self.login_url(intent, visit), "login-required", visit)
    }

    /// Where whoever is not waiting for a page can send the visitor.
    fn login_url(&self, intent: &Intent, visit: &Visit<'_>) -> String {
        let target = match visit.info.load {
            Load::Page | Load::FramedPage | Load::Prefetch => intent.target.clone(),
            // The address of an API call is no page to return to; the page that made the call is.
            Load::Background if intent.is_at_target => self.calling_page(visit),
            Load::Background => intent.target.clone(),
        };
        let query = LoginQuery {
            // Which route the calling page has is not known, so nothing is said about it.
            required: false,
            to: target,
            ..intent.query()
        };
        self.parts.site.endpoint(&visit.info.host, &query.link())
    }

    /// The page that made a background request, by its `Referer`; `/` when that is not of the same origin.
    fn calling_page(&self, visit: &Visit<'_>) -> String {
        let origin = self.parts.site.origin(&visit.info.host);
        visit
            .headers
            .get(REFERER)
            .and_then(|value| value.to_str().ok())
            .and_then(|referer| path_within(&origin, referer))
            .map_or_else(
                || "/".to_owned(),
                |path| Destination::judge(path, &self.parts.site).target,
            )
    }
}

/// 401 with the place to log in at.
pub(super) fn login_required_answer(
    login_url: &str,
    reason: &'static str,
    visit: &Visit<'_>,
) -> Answer {
    let body = LoginRequired {
        error: "login_required",
        login_url,
        request_id: visit.info.id.as_str(),
    };
    let mut answer = message::json(StatusCode::UNAUTHORIZED, reason, &body);
    answer::challenge(&mut answer);
    answer
}

/// The scope to ask WeChat for.
///
/// A login that is only too old is renewed silently with `snsapi_base`: the profile stays with the person, and nobody is
/// asked again for what was granted before.
pub(super) fn scope_to_ask(needed: Scope, because: Because) -> Scope {
    match because {
        Because::Age => Scope::Base,
        Because::NoSession | Because::Scope | Because::Unionid => needed,
    }
}

/// Lets pages of configured origins read a 401; others see only that the request failed.
pub(super) fn share_with_origins(answer: &mut Answer, origins: &[String], headers: &HeaderMap) {
    if origins.is_empty() {
        return;
    }
    let answered = answer.headers_mut();
    answered.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = headers.get(ORIGIN) else {
        return;
    };
    if origins
        .iter()
        .any(|allowed| allowed.as_bytes() == origin.as_bytes())
    {
        answered.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let yes = HeaderValue::from_static("true");
        answered.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_configured_origins_may_read_a_401() {
        let origins = ["https://app.example.com".to_owned()];
        let table: [(&[String], &str, bool, bool); 6] = [
            (&origins, "https://app.example.com", true, true),
            (
                &origins,
                "https://app.example.com.evil.example",
                true,
                false,
            ),
            (&origins, "http://app.example.com", true, false),
            (&origins, "null", true, false),
            (&origins, "", true, false),
            (&[], "https://app.example.com", false, false),
        ];
        for (origins, origin, varies, may_read) in table {
            let mut answer = message::empty(StatusCode::UNAUTHORIZED, "x");
            let headers = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]);

            share_with_origins(&mut answer, origins, &headers);

            let answered = answer.headers();
            assert_eq!(answered.contains_key(VARY), varies, "{origin}");
            let allowed = answered.get(ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(allowed.is_some(), may_read, "{origin}");
            let credentials = answered.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS);
            assert_eq!(credentials, may_read, "{origin}");
        }
    }

    #[test]
    fn a_login_that_is_too_old_is_renewed_silently() {
        let table = [
            (Scope::Base, Because::NoSession, Scope::Base),
            (Scope::Userinfo, Because::NoSession, Scope::Userinfo),
            (Scope::Userinfo, Because::Scope, Scope::Userinfo),
            (Scope::Userinfo, Because::Unionid, Scope::Userinfo),
            (Scope::Userinfo, Because::Age, Scope::Base),
        ];
        for (needed, because, expected) in table {
            assert_eq!(scope_to_ask(needed, because), expected, "{because:?}");
        }
    }
}
