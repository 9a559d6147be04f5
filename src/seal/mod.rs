//! Authenticated encryption with a key ring.
//!
//! A sealed text opens only with a key of the ring, for the same purpose and the same context (cookie name, site). Keys are
//! derived from ring secrets once, when the ring is made, never per value.
//!
//! The cipher is AES-256-GCM with a random nonce of 96 bits per text. By NIST SP 800-38D one key may seal 2^32 texts that
//! way before two nonces are too likely to be the same. Each purpose has its own key and a secret is replaced by time:
//! with 30 days that leaves 1,600 texts per second without a pause. Sessions are sealed at login and then at most once a
//! minute, so a hundred thousand visitors who are all active at once stay within it.

use std::iter;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use aws_lc_rs::rand;

use crate::secret::Secret;

mod file;
mod proof;
mod ring;
#[cfg(test)]
mod tests;

pub use proof::{is_proof, proof};

use ring::{Ring, RingSecret};

/// The shortest secret that an operator may give.
const SHORTEST_GIVEN: usize = 32;
/// The longest text worth opening; nothing we seal comes near it.
const LONGEST_SEALED: usize = 16 << 10;

/// Where the ring's secrets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The list of given keys is empty.
    #[error("no key was given")]
    NoKeys,
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
    /// A session as a bearer token.
    Token,
    /// What the store keeps of people.
    Record,
    /// An app's token or ticket of WeChat's, in the store.
    AppToken,
}

/// The ring: seals with the current key, opens with any. Neither waits for a rotation.
#[derive(Debug)]
pub struct Sealer {
    ring: ArcSwap<Ring>,
    /// `None` where secrets are never replaced.
    rotation: Option<Rotation>,
}

/// How secrets are replaced.
#[derive(Debug)]
struct Rotation {
    file: PathBuf,
    rotate_every: Duration,
    keep: Duration,
    /// One rotation at a time.
    lock: Mutex<()>,
}

impl Sealer {
    /// Reads or makes the keys. Blocking file access.
    pub fn open_ring(source: KeySource, now: SystemTime) -> Result<Self, Error> {
        match source {
            KeySource::Ephemeral => Ok(Self::fixed(vec![RingSecret::random(now)?])),
            KeySource::Given(secrets) => Ok(Self::fixed(given(&secrets)?)),
            KeySource::Automatic {
                file,
                rotate_every,
                keep,
            } => Self::automatic(file, rotate_every, keep, now),
        }
    }

    /// Seals bytes into text of `[A-Za-z0-9_-]`. `context` is bound in and must be the same when opening.
    ///
    /// The text is 4/3 of 33 bytes plus the plain bytes long.
    pub fn seal(&self, purpose: Purpose, context: &str, plain: &[u8]) -> String {
        self.ring.load().seal(purpose, context, plain)
    }

    /// Opens what [`seal`](Self::seal) made; `None` for everything else, in the same time whatever is wrong.
    pub fn open(&self, purpose: Purpose, context: &str, sealed: &str) -> Option<Vec<u8>> {
        if sealed.len() > LONGEST_SEALED {
            return None;
        }
        self.ring.load().open(purpose, context, sealed)
    }

    /// Makes a new current key when it is time, and forgets keys that nothing can need. Blocking file access. Says whether the
    /// ring changed. A failure keeps the ring as it was.
    pub fn rotate(&self, now: SystemTime) -> Result<bool, Error> {
        let Some(rotation) = &self.rotation else {
            return Ok(false);
        };
        let _one_at_a_time = rotation.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = self.ring.load_full();
        let Some(secrets) = rotation.next(ring.secrets(), now)? else {
            return Ok(false);
        };
        file::write(&rotation.file, &secrets)?;
        self.ring.store(Ring::new(secrets).into());
        Ok(true)
    }

    fn fixed(secrets: Vec<RingSecret>) -> Self {
        Self {
            ring: ArcSwap::from_pointee(Ring::new(secrets)),
            rotation: None,
        }
    }

    fn automatic(
        file: PathBuf,
        rotate_every: Duration,
        keep: Duration,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let secrets = match file::read(&file)? {
            Some(secrets) => secrets,
            None => {
                let secrets = vec![RingSecret::random(now)?];
                file::write(&file, &secrets)?;
                secrets
            }
        };
        let sealer = Self {
            ring: ArcSwap::from_pointee(Ring::new(secrets)),
            rotation: Some(Rotation {
                file,
                rotate_every,
                keep,
                lock: Mutex::new(()),
            }),
        };
        sealer.rotate(now)?;
        Ok(sealer)
    }
}

impl Rotation {
    /// The secrets from now on, newest first; `None` where nothing changes.
    fn next(
        &self,
        secrets: &[RingSecret],
        now: SystemTime,
    ) -> Result<Option<Vec<RingSecret>>, Error> {
        let mut next = secrets.to_vec();
        let is_due = |secret: &RingSecret| has_passed(secret.created_at, self.rotate_every, now);
        if next.first().is_none_or(is_due) {
            next.insert(0, RingSecret::random(now)?);
        }
        // A secret retires when the one before it in the list is made.
        let retirements = iter::once(None).chain(next.iter().map(|secret| Some(secret.created_at)));
        let is_needed = |retired_at: Option<SystemTime>| {
            retired_at.is_none_or(|retired_at| !has_passed(retired_at, self.keep, now))
        };
        let next: Vec<RingSecret> = next
            .iter()
            .zip(retirements)
            .filter(|(_, retired_at)| is_needed(*retired_at))
            .map(|(secret, _)| secret.clone())
            .collect();
        Ok((next != secrets).then_some(next))
    }
}

/// Random text of `length` characters `[A-Za-z0-9]`, from the operating system; unbiased.
#[expect(
    clippy::expect_used,
    reason = "the library's generator fails only where the process cannot go on safely"
)]
pub fn random_text(length: usize) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    /// Bytes from here on would make the first letters more likely.
    const FIRST_UNFAIR: u8 = 248;
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 64];
    while text.len() < length {
        rand::fill(&mut bytes).expect("the system gives random bytes");
        let fair = bytes.iter().filter(|byte| **byte < FIRST_UNFAIR);
        let letters = fair.map(|byte| char::from(LETTERS[usize::from(byte % 62)]));
        text.extend(letters.take(length - text.len()));
    }
    text
}

/// The operator's secrets; the first one seals.
fn given(secrets: &[Secret<String>]) -> Result<Vec<RingSecret>, Error> {
    if secrets.is_empty() {
        return Err(Error::NoKeys);
    }
    let mut ring = Vec::with_capacity(secrets.len());
    for (place, secret) in secrets.iter().enumerate() {
        let bytes = secret.reveal().as_bytes();
        if bytes.len() < SHORTEST_GIVEN {
            return Err(Error::TooShort {
                position: place + 1,
                length: bytes.len(),
            });
        }
        ring.push(RingSecret {
            bytes: Secret::new(bytes.to_vec()),
            created_at: SystemTime::UNIX_EPOCH,
        });
    }
    Ok(ring)
}

/// Whether `span` lies between `since` and `now`; never where the clock was set back.
fn has_passed(since: SystemTime, span: Duration, now: SystemTime) -> bool {
    now.duration_since(since).is_ok_and(|passed| passed >= span)
}
