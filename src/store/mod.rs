//! Bytes with an expiry date: what more than one request, or more than one life of the process, must remember.
//!
//! Expiry is by wall clock, in milliseconds: an expired value is invisible from that moment on and is removed by a later
//! [`Store::sweep`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::clock::Clock;
use crate::observe::{StoreMetrics, StoreOperation};

mod change;
mod embedded;
mod memory;
#[cfg(test)]
mod tests;

use change::Change;
use embedded::Embedded;
use memory::Memory;

/// Which store, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    /// A file in `state_dir`; survives a restart and a `kill -9`.
    Embedded {
        /// The file.
        file: PathBuf,
    },
    /// In this process; forgets with it.
    Memory,
}

/// Why the store could not answer. Callers fail closed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or written: disk full, wrong owner. The operator's to fix; it is tried again with the
    /// next change.
    #[error("store file `{}`", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What the library said; shared because one commit serves many callers.
        #[source]
        source: Arc<redb::Error>,
    },
    /// Another process has the file open.
    #[error("store file `{}` is in use by another process", file.display())]
    InUse {
        /// Which file.
        file: PathBuf,
    },
    /// The file does not hold what we wrote: restore it, or move it away and lose logouts and used codes.
    #[error("store file `{}` is damaged", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
    },
    /// The memory store holds as many values as it may, and none of them has expired.
    #[error("store is full: {limit} values")]
    Full {
        /// How many it may hold.
        limit: usize,
    },
    /// The task that writes is gone.
    #[error("store is closed")]
    Closed,
}

/// One of the kinds of store. Cloning gives another handle.
///
/// Dropping the last handle of a file waits for the changes under way, then lets go of the file.
#[derive(Clone, Debug)]
pub struct Store {
    kind: Kind,
    clock: Clock,
    metrics: Option<StoreMetrics>,
}

#[derive(Clone, Debug)]
enum Kind {
    Embedded(Arc<Embedded>),
    Memory(Arc<Memory>),
}

impl Store {
    /// Opens it; blocking file access. A missing file is made, readable by its owner only.
    pub fn open(settings: &Settings, clock: Clock) -> Result<Self, Error> {
        let kind = match settings {
            Settings::Embedded { file } => Kind::Embedded(Arc::new(Embedded::open(file)?)),
            Settings::Memory => Kind::Memory(Arc::new(Memory::new())),
        };
        Ok(Self {
            kind,
            clock,
            metrics: None,
        })
    }

    /// The same store, which counts what is asked of it.
    pub fn counted(self, metrics: StoreMetrics) -> Self {
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// The value, unless it expired.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let now = milliseconds(self.clock.now());
        let get = async {
            match &self.kind {
                Kind::Embedded(embedded) => embedded.get(key, now),
                Kind::Memory(memory) => Ok(memory.get(key, now)),
            }
        };
        self.count(StoreOperation::Get, get).await
    }

    /// Writes and waits until it is safe on disk. Dropping the future does not undo it.
    pub async fn put(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<(), Error> {
        let value = value.to_vec();
        let lifetime = lifetime_milliseconds(lifetime);
        self.change(key, Change::Put { value, lifetime }).await?;
        Ok(())
    }

    /// Writes unless there is a value; says whether it wrote. Of many at once exactly one wins. Dropping the future does
    /// not undo it.
    pub async fn put_new(
        &self,
        key: &str,
        value: &[u8],
        lifetime: Duration,
    ) -> Result<bool, Error> {
        let value = value.to_vec();
        let lifetime = lifetime_milliseconds(lifetime);
        let previous = self.change(key, Change::PutNew { value, lifetime }).await?;
        Ok(previous.is_none())
    }

    /// Reads and removes. Of many at once exactly one gets it. Dropping the future may lose the value.
    pub async fn take(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.change(key, Change::Take).await
    }

    /// Adds one to a counter that begins at 0 and expires `lifetime` after it began; the new count. Dropping the future
    /// does not undo it.
    pub async fn increment(&self, key: &str, lifetime: Duration) -> Result<u64, Error> {
        let lifetime = lifetime_milliseconds(lifetime);
        let previous = self.change(key, Change::Increment { lifetime }).await?;
        Ok(change::count_after(previous.as_deref()))
    }

    /// Keys that begin with `prefix`, at most so many, in no order; some of them may have just expired. For people who look, not
    /// for requests: it may read everything.
    #[expect(
        clippy::unused_async,
        reason = "a store on the network waits here; both kinds of today answer at once"
    )]
    pub async fn keys(&self, prefix: &str, most: usize) -> Result<Vec<String>, Error> {
        let now = milliseconds(self.clock.now());
        match &self.kind {
            Kind::Embedded(embedded) => embedded.keys(prefix, most, now),
            Kind::Memory(memory) => Ok(memory.keys(prefix, most, now)),
        }
    }

    /// Removes what expired before `now`; how much it was. To be called now and then; nothing depends on when.
    pub async fn sweep(&self, now: SystemTime) -> Result<usize, Error> {
        let now = milliseconds(now);
        let sweep = async {
            match &self.kind {
                Kind::Embedded(embedded) => embedded.sweep(now).await,
                Kind::Memory(memory) => Ok(memory.sweep(now)),
            }
        };
        self.count(StoreOperation::Sweep, sweep).await
    }

    /// Whether it can answer now; for readiness. After a failed write it tries to write.
    pub async fn check(&self) -> Result<(), Error> {
        let check = async {
            match &self.kind {
                Kind::Embedded(embedded) => embedded.check(milliseconds(self.clock.now())).await,
                Kind::Memory(_) => Ok(()),
            }
        };
        self.count(StoreOperation::Check, check).await
    }

    /// Makes one change; the unexpired value from before.
    async fn change(&self, key: &str, change: Change) -> Result<Option<Vec<u8>>, Error> {
        let now = milliseconds(self.clock.now());
        let operation = change.operation();
        let change = async {
            match &self.kind {
                Kind::Embedded(embedded) => embedded.change(key, change, now).await,
                Kind::Memory(memory) => memory.change(key, change, now),
            }
        };
        self.count(operation, change).await
    }

    async fn count<T>(
        &self,
        operation: StoreOperation,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Some(metrics) = &self.metrics else {
            return work.await;
        };
        let began = Instant::now();
        let result = work.await;
        metrics.operation(operation, result.is_ok(), began.elapsed());
        result
    }
}

/// Since 1970; a time before that counts as 0.
fn milliseconds(time: SystemTime) -> u64 {
    lifetime_milliseconds(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn lifetime_milliseconds(lifetime: Duration) -> u64 {
    u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)
}
