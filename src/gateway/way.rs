//! `way`: how a request arrived here, for `wxgate doctor` alone. It asks by the public name, and so learns what the proxies
//! in between make of a request.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::{Asked, Error, Gateway};
use crate::message::{self, Answer};

/// The path below our prefix.
pub(super) const NAME: &str = "way";

/// What a proof must be for.
const PURPOSE: &str = "way";

/// Whoever asks with this header gets an answer whose head is as long as ours ever are.
const LONG: &str = "wxgate-long-answer";

/// What makes it long.
const FILLER: HeaderName = HeaderName::from_static("x-wxgate-filler");

/// Two cookies at their largest: of the session and of the attempts.
const LONGEST: usize = 7 * 1024;

/// What proxies say of the visitor, and what an application would believe.
const TOLD: [&str; 6] = [
    "host",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
];

/// The names are read by `doctor` of the same version.
#[derive(Serialize)]
struct Way<'a> {
    /// Who is at the other end of the connection.
    peer: IpAddr,
    /// Whether `trusted_proxies` lists it.
    is_trusted: bool,
    /// Whom we take for the visitor.
    client: IpAddr,
    /// As it came, before anything was dropped.
    headers: BTreeMap<&'static str, &'a str>,
}

impl Gateway {
    /// SECURITY: says nothing to whoever does not know an AppSecret of ours; addresses of inner proxies are nobody's business.
    pub(super) fn way(&self, headers: &HeaderMap, asked: &Asked<'_>) -> Result<Answer, Error> {
        let given = headers.get(AUTHORIZATION);
        let proof = given
            .and_then(|value| value.to_str().ok()?.strip_prefix("Wxgate-Proof "))
            .ok_or(Error::NotFound)?;
        if !self.login.accepts_proof(proof, PURPOSE, asked.now) {
            return Err(Error::NotFound);
        }
        let peer = asked.peer.address.ip().to_canonical();
        let told = TOLD.into_iter().filter_map(|name| {
            let value = headers.get(name)?;
            Some((name, value.to_str().unwrap_or("?")))
        });
        let way = Way {
            peer,
            is_trusted: asked.peer_is_trusted,
            client: asked.info.client,
            headers: told.collect(),
        };
        let mut answer = message::json(StatusCode::OK, "way", &way);
        if headers.contains_key(LONG) {
            let filler = HeaderValue::from_maybe_shared(vec![b'x'; LONGEST]);
            answer
                .headers_mut()
                .extend(filler.map(|filler| (FILLER, filler)));
        }
        Ok(answer)
    }
}
