//! Which icon in which tone stands over a page.

use super::{Cause, NeededClient, Page, ScanEnding};

/// Used where the operator's accent is not `#rrggbb`.
const WECHAT_GREEN: &str = "#07c160";

/// An icon of `icons.html` and its colour: `accent`, `warn` or `stop`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) icon: &'static str,
    pub(super) tone: &'static str,
}

/// The look of a page. Icons only decorate: the title says the same.
pub(super) fn of(page: &Page) -> Look {
    let (icon, tone) = match page {
        Page::Purpose { .. } | Page::NobodyLoggedIn { .. } => ("person", "accent"),
        Page::NotFinished { cause, .. } | Page::Trouble { cause } | Page::Refused { cause, .. } => {
            of_cause(*cause)
        }
        Page::WrongClient { needs, .. } => match needs {
            NeededClient::Desktop => ("screen", "accent"),
            NeededClient::Wechat
            | NeededClient::WechatNotWecom
            | NeededClient::MiniProgram
            | NeededClient::Phone => ("phone", "accent"),
        },
        Page::Denied { .. } => ("lock", "stop"),
        Page::LogIn(_) => ("phone", "accent"),
        Page::LeaveFrame { .. } => ("wait", "accent"),
        Page::ConfirmScan(_) => ("screen", "accent"),
        Page::ScanEnded { ending } => of_ending(*ending),
        Page::Snapshot => ("eye", "accent"),
        Page::FirstRun { .. } => ("screen", "accent"),
        Page::Account { .. } | Page::LoggedOut { .. } => ("tick", "accent"),
        Page::ConfirmLogout { .. } => ("door", "accent"),
        Page::BreakOut { .. } => ("window", "accent"),
        Page::SaveFragment { .. } | Page::RestoreFragment { .. } => ("wait", "accent"),
    };
    Look { icon, tone }
}

fn of_ending(ending: ScanEnding) -> (&'static str, &'static str) {
    match ending {
        ScanEnding::Approved => ("tick", "accent"),
        ScanEnding::Denied => ("person", "warn"),
        ScanEnding::NotMe => ("lock", "accent"),
        ScanEnding::Expired | ScanEnding::Limited => ("clock", "warn"),
        ScanEnding::WrongNumber | ScanEnding::Taken | ScanEnding::Forged => ("alert", "warn"),
        ScanEnding::Reported => ("lock", "stop"),
    }
}

fn of_cause(cause: Cause) -> (&'static str, &'static str) {
    match cause {
        Cause::LoginCancelled => ("person", "warn"),
        Cause::LoginState | Cause::LoginCode | Cause::TooSlow | Cause::TooManyRequests => {
            ("clock", "warn")
        }
        Cause::LoginBlocked => ("lock", "stop"),
        Cause::LoginSetup
        | Cause::LoopCookie
        | Cause::LoopHttp
        | Cause::LoopHost
        | Cause::LoopClock
        | Cause::LoopKeys
        | Cause::LoopUnionid
        | Cause::BadRequest
        | Cause::MethodNotAllowed
        | Cause::TooLarge
        | Cause::NotSupported => ("alert", "warn"),
        Cause::WechatTimeout
        | Cause::WechatTrouble
        | Cause::StoreTrouble
        | Cause::UpstreamBroken
        | Cause::UpstreamTimeout
        | Cause::UpstreamUnavailable => ("cloud", "warn"),
        Cause::Internal => ("alert", "stop"),
        Cause::NotFound | Cause::UnknownHost => ("search", "accent"),
    }
}

/// Whether a QR code helps to get there: nobody scans with a computer.
pub(super) fn is_scanned(needs: NeededClient) -> bool {
    match needs {
        NeededClient::Wechat
        | NeededClient::WechatNotWecom
        | NeededClient::MiniProgram
        | NeededClient::Phone => true,
        NeededClient::Desktop => false,
    }
}

/// The accent as a colour that may stand in a style sheet.
pub(super) fn accent(given: &str) -> &str {
    let digits = given.strip_prefix('#').unwrap_or_default();
    if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        given
    } else {
        WECHAT_GREEN
    }
}
