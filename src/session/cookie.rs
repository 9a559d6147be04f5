//! Our cookies among a request's cookies, and the text of `Set-Cookie`.
//!
//! Other cookies go through byte for byte, whatever they hold.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cookie::time::OffsetDateTime;
use cookie::{Cookie, SameSite};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use memchr::memchr;

use crate::message::{cookie_parts, cookie_values};

/// The most cookies of our name that are tried; browsers send one, cookie tossing sends more.
pub(super) const MOST_CANDIDATES: usize = 3;
/// What browsers keep of one cookie, attributes included.
pub(super) const LONGEST_COOKIE: usize = 4096;
/// The cookie that binds login attempts to a browser, without a prefix.
pub const ATTEMPTS_COOKIE: &str = "wxgate-login";
/// The cookie that binds drawn QR codes to a browser, without a prefix.
const SCAN_COOKIE: &str = "wxgate-scan";

/// What cookies begin with that lead a visitor back to the same server; only `proxy` knows what they mean.
const SERVER_COOKIE: &str = "wxgate-at-";

/// Prefixes by which browsers promise something of a cookie (RFC 6265bis section 4.1.3).
const PREFIXES: &[&str] = &["__Host-", "__Secure-"];

/// The names that are ours.
#[derive(Debug)]
pub(super) struct CookieNames {
    /// The session cookie.
    session: String,
    /// All names that never go upstream: session, attempts and codes, with each prefix and without.
    reserved: Vec<String>,
    /// What reserved names begin with: most cookies are let go by this alone.
    first_bytes: Vec<u8>,
}

impl CookieNames {
    /// `session` is the full name, with its prefix if it has one.
    pub(super) fn new(session: &str) -> Self {
        let bare = PREFIXES
            .iter()
            .find_map(|prefix| session.strip_prefix(prefix))
            .unwrap_or(session);
        let mut reserved = Vec::new();
        for name in [bare, ATTEMPTS_COOKIE, SCAN_COOKIE] {
            reserved.push(name.to_owned());
            reserved.extend(PREFIXES.iter().map(|prefix| format!("{prefix}{name}")));
        }
        let names = reserved.iter().map(String::as_str);
        let mut first_bytes: Vec<u8> = names
            .chain([SERVER_COOKIE])
            .filter_map(|name| name.bytes().next())
            .collect();
        first_bytes.sort_unstable();
        first_bytes.dedup();
        Self {
            session: session.to_owned(),
            reserved,
            first_bytes,
        }
    }

    /// All names that never go upstream.
    pub(super) fn reserved(&self) -> impl Iterator<Item = &str> {
        self.reserved.iter().map(String::as_str)
    }

    /// The values of cookies with our name, at most [`MOST_CANDIDATES`]. Values that no sealed text can be do not count.
    pub(super) fn candidates<'h>(&self, headers: &'h HeaderMap) -> impl Iterator<Item = &'h str> {
        cookie_values(headers, &self.session)
            .filter(|value| (1..=LONGEST_COOKIE).contains(&value.len()))
            .take(MOST_CANDIDATES)
    }

    /// Removes our cookies from what goes upstream, and the header where nothing else is left.
    pub(super) fn cut(&self, headers: &mut HeaderMap) {
        let mut values = headers.get_all(COOKIE).into_iter();
        let kept: Vec<HeaderValue> = match (values.next(), values.next()) {
            (None, _) => return,
            // Nearly every request has one such header.
            (Some(only), None) => return self.others(only).replace(headers),
            _ => headers
                .get_all(COOKIE)
                .into_iter()
                .filter_map(|header| match self.others(header) {
                    OtherCookies::All => Some(header.clone()),
                    OtherCookies::Rest(rest) => Some(rest),
                    OtherCookies::Nothing => None,
                })
                .collect(),
        };
        headers.remove(COOKIE);
        for header in kept {
            headers.append(COOKIE, header);
        }
    }

    /// What is left of a header without our cookies.
    pub(super) fn others(&self, header: &HeaderValue) -> OtherCookies {
        if cookie_parts(header).all(|part| !self.is_reserved(part)) {
            return OtherCookies::All;
        }
        let mut rest = Vec::with_capacity(header.len());
        for part in cookie_parts(header).filter(|part| !self.is_reserved(part)) {
            if !rest.is_empty() {
                rest.push(b';');
            }
            let is_first = rest.is_empty();
            rest.extend_from_slice(if is_first {
                part.trim_ascii_start()
            } else {
                part
            });
        }
        if rest
            .iter()
            .all(|byte| *byte == b';' || byte.is_ascii_whitespace())
        {
            return OtherCookies::Nothing;
        }
        // Kept for long by whoever remembers visitors. A part of a valid value is valid.
        let rest = Bytes::from(rest.into_boxed_slice());
        HeaderValue::from_maybe_shared(rest).map_or(OtherCookies::Nothing, OtherCookies::Rest)
    }

    fn is_reserved(&self, part: &[u8]) -> bool {
        let first = part.trim_ascii_start().first();
        if !first.is_some_and(|first| self.first_bytes.contains(first)) {
            return false;
        }
        let name = name_of(part);
        let bare = name.strip_prefix(b"__Host-").unwrap_or(name);
        bare.starts_with(SERVER_COOKIE.as_bytes())
            || self.reserved.iter().any(|ours| ours.as_bytes() == name)
    }
}

