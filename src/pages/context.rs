//! What templates are given: version 1 of a contract with operators' templates, described in `templates.md`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

use super::address;
use super::cause::Remedy;
use super::look;
use super::qr::QrCode;
use super::text::{self, Phrase};
use super::{Language, OtherSession, Page, Settings, Theme, scan_data, seconds_up};

/// Raised when a name disappears or changes its meaning; new names do not raise it.
const VERSION: u8 = 1;

/// What one answer adds to settings and page.
#[derive(Clone, Debug)]
pub(super) struct Occasion<'a> {
    /// The host asked for: the site's name where the operator gave none.
    pub(super) host: &'a str,
    /// Allows this answer's own styles and scripts.
    pub(super) nonce: &'a str,
    /// Names the request.
    pub(super) request_id: &'a str,
    /// When it arrived.
    pub(super) received: SystemTime,
    /// The query without what only concerns us; `None` where the page cannot be asked for again.
    pub(super) query: Option<String>,
}

impl Occasion<'_> {
    /// For checking templates.
    pub(super) fn sample() -> Occasion<'static> {
        Occasion {
            host: "shop.example.com",
            nonce: "sample",
            request_id: "sample",
            received: SystemTime::UNIX_EPOCH,
            query: Some(String::new()),
        }
    }
}

/// Everything a template may use.
#[derive(Debug, Serialize)]
pub(super) struct Context<'a> {
    context_version: u8,
    page: &'a str,
    language: &'static str,
    theme: &'static str,
    nonce: &'a str,
    accent: &'a str,
    icon: &'static str,
    tone: &'static str,
    site: Site<'a>,
    languages: Vec<LanguageLink>,
    request: Request<'a>,
    code: Option<&'static str>,
    hint: Option<&'static str>,
    text: BTreeMap<&'static str, String>,
    data: Value,
}

#[derive(Debug, Serialize)]
struct Site<'a> {
    name: &'a str,
    logo: Option<&'a str>,
    contact: Option<&'a str>,
    contact_url: Option<String>,
}

#[derive(Debug, Serialize)]
struct LanguageLink {
    tag: &'static str,
    name: &'static str,
    url: String,
    current: bool,
}

#[derive(Debug, Serialize)]
struct Request<'a> {
    id: &'a str,
    time: Time,
}

/// A time for machines and for people.
#[derive(Clone, Debug, Serialize)]
struct Time {
    iso: String,
    text: String,
}

impl<'a> Context<'a> {
    /// Everything about one page for one visitor.
    pub(super) fn new(
        settings: &'a Settings,
        page: &'a Page,
        language: Language,
        occasion: &Occasion<'a>,
    ) -> Self {
        let site = Site::new(settings, occasion.host);
        let fill = |phrase: Phrase| phrase.fill(language, &[("site", site.name)]);
        let text: BTreeMap<&str, String> = text::words(page)
            .into_iter()
            .map(|(name, phrase)| (name, fill(phrase)))
            .collect();
        let hint = page.cause().filter(|_| settings.show_details);
        let look = look::of(page);
        Self {
            context_version: VERSION,
            page: page.template().trim_end_matches(".html"),
            language: language.tag(),
            theme: match settings.theme {
                Theme::Auto => "auto",
                Theme::Light => "light",
                Theme::Dark => "dark",
            },
            nonce: occasion.nonce,
            accent: look::accent(&settings.accent),
            icon: look.icon,
            tone: look.tone,
            languages: language_links(&settings.languages, language, occasion.query.as_deref()),
            request: Request {
                id: occasion.request_id,
                time: Time::of(occasion.received),
            },
            code: page.code(),
            hint: hint.map(|cause| text::hint(cause).text(language)),
            data: data(page, language, occasion),
            site,
            text,
        }
    }
}

impl<'a> Site<'a> {
    fn new(settings: &'a Settings, host: &'a str) -> Self {
        let contact = settings.contact.as_deref();
        Self {
            name: settings.site_name.as_deref().unwrap_or(host),
            logo: settings
                .logo
                .as_deref()
                .filter(|logo| logo.starts_with("data:image/")),
            contact,
            contact_url: contact.and_then(address::of_contact),
        }
    }
}

