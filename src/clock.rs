//! The time, or a test's time.
//!
//! Logic takes `now` as an argument. The thin caller that asks for it holds a [`Clock`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Says what time it is; cloning shares the shift of an adjustable clock.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Seconds added to the system's time; `None` in production.
    shift: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { shift: None }
    }

    /// A clock that starts at the system's time and that [`advance`](Self::advance) can move.
    pub fn adjustable() -> Self {
        Self {
            shift: Some(Arc::new(AtomicI64::new(0))),
        }
    }

    /// The current time.
    pub fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        match &self.shift {
            None => now,
            Some(shift) => match shift.load(Ordering::Relaxed) {
                seconds @ 0.. => now + Duration::from_secs(seconds.unsigned_abs()),
                seconds => now - Duration::from_secs(seconds.unsigned_abs()),
            },
        }
    }

    /// Moves an adjustable clock forward by whole seconds; the system's clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let (Some(shift), Ok(seconds)) = (&self.shift, i64::try_from(by.as_secs())) {
            shift.fetch_add(seconds, Ordering::Relaxed);
        }
    }

    /// Moves an adjustable clock back, as an operator does who corrects it.
    pub fn turn_back(&self, by: Duration) {
        if let (Some(shift), Ok(seconds)) = (&self.shift, i64::try_from(by.as_secs())) {
            shift.fetch_sub(seconds, Ordering::Relaxed);
        }
    }
}

/// Whole seconds since 1970; a time before that counts as 0.
pub fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The time that [`unix_seconds`] gave; seconds beyond what the platform can hold count as 1970.
pub fn from_unix_seconds(seconds: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(UNIX_EPOCH)
}

/// Whole milliseconds since 1970; a time before that counts as 0.
pub fn unix_milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time that [`unix_milliseconds`] gave; milliseconds beyond what the platform can hold count as 1970.
pub fn from_unix_milliseconds(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(milliseconds))
        .unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn adjustable_clock_moves_only_when_told() {
        let clock = Clock::adjustable();
        let copy = clock.clone();
        let before = copy.now();

        clock.advance(Duration::from_secs(3600));

        let moved = copy.now().duration_since(before).unwrap();
        assert!(moved >= Duration::from_secs(3600) && moved < Duration::from_secs(3700));
    }

    #[test]
    fn unix_seconds_round_trip() {
        assert_eq!(
            unix_seconds(from_unix_seconds(1_700_000_000)),
            1_700_000_000
        );
    }
}
