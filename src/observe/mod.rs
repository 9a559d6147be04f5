//! Logging set-up, masking of people's ids, metrics, access log.

use crate::secret::Secret;

mod access_log;
mod metrics;

pub use access_log::{AccessLog, AccessRecord, Output, QueryDetail};
pub use metrics::{Metrics, RouteMetrics, UpstreamMetrics};

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: tracing::Level,
    /// Text or JSON.
    pub format: Format,
    /// How ids of people appear.
    pub identity: IdentityMask,
    /// `None` switches the access log off.
    pub access_log: Option<AccessLogSettings>,
}

/// Text or JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// How openid and unionid appear in logs.
#[derive(Clone, Debug)]
pub enum IdentityMask {
    /// The first two and the last two characters.
    Masked,
    /// An HMAC with a key of the installation, so that support can find a person again.
    Hash(Secret<String>),
    /// As they are.
    Full,
}

/// Where the access log goes.
#[derive(Clone, Debug)]
pub struct AccessLogSettings {
    /// Standard output or a file.
    pub output: Output,
    /// How much of the query is shown.
    pub query: QueryDetail,
}

impl IdentityMask {
    /// The id as it may appear in a log or on a page.
    pub fn apply(&self, _id: &str) -> String {
        todo!()
    }
}
