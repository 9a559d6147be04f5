//! Whether new requests should come here.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::store::{self, Store};

/// How long the store may take to say that it is well; after that it counts as away.
pub const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// What readiness depends on. One for the life of the process; a reload changes nothing in it.
///
/// It never depends on WeChat or on upstreams: their failure would take every node out at once, and with it the visitors who
/// need neither.
#[derive(Debug, Default)]
pub struct Readiness {
    started: AtomicBool,
    draining: AtomicBool,
    store: OnceLock<Store>,
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// `started`, `draining` or `store`.
    pub name: &'static str,
    /// How it went.
    pub state: State,
}

/// How a check went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// All is well.
    Ok,
    /// It is not, for this reason; may name the store's file or server.
    Failed(String),
}

impl Readiness {
    /// Not started, not draining, no store.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on readiness asks this store. The first one stays.
    pub fn watch_store(&self, store: Store) {
        // A second store cannot come: which store it is needs a restart to change.
        let _ = self.store.set(store);
    }

    /// The configuration is loaded and the listeners are up.
    pub fn set_started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// No new requests, please; there is no way back.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether [`set_draining`](Self::set_draining) was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// The check of `/startupz`.
    pub fn started(&self) -> Check {
        let started = self.started.load(Ordering::Acquire);
        Check::new("started", started, "the first load is not finished")
    }

    /// Every check of `/readyz`, in a fixed order; waits for the store at most [`STORE_PATIENCE`]. Cancelling loses nothing.
    pub async fn checks(&self) -> Vec<Check> {
        let mut checks = vec![
            self.started(),
            Check::new("draining", !self.is_draining(), "shutting down"),
        ];
        if let Some(store) = self.store.get() {
            checks.push(store_check(store.check()).await);
        }
        checks
    }
}

/// Turns the store's answer, or its silence, into a check.
pub(super) async fn store_check(answer: impl Future<Output = Result<(), store::Error>>) -> Check {
    let state = match tokio::time::timeout(STORE_PATIENCE, answer).await {
        Ok(Ok(())) => State::Ok,
        Ok(Err(error)) => State::Failed(error.to_string()),
        Err(_) => State::Failed("no answer in time".to_owned()),
    };
    Check {
        name: "store",
        state,
    }
}

impl Check {
    fn new(name: &'static str, ok: bool, failure: &'static str) -> Self {
        let state = if ok {
            State::Ok
        } else {
            State::Failed(failure.to_owned())
        };
        Self { name, state }
    }
}

/// `ok    store`, `fail  store: closed`.
impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Ok => write!(formatter, "ok    {}", self.name),
            State::Failed(reason) => write!(formatter, "fail  {}: {reason}", self.name),
        }
    }
}
