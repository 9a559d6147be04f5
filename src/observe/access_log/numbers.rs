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
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put(&mut text[0..4], time.year().unsigned_abs().into());
    put(&mut text[5..7], time.month().unsigned_abs().into());
    put(&mut text[8..10], time.day().unsigned_abs().into());
    put(&mut text[11..13], time.hour().unsigned_abs().into());
    put(&mut text[14..16], time.minute().unsigned_abs().into());
    put(&mut text[17..19], time.second().unsigned_abs().into());
    let milliseconds = time.millisecond().unsigned_abs();
    put(&mut text[20..23], milliseconds.into());
    push(line, &text);
}

/// Seconds with six places, like `0.001234`.
pub(super) fn write_seconds(line: &mut String, duration: Duration) {
    write_number(line, duration.as_secs());
    let mut text = *b".000000";
    put(&mut text[1..], duration.subsec_micros());
    push(line, &text);
}

/// An address; IPv4 ones, which are nearly all, the short way.
pub fn write_address(line: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let mut text = [b'.'; 15];
            let mut length = 0;
            for octet in address.octets() {
                for divisor in [100, 10, 1] {
                    if octet >= divisor || divisor == 1 {
                        text[length] = digit((octet / divisor % 10).into());
                        length += 1;
                    }
                }
                // Past the dot that is there already.
                length += 1;
            }
            push(line, &text[..length - 1]);
        }
        // Writing into a `String` cannot fail.
        IpAddr::V6(address) => {
            let _ = write!(line, "{address}");
        }
    }
}

/// A decimal number.
pub(super) fn write_number(line: &mut String, value: u64) {
    let mut text = [b'0'; 20];
    let mut left = value;
    let mut begin = text.len();
    for byte in text.iter_mut().rev() {
        *byte = digit(left % 10);
        left /= 10;
        begin -= 1;
        if left == 0 {
            break;
        }
    }
    push(line, text.get(begin..).unwrap_or_default());
}

/// Fills places with the last digits of a number.
fn put(places: &mut [u8], number: u32) {
    let mut left = number;
    for place in places.iter_mut().rev() {
        *place = digit((left % 10).into());
        left /= 10;
    }
}

/// `value` is below 10.
fn digit(value: u64) -> u8 {
    b'0' + value.to_le_bytes()[0]
}

fn push(line: &mut String, digits: &[u8]) {
    // Digits are text.
    line.push_str(std::str::from_utf8(digits).unwrap_or_default());
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
            write_number(&mut line, value);
            assert_eq!(line, value.to_string());
        }
        for address in ["127.0.0.1", "255.0.10.9", "::1", "2001:db8::7"] {
            let mut line = String::new();
            write_address(&mut line, address.parse().unwrap());
            assert_eq!(line, address);
        }
    }
}
