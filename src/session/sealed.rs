//! From a session to the text that a client holds, and back.
//!
//! In cookie mode the text is the whole session; in store mode it is only the session's id. Both are sealed for their
//! carrier, so a token is nothing as a cookie and a cookie is nothing as a token.

use std::time::{Duration, SystemTime};

use super::cookie::{self, LONGEST_COOKIE};
use super::record::Record;
use super::time::end;
use super::{Carrier, IssuedToken, Session, Sessions, SetCookie};
use crate::seal::Purpose;
use crate::secret::Secret;

/// How far the clocks of two nodes may be apart.
const LEEWAY: Duration = Duration::from_secs(60);
/// Before the sealed text of a token.
pub(super) const TOKEN_PREFIX: &str = "wxg_";
/// The first byte of a sealed id; a whole session begins with its version, which never gets there.
const REFERENCE: u8 = 0xff;

/// What a client's text says.
#[derive(Debug)]
pub(super) enum Content {
    /// The session itself.
    Whole(Record),
    /// The id of a session in the store.
    Reference(String),
}

/// What a record is worth.
#[derive(Debug)]
pub(super) enum Judged {
    Valid(Session),
    /// Its time is over, for this reason.
    Over(Session, &'static str),
    /// Another node's clock or ours is wrong.
    OfTheFuture,
}

impl Carrier {
    fn purpose(self) -> Purpose {
        match self {
            Self::Cookie => Purpose::Session,
            Self::Token => Purpose::Token,
        }
    }
}

impl Sessions {
    /// What a text says, if we sealed it for this carrier and for this mode.
    pub(super) fn open(&self, carrier: Carrier, text: &str) -> Option<Content> {
        let sealed = match carrier {
            Carrier::Cookie => text,
            Carrier::Token => text.strip_prefix(TOKEN_PREFIX)?,
        };
        let plain = self.sealer.open(carrier.purpose(), &self.context, sealed)?;
        match (plain.split_first()?, &self.kept) {
            ((&REFERENCE, id), Some(_)) => {
                Some(Content::Reference(String::from_utf8(id.to_vec()).ok()?))
            }
            // A session of the other mode is over: nobody could list or limit it.
            ((&REFERENCE, _), None) | ((_, _), Some(_)) => None,
            ((_, _), None) => Some(Content::Whole(Record::decode(&plain)?)),
        }
    }

    /// What a record is worth now.
    pub(super) fn judge(&self, record: Record, now: SystemTime) -> Judged {
        let Record { session, ends_at } = record;
        let latest = end(now, LEEWAY);
        if session.started_at > latest || session.renewed_at > latest {
            Judged::OfTheFuture
        } else if now >= ends_at || now >= self.ends_at(&session) {
            Judged::Over(session, "max_lifetime")
        } else if now >= self.expires_at(&session) {
            Judged::Over(session, "idle")
        } else {
            Judged::Valid(session)
        }
    }

    /// The session's cookie. What does not fit is taken out of the session.
    pub(super) fn cookie(&self, session: &mut Session, now: SystemTime) -> SetCookie {
        loop {
            let text = self.seal(Carrier::Cookie, session);
            let left = self.left(session, now);
            let cookie = cookie::set(&self.settings.cookie, &text, self.settings.secure, left);
            if cookie.len() <= LONGEST_COOKIE || !shorten(session) {
                return cookie;
            }
        }
    }

    /// The session's token. What does not fit is taken out of the session.
    pub(super) fn token(&self, session: &mut Session) -> IssuedToken {
        loop {
            let text = self.seal(Carrier::Token, session);
            if TOKEN_PREFIX.len() + text.len() <= LONGEST_COOKIE || !shorten(session) {
                return IssuedToken {
                    text: Secret::new(format!("{TOKEN_PREFIX}{text}")),
                    expires_at: self.expires_at(session),
                };
            }
        }
    }

    fn seal(&self, carrier: Carrier, session: &Session) -> String {
        let plain = match &self.kept {
            Some(_) => [&[REFERENCE], session.id.as_bytes()].concat(),
            None => self.record(session).encode(),
        };
        self.sealer.seal(carrier.purpose(), &self.context, &plain)
    }

    pub(super) fn record(&self, session: &Session) -> Record {
        Record {
            session: session.clone(),
            ends_at: self.ends_at(session),
        }
    }

    /// How long the session lasts if nobody uses it.
    pub(super) fn left(&self, session: &Session, now: SystemTime) -> Duration {
        let left = self.expires_at(session).duration_since(now);
        left.unwrap_or_default()
    }

    /// When the session ends, however much it is used.
    pub fn ends_at(&self, session: &Session) -> SystemTime {
        end(session.started_at, self.settings.max_lifetime)
    }
}

/// Takes the least useful part out of a session; whether there was one.
fn shorten(session: &mut Session) -> bool {
    let person = &mut session.person;
    match &mut person.profile {
        None => return false,
        Some(profile) if profile.avatar.is_empty() => person.profile = None,
        Some(profile) => profile.avatar.clear(),
    }
    true
}
