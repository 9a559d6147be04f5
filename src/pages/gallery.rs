//! One sample of everything there is to see.

use std::time::Duration;

use super::{
    Cause, ConfirmScan, LogIn, LogInFrame, LogInMethod, LogInPane, LogInTab, NeededClient,
    OtherSession, Page, ScanEnding, ScanState,
};

/// A sample of every page in every variant, each with a name that fits into a path.
///
/// `wxgate demo` shows them; operators' templates are checked with them; tests walk through them.
pub fn gallery() -> Vec<(&'static str, Page)> {
    let mut pages = logging_in();
    pages.extend(scanning());
    pages.extend(following());
    pages.extend(websites());
    pages.extend(scanned());
    pages.extend(clients());
    pages.extend(account());
    pages.extend(passing());
    pages.extend(Cause::ALL.map(|cause| (cause.code(), because(cause))));
    pages
}

fn logging_in() -> Vec<(&'static str, Page)> {
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

fn scanning() -> Vec<(&'static str, Page)> {
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

fn following() -> Vec<(&'static str, Page)> {
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

fn websites() -> Vec<(&'static str, Page)> {
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

fn scanned() -> Vec<(&'static str, Page)> {
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

fn clients() -> Vec<(&'static str, Page)> {
    let named = [
        ("client-wechat", NeededClient::Wechat),
        ("client-wechat-not-wecom", NeededClient::WechatNotWecom),
        ("client-mini-program", NeededClient::MiniProgram),
        ("client-desktop", NeededClient::Desktop),
        ("client-phone", NeededClient::Phone),
    ];
    let mut pages: Vec<(&'static str, Page)> = named
        .map(|(name, needs)| {
            let address = "https://shop.example.com/orders?id=20481&from=menu".to_owned();
            (name, Page::WrongClient { needs, address })
        })
        .into();
    pages.push((
        "client-long-address",
        Page::WrongClient {
            needs: NeededClient::Wechat,
            address: format!(
                "https://shop.example.com/orders?filter={}",
                "abcdefgh".repeat(58)
            ),
        },
    ));
    pages
}

fn account() -> Vec<(&'static str, Page)> {
    let account = |nickname: Option<&str>| Page::Account {
        account: "oGZU…kX3w".to_owned(),
        nickname: nickname.map(str::to_owned),
        app: "main".to_owned(),
        since: "2026-03-05T08:12:00Z".to_owned(),
        until: "2026-03-12T08:12:00Z".to_owned(),
        others: vec![OtherSession {
            sid: "4f3c2b1a4f3c2b1a4f3c2b1a4f3c2b1a".to_owned(),
            app: "mini".to_owned(),
            since: "2026-03-04T20:01:00Z".to_owned(),
            used: "2026-03-05T07:58:00Z".to_owned(),
        }],
        logout_url: "/_wxgate/logout".to_owned(),
        form_token: "sample".to_owned(),
    };
    let logged_out = |inside_wechat: bool| Page::LoggedOut {
        login_url: "/_wxgate/login?to=%2F".to_owned(),
        inside_wechat,
    };
    vec![
        ("account", account(Some("小林 Lin"))),
        ("account-no-profile", account(None)),
        (
            "nobody-logged-in",
            Page::NobodyLoggedIn {
                login_url: "/_wxgate/login?to=%2F".to_owned(),
            },
        ),
        (
            "confirm-logout",
            Page::ConfirmLogout {
                logout_url: "/_wxgate/logout".to_owned(),
                form_token: "sample".to_owned(),
            },
        ),
        ("logged-out", logged_out(false)),
        ("logged-out-in-wechat", logged_out(true)),
    ]
}

fn passing() -> Vec<(&'static str, Page)> {
    vec![
        (
            "break-out",
            Page::BreakOut {
                address: "/orders?id=20481".to_owned(),
            },
        ),
        (
            "save-fragment",
            Page::SaveFragment {
                key: "sample".to_owned(),
                address: "/_wxgate/callback/main?code=sample&state=sample#wechat_redirect"
                    .to_owned(),
            },
        ),
        (
            "restore-fragment",
            Page::RestoreFragment {
                key: "sample".to_owned(),
                address: "/orders?id=20481".to_owned(),
            },
        ),
        (
            "first-run",
            Page::FirstRun {
                asked: "https://shop.example.com/orders".to_owned(),
            },
        ),
        (
            "too-many-requests-long",
            Page::Refused {
                cause: Cause::TooManyRequests,
                retry_after: Some(Duration::from_secs(900)),
            },
        ),
    ]
}

/// The page on which a cause is usually shown.
fn because(cause: Cause) -> Page {
    match cause {
        Cause::LoginCancelled
        | Cause::LoginState
        | Cause::LoginCode
        | Cause::LoginBlocked
        | Cause::LoginSetup
        | Cause::LoopCookie
        | Cause::LoopHttp
        | Cause::LoopHost
        | Cause::LoopClock
        | Cause::LoopKeys
        | Cause::LoopUnionid => Page::NotFinished {
            cause,
            retry_url: Some("/_wxgate/login?to=%2Forders".to_owned()),
        },
        Cause::WechatTimeout
        | Cause::WechatTrouble
        | Cause::StoreTrouble
        | Cause::UpstreamBroken
        | Cause::UpstreamTimeout
        | Cause::UpstreamUnavailable
        | Cause::Internal => Page::Trouble { cause },
        Cause::TooManyRequests => Page::Refused {
            cause,
            retry_after: Some(Duration::from_secs(42)),
        },
        Cause::BadRequest
        | Cause::NotFound
        | Cause::MethodNotAllowed
        | Cause::TooSlow
        | Cause::TooLarge
        | Cause::UnknownHost
        | Cause::NotSupported => Page::Refused {
            cause,
            retry_after: None,
        },
    }
}
