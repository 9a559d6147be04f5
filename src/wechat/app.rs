//! Apps at WeChat: what kind each is, and its credentials.

use crate::secret::Secret;

use super::{AppId, AppName, PushKeys};

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
    /// Where its app-wide token comes from.
    pub token: TokenMode,
    /// Whether pages on our hosts get JS-SDK signatures for it.
    pub js_sdk: bool,
    /// How its message push is proved, where it comes to us.
    pub push: Option<PushKeys>,
}

/// Where an app's token for `cgi-bin` calls comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenMode {
    /// `cgi-bin/stable_token`: other systems may fetch one as well, and nobody disturbs anybody.
    Stable,
    /// `cgi-bin/token`: each new token makes the one before void.
    Legacy,
    /// A token server of the operator, the only one that asks WeChat.
    External(TokenServer),
}

/// A token server of the operator: GET, and an answer like WeChat's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenServer {
    /// https, or http in the operator's own network.
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub bearer: Option<Secret<String>>,
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
