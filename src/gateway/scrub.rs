//! Folded header names: nothing forged gets in, nothing private gets out.
//!
//! Application servers fold names: CGI, WSGI, PHP and nginx read `X_Wechat_Openid`, `X.Wechat.Openid` and
//! `x-wechat-openid` as one. So a name is judged by its fold: lower case, every byte that is not a letter or digit turned
//! into `_`. Exact names alone were the mistake in CVE-2025-64484 and its kin.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers that belong to us and to proxies we trust.
#[derive(Clone, Debug)]
pub(super) struct Scrub {
    /// Folded names that we may inject.
    ours: Vec<Vec<u8>>,
    /// Bit n is set when a name of ours begins with the n-th letter; most headers are let go by this alone.
    first_letters: u32,
    /// Cookies that only we may set.
    cookies: Vec<String>,
}

/// How many headers that only we may set a client sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Forged {
    /// In the usual spelling.
    pub(super) identity: u32,
    /// In one that only application servers take for the same: `_`, or any other byte, for `-`.
    pub(super) underscore: u32,
}

impl Forged {
    pub(super) fn sum(self) -> u32 {
        self.identity + self.underscore
    }

    fn add(&mut self, name: &HeaderName) {
        match is_usual_spelling(name) {
            true => self.identity += 1,
            false => self.underscore += 1,
        }
    }
}

/// What a client's header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The application's business.
    Free,
    /// A name that only we may use.
    Ours,
    /// Says where a request came from; only trusted proxies may, and only in the usual spelling.
    Forwarded,
}

/// The header by which an application ends its visitor's session.
pub(super) const LOGOUT_HEADER: HeaderName = HeaderName::from_static("x-wxgate-logout");

/// Prefixes that are ours whatever follows.
const OUR_PREFIXES: [&[u8]; 2] = [b"x_wxgate_", b"x_wechat_"];

/// Names and prefixes that say where a request came from.
const FORWARDED: [&[u8]; 4] = [b"forwarded", b"x_forwarded_", b"x_real_ip", b"x_original_"];

/// Longer names fold only so far; every name and prefix above is shorter.
const LONGEST: usize = 128;

