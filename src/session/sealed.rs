//! From a session to a sealed cookie and back.

use std::time::{Duration, SystemTime};

use super::cookie::{self, LONGEST_COOKIE};
use super::record::Record;
use super::time::end;
use super::{Session, Sessions, SetCookie};
use crate::seal::Purpose;

/// How far the clocks of two nodes may be apart.
const LEEWAY: Duration = Duration::from_secs(60);

impl Sessions {
    /// What the value says, if we sealed it and its time is not over.
    pub(super) fn open(&self, value: &str, now: SystemTime) -> Option<Session> {
        let plain = self.sealer.open(Purpose::Session, &self.context, value)?;
        let Record { session, ends_at } = Record::decode(&plain)?;
        let latest = end(now, LEEWAY);
        let is_of_the_future = session.started_at > latest || session.renewed_at > latest;
        let is_over = now >= ends_at || now >= self.expires_at(&session);
        (!is_of_the_future && !is_over).then_some(session)
    }

    /// The session's cookie. What does not fit is taken out of the session.
    pub(super) fn cookie(&self, session: &mut Session, now: SystemTime) -> SetCookie {
        let cookie = self.cookie_as_it_is(session, now);
        let person = &mut session.person;
        if cookie.len() <= LONGEST_COOKIE {
            return cookie;
        }
        match &mut person.profile {
            None => return cookie,
            Some(profile) if profile.avatar.is_empty() => person.profile = None,
            Some(profile) => profile.avatar.clear(),
        }
        self.cookie(session, now)
    }

    fn cookie_as_it_is(&self, session: &Session, now: SystemTime) -> SetCookie {
        let record = Record {
            session: session.clone(),
            ends_at: self.ends_at(session),
        };
        let value = self
            .sealer
            .seal(Purpose::Session, &self.context, &record.encode());
        let left = self.expires_at(session).duration_since(now);
        cookie::set(
            &self.settings.cookie,
            &value,
            self.settings.secure,
            left.unwrap_or_default(),
        )
    }

    /// The absolute end.
    /// When the session ends, however much it is used.
    pub fn ends_at(&self, session: &Session) -> SystemTime {
        end(session.started_at, self.settings.max_lifetime)
    }
}
