//! Sessions whose record is in the store, for `sessions.mode = "store"`.
//!
//! A record is sealed like a cookie is: whoever reads the store learns no openid, no nickname and no refresh token. Each
//! person has a row of seats; a session takes one, so that there are never more than allowed and all can be listed.

use std::sync::Arc;
use std::time::Duration;

use super::Session;
use super::record::Record;
use super::seats::Seats;
use super::valid::{is_sid, sid_of};
use crate::seal::{Purpose, Sealer};
use crate::secret::Secret;
use crate::store::{self, Store};

/// Before the name of a session in the store.
const PREFIX: &str = "session:";

/// A record, and what only we may know beside it.
#[derive(Debug)]
pub(super) struct KeptSession {
    pub(super) record: Record,
    /// Refreshes the profile.
    pub(super) refresh_token: Option<Secret<String>>,
}

/// Reads and writes records and seats.
#[derive(Debug)]
pub(super) struct Kept {
    store: Store,
    sealer: Arc<Sealer>,
    seats: Seats,
}

impl Kept {
    pub(super) fn new(store: Store, sealer: Arc<Sealer>, most_per_person: u32) -> Self {
        let seats = Seats::new(store.clone(), most_per_person, key);
        Self {
            store,
            sealer,
            seats,
        }
    }

    /// Takes a seat for a new session and writes its record; the names of sessions that lost theirs.
    pub(super) async fn enter(
        &self,
        owner: &str,
        kept: &KeptSession,
        idle: Duration,
        lifetime: Duration,
    ) -> Result<Vec<String>, store::Error> {
        self.write(kept, idle).await?;
        let session = &kept.record.session;
        let seat = (session.sid(), session.started_at);
        self.seats.take(owner, seat, lifetime).await
    }

    /// Writes a record that stays so long.
    pub(super) async fn write(
        &self,
        kept: &KeptSession,
        lifetime: Duration,
    ) -> Result<(), store::Error> {
        let sid = kept.record.session.sid();
        let sealed = self
            .sealer
            .seal(Purpose::Record, &context(&sid), &encode(kept));
        self.store
            .put(&key(&sid), sealed.as_bytes(), lifetime)
            .await
    }

    /// The record of a session id; `None` when it is over or was never there.
    pub(super) async fn find(&self, id: &str) -> Result<Option<KeptSession>, store::Error> {
        let kept = self.read(&sid_of(id)).await?;
        Ok(kept.filter(|kept| kept.record.session.id == id))
    }

    /// The record with this name.
    pub(super) async fn read(&self, sid: &str) -> Result<Option<KeptSession>, store::Error> {
        if !is_sid(sid) {
            return Ok(None);
        }
        let sealed = self.store.get(&key(sid)).await?;
        Ok(sealed.and_then(|sealed| self.open(sid, &sealed)))
    }

    /// Removes a record and its seat. What was revoked stays revoked whether or not this is done.
    pub(super) async fn forget(&self, owner: &str, sid: &str) -> Result<(), store::Error> {
        self.store.take(&key(sid)).await?;
        self.seats.leave(owner, sid).await
    }

    /// Every record of a person, oldest login first.
    pub(super) async fn of_owner(&self, owner: &str) -> Result<Vec<Session>, store::Error> {
        let sids = self.seats.taken(owner).await?;
        self.read_all(sids).await
    }

    /// Some records of anybody, at most so many.
    pub(super) async fn some(&self, most: usize) -> Result<Vec<Session>, store::Error> {
        let keys = self.store.keys(PREFIX, most).await?;
        let sids = keys
            .iter()
            .filter_map(|key| key.strip_prefix(PREFIX))
            .map(str::to_owned)
            .collect();
        self.read_all(sids).await
    }

    /// How many records there are, at most so many.
    pub(super) async fn count(&self, most: usize) -> Result<usize, store::Error> {
        Ok(self.store.keys(PREFIX, most).await?.len())
    }

    async fn read_all(&self, sids: Vec<String>) -> Result<Vec<Session>, store::Error> {
        let mut sessions = Vec::with_capacity(sids.len());
        for sid in sids {
            sessions.extend(self.read(&sid).await?.map(|kept| kept.record.session));
        }
        sessions.sort_by_key(|session: &Session| session.started_at);
        Ok(sessions)
    }

    fn open(&self, sid: &str, sealed: &[u8]) -> Option<KeptSession> {
        let sealed = std::str::from_utf8(sealed).ok()?;
        let bytes = self.sealer.open(Purpose::Record, &context(sid), sealed)?;
        decode(&bytes)
    }
}

fn key(sid: &str) -> String {
    format!("{PREFIX}{sid}")
}

fn context(sid: &str) -> String {
    format!("session {sid}")
}

/// The length of the refresh token in two bytes, the token, the record.
fn encode(kept: &KeptSession) -> Vec<u8> {
    let token = kept.refresh_token.as_ref();
    let token = token.map_or("", |token| token.reveal().as_str());
    // One that is longer than any real one is not kept.
    let (length, token) = match u16::try_from(token.len()) {
        Ok(length) => (length, token),
        Err(_) => (0, ""),
    };
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(token.as_bytes());
    bytes.extend_from_slice(&kept.record.encode());
    bytes
}

fn decode(bytes: &[u8]) -> Option<KeptSession> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (token, record) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let token = std::str::from_utf8(token).ok()?;
    Some(KeptSession {
        record: Record::decode(record)?,
        refresh_token: (!token.is_empty()).then(|| Secret::new(token.to_owned())),
    })
}
