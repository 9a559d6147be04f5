//! Which names a client's fields may not have because we set them.

use http::HeaderName;

use super::origin::may_be_origin;

/// What the names that we set or a route edits have in common.
///
/// PERF: it lets nearly every field of a client, and all of ours about the origin, go by without comparing names one by one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    /// Bit n is set when one of them begins with the byte n.
    first: u128,
    /// One of them may be a field about the origin.
    pub(super) origin: bool,
}

impl Taken {
    /// One more name.
    pub(super) fn add(&mut self, name: &HeaderName) {
        self.first |= first_byte(name.as_str());
        self.origin |= may_be_origin(name.as_str());
    }

    /// The names of the fields about the origin, which are always set.
    pub(super) fn add_origin(&mut self) {
        self.first |= first_byte(super::origin::X_FORWARDED_FOR);
    }

    /// Whether it may be one of the names; if not, it is none of them for certain.
    pub(super) fn may_hold(&self, name: &str) -> bool {
        self.first & first_byte(name) != 0
    }
}

/// A bit for the first byte of a name; names are ASCII.
fn first_byte(name: &str) -> u128 {
    let first = name.as_bytes().first().copied().unwrap_or_default();
    1 << (first & 0x7f)
}
