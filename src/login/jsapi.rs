//! JS-SDK for pages on our hosts: `js/config` signs their addresses, `js/share` is a script that sets their share card.

use http::header::{CONTENT_TYPE, REFERER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use url::form_urlencoded::parse;

use super::address::path_within;
use super::{Login, Visit};
use crate::limit::Action;
use crate::message::{self, Answer};
use crate::seal::random_text;
use crate::wechat::{self, App, AppKind, Reaction};

/// Longest page address that is signed; WeChat's own limit is not documented, browsers stay far below.
const LONGEST_URL: usize = 4096;

const NONCE_LENGTH: usize = 16;

/// What a page gives to `wx.config`, in its words.
#[derive(Serialize)]
struct Config<'a> {
    #[serde(rename = "appId")]
    app_id: &'a str,
    timestamp: u64,
    #[serde(rename = "nonceStr")]
    nonce: &'a str,
    signature: &'a str,
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'static str,
    request_id: &'a str,
}

/// Why an address is not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BadUrl {
    /// Missing, given twice, too long, or not as browsers write addresses.
    Malformed,
    /// Of another origin.
    Foreign,
}

impl Login {
    /// Answers `js/config?url=`. Only pages of the host asked are signed, and only for themselves.
    pub(super) async fn js_config(&self, visit: &Visit<'_>) -> Answer {
        let Some(app) = self.js_app() else {
            return refused(StatusCode::NOT_FOUND, "js_sdk_off", visit);
        };
        if let Some(answer) = self.over_limit(Action::JsConfig, visit) {
            return answer;
        }
        let origin = self.parts.site.origin(&visit.info.host);
        if !comes_from_our_page(visit.headers, &origin) {
            return refused(StatusCode::FORBIDDEN, "cross_site_request", visit);
        }
        let query = visit.info.target.query().unwrap_or_default();
        let url = match page_address(query, &origin) {
            Ok(url) => url,
            Err(BadUrl::Malformed) => {
                return refused(StatusCode::BAD_REQUEST, "bad_url", visit);
            }
            Err(BadUrl::Foreign) => return refused(StatusCode::FORBIDDEN, "foreign_url", visit),
        };
        let nonce = random_text(NONCE_LENGTH);
        let tokens = &self.parts.tokens;
        match tokens.js_config(app, &url, nonce, visit.now).await {
            Ok(config) => {
                let body = Config {
                    app_id: &config.app_id,
                    timestamp: config.timestamp,
                    nonce: &config.nonce,
                    signature: &config.signature,
                };
                message::json(StatusCode::OK, "js-config", &body)
            }
            Err(error) => not_signed(&error, app, visit),
        }
    }

    /// Answers `js/share`.
    pub(super) fn js_share(&self, visit: &Visit<'_>) -> Answer {
        if self.js_app().is_none() {
            return refused(StatusCode::NOT_FOUND, "js_sdk_off", visit);
        }
        let mut answer = message::text(StatusCode::OK, "js-share", include_str!("share.js"));
        let headers = answer.headers_mut();
        let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer
    }

    /// The account whose JS-SDK pages use: the one of the WeChat browser, else the first that may.
    fn js_app(&self) -> Option<&App> {
        let may = |app: &&App| app.js_sdk && app.kind == AppKind::ServiceAccount;
        let chosen = self.service_account().filter(may);
        chosen.or_else(|| self.parts.wechat.apps().iter().find(may))
    }
}

fn refused(status: StatusCode, error: &'static str, visit: &Visit<'_>) -> Answer {
    let body = Refused {
        error,
        request_id: visit.info.id.as_str(),
    };
    message::json(status, "js-refused", &body)
}