/// A cookie for the whole host that scripts cannot read. `secure` is off only on loopback http.
pub(super) fn set(name: &str, value: &str, secure: bool, lifetime: Duration) -> HeaderValue {
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    let cookie = Cookie::build((name, value))
        .max_age(cookie::time::Duration::seconds(seconds))
        .build();
    header(cookie, secure)
}

/// Removes the cookie from the browser.
pub(super) fn removal(name: &str, secure: bool) -> HeaderValue {
    let cookie = Cookie::build((name, ""))
        .max_age(cookie::time::Duration::ZERO)
        // For clients that do not know `Max-Age`.
        .expires(OffsetDateTime::from(SystemTime::UNIX_EPOCH))
        .build();
    header(cookie, secure)
}

/// Adds what is the same for all cookies. A name that no header can carry gives an empty value, which browsers ignore.
fn header(mut cookie: Cookie<'_>, secure: bool) -> HeaderValue {
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Lax);
    if secure {
        cookie.set_secure(true);
    }
    HeaderValue::try_from(cookie.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// What is left of a request's one `Cookie` field without our cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherCookies {
    /// Everything: ours are not in it.
    All,
    /// The others.
    Rest(HeaderValue),
    /// There were only ours.
    Nothing,
}

impl OtherCookies {
    /// Puts them in the place of the field that they are from.
    pub fn replace(self, headers: &mut HeaderMap) {
        match self {
            Self::All => {}
            Self::Rest(rest) => {
                if let Some(field) = headers.get_mut(COOKIE) {
                    *field = rest;
                }
            }
            Self::Nothing => {
                headers.remove(COOKIE);
            }
        }
    }
}

