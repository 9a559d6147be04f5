//! How visitors log in: what the operator chose.

use std::time::Duration;

use super::relay::RelaySettings;
use super::scan::{FollowConsent, MobileBrowser, ScanConfirm};
use crate::wechat::AppName;

/// How visitors log in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The service account used in the WeChat browser.
    pub inside_wechat: Option<AppName>,
    /// Show P3 before `snsapi_userinfo`, or go straight on.
    pub userinfo_prompt: UserinfoPrompt,
    /// `zh_CN`, `zh_TW` or `en`.
    pub userinfo_language: String,
    /// What a snapshot page's virtual person gets.
    pub snapshot_user: SnapshotUser,
    /// Save and restore `#...` around the login.
    pub keep_fragment: bool,
    /// How long an attempt may take.
    pub attempt_ttl: Duration,
    /// Tabs for desktop browsers, the first one open; none where such browsers cannot log in.
    pub desktop: Vec<DesktopTab>,
    /// For phone browsers outside WeChat.
    pub mobile_browser: MobileBrowser,
    /// A page of a mini program that leads visitors from phone browsers into WeChat.
    pub mini_program_link: Option<MiniProgramLink>,
    /// How long a QR code of ours can be confirmed.
    pub scan_ttl: Duration,
    /// What the phone asks for.
    pub scan_confirm: ScanConfirm,
    /// What it means that somebody read the account's own code.
    pub follow_consent: FollowConsent,
    /// Hosts whose visitors are identified at the public host.
    pub relay: RelaySettings,
    /// Whether our cookies say `Secure` and are called `__Host-…`.
    pub secure_cookies: bool,
}

impl Settings {
    /// Whether visitors are shown codes of this account, which make followers of it.
    pub fn follows(&self, app: &AppName) -> bool {
        self.desktop.contains(&DesktopTab::Follow) && self.inside_wechat.as_ref() == Some(app)
    }
}

/// A page of a mini program that shows an address in its web-view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MiniProgramLink {
    /// The mini program.
    pub app: AppName,
    /// The page: no slash before it, no query. It gets the address as its parameter `url`, escaped.
    pub page: String,
}

/// A way to log in for desktop browsers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DesktopTab {
    /// WeChat's own QR code, by this website app.
    Website(AppName),
    /// Confirm on a phone.
    Scan,
    /// Read the account's own code, which makes a follower.
    Follow,
}

impl DesktopTab {
    /// As in the configuration: the app's name, `scan` or `follow`.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Website(app) => app.as_str(),
            Self::Scan => "scan",
            Self::Follow => "follow",
        }
    }
}

/// Before `snsapi_userinfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserinfoPrompt {
    /// Our purpose page with a button.
    Button,
    /// Straight on; WeChat may show snapshot pages.
    Auto,
}

/// What a snapshot page's virtual person gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotUser {
    /// Page P9.
    Refuse,
    /// The site without identity where the route is `optional` or `public`, else P9.
    Anonymous,
}
