//! How a connection to a server broke.

use std::io;

/// How a connection to a server broke, or why what it said is no HTTP.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Reading failed: a reset, mostly.
    #[error("connection broke")]
    Reset(#[source] io::Error),
    /// The server closed the connection in the middle of an answer, or before one.
    #[error("connection ended too early")]
    Ended,
    /// The head or a trailer cannot be read.
    #[error("answer is no http")]
    Syntax(#[source] httparse::Error),
    /// The status, a name or a value in the head is none that HTTP has.
    #[error("head holds what http does not allow")]
    Head(#[source] http::Error),
    /// The head or the trailers are longer than we read.
    #[error("head is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes we read.
        limit: usize,
    },
    /// The body is not in chunks although the head says so.
    #[error("chunk cannot be read")]
    Chunk,
    /// More interim answers came than a server has reason to send.
    #[error("more than {limit} interim answers")]
    Interim {
        /// The most that are skipped.
        limit: u32,
    },
    /// How a stream of HTTP/2, or the connection below it, broke.
    #[error("http/2: {0}")]
    Http2(#[source] h2::Error),
    /// What hyper says of a connection that it speaks on.
    #[error(transparent)]
    Hyper(#[from] hyper::Error),
}

impl Fault {
    /// Whether the server spoke, but not as HTTP wants it.
    pub(super) fn is_protocol(&self) -> bool {
        match self {
            Self::Reset(_) | Self::Ended => false,
            Self::Syntax(_)
            | Self::Head(_)
            | Self::TooLarge { .. }
            | Self::Chunk
            | Self::Interim { .. } => true,
            // What the server did against the rules; a reset by it is within them.
            Self::Http2(error) => error.is_library(),
            Self::Hyper(error) => error.is_parse(),
        }
    }
}
