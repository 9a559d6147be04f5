//! The loop guard: nobody is sent to WeChat a third time in one chain, and the page says what is wrong.
//!
//! A chain is what follows from one wish of the visitor. Its rounds are counted in the `state` (for browsers that keep no
//! cookie) and by logins to the same target that worked a moment ago (for sessions that do not last).

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::REFERER;

use super::attempt::Ring;
use super::cookie::Kept;
use crate::pages::Cause;
use crate::route::policy::Because;

/// Visits to WeChat in one chain; the next would be the third.
const MOST_ROUNDS: u8 = 2;

/// Needing a login to the same target again within this time continues the chain.
const CHAIN_WINDOW: Duration = Duration::from_secs(60);

/// The round after `previous` (0: none yet), or `None` when the chain must stop.
pub(super) fn next_round(previous: u8) -> Option<u8> {
    (previous < MOST_ROUNDS).then_some(previous.saturating_add(1))
}

/// How many rounds a login that begins now continues. `max_age` is the route's.
///
/// With a `max_age` of ten seconds a login each ten seconds is what the operator asked for, so only one that is needed
/// sooner continues a chain.
pub(super) fn rounds_before(
    ring: Option<&Ring>,
    host: &str,
    target: &str,
    max_age: Option<Duration>,
    now: SystemTime,
) -> u8 {
    let window = max_age.map_or(CHAIN_WINDOW, |age| age.min(CHAIN_WINDOW));
    ring.and_then(|ring| ring.just_completed(host, target, now, window))
        .map_or(0, |attempt| attempt.state.round())
}

/// What is known when a chain must stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence<'a> {
    /// What the request brought of our cookie.
    pub(super) kept: &'a Kept,
    /// Why the login is needed.
    pub(super) because: Because,
    /// Whether a session cookie came, although nobody is logged in.
    pub(super) has_session_cookie: bool,
    /// Whether the attempt began on another host than the one asked now.
    pub(super) is_other_host: bool,
    /// Whether the visitor seems to use http where https is configured.
    pub(super) is_plain_http: bool,
    /// Now.
    pub(super) now: SystemTime,
}

/// The likeliest cause of a loop.
pub(super) fn diagnose(evidence: &Evidence<'_>) -> Cause {
    if evidence.is_other_host {
        return Cause::LoopHost;
    }
    match evidence.kept {
        Kept::Nothing if evidence.is_plain_http => Cause::LoopHttp,
        Kept::Nothing => Cause::LoopCookie,
        Kept::Unreadable => Cause::LoopKeys,
        Kept::Ring(ring) if ring.is_from_the_future(evidence.now) => Cause::LoopClock,
        Kept::Ring(_) => match evidence.because {
            Because::Unionid => Cause::LoopUnionid,
            Because::Age => Cause::LoopClock,
            // The keys are right, for the ring opened. A session that came and does not count is expired already.
            Because::NoSession if evidence.has_session_cookie => Cause::LoopClock,
            // The mark of a login that worked came in one answer with its session, and the mark was kept. So it was no login:
            // WeChat refused the code, and the session from before went on.
            Because::Scope => Cause::LoginCode,
            Because::NoSession => Cause::LoopCookie,
        },
    }
}

/// Whether headers give away that the visitor's side of the front proxy is http.
///
/// Only used to explain a loop that was stopped anyway, so it may be wrong.
pub(super) fn is_plain_http(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let from_http = |address: &str| {
        address
            .strip_prefix("http://")
            .and_then(|rest| rest.strip_prefix(host))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    };
    text("x-forwarded-proto") == Some("http")
        || text(REFERER.as_str()).is_some_and(from_http)
        || text("origin").is_some_and(from_http)
}

