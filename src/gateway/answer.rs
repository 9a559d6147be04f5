//! An application's answer, before it goes on to the visitor.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method};

use super::scrub::LOGOUT_HEADER;
use super::visitor::Visitor;
use super::{Asked, Error, Gateway};
use crate::session::Carrier;

/// Only the visitor's own browser may keep it.
const PRIVATE: HeaderValue = HeaderValue::from_static("private");

/// What the fields of an application's answer mean to us.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The field by which an application talks to us is there.
    speaks_to_us: bool,
    wants_logout: bool,
    sets_cookies: bool,
    /// The application said who may keep the answer.
    speaks_to_caches: bool,
    /// A cache between us and visitors may keep the answer: then no session may go along.
    pub(super) may_be_shared: bool,
    /// The answer is made to go on after the visitor has logged out.
    pub(super) is_event_stream: bool,
}

impl Told {
    /// PERF: one pass over what is there instead of a look-up for each field that mostly is not.
    pub(super) fn by(headers: &HeaderMap) -> Self {
        let mut told = Self::default();
        for (name, value) in headers {
            if *name == LOGOUT_HEADER {
                // Of several, the first counts.
                told.wants_logout |= !told.speaks_to_us && value == "1";
                told.speaks_to_us = true;
            } else if *name == SET_COOKIE {
                told.sets_cookies = true;
            } else if *name == CACHE_CONTROL {
                told.speaks_to_caches = true;
                told.may_be_shared |= may_be_shared(value);
            } else if *name == CONTENT_TYPE {
                told.is_event_stream |= is_event_stream(value);
            }
        }
        told
    }
}

impl Gateway {
    /// Takes out of the answer what only we may say, ends the session if the application wants it, renews the cookie.
    pub(super) async fn ready_answer(
        &self,
        headers: &mut HeaderMap,
        told: &Told,
        visitor: Option<&Visitor>,
        asked: &Asked<'_>,
    ) -> Result<(), Error> {
        if told.speaks_to_us {
            headers.remove(LOGOUT_HEADER);
        }
        if told.sets_cookies {
            self.scrub.cookies(headers);
        }
        let Some(visitor) = visitor else {
            return Ok(());
        };
        // SECURITY: a cache may keep what says nothing about it, and would show it to whoever asks without a login.
        let is_kept_by_caches = matches!(asked.info.method, Method::GET | Method::HEAD);
        if is_kept_by_caches && !told.speaks_to_caches {
            headers.insert(CACHE_CONTROL, PRIVATE);
        }
        if told.wants_logout {
            // PERF: boxed, because few answers ask for it.
            Box::pin(self.end_session(headers, visitor, asked)).await
        } else if visitor.is_renewal_due(asked.now) && !told.may_be_shared {
            let renewed = Box::pin(visitor.renewed_cookie(&self.parts, asked.now)).await?;
            if let Some(cookie) = renewed {
                headers.append(SET_COOKIE, sensitive(cookie));
            }
            Ok(())
        } else {
            Ok(())
        }
    }

    async fn end_session(
        &self,
        headers: &mut HeaderMap,
        visitor: &Visitor,
        asked: &Asked<'_>,
    ) -> Result<(), Error> {
        let sessions = &self.parts.sessions;
        sessions.revoke(&visitor.session, asked.now).await?;
        self.parts.metrics.session_ended("application");
        if visitor.session.carrier == Carrier::Cookie {
            headers.append(SET_COOKIE, sessions.removal());
            headers.append(SET_COOKIE, self.login.forget_attempts());
        }
        Ok(())
    }
}

fn is_event_stream(kind: &HeaderValue) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    let Some((kind, rest)) = kind.as_bytes().split_at_checked(EVENT_STREAM.len()) else {
        return false;
    };
    let has_ended = matches!(rest.trim_ascii_start(), [] | [b';', ..]);
    has_ended && kind.eq_ignore_ascii_case(EVENT_STREAM)
}

/// A value that is no text may say anything. What may be kept for a time and is not said to be private may be kept by anybody
/// (RFC 9111, section 3).
fn may_be_shared(control: &HeaderValue) -> bool {
    let control = control.to_str().unwrap_or("public").to_ascii_lowercase();
    let says = |word: &str| control.contains(word);
    let age = control.split_once("max-age=").map(|(_, age)| age);
    let may_be_kept = age.is_some_and(|age| !age.starts_with('0'));
    let is_private = says("private") || says("no-store") || says("no-cache");
    says("public") || says("s-maxage") || (may_be_kept && !is_private)
}

pub(super) fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    /// Fields, whether they speak to us, and whether they ask for a logout.
    type Row = (&'static [(&'static str, &'static str)], bool, bool);

    fn told(fields: &[(&'static str, &'static str)]) -> Told {
        let fields = fields.iter().map(|(name, value)| {
            let value = HeaderValue::from_static(value);
            (HeaderName::from_static(name), value)
        });
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        Told::by(&headers)
    }

    #[test]
    fn an_answer_asks_for_a_logout_with_its_first_word() {
        let table: [Row; 5] = [
            (&[], false, false),
            (&[("x-wxgate-logout", "1")], true, true),
            (&[("x-wxgate-logout", "0")], true, false),
            (
                &[("x-wxgate-logout", "1"), ("x-wxgate-logout", "0")],
                true,
                true,
            ),
            (
                &[("x-wxgate-logout", "0"), ("x-wxgate-logout", "1")],
                true,
                false,
            ),
        ];
        for (fields, speaks_to_us, wants_logout) in table {
            let told = told(fields);
            assert_eq!(told.speaks_to_us, speaks_to_us, "{fields:?}");
            assert_eq!(told.wants_logout, wants_logout, "{fields:?}");
        }
    }

    #[test]
    fn event_streams_are_found_by_their_type_alone() {
        for kind in [
            "text/event-stream",
            "Text/Event-Stream",
            "text/event-stream;charset=utf-8",
            "text/event-stream ; charset=utf-8",
        ] {
            assert!(told(&[("content-type", kind)]).is_event_stream, "{kind}");
        }
        for kind in [
            "text/html",
            "text/event-streams",
            "text/event-stream x",
            "text/event",
            "",
        ] {
            assert!(!told(&[("content-type", kind)]).is_event_stream, "{kind}");
        }
    }

    #[test]
    fn what_a_shared_cache_may_keep_is_known_in_every_line_and_case() {
        let shared = [
            ("cache-control", "no-cache"),
            ("cache-control", "max-age=1, S-MaxAge=2"),
        ];
        assert!(told(&shared).may_be_shared);
        assert!(told(&[("cache-control", "Public")]).may_be_shared);
        assert!(told(&[("cache-control", "max-age=60, must-revalidate")]).may_be_shared);
        for alone in [
            "private, max-age=60",
            "max-age=60, no-cache",
            "max-age=0, must-revalidate",
            "no-store",
            "must-revalidate",
        ] {
            assert!(!told(&[("cache-control", alone)]).may_be_shared, "{alone}");
        }
        assert!(!told(&[]).may_be_shared);
    }
}
