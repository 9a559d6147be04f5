//! What ended before its time.
//!
//! Three kinds of note in the store: one names a session, one says that every session of a person that began up to some
//! moment is over, one that the profile of a person that was fetched up to some moment is void. Neither holds an id of a person or a session as it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Mutex, watch};

use super::{Session, owner};
use crate::clock::unix_milliseconds;
use crate::store::{self, Store};

/// How much longer than a session a note is kept: clocks of nodes differ, and may be set back.
const MARGIN: Duration = Duration::from_secs(86_400);

/// Writes and reads the notes.
#[derive(Debug)]
pub(super) struct Revocations {
    store: Store,
    /// How long a note must be kept, in seconds: only ever longer while the process runs.
    lifetime: AtomicU64,
    /// How many revocations this node has made.
    epoch: AtomicU64,
    /// Told the same number, for whoever waits.
    announced: watch::Sender<u64>,
    /// One change of a person's note at a time, because it reads before it writes.
    person: Mutex<()>,
}

impl Revocations {
    pub(super) fn new(store: Store) -> Self {
        let (announced, _) = watch::channel(0);
        Self {
            store,
            lifetime: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            announced,
            person: Mutex::new(()),
        }
    }

    /// Keeps notes written from now on long enough for sessions of that lifetime, and of all told before.
    pub(super) fn keep_for(&self, max_lifetime: Duration) {
        let lifetime = max_lifetime.saturating_add(MARGIN).as_secs();
        self.lifetime.fetch_max(lifetime, Ordering::Relaxed);
    }

    fn lifetime(&self) -> Duration {
        Duration::from_secs(self.lifetime.load(Ordering::Relaxed))
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.announced.subscribe()
    }

    /// Whether a note ends the session.
    pub(super) async fn is_revoked(&self, session: &Session) -> Result<bool, store::Error> {
        if self
            .store
            .get(&session_key(&session.sid()))
            .await?
            .is_some()
        {
            return Ok(true);
        }
        for name in owner::names(&session.person, true) {
            let not_before = self.store.get(&person_key(&name)).await?;
            if not_before.is_some_and(|note| session.started_at <= read_time(&note)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Ends the session with this name.
    pub(super) async fn revoke(&self, sid: &str) -> Result<(), store::Error> {
        self.store
            .put(&session_key(sid), &[], self.lifetime())
            .await?;
        self.announce();
        Ok(())
    }

    /// Ends every session of a person that began up to now.
    pub(super) async fn revoke_person(
        &self,
        names: &[String],
        now: SystemTime,
    ) -> Result<(), store::Error> {
        let _one_at_a_time = self.person.lock().await;
        for name in names {
            self.note(&person_key(name), now).await?;
        }
        self.announce();
        Ok(())
    }

    /// Voids the profile of a person that was fetched up to now.
    pub(super) async fn forget_profile(
        &self,
        name: &str,
        now: SystemTime,
    ) -> Result<(), store::Error> {
        let _one_at_a_time = self.person.lock().await;
        self.note(&profile_key(name), now).await?;
        self.announce();
        Ok(())
    }

    /// Whether a note voids the profile of the session.
    pub(super) async fn is_profile_void(&self, session: &Session) -> Result<bool, store::Error> {
        let Some(profile) = &session.person.profile else {
            return Ok(false);
        };
        let person = &session.person;
        let name = owner::by_openid(person.app_id.as_str(), person.openid.as_str());
        let note = self.store.get(&profile_key(&name)).await?;
        Ok(note.is_some_and(|note| profile.fetched_at <= read_time(&note)))
    }

    /// A note never moves back: that would bring back what had ended.
    async fn note(&self, key: &str, now: SystemTime) -> Result<(), store::Error> {
        let earlier = self.store.get(key).await?;
        let earlier = earlier.map_or(UNIX_EPOCH, |note| read_time(&note));
        let note = unix_milliseconds(now.max(earlier)).to_be_bytes();
        self.store.put(key, &note, self.lifetime()).await
    }

    /// Only after the note is safe: whoever sees the new number finds the note.
    pub(super) fn announce(&self) {
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        self.announced.send_replace(epoch);
    }
}

fn session_key(sid: &str) -> String {
    format!("revoked:{sid}")
}

fn person_key(name: &str) -> String {
    format!("before:{name}")
}

fn profile_key(name: &str) -> String {
    format!("no-profile-before:{name}")
}

/// A note that cannot be read ends everything: better one login too many than a logout undone.
fn read_time(note: &[u8]) -> SystemTime {
    let milliseconds = note.try_into().map_or(u64::MAX / 2, u64::from_be_bytes);
    UNIX_EPOCH + Duration::from_millis(milliseconds)
}
