//! Pages on the way in: purpose, codes to scan, accounts to follow, frames of website apps, and the phone's side of a scan.

use std::time::Duration;

use crate::pages::{
    Cause, ConfirmScan, LogIn, LogInFrame, LogInMethod, LogInPane, LogInTab, Page, ScanEnding,
    ScanState,
};

pub(super) fn logging_in() -> Vec<(&'static str, Page)> {
    let purpose = |without: Option<&str>| Page::Purpose {
        continue_url: "/_wxgate/login?to=%2Forders&continue=1".to_owned(),
        without_profile_url: without.map(str::to_owned),
        app: "main".to_owned(),
    };
    vec![
        ("purpose", purpose(None)),
        (
            "purpose-optional",
            purpose(Some("/_wxgate/login?to=%2Forders&scope=base")),
        ),
        ("snapshot", Page::Snapshot),
        (
            "not-finished-no-retry",
            Page::NotFinished {
                cause: Cause::LoginSetup,
                retry_url: None,
            },
        ),
        (
            "denied",
            Page::Denied {
                account: Some("oGZU…kX3w".to_owned()),
                switch_url: Some("/_wxgate/logout".to_owned()),
            },
        ),
        (
            "denied-nobody",
            Page::Denied {
                account: None,
                switch_url: None,
            },
        ),
    ]
}

pub(super) fn scanning() -> Vec<(&'static str, Page)> {
    let page = |state: ScanState, in_phone: bool| {
        let has_code = !matches!(state, ScanState::Denied | ScanState::Expired);
        let code = "https://shop.example.com/_wxgate/x/4fJ0aYc2QbXw9LrT7uVn1s";
        Page::LogIn(LogIn {
            in_phone,
            tabs: Vec::new(),
            pane: LogInPane::Scan {
                follows: false,
                code: has_code.then(|| code.to_owned()),
                address: has_code.then(|| code.to_owned()),
                state,
                status_url: None,
                page_url: has_code.then(|| "/_wxgate/scan?to=%2Forders&id=sample".to_owned()),
                fresh_url: "/_wxgate/scan?to=%2Forders".to_owned(),
            },
        })
    };
    let wait = Duration::from_secs(42);
    vec![
        ("scan-waiting", page(ScanState::Waiting, false)),
        (
            "scan-scanned",
            page(ScanState::Scanned { number: Some(42) }, false),
        ),
        (
            "scan-scanned-button",
            page(ScanState::Scanned { number: None }, false),
        ),
        ("scan-confirmed", page(ScanState::Confirmed, false)),
        ("scan-denied", page(ScanState::Denied, false)),
        ("scan-expired", page(ScanState::Expired, false)),
        ("scan-offline", page(ScanState::Offline, false)),
        ("scan-limited", page(ScanState::Limited { wait }, false)),
        ("scan-waiting-phone", page(ScanState::Waiting, true)),
        (
            "scan-scanned-phone",
            page(ScanState::Scanned { number: Some(42) }, true),
        ),
        ("scan-expired-phone", page(ScanState::Expired, true)),
    ]
}

pub(super) fn following() -> Vec<(&'static str, Page)> {
    let tab = |method, is_open| LogInTab {
        method,
        url: "/_wxgate/scan?to=%2Forders".to_owned(),
        is_open,
    };
    let page = |state: ScanState| {
        let has_code = state != ScanState::Expired;
        Page::LogIn(LogIn {
            in_phone: false,
            tabs: vec![
                tab(LogInMethod::Website, false),
                tab(LogInMethod::Scan, false),
                tab(LogInMethod::Follow, true),
            ],
            pane: LogInPane::Scan {
                follows: true,
                code: has_code.then(|| "http://weixin.qq.com/q/02FkzrsamplZC1sample00g".to_owned()),
                address: None,
                state,
                status_url: None,
                page_url: has_code.then(|| "/_wxgate/scan?to=%2Forders&id=sample".to_owned()),
                fresh_url: "/_wxgate/scan?to=%2Forders".to_owned(),
            },
        })
    };
    vec![
        ("follow-waiting", page(ScanState::Waiting)),
        (
            "follow-scanned",
            page(ScanState::Scanned { number: Some(42) }),
        ),
        (
            "follow-scanned-button",
            page(ScanState::Scanned { number: None }),
        ),
        ("follow-expired", page(ScanState::Expired)),
    ]
}

pub(super) fn websites() -> Vec<(&'static str, Page)> {
    let tab = |method, is_open| LogInTab {
        method,
        url: "/_wxgate/scan?to=%2Forders".to_owned(),
        is_open,
    };
    let page = |tabs: Vec<LogInTab>, has_frame: bool| {
        Page::LogIn(LogIn {
            in_phone: false,
            tabs,
            pane: LogInPane::Website {
                frame: has_frame.then(|| LogInFrame {
                    url: "/_wxgate/sample-frame".to_owned(),
                    origin: "'self'".to_owned(),
                }),
                page_url: "/_wxgate/sample-page".to_owned(),
            },
        })
    };
    let tabs = vec![
        tab(LogInMethod::Website, true),
        tab(LogInMethod::Scan, false),
    ];
    let retry_url = "/_wxgate/login?to=%2Forders".to_owned();
    vec![
        ("website", page(Vec::new(), true)),
        ("website-tabs", page(tabs.clone(), true)),
        ("website-relayed", page(tabs, false)),
        ("leave-frame", Page::LeaveFrame { retry_url }),
    ]
}

pub(super) fn scanned() -> Vec<(&'static str, Page)> {
    let confirm = |browser: Option<&str>, numbers: &[u8]| {
        Page::ConfirmScan(ConfirmScan {
            browser: browser.map(str::to_owned),
            system: browser.map(|_| "Windows".to_owned()),
            network: "203.0.113.*".to_owned(),
            seconds: 95,
            numbers: numbers.to_vec(),
            action_url: "/_wxgate/x/4fJ0aYc2QbXw9LrT7uVn1s".to_owned(),
            form_token: "sample".to_owned(),
        })
    };
    let ended = |ending: ScanEnding| (ending.sample(), Page::ScanEnded { ending });
    let mut pages = vec![
        ("confirm-scan", confirm(Some("Chrome"), &[17, 42, 58])),
        ("confirm-scan-unknown", confirm(None, &[17, 42, 58])),
        ("confirm-scan-button", confirm(Some("Chrome"), &[])),
    ];
    pages.extend(ScanEnding::ALL.map(ended));
    pages
}
