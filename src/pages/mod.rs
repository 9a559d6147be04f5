//! What people see: every page wxgate can emit, in three languages, light and dark.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::message::{Answer, RequestInfo};

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
    /// Single pages overridden by files of the same name here.
    pub templates: Option<PathBuf>,
}

/// Languages of our pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Simplified Chinese.
    ZhCn,
    /// Traditional Chinese.
    ZhTw,
    /// English.
    En,
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

/// Something to show.
#[derive(Clone, Debug)]
pub enum Page {
    /// P3: who asks for what, before `snsapi_userinfo`; the button leads on.
    Purpose {
        /// Where the button leads.
        continue_url: String,
        /// Where "without profile" leads, where the route allows it.
        without_profile_url: Option<String>,
        /// Moves on by itself (`userinfo_prompt = "auto"` never gets here).
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

/// Why a page is shown; each has a stable code for people to quote, and a text in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The visitor cancelled or WeChat sent nothing usable.
    LoginCancelled,
    /// The attempt is unknown to this browser, too old, or from another one.
    LoginState,
    /// WeChat refused the code, twice.
    LoginCode,
    /// WeChat blocked or limits this account.
    LoginBlocked,
    /// WeChat says that the operator's set-up is wrong.
    LoginSetup,
    /// Loop guard: the browser did not keep our cookie.
    LoopCookie,
    /// Loop guard: http where https is configured, so `Secure` cookies get lost.
    LoopHttp,
    /// Loop guard: the callback arrives on another host than the visitor is on.
    LoopHost,
    /// Loop guard: clocks are apart, so everything looks expired.
    LoopClock,
    /// Loop guard: sealed by a node with other keys.
    LoopKeys,
    /// Loop guard: WeChat gives no unionid.
    LoopUnionid,
    /// WeChat did not answer in time.
    WechatTimeout,
    /// WeChat answered nonsense or an error of its own.
    WechatTrouble,
    /// The store does not answer.
    StoreTrouble,
    /// The upstream refused or broke the connection.
    UpstreamBroken,
    /// The upstream was too slow.
    UpstreamTimeout,
    /// No server of the upstream is healthy.
    UpstreamUnavailable,
    /// Something in us is wrong.
    Internal,
    /// 400.
    BadRequest,
    /// 404: no route.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 408.
    TooSlow,
    /// 413.
    TooLarge,
    /// 421.
    UnknownHost,
    /// 429.
    TooManyRequests,
    /// 501: an `Expect` or upgrade we do not do.
    NotSupported,
}

/// Renders pages.
#[derive(Debug)]
pub struct Pages {}

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
    pub fn new(_settings: Settings) -> Result<Self, Error> {
        todo!()
    }

    /// Renders a page for whoever asks. `headers` tell the language (`?lang=`, cookie, WeChat's `Language/`, `Accept-Language`).
    ///
    /// Sets content type and content security policy; the caller adds `Cache-Control` and the request id header.
    pub fn render(
        &self,
        _status: StatusCode,
        _reason: &'static str,
        _page: &Page,
        _info: &RequestInfo,
        _headers: &HeaderMap,
    ) -> Answer {
        todo!()
    }
}