fn language_links(
    offered: &[Language],
    current: Language,
    query: Option<&str>,
) -> Vec<LanguageLink> {
    let Some(query) = query.filter(|_| offered.len() > 1) else {
        return Vec::new();
    };
    let rest = if query.is_empty() { "" } else { "&" };
    let link = |language: &Language| LanguageLink {
        tag: language.tag(),
        name: language.own_name(),
        url: format!("?lang={}{rest}{query}", language.tag()),
        current: *language == current,
    };
    offered.iter().map(link).collect()
}

impl Time {
    fn of(time: SystemTime) -> Self {
        let seconds = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let stamp = i64::try_from(seconds)
            .ok()
            .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
            .unwrap_or_default();
        Self::parse(&stamp.to_string())
    }

    fn parse(iso: &str) -> Self {
        Self {
            iso: iso.to_owned(),
            text: iso.replacen('T', " ", 1).replacen('Z', " UTC", 1),
        }
    }
}

/// What only this page has.
fn data(page: &Page, language: Language, occasion: &Occasion<'_>) -> Value {
    match page {
        Page::Purpose {
            continue_url,
            without_profile_url,
            app,
        } => context! {
            continue_url => address::safe(continue_url),
            without_profile_url => without_profile_url.as_deref().map(address::safe),
            app,
        },
        Page::NotFinished { retry_url, .. } => context! {
            retry_url => retry_url.as_deref().map(address::safe),
        },
        Page::WrongClient {
            needs,
            address,
            open_url,
        } => {
            let address = address::safe(address);
            let qr = QrCode::new(address).filter(|_| look::is_scanned(*needs));
            let open_url = open_url.as_deref().map(address::safe);
            context! { address, open_url, qr => qr.map(Serde) }
        }
        Page::Denied {
            account,
            switch_url,
        } => context! {
            account,
            switch_url => switch_url.as_deref().map(address::safe),
        },
        Page::Trouble { .. } => context! { reload => occasion.query.is_some() },
        Page::Refused { cause, retry_after } => context! {
            remedy => match cause.remedy() {
                Remedy::Again => "again",
                Remedy::Home => "home",
                Remedy::Nothing => "nothing",
            },
            wait => retry_after.map(|wait| waiting(seconds_up(wait), language)),
        },
        Page::FirstRun { asked } => context! { asked },
        Page::Account {
            account,
            nickname,
            app,
            since,
            until,
            others,
            logout_url,
            form_token,
        } => context! {
            account,
            nickname,
            app,
            since => Serde(Time::parse(since)),
            until => Serde(Time::parse(until)),
            others => others.iter().map(other_session).collect::<Vec<_>>(),
            logout_url => address::safe(logout_url),
            form_token,
        },
        Page::ConfirmLogout {
            logout_url,
            form_token,
        } => context! { logout_url => address::safe(logout_url), form_token },
        Page::NobodyLoggedIn { login_url } | Page::LoggedOut { login_url, .. } => {
            context! { login_url => address::safe(login_url) }
        }
        Page::BreakOut { address } => context! { address => address::safe(address) },
        Page::SaveFragment { key, address } | Page::RestoreFragment { key, address } => {
            context! { key, address => address::safe(address) }
        }
        Page::LeaveFrame { retry_url } => context! { retry_url => address::safe(retry_url) },
        Page::LogIn(page) => scan_data::log_in(page, language),
        Page::ConfirmScan(page) => scan_data::confirm(page, language),
        Page::Snapshot | Page::ScanEnded { .. } => context! {},
    }
}

/// How long to wait, in words that fit: from two minutes on nobody counts seconds.
fn waiting(seconds: u64, language: Language) -> String {
    if seconds < 120 {
        text::WAIT_SECONDS.fill(language, &[("seconds", &seconds.to_string())])
    } else {
        let minutes = seconds.div_ceil(60).to_string();
        text::WAIT_MINUTES.fill(language, &[("minutes", &minutes)])
    }
}
fn other_session(other: &OtherSession) -> Value {
    context! {
        sid => &other.sid,
        app => &other.app,
        since => Serde(Time::parse(&other.since)),
        used => Serde(Time::parse(&other.used)),
    }
}