fn not_signed(error: &wechat::Error, app: &App, visit: &Visit<'_>) -> Answer {
    let source: &dyn std::error::Error = error;
    let (request_id, app) = (visit.info.id.as_str(), app.name.as_str());
    if error.reaction() == Reaction::Operator {
        tracing::error!(
            request.id = request_id,
            app,
            error = source,
            "WeChat refuses the app-wide token, so no page gets a JS-SDK signature; `wxgate doctor` says why"
        );
    } else {
        tracing::warn!(
            request.id = request_id,
            app,
            error = source,
            "no JS-SDK signature"
        );
    }
    let status = match error {
        wechat::Error::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
        wechat::Error::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    refused(status, "wechat_unavailable", visit)
}

/// The address to sign: byte for byte what the browser shows, without `#...`.
fn page_address(query: &str, origin: &str) -> Result<String, BadUrl> {
    let mut urls = parse(query.as_bytes()).filter(|(name, _)| name == "url");
    let (Some((_, url)), None) = (urls.next(), urls.next()) else {
        return Err(BadUrl::Malformed);
    };
    let url = url.split('#').next().unwrap_or_default();
    // Browsers escape everything else, so it was not taken from `location.href`.
    if url.len() > LONGEST_URL || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadUrl::Malformed);
    }
    match url.strip_prefix(origin) {
        Some(rest) if rest.is_empty() || rest.starts_with(['/', '?']) => Ok(url.to_owned()),
        Some(_) | None => Err(BadUrl::Foreign),
    }
}

/// Whether a page of ours asks. Old browsers say nothing about it; then the address alone decides, and no other site can read
/// the answer.
fn comes_from_our_page(headers: &HeaderMap, origin: &str) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin" || site == "none",
        None => headers.get(REFERER).is_none_or(|referer| {
            let referer = referer.to_str().unwrap_or_default();
            path_within(origin, referer).is_some()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://www.example.com";

    fn address(url: &str) -> Result<String, BadUrl> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("url", url)
            .finish();
        page_address(&query, ORIGIN)
    }

    #[test]
    fn only_addresses_of_our_own_origin_are_signed() {
        for url in [
            "https://www.example.com",
            "https://www.example.com/",
            "https://www.example.com?a=1",
            "https://www.example.com/%E5%B0%8F?a=1&b=https://evil.example/",
        ] {
            assert_eq!(address(url).as_deref(), Ok(url));
        }
        for url in [
            "https://evil.example/",
            "https://www.example.com.evil.example/",
            "https://www.example.com@evil.example/",
            "https://www.example.com:8443/",
            "https://www.example.community/",
            "http://www.example.com/",
            "HTTPS://www.example.com/",
            "//www.example.com/",
            "/orders",
            "",
            "#https://www.example.com/",
        ] {
            assert_eq!(address(url), Err(BadUrl::Foreign), "{url}");
        }
        for url in [
            "https://www.example.com/小",
            "https://www.example.com/a b",
            "https://www.example.com/\n",
            &format!("https://www.example.com/{}", "x".repeat(LONGEST_URL)),
        ] {
            assert_eq!(address(url), Err(BadUrl::Malformed), "{url}");
        }
    }

    #[test]
    fn the_fragment_is_cut_and_the_rest_stays_as_it_is() {
        let url = "https://www.example.com/a?b=%2F&c=1#/route?d";
        let signed = Ok("https://www.example.com/a?b=%2F&c=1".to_owned());
        assert_eq!(address(url), signed);
    }

    #[test]
    fn one_address_is_needed() {
        let twice = "url=https://www.example.com/&url=https://www.example.com/";
        for query in ["", "u=1", "URL=https://www.example.com/", twice] {
            assert_eq!(page_address(query, ORIGIN), Err(BadUrl::Malformed));
        }
    }

    #[test]
    fn pages_of_other_sites_are_not_answered() {
        let table = [
            (Some("same-origin"), None, true),
            (Some("none"), None, true),
            (Some("same-site"), None, false),
            (Some("cross-site"), Some("https://www.example.com/"), false),
            (None, Some("https://www.example.com/a"), true),
            (
                None,
                Some("https://evil.example/https://www.example.com/"),
                false,
            ),
            (None, None, true),
        ];
        for (site, referer, expected) in table {
            let mut headers = HeaderMap::new();
            if let Some(site) = site {
                headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            }
            if let Some(referer) = referer {
                headers.insert(REFERER, HeaderValue::from_static(referer));
            }
            assert_eq!(comes_from_our_page(&headers, ORIGIN), expected, "{site:?}");
        }
    }
}
