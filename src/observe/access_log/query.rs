//! What of a query may be shown.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::shorten;

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
/// How often a value is decoded to look for an address within an address.
const DEEPEST: usize = 4;
/// The most parameters that one line names.
const MOST_PARAMETERS: usize = 64;

/// How one format writes the parameters of a query.
pub(super) struct Parameters {
    /// Stands before the first one.
    pub(super) before: &'static str,
    /// Stands for a value that is not shown.
    pub(super) removed: &'static str,
    /// Appends text from outside so that it cannot break the line.
    pub(super) escape: fn(&mut Vec<u8>, &str),
}

impl Parameters {
    /// Appends them with `&` in between; nothing where there are none. A cut parameter keeps its beginning: its name still decides
    /// whether it is shown.
    pub(super) fn write(&self, line: &mut Vec<u8>, query: &str, shows_values: bool) {
        let (query, _) = shorten(query);
        for (place, (name, value)) in parameters(query).enumerate() {
            let sign = if place == 0 { self.before } else { "&" };
            line.extend_from_slice(sign.as_bytes());
            (self.escape)(line, name);
            match value {
                None => {}
                Some(value) if shows_values && !is_secret(name, value) => {
                    line.push(b'=');
                    (self.escape)(line, value);
                }
                Some(_) => {
                    line.push(b'=');
                    line.extend_from_slice(self.removed.as_bytes());
                }
            }
        }
    }
}

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

/// Whether a parameter must not be shown: for its name, or because it is an address with such a parameter of its own, as in
/// `to=/reset?token=…`.
fn is_secret(raw_name: &str, raw_value: &str) -> bool {
    if has_secret_name(raw_name) {
        return true;
    }
    let mut value = Cow::Borrowed(raw_value);
    for _ in 0..DEEPEST {
        let (_, query) = value.split_once('?').unwrap_or_default();
        if query.split(['&', '?']).any(has_secret_name) {
            return true;
        }
        let decoded = percent_decode_str(&value).decode_utf8_lossy().into_owned();
        if decoded == value {
            return false;
        }
        value = Cow::Owned(decoded);
    }
    // Nobody writes an address into an address so often.
    true
}

fn has_secret_name(parameter: &str) -> bool {
    let raw_name = parameter.split('=').next().unwrap_or_default();
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
            assert!(is_secret(name, ""), "{name}");
        }
        for name in ["page", "encode", "keyword", "design", "", "%ff"] {
            assert!(!is_secret(name, "1"), "{name}");
        }
    }

    #[test]
    fn a_secret_within_an_address_is_found_however_often_it_is_escaped() {
        for value in [
            "/reset?token=1",
            "%2Freset%3Fa%3D1%26token%3D1",
            "https%3A%2F%2Fwww.example.com%2F%3Fcode%3D1",
            "%2F_wxgate%2Flogin%3Fto%3D%252Freset%253F%2574oken%253D1",
            "%2F%3F%63ode%3D1",
            "%252525252F",
        ] {
            assert!(is_secret("to", value), "{value}");
        }
        for value in [
            "",
            "/",
            "%2Forders%3Fpage%3D2",
            "token=1",
            "100%25",
            "a?b=%2541",
        ] {
            assert!(!is_secret("to", value), "{value}");
        }
    }

    #[test]
    fn parameters_are_bounded_and_keep_their_order() {
        let parts: Vec<_> = parameters("a=1&&b&c=x=y").collect();
        assert_eq!(parts, [("a", Some("1")), ("b", None), ("c", Some("x=y"))]);

        assert_eq!(parameters(&"a&".repeat(1000)).count(), MOST_PARAMETERS);
    }
}
