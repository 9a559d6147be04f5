//! Names and ids that must not be mixed up.

use std::fmt;
use std::sync::Arc;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $longest:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks length and characters; `None` for what no such id looks like.
            pub fn parse(text: &str) -> Option<Self> {
                let allowed: fn(char) -> bool = $allowed;
                let fits = (1..=$longest).contains(&text.len()) && text.chars().all(allowed);
                fits.then(|| Self(text.into()))
            }

            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        // Ids of people stay out of logs, so even `{:?}` shows only the kind.
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

id! {
    /// The operator's name for an app; appears in logs, metrics and paths: `[A-Za-z0-9_-]`.
    AppName, 64, |letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

id! {
    /// WeChat's id of an app: `wx` and 16 hex digits in practice; letters and digits here.
    AppId, 64, |letter| letter.is_ascii_alphanumeric()
}

id! {
    /// A person as one app knows it: `[A-Za-z0-9_-]`.
    OpenId, 128, |letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

id! {
    /// A person as all apps of one operator know it: `[A-Za-z0-9_-]`.
    UnionId, 128, |letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_could_break_a_header_or_a_key() {
        for bad in ["", "a b", "a:b", "a\nb", "é", &"x".repeat(129)] {
            assert_eq!(OpenId::parse(bad), None, "{bad:?}");
        }
        assert_eq!(OpenId::parse("o6_bm-L2M").unwrap().as_str(), "o6_bm-L2M");
    }

    #[test]
    fn debug_output_hides_people() {
        let openid = OpenId::parse("o6_bmasdasdsad6").unwrap();
        assert_eq!(format!("{openid:?}"), "OpenId(…)");
    }
}
