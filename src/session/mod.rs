//! Who is logged in: load, start, renew, end.
//!
//! In cookie mode the session itself is sealed into the cookie and nothing is stored per visitor; only revocations are
//! stored. Everything unreadable is "not logged in", never an error.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};

use crate::identity::Person;
use crate::seal::Sealer;
use crate::store::{self, Store};
use crate::wechat::Scope;

/// How sessions behave.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `__Host-wxgate`, or `wxgate` where `public_url` is loopback http.
    pub cookie: String,
    /// Whether the cookie says `Secure`.
    pub secure: bool,
    /// Bound into every sealed cookie, so that staging's cookie is nothing in production: the public origin.
    pub site: String,
    /// How long a session may stay unused.
    pub idle_timeout: Duration,
    /// How long a session may live at all.
    pub max_lifetime: Duration,
}

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
}

/// Ways to have logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Web authorization of a service account, inside WeChat.
    ServiceAccount,
}

impl Method {
    /// The word for `amr`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "wechat_mp",
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
}

/// A started, renewed or ended session as a `Set-Cookie` value.
pub type SetCookie = HeaderValue;

/// All sessions.
#[derive(Debug)]
pub struct Sessions {}

impl Sessions {
    /// With these parts.
    pub fn new(_settings: Settings, _sealer: Arc<Sealer>, _store: Store) -> Self {
        todo!()
    }

    /// The raw value of our cookie among a request's cookies: the first one; `None` when there is none.
    pub fn cookie_value<'h>(&self, _headers: &'h HeaderMap) -> Option<&'h str> {
        todo!()
    }

    /// Removes our cookies (and the attempts cookie) from what goes upstream; other cookies stay byte for byte.
    pub fn cut_cookies(&self, _headers: &mut HeaderMap) {
        todo!()
    }

    /// The session in a cookie value, if it is ours, unexpired and not revoked. Only the store's failure is an error.
    #[expect(clippy::unused_async, reason = "written below the interface")]
    pub async fn load(
        &self,
        _value: &str,
        _now: SystemTime,
    ) -> Result<Option<Session>, store::Error> {
        todo!()
    }

    /// Changes whenever any session on this node was revoked: whoever kept a loaded session must load it again.
    pub fn revocations(&self) -> u64 {
        todo!()
    }

    /// When the session ends if nobody uses it, never later than its absolute end.
    pub fn expires_at(&self, _session: &Session) -> SystemTime {
        todo!()
    }

    /// A new session. What does not fit into 4 KiB of cookie is left out, avatar first.
    pub fn start(&self, _new: NewSession, _now: SystemTime) -> (Session, SetCookie) {
        todo!()
    }

    /// The cookie with the idle time begun anew, when the last writing is a minute or more ago.
    pub fn renew(&self, _session: &Session, _now: SystemTime) -> Option<SetCookie> {
        todo!()
    }

    /// Ends one session. When this returns `Ok`, no restart brings it back.
    #[expect(clippy::unused_async, reason = "written below the interface")]
    pub async fn revoke(&self, _session: &Session, _now: SystemTime) -> Result<(), store::Error> {
        todo!()
    }

    /// Ends every session of the person that began before now.
    #[expect(clippy::unused_async, reason = "written below the interface")]
    pub async fn revoke_person(
        &self,
        _person: &Person,
        _now: SystemTime,
    ) -> Result<(), store::Error> {
        todo!()
    }

    /// A `Set-Cookie` that removes the cookie from the browser.
    pub fn removal(&self) -> SetCookie {
        todo!()
    }
}
