//! The query of `scan`: that of `login`, and which code the page shows.

use super::ticket::TicketId;
use crate::login::query::{LoginQuery, only};
use crate::wechat::AppName;

/// What a link to the page with the QR code asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::login) struct ScanQuery {
    /// The login itself.
    pub(in crate::login) login: LoginQuery,
    /// The code that the page shows already: `id=`. Anything that is none of ours asks for a fresh one.
    pub(super) id: Option<TicketId>,
    /// The way to log in that the visitor chose: `tab=`.
    pub(super) tab: Option<String>,
}

impl ScanQuery {
    /// A page with a fresh code for this login.
    pub(in crate::login) fn fresh(login: LoginQuery) -> Self {
        Self {
            login,
            id: None,
            tab: None,
        }
    }

    /// Reads a query. What is unknown or unreadable is left out.
    pub(super) fn read(query: &str) -> Self {
        Self {
            login: LoginQuery::read(query),
            id: only(query, "id").and_then(TicketId::parse),
            tab: only(query, "tab")
                .filter(|tab| AppName::parse(tab).is_some())
                .map(str::to_owned),
        }
    }

    /// `scan?to=…`, to stand behind the prefix of our endpoints.
    pub(in crate::login) fn link(&self) -> String {
        let mut link = format!("scan?{}", self.login.text());
        if let Some(id) = &self.id {
            link.push_str("&id=");
            link.push_str(id.as_str());
        }
        if let Some(tab) = &self.tab {
            link.push_str("&tab=");
            link.push_str(tab);
        }
        link
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wechat::Scope;

    #[test]
    fn a_link_is_read_as_it_was_meant() {
        let fresh = ScanQuery::fresh(LoginQuery {
            scope: Scope::Userinfo,
            required: true,
            ..LoginQuery::to("/orders?id=1")
        });
        let shown = ScanQuery {
            id: Some(TicketId::random()),
            ..fresh.clone()
        };
        let chosen = ScanQuery {
            tab: Some("site-2".to_owned()),
            ..shown.clone()
        };
        for query in [fresh, shown, chosen] {
            let link = query.link();
            let (path, text) = link.split_once('?').unwrap_or_default();
            assert_eq!(path, "scan");
            assert_eq!(ScanQuery::read(text), query, "{link}");
        }
    }

    #[test]
    fn an_id_that_is_none_of_ours_asks_for_a_fresh_code() {
        for id in ["", "x", "id=a&id=b", "%41aaaaaaaaaaaaaaaaaaaaa"] {
            let query = ScanQuery::read(&format!("to=%2Fa&id={id}"));
            assert_eq!(query, ScanQuery::fresh(LoginQuery::to("/a")), "{id}");
        }
    }
}
