//! What failed connections say about a server.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// How long a server is skipped after its first failure; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest a server is skipped.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What passive checks remember of a server. Only connecting counts: an application may be slow or broken for one request
/// and well for the next.
#[derive(Debug, Default)]
pub(super) struct Mark {
    failures: AtomicU32,
    /// Milliseconds since the epoch before which it is skipped; 0 means that the last connection worked.
    until: AtomicU64,
    /// When it failed last.
    failed: AtomicU64,
}

impl Mark {
    /// When it failed last, in milliseconds since the epoch.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether a request may try the server. When a pause is over, the first to ask may; the others wait for its outcome, or
    /// for another pause.
    pub(super) fn admits(&self, now: u64) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let next = now + pause(self.failures.load(Ordering::Relaxed));
        until <= now
            && self
                .until
                .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Could not be connected to.
    pub(super) fn fail(&self, now: u64) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        self.failed.store(now, Ordering::Relaxed);
        self.until
            .store(now + pause(failures.saturating_add(1)), Ordering::Relaxed);
    }

    /// Says whether there was a mark.
    pub(super) fn clear(&self) -> bool {
        if self.until.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.failures.store(0, Ordering::Relaxed);
        self.until.store(0, Ordering::Relaxed);
        true
    }
}

/// Milliseconds for which a server is skipped after so many failures in a row.
fn pause(failures: u32) -> u64 {
    // Five doublings reach the longest pause.
    let doublings = failures.saturating_sub(1).min(5);
    millis((FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
