//! The key ring: next, active, previous; and the file that keeps it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::clock::{from_unix_seconds, unix_seconds};

use super::jwks::{self, Jwks};
use super::key::{self, Key};
use super::{Algorithm, Error, file};

/// How long a key is published before it signs: twice the 300 s for which applications may keep the key set.
const PUBLISHED_BEFORE: Duration = Duration::from_secs(2 * 300);

/// How long a key stays published after it signed, for applications that keep the key set longer than they should.
const PUBLISHED_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// The keys of one gateway: the active one signs; all are published.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    next: Kept,
    active: Kept,
    previous: Vec<Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    key: Arc<Key>,
    pkcs8: Arc<Pkcs8>,
    /// Since when it is what it is now.
    since: SystemTime,
}

struct Pkcs8(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Pkcs8 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Pkcs8(…)")
    }
}

/// Reads the ring, or makes it; switches to the algorithm that is wanted now.
pub(super) fn open(path: &Path, algorithm: Algorithm, now: SystemTime) -> Result<Ring, Error> {
    if algorithm == Algorithm::Hs256 {
        return Err(Error::NoSecret);
    }
    let bytes = file::read(path).map_err(|source| file_error(path, source))?;
    let stored = match bytes {
        None => None,
        Some(bytes) => Some(parse(&bytes, now).map_err(|problem| Error::Damaged {
            file: path.to_owned(),
            problem,
        })?),
    };
    match stored {
        Some(ring) if ring.is_for(algorithm) => Ok(ring),
        stored => {
            let ring = Ring::begin(algorithm, stored, now)?;
            save(path, &ring)?;
            Ok(ring)
        }
    }
}

/// Writes the ring, mode 0600.
pub(super) fn save(path: &Path, ring: &Ring) -> Result<(), Error> {
    let bytes = Zeroizing::new(serde_json::to_vec_pretty(&ring.to_file()).map_err(Error::Claims)?);
    file::replace(path, &bytes).map_err(|source| file_error(path, source))
}

impl Ring {
    /// A new ring, or after a change of the algorithm one that still publishes what has signed.
    fn begin(algorithm: Algorithm, before: Option<Self>, now: SystemTime) -> Result<Self, Error> {
        let mut previous = Vec::new();
        if let Some(before) = before {
            let retired = Kept {
                since: now,
                ..before.active
            };
            previous.push(retired);
            previous.extend(before.previous);
        }
        Ok(Self {
            next: Kept::make(algorithm, now)?,
            active: Kept::make(algorithm, now)?,
            previous,
        })
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        [&self.active, &self.next].map(|kept| kept.key.algorithm()) == [algorithm, algorithm]
    }

    /// The key that signs.
    pub(super) fn signing_key(&self) -> Arc<Key> {
        Arc::clone(&self.active.key)
    }

    /// The name of the key that signs, and since when it does.
    pub(super) fn signing_since(&self) -> Option<(String, SystemTime)> {
        let kid = self.active.key.kid()?;
        Some((kid.to_owned(), self.active.since))
    }

    /// All public keys, the active one first.
    pub(super) fn publish(&self) -> Jwks {
        let keys = [&self.active, &self.next].into_iter().chain(&self.previous);
        jwks::publish(keys.map(|kept| kept.key.as_ref()))
    }

    /// The ring as it should be now; `None` when it is that already.
    pub(super) fn moved_along(
        &self,
        rotate_every: Duration,
        now: SystemTime,
    ) -> Result<Option<Self>, Error> {
        let is_due = self.active.age(now) >= rotate_every && self.too_early_by(now).is_zero();
        if is_due {
            return self.advanced(now).map(Some);
        }
        let ring = self.without_forgotten(now);
        let has_changed = ring.previous.len() != self.previous.len();
        Ok(has_changed.then_some(ring))
    }

    /// How long applications must still be given to see the next key.
    pub(super) fn too_early_by(&self, now: SystemTime) -> Duration {
        PUBLISHED_BEFORE.saturating_sub(self.next.age(now))
    }

