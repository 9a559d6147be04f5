//! What people see: every page wxgate can emit, in three languages, light and dark.
//!
//! A page is rendered on the server and complete in one answer: no font, picture, style or script comes from anywhere else,
//! and everything but comfort works without script.
#![doc = include_str!("templates.md")]

use std::path::PathBuf;
use std::time::Duration;

use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::message::{self, Answer, Load, RequestInfo};
use crate::seal::random_text;

mod address;
mod cause;
mod clauses;
mod context;
mod follow_message;
mod gallery;
mod language;
mod log_in;
mod look;
mod page;
mod protect;
mod qr;
mod scan_data;
mod template;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
mod text;

pub use cause::Cause;
pub use follow_message::FollowMessage;
pub use gallery::gallery;
pub use language::Language;
pub use log_in::{
    ConfirmScan, LogIn, LogInFrame, LogInMethod, LogInPane, LogInTab, ScanEnding, ScanState,
};
pub use page::{NeededClient, OtherSession, Page};
pub use qr::QrCode;

use context::{Context, Occasion};
use template::Templates;

/// Characters `[A-Za-z0-9]` in a nonce: 131 bits.
const NONCE_LENGTH: usize = 22;

/// How pages look.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Shown as the site's name; default: the host.
    pub site_name: Option<String>,
    /// A logo as a `data:` URL (SVG or PNG).
    pub logo: Option<String>,
    /// Offered languages; the first is the fallback. Never empty.
    pub languages: Vec<Language>,
    /// Light, dark, or as the system says.
    pub theme: Theme,
    /// `#rrggbb` for shapes and icons.
    pub accent: String,
    /// Shown on error pages.
    pub contact: Option<String>,
    /// Operator hints on error pages.
    pub show_details: bool,
    /// Single pages overridden by files of the same name here; see [the module](self#templates-of-your-own).
    pub templates: Option<PathBuf>,
}

/// Light, dark, or as the system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// By `prefers-color-scheme`.
    Auto,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

/// Renders pages.
#[derive(Debug)]
pub struct Pages {
    settings: Settings,
    templates: Templates,
}

/// Why pages cannot be shown: a template of the operator is broken.
#[derive(Debug, thiserror::Error)]
#[error("template `{name}`: {reason}")]
pub struct Error {
    /// The file's name.
    pub name: String,
    /// What is wrong and where.
    pub reason: String,
}

impl Pages {
    /// Reads and checks the operator's templates. Blocking file access.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let templates = Templates::new(&settings)?;
        Ok(Self {
            settings,
            templates,
        })
    }

    /// The language in which whoever asks sees pages.
    pub fn language(&self, info: &RequestInfo, headers: &HeaderMap) -> Language {
        language::choose(&self.settings.languages, info.target.query(), headers).language
    }

    /// Whether error pages tell an operator what to do.
    pub fn shows_details(&self) -> bool {
        self.settings.show_details
    }

    /// Renders a page for whoever asks. `headers` tell the language (`?lang=`, cookie, WeChat's `Language/`, `Accept-Language`).
    ///
    /// A page that says no ([`Page::code`]) becomes JSON when a script or a tool asks. Sets content type, content security
    /// policy, `Retry-After` and the cookie that remembers `?lang=`; the caller adds `Cache-Control` and the request id header.
    pub fn render(
        &self,
        status: StatusCode,
        reason: &'static str,
        page: &Page,
        info: &RequestInfo,
        headers: &HeaderMap,
    ) -> Answer {
        let mut answer = match page.code() {
            Some(code) if !reads_html(info, headers) => failure(status, reason, code, info),
            code => self.html(status, reason, page, info, headers, code),
        };
        if let Page::Refused {
            retry_after: Some(wait),
            ..
        } = page
        {
            let seconds = HeaderValue::from(seconds_up(*wait));
            answer.headers_mut().insert(RETRY_AFTER, seconds);
        }
        answer
    }

    fn html(
        &self,
        status: StatusCode,
        reason: &'static str,
        page: &Page,
        info: &RequestInfo,
        headers: &HeaderMap,
        code: Option<&'static str>,
    ) -> Answer {
        let choice = language::choose(&self.settings.languages, info.target.query(), headers);
        let nonce = random_text(NONCE_LENGTH);
        let occasion = Occasion {
            host: info.host.as_str(),
            nonce: &nonce,
            request_id: info.id.as_str(),
            received: info.received,
            query: repeatable(info),
        };
        let context = Context::new(&self.settings, page, choice.language, &occasion);
        let Some(html) = self.templates.render(page, &context) else {
            let code = code.unwrap_or_default();
            return message::text(status, reason, format!("{code} {}\n", info.id));
        };
        let protection = protect::Protection {
            page,
            nonce: &nonce,
            has_script: html.contains("<script"),
        };
        let mut answer = message::html(status, reason, html);
        protection.apply(answer.headers_mut());
        language::announce(choice, answer.headers_mut());
        answer
    }
}

/// Whether somebody reads what we answer: a page load, or a form, which names `text/html` too.
fn reads_html(info: &RequestInfo, headers: &HeaderMap) -> bool {
    let names_html = || {
        headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.contains("text/html"))
    };
    match info.load {
        Load::Page | Load::FramedPage | Load::Prefetch => true,
        Load::Background => names_html(),
    }
}

fn failure(
    status: StatusCode,
    reason: &'static str,
    code: &'static str,
    info: &RequestInfo,
) -> Answer {
    let body = serde_json::json!({
        "error": reason.replace('-', "_"),
        "code": code,
        "request_id": info.id.as_str(),
    });
    let mut answer = message::json(status, reason, &body);
    protect::no_sniffing(answer.headers_mut());
    answer
}

/// The query with which the page may be asked for again in another language; `None` where a second request would not show
/// the same, or where the query holds what must stand on no page (the callback's code and state).
fn repeatable(info: &RequestInfo) -> Option<String> {
    if !matches!(info.method, Method::GET | Method::HEAD) {
        return None;
    }
    let pairs = || info.target.query().unwrap_or_default().split('&');
    let named = |pair: &str, name: &str| pair.split('=').next() == Some(name);
    if pairs().any(|pair| named(pair, "code") || named(pair, "state")) {
        return None;
    }
    let kept: Vec<&str> = pairs()
        .filter(|pair| !pair.is_empty() && !named(pair, "lang"))
        .collect();
    Some(kept.join("&"))
}

/// Whole seconds, rounded up, so that nobody comes back too early; at least 1.
fn seconds_up(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}
