//! What may be sent twice.
//!
//! A request whose bytes may have reached a server is sent again only when sending it twice changes nothing
//! (RFC 9110, section 9.2.2) and not one byte of an answer came: a POST is never sent twice.

use http::Method;

use super::error::Error;

/// How an attempt ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There was no connection, so nothing was sent.
    NotConnected,
    /// The server has as many connections as it may, so nothing was sent.
    Full,
    /// The connection was closed before the first byte of the request was written, or the server says that it did not look at
    /// the request (RFC 9113, section 8.7).
    Unsent,
    /// The connection ended after something was written and before the first byte of an answer.
    Silent,
    /// The connection ended, or became unreadable, after the first byte of an answer.
    Begun,
    /// A deadline passed: the server may be working on it.
    Late,
}

impl Outcome {
    /// Of an attempt that ended before it had a connection.
    pub(super) fn without_connection(error: &Error) -> Self {
        match error {
            Error::Full { .. } => Self::Full,
            _ => Self::NotConnected,
        }
    }

    /// One word, for traces.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Full => "full",
            Self::Unsent => "unsent",
            Self::Silent => "silent",
            Self::Begun => "begun",
            Self::Late => "late",
        }
    }
}

/// One failed attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// How it ended.
    pub(super) outcome: Outcome,
    /// The connection had carried a request before: the server may have closed it while we wrote.
    pub(super) reused: bool,
    /// See [`is_repeatable`].
    pub(super) repeatable: bool,
    /// Retries that are left.
    pub(super) left: u32,
    /// There is a server that was not tried yet.
    pub(super) other_server: bool,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The same server on a new connection. Takes no retry: nothing was sent and nothing but our own pool was at fault.
    Reconnect,
    /// The same server on a new connection.
    Repeat,
    /// Another server.
    NextServer,
    /// No more attempts.
    GiveUp,
}

/// Whether sending the request twice does what sending it once does, and we still can.
pub(super) fn is_repeatable(method: &Method, has_body: bool) -> bool {
    let idempotent = matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    );
    idempotent && !has_body
}

/// Decides what follows a failed attempt.
pub(super) fn next(attempt: Attempt) -> Step {
    let may_retry = attempt.left > 0;
    match attempt.outcome {
        Outcome::NotConnected | Outcome::Full if may_retry && attempt.other_server => {
            Step::NextServer
        }
        Outcome::Unsent if attempt.reused => Step::Reconnect,
        Outcome::Unsent if may_retry && attempt.other_server => Step::NextServer,
        Outcome::Unsent if may_retry => Step::Repeat,
        Outcome::Silent if attempt.reused && attempt.repeatable && may_retry => Step::Repeat,
        Outcome::NotConnected
        | Outcome::Full
        | Outcome::Unsent
        | Outcome::Silent
        | Outcome::Begun
        | Outcome::Late => Step::GiveUp,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    const OUTCOMES: [Outcome; 6] = [
        Outcome::NotConnected,
        Outcome::Full,
        Outcome::Unsent,
        Outcome::Silent,
        Outcome::Begun,
        Outcome::Late,
    ];

    fn every_attempt() -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for outcome in OUTCOMES {
            for bits in 0..16_u32 {
                attempts.push(Attempt {
                    outcome,
                    reused: bits & 1 != 0,
                    repeatable: bits & 2 != 0,
                    left: (bits & 4) / 4,
                    other_server: bits & 8 != 0,
                });
            }
        }
        attempts
    }

    /// The whole table, cell by cell: outcome, then (reused, repeatable) as columns for each of (left, other server).
    #[test]
    fn every_cell_of_the_table_is_decided() {
        use Step::{GiveUp as No, NextServer as Other, Reconnect as Free, Repeat as Again};
        // Columns: bits 0 reused, 1 repeatable, 2 retries left, 3 other server.
        let table: [(Outcome, [Step; 16]); 6] = [
            (
                Outcome::NotConnected,
                [
                    No, No, No, No, No, No, No, No, No, No, No, No, Other, Other, Other, Other,
                ],
            ),
            (
                Outcome::Full,
                [
                    No, No, No, No, No, No, No, No, No, No, No, No, Other, Other, Other, Other,
                ],
            ),
            (
                Outcome::Unsent,
                [
                    No, Free, No, Free, Again, Free, Again, Free, No, Free, No, Free, Other, Free,
                    Other, Free,
                ],
            ),
            (
                Outcome::Silent,
                [
                    No, No, No, No, No, No, No, Again, No, No, No, No, No, No, No, Again,
                ],
            ),
            (Outcome::Begun, [No; 16]),
            (Outcome::Late, [No; 16]),
        ];
        let expected: Vec<Step> = table.into_iter().flat_map(|(_, row)| row).collect();
        let decided: Vec<Step> = every_attempt().into_iter().map(next).collect();
        assert_eq!(decided, expected);
    }

    #[test]
    fn what_may_have_arrived_and_is_not_repeatable_is_never_sent_again() {
        for attempt in every_attempt() {
            let may_have_arrived = !matches!(
                attempt.outcome,
                Outcome::NotConnected | Outcome::Full | Outcome::Unsent
            );
            if may_have_arrived && !attempt.repeatable {
                assert_eq!(next(attempt), Step::GiveUp, "{attempt:?}");
            }
        }
    }

    #[test]
    fn only_idempotent_requests_without_body_are_repeatable() {
        let table = [
            ("GET", true),
            ("HEAD", true),
            ("OPTIONS", true),
            ("PUT", true),
            ("DELETE", true),
            ("POST", false),
            ("PATCH", false),
            ("TRACE", false),
            ("CONNECT", false),
            ("get", false),
            ("PURGE", false),
        ];
        for (method, repeatable) in table {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(is_repeatable(&method, false), repeatable, "{method}");
            assert!(!is_repeatable(&method, true), "{method} with a body");
        }
    }
}
