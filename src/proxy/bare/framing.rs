//! Where the body of an answer ends (RFC 9112, sections 6.3 and 7.1).
//!
//! Stricter than many clients: lines end in CRLF, sizes are hexadecimal digits and nothing else, and a body that breaks off
//! is an error unless the end of the connection is its end.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

use crate::proxy::fault::Fault;

/// The longest line of a chunk's size with its extensions.
const LONGEST_LINE: usize = 4 * 1024;
/// The most bytes of trailers.
const LARGEST_TRAILERS: usize = 16 * 1024;
/// The most trailers.
const MOST_TRAILERS: usize = 32;

/// What is left of a body.
#[derive(Debug)]
pub(in crate::proxy) enum Framing {
    /// Nothing.
    Ended,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// Whatever comes until the server closes the connection.
    UntilClose,
}

/// Where in a chunked body we are.
#[derive(Debug)]
pub(in crate::proxy) enum Chunk {
    /// Before the size of a chunk.
    Size,
    /// So many bytes of a chunk are still to come.
    Bytes(u64),
    /// Behind the last byte of a chunk, before its line end.
    LineEnd,
    /// Behind the last chunk.
    Trailers,
}

/// What the bytes at hand hold.
pub(super) enum Piece {
    /// The next bytes of the body; never empty.
    Data(Bytes),
    /// Trailers; the body has ended.
    Trailers(HeaderMap),
    /// The body has ended.
    End,
    /// Nothing yet.
    More,
}

impl Framing {
    /// A body in chunks, from its beginning.
    pub(in crate::proxy) fn chunked() -> Self {
        Self::Chunked(Chunk::Size)
    }

    /// A body of known length.
    pub(in crate::proxy) fn sized(length: u64) -> Self {
        match length {
            0 => Self::Ended,
            length => Self::Length(length),
        }
    }

    /// Whether nothing is left.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }

    /// Takes the next piece out of what was read.
    pub(super) fn next(&mut self, read: &mut BytesMut) -> Result<Piece, Fault> {
        match self {
            Self::Ended => Ok(Piece::End),
            Self::UntilClose if read.is_empty() => Ok(Piece::More),
            Self::UntilClose => Ok(Piece::Data(read.split().freeze())),
            Self::Length(left) => {
                let piece = take(read, left);
                if *left == 0 {
                    *self = Self::Ended;
                }
                Ok(piece)
            }
            Self::Chunked(chunk) => {
                let piece = chunk.next(read)?;
                if matches!(piece, Piece::End | Piece::Trailers(_)) {
                    *self = Self::Ended;
                }
                Ok(piece)
            }
        }
    }

    /// The server has closed the connection: an orderly end for one kind of body only.
    pub(super) fn close(&mut self) -> Result<(), Fault> {
        match self {
            Self::Ended => Ok(()),
            Self::UntilClose => {
                *self = Self::Ended;
                Ok(())
            }
            Self::Length(_) | Self::Chunked(_) => Err(Fault::Ended),
        }
    }
}

impl Chunk {
    fn next(&mut self, read: &mut BytesMut) -> Result<Piece, Fault> {
        loop {
            match self {
                Self::Size => {
                    let Some(size) = take_size(read)? else {
                        return Ok(Piece::More);
                    };
                    *self = match size {
                        0 => Self::Trailers,
                        size => Self::Bytes(size),
                    };
                }
                Self::Bytes(left) => {
                    let piece = take(read, left);
                    if *left == 0 {
                        *self = Self::LineEnd;
                    }
                    return Ok(piece);
                }
                Self::LineEnd => match read.get(..2) {
                    None if matches!(**read, [] | [b'\r']) => return Ok(Piece::More),
                    Some(b"\r\n") => {
                        read.advance(2);
                        *self = Self::Size;
                    }
                    _ => return Err(Fault::Chunk),
                },
                Self::Trailers => return take_trailers(read),
            }
        }
    }
}

/// As much as there is of what is left.
fn take(read: &mut BytesMut, left: &mut u64) -> Piece {
    if read.is_empty() {
        return Piece::More;
    }
    let taken = usize::try_from(*left).map_or(read.len(), |left| left.min(read.len()));
    *left -= taken as u64;
    Piece::Data(read.split_to(taken).freeze())
}

/// The size of the next chunk; `None` when its line has not come completely.
fn take_size(read: &mut BytesMut) -> Result<Option<u64>, Fault> {
    let Some(end) = memchr(b'\n', read) else {
        return match read.len() {
            0..=LONGEST_LINE => Ok(None),
            _ => Err(Fault::Chunk),
        };
    };
    let line = read.split_to(end + 1);
    let line = line.strip_suffix(b"\r\n").ok_or(Fault::Chunk)?;
    if line.len() > LONGEST_LINE || memchr(b'\r', line).is_some() {
        return Err(Fault::Chunk);
    }
    // Extensions mean nothing to anybody and are not passed on. Some servers pad the size with blanks.
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
    chunk_size(size.trim_ascii_end())
        .map(Some)
        .ok_or(Fault::Chunk)
}

