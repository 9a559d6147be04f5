//! An error and everything that led to it, in one line.

use std::error::Error;
use std::fmt;

/// Shows an error and its sources, the outermost first. Log formats differ in whether they follow sources; this is the same
/// in all of them.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'e>(pub &'e dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, formatter)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(formatter, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no answer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn every_source_is_named() {
        let error = Outer(io::Error::other("cable is cut"));

        assert_eq!(Chain(&error).to_string(), "no answer: cable is cut");
    }
}
