//! The cookie that binds attempts to a browser.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::attempt::Ring;
use crate::message::{Site, cookie_values};
use crate::seal::{Purpose, Sealer};

/// What a request brought of our cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// No cookie with our name.
    Nothing,
    /// A cookie with our name that does not open: another node's keys, keys that were lost, or somebody tampered.
    Unreadable,
    /// The attempts of this browser.
    Ring(Ring),
}

impl Kept {
    /// The ring; empty when there is none to read.
    pub(super) fn into_ring(self) -> Ring {
        match self {
            Self::Nothing | Self::Unreadable => Ring::default(),
            Self::Ring(ring) => ring,
        }
    }

    /// The ring, if one came and could be read.
    pub(super) fn ring(&self) -> Option<&Ring> {
        match self {
            Self::Nothing | Self::Unreadable => None,
            Self::Ring(ring) => Some(ring),
        }
    }
}

/// Reads and writes the cookie.
#[derive(Debug)]
pub(super) struct AttemptsCookie {
    name: &'static str,
    is_secure: bool,
    /// Bound into the seal: a cookie of another site with the same keys is nothing here.
    context: String,
    ttl: Duration,
    sealer: Arc<Sealer>,
}

impl AttemptsCookie {
    /// `ttl` is how long the browser keeps it after the last writing.
    pub(super) fn new(is_secure: bool, ttl: Duration, site: &Site, sealer: Arc<Sealer>) -> Self {
        let name = match is_secure {
            true => "__Host-wxgate-login",
            false => "wxgate-login",
        };
        Self {
            name,
            is_secure,
            context: format!("{name} {}", site.origin(&site.public_host)),
            ttl,
            sealer,
        }
    }

    /// What the request brought. At most one text is opened, however many cookies came.
    pub(super) fn read(&self, headers: &HeaderMap) -> Kept {
        let Some(value) = value(headers, self.name) else {
            return Kept::Nothing;
        };
        self.sealer
            .open(Purpose::Attempts, &self.context, value)
            .and_then(|bytes| Ring::from_bytes(&bytes))
            .map_or(Kept::Unreadable, Kept::Ring)
    }

    /// A `Set-Cookie` that keeps the ring.
    pub(super) fn write(&self, ring: &Ring) -> HeaderValue {
        let sealed = self
            .sealer
            .seal(Purpose::Attempts, &self.context, &ring.to_bytes());
        set_cookie(self.name, &sealed, self.ttl, self.is_secure)
    }

    /// A `Set-Cookie` that forgets every attempt.
    pub(super) fn removal(&self) -> HeaderValue {
        set_cookie(self.name, "", Duration::ZERO, self.is_secure)
    }
}

/// The first cookie with this name. HTTP/2 clients may send one header line per cookie.
pub(super) fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    cookie_values(headers, name).next()
}

/// `SameSite=Lax`: the way back from WeChat is a top-level GET, which Lax lets through; old web-views break on `None`.
pub(super) fn set_cookie(
    name: &str,
    value: &str,
    max_age: Duration,
    is_secure: bool,
) -> HeaderValue {
    let seconds = max_age.as_secs();
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    // Names are ours and sealed text is `[A-Za-z0-9_-]`, so this cannot fail; an empty header would only cost the visitor
    // another round.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use http::header::COOKIE;

    use super::*;

    fn cookies(lines: &[&'static str]) -> HeaderMap {
        let line = |line: &&'static str| (COOKIE, HeaderValue::from_static(line));
        lines.iter().map(line).collect()
    }

    #[test]
    fn our_cookie_is_found_among_others_and_only_by_its_whole_name() {
        let table: &[(&[&str], Option<&str>)] = &[
            (&[], None),
            (&["a=1; b=2"], None),
            (&["xwxgate-login=1; wxgate-login2=2; wxgate-login"], None),
            (&["a=1; wxgate-login=abc; b=2"], Some("abc")),
            (&["a=1;wxgate-login=abc"], Some("abc")),
            (&["a=1", "wxgate-login=abc"], Some("abc")),
            (&["wxgate-login=first; wxgate-login=second"], Some("first")),
            (&["wxgate-login="], Some("")),
        ];
        for (lines, expected) in table {
            assert_eq!(
                value(&cookies(lines), "wxgate-login"),
                *expected,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn set_cookie_is_host_only_http_only_and_lax() {
        let ten_minutes = Duration::from_secs(600);
        let secure = set_cookie("__Host-wxgate-login", "abc", ten_minutes, true);
        let plain = set_cookie("wxgate-login", "", Duration::ZERO, false);

        assert_eq!(
            secure.to_str().unwrap(),
            "__Host-wxgate-login=abc; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            plain.to_str().unwrap(),
            "wxgate-login=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        );
    }
}
