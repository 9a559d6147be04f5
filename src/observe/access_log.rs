//! One line per request.

use std::path::PathBuf;

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, opened again on SIGUSR1.
    File(PathBuf),
}

/// How much of the query is shown. `code`, `state`, `ticket` and tokens never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryDetail {
    /// Nothing.
    None,
    /// Only the names.
    Keys,
    /// Names and values.
    Full,
}

/// Everything one line says; the fields of `reference/ux.md` 5.2 that exist today.
#[derive(Debug)]
pub struct AccessRecord {}

/// The log: lines are handed to a thread of its own, in order, and dropped (counted) when it cannot keep up.
#[derive(Debug)]
pub struct AccessLog {}
