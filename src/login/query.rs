//! The query of `login?to=`: made here for our own links, read here when one is followed.

use std::time::Duration;

use url::form_urlencoded::{Serializer, parse};

use crate::wechat::Scope;

/// What a link to our `login` endpoint asks for.
///
/// Anybody may write such a link. The worst it can do is begin a login that the visitor did not ask for, which ends at a
/// page of ours or of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoginQuery {
    /// Where to go afterwards, not yet judged; `/` when it is missing or given twice.
    pub(super) to: String,
    /// At least this scope: `scope=userinfo`.
    pub(super) scope: Scope,
    /// A session whose login is older does not do: `max_age=1800`, in seconds.
    pub(super) max_age: Option<Duration>,
    /// The visitor pressed the button of our purpose page: `go=1`.
    pub(super) clicked: bool,
    /// The visitor pressed "try again", so earlier rounds do not count: `again=1`.
    pub(super) again: bool,
    /// The target's route demands the login: `required=1`.
    pub(super) required: bool,
}

impl LoginQuery {
    /// A plain login with this target.
    pub(super) fn to(target: &str) -> Self {
        Self {
            to: target.to_owned(),
            scope: Scope::Base,
            max_age: None,
            clicked: false,
            again: false,
            required: false,
        }
    }

    /// Reads a query. What is unknown or unreadable is left out, so that the strangest link still leads to a login.
    pub(super) fn read(query: &str) -> Self {
        let mut read = Self::to("/");
        let mut targets = 0;
        for (name, value) in parse(query.as_bytes()) {
            match name.as_ref() {
                "to" => {
                    targets += 1;
                    read.to = value.into_owned();
                }
                "scope" if value == "userinfo" => read.scope = Scope::Userinfo,
                "max_age" => read.max_age = value.parse().ok().map(Duration::from_secs),
                "go" => read.clicked = value == "1",
                "again" => read.again = value == "1",
                "required" => read.required = value == "1",
                _ => {}
            }
        }
        if targets != 1 {
            "/".clone_into(&mut read.to);
        }
        read
    }

    /// `login?to=…`, to stand behind the prefix of our endpoints.
    pub(super) fn link(&self) -> String {
        format!("login?{}", self.text())
    }

    /// The query alone.
    pub(super) fn text(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("to", &self.to);
        if self.scope == Scope::Userinfo {
            query.append_pair("scope", "userinfo");
        }
        if let Some(max_age) = self.max_age {
            query.append_pair("max_age", &max_age.as_secs().to_string());
        }
        let flags = [
            ("go", self.clicked),
            ("again", self.again),
            ("required", self.required),
        ];
        for (name, _) in flags.into_iter().filter(|(_, is_set)| *is_set) {
            query.append_pair(name, "1");
        }
        query.finish()
    }
}

/// The value of a parameter that is given exactly once.
pub(super) fn only<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut values = query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    });
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_as_it_was_meant() {
        let plain = LoginQuery::to("/orders?id=1&x=a b+c%2f");
        let full = LoginQuery {
            scope: Scope::Userinfo,
            max_age: Some(Duration::from_secs(1800)),
            clicked: true,
            again: true,
            required: true,
            ..plain.clone()
        };
        assert_eq!(
            LoginQuery::to("/orders?id=1").link(),
            "login?to=%2Forders%3Fid%3D1"
        );
        for query in [plain, full] {
            let link = query.link();
            let (_, text) = link.split_once('?').unwrap_or_default();
            assert_eq!(LoginQuery::read(text), query, "{link}");
        }
    }

    #[test]
    fn whatever_cannot_be_read_leads_to_the_first_page() {
        let table = [
            "",
            "to=%2Fa&to=%2Fb",
            "To=%2Fa",
            "scope=admin&max_age=-1&go=yes&again=&required=2",
            "max_age=99999999999999999999999",
            "&&&=&%zz",
        ];
        for text in table {
            assert_eq!(LoginQuery::read(text), LoginQuery::to("/"), "{text}");
        }
    }
}
