//! Which login fits a browser.

use crate::message::Browser;
use crate::pages::NeededClient;

/// What can be offered to a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Web authorization of the service account.
    ServiceAccount,
    /// No login works here; the visitor must go on in another client.
    Elsewhere(NeededClient),
    /// The browser is right, but no service account is configured. The operator's to fix.
    NotSetUp,
}

/// Chooses. `has_app` says whether a service account is configured.
///
/// WeCom looks like WeChat and cannot use a service account, so it gets a page of its own.
pub(super) fn choose(browser: Browser, has_app: bool) -> Method {
    match browser {
        Browser::WeCom => Method::Elsewhere(NeededClient::WechatNotWecom),
        Browser::Phone | Browser::Desktop | Browser::Bot => Method::Elsewhere(NeededClient::Wechat),
        Browser::WechatAndroid
        | Browser::WechatIos
        | Browser::WechatDesktop
        | Browser::MiniProgram => match has_app {
            true => Method::ServiceAccount,
            false => Method::NotSetUp,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_browser_gets_the_login_that_works_there() {
        let elsewhere = Method::Elsewhere(NeededClient::Wechat);
        let table = [
            (
                Browser::WechatAndroid,
                Method::ServiceAccount,
                Method::NotSetUp,
            ),
            (Browser::WechatIos, Method::ServiceAccount, Method::NotSetUp),
            (
                Browser::WechatDesktop,
                Method::ServiceAccount,
                Method::NotSetUp,
            ),
            (
                Browser::MiniProgram,
                Method::ServiceAccount,
                Method::NotSetUp,
            ),
            (
                Browser::WeCom,
                Method::Elsewhere(NeededClient::WechatNotWecom),
                Method::Elsewhere(NeededClient::WechatNotWecom),
            ),
            (Browser::Phone, elsewhere, elsewhere),
            (Browser::Desktop, elsewhere, elsewhere),
            (Browser::Bot, elsewhere, elsewhere),
        ];
        for (browser, with_app, without_app) in table {
            assert_eq!(choose(browser, true), with_app, "{browser:?}");
            assert_eq!(choose(browser, false), without_app, "{browser:?}");
        }
    }
}
