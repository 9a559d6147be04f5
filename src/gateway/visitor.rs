//! Visitors whose cookie was opened before: session, headers and tokens ready to send.
//!
//! Opening a cookie, building headers and signing a token for each request would cost more than forwarding it. So what one
//! cookie (or bearer token) leads to is kept, keyed by its whole value, until anything it depends on changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};
use quick_cache::sync::Cache;

use super::OptionalClaim;
use super::error::Error;
use super::parts::Parts;
use super::recall::{KnownFields, Recognised};
use super::token::Token;
use crate::message::Present;
use crate::observe::LoggedVisitor;
use crate::session::{Carrier, Session};
use crate::wechat::Scope;

/// How many cookies are remembered; the least useful are forgotten first.
const MOST_VISITORS: usize = 64 * 1024;
/// How long one renewed cookie is handed out again.
const RENEWAL_KEPT: Duration = Duration::from_secs(60);

/// Opened cookies.
#[derive(Debug)]
pub(super) struct Visitors {
    known: Cache<Box<str>, Arc<Visitor>>,
    known_fields: KnownFields,
    /// Apart from cookies, so that neither is found in the other's place.
    known_tokens: Cache<Box<str>, Arc<Visitor>>,
    pub(super) jwt_header: HeaderName,
    pub(super) jwt_prefix: String,
    pub(super) claims: Vec<OptionalClaim>,
}

/// One opened cookie and everything made of it.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) session: Session,
    /// Plain identity headers.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// How person and session appear in logs.
    pub(super) logged: LoggedVisitor,
    pub(super) subject: Option<String>,
    /// Subjects from before users were merged.
    pub(super) former_subjects: Vec<String>,
    expires_at: SystemTime,
    /// The revocation count at which the cookie was judged.
    revocations: u64,
    /// One token per audience. Locked for a few lines, by requests of one session only.
    pub(super) tokens: Mutex<Vec<Token>>,
    /// Whether a fresh profile was asked for.
    asked_for_profile: AtomicBool,
    /// The cookie with its idle time begun anew, and when it was made.
    renewal: Mutex<Option<(SystemTime, HeaderValue)>>,
}

impl Visitors {
    pub(super) fn new(
        jwt_header: HeaderName,
        jwt_prefix: String,
        claims: Vec<OptionalClaim>,
    ) -> Self {
        Self {
            known: Cache::new(MOST_VISITORS),
            known_fields: KnownFields::default(),
            known_tokens: Cache::new(MOST_VISITORS),
            jwt_header,
            jwt_prefix,
            claims,
        }
    }

    /// Who sent these headers, of which `present` says what there is; `None` when nobody is logged in.
    pub(super) async fn find(
        &self,
        headers: &HeaderMap,
        present: Present,
        parts: &Parts,
        now: SystemTime,
    ) -> Result<Option<Recognised>, Error> {
        let only_field = match present.cookies {
            0 => return Ok(None),
            1 => headers.get(COOKIE),
            _ => None,
        };
        let revocations = parts.sessions.revocations();
        let known = only_field.and_then(|field| self.known_fields.find(field, revocations, now));
        if known.is_some() {
            return Ok(known);
        }
        let Some(first) = parts.sessions.cookie_value(headers) else {
            return Ok(None);
        };
        match (recall(&self.known, first, revocations, now), only_field) {
            (Some(visitor), Some(field)) => {
                let known = self.known_fields.keep(field, visitor, &parts.sessions);
                Ok(Some(known))
            }
            (Some(visitor), None) => Ok(Some(Recognised::by(visitor))),
            // PERF: boxed, because nearly every request ends above.
            (None, _) => {
                let opened = Box::pin(self.open(headers, parts, now)).await?;
                Ok(opened.map(Recognised::by))
            }
        }
    }

    async fn open(
        &self,
        headers: &HeaderMap,
        parts: &Parts,
        now: SystemTime,
    ) -> Result<Option<Arc<Visitor>>, Error> {
        for value in parts.sessions.cookie_values(headers) {
            let revocations = parts.sessions.revocations();
            if let Some(visitor) = recall(&self.known, value, revocations, now) {
                return Ok(Some(visitor));
            }
            if let Some(session) = parts.sessions.load(value, now).await? {
                let visitor = Visitor::new(session, revocations, parts, now).await?;
                let visitor = Arc::new(visitor);
                self.known.insert(value.into(), Arc::clone(&visitor));
                return Ok(Some(visitor));
            }
        }
        Ok(None)
    }

