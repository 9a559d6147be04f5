//! What can go wrong between us and WeChat, whose fault it is, and what to do.

/// Why a call failed. Never holds a URL, a code, a token or a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer within the deadline, or no connection.
    #[error("WeChat did not answer within {} ms", .0.as_millis())]
    Timeout(std::time::Duration),
    /// WeChat answered with an error code.
    #[error("WeChat answered errcode {code} ({reference})")]
    Refused {
        /// WeChat's `errcode`.
        code: i64,
        /// The request id out of `errmsg`, for WeChat's support; may be empty.
        reference: String,
    },
}

/// What the caller should do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Try later; nothing is wrong with the visitor or the operator.
    Later,
    /// Begin a new login, bounded by the loop guard.
    Restart,
    /// The operator must fix something; say it loudly, show a neutral page.
    Operator,
    /// Tell the visitor that the account cannot log in.
    Visitor,
    /// The code was used before: a session or a kept outcome beats it, else begin anew.
    CodeUsed,
}
