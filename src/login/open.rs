//! `open?to=`: from a phone's browser into WeChat, through a mini program of the operator's.
//!
//! Only WeChat can make a link that opens its app. It opens a mini program there, whose page shows the address that it is given in
//! a web-view; the login happens in that, as anywhere in WeChat. One link serves everybody, so it is made once for a target.

use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quick_cache::sync::Cache;

use super::address::Destination;
use super::query::LoginQuery;
use super::{Login, MiniProgramLink, Visit};
use crate::limit::Action;
use crate::message::{self, Answer, Browser, Load};
use crate::pages::{Cause, Page};
use crate::wechat::{self, App, Reaction};

/// How long a link is handed out again; WeChat's own limit is 30 days, and links are made for one.
const KEPT: Duration = Duration::from_secs(12 * 3600);

/// So many links are kept; the least useful are forgotten first.
const MOST_KEPT: usize = 1024;

/// The longest query that WeChat takes for a page.
const LONGEST_QUERY: usize = 1024;

/// Links that were made, by the query that they carry.
#[derive(Debug)]
pub(super) struct Links(Cache<Box<str>, (SystemTime, Box<str>)>);

impl Default for Links {
    fn default() -> Self {
        Self(Cache::new(MOST_KEPT))
    }
}

impl Links {
    fn find(&self, query: &str, now: SystemTime) -> Option<Box<str>> {
        let (made, link) = self.0.get(query)?;
        let is_new = now.duration_since(made).is_ok_and(|age| age < KEPT);
        is_new.then_some(link)
    }
}

impl Login {
    /// Answers `open`. Asks WeChat for a link where none is kept; the visitor waits for that.
    pub(super) async fn open_in_wechat(&self, visit: &Visit<'_>) -> Answer {
        // Nobody is looking: no link is made.
        if visit.info.method == Method::HEAD {
            return message::empty(StatusCode::NO_CONTENT, "open-head");
        }
        if visit.info.load == Load::Prefetch {
            return message::empty(StatusCode::SERVICE_UNAVAILABLE, "open-prefetch");
        }
        let Some((app, link)) = self.mini_program() else {
            let page = Page::Refused {
                cause: Cause::NotFound,
                retry_after: None,
            };
            return self.page(StatusCode::NOT_FOUND, "no-mini-program", &page, visit);
        };
        let asked = LoginQuery::read(visit.info.target.query().unwrap_or_default());
        let destination = Destination::judge(&asked.to, &self.parts.site);
        let host = destination.host.as_ref().unwrap_or(&visit.info.host);
        let login = LoginQuery {
            to: destination.target,
            ..asked
        };
        if visit.info.browser != Browser::Phone {
            // `login` knows the way from everywhere.
            return self.go("login-other-way", &self.link(&login), visit);
        }
        let address = |login: &LoginQuery| {
            let address = self.parts.site.endpoint(host, &login.link());
            format!("url={}", utf8_percent_encode(&address, NON_ALPHANUMERIC))
        };
        let query = shorten(&login, address);
        if let Some(link) = self.links.find(&query, visit.now) {
            return self.go("wechat-link", &link, visit);
        }
        if let Some(answer) = self.over_limit(Action::LoginStart, visit) {
            return answer;
        }
        match self.parts.tokens.url_link(app, &link.page, &query).await {
            Ok(link) => {
                let answer = self.go("wechat-link", &link, visit);
                let kept = (visit.now, link.into());
                self.links.0.insert(query.into(), kept);
                answer
            }
            Err(error) => {
                note(&error, app, visit);
                self.not_finished(cause(&error), Some(login), visit)
            }
        }
    }

    /// The address of the button on the page for phone browsers; `None` where there is none.
    pub(super) fn open_url(&self, login: &LoginQuery, visit: &Visit<'_>) -> Option<String> {
        let is_offered = visit.info.browser == Browser::Phone && self.mini_program().is_some();
        is_offered.then(|| {
            let rest = format!("open?{}", login.text());
            self.parts.site.endpoint_path(&rest)
        })
    }

    fn mini_program(&self) -> Option<(&App, &MiniProgramLink)> {
        let link = self.settings.mini_program_link.as_ref()?;
        Some((self.parts.wechat.app(link.app.as_str())?, link))
    }
}

/// The query for the page. A target that is too long loses its own query, then everything.
fn shorten(login: &LoginQuery, address: impl Fn(&LoginQuery) -> String) -> String {
    let (path, _) = login.to.split_once('?').unwrap_or((&login.to, ""));
    let shorter = [login.to.as_str(), path, "/"].map(|to| {
        address(&LoginQuery {
            to: to.to_owned(),
            ..login.clone()
        })
    });
    let [.., shortest] = &shorter;
    let fitting = shorter.iter().find(|query| query.len() <= LONGEST_QUERY);
    fitting.unwrap_or(shortest).clone()
}

fn cause(error: &wechat::Error) -> Cause {
    match (error, error.reaction()) {
        (wechat::Error::Store(_), _) => Cause::StoreTrouble,
        (wechat::Error::Timeout(_), _) => Cause::WechatTimeout,
        _ => Cause::WechatTrouble,
    }
}

/// For the operator: the page's path, the quota and the address list are his.
fn note(error: &wechat::Error, app: &App, visit: &Visit<'_>) {
    let source: &dyn std::error::Error = error;
    let (request_id, app) = (visit.info.id.as_str(), app.name.as_str());
    if error.reaction() == Reaction::Operator || error.code().is_some() {
        tracing::error!(
            request.id = request_id,
            app,
            error = source,
            "WeChat makes no link to the mini program: it must be published, have this page, and list our address"
        );
    } else {
        tracing::warn!(
            request.id = request_id,
            app,
            error = source,
            "no link to the mini program"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_too_long_for_wechat_loses_its_query_first() {
        let address = |login: &LoginQuery| format!("url={}", login.to);
        let long = "x".repeat(LONGEST_QUERY);
        for (to, expected) in [
            ("/orders?id=1".to_owned(), "url=/orders?id=1"),
            (format!("/orders?id={long}"), "url=/orders"),
            (format!("/{long}"), "url=/"),
        ] {
            assert_eq!(shorten(&LoginQuery::to(&to), address), expected);
        }
    }

    #[test]
    fn a_link_is_handed_out_again_for_half_a_day() {
        let links = Links::default();
        let made = SystemTime::UNIX_EPOCH + KEPT;
        links.0.insert("url=x".into(), (made, "https://a".into()));

        assert_eq!(links.find("url=x", made).as_deref(), Some("https://a"));
        assert_eq!(links.find("url=y", made), None);
        assert_eq!(links.find("url=x", made + KEPT), None);
        // A clock that was set back: its age is not known.
        assert_eq!(links.find("url=x", SystemTime::UNIX_EPOCH), None);
    }
}
