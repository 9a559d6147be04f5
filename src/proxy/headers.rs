//! The head of a request as a server sees it.
//!
//! One pass over what the client sent decides field by field what goes up; then our own fields follow. Nothing is changed in
//! place, so that the same request can be written again for another connection. What the client's `Connection` names is
//! looked for among the client's fields only: it can never name one of ours.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, request};
use http_body::Body as _;

use super::Additions;
use super::claims::is_claim;
use super::hop;
use super::identity::IdentityFields;
use super::origin::ORIGIN_FIELDS;
use super::settings::HeaderEdits;
use super::taken::Taken;
use crate::message::RequestBody;

/// Fields we set on every request beside those about origin and identity.
const OTHER_FIELDS: usize = 4;

/// Everything that decides which fields go up.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    /// What the client sent.
    pub(super) parts: &'a request::Parts,
    /// The `Host` a visitor asked for: [`visited_host`](super::origin::visited_host) of the same request.
    pub(super) visited: Option<&'a [u8]>,
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
    /// Who the visitor is.
    fn identity(&mut self, identity: &IdentityFields);
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

    fn identity(&mut self, identity: &IdentityFields) {
        for (name, value) in identity.fields() {
            self.value(name, value);
        }
    }
}

/// Lines of a head that we write ourselves.
impl Sink for Vec<u8> {
    fn value(&mut self, name: &HeaderName, value: &HeaderValue) {
        line(self, name.as_str(), value.as_bytes());
    }

    // PERF: where the name is a constant, a few moves put it there instead of a call.
    #[inline]
    fn text(&mut self, name: &'static str, text: &[u8]) {
        line(self, name, text);
    }

    fn identity(&mut self, identity: &IdentityFields) {
        self.extend_from_slice(identity.lines());
    }
}

#[inline]
pub(super) fn line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
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
        let ours = ORIGIN_FIELDS.len() + OTHER_FIELDS + self.identity().count();
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
                if let Some(host) = self.visited {
                    sink.text("host", host);
                }
            }
        }
        let taken = self.taken();
        let seen = self.write_clients(&taken, sink);
        self.write_framing(&seen, sink);
        self.write_origin(&taken, sink);
        if let Some(identity) = self.additions.identity {
            sink.identity(identity);
        }
        if let Some((name, value)) = &self.additions.traceparent {
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
    fn write_clients(self, taken: &Taken, sink: &mut impl Sink) -> Seen {
        let headers = &self.parts.headers;
        let is_trusted = self.additions.origin.trusted_peer.is_some();
        let nominated = match self.additions.present.connection {
            true => hop::nominated(headers),
            false => Vec::new(),
        };
        let mut seen = Seen::default();
        for (name, value) in headers {
            if hop::is_framing(name) {
                seen.te |= *name == TE;
                seen.length |= *name == CONTENT_LENGTH;
                continue;
            }
            let text = name.as_str();
            let is_replaced =
                || taken.may_hold(text) && (self.is_ours(text) || self.is_edited(text));
            if !is_claim(text, is_trusted) && !nominated.contains(name) && !is_replaced() {
                sink.value(name, value);
            }
        }
        seen
    }

    /// Says where the body ends, derived from the body alone, whatever the client's fields say; and what else ends at this hop
    /// and is written anew.
    fn write_framing(self, seen: &Seen, sink: &mut impl Sink) {
        let headers = &self.parts.headers;
        let length = match self.body.is_empty() {
            true => Some(0),
            false => self.body.size_hint().exact(),
        };
        match length {
            Some(0) if !seen.length && !usually_has_body(&self.parts.method) => {}
            Some(length) => sink.value(&CONTENT_LENGTH, &HeaderValue::from(length)),
            // Said here because hyper would drop the body of a GET that does not say so.
            None => sink.text("transfer-encoding", b"chunked"),
        }
        if self.tunnel {
            sink.text("connection", b"upgrade");
            sink.text("upgrade", b"websocket");
        } else if seen.te && hop::has_token(headers, &TE, "trailers") {
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

    /// The names that we set or the route edits.
    fn taken(self) -> Taken {
        let identity = self.additions.identity;
        let mut taken = identity.map_or_else(Taken::default, IdentityFields::taken);
        taken.add_origin();
        let HeaderEdits { set, remove } = self.edits;
        let edited = remove.iter().chain(set.iter().map(|(name, _)| name));
        let traceparent = self.additions.traceparent.iter().map(|(name, _)| name);
        let fixed = traceparent.chain([&self.additions.origin.request_id_header]);
        for name in edited.chain(fixed) {
            taken.add(name);
        }
        taken
    }

    fn identity(self) -> impl Iterator<Item = &'a (HeaderName, HeaderValue)> {
        let identity = self
            .additions
            .identity
            .map_or(&[][..], IdentityFields::fields);
        identity.iter().chain(&self.additions.traceparent)
    }

    /// Whether we set a field of this name, or leave it out on purpose.
    fn is_ours(self, name: &str) -> bool {
        ORIGIN_FIELDS.contains(&name) || self.is_fixed(name)
    }

    /// Whether the field names the request or the visitor, which nothing else can set.
    pub(super) fn is_fixed(self, name: &str) -> bool {
        name == self.additions.origin.request_id_header.as_str()
            || self.identity().any(|(own, _)| own.as_str() == name)
    }

    /// Whether the route removes or replaces the field.
    pub(super) fn is_edited(self, name: &str) -> bool {
        let HeaderEdits { set, remove } = self.edits;
        let mut edited = remove.iter().chain(set.iter().map(|(own, _)| own));
        edited.any(|own| own.as_str() == name && !self.is_out_of_reach(own))
    }

    /// Whether no edit of a route can touch the field.
    fn is_out_of_reach(self, name: &HeaderName) -> bool {
        hop::is_framing(name) || (self.additions.private)(name) || self.is_fixed(name.as_str())
    }
}

/// Fields of a client that are never passed on as they are, as far as they mean something.
#[derive(Default)]
struct Seen {
    te: bool,
    length: bool,
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

/// RFC 9110, section 8.6: such a method says that it has no body, or some servers answer 411.
fn usually_has_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
