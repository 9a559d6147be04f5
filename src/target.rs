//! The one canonical request target; what is refused; safe return addresses.

use std::borrow::Cow;

/// Why a request target is refused with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither a path nor an absolute address.
    #[error("target is not a path")]
    NotAPath,
    /// A raw `#`, backslash, blank, control byte or byte over 0x7e.
    #[error("target holds a forbidden byte")]
    ForbiddenByte,
    /// A `%` that two hex digits do not follow.
    #[error("target holds a broken percent escape")]
    BrokenEscape,
    /// `.` or `..` as a segment, plain, encoded, doubly encoded, or followed by `;`.
    #[error("target holds a dot segment")]
    DotSegment,
    /// `//` in the path.
    #[error("target holds an empty segment")]
    EmptySegment,
    /// `%2f`, `%5c`, `%00`, `%23` or `%3f` in the path, and the route does not allow it.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {}

impl Target {
    /// Parses the target of a request line: origin-form, or the path and query of an absolute form whose authority was checked
    /// by the caller. Escapes of unreserved characters are decoded and hex digits raised, once; nothing else changes.
    pub fn parse(_text: &str) -> Result<Self, Refusal> {
        todo!()
    }

    /// Path and query as they go upstream.
    pub fn as_str(&self) -> &str {
        todo!()
    }

    /// The path as it goes upstream.
    pub fn path(&self) -> &str {
        todo!()
    }

    /// The query without `?`.
    pub fn query(&self) -> Option<&str> {
        todo!()
    }

    /// The path that routes judge: every remaining escape decoded.
    pub fn decoded_path(&self) -> Cow<'_, str> {
        todo!()
    }

    /// The decoded path with all `;` parameters cut off; `None` where there are none. Judged too: the stricter reading wins.
    pub fn path_without_parameters(&self) -> Option<String> {
        todo!()
    }

    /// Encoded separators in the path, which the route must allow.
    pub fn encoded_separators(&self) -> EncodedSeparators {
        todo!()
    }
}

/// Reads a return address like a browser would and keeps it only when it is a path of ours.
///
/// Tabs and line ends are removed and `\` counts as `/` before judging. A path on the same host, or an absolute address on a host
/// for which `is_ours` says yes, is kept as (host if absolute, path and query); the fragment is dropped. Anything else: `None`.
pub fn return_address(
    _text: &str,
    _is_ours: impl Fn(&str) -> bool,
) -> Option<(Option<String>, String)> {
    todo!()
}
