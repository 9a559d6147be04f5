//! Web authorization: where to send a visitor, what the code brings, who it is.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::secret::Secret;

use super::call::Call;
use super::fields::{https_address, is_set, parse_openid, parse_scope, parse_text, parse_unionid};
use super::{App, Client, Error, OpenId, UnionId};

/// All but the unreserved characters of RFC 3986.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

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
    pub fn parse(text: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let fits = (1..=512).contains(&text.len()) && text.bytes().all(is_allowed);
        fits.then(|| Self(Secret::new(text.to_owned())))
    }

    /// The code itself, for a digest that recognises it again.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What an exchanged code tells.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Who, for this app.
    pub openid: OpenId,
    /// Who, for all apps of the operator; only sometimes known. Never a snapshot page's.
    pub unionid: Option<UnionId>,
    /// What the visitor granted.
    pub scope: Scope,
    /// A snapshot page's virtual person: never a session.
    pub is_snapshot: bool,
    /// For [`Client::user_info`].
    pub access_token: Secret<String>,
    /// For [`Client::refresh`], where WeChat gave one.
    pub refresh_token: Option<Secret<String>>,
    /// When the calls of this login must be over: the visitor waits for all of them together.
    pub deadline: Instant,
}

/// What WeChat shows of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInfo {
    /// Free text: may hold anything, emoji and directional marks included.
    pub nickname: String,
    /// An https address, or empty.
    pub avatar: String,
    /// Only sometimes known. Never a snapshot page's.
    pub unionid: Option<UnionId>,
}

impl Client {
    /// Where to send a visitor in WeChat. `redirect_uri` is absolute and has no fragment; `state` is 1 to 128 characters `[A-Za-z0-9]`.
    ///
    /// The order of the parameters is fixed: the desktop client shows a blank page for any other. `connect_redirect=1` keeps
    /// Android from calling back twice with two codes.
    pub fn authorize_url(
        &self,
        app: &App,
        redirect_uri: &str,
        scope: Scope,
        state: &str,
    ) -> String {
        format!(
            "{}/connect/oauth2/authorize?appid={}&redirect_uri={}&response_type=code&scope={}&state={}&connect_redirect=1#wechat_redirect",
            self.shared.open_url,
            app.id.as_str(),
            utf8_percent_encode(redirect_uri, RESERVED),
            scope.as_str(),
            utf8_percent_encode(state, RESERVED),
        )
    }

    /// Trades a code for a grant. The timeout of the login begins here.
    ///
    /// Sent once; again only when WeChat says that it was busy or nothing was sent. Dropping the future loses the code.
    pub async fn exchange(&self, app: &App, code: &Code) -> Result<Grant, Error> {
        let deadline = Instant::now() + self.timeout();
        let query = [
            ("appid", app.id.as_str()),
            ("secret", app.secret.reveal().as_str()),
            ("code", code.reveal()),
            ("grant_type", "authorization_code"),
        ];
        let call = Call {
            app,
            endpoint: "access_token",
            path: "/sns/oauth2/access_token",
            query: &query,
            deadline,
            trace: self.trace.as_ref(),
        };
        let answer: GrantAnswer = self.shared.caller.send(call).await?;
        answer.into_grant(deadline)
    }

    /// A fresh grant without the person. The timeout of the calls that follow begins here.
    ///
    /// How long a refresh token lasts is 30 days on one page of WeChat's and 180 on another, so nothing is assumed: when it is
    /// over, WeChat says so (42002, 40030), and [`Error::reaction`] is [`Reaction::Restart`](super::Reaction::Restart).
    pub async fn refresh(&self, app: &App, refresh_token: &Secret<String>) -> Result<Grant, Error> {
        let deadline = Instant::now() + self.timeout();
        let query = [
            ("appid", app.id.as_str()),
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.reveal().as_str()),
        ];
        let call = Call {
            app,
            endpoint: "refresh_token",
            path: "/sns/oauth2/refresh_token",
            query: &query,
            deadline,
            trace: self.trace.as_ref(),
        };
        let answer: GrantAnswer = self.shared.caller.send(call).await?;
        answer.into_grant(deadline)
    }

    /// Nickname and avatar of whoever gave the grant, before the deadline of the grant; needs [`Scope::Userinfo`].
    ///
    /// `language` is `zh_CN`, `zh_TW` or `en`. With [`Scope::Base`] WeChat refuses with errcode 48001, which reads like a
    /// mistake of the operator; do not ask then.
    pub async fn user_info(
        &self,
        app: &App,
        grant: &Grant,
        language: &str,
    ) -> Result<UserInfo, Error> {
        let query = [
            ("access_token", grant.access_token.reveal().as_str()),
            ("openid", grant.openid.as_str()),
            ("lang", language),
        ];
        let call = Call {
            app,
            endpoint: "userinfo",
            path: "/sns/userinfo",
            query: &query,
            deadline: grant.deadline,
            trace: self.trace.as_ref(),
        };
        let answer: UserInfoAnswer = self.shared.caller.send(call).await?;
        answer.into_user_info(grant)
    }
}

// Fields are plain values, so that a wrong type is reported by the name of its field and never by its content. Repeated keys
// are refused.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct GrantAnswer {
    access_token: Value,
    refresh_token: Value,
    openid: Value,
    unionid: Value,
    scope: Value,
    is_snapshotuser: Value,
}

impl GrantAnswer {
    fn into_grant(self, deadline: Instant) -> Result<Grant, Error> {
        let is_snapshot = is_set(&self.is_snapshotuser);
        let access_token = match self.access_token {
            Value::String(token) if !token.is_empty() => Secret::new(token),
            _ => return Err(Error::Field("access_token")),
        };
        Ok(Grant {
            openid: parse_openid(&self.openid)?,
            unionid: parse_unionid(&self.unionid, is_snapshot)?,
            scope: parse_scope(&self.scope)?,
            is_snapshot,
            access_token,
            refresh_token: match self.refresh_token {
                Value::String(token) if !token.is_empty() => Some(Secret::new(token)),
                _ => None,
            },
            deadline,
        })
    }
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct UserInfoAnswer {
    openid: Value,
    unionid: Value,
    nickname: Value,
    headimgurl: Value,
}

impl UserInfoAnswer {
    fn into_user_info(self, grant: &Grant) -> Result<UserInfo, Error> {
        if parse_openid(&self.openid)? != grant.openid {
            return Err(Error::OtherPerson);
        }
        Ok(UserInfo {
            nickname: parse_text(self.nickname, "nickname")?,
            avatar: https_address(&parse_text(self.headimgurl, "headimgurl")?),
            unionid: parse_unionid(&self.unionid, grant.is_snapshot)?,
        })
    }
}
