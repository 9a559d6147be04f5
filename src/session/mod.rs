//! Who is logged in: load, start, renew, end.
//!
//! In cookie mode the session itself is sealed into the cookie and nothing is stored per visitor; only revocations are
//! stored. Everything unreadable is "not logged in", never an error.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderValue};
use tokio::sync::watch;

use crate::identity::Person;
use crate::seal::{Sealer, random_text};
use crate::store::{self, Store};
use crate::wechat::Scope;

mod cookie;
mod record;
mod revocation;
mod sealed;
#[cfg(test)]
mod tests;
mod time;

pub use cookie::ATTEMPTS_COOKIE;

use cookie::CookieNames;
use record::round;
use revocation::Revocations;
use time::{SteadyTime, end};

/// Letters of a session id: 131 bits.
const ID_LENGTH: usize = 22;
/// Hex digits of the name that tokens carry: 128 bits.
const SID_LENGTH: usize = 32;
/// Hex digits of the name that logs carry.
const LOG_NAME_LENGTH: usize = 8;
/// A cookie is written again when the last writing is that long ago.
const RENEW_AFTER: Duration = Duration::from_secs(60);

/// How sessions behave.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Session {
    /// Names the session in tokens: a hash, from which nobody gets the id. 32 hex digits.
    pub fn sid(&self) -> String {
        self.hash(SID_LENGTH)
    }

    /// Names the session in logs: the first 8 digits of [`sid`](Self::sid).
    pub fn log_name(&self) -> String {
        self.hash(LOG_NAME_LENGTH)
    }

    fn hash(&self, length: usize) -> String {
        let hash = digest(&SHA256, self.id.as_bytes());
        let mut name = HEXLOWER.encode(hash.as_ref());
        name.truncate(length);
        name
    }
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
///
/// Times given as `now` may go back a little without bringing anything back: the latest one seen counts, as long as it is
/// not ahead by more than half the idle timeout.
#[derive(Debug)]
pub struct Sessions {
    settings: Settings,
    /// Cookie name and site: what a session is sealed for.
    context: String,
    names: CookieNames,
    sealer: Arc<Sealer>,
    revocations: Arc<Revocations>,
    time: Arc<SteadyTime>,
}

impl Sessions {
    /// With these parts.
    pub fn new(settings: Settings, sealer: Arc<Sealer>, store: Store) -> Self {
        let revocations = Arc::new(Revocations::new(store));
        Self::with(settings, sealer, revocations, Arc::default())
    }

    /// With other settings or keys, for a reload: what either of both revokes, both know at once.
    pub fn reconfigured(&self, settings: Settings, sealer: Arc<Sealer>) -> Self {
        let revocations = Arc::clone(&self.revocations);
        Self::with(settings, sealer, revocations, Arc::clone(&self.time))
    }

    fn with(
        settings: Settings,
        sealer: Arc<Sealer>,
        revocations: Arc<Revocations>,
        time: Arc<SteadyTime>,
    ) -> Self {
        revocations.keep_for(settings.max_lifetime);
        Self {
            // A cookie name holds no line end, so no two pairs give the same context.
            context: format!("{}\n{}", settings.cookie, settings.site),
            names: CookieNames::new(&settings.cookie),
            sealer,
            revocations,
            time,
            settings,
        }
    }

    /// Every cookie name that only we may set.
    pub fn cookie_names(&self) -> impl Iterator<Item = &str> {
        self.names.reserved()
    }

    /// The raw value of our cookie among a request's cookies: the first one; `None` when there is none.
    pub fn cookie_value<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        self.cookie_values(headers).next()
    }

    /// The raw values of cookies with our name, in order, at most three: a sibling site can plant one beside ours. The first
    /// that [`load`](Self::load) knows is the visitor's.
    pub fn cookie_values<'h>(&self, headers: &'h HeaderMap) -> impl Iterator<Item = &'h str> {
        self.names.candidates(headers)
    }

    /// Removes our cookies (and the attempts cookie) from what goes upstream; other cookies stay byte for byte.
    pub fn cut_cookies(&self, headers: &mut HeaderMap) {
        self.names.cut(headers);
    }

    /// The session in a cookie value, if it is ours, unexpired and not revoked. Only the store's failure is an error.
    ///
    /// Whoever keeps the result must have read [`revocations`](Self::revocations) before.
    pub async fn load(
        &self,
        value: &str,
        now: SystemTime,
    ) -> Result<Option<Session>, store::Error> {
        let now = self.now(now);
        let Some(session) = self.open(value, now) else {
            return Ok(None);
        };
        let is_revoked = self.revocations.is_revoked(&session).await?;
        Ok((!is_revoked).then_some(session))
    }

    /// Whether a session that was loaded before has been ended since.
    pub async fn is_revoked(&self, session: &Session) -> Result<bool, store::Error> {
        self.revocations.is_revoked(session).await
    }

    /// Changes whenever any session on this node was revoked: whoever kept a loaded session must load it again.
    pub fn revocations(&self) -> u64 {
        self.revocations.epoch()
    }

    /// Tells of each change of [`revocations`](Self::revocations): for streams that must end with their session.
    pub fn watch_revocations(&self) -> watch::Receiver<u64> {
        self.revocations.watch()
    }

    /// When the session ends if nobody uses it, never later than its absolute end.
    pub fn expires_at(&self, session: &Session) -> SystemTime {
        let idle_end = end(session.renewed_at, self.settings.idle_timeout);
        idle_end.min(self.ends_at(session))
    }

    /// A new session. What does not fit into 4 KiB of cookie is left out, avatar first.
    pub fn start(&self, new: NewSession, now: SystemTime) -> (Session, SetCookie) {
        let now = round(self.now(now));
        let mut session = Session {
            id: random_text(ID_LENGTH),
            person: new.person,
            scope: new.scope,
            method: new.method,
            started_at: now,
            renewed_at: now,
        };
        let cookie = self.cookie(&mut session, now);
        (session, cookie)
    }

    /// The cookie with the idle time begun anew, when the last writing is a minute or more ago.
    pub fn renew(&self, session: &Session, now: SystemTime) -> Option<SetCookie> {
        let now = round(self.now(now));
        let age = now.duration_since(session.renewed_at).unwrap_or_default();
        if age < RENEW_AFTER || now >= self.expires_at(session) {
            return None;
        }
        let mut renewed = Session {
            renewed_at: now,
            ..session.clone()
        };
        Some(self.cookie(&mut renewed, now))
    }

    /// Ends one session. When this returns `Ok`, no restart brings it back.
    pub async fn revoke(&self, session: &Session, now: SystemTime) -> Result<(), store::Error> {
        self.now(now);
        self.revocations.revoke(session).await
    }

    /// Ends every session of the person that began before now.
    pub async fn revoke_person(
        &self,
        person: &Person,
        now: SystemTime,
    ) -> Result<(), store::Error> {
        let now = self.now(now);
        self.revocations.revoke_person(person, now).await
    }

    /// A `Set-Cookie` that removes the cookie from the browser.
    pub fn removal(&self) -> SetCookie {
        cookie::removal(&self.settings.cookie, self.settings.secure)
    }

    fn now(&self, now: SystemTime) -> SystemTime {
        self.time.at(now, self.settings.idle_timeout / 2)
    }
}
