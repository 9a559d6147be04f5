//! The query of a request.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use url::form_urlencoded;

/// Names and values, decoded.
#[derive(Debug)]
pub(super) struct Query<'t>(Vec<(Cow<'t, str>, Cow<'t, str>)>);

impl<'t> Query<'t> {
    pub(super) fn of(target: &'t PathAndQuery) -> Self {
        let query = target.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).collect())
    }

    /// The value of the first pair with this name, unless it is empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_ref())
            .filter(|value| !value.is_empty())
    }
}
