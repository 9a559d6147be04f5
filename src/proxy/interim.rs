//! Interim answers of a server (1xx, but neither 100 nor 101), read off the bytes that hyper skips.
//!
//! hyper's client has a callback for them, but asking for it costs four allocations on each request, for something that is
//! nearly never there. Here every answer costs one look at its first bytes. hyper alone decides what the final answer is; a
//! reader that lost its way passes nothing on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use http::header::{CONTENT_LENGTH, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httparse::{EMPTY_HEADER, Status};

use super::answer;
use super::settings::HeaderEdits;
use super::{InterimSink, PrivateNames};

/// More than so many before one answer are a flood; the rest is dropped.
pub(super) const MOST: u32 = 16;

/// A larger head is dropped, and everything behind it.
const LARGEST: usize = 16 * 1024;

/// What one connection has heard before the answer that is waited for.
#[derive(Debug, Default)]
pub(super) struct Interims {
    /// An answer has not begun yet, and somebody wants to know what comes before it.
    awaited: AtomicBool,
    /// Heads can be taken.
    found: AtomicBool,
    /// Locked for a few lines by one task only, so never contended.
    reader: Mutex<Reader>,
}

/// One interim answer.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// Puts the pieces of heads together.
#[derive(Debug, Default)]
struct Reader {
    partial: Vec<u8>,
    heads: Vec<Head>,
    count: u32,
}

/// What bytes begin with.
enum Beginning {
    /// An interim answer of so many bytes; `None` where nobody needs to know it.
    Interim(usize, Option<Head>),
    /// Not to be said yet.
    Unknown,
    /// The answer itself, or nothing that we understand.
    Final,
}

impl Interims {
    /// A request is sent: what comes next may be interim.
    pub(super) fn expect(&self) {
        self.awaited.store(true, Ordering::Relaxed);
    }

    /// Takes the bytes in the order in which hyper gets them.
    pub(super) fn follow(&self, bytes: &[u8]) {
        if !self.awaited.load(Ordering::Relaxed) {
            return;
        }
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if !reader.follow(bytes) {
            reader.partial = Vec::new();
            reader.count = 0;
            self.awaited.store(false, Ordering::Relaxed);
        }
        self.found
            .store(!reader.heads.is_empty(), Ordering::Relaxed);
    }

    /// The heads that nobody has taken yet, oldest first.
    pub(super) fn take(&self) -> Vec<Head> {
        if !self.found.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut reader.heads)
    }
}

impl Reader {
    /// Says whether the final answer is still to come.
    fn follow(&mut self, bytes: &[u8]) -> bool {
        let joined;
        let mut rest = bytes;
        if !self.partial.is_empty() {
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend_from_slice(bytes);
            joined = partial;
            rest = &joined;
        }
        while !rest.is_empty() {
            match beginning(rest) {
                Beginning::Interim(length, head) => {
                    self.count += 1;
                    if self.count > MOST {
                        return false;
                    }
                    self.heads.extend(head);
                    rest = rest.get(length..).unwrap_or_default();
                }
                Beginning::Unknown if rest.len() <= LARGEST => {
                    self.partial = rest.to_vec();
                    return true;
                }
                Beginning::Unknown | Beginning::Final => return false,
            }
        }
        true
    }
}

fn beginning(bytes: &[u8]) -> Beginning {
    const STATUS: usize = "HTTP/1.1 ".len();
    match bytes.get(STATUS) {
        Some(b'1') => {}
        Some(_) => return Beginning::Final,
        None => return Beginning::Unknown,
    }
    let mut fields = [EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(bytes) {
        Ok(Status::Complete(length)) => match response.code {
            Some(100) => Beginning::Interim(length, None),
            Some(code @ 102..=199) => Beginning::Interim(length, head(code, response.headers)),
            _ => Beginning::Final,
        },
        Ok(Status::Partial) => Beginning::Unknown,
        Err(_) => Beginning::Final,
    }
}

fn head(code: u16, fields: &[httparse::Header<'_>]) -> Option<Head> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(Head {
        status: StatusCode::from_u16(code).ok()?,
        headers,
    })
}

