//! The two heads of an exchange: the request as bytes, the answer from bytes.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, StatusCode, Version, response};
use httparse::{Header, ParserConfig, Status};
use hyper::ext::ReasonPhrase;

use crate::proxy::fault::Fault;

/// The most header fields of an answer; hyper's limit as well.
const MOST_FIELDS: usize = 100;
/// A usual request head, so that writing one takes one allocation.
const USUAL_HEAD: usize = 2 * 1024;

/// Takes the request line for a head; the fields and an empty line follow.
pub(super) fn begin(head: &mut Vec<u8>, method: &Method, target: &PathAndQuery) {
    head.clear();
    head.reserve(USUAL_HEAD);
    head.extend_from_slice(method.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(target.as_str().as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Takes the head of an answer out of what was read; `None` when it has not come completely.
pub(super) fn take(read: &mut BytesMut) -> Result<Option<response::Parts>, Fault> {
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let status = ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, read, &mut fields)
        .map_err(Fault::Syntax)?;
    let Status::Complete(length) = status else {
        return Ok(None);
    };
    let start = read.as_ptr() as usize;
    let place = |bytes: &[u8]| {
        let begin = bytes.as_ptr() as usize - start;
        begin..begin + bytes.len()
    };
    let fields: Vec<_> = parsed
        .headers
        .iter()
        .map(|field| (place(field.name.as_bytes()), place(field.value)))
        .collect();
    let mut parts = http::Response::new(()).into_parts().0;
    parts.status = parsed
        .code
        .map_or(Ok(StatusCode::OK), StatusCode::from_u16)
        .map_err(|error| Fault::Head(error.into()))?;
    parts.version = match parsed.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    keep_reason(&mut parts, parsed.reason.unwrap_or_default());

    let head = read.split_to(length).freeze();
    parts.headers.reserve(fields.len());
    for (name, value) in fields {
        let name = head.get(name).unwrap_or_default();
        let (name, value) = field(name, head.slice(value))?;
        parts.headers.append(name, value);
    }
    Ok(Some(parts))
}

fn field(name: &[u8], value: Bytes) -> Result<(HeaderName, HeaderValue), Fault> {
    let name = HeaderName::from_bytes(name).map_err(|error| Fault::Head(error.into()))?;
    let value = HeaderValue::from_maybe_shared(value).map_err(|error| Fault::Head(error.into()))?;
    Ok((name, value))
}

/// A reason phrase that is not the usual one goes on to the visitor, like any other part of the answer.
fn keep_reason(parts: &mut response::Parts, reason: &str) {
    if Some(reason) != parts.status.canonical_reason()
        && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
    {
        parts.extensions.insert(reason);
    }
}