fn chunk_size(digits: &[u8]) -> Option<u64> {
    // `from_str_radix` alone would take a sign.
    let is_number = (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    u64::from_str_radix(text, 16).ok()
}

fn take_trailers(read: &mut BytesMut) -> Result<Piece, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_TRAILERS];
    let parsed = httparse::parse_headers(read, &mut fields).map_err(Fault::Syntax)?;
    let length = match parsed {
        httparse::Status::Complete((length, _)) => length,
        httparse::Status::Partial => read.len(),
    };
    if length > LARGEST_TRAILERS {
        return Err(Fault::TooLarge {
            limit: LARGEST_TRAILERS,
        });
    }
    let httparse::Status::Complete((_, fields)) = parsed else {
        return Ok(Piece::More);
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        trailers.append(
            name.map_err(|error| Fault::Head(error.into()))?,
            value.map_err(|error| Fault::Head(error.into()))?,
        );
    }
    read.advance(length);
    Ok(match trailers.is_empty() {
        true => Piece::End,
        false => Piece::Trailers(trailers),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    type Start = fn() -> Framing;
    /// Bytes of a body, what is read of them, how many trailers, and what is left over.
    type Whole = (Start, &'static str, &'static str, usize, &'static str);

    /// What a body gives when it comes in pieces of `step` bytes: its bytes, its trailers, and what is left over.
    fn read(
        mut framing: Framing,
        bytes: &[u8],
        step: usize,
    ) -> Result<(Vec<u8>, usize, Vec<u8>), Fault> {
        let (mut body, mut trailers) = (Vec::new(), 0);
        let mut at_hand = BytesMut::new();
        let mut pieces = bytes.chunks(step);
        loop {
            match framing.next(&mut at_hand)? {
                Piece::Data(data) => {
                    assert!(!data.is_empty());
                    body.extend_from_slice(&data);
                }
                Piece::Trailers(fields) => trailers = fields.len(),
                Piece::End => {
                    at_hand.extend(pieces.flatten());
                    return Ok((body, trailers, at_hand.to_vec()));
                }
                Piece::More => match pieces.next() {
                    Some(piece) => at_hand.extend_from_slice(piece),
                    None => framing.close()?,
                },
            }
        }
    }

    #[test]
    fn a_body_is_the_same_however_its_bytes_are_cut() {
        let table: [Whole; 9] = [
            (|| Framing::sized(5), "hello", "hello", 0, ""),
            (
                || Framing::sized(5),
                "hello, and more",
                "hello",
                0,
                ", and more",
            ),
            (|| Framing::sized(0), "more", "", 0, "more"),
            (|| Framing::UntilClose, "all of it", "all of it", 0, ""),
            (Framing::chunked, "0\r\n\r\n", "", 0, ""),
            (
                Framing::chunked,
                "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\nmore",
                "hello!",
                0,
                "more",
            ),
            (
                Framing::chunked,
                "000A  \r\n0123456789\r\n00\r\n\r\n",
                "0123456789",
                0,
                "",
            ),
            (
                Framing::chunked,
                "2;a=b;c=\"d\"\r\nok\r\n0;last\r\n\r\n",
                "ok",
                0,
                "",
            ),
            (
                Framing::chunked,
                "2\r\nok\r\n0\r\nx-sum: 7\r\nx-other: 8\r\n\r\nmore",
                "ok",
                2,
                "more",
            ),
        ];
        for (framing, bytes, body, trailers, left) in table {
            for step in [1, 2, 3, 7, bytes.len()] {
                let read = read(framing(), bytes.as_bytes(), step).unwrap();
                let expected = (body.as_bytes().to_vec(), trailers, left.as_bytes().to_vec());
                assert_eq!(read, expected, "{bytes:?} in pieces of {step}");
            }
        }
    }

    #[test]
    fn a_body_that_breaks_off_or_cannot_be_read_is_an_error() {
        let long_line = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(LONGEST_LINE));
        let many_trailers = format!("0\r\n{}\r\n", "x: y\r\n".repeat(MOST_TRAILERS + 1));
        let large_trailers = format!("0\r\nx: {}\r\n\r\n", "y".repeat(LARGEST_TRAILERS));
        let table: [(Start, &str); 20] = [
            (|| Framing::sized(6), "hello"),
            (Framing::chunked, ""),
            (Framing::chunked, "5\r\nhell"),
            (Framing::chunked, "5\r\nhello\r\n"),
            (Framing::chunked, "5\r\nhello\r\n0\r\n"),
            (Framing::chunked, "5\r\nhello!\r\n0\r\n\r\n"),
            (Framing::chunked, "5\r\nhello\n0\r\n\r\n"),
            (Framing::chunked, "5\nhello\r\n0\r\n\r\n"),
            (Framing::chunked, "\r\nhello\r\n0\r\n\r\n"),
            (Framing::chunked, "-1\r\nhello\r\n0\r\n\r\n"),
            (Framing::chunked, "+5\r\nhello\r\n0\r\n\r\n"),
            (Framing::chunked, "0x5\r\nhello\r\n0\r\n\r\n"),
            (Framing::chunked, " 5\r\nhello\r\n0\r\n\r\n"),
            (Framing::chunked, "5 5\r\nhello\r\n0\r\n\r\n"),
            (Framing::chunked, "10000000000000005\r\nhello\r\n0\r\n\r\n"),
            (Framing::chunked, "5;a\rb\r\nhello\r\n0\r\n\r\n"),
            (Framing::chunked, "2\r\nok\r\n0\r\nno colon\r\n\r\n"),
            (Framing::chunked, &long_line),
            (Framing::chunked, &many_trailers),
            (Framing::chunked, &large_trailers),
        ];
        for (framing, bytes) in table {
            for step in [1, bytes.len().max(1)] {
                let read = read(framing(), bytes.as_bytes(), step);
                assert!(read.is_err(), "{bytes:.60} in pieces of {step}");
            }
        }
    }
}
