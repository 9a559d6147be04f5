//! Timestamps and numbers as log lines show them.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::Offset;

/// RFC 3339, UTC, milliseconds: `2026-11-04T09:16:20.123Z`. Always 24 characters.
pub(super) fn write_timestamp(line: &mut String, time: SystemTime) {
    // Times before year 1 or after year 9999 cannot be written that way; none is ever received.
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let time = Offset::UTC.to_datetime(time);
    let (year, month, day) = (time.year(), time.month(), time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let millisecond = time.millisecond();
    // Writing into a `String` cannot fail.
    let _ = write!(
        line,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z"
    );
}

/// Seconds with six places, like `0.001234`.
pub(super) fn write_seconds(line: &mut String, duration: Duration) {
    let _ = write!(
        line,
        "{}.{:06}",
        duration.as_secs(),
        duration.subsec_micros()
    );
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn timestamps_are_utc_with_milliseconds() {
        for (milliseconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_709_210_096_007, "2024-02-29T12:34:56.007Z"),
        ] {
            let mut line = String::new();
            write_timestamp(&mut line, UNIX_EPOCH + Duration::from_millis(milliseconds));
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn seconds_keep_their_leading_zeros() {
        let mut line = String::new();
        write_seconds(&mut line, Duration::from_micros(12_000_034));
        assert_eq!(line, "12.000034");
    }
}
