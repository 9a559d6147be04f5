//! `login?to=`: a login that the visitor, or a script of the site, asks for.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::SET_COOKIE;

use super::address::Destination;
use super::guard;
use super::query::LoginQuery;
use super::send::Intent;
use super::start::scope_to_ask;
use super::{Login, Visit};
use crate::message::Answer;
use crate::route::Unauthenticated;
use crate::route::policy::Because;
use crate::session::Session;
use crate::wechat::Scope;

impl Login {
    /// Answers `login`.
    pub(super) fn enter(&self, visit: &Visit<'_>) -> Answer {
        let query = LoginQuery::read(visit.info.target.query().unwrap_or_default());
        let destination = Destination::judge(&query.to, &self.parts.site);
        if let Some(host) = &destination.host
            && *host != visit.info.host
        {
            // A session is valid on one host only, so the login happens where it is needed.
            let query = LoginQuery {
                to: destination.target,
                ..query
            };
            let address = self.parts.site.endpoint(host, &query.link());
            return self.go("login-other-host", &address, visit);
        }
        match still_needed(visit.session, query.scope, query.max_age, visit.now) {
            None => self.pass_on(&query, &destination.target, visit),
            Some(because) => self.begin_by_hand(&query, destination.target, because, visit),
        }
    }

    /// Nothing to do: the visitor is logged in.
    fn pass_on(&self, query: &LoginQuery, target: &str, visit: &Visit<'_>) -> Answer {
        let mut answer = self.go("login-not-needed", target, visit);
        if query.again {
            self.forget_rounds(&mut answer, visit);
        }
        answer
    }

    /// Otherwise the rounds before the click would stop the next login at once.
    fn forget_rounds(&self, answer: &mut Answer, visit: &Visit<'_>) {
        let mut ring = self.attempts.read(visit.headers).into_ring();
        ring.forget_completed();
        let cookie = self.attempts.write(&ring);
        answer.headers_mut().append(SET_COOKIE, cookie);
    }

    fn begin_by_hand(
        &self,
        query: &LoginQuery,
        target: String,
        because: Because,
        visit: &Visit<'_>,
    ) -> Answer {
        let kept = self.attempts.read(visit.headers);
        let host = visit.info.host.as_str();
        let tries_again = query.again && is_click(visit.headers);
        let rounds = match tries_again {
            true => 0,
            false => guard::rounds_before(kept.ring(), host, &target, query.max_age, visit.now),
        };
        let intent = Intent {
            target,
            scope: scope_to_ask(query.scope, because),
            because,
            max_age: query.max_age,
            required: query.required,
            clicked: query.clicked && is_click(visit.headers),
            is_at_target: false,
            rounds,
        };
        let mut answer = self.open(&intent, Unauthenticated::Auto, kept, visit);
        // Whoever is sent to WeChat has a new ring already; the purpose page comes before that, and its button is another click.
        if tries_again && !answer.headers().contains_key(SET_COOKIE) {
            self.forget_rounds(&mut answer, visit);
        }
        answer
    }
}

/// Why the session there is, if any, does not do.
pub(super) fn still_needed(
    session: Option<&Session>,
    scope: Scope,
    max_age: Option<Duration>,
    now: SystemTime,
) -> Option<Because> {
    let Some(session) = session else {
        return Some(Because::NoSession);
    };
    if session.scope < scope {
        return Some(Because::Scope);
    }
    let is_too_old = |limit: Duration| {
        now.duration_since(session.started_at)
            .is_ok_and(|age| age >= limit)
    };
    max_age.is_some_and(is_too_old).then_some(Because::Age)
}

/// Whether the request can come from a button of ours.
///
/// A link on another site must not skip our purpose page. Browsers that send no fetch metadata are believed: there the
/// worst is that WeChat shows its preview, and nothing is given away.
fn is_click(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_none_or(|site| site == "same-origin")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::clock::from_unix_seconds;
    use crate::login::judge::tests::session;

    const NOW: u64 = 1_700_000_000;

    #[test]
    fn a_session_that_does_is_not_replaced() {
        let now = from_unix_seconds(NOW);
        let base = session(Scope::Base, NOW - 600);
        let full = session(Scope::Userinfo, NOW - 600);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let table = [
            (None, Scope::Base, None, Some(Because::NoSession)),
            (Some(&base), Scope::Base, None, None),
            (Some(&base), Scope::Userinfo, None, Some(Because::Scope)),
            (Some(&full), Scope::Userinfo, None, None),
            (Some(&full), Scope::Base, None, None),
            (Some(&base), Scope::Base, seconds(601), None),
            (Some(&base), Scope::Base, seconds(600), Some(Because::Age)),
            (Some(&base), Scope::Base, seconds(0), Some(Because::Age)),
            (
                Some(&base),
                Scope::Userinfo,
                seconds(0),
                Some(Because::Scope),
            ),
        ];
        for (session, scope, max_age, expected) in table {
            let answer = still_needed(session, scope, max_age, now);
            assert_eq!(answer, expected, "{scope:?} {max_age:?}");
        }
    }

    #[test]
    fn a_link_on_another_site_is_no_click_on_our_button() {
        let table = [
            (Some("same-origin"), true),
            (None, true),
            (Some("same-site"), false),
            (Some("cross-site"), false),
            (Some("none"), false),
        ];
        for (site, expected) in table {
            let name = HeaderName::from_static("sec-fetch-site");
            let headers =
                HeaderMap::from_iter(site.map(|site| (name, HeaderValue::from_static(site))));
            assert_eq!(is_click(&headers), expected, "{site:?}");
        }
    }
}
