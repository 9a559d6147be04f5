//! Bytes with an expiry date: what more than one request, or more than one life of the process, must remember.

use std::path::PathBuf;
use std::time::Duration;

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
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or written: disk full, wrong owner, another process.
    #[error("store file `{}`", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What the library said.
        #[source]
        source: redb::Error,
    },
    /// The task that writes is gone.
    #[error("store is closed")]
    Closed,
}

/// One of the kinds of store. Cloning gives another handle.
#[derive(Clone, Debug)]
pub enum Store {}

#[expect(clippy::unused_async, reason = "the kinds differ in whether they wait")]
impl Store {
    /// Opens it; blocking file access.
    pub fn open(_settings: &Settings, _clock: crate::clock::Clock) -> Result<Self, Error> {
        todo!()
    }

    /// The value, unless it expired.
    pub async fn get(&self, _key: &str) -> Result<Option<Vec<u8>>, Error> {
        todo!()
    }

    /// Writes and waits until it is safe on disk.
    pub async fn put(&self, _key: &str, _value: &[u8], _lifetime: Duration) -> Result<(), Error> {
        todo!()
    }

    /// Writes unless there is a value; says whether it wrote. Of many at once exactly one wins.
    pub async fn put_new(
        &self,
        _key: &str,
        _value: &[u8],
        _lifetime: Duration,
    ) -> Result<bool, Error> {
        todo!()
    }

    /// Reads and removes. Of many at once exactly one gets it.
    pub async fn take(&self, _key: &str) -> Result<Option<Vec<u8>>, Error> {
        todo!()
    }

    /// Adds one to a counter that begins at 0 and expires `lifetime` after it began; the new count.
    pub async fn increment(&self, _key: &str, _lifetime: Duration) -> Result<u64, Error> {
        todo!()
    }

    /// Whether it can answer now; for readiness.
    pub async fn check(&self) -> Result<(), Error> {
        todo!()
    }
}
