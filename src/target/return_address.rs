//! Where a visitor may be sent after a login.

use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::Target;

/// What a browser escapes by itself before it asks: these and everything outside ASCII.
const ESCAPED_BY_BROWSERS: &AsciiSet = &AsciiSet::EMPTY
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`');

/// Reads a return address like a browser would and keeps it only when it is a path of ours.
///
/// Blanks and control bytes at both ends, tabs and line ends anywhere are removed and `\` counts as `/` before judging, as in
/// <https://url.spec.whatwg.org/#url-parsing>. A path on the same host, or an absolute http or https address on a host for which
/// `is_ours` says yes, is kept as (host if absolute, path and query); the fragment is dropped. Anything else: `None`, among it
/// `//host`, `https:host`, user names, other schemes, and whatever [`Target::parse`] refuses.
///
/// `is_ours` is asked in lower case, with `:port` where the address names one that is not the scheme's own; the host comes back
/// without it. Build the redirect with our own scheme and port, never with the visitor's.
///
/// Our own endpoints are not told apart here: a caller must drop an answer that [`Target::is_below`] the path prefix, or a
/// visitor could be sent to log out or to log in for ever.
pub fn return_address(
    text: &str,
    is_ours: impl Fn(&str) -> bool,
) -> Option<(Option<String>, String)> {
    let text = as_browsers_read(text);
    if text.starts_with('/') {
        return Some((None, path_of_ours(&text)?));
    }
    let (own_port, rest) = after_scheme(&text)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = host_of_ours(authority, own_port, is_ours)?;
    let path = if path.starts_with('/') {
        path_of_ours(path)
    } else {
        path_of_ours(&format!("/{path}"))
    };
    Some((Some(host), path?))
}

/// The text after the steps every browser takes first; the fragment is gone and `\` is `/`, except in the query.
fn as_browsers_read(text: &str) -> String {
    let is_blank = |letter: char| letter <= ' ';
    let without_ends = text.trim_matches(is_blank);
    let line = without_ends.replace(['\t', '\n', '\r'], "");
    let line = line.split('#').next().unwrap_or_default();
    match line.split_once('?') {
        None => line.replace('\\', "/"),
        Some((path, query)) => format!("{}?{query}", path.replace('\\', "/")),
    }
}

/// The scheme's own port and what follows `://`.
fn after_scheme(text: &str) -> Option<(u16, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    if scheme.eq_ignore_ascii_case("https") {
        Some((443, rest))
    } else if scheme.eq_ignore_ascii_case("http") {
        Some((80, rest))
    } else {
        None
    }
}

/// The host in lower case when it is ours.
///
/// Only letters, digits, `-`, `_` and `.` (or an IPv6 address in brackets) pass: browsers decode escapes and fold Unicode in
/// host names, and nothing that needs that is worth the risk.
fn host_of_ours(authority: &str, own_port: u16, is_ours: impl Fn(&str) -> bool) -> Option<String> {
    let (host, port) = split_port(authority)?;
    let host = host.to_ascii_lowercase();
    let port = port.unwrap_or(own_port);
    let ours = if port == own_port {
        is_ours(&host)
    } else {
        is_ours(&format!("{host}:{port}"))
    };
    ours.then_some(host)
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at(end);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_well_formed = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_name),
    };
    if !is_well_formed {
        return None;
    }
    match port.strip_prefix(':') {
        None if port.is_empty() => Some((host, None)),
        None => None,
        Some("") => Some((host, None)),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((host, Some(digits.parse().ok()?)))
        }
        Some(_) => None,
    }
}

/// The canonical path and query, when there is nothing odd about them.
fn path_of_ours(path: &str) -> Option<String> {
    let escaped = utf8_percent_encode(path, ESCAPED_BY_BROWSERS).to_string();
    // `//host` would be another host; `Target` refuses it as an empty segment.
    Some(Target::parse(&escaped).ok()?.as_str().to_owned())
}
