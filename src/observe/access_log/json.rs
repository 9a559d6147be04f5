//! A line for machines.

use std::fmt::Write as _;
use std::time::Duration;

use super::numbers::{write_address, write_number, write_seconds, write_timestamp};
use super::query::{is_secret, parameters};
use super::{AccessRecord, QueryDetail, shorten};

/// Everything from the end of one value to the beginning of the next: one constant instead of four pieces, because a line has
/// two dozen of them.
macro_rules! text_key {
    ($name:literal) => {
        concat!(",\"", $name, "\":\"")
    };
}

macro_rules! number_key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// Appends one JSON object and a line end. Field names are an interface.
pub(super) fn write(line: &mut String, record: &AccessRecord<'_>, detail: QueryDetail) {
    line.push_str("{\"ts\":\"");
    write_timestamp(line, record.received);
    line.push_str(match record.status {
        500.. => "\",\"level\":\"warn\",\"event\":\"request\"",
        _ => "\",\"level\":\"info\",\"event\":\"request\"",
    });
    visitor(line, record);
    path(line, record.path);
    query(line, record.query, detail);
    word(line, text_key!("proto"), record.protocol);
    text(line, text_key!("route"), record.route);
    word(line, text_key!("auth"), record.auth);
    word(line, text_key!("decision"), record.decision);
    word(line, text_key!("reason"), record.reason);
    word(line, text_key!("app"), record.app.unwrap_or_default());
    text(line, text_key!("user"), record.user.unwrap_or_default());
    let session = record.session.unwrap_or_default();
    word(line, text_key!("session"), session);
    number(line, number_key!("status"), record.status.into());
    number(line, number_key!("bytes_in"), record.bytes_in);
    number(line, number_key!("bytes_out"), record.bytes_out);
    seconds(line, number_key!("duration_s"), record.duration);
    upstream(line, record);
    if record.replay {
        line.push_str(",\"replay\":true");
    }
    if record.stripped_headers > 0 {
        let count = record.stripped_headers.into();
        number(line, number_key!("stripped_headers"), count);
    }
    line.push_str("}\n");
}

/// Who asked for what.
fn visitor(line: &mut String, record: &AccessRecord<'_>) {
    word(line, text_key!("request_id"), record.request_id);
    let trace = record.trace_id.unwrap_or_default();
    word(line, text_key!("trace_id"), trace);
    word(line, text_key!("listener"), record.listener);
    line.push_str(text_key!("client_ip"));
    write_address(line, record.client_ip);
    line.push('"');
    word(line, text_key!("client"), record.client);
    word(line, text_key!("method"), record.method);
    word(line, text_key!("scheme"), record.scheme);
    text(line, text_key!("host"), record.host);
}

fn upstream(line: &mut String, record: &AccessRecord<'_>) {
    let (name, server) = (record.upstream, record.upstream_server);
    text(line, text_key!("upstream"), name.unwrap_or_default());
    let server = server.unwrap_or_default();
    text(line, text_key!("upstream_server"), server);
    if let Some(status) = record.upstream_status {
        number(line, number_key!("upstream_status"), status.into());
    }
    if let Some(duration) = record.upstream_duration {
        seconds(line, number_key!("upstream_s"), duration);
    }
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
fn word(line: &mut String, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    line.push_str(key);
    line.push_str(value);
    line.push('"');
}

fn text(line: &mut String, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    line.push_str(key);
    escape(line, value);
    line.push('"');
}

fn number(line: &mut String, key: &str, value: u64) {
    line.push_str(key);
    write_number(line, value);
}

fn seconds(line: &mut String, key: &str, duration: Duration) {
    line.push_str(key);
    write_seconds(line, duration);
}

/// Whether a byte means itself inside a JSON string, whatever stands beside it.
const STANDS_FOR_ITSELF: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        table[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    table
};

/// Appends the inside of a JSON string. Line separators are escaped too: some readers of lines split there.
fn escape(line: &mut String, value: &str) {
    let is_plain = |byte: u8| STANDS_FOR_ITSELF[usize::from(byte)];
    if value.bytes().all(is_plain) {
        return line.push_str(value);
    }
    let mut rest = value;
    // PERF: what needs no escape is copied in one piece; the masked id in every line has a letter that is looked at closely.
    while let Some(place) = rest.find(needs_escape) {
        line.push_str(&rest[..place]);
        let mut letters = rest[place..].chars();
        if let Some(letter) = letters.next() {
            escape_letter(line, letter);
        }
        rest = letters.as_str();
    }
    line.push_str(rest);
}

fn needs_escape(letter: char) -> bool {
    matches!(
        letter,
        '"' | '\\' | '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}'
    )
}

fn escape_letter(line: &mut String, letter: char) {
    match letter {
        '"' => line.push_str("\\\""),
        '\\' => line.push_str("\\\\"),
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\t' => line.push_str("\\t"),
        _ => {
            let _ = write!(line, "\\u{:04x}", u32::from(letter));
        }
    }
}
