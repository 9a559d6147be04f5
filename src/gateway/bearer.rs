//! `Authorization: Bearer wxg_…`: read once, and cut before anything else sees it.
//!
//! An `Authorization` of any other kind is the application's business and stays as it is. That there is only one was
//! checked with the head of the request.

use std::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;

const SCHEME: &str = "bearer ";
const PREFIX: &str = "wxg_";
/// No token of ours is longer.
const LONGEST: usize = 4096;

/// What a client shows as a token of ours; nobody judged it yet.
pub(super) struct BearerToken(String);

impl BearerToken {
    /// Takes it out of the headers. `None` where the header is missing or somebody else's.
    pub(super) fn take(headers: &mut HeaderMap) -> Option<Self> {
        let token = read(headers.get(AUTHORIZATION)?.as_bytes())?;
        headers.remove(AUTHORIZATION);
        Some(token)
    }

    /// `wxg_…`, or nothing where no token of ours looks like that.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn read(value: &[u8]) -> Option<BearerToken> {
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) {
        return None;
    }
    let token = rest.trim_ascii();
    if !token.starts_with(PREFIX.as_bytes()) {
        return None;
    }
    let text = std::str::from_utf8(token).unwrap_or_default();
    let fits = text.len() <= LONGEST;
    Some(BearerToken(if fits {
        text.to_owned()
    } else {
        String::new()
    }))
}

// SECURITY: whoever reads a log must not be able to use it.
impl fmt::Debug for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BearerToken(…)")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_our_own_tokens_are_taken() {
        let long = format!("Bearer wxg_{}", "x".repeat(LONGEST));
        let table: [(&[u8], Option<&str>); 12] = [
            (b"Bearer wxg_abc", Some("wxg_abc")),
            (b"bearer wxg_abc", Some("wxg_abc")),
            (b"BEARER   wxg_abc ", Some("wxg_abc")),
            (b"Bearer wxg_", Some("wxg_")),
            (b"Bearer wxg_\xff", Some("")),
            (long.as_bytes(), Some("")),
            (b"Bearer WXG_abc", None),
            (b"Bearer abc", None),
            (b"Basic wxg_abc", None),
            (b"wxg_abc", None),
            (b"Bearerwxg_abc", None),
            (b"", None),
        ];
        for (value, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());

            let token = BearerToken::take(&mut headers);

            assert_eq!(
                token.as_ref().map(BearerToken::as_str),
                expected,
                "{value:?}"
            );
            assert_eq!(headers.is_empty(), expected.is_some(), "{value:?}");
        }
        assert!(BearerToken::take(&mut HeaderMap::new()).is_none());
    }
}
