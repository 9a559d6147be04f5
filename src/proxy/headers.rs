//! The head of a request as a server sees it.
//!
//! One pass over what the client sent decides field by field what goes up; then our own fields follow. Nothing is changed in
//! place, so that the same request can be written again for another connection. What the client's `Connection` names is
//! looked for among the client's fields only: it can never name one of ours.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, request};
use http_body::Body as _;

use super::Additions;
use super::claims::is_claim;
use super::hop;
use super::settings::HeaderEdits;
use crate::message::{RequestBody, Scheme};
use crate::observe::write_address;

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_HOST: &str = "x-forwarded-host";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
const X_FORWARDED_PORT: &str = "x-forwarded-port";
const X_REAL_IP: &str = "x-real-ip";

/// Our fields about the origin of a request.
const ORIGIN_FIELDS: [&str; 5] = [
    X_FORWARDED_FOR,
    X_FORWARDED_HOST,
    X_FORWARDED_PROTO,
    X_FORWARDED_PORT,
    X_REAL_IP,
];

/// Fields we set on every request beside those about origin and identity.
const OTHER_FIELDS: usize = 4;

/// Everything that decides which fields go up.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    /// What the client sent.
    pub(super) parts: &'a request::Parts,
    pub(super) body: &'a RequestBody,
    /// The request asks for a WebSocket and may.
    pub(super) tunnel: bool,
    pub(super) additions: &'a Additions<'a>,
    pub(super) edits: &'a HeaderEdits,
}

/// Takes fields in the order in which they are sent.
pub(super) trait Sink {
    /// A field that is a value already.
    fn value(&mut self, name: &HeaderName, value: &HeaderValue);
    /// A field of ours, with a lower-case name, whose text holds no control byte.
    fn text(&mut self, name: &'static str, text: &[u8]);
}

/// For a request that hyper sends.
impl Sink for HeaderMap {
    fn value(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.append(name, value.clone());
    }

    fn text(&mut self, name: &'static str, text: &[u8]) {
        if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::copy_from_slice(text)) {
            self.append(name, value);
        }
    }
}

/// Lines of a head that we write ourselves.
impl Sink for Vec<u8> {
    fn value(&mut self, name: &HeaderName, value: &HeaderValue) {
        line(self, name.as_str(), value.as_bytes());
    }

    fn text(&mut self, name: &'static str, text: &[u8]) {
        line(self, name, text);
    }
}

fn line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    // PERF: one look at the capacity instead of four.
    head.reserve(name.len() + value.len() + 4);
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

impl<'a> Fields<'a> {
    /// The fields as a map.
    pub(super) fn to_map(self, host: Option<&HeaderValue>) -> HeaderMap {
        let client = self.parts.headers.len();
        let ours = ORIGIN_FIELDS.len() + OTHER_FIELDS + self.additions.headers.len();
        // PERF: so that the map never grows.
        let mut map = HeaderMap::with_capacity(client + ours);
        self.write(host, &mut map);
        map
    }

    /// Hands over every field. `host` is the `Host` that the server is to see; `None` means the visitor's.
    pub(super) fn write(self, host: Option<&HeaderValue>, sink: &mut impl Sink) {
        match host {
            Some(host) => sink.value(&HOST, host),
            None => {
                if let Some(host) = self.visited_host() {
                    sink.text("host", host);
                }
            }
        }
        self.write_clients(sink);
        self.write_framing(sink);
        self.write_origin(sink);
        for (name, value) in self.identity() {
            sink.value(name, value);
        }
        let sets = &self.edits.set;
        for (place, (name, value)) in sets.iter().enumerate() {
            let is_last = sets[place + 1..].iter().all(|(later, _)| later != name);
            if is_last && !self.is_out_of_reach(name) {
                sink.value(name, value);
            }
        }
    }

    /// What the client sent and a server may see.
    fn write_clients(self, sink: &mut impl Sink) {
        let headers = &self.parts.headers;
        let is_trusted = self.additions.origin.trusted_peer.is_some();
        let nominated = match headers.contains_key(CONNECTION) {
            true => hop::nominated(headers),
            false => Vec::new(),
        };
        for (name, value) in headers {
            let ends_here = hop::is_framing(name)
                || is_claim(name.as_str(), is_trusted)
                || nominated.contains(name);
            if !ends_here && !self.is_ours(name.as_str()) && !self.is_edited(name.as_str()) {
                sink.value(name, value);
            }
        }
    }

