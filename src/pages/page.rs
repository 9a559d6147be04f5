//! Something to show: one variant for each page.

use std::time::Duration;

use super::{Cause, ConfirmScan, LogIn, ScanEnding};

/// Something to show.
#[derive(Clone, Debug)]
pub enum Page {
    /// P1, and P2 where phones log in by it: a code to scan and to confirm.
    LogIn(LogIn),
    /// P4: what the phone asks that scanned a code.
    ConfirmScan(ConfirmScan),
    /// P5: what came of it.
    ScanEnded {
        /// What came of it.
        ending: ScanEnding,
    },
    /// A website app's callback in our frame: loads itself again in the window around it.
    LeaveFrame {
        /// A fresh try.
        retry_url: String,
    },
    /// P3: who asks for what, before `snsapi_userinfo`; the button leads on.
    Purpose {
        /// Where the button leads.
        continue_url: String,
        /// Where "without profile" leads, where the route allows it.
        without_profile_url: Option<String>,
        /// The app's configured name. Our own template does not show it; an operator's may.
        app: String,
    },
    /// P6: a login did not finish.
    NotFinished {
        /// Why.
        cause: Cause,
        /// A fresh try for the same target.
        retry_url: Option<String>,
    },
    /// P7: no login fits this browser, or the route wants another client.
    WrongClient {
        /// Which client is needed.
        needs: NeededClient,
        /// The address to open there; shown as link and QR code.
        address: String,
        /// Opens it there; `None` where only the visitor can.
        open_url: Option<String>,
    },
    /// P8: logged in, not allowed.
    Denied {
        /// Masked id to tell the operator; `None` when nobody is logged in.
        account: Option<String>,
        /// Leads to the logout page, to switch accounts.
        switch_url: Option<String>,
    },
    /// P9: WeChat shows a preview of the site.
    Snapshot,
    /// P10: the site behind us does not answer, or WeChat or our store does not.
    Trouble {
        /// Why.
        cause: Cause,
    },
    /// P11: a short refusal.
    Refused {
        /// Why.
        cause: Cause,
        /// For 429.
        retry_after: Option<Duration>,
    },
    /// P14: no route serves the address, told to an operator who wants to know.
    FirstRun {
        /// The address without its query.
        asked: String,
    },
    /// P12: who is logged in.
    Account {
        /// Masked id.
        account: String,
        /// Nickname, if known.
        nickname: Option<String>,
        /// The app's name.
        app: String,
        /// RFC 3339, UTC.
        since: String,
        /// RFC 3339, UTC.
        until: String,
        /// The person's other sessions, where they are known.
        others: Vec<OtherSession>,
        /// Where the logout form posts.
        logout_url: String,
        /// Proves that the form came from us.
        form_token: String,
    },
    /// P12 when nobody is logged in.
    NobodyLoggedIn {
        /// Starts a login.
        login_url: String,
    },
    /// The button behind `GET logout`.
    ConfirmLogout {
        /// Where the form posts.
        logout_url: String,
        /// Proves that the form came from us.
        form_token: String,
    },
    /// P13: logged out.
    LoggedOut {
        /// Starts a login.
        login_url: String,
        /// In WeChat the next visit logs in silently again.
        inside_wechat: bool,
    },
    /// A framed page load: leads the top window to the address.
    BreakOut {
        /// Where to.
        address: String,
    },
    /// `keep_fragment`: saves `#...` under the key, then goes to WeChat.
    SaveFragment {
        /// Names the attempt in `sessionStorage`.
        key: String,
        /// The authorize URL.
        address: String,
    },
    /// `keep_fragment`: goes to the target with the saved `#...`.
    RestoreFragment {
        /// Names the attempt in `sessionStorage`.
        key: String,
        /// Path and query.
        address: String,
    },
}

/// A session of the same person on another device.
#[derive(Clone, Debug)]
pub struct OtherSession {
    /// Names it in the form that ends it.
    pub sid: String,
    /// The app's name.
    pub app: String,
    /// When it began: RFC 3339, UTC.
    pub since: String,
    /// When it was used last, to the minute: RFC 3339, UTC.
    pub used: String,
}

/// Which client is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeededClient {
    /// WeChat itself; the visitor is elsewhere.
    Wechat,
    /// WeChat itself; the visitor is in WeCom.
    WechatNotWecom,
    /// A mini program.
    MiniProgram,
    /// A desktop browser.
    Desktop,
    /// A phone browser.
    Phone,
}

impl Page {
    /// The file that draws it; an operator's file of this name replaces ours.
    pub fn template(&self) -> &'static str {
        match self {
            Self::LogIn(_) => "log_in.html",
            Self::ConfirmScan(_) => "confirm_scan.html",
            Self::LeaveFrame { .. } => "leave_frame.html",
            Self::ScanEnded { .. } => "scan_ended.html",
            Self::Purpose { .. } => "purpose.html",
            Self::NotFinished { .. } => "not_finished.html",
            Self::WrongClient { .. } => "wrong_client.html",
            Self::Denied { .. } => "denied.html",
            Self::Snapshot => "snapshot.html",
            Self::Trouble { .. } => "trouble.html",
            Self::Refused { .. } => "refused.html",
            Self::FirstRun { .. } => "first_run.html",
            Self::Account { .. } => "account.html",
            Self::NobodyLoggedIn { .. } => "nobody_logged_in.html",
            Self::ConfirmLogout { .. } => "confirm_logout.html",
            Self::LoggedOut { .. } => "logged_out.html",
            Self::BreakOut { .. } => "break_out.html",
            Self::SaveFragment { .. } => "save_fragment.html",
            Self::RestoreFragment { .. } => "restore_fragment.html",
        }
    }

    /// The stable code that people quote, on every page that says no; `None` on all others.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::NotFinished { cause, .. }
            | Self::Trouble { cause }
            | Self::Refused { cause, .. } => Some(cause.code()),
            Self::FirstRun { .. } => Some(Cause::NotFound.code()),
            Self::WrongClient { .. } => Some("WXG-CLIENT"),
            Self::Denied { .. } => Some("WXG-DENIED"),
            Self::Snapshot => Some("WXG-SNAPSHOT"),
            Self::ScanEnded { ending } => ending.code(),
            Self::LogIn(_)
            | Self::LeaveFrame { .. }
            | Self::ConfirmScan(_)
            | Self::Purpose { .. }
            | Self::Account { .. }
            | Self::NobodyLoggedIn { .. }
            | Self::ConfirmLogout { .. }
            | Self::LoggedOut { .. }
            | Self::BreakOut { .. }
            | Self::SaveFragment { .. }
            | Self::RestoreFragment { .. } => None,
        }
    }

    /// Why it is shown, where there is a choice.
    pub(super) fn cause(&self) -> Option<Cause> {
        match self {
            Self::NotFinished { cause, .. }
            | Self::Trouble { cause }
            | Self::Refused { cause, .. } => Some(*cause),
            Self::LogIn(_)
            | Self::LeaveFrame { .. }
            | Self::ConfirmScan(_)
            | Self::ScanEnded { .. }
            | Self::FirstRun { .. }
            | Self::Purpose { .. }
            | Self::WrongClient { .. }
            | Self::Denied { .. }
            | Self::Snapshot
            | Self::Account { .. }
            | Self::NobodyLoggedIn { .. }
            | Self::ConfirmLogout { .. }
            | Self::LoggedOut { .. }
            | Self::BreakOut { .. }
            | Self::SaveFragment { .. }
            | Self::RestoreFragment { .. } => None,
        }
    }
}
