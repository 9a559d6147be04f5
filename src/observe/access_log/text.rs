//! A line for people at a terminal.

use std::fmt::Write as _;

use super::numbers::{write_seconds, write_timestamp};
use super::query::{is_secret, parameters};
use super::{AccessRecord, QueryDetail, shorten};

/// Appends one line: time, address, request, status, bytes, duration, then what is known about the route and the visitor.
pub(super) fn write(line: &mut String, record: &AccessRecord<'_>, detail: QueryDetail) {
    write_timestamp(line, record.received);
    // Writing into a `String` cannot fail.
    let _ = write!(line, " {} ", record.client_ip);
    escape(line, record.method);
    line.push(' ');
    escape(line, record.scheme);
    line.push_str("://");
    escape(line, record.host);
    let (path, is_cut) = shorten(record.path);
    escape(line, path);
    line.push_str(if is_cut { "…" } else { "" });
    query(line, record.query, detail);
    let _ = write!(line, " {} {}B ", record.status, record.bytes_out);
    write_seconds(line, record.duration);
    line.push('s');
    for (name, value) in [
        ("client", record.client),
        ("route", record.route),
        ("decision", record.decision),
        ("reason", record.reason),
        ("app", record.app.unwrap_or_default()),
        ("user", record.user.unwrap_or_default()),
        ("session", record.session.unwrap_or_default()),
        ("upstream", record.upstream_server.unwrap_or_default()),
        ("id", record.request_id),
        ("trace", record.trace_id.unwrap_or_default()),
    ] {
        if !value.is_empty() {
            let _ = write!(line, " {name}=");
            escape(line, value);
        }
    }
    line.push('\n');
}

fn query(line: &mut String, query: Option<&str>, detail: QueryDetail) {
    let Some(query) = query else { return };
    if detail == QueryDetail::None {
        return;
    }
    let (query, _) = shorten(query);
    for (place, (name, value)) in parameters(query).enumerate() {
        line.push(if place == 0 { '?' } else { '&' });
        escape(line, name);
        match value {
            None => {}
            Some(value) if detail == QueryDetail::Full && !is_secret(name) => {
                line.push('=');
                escape(line, value);
            }
            Some(_) => line.push_str("=…"),
        }
    }
}

/// Appends text without anything that could move the cursor, change colors or reorder what is shown.
fn escape(line: &mut String, value: &str) {
    for letter in value.chars() {
        let reorders = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || reorders || matches!(letter, '\u{2028}' | '\u{2029}') {
            let _ = write!(line, "{}", letter.escape_unicode());
        } else {
            line.push(letter);
        }
    }
}