    /// Says where the body ends, derived from the body alone, whatever the client's fields say; and what else ends at this hop
    /// and is written anew.
    fn write_framing(self, sink: &mut impl Sink) {
        let headers = &self.parts.headers;
        let length = match self.body.is_empty() {
            true => Some(0),
            false => self.body.size_hint().exact(),
        };
        match length {
            Some(0) if !announces_empty_body(headers, &self.parts.method) => {}
            Some(length) => sink.value(&CONTENT_LENGTH, &HeaderValue::from(length)),
            // Said here because hyper would drop the body of a GET that does not say so.
            None => sink.text("transfer-encoding", b"chunked"),
        }
        if self.tunnel {
            sink.text("connection", b"upgrade");
            sink.text("upgrade", b"websocket");
        } else if hop::has_token(headers, &TE, "trailers") {
            // RFC 9110, section 10.1.4: `TE` ends at each hop and says so.
            sink.text("connection", b"te");
            sink.text("te", b"trailers");
        }
        if self.body.forwards_trailers()
            && let Some(announced) = headers.get(&TRAILER)
        {
            sink.value(&TRAILER, announced);
        }
    }

    /// Tells where the request came from, instead of whatever a client or proxy said under the same name.
    fn write_origin(self, sink: &mut impl Sink) {
        let origin = self.additions.origin;
        let mut put = |name: &'static str, text: &[u8]| {
            if !self.is_fixed(name) && !self.is_edited(name) {
                sink.text(name, text);
            }
        };
        let mut client = String::with_capacity(LONGEST_ADDRESS);
        write_address(&mut client, origin.client.to_canonical());
        match origin.trusted_peer {
            None => put(X_FORWARDED_FOR, client.as_bytes()),
            Some(peer) => put(X_FORWARDED_FOR, &self.extended_chain(peer)),
        }
        put(X_REAL_IP, client.as_bytes());
        put(X_FORWARDED_PROTO, origin.scheme.as_str().as_bytes());
        let visited = self.visited_host();
        let port = visited.and_then(visited_port);
        put(
            X_FORWARDED_PORT,
            port.unwrap_or_else(|| own_port(origin.scheme)),
        );
        if let Some(visited) = visited {
            put(X_FORWARDED_HOST, visited);
        }
        sink.value(&origin.request_id_header, origin.request_id.header());
    }

    /// The `Host` a visitor asked for: the field, or what only the target had.
    pub(super) fn visited_host(self) -> Option<&'a [u8]> {
        let field = self.parts.headers.get(HOST).map(HeaderValue::as_bytes);
        let authority = || self.parts.uri.authority().map(Authority::as_str);
        field.or_else(|| authority().map(str::as_bytes))
    }

    /// What a trusted proxy said, all lines in one, and its own address behind.
    fn extended_chain(self, peer: IpAddr) -> Vec<u8> {
        let mut chain = Vec::new();
        for value in self.parts.headers.get_all(X_FORWARDED_FOR) {
            chain.extend_from_slice(value.as_bytes());
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(peer.to_canonical().to_string().as_bytes());
        chain
    }

    fn identity(self) -> impl Iterator<Item = &'a (HeaderName, HeaderValue)> {
        let additions = self.additions;
        let ours = additions.headers.iter().chain(&additions.more);
        ours.chain(&additions.traceparent)
    }

    /// Whether we set a field of this name, or leave it out on purpose.
    fn is_ours(self, name: &str) -> bool {
        ORIGIN_FIELDS.contains(&name) || self.is_fixed(name)
    }

    /// Whether the field names the request or the visitor, which nothing else can set.
    fn is_fixed(self, name: &str) -> bool {
        name == self.additions.origin.request_id_header.as_str()
            || self.identity().any(|(own, _)| own.as_str() == name)
    }

    /// Whether the route removes or replaces the field.
    fn is_edited(self, name: &str) -> bool {
        let HeaderEdits { set, remove } = self.edits;
        let mut edited = remove.iter().chain(set.iter().map(|(own, _)| own));
        edited.any(|own| own.as_str() == name && !self.is_out_of_reach(own))
    }

    /// Whether no edit of a route can touch the field.
    fn is_out_of_reach(self, name: &HeaderName) -> bool {
        hop::is_framing(name) || (self.additions.private)(name) || self.is_fixed(name.as_str())
    }
}

/// An IPv6 address in full.
const LONGEST_ADDRESS: usize = 39;

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

/// RFC 9110, section 8.6: a method that usually has a body says that it has none; some servers answer 411 otherwise.
fn announces_empty_body(headers: &HeaderMap, method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
        || headers.contains_key(CONTENT_LENGTH)
}

/// The port a visitor typed.
fn visited_port(host: &[u8]) -> Option<&[u8]> {
    let (_, port) = std::str::from_utf8(host).ok()?.rsplit_once(':')?;
    port.parse::<u16>().is_ok().then_some(port.as_bytes())
}

/// The port that URLs of the scheme leave out.
fn own_port(scheme: Scheme) -> &'static [u8] {
    match scheme {
        Scheme::Http => b"80",
        Scheme::Https => b"443",
    }
}
