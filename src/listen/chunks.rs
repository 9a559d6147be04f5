//! Following a chunked body to its end (RFC 9112 7.1).

/// Where in a chunked body we are.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// Bytes of the present chunk, with its line end, still to come.
    left: u64,
    /// The size line or trailer line so far.
    line: Vec<u8>,
    /// The last chunk was seen: lines are trailers.
    is_last: bool,
}

/// No size line or trailer needs more; longer ones lose the scanner.
const LONGEST_LINE: usize = 8 * 1024;

/// What a piece of a body brought.
pub(super) enum Progress<'b> {
    /// The body goes on.
    More,
    /// The body has ended; these bytes follow it.
    Ended(&'b [u8]),
    /// This is no chunked body.
    Lost,
}

impl Chunks {
    /// Takes the next bytes of the body.
    pub(super) fn follow<'b>(&mut self, mut bytes: &'b [u8]) -> Progress<'b> {
        loop {
            let skipped = bytes
                .len()
                .min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                self.line.extend_from_slice(bytes);
                return if self.line.len() > LONGEST_LINE {
                    Progress::Lost
                } else {
                    Progress::More
                };
            };
            let (part, rest) = bytes.split_at(end + 1);
            self.line.extend_from_slice(part);
            bytes = rest;
            let line = std::mem::take(&mut self.line);
            let line = line.trim_ascii_end();
            if self.is_last {
                if line.is_empty() {
                    return Progress::Ended(bytes);
                }
                continue;
            }
            let Some(size) = chunk_size(line) else {
                return Progress::Lost;
            };
            match size {
                0 => self.is_last = true,
                // The chunk's own line end follows it.
                size => self.left = size.saturating_add(2),
            }
        }
    }
}

/// The size of a chunk, its extensions ignored.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let digits = text.split(';').next()?.trim_end();
    u64::from_str_radix(digits, 16).ok()
}
