//! Timestamps, numbers and addresses as log lines show them.
//!
//! Written digit by digit: the formatting machinery of the standard library would cost more than the rest of the line.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::Offset;

/// RFC 3339, UTC, milliseconds: `2026-11-04T09:16:20.123Z`. Always 24 characters.
pub(super) fn write_timestamp(line: &mut String, time: SystemTime) {
    // Times before year 1 or after year 9999 cannot be written that way; none is ever received.
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let time = Offset::UTC.to_datetime(time);
    let parts = [
        (i64::from(time.year()), 4, '-'),
        (i64::from(time.month()), 2, '-'),
        (i64::from(time.day()), 2, 'T'),
        (i64::from(time.hour()), 2, ':'),
        (i64::from(time.minute()), 2, ':'),
        (i64::from(time.second()), 2, '.'),
        (i64::from(time.millisecond()), 3, 'Z'),
    ];
    for (value, width, end) in parts {
        write_number(line, value.unsigned_abs(), width);
        line.push(end);
    }
}

/// Seconds with six places, like `0.001234`.
pub(super) fn write_seconds(line: &mut String, duration: Duration) {
    write_number(line, duration.as_secs(), 1);
    line.push('.');
    write_number(line, duration.subsec_micros().into(), 6);
}

/// An address; IPv4 ones, which are nearly all, the short way.
pub fn write_address(line: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    line.push('.');
                }
                write_number(line, octet.into(), 1);
            }
        }
        // Writing into a `String` cannot fail.
        IpAddr::V6(address) => {
            let _ = write!(line, "{address}");
        }
    }
}

/// A decimal number with zeros in front up to `width` digits, at most 20.
pub(super) fn write_number(line: &mut String, value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut left = value;
    let mut written = 0;
    for digit in digits.iter_mut().rev() {
        if left == 0 && written >= width {
            break;
        }
        *digit = b'0' + u8::try_from(left % 10).unwrap_or_default();
        left /= 10;
        written += 1;
    }
    let digits = digits.get(digits.len() - written..).unwrap_or_default();
    line.extend(digits.iter().map(|digit| char::from(*digit)));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
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

    #[test]
    fn numbers_and_addresses_read_like_the_standard_ones() {
        for value in [0, 7, 10, 255, 1_000_000, u64::MAX] {
            let mut line = String::new();
            write_number(&mut line, value, 1);
            assert_eq!(line, value.to_string());
        }
        for address in ["127.0.0.1", "255.0.10.9", "::1", "2001:db8::7"] {
            let mut line = String::new();
            write_address(&mut line, address.parse().unwrap());
            assert_eq!(line, address);
        }
    }
}
