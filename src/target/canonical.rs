//! The rules of the canonical form, on plain text.

use super::{EncodedSeparator, EncodedSeparators, LONGEST, Readings, Refusal};

/// What became of a path with escapes or parameters.
pub(super) struct Canonical {
    pub(super) path: String,
    /// `None` where no escape and no parameter is left.
    pub(super) readings: Option<Box<Readings>>,
}

/// Judges path and query. `None`: the path is plain and canonical as it stands.
pub(super) fn read(text: &str) -> Result<Option<Canonical>, Refusal> {
    if !text.starts_with('/') {
        return Err(Refusal::NotAPath);
    }
    if text.len() > LONGEST {
        return Err(Refusal::TooLong);
    }
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if !query.bytes().all(may_stand_in_query) {
        return Err(Refusal::ForbiddenByte);
    }
    let mut plain = true;
    for byte in path.bytes() {
        if !may_stand_in_path(byte) {
            return Err(Refusal::ForbiddenByte);
        }
        plain &= !matches!(byte, b'%' | b';');
    }
    if plain {
        refuse_odd_segments(path)?;
        return Ok(None);
    }
    read_escaped(path).map(Some)
}

fn may_stand_in_path(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'<' | b'>' | b'`')
}

fn may_stand_in_query(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'<' | b'>' | b'"')
}

/// Refuses `//`, `/./` and `/../` in a path whose unreserved characters are decoded.
fn refuse_odd_segments(path: &str) -> Result<(), Refusal> {
    // PERF: such a segment begins with one of these, and nearly no path has one. A path begins with `/`.
    let mut pairs = path.as_bytes().windows(2);
    if !pairs.any(|pair| matches!(pair, b"//" | b"/.")) {
        return Ok(());
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "" if segments.peek().is_some() => return Err(Refusal::EmptySegment),
            "." | ".." => return Err(Refusal::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

fn read_escaped(path: &str) -> Result<Canonical, Refusal> {
    let decoding = decode_once(path.as_bytes())?;
    let decoded = String::from_utf8(decoding.decoded).map_err(|_| Refusal::NotUtf8)?;
    refuse_odd_segments(&decoding.canonical)?;
    refuse_hidden_dots(&decoded)?;
    let without_parameters = cut_parameters(&decoded)?;
    let is_plain = without_parameters.is_none() && decoded == decoding.canonical;
    let readings = Readings {
        decoded,
        without_parameters,
        encoded: decoding.encoded,
    };
    Ok(Canonical {
        path: decoding.canonical,
        readings: (!is_plain).then(|| Box::new(readings)),
    })
}

struct Decoding {
    canonical: String,
    decoded: Vec<u8>,
    encoded: EncodedSeparators,
}

fn decode_once(path: &[u8]) -> Result<Decoding, Refusal> {
    let mut decoding = Decoding {
        canonical: String::with_capacity(path.len()),
        decoded: Vec::with_capacity(path.len()),
        encoded: EncodedSeparators::default(),
    };
    let mut inside_parameter = false;
    let mut rest = path;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let mut byte = first;
        if first == b'%' {
            let &[high, low, ref after @ ..] = after else {
                return Err(Refusal::BrokenEscape);
            };
            byte = escaped(high, low).ok_or(Refusal::BrokenEscape)?;
            rest = after;
            if let Some(separator) = EncodedSeparator::of(byte) {
                // A server that cuts parameters before decoding and one that cuts them after see two different paths.
                if inside_parameter && matches!(byte, b'/' | b'\\') {
                    return Err(Refusal::EncodedSeparator);
                }
                decoding.encoded = decoding.encoded.with(separator);
            }
            decoding.keep_escape(byte, high, low);
        } else {
            decoding.canonical.push(char::from(first));
        }
        decoding.decoded.push(byte);
        inside_parameter = byte == b';' || (inside_parameter && first != b'/');
    }
    Ok(decoding)
}

impl Decoding {
    fn keep_escape(&mut self, byte: u8, high: u8, low: u8) {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            self.canonical.push(char::from(byte));
        } else {
            self.canonical.push('%');
            self.canonical.push(char::from(high.to_ascii_uppercase()));
            self.canonical.push(char::from(low.to_ascii_uppercase()));
        }
    }
}

/// The byte that `%` and two hex digits stand for.
fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    Some(digit(high)? << 4 | digit(low)?)
}

/// Refuses a dot segment that shows up however often somebody decodes, and whatever that program takes for the end of a
/// segment or of its name.
fn refuse_hidden_dots(decoded: &str) -> Result<(), Refusal> {
    let bytes = decode_until_stable(decoded.as_bytes());
    let hidden = bytes
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .any(|segment| {
            let name = segment
                .split(|byte| matches!(byte, b';' | 0 | b'?' | b'#'))
                .next();
            // Some systems drop blanks at the end of a name.
            matches!(name.map(<[u8]>::trim_ascii), Some(b"." | b".."))
        });
    if hidden {
        return Err(Refusal::DotSegment);
    }
    Ok(())
}

/// Decodes until no escape is left, in one pass.
///
/// An escape is replaced as soon as its last digit is there, and the new byte may complete an earlier one. Two escapes never
/// overlap, because `%` is no hex digit, so the order does not matter; and no replacement ever removes a dot or a slash, so the
/// end result shows every dot segment that any number of rounds would show.
fn decode_until_stable(bytes: &[u8]) -> Vec<u8> {
    let mut stable = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        stable.push(byte);
        while let &[.., b'%', high, low] = stable.as_slice() {
            let Some(inner) = escaped(high, low) else {
                break;
            };
            stable.truncate(stable.len() - 3);
            stable.push(inner);
        }
    }
    stable
}

/// The path without `;` and what follows it in each segment; `None` where there is no `;`.
fn cut_parameters(decoded: &str) -> Result<Option<String>, Refusal> {
    if !decoded.contains(';') {
        return Ok(None);
    }
    let mut cut = String::with_capacity(decoded.len());
    let mut segments = decoded.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let name = segment.split(';').next().unwrap_or_default();
        // `/;x/admin` is `//admin` to a server that cuts, which many then read as `/admin`.
        if name.is_empty() && !segment.is_empty() && segments.peek().is_some() {
            return Err(Refusal::EmptySegment);
        }
        cut.push('/');
        cut.push_str(name);
    }
    Ok(Some(cut))
}
