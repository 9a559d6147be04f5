//! The one canonical request target; what is refused; safe return addresses.
//!
//! A target is parsed once. Routes judge [`Target::decoded_path`] and [`Target::path_without_parameters`]; the upstream gets
//! [`Target::as_path_and_query`]. Whatever could be read in two ways by two programs is refused here, so both are the same
//! place. Paths are case-sensitive; the query is never judged and forwarded byte for byte.

use std::borrow::Cow;
use std::fmt;

use http::uri::PathAndQuery;

mod canonical;
mod return_address;

#[cfg(test)]
mod tests;

pub use return_address::return_address;

/// The longest target that the `http` crate can hold.
const LONGEST: usize = u16::MAX as usize - 1;

/// Why a request target is refused with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither a path nor an absolute address.
    #[error("target is not a path")]
    NotAPath,
    /// Longer than 65534 bytes.
    #[error("target is too long")]
    TooLong,
    /// A raw `#`, backslash, blank, control byte or byte over 0x7e; in the path also `<`, `>` and the backtick, in the query
    /// also `<`, `>` and `"`, which no browser sends raw and the `http` crate cannot hold.
    #[error("target holds a forbidden byte")]
    ForbiddenByte,
    /// A `%` in the path that two hex digits do not follow.
    #[error("target holds a broken percent escape")]
    BrokenEscape,
    /// The decoded path is not UTF-8: overlong forms, surrogates, other character sets.
    #[error("target holds escapes that are not utf-8")]
    NotUtf8,
    /// `.` or `..` as a segment, plain, encoded, doubly encoded, or followed by `;`.
    #[error("target holds a dot segment")]
    DotSegment,
    /// `//` in the path, or a segment that only a `;` parameter keeps from being empty.
    #[error("target holds an empty segment")]
    EmptySegment,
    /// `%2f`, `%5c`, `%00`, `%23` or `%3f` in the path, and the route does not allow it; or `%2f` or `%5c` inside a `;` parameter.
    #[error("target holds an encoded separator")]
    EncodedSeparator,
}

/// An escape that two programs may read differently; a route may allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedSeparator {
    /// `%2f`
    Slash,
    /// `%5c`
    Backslash,
    /// `%00`
    Nul,
    /// `%23`
    Hash,
    /// `%3f`
    QuestionMark,
}

impl EncodedSeparator {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            b'/' => Some(Self::Slash),
            b'\\' => Some(Self::Backslash),
            0 => Some(Self::Nul),
            b'#' => Some(Self::Hash),
            b'?' => Some(Self::QuestionMark),
            _ => None,
        }
    }
}

/// A set of [`EncodedSeparator`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodedSeparators(u8);

impl EncodedSeparators {
    /// This set and one more.
    pub fn with(self, separator: EncodedSeparator) -> Self {
        Self(self.0 | 1 << separator as u8)
    }

    /// Whether everything in `self` is also in `allowed`.
    pub fn within(self, allowed: Self) -> bool {
        self.0 & !allowed.0 == 0
    }
}

/// A request target that was parsed once. What is judged is what is sent upstream, byte for byte.
///
/// Cheap to clone. A path without `%` and `;` costs no allocation beyond the text itself. `{:?}` hides the query, which may
/// carry codes and tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    path_and_query: PathAndQuery,
    /// Empty where the path has neither `%` nor `;`: then every reading is the path itself.
    readings: Option<Box<Readings>>,
}

/// How other programs may read a path with escapes or parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Readings {
    decoded: String,
    without_parameters: Option<String>,
    encoded: EncodedSeparators,
}

impl Target {
    /// Parses the target of a request line: origin-form, or the path and query of an absolute form whose authority was checked
    /// by the caller. Escapes of unreserved characters are decoded and hex digits raised, once; nothing else changes.
    ///
    /// Copies the text; [`from_path_and_query`](Self::from_path_and_query) does not.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let readings = canonical::read(text)?;
        Self::assemble(text, readings, || PathAndQuery::try_from(text))
    }

    /// Like [`parse`](Self::parse), sharing the memory of a request that the `http` crate has parsed already.
    ///
    /// That crate cuts a fragment off without a word, so a raw `#` is gone before it can be refused here.
    pub fn from_path_and_query(given: &PathAndQuery) -> Result<Self, Refusal> {
        let readings = canonical::read(given.as_str())?;
        Self::assemble(given.as_str(), readings, || Ok(given.clone()))
    }

    fn assemble(
        text: &str,
        canonical: Option<canonical::Canonical>,
        unchanged: impl FnOnce() -> Result<PathAndQuery, http::uri::InvalidUri>,
    ) -> Result<Self, Refusal> {
        let Some(canonical) = canonical else {
            return Ok(Self {
                // Every byte was checked, so only a mistake of ours can fail here; it fails closed.
                path_and_query: unchanged().map_err(|_| Refusal::ForbiddenByte)?,
                readings: None,
            });
        };
        let path_and_query = match text.find('?') {
            None => PathAndQuery::try_from(canonical.path),
            Some(question_mark) => PathAndQuery::try_from(canonical.path + &text[question_mark..]),
        };
        Ok(Self {
            path_and_query: path_and_query.map_err(|_| Refusal::ForbiddenByte)?,
            readings: canonical.readings,
        })
    }

    /// Path and query as they go upstream.
    pub fn as_str(&self) -> &str {
        self.path_and_query.as_str()
    }

    /// Path and query as they go upstream, for a request under construction.
    pub fn as_path_and_query(&self) -> &PathAndQuery {
        &self.path_and_query
    }

    /// The path as it goes upstream.
    pub fn path(&self) -> &str {
        self.path_and_query.path()
    }

    /// The query without `?`.
    pub fn query(&self) -> Option<&str> {
        self.path_and_query.query()
    }

    /// The path that routes judge: every remaining escape decoded. Always borrowed.
    pub fn decoded_path(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.decoded())
    }

    /// The decoded path with all `;` parameters cut off; `None` where there are none. Judged too: the stricter reading wins.
    pub fn path_without_parameters(&self) -> Option<&str> {
        self.readings.as_ref()?.without_parameters.as_deref()
    }

    /// Encoded separators in the path, which the route must allow.
    pub fn encoded_separators(&self) -> EncodedSeparators {
        self.readings
            .as_ref()
            .map_or_else(EncodedSeparators::default, |readings| readings.encoded)
    }

    /// Whether the path is `prefix` or lies below it by whole segments, in any reading. `prefix` begins with `/` and does not end
    /// with it. For endpoints of our own, which nothing may reach by another spelling.
    pub fn is_below(&self, prefix: &str) -> bool {
        let below = |path: &str| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        below(self.decoded()) || self.path_without_parameters().is_some_and(below)
    }

    fn decoded(&self) -> &str {
        match &self.readings {
            None => self.path(),
            Some(readings) => &readings.decoded,
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = self.query().map(|_| "…");
        formatter
            .debug_struct("Target")
            .field("path", &self.path())
            .field("query", &query)
            .finish()
    }
}
