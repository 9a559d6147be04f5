//! Every metric, named and described once. Labels come from the configuration or from closed sets.

use std::time::{Duration, SystemTime};

/// All families. Handles that the hot path needs are resolved once per configuration.
#[derive(Debug)]
pub struct Metrics {}

/// The handles of one route.
#[derive(Debug)]
pub struct RouteMetrics {}

/// The handles of one upstream.
#[derive(Debug)]
pub struct UpstreamMetrics {}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All families at zero.
    pub fn new() -> Self {
        Self {}
    }

    /// In OpenMetrics text.
    pub fn encode(&self) -> String {
        String::new()
    }

    /// A call to WeChat: `result` is `ok`, `errcode`, `http` or `timeout`; unknown error codes count as `other`.
    pub fn wechat_call(
        &self,
        _app: &str,
        _endpoint: &'static str,
        _result: &'static str,
        _errcode: Option<i64>,
        _took: Duration,
    ) {
    }

    /// A visitor was sent to WeChat: `method` is `base` or `userinfo`.
    pub fn login_started(&self, _app: &str, _method: &'static str) {}

    /// A callback was judged: `result` is `ok`, `cancelled`, `state_missing`, `code_used`, `wechat_error`, `snapshot`,
    /// `expired` or `denied`.
    pub fn login_finished(
        &self,
        _app: &str,
        _method: &'static str,
        _result: &'static str,
        _took: Option<Duration>,
    ) {
    }

    /// A callback came again and was answered from memory or from the session.
    pub fn callback_replayed(&self, _app: &str) {}

    /// The loop guard stopped a chain: `cause` is the page's code.
    pub fn login_loop_stopped(&self, _cause: &'static str) {}

    /// A rate limit refused: `rule` is the key of `[rate_limit]`.
    pub fn rate_limited(&self, _rule: &'static str) {}

    /// A client sent a header that only we may set: `kind` is `identity` or `reserved`.
    pub fn header_stripped(&self, _kind: &'static str) {}

    /// A session began.
    pub fn session_created(&self, _app: &str) {}

    /// A session ended: `reason` is `logout`, `logout_everywhere` or `application`.
    pub fn session_ended(&self, _reason: &'static str) {}

    /// A token was signed.
    pub fn jwt_signed(&self, _algorithm: &'static str) {}

    /// A configuration was loaded, or not.
    pub fn config_loaded(&self, _worked: bool, _now: SystemTime) {}
}
