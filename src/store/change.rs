//! What each change does to a value; the same for every kind of store.

use crate::observe::StoreOperation;

/// A change of one key. Lifetimes are in milliseconds.
#[derive(Debug)]
pub(super) enum Change {
    /// Writes, whatever is there.
    Put { value: Vec<u8>, lifetime: u64 },
    /// Writes where nothing is.
    PutNew { value: Vec<u8>, lifetime: u64 },
    /// Removes.
    Take,
    /// Adds one to a counter; only a new counter gets a lifetime.
    Increment { lifetime: u64 },
}

/// A value and when it becomes invisible, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Vec<u8>,
    pub(super) expires_at: u64,
}

impl Entry {
    pub(super) fn is_live(&self, now: u64) -> bool {
        now < self.expires_at
    }
}

/// What becomes of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It stays as it is.
    Keep,
    /// It is removed, if it is there.
    Remove,
    /// It becomes this.
    Write(Entry),
}

impl Change {
    /// Its name in metrics.
    pub(super) fn operation(&self) -> StoreOperation {
        match self {
            Self::Put { .. } => StoreOperation::Put,
            Self::PutNew { .. } => StoreOperation::PutNew,
            Self::Take => StoreOperation::Take,
            Self::Increment { .. } => StoreOperation::Increment,
        }
    }

    /// What the key becomes. `live` is what is there and has not expired.
    pub(super) fn apply(self, live: Option<&Entry>, now: u64) -> Next {
        let write = |value, lifetime| {
            let expires_at = now.saturating_add(lifetime);
            Next::Write(Entry { value, expires_at })
        };
        match (self, live) {
            (Self::PutNew { .. }, Some(_)) => Next::Keep,
            (Self::Put { value, lifetime } | Self::PutNew { value, lifetime }, _) => {
                write(value, lifetime)
            }
            (Self::Take, _) => Next::Remove,
            (Self::Increment { lifetime }, None) => write(encode_count(1), lifetime),
            (Self::Increment { .. }, Some(entry)) => Next::Write(Entry {
                value: encode_count(count_after(Some(&entry.value))),
                expires_at: entry.expires_at,
            }),
        }
    }
}

/// The count after one more, where `previous` is the counter's value from before. What is no counter counts as 0.
pub(super) fn count_after(previous: Option<&[u8]>) -> u64 {
    previous
        .and_then(|value| value.try_into().ok())
        .map_or(0, u64::from_be_bytes)
        .saturating_add(1)
}

fn encode_count(count: u64) -> Vec<u8> {
    count.to_be_bytes().to_vec()
}