/// Passes a head on without what visitors may not see, and without what only a final answer can say.
pub(super) fn pass_on(
    head: Head,
    sink: &InterimSink<'_>,
    private: &PrivateNames,
    edits: &HeaderEdits,
) {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = head.status;
    parts.headers = head.headers;
    let removals = HeaderEdits {
        remove: edits.remove.clone(),
        set: Vec::new(),
    };
    answer::clean(&mut parts, private, &removals, false);
    for name in [CONTENT_LENGTH, SET_COOKIE, http::header::TRAILER] {
        parts.headers.remove(name);
    }
    sink(parts.status, &parts.headers);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n";
    const FINAL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    /// Status numbers and links heard in the bytes, fed in pieces of one size.
    fn heard(bytes: &str, piece: usize) -> Vec<String> {
        let interims = Interims::default();
        interims.expect();
        let mut heard = Vec::new();
        for piece in bytes.as_bytes().chunks(piece) {
            interims.follow(piece);
            heard.extend(interims.take());
        }
        let text = |head: Head| {
            let links: Vec<_> = head.headers.get_all("link").iter().collect();
            format!("{} {links:?}", head.status.as_u16())
        };
        heard.into_iter().map(text).collect()
    }

    #[test]
    fn interim_answers_are_found_however_the_bytes_arrive() {
        let hints = "103 [\"</a>\", \"</b>\"]".to_owned();
        let processing = "102 []".to_owned();
        let two = format!("HTTP/1.1 102 Processing\r\n\r\n{HINTS}{FINAL}");
        let table = [
            (FINAL.to_owned(), vec![]),
            (format!("{HINTS}{FINAL}"), vec![hints.clone()]),
            (two, vec![processing, hints.clone()]),
            (format!("HTTP/1.1 100 Continue\r\n\r\n{FINAL}"), vec![]),
            (format!("{FINAL}{HINTS}"), vec![]),
            (
                format!("HTTP/1.1 101 Switching Protocols\r\n\r\n{HINTS}"),
                vec![],
            ),
            (HINTS.replace('\r', ""), vec![hints]),
            (HINTS.replace("Link:", "Li\u{e9}nk:"), vec![]),
        ];
        for (bytes, expected) in table {
            for piece in [1, 2, 9, 10, 60, 4096] {
                assert_eq!(heard(&bytes, piece), expected, "{bytes:?} by {piece}");
            }
        }
    }

    #[test]
    fn a_flood_is_cut_at_sixteen() {
        let flood = HINTS.repeat(100) + FINAL;

        assert_eq!(heard(&flood, 4096).len(), 16);
    }

    #[test]
    fn an_endless_head_is_given_up() {
        let endless = "HTTP/1.1 103 Early Hints\r\n".to_owned() + &"a: b\r\n".repeat(50_000);
        let interims = Interims::default();
        interims.expect();

        for piece in endless.as_bytes().chunks(1000) {
            interims.follow(piece);
        }

        assert!(!interims.awaited.load(Ordering::Relaxed));
        assert_eq!(interims.reader.lock().unwrap().partial.capacity(), 0);
    }

    #[test]
    fn what_visitors_may_not_see_is_removed() {
        let fields = "X-Secret: 1\r\nConnection: x-hop\r\nX-Hop: 1\r\nSet-Cookie: a=b\r\nContent-Length: 5\r\nServer: old\r\nLink: </a>\r\n";
        let bytes = format!("HTTP/1.1 103 Early Hints\r\n{fields}\r\n");
        let Beginning::Interim(_, Some(head)) = beginning(bytes.as_bytes()) else {
            panic!("no interim answer");
        };
        let private: PrivateNames = std::sync::Arc::new(|name| name == "x-secret");
        let edits = HeaderEdits {
            remove: vec![http::header::SERVER],
            set: vec![(http::header::VIA, HeaderValue::from_static("us"))],
        };
        let seen = Mutex::new(Vec::new());

        pass_on(
            head,
            &|status, headers| seen.lock().unwrap().push((status, headers.clone())),
            &private,
            &edits,
        );

        let link = (http::header::LINK, HeaderValue::from_static("</a>"));
        let expected = (StatusCode::EARLY_HINTS, HeaderMap::from_iter([link]));
        assert_eq!(seen.into_inner().unwrap(), [expected]);
    }
}
