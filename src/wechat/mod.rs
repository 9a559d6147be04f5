//! Client for WeChat's APIs. Knows nothing of the gateway; the only module that knows WeChat's wire format.
//!
//! | endpoint | method |
//! |---|---|
//! | [authorize page](https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/Wechat_webpage_authorization.html) | [`Client::authorize_url`] |
//! | [`connect/qrconnect`](https://developers.weixin.qq.com/doc/oplatform/Website_App/WeChat_Login/Wechat_Login.html) | [`Client::qr_page_url`], [`Client::qr_frame_url`] |
//! | `sns/oauth2/access_token` | [`Client::exchange`] |
//! | `sns/oauth2/refresh_token` | [`Client::refresh`] |
//! | `sns/userinfo` | [`Client::user_info`] |
//! | `cgi-bin/stable_token`, `cgi-bin/token` | [`AccessTokens::access_token`] |
//! | [message push](https://developers.weixin.qq.com/doc/oplatform/developers/dev/push), which comes to us | [`PushQuery`], [`PushMessage`] |
//! | `cgi-bin/qrcode/create` | [`AccessTokens::scene_code`] |
//! | `cgi-bin/ticket/getticket` | [`AccessTokens::jsapi_ticket`] |
//! | `wxa/generate_urllink` | [`AccessTokens::url_link`] |
//! | `sns/jscode2session` | [`Client::code_to_session`] |

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::observe::{Metrics, Trace};

mod access_token;
mod answer;
mod app;
mod app_call;
mod call;
mod error;
mod fields;
mod ids;
mod jsapi;
mod kept;
mod mini_program;
mod push;
mod qr;
mod url_link;
mod web;
mod website;

#[cfg(test)]
mod tests;

pub use access_token::{AccessToken, AccessTokens};
pub use app::{App, AppKind, TokenMode, TokenServer};
pub use error::{Error, Fault, Reaction};
pub use ids::{AppId, AppName, OpenId, UnionId};
pub use jsapi::{JsConfig, js_signature, js_signed_text};
pub use mini_program::{MiniProgramGrant, NotGenuine, SessionKey};
pub use push::{Change, Event, PushError, PushKey, PushKeys, PushMessage, PushQuery};
pub use qr::SceneCode;
pub use web::{Code, Grant, Scope, UserInfo};
pub use website::QrLanguage;

pub(crate) use call::tls_config;

/// Everything the client needs.
#[derive(Clone)]
pub struct Settings {
    /// Every configured app.
    pub apps: Vec<App>,
    /// `https://api.weixin.qq.com`, without a slash at the end.
    pub base_url: String,
    /// `https://open.weixin.qq.com`, without a slash at the end.
    pub open_url: String,
    /// An HTTP proxy for the calls. Its address may hold a password.
    pub proxy: Option<String>,
    /// Deadline for the connection.
    pub connect_timeout: Duration,
    /// For all calls of one login together, every retry included.
    pub timeout: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Settings")
            .field("apps", &self.apps)
            .field("base_url", &self.base_url)
            .field("open_url", &self.open_url)
            .field("proxy", &self.proxy.as_ref().map(|_| "…"))
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// The client; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    /// The trace of the request that calls are made for.
    trace: Option<Trace>,
}

#[derive(Debug)]
struct Shared {
    apps: Vec<App>,
    open_url: String,
    caller: call::Caller,
}

impl Client {
    /// Builds the HTTP client. Fails only when TLS or the proxy address cannot be set up.
    pub fn new(settings: Settings, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let caller = call::Caller::new(&settings, metrics)?;
        let shared = Shared {
            apps: settings.apps,
            open_url: settings.open_url,
            caller,
        };
        Ok(Self {
            shared: Arc::new(shared),
            trace: None,
        })
    }

    /// The same client, for calls that are parts of this trace. App-wide tokens are nobody's request and have none.
    pub fn traced(&self, trace: Option<&Trace>) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            trace: trace.cloned(),
        }
    }

    /// Where WeChat's pages are, without a slash at the end.
    fn open_url(&self) -> &str {
        &self.shared.open_url
    }

    /// How long the calls of one login may take in all.
    pub fn timeout(&self) -> Duration {
        self.shared.caller.timeout()
    }

    /// Every app.
    pub fn apps(&self) -> &[App] {
        &self.shared.apps
    }

    /// Every app of a kind, in the order of the configuration.
    pub fn apps_of_kind(&self, kind: AppKind) -> impl Iterator<Item = &App> {
        self.shared.apps.iter().filter(move |app| app.kind == kind)
    }

    /// The app with this name.
    pub fn app(&self, name: &str) -> Option<&App> {
        self.shared
            .apps
            .iter()
            .find(|app| app.name.as_str() == name)
    }
}
