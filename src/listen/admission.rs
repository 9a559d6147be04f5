//! What is wrong with a raw request head although hyper can parse it.
//!
//! hyper repairs some messages in silence: it drops `Content-Length` beside `Transfer-Encoding`, joins two equal lengths, takes
//! bare line feeds and cuts `#fragment` off the target. In front of old applications each of these is a way to make two
//! programs read one message differently, so they are refused (RFC 9112 2.2, 3.2, 6.1, 6.3). hyper alone decides the framing; this
//! scanner follows it only to find the next head, and a scanner that lost its way can refuse but never admit more.

use std::collections::VecDeque;

use memchr::{memchr, memmem};

use super::chunks::{Chunks, Progress};

/// A reason to refuse a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// `Content-Length` beside `Transfer-Encoding`.
    TwoFramings,
    /// More than one `Content-Length` or `Transfer-Encoding` line.
    RepeatedFraming,
    /// More than one `Host` line.
    RepeatedHost,
    /// A line that ends in a line feed alone.
    BareLineFeed,
    /// `#` in the target.
    Fragment,
    /// HTTP/2: a field about the connection, which it does not have.
    ConnectionField,
    /// HTTP/2: a value with blanks around it, which HTTP/1.1 would not keep.
    UntrimmedValue,
    /// HTTP/2: more fields than allowed.
    TooManyFields,
}

/// Follows the bytes of one connection and remembers flawed heads.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    state: State,
    /// A head of which only a part has come.
    partial: Vec<u8>,
    heads: u64,
    flaws: VecDeque<(u64, Flaw)>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// So many bytes of a sized body are still to come.
    Sized(u64),
    Chunked(Chunks),
    /// The framing cannot be followed: hyper refuses the message or closes after it, or the connection has become a tunnel.
    Lost,
}

impl Scanner {
    /// Takes the bytes in the order in which hyper gets them. `limit` is the largest head.
    pub(super) fn follow(&mut self, mut bytes: &[u8], limit: usize) {
        while !bytes.is_empty() {
            bytes = match &mut self.state {
                State::Head => self.follow_head(bytes, limit),
                State::Sized(left) => {
                    let taken = bytes
                        .len()
                        .min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= taken as u64;
                    if *left == 0 {
                        self.state = State::Head;
                    }
                    bytes.get(taken..).unwrap_or_default()
                }
                State::Chunked(chunks) => match chunks.follow(bytes) {
                    Progress::More => &[],
                    Progress::Ended(rest) => {
                        self.state = State::Head;
                        rest
                    }
                    Progress::Lost => {
                        self.state = State::Lost;
                        &[]
                    }
                },
                State::Lost => &[],
            };
        }
    }

    /// No head will come any more: what follows is not HTTP.
    pub(super) fn finish(&mut self) {
        self.partial = Vec::new();
        self.state = State::Lost;
    }

    /// Whether a head that was not asked about has a flaw.
    pub(super) fn has_flaws(&self) -> bool {
        !self.flaws.is_empty()
    }

    /// The flaw of the `index`th head (from 0); asked once per request, in order.
    pub(super) fn flaw_of(&mut self, index: u64) -> Option<Flaw> {
        while let Some((head, flaw)) = self.flaws.front().copied() {
            if head > index {
                return None;
            }
            self.flaws.pop_front();
            if head == index {
                return Some(flaw);
            }
        }
        None
    }

    /// How many requests have come; `None` when a part of the last one has not.
    pub(super) fn whole_requests(&self) -> Option<u64> {
        let is_between = matches!(self.state, State::Head) && self.partial.is_empty();
        is_between.then_some(self.heads)
    }

