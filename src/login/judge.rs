//! What to do with a callback, before anything is asked of WeChat.

use std::time::{Duration, SystemTime};

use super::attempt::{Attempt, Ring, State};
use super::query::only;
use crate::clock::unix_seconds;
use crate::pages::Cause;
use crate::route::policy::Because;
use crate::session::Session;

/// What some clients put in place of a code when the visitor refused.
const REFUSED: &str = "authdeny";

/// Longest code that is looked at; real ones have some 32 characters.
const LONGEST_CODE: usize = 512;

/// What WeChat, or whoever made the address, put into the callback's query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Presented<'q> {
    /// A usable code.
    pub(super) code: Option<&'q str>,
    /// A state of our form.
    pub(super) state: Option<State>,
}

impl<'q> Presented<'q> {
    /// Reads a query. A parameter that is missing, doubled, too long or of strange characters is unusable.
    ///
    /// Codes and states consist of characters that are never escaped, so escapes make them unusable too.
    pub(super) fn read(query: &'q str) -> Self {
        let code = only(query, "code").filter(|code| {
            *code != REFUSED
                && (1..=LONGEST_CODE).contains(&code.len())
                && code
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        });
        Self {
            code,
            state: only(query, "state").and_then(State::parse),
        }
    }
}

/// Where and when a callback arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    /// The app in the callback's path.
    pub(super) app: &'a str,
    /// The host asked.
    pub(super) host: &'a str,
    /// The visitor's valid session.
    pub(super) session: Option<&'a Session>,
    /// Now.
    pub(super) now: SystemTime,
    /// How long an attempt may take.
    pub(super) ttl: Duration,
}

/// What to do with a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// The visitor is logged in as well as the attempt wanted: on to the target.
    Continue {
        /// The attempt, if this browser has it; else the target is `/`.
        attempt: Option<&'a Attempt>,
    },
    /// Exchange the code.
    Exchange {
        /// The attempt that it finishes.
        attempt: &'a Attempt,
        /// The code.
        code: &'a str,
    },
    /// Begin again; never exchange.
    Again {
        /// The attempt, if this browser has it.
        attempt: Option<&'a Attempt>,
        /// Its round.
        round: u8,
        /// For the metric.
        result: &'static str,
    },
    /// A page; never exchange.
    Stop {
        /// The attempt, if this browser has it.
        attempt: Option<&'a Attempt>,
        /// Why.
        cause: Cause,
        /// For the metric.
        result: &'static str,
    },
}

/// Judges a callback. `ring` holds the attempts of the browser that brought it.
///
/// A code is exchanged only for an attempt of the same browser, app and host. Everything else would let somebody be
/// logged in as another person, or burn a code that a re-fetcher of Tencent's delivered without a cookie.
pub(super) fn judge<'a>(
    presented: &'a Presented<'_>,
    ring: Option<&'a Ring>,
    arrival: Arrival<'_>,
) -> Verdict<'a> {
    let attempt = presented
        .state
        .as_ref()
        .and_then(|state| ring.and_then(|ring| ring.find(state)));
    match attempt {
        Some(attempt) => judge_known(presented, attempt, arrival),
        None => judge_unknown(presented, arrival),
    }
}

fn judge_known<'a>(
    presented: &'a Presented<'_>,
    attempt: &'a Attempt,
    arrival: Arrival<'_>,
) -> Verdict<'a> {
    let again = |result| Verdict::Again {
        attempt: Some(attempt),
        round: attempt.state.round(),
        result,
    };
    let stop = |cause, result| Verdict::Stop {
        attempt: Some(attempt),
        cause,
        result,
    };
    if attempt.app != arrival.app {
        return stop(Cause::LoginState, "denied");
    }
    if attempt.host != arrival.host {
        return again("denied");
    }
    if arrival
        .session
        .is_some_and(|session| is_satisfied(attempt, session))
    {
        return Verdict::Continue {
            attempt: Some(attempt),
        };
    }
    let Some(code) = presented.code else {
        return stop(Cause::LoginCancelled, "cancelled");
    };
    if attempt.is_expired(arrival.now, arrival.ttl) || attempt.is_from_the_future(arrival.now) {
        return again("expired");
    }
    Verdict::Exchange { attempt, code }
}

fn judge_unknown<'a>(presented: &Presented<'_>, arrival: Arrival<'_>) -> Verdict<'a> {
    if arrival.session.is_some() {
        return Verdict::Continue { attempt: None };
    }
    let stop = |cause, result| Verdict::Stop {
        attempt: None,
        cause,
        result,
    };
    match (&presented.code, &presented.state) {
        (None, _) => stop(Cause::LoginCancelled, "cancelled"),
        // Without a round nothing would end the rounds, so the visitor must press a button.
        (Some(_), None) => stop(Cause::LoginState, "state_missing"),
        (Some(_), Some(state)) => Verdict::Again {
            attempt: None,
            round: state.round(),
            result: "state_missing",
        },
    }
}

