//! A line for machines.

use std::fmt::Write as _;
use std::time::Duration;

use super::numbers::{write_address, write_number, write_seconds, write_timestamp};
use super::query::{is_secret, parameters};
use super::{AccessRecord, QueryDetail, shorten};

/// Appends one JSON object and a line end. Field names are an interface.
pub(super) fn write(line: &mut String, record: &AccessRecord<'_>, detail: QueryDetail) {
    line.push_str("{\"ts\":\"");
    write_timestamp(line, record.received);
    line.push('"');
    word(
        line,
        "level",
        if record.status >= 500 { "warn" } else { "info" },
    );
    word(line, "event", "request");
    text(line, "request_id", record.request_id);
    word(line, "trace_id", record.trace_id.unwrap_or_default());
    word(line, "listener", record.listener);
    line.push_str(",\"client_ip\":\"");
    write_address(line, record.client_ip);
    line.push('"');
    word(line, "client", record.client);
    text(line, "method", record.method);
    word(line, "scheme", record.scheme);
    text(line, "host", record.host);
    path(line, record.path);
    query(line, record.query, detail);
    word(line, "proto", record.protocol);
    text(line, "route", record.route);
    word(line, "auth", record.auth);
    word(line, "decision", record.decision);
    word(line, "reason", record.reason);
    word(line, "app", record.app.unwrap_or_default());
    text(line, "user", record.user.unwrap_or_default());
    word(line, "session", record.session.unwrap_or_default());
    number(line, "status", record.status.into());
    number(line, "bytes_in", record.bytes_in);
    number(line, "bytes_out", record.bytes_out);
    seconds(line, "duration_s", record.duration);
    text(line, "upstream", record.upstream.unwrap_or_default());
    text(
        line,
        "upstream_server",
        record.upstream_server.unwrap_or_default(),
    );
    if let Some(status) = record.upstream_status {
        number(line, "upstream_status", status.into());
    }
    if let Some(duration) = record.upstream_duration {
        seconds(line, "upstream_s", duration);
    }
    if record.replay {
        line.push_str(",\"replay\":true");
    }
    if record.stripped_headers > 0 {
        number(line, "stripped_headers", record.stripped_headers.into());
    }
    line.push_str("}\n");
}

fn path(line: &mut String, path: &str) {
    let (path, is_cut) = shorten(path);
    line.push_str(",\"path\":\"");
    escape(line, path);
    if is_cut {
        line.push('…');
    }
    line.push('"');
}

fn query(line: &mut String, query: Option<&str>, detail: QueryDetail) {
    let Some(query) = query else { return };
    // A cut parameter keeps its beginning: its name still decides whether it is shown.
    let (query, _) = shorten(query);
    match detail {
        QueryDetail::None => {}
        QueryDetail::Keys => {
            line.push_str(",\"query_keys\":[");
            for (place, (name, _)) in parameters(query).enumerate() {
                line.push_str(if place == 0 { "\"" } else { ",\"" });
                escape(line, name);
                line.push('"');
            }
            line.push(']');
        }
        QueryDetail::Full => {
            line.push_str(",\"query\":\"");
            for (place, (name, value)) in parameters(query).enumerate() {
                line.push_str(if place == 0 { "" } else { "&" });
                escape(line, name);
                match value {
                    None => {}
                    Some(_) if is_secret(name) => line.push_str("=[removed]"),
                    Some(value) => {
                        line.push('=');
                        escape(line, value);
                    }
                }
            }
            line.push('"');
        }
    }
}

/// A value of a closed set, or of characters that JSON takes as they are.
fn word(line: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    key(line, name);
    line.push('"');
    line.push_str(value);
    line.push('"');
}

fn text(line: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    key(line, name);
    line.push('"');
    escape(line, value);
    line.push('"');
}

fn number(line: &mut String, name: &str, value: u64) {
    key(line, name);
    write_number(line, value, 1);
}

fn seconds(line: &mut String, name: &str, duration: Duration) {
    key(line, name);
    write_seconds(line, duration);
}

fn key(line: &mut String, name: &str) {
    line.push_str(",\"");
    line.push_str(name);
    line.push_str("\":");
}

/// Appends the inside of a JSON string. Line separators are escaped too: some readers of lines split there.
fn escape(line: &mut String, value: &str) {
    // Looks at every byte without leaving early, which the compiler turns into a few wide instructions.
    let needs_escape = value.bytes().fold(false, |found, byte| {
        found | (byte < 0x20) | (byte == b'"') | (byte == b'\\') | (byte >= 0x7f)
    });
    if !needs_escape {
        return line.push_str(value);
    }
    for letter in value.chars() {
        match letter {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(line, "\\u{:04x}", u32::from(letter));
            }
            _ => line.push(letter),
        }
    }
}
