//! The head of a request as a server sees it.
//!
//! The client's map is changed in place: one pass over its names finds everything that must go, then our own fields are set.
//! The order matters: what the client's `Connection` names is removed before anything of ours is added.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, TE, TRAILER, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, request};
use http_body::Body as _;

use super::Additions;
use super::hop::{self, HopByHop};
use super::settings::{HeaderEdits, Origin};
use crate::message::{RequestBody, Scheme};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Fields we set on every request, so that the map grows once.
const OWN_FIELDS: usize = 8;

/// Turns a client's head into what is sent: everything but `Host`, which [`set_host`] knows.
///
/// `tunnel` says that the request asks for a WebSocket and may.
pub(super) fn prepare(
    parts: &mut request::Parts,
    body: &RequestBody,
    tunnel: bool,
    additions: &Additions<'_>,
    edits: &HeaderEdits,
) {
    let visited = visited_host(parts);
    let headers = &mut parts.headers;
    let wants_trailers = hop::has_token(headers, &TE, "trailers");
    let announced = body
        .forwards_trailers()
        .then(|| headers.get(&TRAILER).cloned())
        .flatten();
    remove_what_ends_here(headers, additions.origin.trusted_peer.is_some());

    headers.reserve(OWN_FIELDS + additions.headers.len());
    set_framing(headers, &parts.method, body);
    if tunnel {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(http::header::UPGRADE, HeaderValue::from_static("websocket"));
    } else if wants_trailers {
        // RFC 9110, section 10.1.4: `TE` ends at each hop and says so.
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(announced) = announced {
        headers.insert(TRAILER, announced);
    }
    set_origin(headers, additions.origin, visited);
    for (name, value) in additions.headers.iter().chain(&additions.more) {
        headers.insert(name.clone(), value.clone());
    }
    edit(headers, edits, |name| {
        hop::is_framing(name)
            || (additions.private)(name)
            || *name == additions.origin.request_id_header
            || additions
                .headers
                .iter()
                .chain(&additions.more)
                .any(|(own, _)| own == name)
    });
}

/// Which `Host` goes upstream where the visitor's is not kept.
pub(super) fn set_host(headers: &mut HeaderMap, host: HeaderValue) {
    headers.insert(HOST, host);
}

/// Applies edits, except to the fields for which `forbidden` says so.
pub(super) fn edit(
    headers: &mut HeaderMap,
    edits: &HeaderEdits,
    forbidden: impl Fn(&HeaderName) -> bool,
) {
    for name in &edits.remove {
        if !forbidden(name) {
            headers.remove(name);
        }
    }
    for (name, value) in &edits.set {
        if !forbidden(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// The `Host` a visitor asked for, also put into the map where only the target had it.
fn visited_host(parts: &mut request::Parts) -> Option<HeaderValue> {
    if let Some(host) = parts.headers.get(HOST) {
        return Some(host.clone());
    }
    let authority = parts.uri.authority().map(Authority::as_str)?;
    let host = HeaderValue::from_str(authority).ok()?;
    parts.headers.insert(HOST, host.clone());
    Some(host)
}

/// Removes hop-by-hop fields, what `Connection` names, and what this peer may not say about where a request came from.
fn remove_what_ends_here(headers: &mut HeaderMap, trusted: bool) {
    let mut hop_by_hop = HopByHop::default();
    let mut removed = Vec::new();
    for name in headers.keys() {
        let text = name.as_str();
        if !hop_by_hop.note(text) && is_claim(text, trusted) {
            removed.push(name.clone());
        }
    }
    if hop_by_hop.has_connection() {
        hop::nominated(headers, &mut removed);
    }
    hop_by_hop.remove_from(headers);
    for name in &removed {
        headers.remove(name);
    }
}

/// Whether the field claims something about the origin of the request that only a trusted proxy may claim.
///
/// Names are folded like CGI, WSGI and PHP fold them: every byte that is no letter or digit is an underscore there, so that
/// `X_Forwarded_For` and `X.Forwarded.For` are the same variable to an application. A trusted proxy writes the one spelling.
fn is_claim(name: &str, trusted: bool) -> bool {
    match name.as_bytes().first() {
        Some(b'x') => is_extension_claim(name, trusted),
        // `Proxy` becomes `HTTP_PROXY`, which many programs take for their own setting (httpoxy).
        Some(b'p') => name == "proxy",
        // We speak the older form; two that disagree are worse than one.
        Some(b'f') => *name == FORWARDED,
        Some(b't') => !trusted && same_when_folded(name, "true_client_ip"),
        Some(b'v') => !trusted && name == "via",
        _ => false,
    }
}

fn is_extension_claim(name: &str, trusted: bool) -> bool {
    const CLAIMED: [&str; 4] = ["x_forwarded_", "x_original_", "x_rewrite_", "x_envoy_"];
    // The method was judged, and what is judged is what the application shall see.
    const NAMED: [&str; 8] = [
        "x_real_ip",
        "x_client_ip",
        "x_cluster_client_ip",
        "x_host",
        "x_http_method_override",
        "x_http_method",
        "x_method_override",
        "x_forwarded",
    ];
    let is_claim = CLAIMED.iter().any(|prefix| {
        name.len() >= prefix.len() && same_when_folded(&name[..prefix.len()], prefix)
    }) || NAMED.iter().any(|named| same_when_folded(name, named));
    let is_canonical = || {
        !name
            .bytes()
            .any(|byte| folded(byte) == b'_' && byte != b'-')
    };
    is_claim && !(trusted && is_canonical())
}

fn same_when_folded(name: &str, folded_name: &str) -> bool {
    name.len() == folded_name.len() && name.bytes().map(folded).eq(folded_name.bytes())
}

fn folded(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' => byte,
        b'A'..=b'Z' => byte.to_ascii_lowercase(),
        _ => b'_',
    }
}

/// Says where the body ends: derived from the body alone, whatever the client's fields say.
fn set_framing(headers: &mut HeaderMap, method: &Method, body: &RequestBody) {
    let length = if body.is_empty() {
        Some(0)
    } else {
        body.size_hint().exact()
    };
    match length {
        Some(0) if !announces_empty_body(headers, method) => {
            headers.remove(CONTENT_LENGTH);
        }
        Some(length) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            // Said here because hyper would drop the body of a GET that does not say so.
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}

/// RFC 9110, section 8.6: a method that usually has a body says that it has none; some servers answer 411 otherwise.
fn announces_empty_body(headers: &HeaderMap, method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
        || headers.contains_key(CONTENT_LENGTH)
}

/// Tells where the request came from. `insert` replaces whatever a client or proxy said under the same name.
fn set_origin(headers: &mut HeaderMap, origin: &Origin, visited: Option<HeaderValue>) {
    let client = address(origin.client);
    let chain = match origin.trusted_peer {
        Some(peer) => extended_chain(headers, peer),
        None => client.clone(),
    };
    headers.insert(X_FORWARDED_FOR, chain);
    headers.insert(X_REAL_IP, client);
    headers.insert(
        X_FORWARDED_PROTO,
        HeaderValue::from_static(origin.scheme.as_str()),
    );
    headers.insert(
        X_FORWARDED_PORT,
        visited_port(visited.as_ref(), origin.scheme),
    );
    match visited {
        Some(host) => headers.insert(X_FORWARDED_HOST, host),
        None => headers.remove(X_FORWARDED_HOST),
    };
    headers.insert(
        origin.request_id_header.clone(),
        origin.request_id.header().clone(),
    );
}

/// What a trusted proxy said, all lines in one, and its own address behind.
fn extended_chain(headers: &HeaderMap, peer: IpAddr) -> HeaderValue {
    let mut chain = Vec::new();
    for value in headers.get_all(&X_FORWARDED_FOR) {
        chain.extend_from_slice(value.as_bytes());
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(peer.to_canonical().to_string().as_bytes());
    HeaderValue::from_maybe_shared(Bytes::from(chain)).unwrap_or_else(|_| address(peer))
}

fn address(address: IpAddr) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(address.to_canonical().to_string()))
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// The port a visitor typed, or the scheme's own.
fn visited_port(host: Option<&HeaderValue>, scheme: Scheme) -> HeaderValue {
    let typed = host
        .and_then(|host| host.to_str().ok())
        .and_then(|host| host.rsplit_once(':'))
        .and_then(|(_, port)| port.parse::<u16>().ok());
    match (typed, scheme) {
        (Some(port), _) => HeaderValue::from(port),
        (None, Scheme::Http) => HeaderValue::from_static("80"),
        (None, Scheme::Https) => HeaderValue::from_static("443"),
    }
}
