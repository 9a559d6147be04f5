//! The two heads of an exchange: the request as bytes, the answer from bytes.

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::BytesMut;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, LAST_MODIFIED, SERVER,
    TRANSFER_ENCODING, VARY,
};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, StatusCode, Version, response};
use httparse::{Header, ParserConfig, Status};
use hyper::ext::ReasonPhrase;

use crate::proxy::fault::Fault;

/// The most header fields of an answer; hyper's limit as well.
const MOST_FIELDS: usize = 100;
/// So many fields join nearly every answer on its way to the visitor: its id. Room for more would take most maps past the size that is
/// cheap to allocate.
const ADDED_LATER: usize = 1;
/// A usual request head, so that writing one takes one allocation.
const USUAL_HEAD: usize = 2 * 1024;

/// Where one field stands in a head.
#[derive(Debug)]
pub(super) struct Place {
    name: Range<usize>,
    value: Range<usize>,
}

/// Takes the request line for a head; the fields and an empty line follow.
pub(super) fn begin(head: &mut Vec<u8>, method: &Method, target: &PathAndQuery) {
    head.clear();
    head.reserve(USUAL_HEAD);
    head.extend_from_slice(method.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(target.as_str().as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Takes the head of an answer out of what was read, and puts it into `parts`; says whether it had come completely.
///
/// `Connection: keep-alive` is left out, because it says what HTTP/1.1 means anyhow, and an answer of HTTP/1.0 ends its connection
/// whatever it says.
///
/// PERF: nearly every answer has it, and looking for it in the map and taking it out again cost 950 instructions. `places` is
/// memory for the time of the call, lent because making it costs as much as filling it.
pub(super) fn take(
    read: &mut BytesMut,
    places: &mut Vec<Place>,
    parts: &mut response::Parts,
) -> Result<bool, Fault> {
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let status = ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, read, &mut fields)
        .map_err(Fault::Syntax)?;
    let Status::Complete(length) = status else {
        return Ok(false);
    };
    let start = read.as_ptr() as usize;
    let place = |bytes: &[u8]| {
        let begin = bytes.as_ptr() as usize - start;
        begin..begin + bytes.len()
    };
    let fields = parsed.headers.iter().filter(|field| !is_idle_talk(field));
    places.clear();
    places.extend(fields.map(|field| Place {
        name: place(field.name.as_bytes()),
        value: place(field.value),
    }));
    parts.status = parsed
        .code
        .map_or(Ok(StatusCode::OK), StatusCode::from_u16)
        .map_err(|error| Fault::Head(error.into()))?;
    parts.version = match parsed.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    parts.extensions.clear();
    keep_reason(parts, parsed.reason.unwrap_or_default());

    let head = read.split_to(length).freeze();
    parts.headers.clear();
    parts.headers.reserve(places.len() + ADDED_LATER);
    for Place { name, value } in places.drain(..) {
        let name = head.get(name).unwrap_or_default();
        let value = HeaderValue::from_maybe_shared(head.slice(value));
        let value = value.map_err(|error| Fault::Head(error.into()))?;
        parts.headers.append(named(name)?, value);
    }
    Ok(true)
}

fn is_idle_talk(field: &Header<'_>) -> bool {
    field.value.eq_ignore_ascii_case(b"keep-alive") && field.name.eq_ignore_ascii_case("connection")
}

/// PERF: the names of most answers in their usual spelling take a comparison each instead of being made lower-case first (a
/// quarter of the instructions).
fn named(name: &[u8]) -> Result<HeaderName, Fault> {
    Ok(match name {
        b"Date" => DATE,
        b"Server" => SERVER,
        b"Content-Type" => CONTENT_TYPE,
        b"Content-Length" => CONTENT_LENGTH,
        b"Cache-Control" => CACHE_CONTROL,
        b"Last-Modified" => LAST_MODIFIED,
        b"Transfer-Encoding" => TRANSFER_ENCODING,
        b"Vary" => VARY,
        b"ETag" => ETAG,
        name => HeaderName::from_bytes(name).map_err(|error| Fault::Head(error.into()))?,
    })
}

/// A reason phrase that is not the usual one goes on to the visitor, like any other part of the answer.
fn keep_reason(parts: &mut response::Parts, reason: &str) {
    if Some(reason) != parts.status.canonical_reason()
        && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
    {
        parts.extensions.insert(reason);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_head_leaves_nothing_of_the_one_before() {
        let interim = "HTTP/1.0 103 Soon\r\nLink: </a>\r\nServer: first\r\n\r\n";
        let last =
            "HTTP/1.1 200 OK\r\nserver: second\r\nETag: \"a\"\r\nX-Own: 1\r\nx-own: 2\r\n\r\nbody";
        let mut read = BytesMut::from([interim, last].concat().as_str());
        let (mut places, mut parts) = (Vec::new(), http::Response::new(()).into_parts().0);

        assert!(take(&mut read, &mut places, &mut parts).unwrap());
        assert_eq!((parts.status.as_u16(), parts.headers.len()), (103, 2));
        assert!(parts.extensions.get::<ReasonPhrase>().is_some());
        assert!(take(&mut read, &mut places, &mut parts).unwrap());

        assert_eq!(parts.status, StatusCode::OK);
        assert_eq!(parts.version, Version::HTTP_11);
        assert!(parts.extensions.get::<ReasonPhrase>().is_none());
        let fields: Vec<_> = parts
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            fields,
            ["server: second", "etag: \"a\"", "x-own: 1", "x-own: 2"]
        );
        assert_eq!(read, "body");
        assert!(!take(&mut read, &mut places, &mut parts).unwrap_or(false));
    }

    #[test]
    fn only_a_connection_field_that_says_nothing_is_left_out() {
        for (field, is_kept) in [
            ("Connection: keep-alive", false),
            ("connection: Keep-Alive", false),
            ("Connection: close", true),
            ("Connection: keep-alive, x-hop", true),
            ("Keep-Alive: keep-alive", true),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n");
            let (mut places, mut parts) = (Vec::new(), http::Response::new(()).into_parts().0);

            let mut read = BytesMut::from(head.as_str());
            assert!(take(&mut read, &mut places, &mut parts).unwrap());

            assert_eq!(!parts.headers.is_empty(), is_kept, "{field}");
        }
    }
}