/// The name, without the white space around it. A part without `=` is a name, as some servers see it.
fn name_of(part: &[u8]) -> &[u8] {
    let end = memchr(b'=', part);
    part[..end.unwrap_or(part.len())].trim_ascii()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use proptest::prelude::{Strategy, prop_assert_eq, proptest};

    use super::*;

    fn names() -> CookieNames {
        CookieNames::new("__Host-wxgate")
    }

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let values = values
            .iter()
            .map(|value| HeaderValue::from_bytes(value).unwrap());
        values.map(|value| (COOKIE, value)).collect()
    }

    fn cut(values: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut headers = headers(values);
        names().cut(&mut headers);
        let left = headers.get_all(COOKIE).into_iter();
        left.map(|value| value.as_bytes().to_vec()).collect()
    }

    #[test]
    fn our_cookie_is_found_among_others_and_in_several_headers() {
        for (values, expected) in [
            (&["__Host-wxgate=abc"][..], &["abc"][..]),
            (&["a=1; __Host-wxgate=abc; b=2"], &["abc"]),
            (&["a=1;__Host-wxgate=abc;b=2"], &["abc"]),
            (&["a=1", "b=2; __Host-wxgate = abc "], &["abc"]),
            (
                &[
                    "__Host-wxgate=a; __Host-wxgate=b",
                    "__Host-wxgate=c; __Host-wxgate=d",
                ],
                &["a", "b", "c"],
            ),
            (&["__Host-wxgate=a=b"], &["a=b"]),
            (
                &["wxgate=abc; __host-wxgate=abc; x__Host-wxgate=abc; __Host-wxgate-login=abc"],
                &[],
            ),
            (
                &[
                    "__Host-wxgate",
                    "__Host-wxgate=",
                    "",
                    ";;;",
                    "=__Host-wxgate",
                ],
                &[],
            ),
        ] {
            let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
            let headers = headers(&values);
            let found: Vec<&str> = names().candidates(&headers).collect();
            assert_eq!(found, expected, "{values:?}");
        }
    }

    #[test]
    fn values_that_cannot_be_ours_cost_no_attempt() {
        let long = format!("__Host-wxgate={}", "x".repeat(LONGEST_COOKIE + 1));
        let values: [&[u8]; 3] = [
            long.as_bytes(),
            b"__Host-wxgate=\xff\xfe",
            b"__Host-wxgate=ok",
        ];

        let headers = headers(&values);

        assert_eq!(names().candidates(&headers).collect::<Vec<_>>(), ["ok"]);
    }

    #[test]
    fn our_cookies_are_cut_and_others_stay_byte_for_byte() {
        for (values, expected) in [
            (&[&b"a=1; b=2"[..]][..], &[&b"a=1; b=2"[..]][..]),
            (&[b"a=1; __Host-wxgate=x; b=2"], &[b"a=1; b=2"]),
            (&[b"__Host-wxgate=x; a=1"], &[b"a=1"]),
            (&[b"a=1; __Host-wxgate=x"], &[b"a=1"]),
            (&[b"__Host-wxgate=x"], &[]),
            (&[b"__Host-wxgate=x; "], &[]),
            (&[b" __Host-wxgate =x;wxgate=y;__Secure-wxgate=z"], &[]),
            (
                &[b"wxgate-login=x; __Host-wxgate-login=y; __Secure-wxgate-login=z; a=1"],
                &[b"a=1"],
            ),
            (
                &[b"__Host-wxgate=x", b"a=1", b"__Host-wxgate=y; b=2"],
                &[b"a=1", b"b=2"],
            ),
            (&[b"__Host-wxgate"], &[]),
            (
                &[b"x=\"a; __Host-wxgate=x; b\"; \xff=\xfe"],
                &[b"x=\"a; b\"; \xff=\xfe"],
            ),
            (
                &[b"a=__Host-wxgate=x;  wxgates=1 ;my-wxgate=2"],
                &[b"a=__Host-wxgate=x;  wxgates=1 ;my-wxgate=2"],
            ),
            (&[b"a=1;;__Host-wxgate=x;;b=2;"], &[b"a=1;;;b=2;"]),
            (&[], &[]),
        ] {
            assert_eq!(cut(values), expected, "{values:?}");
        }
    }

    #[test]
    fn a_plain_name_reserves_its_prefixed_forms_too() {
        let names = CookieNames::new("sso");
        let mut headers =
            headers(&[b"__Host-sso=a; sso=b; __Secure-sso=c; wxgate-login=d; wxgate=e"]);

        names.cut(&mut headers);

        assert_eq!(headers[COOKIE], "wxgate=e");
    }

    #[test]
    fn attributes_are_those_of_the_contract() {
        let week = Duration::from_secs(7 * 86_400);

        assert_eq!(
            set("__Host-wxgate", "abc", true, week),
            "__Host-wxgate=abc; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=604800"
        );
        assert_eq!(
            set("wxgate", "abc", false, week),
            "wxgate=abc; HttpOnly; SameSite=Lax; Path=/; Max-Age=604800"
        );
        assert_eq!(
            removal("__Host-wxgate", true),
            "__Host-wxgate=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        );
    }

    /// A cookie of somebody else: any bytes a header may hold, but no `;`.
    fn other_cookie() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0x21..=0xfe_u8, 1..20).prop_filter("ours, or not one", |bytes| {
            let is_ours = names().is_reserved(bytes);
            !is_ours && !bytes.contains(&b';') && !bytes.contains(&0x7f)
        })
    }

    proptest! {
        #[test]
        fn cutting_leaves_exactly_the_others(
            cookies in proptest::collection::vec((other_cookie(), 0..3_u8), 0..10)
        ) {
            let all: Vec<&[u8]> = cookies
                .iter()
                .map(|(other, kind)| match kind {
                    0 => b"__Host-wxgate=secret".as_slice(),
                    1 => b"wxgate-login=secret",
                    _ => other,
                })
                .collect();
            let others: Vec<&[u8]> = cookies
                .iter()
                .filter(|(_, kind)| *kind == 2)
                .map(|(other, _)| other.as_slice())
                .collect();
            let expected: Vec<Vec<u8>> = match others.as_slice() {
                [] if all.is_empty() => vec![vec![]],
                [] => vec![],
                others => vec![others.join(b"; ".as_slice())],
            };

            prop_assert_eq!(cut(&[&all.join(b"; ".as_slice())]), expected);
        }
    }
}
