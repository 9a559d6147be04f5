//! What the phone's browser changes in requests and answers, as plain functions: headers and pages.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CONNECTION, CONTENT_LENGTH,
    CONTENT_TYPE, COOKIE, HOST, ORIGIN, REFERER, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::device::Device;
use super::pages::PERSON_HEADER;
use super::places::{MARK, Places, Side, WECHAT};
use super::reporter::Reporter;

/// Headers of one connection, and headers that would tell who really asks.
const NOT_FORWARDED: [HeaderName; 13] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HOST,
    COOKIE,
    ACCEPT_ENCODING,
    HeaderName::from_static("sec-ch-ua"),
    HeaderName::from_static("sec-ch-ua-mobile"),
    HeaderName::from_static("sec-ch-ua-platform"),
];

/// Headers that the frame must not see: of one connection, kept in the jar, or in the way of a frame.
const NOT_RETURNED: [&str; 11] = [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "trailer",
    "upgrade",
    "set-cookie",
    "x-frame-options",
    "strict-transport-security",
    "clear-site-data",
    "alt-svc",
    "content-security-policy-report-only",
];

impl Places {
    /// The headers of a request as WeChat's browser sends it.
    pub(super) fn request_headers(
        &self,
        side: Side,
        from_frame: &HeaderMap,
        device: &Device,
    ) -> HeaderMap {
        if device.is_program {
            return self.program_headers(from_frame, device);
        }
        let mut headers = from_frame.clone();
        for name in NOT_FORWARDED {
            headers.remove(name);
        }
        let simulated: Vec<HeaderName> = headers
            .keys()
            .filter(|name| name.as_str().starts_with("x-sim-"))
            .cloned()
            .collect();
        for name in simulated {
            headers.remove(name);
        }
        let came_from = self.rewrite_referer(&mut headers);
        if headers
            .get(ORIGIN)
            .is_some_and(|origin| origin == self.view.as_str())
        {
            let origin = self.origin(came_from.unwrap_or(side)).as_text();
            set(&mut headers, ORIGIN, &origin);
        }
        self.rewrite_fetch_metadata(side, came_from, &mut headers);
        set(&mut headers, HOST, &self.origin(side).authority());
        set(&mut headers, USER_AGENT, &device.user_agent);
        set(&mut headers, ACCEPT_LANGUAGE, device.language.accepted());
        if let Some(package) = device.package {
            headers
                .entry("x-requested-with")
                .or_insert(HeaderValue::from_static(package));
        }
        if let Some(cookies) = &device.cookies {
            set(&mut headers, COOKIE, cookies);
        }
        if let (Side::Wechat, Some(person)) = (side, &device.person) {
            set(&mut headers, HeaderName::from_static(PERSON_HEADER), person);
        }
        headers
    }

    /// The headers of a program's own request: what its code set, and who it is.
    fn program_headers(&self, from_frame: &HeaderMap, device: &Device) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in [AUTHORIZATION, ACCEPT, CONTENT_TYPE, CONTENT_LENGTH] {
            if let Some(value) = from_frame.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        set(&mut headers, HOST, &self.site.authority());
        set(&mut headers, USER_AGENT, &device.user_agent);
        headers
    }

    /// Puts the real address into `Referer`; tells whose page it was.
    fn rewrite_referer(&self, headers: &mut HeaderMap) -> Option<Side> {
        let referer = headers.remove(REFERER)?;
        let rest = referer.to_str().ok()?.strip_prefix(self.view.as_str())?;
        let (side, rest) = match rest.strip_prefix(WECHAT) {
            Some(rest) => (Side::Wechat, rest),
            None => (Side::Site, rest),
        };
        // Browsers send no more than the origin to another one.
        let address = format!("{}{rest}", self.origin(side).as_text());
        set(headers, REFERER, &address);
        Some(side)
    }

    /// The frame is the phone's whole screen, and the phone page around it does not exist.
    fn rewrite_fetch_metadata(&self, side: Side, came_from: Option<Side>, headers: &mut HeaderMap) {
        let is_navigation = headers
            .get("sec-fetch-mode")
            .is_some_and(|mode| mode == "navigate");
        if !is_navigation {
            return;
        }
        headers.insert("sec-fetch-dest", HeaderValue::from_static("document"));
        let by_page = headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "same-origin");
        let site = match (by_page, came_from) {
            (false, _) => "none",
            (true, Some(other)) if other != side => "cross-site",
            (true, Some(_) | None) => "same-origin",
        };
        headers.insert("sec-fetch-site", HeaderValue::from_static(site));
    }

    /// Makes the headers of an answer fit for the frame. Cookies must have been kept before.
    pub(super) fn answer_headers(&self, side: Side, headers: &mut HeaderMap, reporter: &Reporter) {
        for name in NOT_RETURNED {
            headers.remove(name);
        }
        for name in ["location", "content-location"] {
            if let Some(address) = headers.get(name).and_then(|value| value.to_str().ok()) {
                let address = self.to_view(side, address);
                set(headers, HeaderName::from_static(name), &address);
            }
        }
        let (site, wechat) = (self.site.as_text(), self.wechat.as_text());
        reporter.open_policies(headers, [&site, &wechat], &self.view);
    }

    /// Rewrites the addresses in attributes of a page. Text stays: it may show an address to people.
    pub(super) fn rewrite_page(&self, side: Side, page: &[u8]) -> Vec<u8> {
        // A page in another encoding has no reason to hold our addresses; it passes unchanged.
        let Ok(text) = std::str::from_utf8(page) else {
            return page.to_vec();
        };
        let mut text = text.to_owned();
        for origin in [&self.site, &self.wechat] {
            let origin = origin.as_text();
            let shown = self.to_view(side, &origin);
            let shown = shown.strip_suffix('/').unwrap_or(&shown);
            // Templates that are careful write a slash as a reference.
            for slash in ["/", "&#x2f;"] {
                let origin = origin.replace('/', slash);
                for before in ["=\"", "='", "url=", "URL="] {
                    for after in [slash, "\"", "'", "?", "#"] {
                        let from = format!("{before}{origin}{after}");
                        text = text.replace(&from, &format!("{before}{shown}{after}"));
                    }
                }
            }
        }
        for end in ['"', '\''] {
            text = text.replace(&format!("{MARK}{end}"), &end.to_string());
        }
        without_sandbox(&text).into_bytes()
    }
}

/// A frame in a page is a frame in a frame here: what its sandbox allows would be allowed for the page around the device.
fn without_sandbox(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(" sandbox=\"") {
        text.push_str(before);
        rest = after.split_once('"').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => {
            headers.insert(name, value);
        }
        Err(_) => {
            headers.remove(name);
        }
    }
}
