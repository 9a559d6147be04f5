//! The three origins that a phone in a browser is made of, and whose address is whose.

use http::header::LOCATION;
use http::{HeaderMap, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::origin::SiteOrigin;
use super::query::Query;

/// Where WeChat's pages are in the frame.
pub(super) const WECHAT: &str = "/~wechat";

/// The mark by which the client knows an authorize address. It takes the mark away: a browser would carry it through every
/// redirect to the page at the end.
pub(super) const MARK: &str = "#wechat_redirect";

/// Opens the last callback again.
pub(super) const REPLAY: &str = "/~phone/replay";

/// Says that the phone does not go there.
pub(super) const FOREIGN: &str = "/~phone/foreign";

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The one site of the phone.
    Site,
    /// The simulated WeChat.
    Wechat,
}

/// The three origins.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) site: SiteOrigin,
    pub(super) wechat: SiteOrigin,
    /// The frame's own.
    pub(super) view: String,
}

impl Places {
    pub(super) fn origin(&self, side: Side) -> &SiteOrigin {
        match side {
            Side::Site => &self.site,
            Side::Wechat => &self.wechat,
        }
    }

    /// Who answers an address of the frame, and what to ask there; `None` for what the phone does not open.
    pub(super) fn target(&self, uri: &Uri) -> Option<(Side, Uri)> {
        let path_and_query = uri.path_and_query()?.as_str();
        match path_and_query.strip_prefix(WECHAT) {
            // Only what a visitor meets at WeChat: neither the API nor the buttons of the phone.
            Some(path) if path.starts_with("/connect/") => Some((Side::Wechat, path.parse().ok()?)),
            Some(_) => None,
            None if path_and_query.starts_with("/~") => None,
            None => Some((Side::Site, path_and_query.parse().ok()?)),
        }
    }

    /// An address of the site or of WeChat, as the frame asks for it; other places become a page that says no.
    pub(super) fn to_view(&self, side: Side, address: &str) -> String {
        if let Some(rest) = self.within(&self.site, address) {
            return format!("{}{}", self.view, or_root(rest));
        }
        if let Some(rest) = self.within(&self.wechat, address) {
            let rest = rest.strip_suffix(MARK).unwrap_or(rest);
            return format!("{}{WECHAT}{}", self.view, or_root(rest));
        }
        let is_absolute = address.starts_with("//")
            || address
                .split(['/', '?', '#'])
                .next()
                .is_some_and(|start| start.contains(':'));
        if is_absolute {
            let address = utf8_percent_encode(address, NON_ALPHANUMERIC);
            return format!("{}{FOREIGN}?to={address}", self.view);
        }
        match side {
            Side::Wechat if address.starts_with('/') => format!("{WECHAT}{address}"),
            Side::Wechat | Side::Site => address.to_owned(),
        }
    }

    /// What follows the origin in an address of it.
    fn within<'a>(&self, origin: &SiteOrigin, address: &'a str) -> Option<&'a str> {
        let rest = address.strip_prefix(origin.as_text().as_str())?;
        (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some(rest)
    }

    /// Path and query of the callback, when this answer of WeChat leads to one.
    pub(super) fn callback(&self, side: Side, headers: &HeaderMap) -> Option<String> {
        let location = headers.get(LOCATION)?.to_str().ok()?;
        let rest = self.within(&self.site, location)?;
        let (_, query) = rest.split_once('?')?;
        let carries_code = Query::parse(query).get("code").is_some();
        (side == Side::Wechat && carries_code).then(|| rest.to_owned())
    }
}

fn or_root(rest: &str) -> String {
    match rest.starts_with('/') {
        true => rest.to_owned(),
        false => format!("/{rest}"),
    }
}