/// Whether a front proxy says that the visitor asked for another host than we see.
pub(super) fn is_other_host(headers: &HeaderMap, host: &str) -> bool {
    headers
        .get("x-forwarded-host")
        .and_then(|value| value.to_str().ok())
        .and_then(|forwarded| forwarded.split(':').next())
        .is_some_and(|forwarded| !forwarded.is_empty() && !forwarded.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::clock::from_unix_seconds;
    use crate::login::attempt::tests::{attempt, ring};

    const NOW: u64 = 1_700_000_000;

    #[test]
    fn the_third_round_is_never_begun() {
        assert_eq!(next_round(0), Some(1));
        assert_eq!(next_round(1), Some(2));
        for previous in [2, 3, 9, u8::MAX] {
            assert_eq!(next_round(previous), None, "{previous}");
        }
    }

    #[test]
    fn only_a_login_that_just_worked_for_the_same_target_continues_a_chain() {
        let seconds = Duration::from_secs;
        let mut done = ring([attempt('a', 1, "/orders", NOW - 30)]);
        let state = attempt('a', 1, "/orders", NOW - 30).state;
        done.complete(&state, from_unix_seconds(NOW - 20));
        let pending = ring([attempt('a', 1, "/orders", NOW - 30)]);

        let before = |ring: &Ring, host: &str, target: &str, max_age, now| {
            rounds_before(Some(ring), host, target, max_age, from_unix_seconds(now))
        };
        assert_eq!(before(&done, "www.example.com", "/orders", None, NOW), 1);
        assert_eq!(before(&done, "www.example.com", "/else", None, NOW), 0);
        assert_eq!(before(&done, "m.example.com", "/orders", None, NOW), 0);
        assert_eq!(
            before(&done, "www.example.com", "/orders", None, NOW + 41),
            0
        );
        assert_eq!(before(&pending, "www.example.com", "/orders", None, NOW), 0);
        let short = Some(seconds(10));
        assert_eq!(before(&done, "www.example.com", "/orders", short, NOW), 0);
        let long = Some(seconds(1800));
        assert_eq!(before(&done, "www.example.com", "/orders", long, NOW), 1);
        assert_eq!(
            rounds_before(
                None,
                "www.example.com",
                "/orders",
                None,
                from_unix_seconds(NOW)
            ),
            0
        );
    }

    #[test]
    fn a_clock_that_went_back_does_not_hide_a_chain() {
        let mut done = ring([attempt('a', 2, "/", NOW)]);
        let state = attempt('a', 2, "/", NOW).state;
        done.complete(&state, from_unix_seconds(NOW));

        let earlier = from_unix_seconds(NOW - 3600);
        assert_eq!(
            rounds_before(Some(&done), "www.example.com", "/", None, earlier),
            2
        );
    }

    #[test]
    fn every_cause_is_told_apart() {
        let fresh = Kept::Ring(ring([attempt('a', 1, "/", NOW)]));
        let future = Kept::Ring(ring([attempt('a', 1, "/", NOW + 3600)]));
        let no = Because::NoSession;
        // cookie, because, session cookie came, other host, http
        let table = [
            (&Kept::Nothing, no, false, false, false, Cause::LoopCookie),
            (&Kept::Nothing, no, true, false, false, Cause::LoopCookie),
            (&Kept::Nothing, no, false, false, true, Cause::LoopHttp),
            (&Kept::Nothing, no, false, true, true, Cause::LoopHost),
            (&Kept::Unreadable, no, false, false, true, Cause::LoopKeys),
            (&fresh, no, false, true, false, Cause::LoopHost),
            (&future, no, false, false, false, Cause::LoopClock),
            (&fresh, no, true, false, false, Cause::LoopClock),
            (&fresh, no, false, false, false, Cause::LoopCookie),
            (&fresh, Because::Scope, true, false, false, Cause::LoginCode),
            (&fresh, Because::Age, false, false, false, Cause::LoopClock),
            (
                &fresh,
                Because::Unionid,
                false,
                false,
                false,
                Cause::LoopUnionid,
            ),
        ];
        for (kept, because, has_session_cookie, is_other_host, is_plain_http, cause) in table {
            let evidence = Evidence {
                kept,
                because,
                has_session_cookie,
                is_other_host,
                is_plain_http,
                now: from_unix_seconds(NOW),
            };
            assert_eq!(diagnose(&evidence), cause, "{evidence:?}");
        }
    }

    #[test]
    fn plain_http_and_other_hosts_are_read_from_what_the_front_says() {
        let headers = |name: &'static str, value: &'static str| {
            let name = HeaderName::from_static(name);
            HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
        };
        let host = "www.example.com";
        let http = [
            ("x-forwarded-proto", "http", true),
            ("x-forwarded-proto", "https", false),
            ("referer", "http://www.example.com/a", true),
            ("referer", "http://www.example.com.evil/a", false),
            ("referer", "https://www.example.com/a", false),
            ("origin", "http://www.example.com", true),
            ("origin", "http://www.example.com:8080", true),
        ];
        for (name, value, expected) in http {
            assert_eq!(
                is_plain_http(&headers(name, value), host),
                expected,
                "{value}"
            );
        }
        let hosts = [
            ("www.example.com", false),
            ("WWW.example.com:443", false),
            ("m.example.com", true),
            ("", false),
        ];
        for (value, expected) in hosts {
            let headers = headers("x-forwarded-host", value);
            assert_eq!(is_other_host(&headers, host), expected, "{value}");
        }
    }
}
