//! Header fields that end at each hop, and fields that say where a message ends.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT,
    HOST, ORIGIN, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, REFERER, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Fields that are never passed on, in the order of their [`place`]. Some are written anew afterwards.
const HOP_BY_HOP: [HeaderName; 11] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HTTP2_SETTINGS,
    EXPECT,
];

/// Fields that end at this hop, found in one pass and removed afterwards.
///
/// A set of bits instead of names, because nearly every message has one or two of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HopByHop(u16);

impl HopByHop {
    /// Notes the field if it is one. Says whether it was.
    pub(super) fn note(&mut self, name: &str) -> bool {
        match place(name) {
            Some(place) => {
                self.0 |= 1 << place;
                true
            }
            None => false,
        }
    }

    /// Whether `Connection` was noted, which may name more fields.
    pub(super) fn has_connection(self) -> bool {
        self.0 & 1 != 0
    }

    /// Removes what was noted.
    pub(super) fn remove_from(self, headers: &mut HeaderMap) {
        let mut left = self.0;
        while left != 0 {
            headers.remove(&HOP_BY_HOP[left.trailing_zeros() as usize]);
            left &= left - 1;
        }
    }
}

/// Index in [`HOP_BY_HOP`]. The first byte decides nearly always.
fn place(name: &str) -> Option<usize> {
    let place = match name.as_bytes().first()? {
        b'c' if name == "connection" => 0,
        b'k' if name == "keep-alive" => 1,
        b'p' => match name {
            "proxy-connection" => 2,
            "proxy-authenticate" => 3,
            "proxy-authorization" => 4,
            _ => return None,
        },
        b't' => match name {
            "te" => 5,
            "trailer" => 6,
            "transfer-encoding" => 7,
            _ => return None,
        },
        b'u' if name == "upgrade" => 8,
        b'h' if name == "http2-settings" => 9,
        b'e' if name == "expect" => 10,
        _ => return None,
    };
    Some(place)
}

/// The fields that `Connection` names, except those that no peer may have removed.
pub(super) fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter();
    values
        // PERF: nearly always one option stands there alone.
        .filter(|value| !is_option_without_field(value.as_bytes()))
        .flat_map(tokens)
        .filter(|token| !is_option_without_field(token))
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .filter(|name| !is_protected(name) && headers.contains_key(name))
        .collect()
}

/// Whether a comma-separated field contains a token, in any case.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    values.any(|value| says(value, token))
}

/// Whether one line of such a field contains the token.
pub(super) fn says(value: &HeaderValue, token: &str) -> bool {
    tokens(value).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

/// Fields that decide where a message begins and ends or which site it is for: nobody edits them.
pub(super) fn is_framing(name: &HeaderName) -> bool {
    *name == HOST || *name == CONTENT_LENGTH || place(name.as_str()).is_some()
}

/// A line that is no text has none.
fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let text = value.to_str().unwrap_or_default();
    text.as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

fn is_option_without_field(token: &[u8]) -> bool {
    ["keep-alive", "close", "upgrade", "te"]
        .into_iter()
        .any(|option| token.eq_ignore_ascii_case(option.as_bytes()))
}

/// What `Connection` cannot name: who asks, where for, what the body is, and what was said about where it came from.
fn is_protected(name: &HeaderName) -> bool {
    let text = name.as_str();
    [
        HOST,
        COOKIE,
        SET_COOKIE,
        AUTHORIZATION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        CONTENT_ENCODING,
        ORIGIN,
        REFERER,
    ]
    .contains(name)
        || text == "forwarded"
        || text == "x-real-ip"
        || text.starts_with("x-forwarded-")
        || text.starts_with("sec-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hop_by_hop_field_is_found_at_its_own_place() {
        for (index, name) in HOP_BY_HOP.iter().enumerate() {
            assert_eq!(place(name.as_str()), Some(index), "{name}");
        }
        for other in [
            "cookie",
            "content-length",
            "x-te",
            "proxy",
            "ter",
            "",
            "hos",
        ] {
            assert_eq!(place(other), None, "{other}");
        }
    }

    #[test]
    fn tokens_are_found_in_any_case_and_place_and_never_inside_others() {
        let says = |value: &'static str| says(&HeaderValue::from_static(value), "close");
        for value in [
            "close",
            "Close",
            " close",
            "keep-alive, CLOSE",
            "a,close ,b",
        ] {
            assert!(says(value), "{value}");
        }
        for value in ["", "keep-alive", "closed", "x-close", "a close", ","] {
            assert!(!says(value), "{value}");
        }
    }

    #[test]
    fn connection_names_fields_that_are_there_and_no_others() {
        let nominated = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, HeaderValue::from_static(value));
            headers.insert(COOKIE, HeaderValue::from_static("a=1"));
            headers.insert("x-hop", HeaderValue::from_static("1"));
            nominated(&headers)
        };
        assert!(nominated("keep-alive").is_empty());
        assert!(nominated("Close").is_empty());
        assert!(nominated("cookie, x-other").is_empty());
        assert_eq!(nominated("X-Hop"), ["x-hop"]);
        assert_eq!(nominated("keep-alive, x-hop"), ["x-hop"]);
    }
}
