//! What of a query may be shown.

use percent_encoding::percent_decode_str;

/// Parameters whose value is never shown, after decoding, in lower case and without brackets.
const SECRET_NAMES: &[&str] = &[
    "code",
    "state",
    "key",
    "sign",
    "signature",
    "msg_signature",
    "echostr",
    "openid",
    "unionid",
    "session_key",
    "sessionid",
    "sid",
    "auth",
    "authorization",
    "jwt",
];
/// A name that holds one of these is secret as well: `access_token`, `appSecret`, `web_ticket`.
const SECRET_PARTS: &[&str] = &[
    "token",
    "secret",
    "passw",
    "ticket",
    "credential",
    "api_key",
];
/// The most parameters that one line names.
const MOST_PARAMETERS: usize = 64;

/// Parameters in order, as name and raw value; `None` where a parameter has no `=`.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .take(MOST_PARAMETERS)
        .map(|part| match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        })
}

/// Whether the value of a parameter with this raw name must not be shown.
pub(super) fn is_secret(raw_name: &str) -> bool {
    let name = percent_decode_str(raw_name).decode_utf8_lossy();
    let name = name.trim_matches(|letter: char| letter == '+' || letter.is_whitespace());
    let name = name.split('[').next().unwrap_or_default().to_lowercase();
    SECRET_NAMES.contains(&name.as_str()) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_names_are_found_in_every_spelling() {
        for name in [
            "code",
            "state",
            "ticket",
            "token",
            "access_token",
            "refresh_token",
            "secret",
            "password",
            "session_key",
            "openid",
            "unionid",
            "key",
            "sign",
            "signature",
            "CODE",
            "%63ode",
            "%43%4f%44%45",
            "code[]",
            "code%5B0%5D",
            "+code",
            "%20code",
            "Web_Ticket",
            "appSecret",
            "idToken",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["page", "encode", "keyword", "design", "", "%ff"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn parameters_are_bounded_and_keep_their_order() {
        let parts: Vec<_> = parameters("a=1&&b&c=x=y").collect();
        assert_eq!(parts, [("a", Some("1")), ("b", None), ("c", Some("x=y"))]);

        assert_eq!(parameters(&"a&".repeat(1000)).count(), MOST_PARAMETERS);
    }
}
