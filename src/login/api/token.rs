//! What a client learns about a token that does not do (RFC 6750, section 3).

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Refusal;
use crate::login::Login;
use crate::login::query::LoginQuery;
use crate::login::start::{login_required_answer, share_with_origins};
use crate::message::{Answer, RequestInfo};
use crate::route::Rule;
use crate::route::policy::{Because, Need};

/// The token is over, or was never one.
pub(super) const INVALID: &str = "Bearer realm=\"wxgate\", error=\"invalid_token\"";
/// The token is good, but its login told less than this route needs.
const INSUFFICIENT: &str = "Bearer realm=\"wxgate\", error=\"insufficient_scope\"";

/// Says with a 401 to a client with a token that it needs a new one.
pub fn challenge_token(answer: &mut Answer) {
    if answer.status() == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static(INVALID);
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
}

impl Login {
    /// Answers a request that showed a token and may not pass: never a redirect, for nobody waits for a page.
    pub fn refuse_token(
        &self,
        need: Need,
        rule: &Rule,
        info: &RequestInfo,
        headers: &HeaderMap,
    ) -> Answer {
        let visit = self.visit_of_nobody(info, headers);
        let mut answer = match need.because {
            Because::NoSession | Because::Age => {
                let link = LoginQuery::to("/").link();
                let login_url = self.parts.site.endpoint(&info.host, &link);
                let mut answer = login_required_answer(&login_url, "login-required", &visit);
                challenge_token(&mut answer);
                answer
            }
            Because::Scope | Because::Unionid => {
                let refusal = Refusal::new(StatusCode::FORBIDDEN, "insufficient_scope", "user");
                let mut answer = refusal.answer(&visit);
                let challenge = HeaderValue::from_static(INSUFFICIENT);
                answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                answer
            }
        };
        share_with_origins(&mut answer, &rule.cors_origins, headers);
        crate::login::answer::finish(answer)
    }
}