    /// Who showed this token; `None` when it is none of ours or stale.
    pub(super) async fn find_token(
        &self,
        token: &str,
        parts: &Parts,
        now: SystemTime,
    ) -> Result<Option<Arc<Visitor>>, Error> {
        let revocations = parts.sessions.revocations();
        match recall(&self.known_tokens, token, revocations, now) {
            Some(visitor) => Ok(Some(visitor)),
            None => Box::pin(self.open_token(token, parts, now)).await,
        }
    }

    async fn open_token(
        &self,
        token: &str,
        parts: &Parts,
        now: SystemTime,
    ) -> Result<Option<Arc<Visitor>>, Error> {
        let revocations = parts.sessions.revocations();
        let Some(session) = parts.sessions.load_token(token, now).await? else {
            return Ok(None);
        };
        let visitor = Arc::new(Visitor::new(session, revocations, parts, now).await?);
        self.known_tokens.insert(token.into(), Arc::clone(&visitor));
        Ok(Some(visitor))
    }
}

impl Visitor {
    async fn new(
        session: Session,
        revocations: u64,
        parts: &Parts,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let person = &session.person;
        let scope: Scope = session.scope;
        let name = parts.identity.name(person, now).await?;
        if name.has_changed {
            // Whoever else is known under a name from before is looked up again.
            parts.sessions.look_again();
        }
        let subject = name.subject.as_deref();
        Ok(Self {
            headers: parts.identity.headers(person, scope.as_str(), subject),
            logged: LoggedVisitor::new(
                person.app.as_str(),
                &parts.mask.apply(person.openid.as_str()),
                &session.log_name(),
            ),
            subject: name.subject,
            former_subjects: name.former,
            expires_at: known_until(&session, parts, now),
            revocations,
            tokens: Mutex::default(),
            asked_for_profile: AtomicBool::new(false),
            renewal: Mutex::default(),
            session,
        })
    }

    /// Whether nothing has changed since the visitor's session was judged, by the count of revocations and by time.
    pub(super) fn is_as_judged(&self, revocations: u64, now: SystemTime) -> bool {
        self.revocations == revocations && now < self.expires_at
    }

    /// The cookie with its idle time begun anew, when it is time. Many requests with one old cookie get one new one.
    pub(super) async fn renewed_cookie(
        &self,
        parts: &Parts,
        now: SystemTime,
    ) -> Result<Option<HeaderValue>, Error> {
        if !self.is_renewal_due(now) {
            return Ok(None);
        }
        if let Some(cookie) = self.kept_renewal(now) {
            return Ok(Some(cookie));
        }
        let cookie = parts.sessions.renew(&self.session, now).await?;
        if let Some(cookie) = &cookie {
            let mut renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
            *renewal = Some((now, cookie.clone()));
        }
        Ok(cookie)
    }

    /// Whether the cookie's idle time began long enough ago to begin anew.
    pub(super) fn is_renewal_due(&self, now: SystemTime) -> bool {
        self.session.carrier == Carrier::Cookie
            && now
                .duration_since(self.session.renewed_at)
                .is_ok_and(|age| age >= RENEWAL_KEPT)
    }

    /// Whether somebody should fetch the profile again; says so once.
    pub(super) fn wants_profile(&self, parts: &Parts, now: SystemTime) -> bool {
        parts.sessions.has_stale_profile(&self.session, now)
            && !self.asked_for_profile.swap(true, Ordering::Relaxed)
    }

    fn kept_renewal(&self, now: SystemTime) -> Option<HeaderValue> {
        let renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, cookie) = renewal.as_ref()?;
        let is_new = now
            .duration_since(*made)
            .is_ok_and(|age| age < RENEWAL_KEPT);
        is_new.then(|| cookie.clone())
    }
}

/// How long a visitor may be remembered. What is in the store may change there, so it is looked at again each minute.
fn known_until(session: &Session, parts: &Parts, now: SystemTime) -> SystemTime {
    let expires_at = parts.sessions.expires_at(session);
    if parts.sessions.are_listed() {
        expires_at.min(now + RENEWAL_KEPT)
    } else {
        expires_at
    }
}

/// Whom a text led to before, if nothing has changed since.
fn recall(
    known: &Cache<Box<str>, Arc<Visitor>>,
    text: &str,
    revocations: u64,
    now: SystemTime,
) -> Option<Arc<Visitor>> {
    let visitor = known.get(text)?;
    if visitor.is_as_judged(revocations, now) {
        return Some(visitor);
    }
    known.remove(text);
    None
}