/// Whether a session is what the attempt wanted.
fn is_satisfied(attempt: &Attempt, session: &Session) -> bool {
    let is_newer = unix_seconds(session.started_at) >= unix_seconds(attempt.started);
    session.scope >= attempt.scope
        && match attempt.because {
            Because::NoSession | Because::Scope => true,
            Because::Age => is_newer,
            Because::Unionid => is_newer || session.person.unionid.is_some(),
        }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
pub(super) mod tests {
    use super::*;
    use crate::clock::from_unix_seconds;
    use crate::identity::Person;
    use crate::login::attempt::tests::{attempt, ring, state};
    use crate::session::{Carrier, Method};
    use crate::wechat::{AppId, AppName, OpenId, Scope, UnionId};

    const NOW: u64 = 1_700_000_000;
    const TTL: Duration = Duration::from_secs(600);

    /// A session of the app `main` that began then.
    pub(in crate::login) fn session(scope: Scope, started: u64) -> Session {
        Session {
            id: "s".repeat(22),
            person: Person {
                app: AppName::parse("main").unwrap(),
                app_id: AppId::parse("wx0123456789abcdef").unwrap(),
                openid: OpenId::parse("o6_bm-L2M").unwrap(),
                unionid: None,
                profile: None,
            },
            scope,
            method: Method::ServiceAccount,
            started_at: from_unix_seconds(started),
            renewed_at: from_unix_seconds(started),
            carrier: Carrier::Cookie,
        }
    }

    fn arrival(session: Option<&Session>) -> Arrival<'_> {
        Arrival {
            app: "main",
            host: "www.example.com",
            session,
            now: from_unix_seconds(NOW),
            ttl: TTL,
        }
    }

    fn presented(state: State) -> Presented<'static> {
        Presented {
            code: Some("c1"),
            state: Some(state),
        }
    }

    #[test]
    fn only_one_clean_code_and_one_clean_state_are_read() {
        let good = format!("{}1", "a".repeat(24));
        let parsed = State::parse(&good);
        let long = "x".repeat(513);
        let table = [
            (format!("code=c1&state={good}"), Some("c1"), true),
            (format!("state={good}&code=c_1-Z"), Some("c_1-Z"), true),
            (format!("state={good}"), None, true),
            (format!("code=&state={good}"), None, true),
            (format!("code&state={good}"), None, true),
            (format!("code=c1&code=c2&state={good}"), None, true),
            (format!("code[]=c1&state={good}"), None, true),
            (format!("code=c%00&state={good}"), None, true),
            (format!("code={long}&state={good}"), None, true),
            (
                format!("code=c1&state={good}&state={good}"),
                Some("c1"),
                false,
            ),
            (format!("code=c1&state={}", &good[1..]), Some("c1"), false),
            (format!("code=c1&state={good}1"), Some("c1"), false),
            ("code=c1&state=".to_owned(), Some("c1"), false),
            ("code=c1".to_owned(), Some("c1"), false),
            ("error=access_denied".to_owned(), None, false),
            (String::new(), None, false),
        ];
        for (query, code, has_state) in table {
            let read = Presented::read(&query);
            assert_eq!(read.code, code, "{query}");
            assert_eq!(read.state, parsed.clone().filter(|_| has_state), "{query}");
        }
    }

    #[test]
    fn a_code_is_exchanged_for_the_attempt_of_the_same_browser() {
        let ring = ring([
            attempt('a', 1, "/a", NOW - 20),
            attempt('b', 1, "/b", NOW - 10),
        ]);
        let presented = presented(state('a', 1));

        let verdict = judge(&presented, Some(&ring), arrival(None));

        let attempt = ring.find(&state('a', 1)).unwrap();
        assert_eq!(
            verdict,
            Verdict::Exchange {
                attempt,
                code: "c1"
            }
        );
    }

    #[test]
    fn a_state_that_the_browser_does_not_hold_is_never_exchanged() {
        let other = ring([attempt('b', 1, "/b", NOW)]);
        for ring in [None, Some(&Ring::default()), Some(&other)] {
            for round in [1, 2, 9] {
                let presented = presented(state('a', round));
                let again = Verdict::Again {
                    attempt: None,
                    round,
                    result: "state_missing",
                };
                assert_eq!(judge(&presented, ring, arrival(None)), again);
            }
        }
    }

    #[test]
    fn a_code_of_another_app_or_host_is_never_exchanged() {
        let ring = ring([attempt('a', 1, "/a", NOW)]);
        let attempt = ring.find(&state('a', 1));
        let presented = presented(state('a', 1));

        let app = Arrival {
            app: "other",
            ..arrival(None)
        };
        let stop = Verdict::Stop {
            attempt,
            cause: Cause::LoginState,
            result: "denied",
        };
        assert_eq!(judge(&presented, Some(&ring), app), stop);
        let host = Arrival {
            host: "m.example.com",
            ..arrival(None)
        };
        let again = Verdict::Again {
            attempt,
            round: 1,
            result: "denied",
        };
        assert_eq!(judge(&presented, Some(&ring), host), again);
    }

    #[test]
    fn an_attempt_is_good_until_its_time_is_over() {
        let table = [
            (NOW, true),
            (NOW - 599, true),
            (NOW - 600, false),
            (NOW - 86_400, false),
            // Another node's clock may be a little ahead.
            (NOW + 60, true),
            (NOW + 61, false),
        ];
        for (started, is_good) in table {
            let ring = ring([attempt('a', 2, "/a", started)]);
            let attempt = ring.find(&state('a', 2)).unwrap();
            let expected = match is_good {
                true => Verdict::Exchange {
                    attempt,
                    code: "c1",
                },
                false => Verdict::Again {
                    attempt: Some(attempt),
                    round: 2,
                    result: "expired",
                },
            };
            let presented = presented(state('a', 2));
            assert_eq!(judge(&presented, Some(&ring), arrival(None)), expected);
        }
    }

    #[test]
    fn without_a_usable_code_the_visitor_did_not_finish() {
        let ring = ring([attempt('a', 1, "/a", NOW)]);
        let no_code = Presented {
            code: None,
            state: Some(state('a', 1)),
        };
        let stop = |attempt| Verdict::Stop {
            attempt,
            cause: Cause::LoginCancelled,
            result: "cancelled",
        };
        let known = ring.find(&state('a', 1));
        assert_eq!(judge(&no_code, Some(&ring), arrival(None)), stop(known));
        assert_eq!(judge(&no_code, None, arrival(None)), stop(None));
        let nothing = Presented::read("");
        assert_eq!(judge(&nothing, Some(&ring), arrival(None)), stop(None));
    }

    #[test]
    fn a_state_without_a_round_needs_a_click() {
        let presented = Presented::read("code=c1&state=short");
        let stop = Verdict::Stop {
            attempt: None,
            cause: Cause::LoginState,
            result: "state_missing",
        };
        assert_eq!(judge(&presented, None, arrival(None)), stop);
    }

    #[test]
    fn a_session_beats_every_stale_callback() {
        let ring = ring([attempt('a', 1, "/a", NOW - 3600)]);
        let session = session(Scope::Base, NOW - 7200);
        let known = ring.find(&state('a', 1));
        let table = [
            (presented(state('a', 1)), known),
            (presented(state('b', 2)), None),
            (Presented::read(""), None),
            (Presented::read("code=c1&state=x"), None),
            (
                Presented {
                    code: None,
                    state: Some(state('a', 1)),
                },
                known,
            ),
        ];
        for (presented, attempt) in table {
            let verdict = judge(&presented, Some(&ring), arrival(Some(&session)));
            assert_eq!(verdict, Verdict::Continue { attempt }, "{presented:?}");
        }
    }

    #[test]
    fn a_session_does_only_when_it_is_what_the_attempt_wanted() {
        let with_unionid = |mut session: Session| {
            session.person.unionid = UnionId::parse("u-1");
            session
        };
        let old = NOW - 7200;
        // wanted scope, because, session, does it do
        let table = [
            (
                Scope::Base,
                Because::NoSession,
                session(Scope::Base, old),
                true,
            ),
            (
                Scope::Userinfo,
                Because::NoSession,
                session(Scope::Base, NOW),
                false,
            ),
            (
                Scope::Userinfo,
                Because::Scope,
                session(Scope::Base, NOW),
                false,
            ),
            (
                Scope::Userinfo,
                Because::Scope,
                session(Scope::Userinfo, old),
                true,
            ),
            (
                Scope::Base,
                Because::Age,
                session(Scope::Userinfo, old),
                false,
            ),
            (
                Scope::Base,
                Because::Age,
                session(Scope::Base, NOW - 10),
                true,
            ),
            (
                Scope::Userinfo,
                Because::Unionid,
                session(Scope::Userinfo, old),
                false,
            ),
            (
                Scope::Userinfo,
                Because::Unionid,
                session(Scope::Userinfo, NOW),
                true,
            ),
            (
                Scope::Userinfo,
                Because::Unionid,
                with_unionid(session(Scope::Userinfo, old)),
                true,
            ),
        ];
        for (scope, because, session, expected) in table {
            let attempt = Attempt {
                scope,
                because,
                ..attempt('a', 1, "/a", NOW - 10)
            };
            assert_eq!(is_satisfied(&attempt, &session), expected, "{because:?}");
        }
    }
}
