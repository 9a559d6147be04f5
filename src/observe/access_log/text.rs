//! A line for people at a terminal.

use std::io::Write as _;

use super::numbers::{write_seconds, write_timestamp};
use super::query::Parameters;
use super::{AccessRecord, QueryDetail, shorten};

const PARAMETERS: Parameters = Parameters {
    before: "?",
    removed: "…",
    escape,
};

/// Appends one line: time, address, request, status, bytes, duration, then what is known about the route and the visitor.
pub(super) fn write(line: &mut Vec<u8>, record: &AccessRecord<'_>, detail: QueryDetail) {
    write_timestamp(line, record.received);
    // Writing into a vector cannot fail.
    let _ = write!(line, " {} ", record.client_ip);
    escape(line, record.method);
    line.push(b' ');
    escape(line, record.scheme);
    line.extend_from_slice(b"://");
    escape(line, record.host);
    let (path, is_cut) = shorten(record.path);
    escape(line, path);
    line.extend_from_slice(if is_cut { "…" } else { "" }.as_bytes());
    if let Some(query) = record.query.filter(|_| detail != QueryDetail::None) {
        PARAMETERS.write(line, query, detail == QueryDetail::Full);
    }
    let _ = write!(line, " {} {}B ", record.status, record.bytes_out);
    write_seconds(line, record.duration);
    line.push(b's');
    let visitor = record.visitor;
    for (name, value) in [
        ("client", record.client),
        ("route", record.route.name()),
        ("decision", record.decision),
        ("reason", record.reason),
        ("app", visitor.map_or("", |visitor| &*visitor.app)),
        ("user", visitor.map_or("", |visitor| &*visitor.user)),
        ("session", visitor.map_or("", |visitor| &*visitor.session)),
        ("upstream", record.upstream_server.unwrap_or_default()),
        ("id", record.request_id),
        ("trace", record.trace_id.unwrap_or_default()),
    ] {
        if !value.is_empty() {
            let _ = write!(line, " {name}=");
            escape(line, value);
        }
    }
    line.push(b'\n');
}

/// Appends text without anything that could move the cursor, change colors or reorder what is shown.
fn escape(line: &mut Vec<u8>, value: &str) {
    for letter in value.chars() {
        let reorders = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || reorders || matches!(letter, '\u{2028}' | '\u{2029}') {
            let _ = write!(line, "{}", letter.escape_unicode());
        } else {
            line.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}
