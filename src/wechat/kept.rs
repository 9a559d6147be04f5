//! Values that WeChat gives to an app as a whole: kept in the store for all nodes, and fetched by one of them at a time.
//!
//! They lie in the store sealed, so that a copy of it does not let anybody act as the account.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep};

use super::{Error, Reaction};
use crate::clock::{Clock, from_unix_seconds, unix_seconds};
use crate::seal::{Purpose, Sealer};
use crate::secret::Secret;
use crate::store::Store;

/// How often a fetch of another node is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// So long before its end a value is replaced: WeChat makes a new one five minutes early, and both work until then.
const EARLY: Duration = Duration::from_secs(300);

/// A refusal that only the operator can mend is not asked for again so soon.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// A value that was refused so soon after it was fetched is not fetched again: two systems would take it away from each other
/// until the day's quota is gone.
const TOO_SOON: Duration = Duration::from_secs(30);

/// A value of WeChat's and how long it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) value: Secret<String>,
    /// In whole seconds.
    pub(super) fetched_at: SystemTime,
    /// In whole seconds.
    pub(super) expires_at: SystemTime,
}

impl Kept {
    fn is_fresh(&self, now: SystemTime) -> bool {
        self.expires_at
            .checked_sub(EARLY)
            .is_some_and(|end| now < end)
    }

    /// Whether it was fetched so lately that fetching once more would only do harm.
    pub(super) fn is_too_young_to_replace(&self, now: SystemTime) -> bool {
        now.duration_since(self.fetched_at)
            .is_ok_and(|age| age < TOO_SOON)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let stored = (
            self.value.reveal(),
            unix_seconds(self.fetched_at),
            unix_seconds(self.expires_at),
        );
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (value, fetched, expires): (String, u64, u64) = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            value: Secret::new(value),
            fetched_at: from_unix_seconds(fetched),
            expires_at: from_unix_seconds(expires),
        })
    }
}

/// What somebody who needs a value gets.
#[derive(Debug)]
pub(super) enum Turn {
    /// The value.
    Kept(Kept),
    /// The right to fetch it. Whoever drops it without [`Keeper::finish`] holds up other nodes until the lease ends.
    Yours(Lease),
}

/// The right to fetch one value.
#[derive(Debug)]
pub(super) struct Lease {
    name: String,
    _turn: OwnedMutexGuard<()>,
}

/// A refusal that was met a moment ago.
#[derive(Debug)]
struct Refused {
    at: SystemTime,
    why: Why,
}

#[derive(Clone, Debug)]
enum Why {
    Code(i64, String),
    Address(Option<IpAddr>),
}

impl Why {
    /// Of what only the operator can mend, and of a quota that is used up.
    fn of(error: &Error) -> Option<Self> {
        let is_over_quota = matches!(error.code(), Some(45009 | 45011));
        if error.reaction() != Reaction::Operator && !is_over_quota {
            return None;
        }
        match error {
            Error::Refused { code, reference } => Some(Self::Code(*code, reference.clone())),
            Error::AddressNotListed { address } => Some(Self::Address(*address)),
            _ => None,
        }
    }

    fn again(&self) -> Error {
        match self.clone() {
            Self::Code(code, reference) => Error::Refused { code, reference },
            Self::Address(address) => Error::AddressNotListed { address },
        }
    }
}

/// Keeps the values.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Store,
    sealer: Arc<Sealer>,
    clock: Clock,
    /// The longest that a fetch may take.
    patience: Duration,
    /// One fetch per name in this process; the leases in the store are for the others.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    refused: Mutex<HashMap<String, Refused>>,
}

