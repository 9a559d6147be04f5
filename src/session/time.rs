//! A clock that does not go back, and ends of spans.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::unix_milliseconds;

/// Remembers the latest time it was shown, so that a clock set back brings nothing back that was over.
#[derive(Debug, Default)]
pub(super) struct SteadyTime {
    /// Milliseconds since 1970.
    latest: AtomicU64,
}

impl SteadyTime {
    /// `now`, or the latest time seen where that is a little later. A clock set back by more than `most_ahead` was wrong
    /// before, and its time is forgotten.
    pub(super) fn at(&self, now: SystemTime, most_ahead: Duration) -> SystemTime {
        let shown = unix_milliseconds(now);
        let latest = self.latest.load(Ordering::Relaxed);
        if shown == latest {
            return now;
        }
        let latest_time = UNIX_EPOCH + Duration::from_millis(latest);
        if shown < latest
            && latest_time
                .duration_since(now)
                .is_ok_and(|ahead| ahead <= most_ahead)
        {
            return latest_time;
        }
        // Of two threads that write at once the later time may lose; the next request repairs that.
        self.latest.store(shown, Ordering::Relaxed);
        now
    }
}

/// The end of a span; one too long for the platform's time lasts a century.
pub(super) fn end(since: SystemTime, span: Duration) -> SystemTime {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    since.checked_add(span).unwrap_or_else(|| since + CENTURY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_until_a_clock_set_back_has_caught_up() {
        let time = SteadyTime::default();
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);

        for (shown, counts) in [
            (1000, 1000),
            (999, 1000),
            (900, 1000),
            (1001, 1001),
            // Too far: the clock had been wrong.
            (900, 900),
            (800, 900),
            (950, 950),
        ] {
            assert_eq!(
                time.at(at(shown), Duration::from_secs(100)),
                at(counts),
                "{shown}"
            );
        }
    }
}