    fn follow_head<'b>(&mut self, bytes: &'b [u8], limit: usize) -> &'b [u8] {
        if self.partial.is_empty() {
            // Line ends before a request line are skipped, as hyper does.
            let blank = bytes
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'));
            let bytes = bytes.get(blank.count()..).unwrap_or_default();
            let Some((end, facts)) = Facts::of_head(bytes) else {
                self.partial.extend_from_slice(bytes);
                return &[];
            };
            self.judge(facts);
            return bytes.get(end..).unwrap_or_default();
        }
        let before = self.partial.len();
        self.partial.extend_from_slice(bytes);
        let whole = has_empty_line(&self.partial, before).then(|| Facts::of_head(&self.partial));
        match whole.flatten() {
            Some((end, facts)) => {
                self.partial = Vec::new();
                self.judge(facts);
                bytes.get(end.saturating_sub(before)..).unwrap_or_default()
            }
            None => {
                if self.partial.len() > limit {
                    self.finish();
                }
                &[]
            }
        }
    }

    fn judge(&mut self, facts: Facts) {
        if let Some(flaw) = facts.flaw {
            self.flaws.push_back((self.heads, flaw));
        }
        self.heads += 1;
        self.state = match (facts.is_chunked, facts.length) {
            (true, _) => State::Chunked(Chunks::default()),
            (false, Length::None | Length::Of(0)) => State::Head,
            (false, Length::Of(length)) => State::Sized(length),
            (false, Length::Unreadable) => State::Lost,
        };
    }
}

/// Whether there is an empty line that ends behind the first `seen` bytes. Without this, a head that drips in would be read from its
/// beginning for each of its bytes.
fn has_empty_line(head: &[u8], seen: usize) -> bool {
    let new = head.get(seen.saturating_sub(2)..).unwrap_or_default();
    memmem::find(new, b"\n\r\n").is_some() || memmem::find(new, b"\n\n").is_some()
}

/// What one head says about framing.
struct Facts {
    flaw: Option<Flaw>,
    is_chunked: bool,
    length: Length,
}

#[derive(Clone, Copy)]
enum Length {
    None,
    Of(u64),
    Unreadable,
}

impl Facts {
    /// Reads a head in one pass; where it ends, or `None` when its empty line has not come.
    fn of_head(bytes: &[u8]) -> Option<(usize, Self)> {
        let mut facts = Self {
            flaw: None,
            is_chunked: false,
            length: Length::None,
        };
        let mut counts = Counts::default();
        let mut from = 0;
        loop {
            let rest = bytes.get(from..)?;
            let end = memchr(b'\n', rest)?;
            let line = rest.get(..end)?;
            let line = match line.split_last() {
                Some((b'\r', line)) => line,
                _ => {
                    facts.flaw = Some(Flaw::BareLineFeed);
                    line
                }
            };
            if from == 0 {
                if memchr(b'#', line).is_some() {
                    facts.flaw = Some(Flaw::Fragment);
                }
            } else if line.is_empty() {
                facts.flaw = facts.flaw.or_else(|| counts.flaw());
                return Some((from + end + 1, facts));
            } else {
                facts.note(line, &mut counts);
            }
            from += end + 1;
        }
    }

    fn note(&mut self, line: &[u8], counts: &mut Counts) {
        match line.first() {
            Some(b'c' | b'C') => {
                if let Some(value) = field(line, b"content-length") {
                    counts.lengths += 1;
                    let value = std::str::from_utf8(value).map(|text| text.trim().parse());
                    self.length = match value {
                        Ok(Ok(length)) => Length::Of(length),
                        _ => Length::Unreadable,
                    };
                }
            }
            Some(b't' | b'T') if field(line, b"transfer-encoding").is_some() => {
                counts.encodings += 1;
                self.is_chunked = true;
            }
            Some(b'h' | b'H') if field(line, b"host").is_some() => counts.hosts += 1,
            _ => {}
        }
    }
}

/// How often a field stands in a head.
#[derive(Default)]
struct Counts {
    lengths: u32,
    encodings: u32,
    hosts: u32,
}

