//! A line in the classic "combined" format, which log tools for web servers read.
//!
//! Format of Apache's `combined` (<https://httpd.apache.org/docs/2.4/logs.html#combined>): address, `-`, user, time, request
//! line, status, bytes, referrer, browser. Everything else that the other formats tell is missing here.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::tz::Offset;

use super::numbers::{write_address, write_number};
use super::query::Parameters;
use super::{AccessRecord, LONGEST_TARGET, QueryDetail, shorten};

const PARAMETERS: Parameters = Parameters {
    before: "?",
    removed: "[removed]",
    escape: |line, text| escape(line, text.as_bytes()),
};

/// Appends one line. Whatever is not printable ASCII appears as `\xHH`, so a line is ASCII and cannot be broken.
pub(super) fn write(line: &mut Vec<u8>, record: &AccessRecord<'_>, detail: QueryDetail) {
    write_address(line, record.client_ip);
    line.extend_from_slice(b" - ");
    match record.visitor {
        // A masked id has one sign that is not ASCII; here it reads like on paper.
        Some(visitor) => word(line, visitor.user.replace('…', "...").as_bytes()),
        None => line.push(b'-'),
    }
    line.extend_from_slice(b" [");
    let received = Timestamp::try_from(record.received).unwrap_or(Timestamp::UNIX_EPOCH);
    let received = Offset::UTC.to_datetime(received);
    // Writing into a vector cannot fail.
    let _ = write!(line, "{}", received.strftime("%d/%b/%Y:%H:%M:%S +0000"));
    line.extend_from_slice(b"] \"");
    escape(line, record.method.as_bytes());
    line.push(b' ');
    target(line, record.path, record.query, detail);
    line.push(b' ');
    line.extend_from_slice(record.protocol.as_bytes());
    line.extend_from_slice(b"\" ");
    write_number(line, record.status.into());
    line.push(b' ');
    write_number(line, record.bytes_out);
    line.extend_from_slice(b" \"");
    match record.referer {
        Some(referer) => write_referer(line, referer, detail),
        None => line.push(b'-'),
    }
    line.extend_from_slice(b"\" \"");
    let user_agent = record.user_agent.unwrap_or(b"-");
    escape(line, user_agent.get(..LONGEST_TARGET).unwrap_or(user_agent));
    line.extend_from_slice(b"\"\n");
}

/// The referrer; its query is shown like the one of the request, because it may be an address that a login came back to.
fn write_referer(line: &mut Vec<u8>, referer: &[u8], detail: QueryDetail) {
    let text = String::from_utf8_lossy(referer);
    let text = text.split('#').next().unwrap_or_default();
    match text.split_once('?') {
        Some((path, query)) => target(line, path, Some(query), detail),
        None => target(line, text, None, detail),
    }
}

fn target(line: &mut Vec<u8>, path: &str, query: Option<&str>, detail: QueryDetail) {
    escape(line, shorten(path).0.as_bytes());
    if let Some(query) = query.filter(|_| detail != QueryDetail::None) {
        PARAMETERS.write(line, query, detail == QueryDetail::Full);
    }
}

/// A field outside quotation marks, which a blank would end.
fn word(line: &mut Vec<u8>, bytes: &[u8]) {
    for (place, part) in bytes.split(|byte| *byte == b' ').enumerate() {
        if place > 0 {
            line.extend_from_slice(b"\\x20");
        }
        escape(line, part);
    }
}

fn escape(line: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        match byte {
            b'"' | b'\\' | ..=0x1f | 0x7f.. => {
                line.extend_from_slice(b"\\x");
                line.push(DIGITS[usize::from(byte >> 4)]);
                line.push(DIGITS[usize::from(byte & 0xf)]);
            }
            _ => line.push(*byte),
        }
    }
}
