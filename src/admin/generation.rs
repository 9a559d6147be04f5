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
    /// What those with TLS show.
    pub certificates: Vec<CertificateFacts>,
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
    /// Its app-wide tokens that were fetched.
    pub tokens: Vec<TokenFacts>,
    /// What WeChat last refused or did not answer.
    pub last_error: Option<WechatErrorFacts>,
}

/// An app-wide token.
#[derive(Clone, Debug, Serialize)]
pub struct TokenFacts {
    /// `access` or `jsapi_ticket`.
    pub token: String,
    /// When it expires.
    pub expires: String,
}

/// A call that WeChat did not answer well.
#[derive(Clone, Debug, Serialize)]
pub struct WechatErrorFacts {
    /// When.
    pub at: String,
    /// Which call.
    pub endpoint: &'static str,
    /// `errcode`, `http` or `timeout`.
    pub result: &'static str,
    /// WeChat's `errcode`, where it sent one.
    pub errcode: Option<i64>,
}

/// A certificate that a listener shows.
#[derive(Clone, Debug, Serialize)]
pub struct CertificateFacts {
    /// The listener's address.
    pub listener: String,
    /// The first name in it.
    pub subject: String,
    /// When it ends.
    pub ends: String,
    /// Whole days until then; less than 0 where that is over.
    pub days_left: i64,
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
