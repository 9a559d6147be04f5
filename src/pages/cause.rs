//! Why a page is shown.

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

/// The one thing a visitor can do about a [`Cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Ask for the same address again.
    Again,
    /// Go to the first page of the site.
    Home,
    /// Nothing here helps.
    Nothing,
}

impl Cause {
    /// Every cause, in the order of the declaration.
    pub const ALL: [Self; 26] = [
        Self::LoginCancelled,
        Self::LoginState,
        Self::LoginCode,
        Self::LoginBlocked,
        Self::LoginSetup,
        Self::LoopCookie,
        Self::LoopHttp,
        Self::LoopHost,
        Self::LoopClock,
        Self::LoopKeys,
        Self::LoopUnionid,
        Self::WechatTimeout,
        Self::WechatTrouble,
        Self::StoreTrouble,
        Self::UpstreamBroken,
        Self::UpstreamTimeout,
        Self::UpstreamUnavailable,
        Self::Internal,
        Self::BadRequest,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooSlow,
        Self::TooLarge,
        Self::UnknownHost,
        Self::TooManyRequests,
        Self::NotSupported,
    ];

    /// The code that people quote; it never changes its meaning. The same in log and metric.
    pub fn code(self) -> &'static str {
        match self {
            Self::LoginCancelled => "WXG-LOGIN-CANCELLED",
            Self::LoginState => "WXG-LOGIN-STATE",
            Self::LoginCode => "WXG-LOGIN-CODE",
            Self::LoginBlocked => "WXG-LOGIN-BLOCKED",
            Self::LoginSetup => "WXG-LOGIN-SETUP",
            Self::LoopCookie => "WXG-LOOP-COOKIE",
            Self::LoopHttp => "WXG-LOOP-HTTP",
            Self::LoopHost => "WXG-LOOP-HOST",
            Self::LoopClock => "WXG-LOOP-CLOCK",
            Self::LoopKeys => "WXG-LOOP-KEYS",
            Self::LoopUnionid => "WXG-LOOP-UNIONID",
            Self::WechatTimeout => "WXG-WECHAT-TIMEOUT",
            Self::WechatTrouble => "WXG-WECHAT-TROUBLE",
            Self::StoreTrouble => "WXG-STORE-TROUBLE",
            Self::UpstreamBroken => "WXG-UPSTREAM-BROKEN",
            Self::UpstreamTimeout => "WXG-UPSTREAM-TIMEOUT",
            Self::UpstreamUnavailable => "WXG-UPSTREAM-UNAVAILABLE",
            Self::Internal => "WXG-INTERNAL",
            Self::BadRequest => "WXG-BAD-REQUEST",
            Self::NotFound => "WXG-NOT-FOUND",
            Self::MethodNotAllowed => "WXG-METHOD-NOT-ALLOWED",
            Self::TooSlow => "WXG-TOO-SLOW",
            Self::TooLarge => "WXG-TOO-LARGE",
            Self::UnknownHost => "WXG-UNKNOWN-HOST",
            Self::TooManyRequests => "WXG-TOO-MANY-REQUESTS",
            Self::NotSupported => "WXG-NOT-SUPPORTED",
        }
    }

    pub(super) fn remedy(self) -> Remedy {
        match self {
            Self::LoginCancelled
            | Self::LoginState
            | Self::LoginCode
            | Self::LoginBlocked
            | Self::LoginSetup
            | Self::LoopCookie
            | Self::LoopHttp
            | Self::LoopHost
            | Self::LoopClock
            | Self::LoopKeys
            | Self::LoopUnionid
            | Self::BadRequest
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::TooLarge
            | Self::NotSupported => Remedy::Home,
            Self::WechatTimeout
            | Self::WechatTrouble
            | Self::StoreTrouble
            | Self::UpstreamBroken
            | Self::UpstreamTimeout
            | Self::UpstreamUnavailable
            | Self::Internal
            | Self::TooSlow
            | Self::TooManyRequests => Remedy::Again,
            Self::UnknownHost => Remedy::Nothing,
        }
    }
}
