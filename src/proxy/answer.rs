//! The head of an answer: refused where its framing can be read in two ways, and cut to what visitors may see.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING, UPGRADE,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, response};

use super::hop::{self, HopByHop};
use super::settings::HeaderEdits;
use super::{PrivateNames, headers};

/// Why an answer is not passed on. The connection it came on is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// 101 although nothing else than HTTP was asked for, or to another protocol than the one asked for.
    #[error("switched protocols without being asked to")]
    UnaskedUpgrade,
    /// A status over 599.
    #[error("status is not between 200 and 599")]
    Status,
    /// Two lengths, or one that is no number.
    #[error("content-length is doubled or no number")]
    Length,
    /// Another coding than `chunked` alone, or one beside a length or in HTTP/1.0.
    #[error("transfer-encoding is not exactly `chunked`, or stands beside a length")]
    TransferEncoding,
}

/// What the framing of a usable answer means for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reuse {
    /// It may carry the next request when this answer has ended.
    Allowed,
    /// It ends with this answer.
    Never,
}

/// How the body of a usual answer ends. Answers to HEAD, 204 and 304 have none whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunks,
    /// With the connection.
    Close,
}

/// Judges framing. hyper has refused what is no HTTP; this refuses what two programs may read differently.
pub(super) fn judge(
    parts: &response::Parts,
    asked_upgrade: bool,
) -> Result<(Reuse, BodyEnd), Unusable> {
    let headers = &parts.headers;
    let status = parts.status;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return match asked_upgrade && switches_to_websocket(headers) {
            true => Ok((Reuse::Never, BodyEnd::Close)),
            false => Err(Unusable::UnaskedUpgrade),
        };
    }
    if status.as_u16() > 599 {
        return Err(Unusable::Status);
    }
    let said = Said::by(headers);
    let length = length(&said.length)?;
    let chunked = is_chunked(&said.coding)?;
    let body_end = match (chunked, length) {
        (true, None) if parts.version == Version::HTTP_11 => BodyEnd::Chunks,
        // HTTP/1.0 knows no chunks: whoever says so is not understood.
        (true, _) => return Err(Unusable::TransferEncoding),
        (false, Some(length)) => BodyEnd::Length(length),
        (false, None) => BodyEnd::Close,
    };
    let bodyless = status == StatusCode::NO_CONTENT;
    // After HTTP/1.0 hyper would write the next request as 1.0 too, which cannot carry a body of unknown length.
    let doubtful = parts.version != Version::HTTP_11
        || (bodyless && (chunked || length.is_some_and(|length| length > 0)));
    let reuse = match doubtful || said.closes || said.binds {
        true => Reuse::Never,
        false => Reuse::Allowed,
    };
    Ok((reuse, body_end))
}

/// Whether a request or an answer belongs to an authentication of the connection instead of the request: another
/// visitor's request on the same connection would run as this one.
pub(super) fn request_binds_connection(headers: &HeaderMap) -> bool {
    let mut credentials = headers.get_all(AUTHORIZATION).iter();
    credentials.any(binds_connection)
}

/// Removes what ends here and what visitors may not see, then applies the route's edits.
pub(super) fn clean(
    parts: &mut response::Parts,
    private: &PrivateNames,
    edits: &HeaderEdits,
    tunnel: bool,
) {
    let headers = &mut parts.headers;
    let mut hop_by_hop = HopByHop::default();
    let mut removed = Vec::new();
    for name in headers.keys() {
        // `Trailer` ends here too, but trailers are passed on, and hyper sends only what was announced.
        if *name != TRAILER && !hop_by_hop.note(name.as_str()) && private(name) {
            removed.push(name.clone());
        }
    }
    if hop_by_hop.has_connection() {
        removed.append(&mut hop::nominated(headers));
    }
    hop_by_hop.remove_from(headers);
    for name in &removed {
        headers.remove(name);
    }
    if parts.status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    }
    headers::edit(headers, edits, hop::is_framing);
    if tunnel {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    parts.version = Version::HTTP_11;
}

/// The trailers that may follow.
pub(super) fn clean_trailers(trailers: &mut HeaderMap, private: &PrivateNames) {
    let removed: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| hop::is_framing(name) || private(name))
        .cloned()
        .collect();
    for name in &removed {
        trailers.remove(name);
    }
}

fn switches_to_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter();
    let websocket = protocols
        .next()
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
    websocket && protocols.next().is_none() && hop::has_token(headers, &CONNECTION, "upgrade")
}

/// What the fields of an answer say about its framing and its connection.
#[derive(Default)]
struct Said<'h> {
    length: Once<'h>,
    coding: Once<'h>,
    closes: bool,
    binds: bool,
}

/// A field that may stand there once.
#[derive(Default)]
struct Once<'h> {
    first: Option<&'h HeaderValue>,
    is_doubled: bool,
}

impl<'h> Said<'h> {
    /// PERF: one pass over what is there instead of four look-ups.
    fn by(headers: &'h HeaderMap) -> Self {
        let mut said = Self::default();
        for (name, value) in headers {
            if *name == CONTENT_LENGTH {
                said.length.add(value);
            } else if *name == TRANSFER_ENCODING {
                said.coding.add(value);
            } else if *name == CONNECTION {
                said.closes |= hop::says(value, "close");
            } else if *name == WWW_AUTHENTICATE {
                said.binds |= binds_connection(value);
            }
        }
        said
    }
}

impl<'h> Once<'h> {
    fn add(&mut self, value: &'h HeaderValue) {
        self.is_doubled |= self.first.is_some();
        self.first = Some(value);
    }
}

fn length(length: &Once<'_>) -> Result<Option<u64>, Unusable> {
    let Some(value) = length.first else {
        return Ok(None);
    };
    let digits = value.to_str().map_err(|_| Unusable::Length)?;
    // `parse` alone would take a sign.
    if length.is_doubled || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unusable::Length);
    }
    digits.parse().map(Some).map_err(|_| Unusable::Length)
}

fn is_chunked(coding: &Once<'_>) -> Result<bool, Unusable> {
    match coding.first {
        None => Ok(false),
        Some(value) if !coding.is_doubled && value.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Ok(true)
        }
        Some(_) => Err(Unusable::TransferEncoding),
    }
}

/// NTLM and Negotiate log in a connection (RFC 4559, section 4 and 6).
fn binds_connection(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    [&b"ntlm"[..], b"negotiate"].iter().any(|scheme| {
        value
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}
