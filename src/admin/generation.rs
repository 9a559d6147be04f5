//! What one configuration serves, as the status page shows it.

use std::time::SystemTime;

use serde::Serialize;

/// Facts about the present generation, made when it is built. Holds no secret.
#[derive(Clone, Debug, Serialize)]
pub struct Generation {
    /// The configuration file.
    pub file: String,
    /// The first 12 hex digits of its SHA-256.
    pub sha256: String,
    /// When it was taken into use.
    #[serde(skip)]
    pub loaded_at: SystemTime,
    /// Where visitors connect.
    pub listeners: Vec<String>,
    /// Apps.
    pub apps: Vec<AppFacts>,
    /// Routes in matching order.
    pub routes: Vec<RouteFacts>,
    /// Upstreams.
    pub upstreams: Vec<UpstreamFacts>,
}

/// An app.
#[derive(Clone, Debug, Serialize)]
pub struct AppFacts {
    /// The operator's name.
    pub name: String,
    /// Masked.
    pub app_id: String,
}

/// A route.
#[derive(Clone, Debug, Serialize)]
pub struct RouteFacts {
    /// The operator's name.
    pub name: String,
    /// `any` where it says nothing.
    pub host: String,
    /// The pattern, with `=` before an exact path.
    pub path: String,
    /// Who may pass.
    pub auth: &'static str,
    /// Where requests go.
    pub upstream: String,
    /// Since the start of the process.
    pub requests: u64,
    /// Refused to people who are logged in.
    pub denied: u64,
    /// Of both, those of the last five minutes.
    pub requests_5m: u64,
    /// See `requests_5m`.
    pub denied_5m: u64,
}

/// An upstream.
#[derive(Clone, Debug, Serialize)]
pub struct UpstreamFacts {
    /// The operator's name.
    pub name: String,
    /// Its servers.
    pub servers: Vec<ServerFacts>,
    /// Requests without an answer, since the start of the process.
    pub errors: u64,
}

/// A server of an upstream.
#[derive(Clone, Debug, Serialize)]
pub struct ServerFacts {
    /// `host:port`, as in the metrics.
    pub name: String,
    /// Whether requests are sent to it.
    pub healthy: bool,
    /// Answers since the start of the process.
    pub answers: u64,
}
