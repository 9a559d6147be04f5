//! Client for WeChat's APIs. Knows nothing of the gateway; the only module that knows WeChat's wire format.

use std::sync::Arc;
use std::time::Duration;

use crate::observe::Metrics;
use crate::secret::Secret;

mod error;
mod ids;

pub use error::{Error, Reaction};
pub use ids::{AppId, AppName, OpenId, UnionId};

/// Everything the client needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Every configured app.
    pub apps: Vec<App>,
    /// `https://api.weixin.qq.com`, without a slash at the end.
    pub base_url: String,
    /// `https://open.weixin.qq.com`, without a slash at the end.
    pub open_url: String,
    /// An HTTP proxy for the calls.
    pub proxy: Option<String>,
    /// Deadline for the connection.
    pub connect_timeout: Duration,
    /// Deadline for a whole login step, every retry included.
    pub timeout: Duration,
}

/// One app at WeChat.
#[derive(Clone, Debug)]
pub struct App {
    /// The operator's name for it.
    pub name: AppName,
    /// What it is.
    pub kind: AppKind,
    /// WeChat's id of it.
    pub id: AppId,
    /// Its AppSecret.
    pub secret: Secret<String>,
}

/// Kinds of app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppKind {
    /// Logs in inside WeChat.
    ServiceAccount,
    /// QR login for desktop browsers.
    Website,
    /// `wx.login` codes.
    MiniProgram,
    /// The app SDK's codes.
    MobileApp,
}

/// How much the visitor lets us know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `snsapi_base`: who it is; nothing is shown to the visitor.
    Base,
    /// `snsapi_userinfo`: nickname and avatar too; the visitor consents.
    Userinfo,
}

impl Scope {
    /// WeChat's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base => "snsapi_base",
            Self::Userinfo => "snsapi_userinfo",
        }
    }
}

/// A `code` as WeChat hands it to the visitor. Never printed.
#[derive(Clone)]
pub struct Code(Secret<String>);

impl Code {
    /// 1 to 512 characters `[A-Za-z0-9_-]`; `None` for anything else.
    pub fn parse(_text: &str) -> Option<Self> {
        todo!()
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What an exchanged code tells.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Who, for this app.
    pub openid: OpenId,
    /// Who, for all apps of the operator; only sometimes known.
    pub unionid: Option<UnionId>,
    /// What the visitor granted.
    pub scope: Scope,
    /// A snapshot page's virtual person: never a session.
    pub is_snapshot: bool,
    /// For [`Client::user_info`].
    pub access_token: Secret<String>,
}

/// What WeChat shows of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInfo {
    /// Free text: may hold anything, line ends and emoji included.
    pub nickname: String,
    /// An https address, or empty.
    pub avatar: String,
    /// Only sometimes known.
    pub unionid: Option<UnionId>,
}

/// The client; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {}

impl Client {
    /// Builds the HTTP client. Fails only when TLS or the proxy address cannot be set up.
    pub fn new(_settings: Settings, _metrics: Arc<Metrics>) -> Result<Self, Error> {
        todo!()
    }

    /// The app with this name.
    pub fn app(&self, _name: &str) -> Option<&App> {
        todo!()
    }

    /// Where to send a visitor in WeChat. `redirect_uri` is absolute and has no fragment; `state` is 1 to 128 characters `[A-Za-z0-9]`.
    ///
    /// The order of the parameters is fixed: the desktop client shows a blank page for any other.
    pub fn authorize_url(
        &self,
        _app: &App,
        _redirect_uri: &str,
        _scope: Scope,
        _state: &str,
    ) -> String {
        todo!()
    }

    /// Trades a code for a grant, within the whole deadline.
    ///
    /// Sent once; again only when WeChat says that it was busy or nothing was sent. Dropping the future loses the code.
    #[expect(clippy::unused_async, reason = "written below the interface")]
    pub async fn exchange(&self, _app: &App, _code: &Code) -> Result<Grant, Error> {
        todo!()
    }

    /// Nickname and avatar of whoever gave the grant; needs [`Scope::Userinfo`].
    #[expect(clippy::unused_async, reason = "written below the interface")]
    pub async fn user_info(
        &self,
        _app: &App,
        _grant: &Grant,
        _language: &str,
    ) -> Result<UserInfo, Error> {
        todo!()
    }
}
