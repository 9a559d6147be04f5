//! QR login of website apps: WeChat's own page, whole or in a frame.
//!
//! What is fixed here is from [the guide] and from what WeChat's script `wxLogin.js` puts together; the script itself is not
//! needed. The address to come back to is escaped once, and holds no fragment: WeChat's quick login would put the code before it.
//!
//! [the guide]: https://developers.weixin.qq.com/doc/oplatform/Website_App/WeChat_Login/Wechat_Login.html

use percent_encoding::utf8_percent_encode;
use url::Url;

use super::web::RESERVED;
use super::{App, Client};

/// Languages of the page: WeChat knows Chinese and English.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QrLanguage {
    /// `cn`
    Chinese,
    /// `en`
    English,
}

impl Client {
    /// WeChat's page with a QR code, for the whole window. `redirect_uri` and `state` as for
    /// [`authorize_url`](Self::authorize_url).
    pub fn qr_page_url(
        &self,
        app: &App,
        redirect_uri: &str,
        state: &str,
        language: QrLanguage,
    ) -> String {
        let language = match language {
            QrLanguage::Chinese => "cn",
            QrLanguage::English => "en",
        };
        format!(
            "{}/connect/qrconnect?appid={}&redirect_uri={}&response_type=code&scope=snsapi_login&state={}&lang={language}#wechat_redirect",
            self.open_url(),
            app.id.as_str(),
            utf8_percent_encode(redirect_uri, RESERVED),
            utf8_percent_encode(state, RESERVED),
        )
    }

    /// The same for a frame of 300 by 400 pixels. The callback is loaded in the frame (`self_redirect=true`): WeChat's page may
    /// not move the window around it in every browser.
    pub fn qr_frame_url(
        &self,
        app: &App,
        redirect_uri: &str,
        state: &str,
        language: QrLanguage,
    ) -> String {
        // Only the word `en` is known here; Chinese is what comes without it.
        let language = match language {
            QrLanguage::Chinese => "",
            QrLanguage::English => "&lang=en",
        };
        format!(
            "{}/connect/qrconnect?appid={}&scope=snsapi_login&redirect_uri={}&state={}&login_type=jssdk&self_redirect=true&styletype=&sizetype=&bgcolor=&rst=&style=black{language}",
            self.open_url(),
            app.id.as_str(),
            utf8_percent_encode(redirect_uri, RESERVED),
            utf8_percent_encode(state, RESERVED),
        )
    }

    /// The origin of WeChat's pages, for a content security policy; `'none'` where it has none.
    pub fn open_origin(&self) -> String {
        let url = Url::parse(self.open_url()).ok();
        let origin = url.map(|url| url.origin());
        origin.filter(url::Origin::is_tuple).map_or_else(
            || "'none'".to_owned(),
            |origin| origin.ascii_serialization(),
        )
    }
}