    /// The ring with the next key signing, the active one retired, and another one next.
    pub(super) fn advanced(&self, now: SystemTime) -> Result<Self, Error> {
        let mut ring = self.without_forgotten(now);
        let next = Kept::make(self.active.key.algorithm(), now)?;
        ring.active = Kept {
            since: now,
            ..std::mem::replace(&mut ring.next, next)
        };
        let retired = Kept {
            since: now,
            ..self.active.clone()
        };
        ring.previous.insert(0, retired);
        Ok(ring)
    }

    /// Publishes no key that has signed before.
    pub(super) fn forget_previous(&mut self) {
        self.previous.clear();
    }

    fn without_forgotten(&self, now: SystemTime) -> Self {
        let mut ring = self.clone();
        ring.previous.retain(|kept| kept.age(now) < PUBLISHED_AFTER);
        ring
    }

    fn to_file(&self) -> KeyFile {
        let mut keys = vec![
            self.active.to_file(State::Active),
            self.next.to_file(State::Next),
        ];
        let previous = self.previous.iter();
        keys.extend(previous.map(|kept| kept.to_file(State::Previous)));
        KeyFile { version: 1, keys }
    }
}

impl Kept {
    fn make(algorithm: Algorithm, now: SystemTime) -> Result<Self, Error> {
        let pkcs8 = key::new_pkcs8(algorithm)?;
        let key = key::from_pkcs8(&pkcs8, algorithm).ok_or(Error::Generate)?;
        Ok(Self {
            key: Arc::new(key),
            pkcs8: Arc::new(Pkcs8(pkcs8)),
            since: now,
        })
    }

    /// Nothing while the clock is behind.
    fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.since).unwrap_or_default()
    }

    fn to_file(&self, state: State) -> KeyInFile {
        KeyInFile {
            state,
            algorithm: self.key.algorithm().as_str().to_owned(),
            since: unix_seconds(self.since),
            pkcs8: BASE64URL_NOPAD.encode(&self.pkcs8.0),
        }
    }
}

/// The file's format.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    version: u32,
    keys: Vec<KeyInFile>,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct KeyInFile {
    #[zeroize(skip)]
    state: State,
    algorithm: String,
    /// Unix seconds.
    since: u64,
    /// base64url
    pkcs8: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Next,
    Active,
    Previous,
}

/// The ring in a file, or what is wrong with it.
fn parse(bytes: &[u8], now: SystemTime) -> Result<Ring, &'static str> {
    let file: KeyFile = serde_json::from_slice(bytes).map_err(|_| "not JSON of a key ring")?;
    if file.version != 1 {
        return Err("unknown version");
    }
    let (mut active, mut next, mut previous) = (None, None, Vec::new());
    for stored in &file.keys {
        let kept = parse_key(stored, now)?;
        let slot = match stored.state {
            State::Active => &mut active,
            State::Next => &mut next,
            State::Previous => {
                previous.push(kept);
                continue;
            }
        };
        if slot.replace(kept).is_some() {
            return Err("two active or two next keys");
        }
    }
    Ok(Ring {
        next: next.ok_or("no next key")?,
        active: active.ok_or("no active key")?,
        previous,
    })
}

fn parse_key(stored: &KeyInFile, now: SystemTime) -> Result<Kept, &'static str> {
    let algorithm = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256]
        .into_iter()
        .find(|algorithm| algorithm.as_str() == stored.algorithm)
        .ok_or("unknown algorithm")?;
    let pkcs8 = BASE64URL_NOPAD
        .decode(stored.pkcs8.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| "a key is not base64url")?;
    let key = key::from_pkcs8(&pkcs8, algorithm).ok_or("a key does not fit its algorithm")?;
    Ok(Kept {
        key: Arc::new(key),
        pkcs8: Arc::new(Pkcs8(pkcs8)),
        // Written while the clock was ahead: it would not move for as long as the clock was wrong.
        since: from_unix_seconds(stored.since).min(now),
    })
}

fn file_error(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        file: path.to_owned(),
        source,
    }
}
