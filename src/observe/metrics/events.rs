//! What happens seldom enough to look its series up: logins, calls to WeChat, sessions, refusals.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::super::failures::WechatFailure;
use super::{Counters, Metrics, label};

/// WeChat's error codes that get a series of their own; from the table of codes that the client reacts to.
const KNOWN_ERROR_CODES: &[i64] = &[
    -1, 40001, 40003, 40013, 40014, 40029, 40030, 40066, 40125, 40163, 40164, 40226, 40243, 41001,
    41002, 41003, 41004, 41008, 41009, 42001, 42002, 42003, 42007, 43004, 45009, 45011, 48001,
    48004, 50001, 50002, 50005, 61003, 61004,
];

impl Metrics {
    /// A call to WeChat: `result` is `ok`, `errcode`, `http` or `timeout`; unknown error codes count as `other`.
    pub fn wechat_call(
        &self,
        app: &str,
        endpoint: &'static str,
        result: &'static str,
        errcode: Option<i64>,
        took: Duration,
    ) {
        if result != "ok" {
            let at = Instant::now();
            let failure = WechatFailure {
                at,
                endpoint,
                result,
                errcode,
            };
            self.failures.set_wechat(app, failure);
        }
        let errcode = match errcode {
            None => "none".into(),
            Some(code) if KNOWN_ERROR_CODES.contains(&code) => code.to_string().into(),
            Some(_) => "other".into(),
        };
        let labels = vec![
            label("app", app),
            ("endpoint", endpoint.into()),
            ("result", result.into()),
            ("errcode", errcode),
        ];
        self.wechat_requests.get_or_create_owned(&labels).inc();
        self.wechat_durations
            .get_or_create_owned(&vec![("endpoint", endpoint.into())])
            .observe_duration(took);
    }

    /// An app-wide token was fetched, or not: `token` is `access` or `jsapi_ticket`.
    pub fn wechat_token_refreshed(
        &self,
        app: &str,
        token: &'static str,
        expires_at: Option<SystemTime>,
    ) {
        let mut labels = vec![label("app", app), ("token", token.into())];
        if let Some(expires_at) = expires_at {
            self.wechat_token_expiry
                .get_or_create_owned(&labels)
                .set(whole_seconds(expires_at));
        }
        let result = if expires_at.is_some() { "ok" } else { "error" };
        labels.push(("result", result.into()));
        self.wechat_token_refreshes
            .get_or_create_owned(&labels)
            .inc();
    }

    /// A visitor was sent to WeChat: `method` is `base` or `userinfo`.
    pub fn login_started(&self, app: &str, method: &'static str) {
        let labels = vec![label("app", app), ("method", method.into())];
        self.logins_started.get_or_create_owned(&labels).inc();
    }

    /// A callback was judged: `result` is `ok`, `cancelled`, `state_missing`, `code_used`, `wechat_error`, `snapshot`,
    /// `expired` or `denied`.
    pub fn login_finished(
        &self,
        app: &str,
        method: &'static str,
        result: &'static str,
        took: Option<Duration>,
    ) {
        let mut labels = vec![label("app", app), ("method", method.into())];
        if let Some(took) = took {
            self.login_durations
                .get_or_create_owned(&labels)
                .observe_duration(took);
        }
        labels.push(("result", result.into()));
        self.logins_finished.get_or_create_owned(&labels).inc();
    }

    /// A callback came again and was answered from memory or from the session.
    pub fn callback_replayed(&self, app: &str) {
        self.callback_replays
            .get_or_create_owned(&vec![label("app", app)])
            .inc();
    }

    /// The loop guard stopped a chain: `cause` is the page's code.
    pub fn login_loop_stopped(&self, cause: &'static str) {
        count(&self.login_loops, "cause", cause);
    }

    /// A rate limit refused: `rule` is the key of `[rate_limit]`.
    pub fn rate_limited(&self, rule: &'static str) {
        count(&self.rate_limited, "rule", rule);
    }

    /// A client sent so many headers that only we may set; `kind` is `identity`, or `underscore` for spellings that
    /// only application servers take for the same.
    pub fn headers_stripped(&self, kind: &'static str, number: u32) {
        self.headers_stripped
            .get_or_create_owned(&vec![("kind", kind.into())])
            .inc_by(number.into());
    }

    /// A token was signed.
    pub fn jwt_signed(&self, algorithm: &'static str) {
        count(&self.jwt_signed, "alg", algorithm);
    }

    /// This key signs from now on, and has since `since`.
    pub fn jwt_key(&self, kid: &str, since: SystemTime) {
        self.jwt_key_created.clear();
        let seconds = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.jwt_key_created
            .get_or_create_owned(&vec![label("kid", kid)])
            .set(i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX));
    }

    /// A configuration was taken into use.
    pub fn config_loaded(&self, now: SystemTime) {
        self.reload_worked.set(1);
        self.reload_time.set(whole_seconds(now));
        self.failures.set_reload(None);
    }

    /// A configuration was refused, for the reasons in a report whose secrets are masked; the one before stays in use.
    pub fn config_refused(&self, report: &str) {
        self.reload_worked.set(0);
        self.failures.set_reload(Some(report));
    }
}

/// Since 1970.
fn whole_seconds(time: SystemTime) -> i64 {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

pub(super) fn count(family: &Counters, name: &'static str, value: &'static str) {
    family
        .get_or_create_owned(&vec![(name, value.into())])
        .inc();
}
