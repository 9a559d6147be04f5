//! The fields that say where a request came from.

use std::net::IpAddr;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, request};

use super::headers::{Fields, Sink};
use super::taken::Taken;
use crate::message::Scheme;
use crate::observe::write_address;

pub(super) const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_HOST: &str = "x-forwarded-host";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
const X_FORWARDED_PORT: &str = "x-forwarded-port";
const X_REAL_IP: &str = "x-real-ip";

/// Our fields about the origin of a request.
pub(super) const ORIGIN_FIELDS: [&str; 5] = [
    X_FORWARDED_FOR,
    X_FORWARDED_HOST,
    X_FORWARDED_PROTO,
    X_FORWARDED_PORT,
    X_REAL_IP,
];

/// Whether a name may be one of [`ORIGIN_FIELDS`]: one look at its beginning instead of five at all of it.
pub(super) fn may_be_origin(name: &str) -> bool {
    name.starts_with("x-forwarded-") || name == X_REAL_IP
}

/// An IPv6 address in full.
const LONGEST_ADDRESS: usize = 39;

impl Fields<'_> {
    /// Tells where the request came from, instead of whatever a client or proxy said under the same name.
    pub(super) fn write_origin(self, taken: &Taken, sink: &mut impl Sink) {
        let origin = self.additions.origin;
        let may = |name: &str| !taken.origin || !self.is_fixed(name) && !self.is_edited(name);
        let mut client = Vec::with_capacity(LONGEST_ADDRESS);
        write_address(&mut client, origin.client.to_canonical());
        if may(X_FORWARDED_FOR) {
            match origin.trusted_peer {
                None => sink.text(X_FORWARDED_FOR, &client),
                Some(peer) => sink.text(X_FORWARDED_FOR, &self.extended_chain(peer)),
            }
        }
        if may(X_REAL_IP) {
            sink.text(X_REAL_IP, &client);
        }
        if may(X_FORWARDED_PROTO) {
            sink.text(X_FORWARDED_PROTO, origin.scheme.as_str().as_bytes());
        }
        if may(X_FORWARDED_PORT) {
            let port = self.visited.and_then(visited_port);
            let port = port.unwrap_or_else(|| own_port(origin.scheme));
            sink.text(X_FORWARDED_PORT, port);
        }
        if let Some(visited) = self.visited.filter(|_| may(X_FORWARDED_HOST)) {
            sink.text(X_FORWARDED_HOST, visited);
        }
        sink.value(&origin.request_id_header, origin.request_id.header());
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
}

/// The `Host` a visitor asked for: the field, or what only the target had.
pub(super) fn visited_host(parts: &request::Parts) -> Option<&[u8]> {
    let field = parts.headers.get(HOST).map(HeaderValue::as_bytes);
    let authority = || parts.uri.authority().map(Authority::as_str);
    field.or_else(|| authority().map(str::as_bytes))
}

/// The port a visitor typed.
fn visited_port(host: &[u8]) -> Option<&[u8]> {
    let digits = host.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let (before, port) = host.split_at(host.len() - digits.count());
    let number = port.iter().try_fold(0_u16, |number, digit| {
        number.checked_mul(10)?.checked_add(u16::from(digit - b'0'))
    });
    (before.last() == Some(&b':') && !port.is_empty() && number.is_some()).then_some(port)
}

/// The port that URLs of the scheme leave out.
fn own_port(scheme: Scheme) -> &'static [u8] {
    match scheme {
        Scheme::Http => b"80",
        Scheme::Https => b"443",
    }
}
