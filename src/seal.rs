//! Authenticated encryption with a key ring.
//!
//! A sealed text opens only with a key of the ring, for the same purpose and the same context (cookie name, site). Keys are
//! derived from ring secrets once, when the ring is made, never per value.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::secret::Secret;

/// Where the ring's secrets come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Made on first start in this file (mode 0600) and rotated by time.
    Automatic {
        /// The file.
        file: PathBuf,
        /// How long a secret is the current one; the one before stays readable.
        rotate_every: Duration,
        /// How long a retired secret must stay readable: the longest life of what it sealed.
        keep: Duration,
    },
    /// Given by the operator: the first seals, all open. At least 32 bytes each.
    Given(Vec<Secret<String>>),
    /// Random, for this process only (tests, demo).
    Ephemeral,
}

/// Why the ring could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file cannot be read or written. The operator's to fix.
    #[error("key file `{}`", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The key file is not one of ours.
    #[error("key file `{}` is damaged", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
    },
    /// A given key is too short to be one.
    #[error("key {position} has {length} bytes, at least 32 are needed")]
    TooShort {
        /// Counted from 1.
        position: usize,
        /// Bytes it has.
        length: usize,
    },
    /// The system gave no random bytes.
    #[error("no random bytes")]
    Random,
}

/// What a sealed text is for; a text sealed for one purpose never opens for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A session cookie.
    Session,
    /// The cookie that binds login attempts to a browser.
    Attempts,
    /// A token in a form of ours.
    Form,
}

/// The ring: seals with the current key, opens with any.
#[derive(Debug)]
pub struct Sealer {}

impl Sealer {
    /// Reads or makes the keys. Blocking file access.
    pub fn open_ring(_source: KeySource, _now: SystemTime) -> Result<Self, Error> {
        todo!()
    }

    /// Seals bytes into text of `[A-Za-z0-9_-]`. `context` is bound in and must be the same when opening.
    pub fn seal(&self, _purpose: Purpose, _context: &str, _plain: &[u8]) -> String {
        todo!()
    }

    /// Opens what [`seal`](Self::seal) made; `None` for everything else, in the same time whatever is wrong.
    pub fn open(&self, _purpose: Purpose, _context: &str, _sealed: &str) -> Option<Vec<u8>> {
        todo!()
    }

    /// Makes a new current key when it is time, and forgets keys that nothing can need. Blocking file access. Says whether the
    /// ring changed. A failure keeps the ring as it was.
    pub fn rotate(&self, _now: SystemTime) -> Result<bool, Error> {
        todo!()
    }
}

/// Random text of `length` characters `[A-Za-z0-9]`, from the operating system; unbiased.
pub fn random_text(_length: usize) -> String {
    todo!()
}
