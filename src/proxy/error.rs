//! Why a request got no answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::answer::Unusable;
use super::fault::Fault;
use super::tls::TlsFault;
use crate::message::BodyError;

/// Why a request could not be forwarded. The upstream's name is for the log; nothing of this is told to visitors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Every server had failed before, and failed again now: 503. Never said of an upstream with one server.
    #[error("no server of upstream `{upstream}` can be reached")]
    NoServer {
        /// The upstream's name.
        upstream: String,
        /// What the system said last.
        #[source]
        source: io::Error,
    },
    /// Health checks have found every server ill, so none was asked: 503.
    #[error("no server of upstream `{upstream}` is well")]
    AllIll {
        /// The upstream's name.
        upstream: String,
    },
    /// As many connections to a server as it may have are in use, and none became free: 503.
    #[error("every connection to upstream `{upstream}` is in use, for {} ms", .after.as_millis())]
    Full {
        /// The upstream's name.
        upstream: String,
        /// How long was waited.
        after: Duration,
    },
    /// No connection to any server that was tried: 502.
    #[error("no connection to upstream `{upstream}`")]
    Connect {
        /// The upstream's name.
        upstream: String,
        /// What the system said last.
        #[source]
        source: io::Error,
    },
    /// No safe connection to the last server that was tried: 502.
    #[error("no TLS with `{server}` of upstream `{upstream}`: {fault}")]
    Tls {
        /// The upstream's name.
        upstream: String,
        /// The server's name.
        server: Arc<str>,
        /// Whose fault it is.
        fault: TlsFault,
        /// What the TLS library says.
        #[source]
        source: io::Error,
    },
    /// The last server that was tried did not answer to connecting: 504.
    #[error("no connection to upstream `{upstream}` within {} ms", .after.as_millis())]
    ConnectTimeout {
        /// The upstream's name.
        upstream: String,
        /// The deadline.
        after: Duration,
    },
    /// The server did not begin to answer, or took no more of the request's body: 504.
    #[error("no answer from upstream `{upstream}` within {} ms", .after.as_millis())]
    HeadTimeout {
        /// The upstream's name.
        upstream: String,
        /// The deadline.
        after: Duration,
    },
    /// The connection broke before the answer's head was complete, or the head is no HTTP or too large: 502.
    #[error("connection to upstream `{upstream}` broke")]
    Broken {
        /// The upstream's name.
        upstream: String,
        /// How.
        #[source]
        source: Fault,
    },
    /// The answer cannot be passed on safely: 502.
    #[error("answer of upstream `{upstream}` is unusable")]
    Unusable {
        /// The upstream's name.
        upstream: String,
        /// Why.
        #[source]
        source: Unusable,
    },
    /// The client's body ended early, is too large or stalled: 400, 413 or 408. The server has seen a broken request at most.
    #[error("request body could not be forwarded")]
    RequestBody(#[source] BodyError),
}
