//! Timestamps, numbers and addresses as log lines show them.
//!
//! Written digit by digit: the formatting machinery of the standard library would cost more than the rest of the line.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::Offset;

/// The digits of 0 to 99.
///
/// PERF: a line has some sixty digits; two at a time take half the divisions.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0_u8;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

/// RFC 3339, UTC, milliseconds: `2026-11-04T09:16:20.123Z`. Always 24 characters.
pub(super) fn write_timestamp(line: &mut Vec<u8>, time: SystemTime) {
    // Times before year 1 or after year 9999 cannot be written that way; none is ever received.
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let time = Offset::UTC.to_datetime(time);
    let year: u32 = time.year().unsigned_abs().into();
    let milliseconds: u32 = time.millisecond().unsigned_abs().into();
    let mut text = *b"0000-00-00T00:00:00.000Z";
    text[0..2].copy_from_slice(&pair(year / 100));
    text[2..4].copy_from_slice(&pair(year));
    text[5..7].copy_from_slice(&pair(time.month().unsigned_abs().into()));
    text[8..10].copy_from_slice(&pair(time.day().unsigned_abs().into()));
    text[11..13].copy_from_slice(&pair(time.hour().unsigned_abs().into()));
    text[14..16].copy_from_slice(&pair(time.minute().unsigned_abs().into()));
    text[17..19].copy_from_slice(&pair(time.second().unsigned_abs().into()));
    text[20..22].copy_from_slice(&pair(milliseconds / 10));
    text[22] = digit((milliseconds % 10).into());
    line.extend_from_slice(&text);
}

/// Seconds with six places, like `0.001234`.
pub(super) fn write_seconds(line: &mut Vec<u8>, duration: Duration) {
    write_number(line, duration.as_secs());
    let micros = duration.subsec_micros();
    let [a, b] = pair(micros / 10_000);
    let [c, d] = pair(micros / 100);
    let [e, f] = pair(micros);
    line.extend_from_slice(&[b'.', a, b, c, d, e, f]);
}

/// An address; IPv4 ones, which are nearly all, the short way.
pub fn write_address(line: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let mut text = [b'.'; 15];
            let mut length = 0;
            for octet in address.octets() {
                if octet >= 100 {
                    text[length] = digit((octet / 100).into());
                    length += 1;
                }
                let [tens, ones] = pair(octet.into());
                if octet >= 10 {
                    text[length] = tens;
                    length += 1;
                }
                text[length] = ones;
                // Past the dot that is there already.
                length += 2;
            }
            line.extend_from_slice(&text[..length - 1]);
        }
        // Writing into a vector cannot fail.
        IpAddr::V6(address) => {
            let _ = write!(line, "{address}");
        }
    }
}

/// A decimal number.
pub(super) fn write_number(line: &mut Vec<u8>, value: u64) {
    if value < 10 {
        return line.push(digit(value));
    }
    let mut text = [b'0'; 20];
    let mut left = value;
    let mut begin = text.len();
    while left >= 10 {
        begin -= 2;
        text[begin..begin + 2].copy_from_slice(&PAIRS[(left % 100) as usize]);
        left /= 100;
    }
    if left > 0 {
        begin -= 1;
        text[begin] = digit(left);
    }
    line.extend_from_slice(&text[begin..]);
}

/// The last two digits.
fn pair(number: u32) -> [u8; 2] {
    PAIRS[(number % 100) as usize]
}

/// `value` is below 10.
fn digit(value: u64) -> u8 {
    b'0' + value.to_le_bytes()[0]
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
            let mut line = Vec::new();
            write_timestamp(&mut line, UNIX_EPOCH + Duration::from_millis(milliseconds));
            assert_eq!(line, expected.as_bytes());
        }
    }

    #[test]
    fn seconds_keep_their_leading_zeros() {
        let mut line = Vec::new();
        write_seconds(&mut line, Duration::from_micros(12_000_034));
        assert_eq!(line, b"12.000034");
    }

    #[test]
    fn numbers_and_addresses_read_like_the_standard_ones() {
        for value in [0, 7, 10, 99, 100, 101, 255, 1_000, 1_000_000, u64::MAX] {
            let mut line = Vec::new();
            write_number(&mut line, value);
            assert_eq!(line, value.to_string().as_bytes());
        }
        for address in [
            "127.0.0.1",
            "255.0.10.9",
            "100.101.110.99",
            "::1",
            "2001:db8::7",
        ] {
            let mut line = Vec::new();
            write_address(&mut line, address.parse().unwrap());
            assert_eq!(line, address.as_bytes());
        }
    }
}
