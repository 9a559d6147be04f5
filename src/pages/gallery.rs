//! One sample of everything there is to see.

use std::time::Duration;

use super::{Cause, NeededClient, OtherSession, Page};

mod login;

/// A sample of every page in every variant, each with a name that fits into a path.
///
/// `wxgate demo` shows them; operators' templates are checked with them; tests walk through them.
pub fn gallery() -> Vec<(&'static str, Page)> {
    let mut pages = login::logging_in();
    pages.extend(login::scanning());
    pages.extend(login::following());
    pages.extend(login::websites());
    pages.extend(login::scanned());
    pages.extend(clients());
    pages.extend(account());
    pages.extend(passing());
    pages.extend(Cause::ALL.map(|cause| (cause.code(), because(cause))));
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
            let open_url = None;
            (
                name,
                Page::WrongClient {
                    needs,
                    address,
                    open_url,
                },
            )
        })
        .into();
    pages.push((
        "client-wechat-link",
        Page::WrongClient {
            needs: NeededClient::Wechat,
            address: "https://shop.example.com/orders?id=20481&from=menu".to_owned(),
            open_url: Some("/_wxgate/open?to=%2Forders".to_owned()),
        },
    ));
    pages.push((
        "client-long-address",
        Page::WrongClient {
            needs: NeededClient::Wechat,
            open_url: None,
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