impl Keeper {
    pub(super) fn new(store: Store, sealer: Arc<Sealer>, clock: Clock, patience: Duration) -> Self {
        Self {
            store,
            sealer,
            clock,
            patience,
            turns: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The value, if it is there and good, and not the unfit one.
    pub(super) async fn get(
        &self,
        name: &str,
        unfit: Option<&Kept>,
    ) -> Result<Option<Kept>, Error> {
        let stored = self.store.get(&key(name)).await.map_err(Error::Store)?;
        let kept = stored
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|sealed| self.sealer.open(Purpose::AppToken, name, &sealed))
            .and_then(|bytes| Kept::from_bytes(&bytes));
        let now = self.now();
        Ok(kept.filter(|kept| kept.is_fresh(now) && Some(kept) != unfit))
    }

    /// Waits for the value, or for the right to fetch it. A refusal of a moment ago comes again without asking.
    pub(super) async fn turn(&self, name: &str, unfit: Option<&Kept>) -> Result<Turn, Error> {
        let turn = self.place(name).lock_owned().await;
        self.recall_refusal(name)?;
        let deadline = Instant::now() + self.patience;
        // Longer than any fetch, so that nobody else can hold the lease that `finish` gives back.
        while !self.lease(name).await? {
            if let Some(kept) = self.get(name, unfit).await? {
                return Ok(Turn::Kept(kept));
            }
            if Instant::now() >= deadline {
                return Err(Error::Timeout(self.patience));
            }
            sleep(LOOK_EVERY).await;
        }
        let lease = Lease {
            name: name.to_owned(),
            _turn: turn,
        };
        // Another node may have fetched it between our last look and the lease.
        match self.get(name, unfit).await {
            Ok(None) => Ok(Turn::Yours(lease)),
            Ok(Some(kept)) => {
                self.give_back(&lease).await;
                Ok(Turn::Kept(kept))
            }
            Err(error) => {
                self.give_back(&lease).await;
                Err(error)
            }
        }
    }

    /// Keeps what was fetched, or remembers why it was not, and lets the next one in.
    pub(super) async fn finish(
        &self,
        lease: Lease,
        fetched: Result<(Secret<String>, Duration), Error>,
    ) -> Result<Kept, Error> {
        let kept = match fetched {
            Ok((value, lifetime)) => self.keep(&lease.name, value, lifetime).await,
            Err(error) => {
                self.note_refusal(&lease.name, &error);
                Err(error)
            }
        };
        self.give_back(&lease).await;
        kept
    }

    async fn keep(
        &self,
        name: &str,
        value: Secret<String>,
        lifetime: Duration,
    ) -> Result<Kept, Error> {
        let now = unix_seconds(self.now());
        let kept = Kept {
            value,
            fetched_at: from_unix_seconds(now),
            expires_at: from_unix_seconds(now.saturating_add(lifetime.as_secs())),
        };
        let sealed = self.sealer.seal(Purpose::AppToken, name, &kept.to_bytes());
        self.store
            .put(&key(name), sealed.as_bytes(), lifetime)
            .await
            .map_err(Error::Store)?;
        Ok(kept)
    }

    async fn lease(&self, name: &str) -> Result<bool, Error> {
        let lifetime = self.patience + self.patience;
        self.store
            .put_new(&lease_key(name), &[], lifetime)
            .await
            .map_err(Error::Store)
    }

    async fn give_back(&self, lease: &Lease) {
        if let Err(error) = self.store.take(&lease_key(&lease.name)).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "lease was not given back; it ends by itself");
        }
    }

    fn place(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(name.to_owned()).or_default())
    }

    /// Remembers a refusal that asking again does not mend.
    pub(super) fn note_refusal(&self, name: &str, error: &Error) {
        if let Some(why) = Why::of(error) {
            let refused = Refused {
                at: self.now(),
                why,
            };
            let mut known = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(name.to_owned(), refused);
        }
    }

    /// The refusal of a moment ago, if there was one.
    pub(super) fn recall_refusal(&self, name: &str) -> Result<(), Error> {
        let now = self.now();
        let is_recent = |refused: &&Refused| {
            now.duration_since(refused.at)
                .is_ok_and(|ago| ago < REFUSED_FOR)
        };
        let known = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(name).filter(is_recent) {
            None => Ok(()),
            Some(refused) => Err(refused.why.again()),
        }
    }
}

fn key(name: &str) -> String {
    format!("wechat:{name}")
}

fn lease_key(name: &str) -> String {
    format!("wechat-lease:{name}")
}
