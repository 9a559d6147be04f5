//! Sessions begin and go on: what clients get to show for them.

use std::time::{Duration, SystemTime};

use super::kept::KeptSession;
use super::record::round;
use super::{Carrier, IssuedToken, NewSession, Session, Sessions, SetCookie};
use crate::seal::random_text;
use crate::store;

/// Letters of a session id: 131 bits.
const ID_LENGTH: usize = 22;
/// A cookie is written again when the last writing is that long ago.
const RENEW_AFTER: Duration = Duration::from_secs(60);

impl Sessions {
    /// A new session for a browser. What does not fit into 4 KiB of cookie is left out, avatar first.
    pub async fn start(
        &self,
        new: NewSession,
        now: SystemTime,
    ) -> Result<(Session, SetCookie), store::Error> {
        self.start_from(new, now, now).await
    }

    /// The same for a login that WeChat told us of at `at`, a while ago: the session begins there, so that whatever has ended the
    /// person's sessions since then ends this one too.
    pub async fn start_from(
        &self,
        new: NewSession,
        at: SystemTime,
        now: SystemTime,
    ) -> Result<(Session, SetCookie), store::Error> {
        let began = match now.duration_since(at) {
            Ok(age) => self.now(now).checked_sub(age).unwrap_or(at),
            // The clock was set back in between.
            Err(_) => at,
        };
        let now = round(self.now(now));
        let mut session = self
            .begin(new, Carrier::Cookie, (round(began), now))
            .await?;
        let cookie = self.cookie(&mut session, now);
        Ok((session, cookie))
    }

    /// A new session for a client without cookies.
    pub async fn start_token(
        &self,
        new: NewSession,
        now: SystemTime,
    ) -> Result<(Session, IssuedToken), store::Error> {
        let now = round(self.now(now));
        let mut session = self.begin(new, Carrier::Token, (now, now)).await?;
        let token = self.token(&mut session);
        Ok((session, token))
    }

    async fn begin(
        &self,
        new: NewSession,
        carrier: Carrier,
        (began, now): (SystemTime, SystemTime),
    ) -> Result<Session, store::Error> {
        let session = Session {
            id: random_text(ID_LENGTH),
            person: new.person,
            scope: new.scope,
            method: new.method,
            started_at: began,
            renewed_at: now,
            carrier,
        };
        if let Some(kept) = &self.kept {
            let record = KeptSession {
                record: self.record(&session),
                refresh_token: new.refresh_token,
            };
            let owner = self.owner(&session.person);
            let left = self.left(&session, now);
            let lifetime = self.settings.max_lifetime;
            for sid in kept.enter(&owner, &record, left, lifetime).await? {
                // Of some the seat was left, but the session was over.
                let was_alive = kept.read(&sid).await?.is_some();
                self.revocations.revoke(&sid).await?;
                if let Some(metrics) = self.metrics.as_ref().filter(|_| was_alive) {
                    metrics.session_ended("evicted");
                }
            }
        }
        Ok(session)
    }

    /// The cookie with the idle time begun anew, when the last writing is a minute or more ago.
    pub async fn renew(
        &self,
        session: &Session,
        now: SystemTime,
    ) -> Result<Option<SetCookie>, store::Error> {
        let now = round(self.now(now));
        let age = now.duration_since(session.renewed_at).unwrap_or_default();
        if age < RENEW_AFTER || now >= self.expires_at(session) {
            return Ok(None);
        }
        let renewed = self.renewed(session, now).await?;
        Ok(renewed.map(|mut renewed| self.cookie(&mut renewed, now)))
    }

    /// A token with the idle time begun anew, or the first one of a browser's session. The tokens before stay good until
    /// their own end. `None` when the session is over.
    pub async fn renew_token(
        &self,
        session: &Session,
        now: SystemTime,
    ) -> Result<Option<IssuedToken>, store::Error> {
        let now = round(self.now(now));
        let renewed = self.renewed(session, now).await?;
        Ok(renewed.map(|mut renewed| self.token(&mut renewed)))
    }

    /// The session of a token as a cookie: the same session, so what ends one ends both. `None` when it is over.
    pub async fn share_with_browser(
        &self,
        session: &Session,
        now: SystemTime,
    ) -> Result<Option<SetCookie>, store::Error> {
        let now = round(self.now(now));
        if now >= self.expires_at(session) || self.is_revoked(session).await? {
            return Ok(None);
        }
        Ok(Some(self.cookie(&mut session.clone(), now)))
    }

    async fn renewed(
        &self,
        session: &Session,
        now: SystemTime,
    ) -> Result<Option<Session>, store::Error> {
        let Some(kept) = &self.kept else {
            return Ok(Some(Session {
                renewed_at: now,
                ..session.clone()
            }));
        };
        // What the store says is newer than what the visitor came with.
        let Some(mut record) = kept.find(&session.id).await? else {
            return Ok(None);
        };
        record.record.session.renewed_at = now;
        let renewed = record.record.session.clone();
        kept.write(&record, self.left(&renewed, now)).await?;
        Ok(Some(renewed))
    }
}
