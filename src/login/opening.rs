//! How a login opens for a request: at WeChat, with a page, or not at all.

use http::Method as HttpMethod;

use super::method::Method;
use crate::message::Load;
use crate::pages::NeededClient;
use crate::route::Unauthenticated;

/// How a login opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// 401: nobody is waiting for a page.
    Unauthorized,
    /// A page that leads the top window on: WeChat shows nothing in a frame.
    BreakOut,
    /// Our page with a QR code.
    QrPage,
    /// A page that says which client to use.
    Elsewhere(NeededClient),
    /// A page that says that the site is not set up.
    NotSetUp,
    /// The browser goes to WeChat.
    Wechat,
}

/// Decides. Whatever the route says, a prefetch starts nothing and only GET and HEAD are answered with a page.
pub(super) fn decide(
    unauthenticated: Unauthenticated,
    http_method: &HttpMethod,
    load: Load,
    method: Method,
) -> Opening {
    let begins = waits_for_page(unauthenticated, http_method, load);
    if begins && load == Load::FramedPage {
        return Opening::BreakOut;
    }
    match method {
        _ if !begins => Opening::Unauthorized,
        Method::ServiceAccount => Opening::Wechat,
        Method::QrPage => Opening::QrPage,
        Method::Elsewhere(needs) => Opening::Elsewhere(needs),
        Method::NotSetUp => Opening::NotSetUp,
    }
}

/// Whether somebody waits for a page, so that a login may open.
pub(super) fn waits_for_page(
    unauthenticated: Unauthenticated,
    http_method: &HttpMethod,
    load: Load,
) -> bool {
    if !matches!(*http_method, HttpMethod::GET | HttpMethod::HEAD) {
        return false;
    }
    match (unauthenticated, load) {
        (Unauthenticated::Status, _) | (_, Load::Prefetch) => false,
        (_, Load::Page | Load::FramedPage) | (Unauthenticated::Redirect, Load::Background) => true,
        (Unauthenticated::Auto, Load::Background) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::method::choose;
    use crate::login::method::tests::{EVERYTHING, NOTHING};
    use crate::message::Browser;

    const BROWSERS: [Browser; 8] = [
        Browser::WechatAndroid,
        Browser::WechatIos,
        Browser::WechatDesktop,
        Browser::MiniProgram,
        Browser::WeCom,
        Browser::Phone,
        Browser::Desktop,
        Browser::Bot,
    ];

    /// What a browser gets when a login begins there.
    fn begun(browser: Browser) -> Opening {
        match browser {
            Browser::WechatAndroid
            | Browser::WechatIos
            | Browser::WechatDesktop
            | Browser::MiniProgram => Opening::Wechat,
            Browser::WeCom => Opening::Elsewhere(NeededClient::WechatNotWecom),
            Browser::Phone | Browser::Desktop => Opening::QrPage,
            Browser::Bot => Opening::Elsewhere(NeededClient::Wechat),
        }
    }

    #[test]
    fn every_load_mode_and_browser_has_its_answer() {
        use Load::{Background, FramedPage, Page, Prefetch};
        use Unauthenticated::{Auto, Redirect, Status};

        // `None`: the login begins, as the browser allows.
        let table = [
            (Auto, Page, None),
            (Auto, FramedPage, Some(Opening::BreakOut)),
            (Auto, Prefetch, Some(Opening::Unauthorized)),
            (Auto, Background, Some(Opening::Unauthorized)),
            (Redirect, Page, None),
            (Redirect, FramedPage, Some(Opening::BreakOut)),
            (Redirect, Prefetch, Some(Opening::Unauthorized)),
            (Redirect, Background, None),
            (Status, Page, Some(Opening::Unauthorized)),
            (Status, FramedPage, Some(Opening::Unauthorized)),
            (Status, Prefetch, Some(Opening::Unauthorized)),
            (Status, Background, Some(Opening::Unauthorized)),
        ];
        for (mode, load, expected) in table {
            for browser in BROWSERS {
                let expected = expected.unwrap_or_else(|| begun(browser));
                for http_method in [HttpMethod::GET, HttpMethod::HEAD] {
                    let method = choose(browser, EVERYTHING);
                    assert_eq!(
                        decide(mode, &http_method, load, method),
                        expected,
                        "{mode:?} {load:?} {browser:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn nothing_but_get_and_head_is_ever_sent_away() {
        let modes = [
            Unauthenticated::Auto,
            Unauthenticated::Redirect,
            Unauthenticated::Status,
        ];
        let loads = [
            Load::Page,
            Load::FramedPage,
            Load::Prefetch,
            Load::Background,
        ];
        let methods = ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"];
        for name in methods {
            let http_method = HttpMethod::from_bytes(name.as_bytes()).unwrap_or_default();
            for mode in modes {
                for load in loads {
                    let answer = decide(mode, &http_method, load, Method::ServiceAccount);
                    assert_eq!(answer, Opening::Unauthorized, "{name} {mode:?} {load:?}");
                }
            }
        }
    }

    #[test]
    fn wechat_without_a_service_account_says_so() {
        let answer = decide(
            Unauthenticated::Auto,
            &HttpMethod::GET,
            Load::Page,
            choose(Browser::WechatIos, NOTHING),
        );
        assert_eq!(answer, Opening::NotSetUp);
    }
}
