//! In this process; forgets with it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Error;
use super::change::{Change, Entry, Next};

/// The most values; beyond that writing fails rather than forgetting a logout or a used code.
const MOST_ENTRIES: usize = 1 << 18;

/// A map under a lock that is held for a few instructions.
pub(super) struct Memory {
    inner: Mutex<Inner>,
    limit: usize,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<String, Entry>,
    /// When each entry expires, soonest first.
    expiries: BTreeSet<(u64, String)>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self::with_limit(MOST_ENTRIES)
    }

    fn with_limit(limit: usize) -> Self {
        Self {
            inner: Mutex::default(),
            limit,
        }
    }

    pub(super) fn get(&self, key: &str, now: u64) -> Option<Vec<u8>> {
        let inner = self.lock();
        let entry = inner.entries.get(key)?;
        entry.is_live(now).then(|| entry.value.clone())
    }

    pub(super) fn keys(&self, prefix: &str, most: usize, now: u64) -> Vec<String> {
        let inner = self.lock();
        let entries = inner.entries.iter();
        entries
            .filter(|(key, entry)| key.starts_with(prefix) && entry.is_live(now))
            .map(|(key, _)| key.clone())
            .take(most)
            .collect()
    }

    pub(super) fn change(
        &self,
        key: &str,
        change: Change,
        now: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut inner = self.lock();
        let live = inner.entries.get(key).filter(|entry| entry.is_live(now));
        let previous = live.map(|entry| entry.value.clone());
        match change.apply(live, now) {
            Next::Keep => {}
            Next::Remove => inner.remove(key),
            Next::Write(entry) => {
                if !inner.entries.contains_key(key) && inner.entries.len() >= self.limit {
                    inner.sweep(now);
                }
                if !inner.entries.contains_key(key) && inner.entries.len() >= self.limit {
                    return Err(Error::Full { limit: self.limit });
                }
                inner.write(key, entry);
            }
        }
        Ok(previous)
    }

    pub(super) fn sweep(&self, now: u64) -> usize {
        self.lock().sweep(now)
    }

    /// Nothing panics while the lock is held.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Values are nobody's business, so `{:?}` shows only how many there may be.
impl fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Memory")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn remove(&mut self, key: &str) {
        if let Some((key, entry)) = self.entries.remove_entry(key) {
            self.expiries.remove(&(entry.expires_at, key));
        }
    }

    fn write(&mut self, key: &str, entry: Entry) {
        self.remove(key);
        self.expiries.insert((entry.expires_at, key.to_owned()));
        self.entries.insert(key.to_owned(), entry);
    }

    fn sweep(&mut self, now: u64) -> usize {
        let mut swept = 0;
        while let Some((expires_at, key)) = self.expiries.pop_first() {
            if expires_at > now {
                self.expiries.insert((expires_at, key));
                break;
            }
            self.entries.remove(&key);
            swept += 1;
        }
        swept
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn put(lifetime: u64) -> Change {
        let value = vec![1];
        Change::Put { value, lifetime }
    }

    #[test]
    fn a_full_store_refuses_new_values_until_others_expire() {
        let memory = Memory::with_limit(2);
        memory.change("a", put(10), 0).unwrap();
        memory.change("b", put(100), 0).unwrap();

        let refused = memory.change("c", put(10), 5);
        assert!(matches!(refused, Err(Error::Full { limit: 2 })));
        memory.change("b", put(100), 5).unwrap();

        memory.change("c", put(10), 10).unwrap();
        assert_eq!(memory.get("a", 10), None);
        assert_eq!(memory.get("b", 10), Some(vec![1]));
    }

    #[test]
    fn the_expiry_index_never_keeps_what_is_gone() {
        let memory = Memory::with_limit(10);
        for lifetime in 1..100 {
            memory.change("a", put(lifetime), 0).unwrap();
        }
        memory.change("b", put(1), 0).unwrap();
        memory.change("b", Change::Take, 0).unwrap();

        let inner = memory.lock();
        assert_eq!(inner.entries.len(), 1);
        assert_eq!(inner.expiries.len(), 1);
    }
}