impl Counts {
    fn flaw(&self) -> Option<Flaw> {
        match (self.lengths, self.encodings, self.hosts) {
            (1.., 1.., _) => Some(Flaw::TwoFramings),
            (2.., _, _) | (_, 2.., _) => Some(Flaw::RepeatedFraming),
            (_, _, 2..) => Some(Flaw::RepeatedHost),
            _ => None,
        }
    }
}

/// The value of a header line with this lower-case name.
fn field<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    /// Feeds the bytes in pieces of each size and returns the flaws of the first two heads.
    fn flaws(bytes: &str, piece: usize) -> [Option<Flaw>; 2] {
        let mut scanner = Scanner::default();
        for piece in bytes.as_bytes().chunks(piece) {
            scanner.follow(piece, 32 * 1024);
        }
        [scanner.flaw_of(0), scanner.flaw_of(1)]
    }

    #[test]
    fn each_flaw_is_found_however_the_bytes_arrive() {
        let table = [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", None),
            (
                "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
                Some(Flaw::BareLineFeed),
            ),
            ("GET / HTTP/1.1\nHost: a\n\n", Some(Flaw::BareLineFeed)),
            ("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", Some(Flaw::Fragment)),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nHOST: b\r\n\r\n",
                Some(Flaw::RepeatedHost),
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-length: 5\r\n\r\nabcde",
                Some(Flaw::RepeatedFraming),
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                Some(Flaw::RepeatedFraming),
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                Some(Flaw::TwoFramings),
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
                Some(Flaw::TwoFramings),
            ),
        ];
        for (bytes, flaw) in table {
            for piece in [1, 2, 3, 7, 4096] {
                assert_eq!(
                    flaws(bytes, piece)[0],
                    flaw,
                    "{bytes:?} in pieces of {piece}"
                );
            }
        }
    }

    #[test]
    fn the_next_head_is_found_behind_every_kind_of_body() {
        let bad = "\r\nGET /#second HTTP/1.1\r\nHost: a\r\n\r\n";
        let bodies = [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nGET / #\r\n\r\n\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\n#\r\n\r\n\r\n1\r\na\r\n0\r\nTrailer: #\r\n\r\n",
        ];
        for body in bodies {
            for piece in [1, 5, 4096] {
                let found = flaws(&format!("{body}{bad}"), piece);
                assert_eq!(
                    found,
                    [None, Some(Flaw::Fragment)],
                    "{body:?} in pieces of {piece}"
                );
            }
        }
    }

    #[test]
    fn an_endless_head_is_not_kept() {
        let mut scanner = Scanner::default();
        for _ in 0..1000 {
            scanner.follow(&[b'a'; 1000], 32 * 1024);
        }
        assert!(scanner.partial.capacity() < 80 * 1024);
        assert_eq!(scanner.flaw_of(0), None);
    }

    /// hyper does not parse a head again for each of its bytes either.
    #[test]
    fn a_head_that_drips_in_costs_no_more_than_its_length() {
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
        head.extend(b"a:b\r\n".repeat(12_000));
        head.extend(b"\r\n");
        let began = std::time::Instant::now();

        let mut scanner = Scanner::default();
        for byte in &head {
            scanner.follow(std::slice::from_ref(byte), 64 * 1024);
        }

        assert_eq!(scanner.whole_requests(), Some(1));
        // Reading all of it anew for each byte takes a minute.
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn flaws_are_told_to_the_request_they_belong_to() {
        let mut scanner = Scanner::default();
        let good = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let bad = b"GET /# HTTP/1.1\r\nHost: a\r\n\r\n";
        for head in [good.as_slice(), bad, good, bad] {
            scanner.follow(head, 1000);
        }
        let found: Vec<bool> = (0..4)
            .map(|index| scanner.flaw_of(index).is_some())
            .collect();
        assert_eq!(found, [false, true, false, true]);
        assert!(std::str::from_utf8(bad).unwrap().contains('#'));
    }
}
