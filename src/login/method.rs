//! Which login fits a browser.

use crate::message::Browser;
use crate::pages::NeededClient;

/// What can be offered to a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Web authorization of the service account.
    ServiceAccount,
    /// A page with a QR code, or with several ways.
    QrPage,
    /// No login works here; the visitor must go on in another client.
    Elsewhere(NeededClient),
    /// The browser is right, but no service account is configured. The operator's to fix.
    NotSetUp,
}

/// What is configured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// A service account, for WeChat.
    pub(super) has_app: bool,
    /// Something for desktop browsers.
    pub(super) has_desktop: bool,
    /// `scan` for phone browsers outside WeChat.
    pub(super) scans_in_phones: bool,
}

/// Chooses.
///
/// WeCom looks like WeChat and cannot use a service account, so it gets a page of its own. A website app's QR code is never
/// for phones: nobody can scan his own screen.
pub(super) fn choose(browser: Browser, offer: Offer) -> Method {
    let qr_page = |is_offered| match is_offered {
        true => Method::QrPage,
        false => Method::Elsewhere(NeededClient::Wechat),
    };
    match browser {
        Browser::WeCom => Method::Elsewhere(NeededClient::WechatNotWecom),
        Browser::Desktop => qr_page(offer.has_desktop),
        Browser::Phone => qr_page(offer.scans_in_phones),
        Browser::Bot => Method::Elsewhere(NeededClient::Wechat),
        Browser::WechatAndroid
        | Browser::WechatIos
        | Browser::WechatDesktop
        | Browser::MiniProgram => match offer.has_app {
            true => Method::ServiceAccount,
            false => Method::NotSetUp,
        },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Nothing is configured.
    pub(in crate::login) const NOTHING: Offer = Offer {
        has_app: false,
        has_desktop: false,
        scans_in_phones: false,
    };

    /// Everything is.
    pub(in crate::login) const EVERYTHING: Offer = Offer {
        has_app: true,
        has_desktop: true,
        scans_in_phones: true,
    };

    #[test]
    fn every_browser_gets_the_login_that_works_there() {
        let elsewhere = Method::Elsewhere(NeededClient::Wechat);
        let wecom = Method::Elsewhere(NeededClient::WechatNotWecom);
        let only_wechat = Offer {
            has_app: true,
            ..NOTHING
        };
        let account = Method::ServiceAccount;
        let table = [
            (Browser::WechatAndroid, account, account, Method::NotSetUp),
            (Browser::WechatIos, account, account, Method::NotSetUp),
            (Browser::WechatDesktop, account, account, Method::NotSetUp),
            (Browser::MiniProgram, account, account, Method::NotSetUp),
            (Browser::WeCom, wecom, wecom, wecom),
            (Browser::Phone, Method::QrPage, elsewhere, elsewhere),
            (Browser::Desktop, Method::QrPage, elsewhere, elsewhere),
            (Browser::Bot, elsewhere, elsewhere, elsewhere),
        ];
        for (browser, with_everything, with_app, with_nothing) in table {
            let chosen = [EVERYTHING, only_wechat, NOTHING].map(|offer| choose(browser, offer));
            assert_eq!(
                chosen,
                [with_everything, with_app, with_nothing],
                "{browser:?}"
            );
        }
    }

    #[test]
    fn what_is_for_computers_is_not_shown_to_phones() {
        let desktop_only = Offer {
            scans_in_phones: false,
            ..EVERYTHING
        };
        let elsewhere = Method::Elsewhere(NeededClient::Wechat);
        assert_eq!(choose(Browser::Phone, desktop_only), elsewhere);
        assert_eq!(choose(Browser::Desktop, desktop_only), Method::QrPage);
    }
}
