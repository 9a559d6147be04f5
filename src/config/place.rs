//! Where a value stands in the file, and what it is called.

use std::ops::Range;

/// A key and its bytes in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Like `routes.admin.upstream`.
    pub(super) key: String,
    /// The bytes of the value; for an absent key those of the table it would stand in.
    pub(super) span: Range<usize>,
}

impl Place {
    /// The file as a whole.
    pub(super) fn root() -> Self {
        Self {
            key: String::new(),
            span: 0..0,
        }
    }

    /// A key below this one.
    pub(super) fn key(&self, key: &str, span: Range<usize>) -> Self {
        let key = if self.key.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.key)
        };
        Self { key, span }
    }

    /// An element of this array.
    pub(super) fn element(&self, position: usize, span: Range<usize>) -> Self {
        let key = format!("{}[{position}]", self.key);
        Self { key, span }
    }
}
