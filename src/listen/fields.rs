//! An HTTP/2 head in the form that the request path knows: what has two readings is marked, the rest becomes like HTTP/1.1.

use http::header::{
    CONNECTION, COOKIE, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Request};

use super::Flaw;

/// Fields about a connection, which HTTP/2 does not have (RFC 9113, section 8.2.2).
const FORBIDDEN: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Looks for what must be refused, joins cookies, and says the host in the field that HTTP/1.1 says it in.
pub(super) fn admit<B>(request: &mut Request<B>, most: usize) -> Option<Flaw> {
    let flaw = flaw(request.headers(), most);
    join_cookies(request.headers_mut());
    if !request.headers().contains_key(HOST)
        && let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
    flaw
}

fn flaw(headers: &HeaderMap, most: usize) -> Option<Flaw> {
    if headers.len() > most {
        return Some(Flaw::TooManyFields);
    }
    if FORBIDDEN.iter().any(|name| headers.contains_key(name))
        || headers.get_all(TE).iter().any(|value| value != "trailers")
    {
        return Some(Flaw::ConnectionField);
    }
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_untrimmed = |value: &HeaderValue| {
        let value = value.as_bytes();
        is_blank(value.first()) || is_blank(value.last())
    };
    headers
        .values()
        .any(is_untrimmed)
        .then_some(Flaw::UntrimmedValue)
}

/// A client may send each cookie in a field of its own; others expect one field (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else {
        return;
    };
    let mut joined = first.as_bytes().to_vec();
    for cookie in std::iter::once(second).chain(cookies) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(cookie.as_bytes());
    }
    // Values that were good alone are good together.
    if let Ok(mut joined) = HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)) {
        joined.set_sensitive(true);
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn request(fields: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::get("https://www.example.com/a").body(()).unwrap();
        for (name, value) in fields {
            let value = HeaderValue::from_static(value);
            request.headers_mut().append(*name, value);
        }
        request
    }

    #[test]
    fn what_http2_does_not_have_is_a_flaw() {
        for name in [
            "connection",
            "transfer-encoding",
            "upgrade",
            "keep-alive",
            "proxy-connection",
            "http2-settings",
        ] {
            assert_eq!(
                admit(&mut request(&[(name, "x")]), 100),
                Some(Flaw::ConnectionField),
                "{name}"
            );
        }
        for (te, flaw) in [
            ("trailers", None),
            ("gzip", Some(Flaw::ConnectionField)),
            ("trailers, gzip", Some(Flaw::ConnectionField)),
        ] {
            assert_eq!(admit(&mut request(&[("te", te)]), 100), flaw, "{te}");
        }
    }

    #[test]
    fn values_with_blanks_around_them_are_a_flaw() {
        for (value, flaw) in [
            ("a", None),
            ("", None),
            ("a b", None),
            (" a", Some(Flaw::UntrimmedValue)),
            ("a\t", Some(Flaw::UntrimmedValue)),
            (" ", Some(Flaw::UntrimmedValue)),
        ] {
            assert_eq!(
                admit(&mut request(&[("x-a", value)]), 100),
                flaw,
                "{value:?}"
            );
        }
    }

    #[test]
    fn cookies_become_one_field_and_the_host_is_said_like_before() {
        let mut split = request(&[("cookie", "a=1"), ("cookie", "b=2; c=3"), ("cookie", "d=4")]);

        assert_eq!(admit(&mut split, 100), None);

        let cookies: Vec<_> = split.headers().get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3; d=4"]);
        assert_eq!(split.headers()[HOST], "www.example.com");

        let mut named = request(&[("host", "other.example")]);
        admit(&mut named, 100);
        assert_eq!(named.headers()[HOST], "other.example", "judged later");
    }

    #[test]
    fn too_many_fields_are_a_flaw() {
        let fields = [("x-a", "1"); 11];
        assert_eq!(admit(&mut request(&fields), 10), Some(Flaw::TooManyFields));
        assert_eq!(admit(&mut request(&fields), 11), None);
    }
}
