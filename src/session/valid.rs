//! A session as the rest of the program sees it.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use crate::identity::Person;
use crate::secret::Secret;
use crate::wechat::Scope;

/// Hex digits of the name that tokens carry: 128 bits.
const SID_LENGTH: usize = 32;
/// Hex digits of the name that logs carry.
const LOG_NAME_LENGTH: usize = 8;

/// A session that is valid now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// 22 random characters `[A-Za-z0-9]`; new at each login.
    pub id: String,
    /// Who.
    pub person: Person,
    /// What the visitor granted.
    pub scope: Scope,
    /// How the visitor logged in: the JWT's `amr`, like `wechat_mp`.
    pub method: Method,
    /// When the visitor logged in.
    pub started_at: SystemTime,
    /// When the cookie was last written; idle time counts from here.
    pub renewed_at: SystemTime,
    /// What brought it. One session can have both.
    pub carrier: Carrier,
}

/// What a client shows to prove a session. A value made for one is nothing as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Browsers.
    Cookie,
    /// `Authorization: Bearer wxg_…`, for clients without cookies.
    Token,
}

impl Session {
    /// Names the session in tokens: a hash, from which nobody gets the id. 32 hex digits.
    pub fn sid(&self) -> String {
        sid_of(&self.id)
    }

    /// Names the session in logs: the first 8 digits of [`sid`](Self::sid).
    pub fn log_name(&self) -> String {
        let mut name = self.sid();
        name.truncate(LOG_NAME_LENGTH);
        name
    }
}

/// The public name of a session id.
pub(super) fn sid_of(id: &str) -> String {
    let mut name = HEXLOWER.encode(digest(&SHA256, id.as_bytes()).as_ref());
    name.truncate(SID_LENGTH);
    name
}

/// Whether a text can be the public name of a session.
pub(super) fn is_sid(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == SID_LENGTH && text.bytes().all(is_digit)
}

/// Ways to have logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Web authorization of a service account, inside WeChat.
    ServiceAccount,
    /// Confirmed on a phone, by web authorization there.
    Scan,
    /// By the account's own code: whoever reads it follows the account.
    Follow,
    /// WeChat's QR code, by a website app.
    Website,
    /// `wx.login` of a mini program.
    MiniProgram,
    /// WeChat's SDK in an app for phones.
    MobileApp,
}

impl Method {
    /// The word for `amr`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "wechat_mp",
            Self::Scan => "wechat_scan",
            Self::Follow => "wechat_follow",
            Self::Website => "wechat_qr",
            Self::MiniProgram => "wechat_miniprogram",
            Self::MobileApp => "wechat_app",
        }
    }
}

/// What a login found out; becomes a [`Session`].
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Who.
    pub person: Person,
    /// What the visitor granted.
    pub scope: Scope,
    /// How.
    pub method: Method,
    /// Refreshes the profile later; kept in store mode only, and only on our side.
    pub refresh_token: Option<Secret<String>>,
}
