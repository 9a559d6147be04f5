//! Who is logged in: load, start, renew, end.
//!
//! In cookie mode the session itself is sealed into the cookie and nothing is stored per visitor; only revocations are
//! stored. In store mode the cookie names a record in the store. Everything unreadable is "not logged in", never an
//! error; only a store that does not answer is one.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue};
use tokio::sync::watch;

use crate::observe::Metrics;
use crate::seal::Sealer;
use crate::secret::Secret;
use crate::store::{self, Store};

mod cookie;
mod issue;
mod kept;
mod listing;
mod over;
mod owner;
mod profile;
mod record;
mod revocation;
mod sealed;
mod seats;
mod settings;
#[cfg(test)]
mod tests;
mod time;
mod valid;

pub use cookie::{ATTEMPTS_COOKIE, OtherCookies};
pub use settings::{Mode, Settings};
pub use valid::{Carrier, Method, NewSession, Session};

use cookie::CookieNames;
use kept::Kept;
use over::SeenOver;
use revocation::Revocations;
use sealed::{Content, Judged};
use time::{SteadyTime, end};

/// A started, renewed or ended session as a `Set-Cookie` value.
pub type SetCookie = HeaderValue;

/// A session as a bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    /// `wxg_…`
    pub text: Secret<String>,
    /// When it ends, unless it is renewed before.
    pub expires_at: SystemTime,
}

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
    store: Store,
    /// In store mode.
    kept: Option<Kept>,
    time: Arc<SteadyTime>,
    /// Which sessions were counted as over.
    seen_over: Arc<SeenOver>,
    /// Counts sessions that lose their seat or are over.
    metrics: Option<Arc<Metrics>>,
}

impl Sessions {
    /// With these parts.
    pub fn new(settings: Settings, sealer: Arc<Sealer>, store: Store) -> Self {
        let revocations = Arc::new(Revocations::new(store.clone()));
        Self::with(settings, sealer, revocations, store, Arc::default())
    }

    /// The same, counting what it ends by itself.
    pub fn counted(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// With other settings or keys, for a reload: what either of both revokes, both know at once.
    pub fn reconfigured(&self, settings: Settings, sealer: Arc<Sealer>) -> Self {
        let revocations = Arc::clone(&self.revocations);
        let (store, time) = (self.store.clone(), Arc::clone(&self.time));
        let new = Self::with(settings, sealer, revocations, store, time);
        Self {
            metrics: self.metrics.clone(),
            seen_over: Arc::clone(&self.seen_over),
            ..new
        }
    }

    fn with(
        settings: Settings,
        sealer: Arc<Sealer>,
        revocations: Arc<Revocations>,
        store: Store,
        time: Arc<SteadyTime>,
    ) -> Self {
        revocations.keep_for(settings.max_lifetime);
        Self {
            // A cookie name holds no line end, so no two pairs give the same context.
            context: format!("{}\n{}", settings.cookie, settings.site),
            names: CookieNames::new(&settings.cookie),
            kept: match settings.mode {
                Mode::Cookie => None,
                Mode::Store { most_per_person } => Some(Kept::new(
                    store.clone(),
                    Arc::clone(&sealer),
                    most_per_person,
                )),
            },
            sealer,
            store,
            revocations,
            time,
            settings,
            seen_over: Arc::default(),
            metrics: None,
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

    /// What [`cut_cookies`](Self::cut_cookies) leaves of a request's only `Cookie` field.
    pub fn other_cookies(&self, field: &HeaderValue) -> OtherCookies {
        self.names.others(field)
    }

    /// The session in a cookie value, if it is ours, unexpired and not revoked. Only the store's failure is an error.
    ///
    /// Whoever keeps the result must have read [`revocations`](Self::revocations) before.
    pub async fn load(
        &self,
        value: &str,
        now: SystemTime,
    ) -> Result<Option<Session>, store::Error> {
        self.load_from(Carrier::Cookie, value, now).await
    }

    /// The same for a token `wxg_…`.
    pub async fn load_token(
        &self,
        token: &str,
        now: SystemTime,
    ) -> Result<Option<Session>, store::Error> {
        self.load_from(Carrier::Token, token, now).await
    }

    async fn load_from(
        &self,
        carrier: Carrier,
        text: &str,
        now: SystemTime,
    ) -> Result<Option<Session>, store::Error> {
        let now = self.now(now);
        let record = match (self.open(carrier, text), &self.kept) {
            (Some(Content::Whole(record)), _) => Some(record),
            (Some(Content::Reference(id)), Some(kept)) => {
                kept.find(&id).await?.map(|kept| kept.record)
            }
            (Some(Content::Reference(_)) | None, _) => None,
        };
        let mut session = match record.map(|record| self.judge(record, now)) {
            Some(Judged::Valid(session)) => session,
            Some(Judged::Over(session, reason)) => {
                self.count_end(&session, reason).await;
                return Ok(None);
            }
            Some(Judged::OfTheFuture) | None => return Ok(None),
        };
        let is_revoked = self.revocations.is_revoked(&session).await?;
        if self.revocations.is_profile_void(&session).await? {
            session.person.profile = None;
        }
        Ok((!is_revoked).then_some(Session { carrier, ..session }))
    }

    /// Whether a session that was loaded before has been ended since.
    pub async fn is_revoked(&self, session: &Session) -> Result<bool, store::Error> {
        self.revocations.is_revoked(session).await
    }

    /// Changes whenever any session on this node was revoked: whoever kept a loaded session must load it again.
    pub fn revocations(&self) -> u64 {
        self.revocations.epoch()
    }

    /// Makes whoever kept a loaded session load it again.
    pub fn look_again(&self) {
        self.revocations.announce();
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

    /// A `Set-Cookie` that removes the cookie from the browser.
    pub fn removal(&self) -> SetCookie {
        cookie::removal(&self.settings.cookie, self.settings.secure)
    }

    fn now(&self, now: SystemTime) -> SystemTime {
        self.time.at(now, self.settings.idle_timeout / 2)
    }
}
