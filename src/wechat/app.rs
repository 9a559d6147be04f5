//! Apps at WeChat: what kind each is, and its credentials.

use crate::secret::Secret;

use super::{AppId, AppName};

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