impl Scrub {
    /// `names` are the headers that may be injected; `cookies` the names of our cookies.
    pub(super) fn new<'n>(
        names: impl IntoIterator<Item = &'n HeaderName>,
        cookies: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        let ours: Vec<Vec<u8>> = names
            .into_iter()
            .map(|name| {
                let mut folded = [0; LONGEST];
                fold(name.as_str().as_bytes(), &mut folded).to_vec()
            })
            .collect();
        let letters = ours.iter().filter_map(|name| name.first());
        let first_letters = letters
            .chain(b"xf")
            .fold(0, |bits, letter| bits | letter_bit(*letter));
        Self {
            ours,
            first_letters,
            cookies: cookies.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Removes what a client may not send; says how many of our own names it tried.
    pub(super) fn request(&self, headers: &mut HeaderMap, peer_is_trusted: bool) -> Forged {
        let mut forged = Forged::default();
        let mut doomed: Vec<HeaderName> = Vec::new();
        for name in headers.keys() {
            match self.kind(name) {
                Kind::Free => continue,
                Kind::Ours => forged.add(name),
                Kind::Forwarded if peer_is_trusted && is_usual_spelling(name) => continue,
                Kind::Forwarded => {}
            }
            doomed.push(name.clone());
        }
        for name in doomed {
            headers.remove(name);
        }
        forged
    }

    /// Whether the name is another spelling of one that is not the client's to use. No browser sends such a header.
    pub(super) fn is_alias(&self, name: &HeaderName) -> bool {
        self.kind(name) != Kind::Free && !is_usual_spelling(name)
    }

    /// Whether a client's trailer may pass.
    pub(super) fn allows_trailer(&self, name: &HeaderName) -> bool {
        self.kind(name) == Kind::Free
    }

    /// Whether only we may send a header of this name to visitors. An application may still ask for a logout.
    pub(super) fn is_private(&self, name: &HeaderName) -> bool {
        self.kind(name) == Kind::Ours && *name != LOGOUT_HEADER
    }

    /// Removes from the application's answer the cookies that only we may set.
    pub(super) fn cookies(&self, headers: &mut HeaderMap) {
        let sets_ours = |value: &HeaderValue| {
            let name = sent_name(value.as_bytes());
            self.cookies.iter().any(|ours| name == ours.as_bytes())
        };
        if !headers.get_all(SET_COOKIE).iter().any(sets_ours) {
            return;
        }
        let kept: Vec<_> = headers
            .get_all(SET_COOKIE)
            .iter()
            .filter(|value| !sets_ours(value))
            .cloned()
            .collect();
        headers.remove(SET_COOKIE);
        for value in kept {
            headers.append(SET_COOKIE, value);
        }
    }

    fn kind(&self, name: &HeaderName) -> Kind {
        let name = name.as_str().as_bytes();
        let first = name.first().copied().unwrap_or_default();
        if first.is_ascii_lowercase() && self.first_letters & letter_bit(first) == 0 {
            return Kind::Free;
        }
        let mut folded = [0; LONGEST];
        let folded = fold(name, &mut folded);
        if self.ours.iter().any(|ours| ours == folded)
            || OUR_PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
        {
            Kind::Ours
        } else if FORWARDED.iter().any(|prefix| folded.starts_with(prefix)) {
            Kind::Forwarded
        } else {
            Kind::Free
        }
    }
}

/// The name under which browsers send a cookie back. Of one without a name they send the bare value, which may look like a
/// name and a value (RFC 6265bis 5.8.3).
fn sent_name(set_cookie: &[u8]) -> &[u8] {
    let pair = until(set_cookie, b';').trim_ascii();
    until(pair.strip_prefix(b"=").unwrap_or(pair), b'=').trim_ascii()
}

fn until(text: &[u8], end: u8) -> &[u8] {
    text.split(|byte| *byte == end).next().unwrap_or_default()
}

fn letter_bit(letter: u8) -> u32 {
    1 << (letter.wrapping_sub(b'a') & 31)
}

fn is_usual_spelling(name: &HeaderName) -> bool {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    name.as_str().bytes().all(usual)
}

/// Names in a `HeaderName` are lower-case already.
fn fold<'f>(name: &[u8], folded: &'f mut [u8; LONGEST]) -> &'f [u8] {
    let length = name.len().min(LONGEST);
    for (to, from) in folded.iter_mut().zip(name) {
        *to = if from.is_ascii_alphanumeric() {
            *from
        } else {
            b'_'
        };
    }
    folded.get(..length).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    /// Every byte that a header name may hold and that folds to `_` (RFC 9110 5.6.2).
    const FILLERS: &str = "!#$%&'*+-.^_`|~";

    fn scrub() -> Scrub {
        let names = [
            "x-wechat-openid",
            "remote-user",
            "x-request-id",
            "authorization",
        ];
        let names = names.map(HeaderName::from_static);
        Scrub::new(&names, ["__Host-wxgate"])
    }

    fn survives(name: &str, trusted: bool) -> bool {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.insert(name, HeaderValue::from_static("forged"));
        scrub().request(&mut headers, trusted);
        !headers.is_empty()
    }

    #[test]
    fn every_spelling_of_our_names_is_dropped() {
        let ours = [
            "x-wechat-openid",
            "remote-user",
            "x-request-id",
            "authorization",
            "x-wxgate-jwt-assertion",
            "x-wechat-anything",
        ];
        let mut tried = 0;
        for name in ours {
            for trusted in [false, true] {
                for filler in FILLERS.chars() {
                    let spelling = name.replace('-', &filler.to_string());
                    assert!(!survives(&spelling, trusted), "{spelling}");
                    assert!(!survives(&spelling.to_uppercase(), trusted), "{spelling}");
                    tried += 1;
                }
            }
        }
        assert_eq!(tried, 6 * 2 * 15);
    }

    #[test]
    fn only_trusted_proxies_say_where_a_request_came_from() {
        for name in [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-real-ip",
            "x-original-url",
        ] {
            assert!(!survives(name, false), "{name}");
            assert!(survives(name, true), "{name}");
            let folded = name.replace('-', "_");
            assert_eq!(survives(&folded, true), !name.contains('-'), "{folded}");
        }
    }

    #[test]
    fn other_headers_stay() {
        for name in [
            "accept",
            "cookie",
            "x-requested-with",
            "x-wechatty",
            "x_custom",
            "from",
            "xwechat-openid",
        ] {
            assert!(survives(name, false), "{name}");
        }
    }

    #[test]
    fn an_application_cannot_speak_for_us() {
        let mut headers = HeaderMap::new();
        headers.insert("x_wechat_openid", HeaderValue::from_static("leak"));
        headers.insert("x-forwarded-prefix", HeaderValue::from_static("/a"));
        headers.insert(LOGOUT_HEADER, HeaderValue::from_static("1"));
        headers.append(SET_COOKIE, HeaderValue::from_static("a=1"));
        for forged in [
            "__Host-wxgate=forged; Path=/",
            " __Host-wxgate =forged",
            "__Host-wxgate; Path=/",
            "=__Host-wxgate=forged",
        ] {
            headers.append(SET_COOKIE, HeaderValue::from_static(forged));
        }

        scrub().cookies(&mut headers);
        let private: Vec<_> = headers
            .keys()
            .filter(|name| scrub().is_private(name))
            .collect();

        assert_eq!(private, ["x_wechat_openid"]);
        assert_eq!(
            headers.get_all(SET_COOKIE).iter().collect::<Vec<_>>(),
            ["a=1"]
        );
    }
}
