//! What the templates of a login by QR code are given.

use minijinja::value::Serde;
use minijinja::{Value, context};

use super::log_in::{ConfirmScan, LogIn, LogInPane, LogInTab, ScanState};
use super::qr::QrCode;
use super::{Language, address, seconds_up, text};

/// P1, or P2.
pub(super) fn log_in(page: &LogIn, language: Language) -> Value {
    let in_phone = page.in_phone;
    let tabs = tabs(page, language);
    match &page.pane {
        LogInPane::Website { frame, page_url } => context! {
            in_phone,
            tabs,
            is_website => true,
            frame_url => frame.as_ref().map(|frame| address::safe(&frame.url)),
            page_url => address::safe(page_url),
        },
        LogInPane::Scan {
            follows,
            code,
            address,
            state,
            status_url,
            page_url,
            fresh_url,
        } => {
            let address = address.as_deref().map(address::safe);
            context! {
                in_phone,
                tabs,
                is_website => false,
                frame_url => None::<&str>,
                address,
                qr => code.as_deref().and_then(QrCode::new).map(Serde),
                state => state.word(),
                told => told(*state, *follows, language),
                number => match state {
                    ScanState::Scanned { number } => *number,
                    ScanState::Waiting
                    | ScanState::Confirmed
                    | ScanState::Denied
                    | ScanState::Expired
                    | ScanState::Offline
                    | ScanState::Limited { .. } => None,
                },
                status_url => status_url.as_deref().map(address::safe),
                page_url => page_url.as_deref().map(address::safe),
                fresh_url => address::safe(fresh_url),
            }
        }
    }
}

/// Links to the ways to log in; none where there is no choice.
fn tabs(page: &LogIn, language: Language) -> Vec<Value> {
    let link = |tab: &LogInTab| {
        context! {
            name => text::tab(tab.method).text(language),
            url => address::safe(&tab.url),
            current => tab.is_open,
        }
    };
    match page.tabs.as_slice() {
        [] | [_] => Vec::new(),
        tabs => tabs.iter().map(link).collect(),
    }
}

/// P4.
pub(super) fn confirm(page: &ConfirmScan, language: Language) -> Value {
    let seconds = page.seconds.to_string();
    context! {
        browser => &page.browser,
        system => &page.system,
        network => &page.network,
        numbers => &page.numbers,
        left => text::SECONDS_LEFT.fill(language, &[("seconds", &seconds)]),
        action_url => address::safe(&page.action_url),
        form_token => &page.form_token,
    }
}

fn told(state: ScanState, follows: bool, language: Language) -> String {
    let seconds = match state {
        ScanState::Limited { wait } => seconds_up(wait).to_string(),
        ScanState::Waiting
        | ScanState::Scanned { .. }
        | ScanState::Confirmed
        | ScanState::Denied
        | ScanState::Expired
        | ScanState::Offline => String::new(),
    };
    text::told(state, follows).fill(language, &[("seconds", &seconds)])
}
