//! A line for machines.

use std::io::Write as _;
use std::time::Duration;

use super::numbers::{write_address, write_number, write_seconds, write_timestamp};
use super::query::{Parameters, parameters};
use super::{AccessRecord, QueryDetail, shorten};

const PARAMETERS: Parameters = Parameters {
    before: "",
    removed: "[removed]",
    escape,
};

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
pub(super) fn write(line: &mut Vec<u8>, record: &AccessRecord<'_>, detail: QueryDetail) {
    line.extend_from_slice(b"{\"ts\":\"");
    write_timestamp(line, record.received);
    line.extend_from_slice(match record.status {
        500.. => b"\",\"level\":\"warn\",\"event\":\"request\"",
        _ => b"\",\"level\":\"info\",\"event\":\"request\"",
    });
    asked(line, record);
    path(line, record.path);
    query(line, record.query, detail);
    word(line, text_key!("proto"), record.protocol);
    line.extend_from_slice(&record.route.json);
    word(line, text_key!("decision"), record.decision);
    word(line, text_key!("reason"), record.reason);
    if let Some(visitor) = record.visitor {
        line.extend_from_slice(&visitor.json);
    }
    number(line, number_key!("status"), record.status.into());
    number(line, number_key!("bytes_in"), record.bytes_in);
    number(line, number_key!("bytes_out"), record.bytes_out);
    seconds(line, number_key!("duration_s"), record.duration);
    upstream(line, record);
    if record.replay {
        line.extend_from_slice(b",\"replay\":true");
    }
    if record.stripped_headers > 0 {
        let count = record.stripped_headers.into();
        number(line, number_key!("stripped_headers"), count);
    }
    line.extend_from_slice(b"}\n");
}

/// Who asked for what.
fn asked(line: &mut Vec<u8>, record: &AccessRecord<'_>) {
    word(line, text_key!("request_id"), record.request_id);
    let trace = record.trace_id.unwrap_or_default();
    word(line, text_key!("trace_id"), trace);
    word(line, text_key!("listener"), record.listener);
    line.extend_from_slice(text_key!("client_ip").as_bytes());
    write_address(line, record.client_ip);
    line.push(b'"');
    word(line, text_key!("client"), record.client);
    word(line, text_key!("method"), record.method);
    word(line, text_key!("scheme"), record.scheme);
    text(line, text_key!("host"), record.host);
}

fn upstream(line: &mut Vec<u8>, record: &AccessRecord<'_>) {
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

fn path(line: &mut Vec<u8>, path: &str) {
    let (path, is_cut) = shorten(path);
    line.extend_from_slice(b",\"path\":\"");
    escape(line, path);
    if is_cut {
        line.extend_from_slice("…".as_bytes());
    }
    line.push(b'"');
}

fn query(line: &mut Vec<u8>, query: Option<&str>, detail: QueryDetail) {
    let Some(query) = query else { return };
    match detail {
        QueryDetail::None => {}
        QueryDetail::Keys => {
            line.extend_from_slice(b",\"query_keys\":[");
            for (place, (name, _)) in parameters(shorten(query).0).enumerate() {
                line.extend_from_slice(if place == 0 { b"\"" } else { b",\"" });
                escape(line, name);
                line.push(b'"');
            }
            line.push(b']');
        }
        QueryDetail::Full => {
            line.extend_from_slice(b",\"query\":\"");
            PARAMETERS.write(line, query, true);
            line.push(b'"');
        }
    }
}

/// A value of a closed set, or of characters that JSON takes as they are.
fn word(line: &mut Vec<u8>, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    line.extend_from_slice(key.as_bytes());
    line.extend_from_slice(value.as_bytes());
    line.push(b'"');
}

fn text(line: &mut Vec<u8>, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    line.extend_from_slice(key.as_bytes());
    escape(line, value);
    line.push(b'"');
}

fn number(line: &mut Vec<u8>, key: &str, value: u64) {
    line.extend_from_slice(key.as_bytes());
    write_number(line, value);
}

fn seconds(line: &mut Vec<u8>, key: &str, duration: Duration) {
    line.extend_from_slice(key.as_bytes());
    write_seconds(line, duration);
}

/// Appends the inside of a JSON string. Line separators are escaped too: some readers of lines split there.
fn escape(line: &mut Vec<u8>, value: &str) {
    if stands_for_itself(value.as_bytes()) {
        return line.extend_from_slice(value.as_bytes());
    }
    let mut rest = value;
    while let Some(place) = rest.find(needs_escape) {
        line.extend_from_slice(&rest.as_bytes()[..place]);
        let mut letters = rest[place..].chars();
        if let Some(letter) = letters.next() {
            escape_letter(line, letter);
        }
        rest = letters.as_str();
    }
    line.extend_from_slice(rest.as_bytes());
}

/// Whether every byte is one that means itself inside a JSON string, whatever stands beside it: printable ASCII but for quote and
/// backslash. Nearly every value is like that.
///
/// PERF: eight bytes at a time; a byte at a time this was a fifth of the whole line.
fn stands_for_itself(text: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH_BITS: u64 = ONES << 7;
    // Has its high bit set in some byte if one is below `limit`, which is at most 0x80; exact while no byte is above 0x7f
    // (https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord).
    let below = |bytes: u64, limit: u64| bytes.wrapping_sub(ONES * limit) & !bytes;
    let is_plain = |bytes: u64| {
        let quotes = below(bytes ^ (ONES * u64::from(b'"')), 1);
        let backslashes = below(bytes ^ (ONES * u64::from(b'\\')), 1);
        let deletes = below(bytes ^ (ONES * 0x7f), 1);
        (bytes | below(bytes, 0x20) | quotes | backslashes | deletes) & HIGH_BITS == 0
    };
    let (chunks, rest) = text.as_chunks();
    let last = text.last_chunk().copied().unwrap_or_else(|| {
        // A short text is filled up with letters.
        let mut last = *b"aaaaaaaa";
        last[..rest.len()].copy_from_slice(rest);
        last
    });
    // The last eight bytes are looked at once more where they are no chunk of their own.
    chunks
        .iter()
        .chain([&last])
        .all(|chunk| is_plain(u64::from_le_bytes(*chunk)))
}

fn needs_escape(letter: char) -> bool {
    matches!(
        letter,
        '"' | '\\' | '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}'
    )
}

fn escape_letter(line: &mut Vec<u8>, letter: char) {
    match letter {
        '"' => line.extend_from_slice(b"\\\""),
        '\\' => line.extend_from_slice(b"\\\\"),
        '\n' => line.extend_from_slice(b"\\n"),
        '\r' => line.extend_from_slice(b"\\r"),
        '\t' => line.extend_from_slice(b"\\t"),
        _ => {
            let _ = write!(line, "\\u{:04x}", u32::from(letter));
        }
    }
}

/// How a route stands in each of its lines.
pub(super) fn route_fields(name: &str, auth: &str) -> Box<[u8]> {
    let mut fields = Vec::new();
    text(&mut fields, text_key!("route"), name);
    word(&mut fields, text_key!("auth"), auth);
    fields.into()
}

/// How a visitor stands in each line about them.
pub(super) fn visitor_fields(app: &str, user: &str, session: &str) -> Box<[u8]> {
    let mut fields = Vec::new();
    word(&mut fields, text_key!("app"), app);
    text(&mut fields, text_key!("user"), user);
    word(&mut fields, text_key!("session"), session);
    fields.into()
}
