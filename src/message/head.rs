//! The fields of a request's head that decide something, found in one pass.

use http::{HeaderMap, HeaderValue};

/// The fields that are judged before a request goes anywhere; of one that stands there twice, the first.
///
/// PERF: one pass over what is there (330 instructions) instead of look-ups, here and there, of what mostly is not (1,300).
#[derive(Debug, Default)]
pub struct Head<'h> {
    /// `Host`.
    pub host: Option<&'h HeaderValue>,
    /// There is more than one `Host`.
    pub has_two_hosts: bool,
    /// There is more than one `Authorization`.
    pub has_two_credentials: bool,
    /// `Transfer-Encoding`.
    pub transfer_encoding: Option<&'h HeaderValue>,
    /// `Expect`.
    pub expect: Option<&'h HeaderValue>,
    /// `User-Agent`.
    pub user_agent: Option<&'h HeaderValue>,
    /// What else there is.
    pub present: Present,
    pub(super) sec_purpose: Option<&'h HeaderValue>,
    pub(super) purpose: Option<&'h HeaderValue>,
    pub(super) fetch_mode: Option<&'h HeaderValue>,
    pub(super) fetch_destination: Option<&'h HeaderValue>,
    pub(super) requested_with: Option<&'h HeaderValue>,
    pub(super) accepts_html: bool,
}

/// Which fields a client sent: what is not among them need not be looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// How many `Cookie` fields.
    pub cookies: usize,
    /// `Authorization`
    pub credentials: bool,
    /// `Connection`
    pub connection: bool,
    /// `Upgrade`
    pub upgrade: bool,
    /// `Trailer`
    pub trailer: bool,
    /// `X-Forwarded-For`
    pub forwarded: bool,
}

impl<'h> Head<'h> {
    /// Reads the fields.
    pub fn of(headers: &'h HeaderMap) -> Self {
        let mut head = Self::default();
        for (name, value) in headers {
            head.take(name.as_str(), value);
        }
        head
    }

    fn take(&mut self, name: &str, value: &'h HeaderValue) {
        let present = &mut self.present;
        // PERF: the length tells most names apart before any letter is compared.
        let first = match (name.len(), name) {
            (4, "host") => {
                self.has_two_hosts = self.host.is_some();
                &mut self.host
            }
            (6, "accept") => {
                self.accepts_html |= names_html(value.as_bytes());
                return;
            }
            (6, "cookie") => {
                present.cookies += 1;
                return;
            }
            (6, "expect") => &mut self.expect,
            (7, "purpose") => &mut self.purpose,
            (7, "upgrade") => {
                present.upgrade = true;
                return;
            }
            (7, "trailer") => {
                present.trailer = true;
                return;
            }
            (10, "user-agent") => &mut self.user_agent,
            (10, "connection") => {
                present.connection = true;
                return;
            }
            (11, "sec-purpose") => &mut self.sec_purpose,
            (13, "authorization") => {
                self.has_two_credentials |= present.credentials;
                present.credentials = true;
                return;
            }
            (14, "sec-fetch-mode") => &mut self.fetch_mode,
            (14, "sec-fetch-dest") => &mut self.fetch_destination,
            (15, "x-forwarded-for") => {
                present.forwarded = true;
                return;
            }
            (16, "x-requested-with") => &mut self.requested_with,
            (17, "transfer-encoding") => &mut self.transfer_encoding,
            _ => return,
        };
        first.get_or_insert(value);
    }
}

/// Whether `Accept` names `text/html`.
fn names_html(accept: &[u8]) -> bool {
    const HTML: &[u8] = b"text/html";
    // PERF: browsers name it first.
    accept.starts_with(HTML) || accept.windows(HTML.len()).any(|part| part == HTML)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn of_fields_that_stand_there_twice_the_first_counts_and_the_second_is_told() {
        let fields = [
            ("host", "a"),
            ("host", "b"),
            ("authorization", "c"),
            ("authorization", "d"),
            ("user-agent", "e"),
            ("user-agent", "f"),
            ("cookie", "g=1"),
            ("cookie", "h=1"),
            ("cookie", "i=1"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let value = HeaderValue::from_static(value);
            headers.append(HeaderName::from_static(name), value);
        }

        let head = Head::of(&headers);

        assert_eq!(head.host.unwrap(), "a");
        assert_eq!(head.user_agent.unwrap(), "e");
        assert!(head.has_two_hosts && head.has_two_credentials);
        let expected = Present {
            cookies: 3,
            credentials: true,
            ..Present::default()
        };
        assert_eq!(head.present, expected);
    }

    #[test]
    fn every_field_that_decides_is_found_under_its_name() {
        let names = [
            "host",
            "user-agent",
            "transfer-encoding",
            "expect",
            "sec-purpose",
            "purpose",
            "sec-fetch-mode",
            "sec-fetch-dest",
            "x-requested-with",
        ];
        let headers: HeaderMap = names
            .map(|name| {
                let value = HeaderValue::from_static(name);
                (HeaderName::from_static(name), value)
            })
            .into_iter()
            .collect();

        let head = Head::of(&headers);

        let found = [
            head.host,
            head.user_agent,
            head.transfer_encoding,
            head.expect,
            head.sec_purpose,
            head.purpose,
            head.fetch_mode,
            head.fetch_destination,
            head.requested_with,
        ];
        assert_eq!(found.map(Option::unwrap), names);
        assert!(!head.has_two_hosts && !head.has_two_credentials);
        assert_eq!(head.present, Present::default());
        for name in ["connection", "upgrade", "trailer", "x-forwarded-for"] {
            let name = HeaderName::from_static(name);
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static("x"))]);
            assert_ne!(Head::of(&headers).present, Present::default());
        }
    }
}
