//! The status page, as JSON and as HTML. Read-only; holds no secret and nobody's id.

use std::time::SystemTime;

use http::StatusCode;
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use super::control::Control;
use super::facts;
use super::generation::Generation;
use super::page;
use super::readiness::{Check, State};
use super::series::Series;
use crate::message::{self, Answer};
use crate::observe::{LoginFailure, Metrics};

const TEMPLATE: &str = include_str!("status.html");

/// Everything on the page.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    started: String,
    uptime_s: u64,
    loaded: String,
    last_reload_worked: bool,
    /// Why the last reload failed.
    last_reload_report: Option<String>,
    checks: Vec<CheckLine>,
    session_mode: &'static str,
    /// How many are in the store, looked up once a minute.
    sessions_kept: Option<u64>,
    logins_started: u64,
    logins_finished: u64,
    logins_failed: u64,
    wechat_calls: u64,
    wechat_errors: u64,
    rate_limited: u64,
    login_failures: Vec<FailureLine>,
    #[serde(flatten)]
    generation: Generation,
}

#[derive(Debug, Serialize)]
struct CheckLine {
    name: &'static str,
    ok: bool,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct FailureLine {
    at: String,
    request_id: String,
    app: String,
    method: &'static str,
    result: &'static str,
    wechat_errcode: Option<i64>,
}

impl Status {
    pub(super) fn new(control: &Control, checks: &[Check], metrics: &Metrics) -> Self {
        let page = metrics.encode();
        let series = Series::read(&page);
        let now = control.clock.now();
        let finished = series.sum("wxgate_logins_finished_total", &[]);
        let worked = series.sum("wxgate_logins_finished_total", &[("result", "ok")]);
        let calls = series.sum("wxgate_wechat_requests_total", &[]);
        let good_calls = series.sum("wxgate_wechat_requests_total", &[("result", "ok")]);
        let reload = series.value("wxgate_config_last_reload_successful", &[]);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            started: timestamp(control.began),
            uptime_s: now
                .duration_since(control.began)
                .unwrap_or_default()
                .as_secs(),
            loaded: timestamp(control.generation.loaded_at),
            last_reload_worked: reload == Some(1.0),
            last_reload_report: metrics.reload_failure(),
            checks: checks.iter().map(check_line).collect(),
            session_mode: match control.sessions.are_listed() {
                true => "store",
                false => "cookie",
            },
            sessions_kept: control
                .sessions
                .are_listed()
                .then(|| series.sum("wxgate_sessions_active", &[])),
            logins_started: series.sum("wxgate_logins_started_total", &[]),
            logins_finished: finished,
            logins_failed: finished.saturating_sub(worked),
            wechat_calls: calls,
            wechat_errors: calls.saturating_sub(good_calls),
            rate_limited: series.sum("wxgate_rate_limited_total", &[]),
            login_failures: metrics
                .login_failures()
                .into_iter()
                .map(failure_line)
                .collect(),
            generation: facts::present(control, &series, metrics),
        }
    }

    pub(super) fn json(&self) -> Answer {
        message::json(StatusCode::OK, "admin", self)
    }

    /// A page without scripts and foreign parts.
    pub(super) fn html(&self) -> Answer {
        page::html(TEMPLATE, context! { status => Serde(self) })
    }
}

fn check_line(check: &Check) -> CheckLine {
    CheckLine {
        name: check.name,
        ok: check.state == State::Ok,
        reason: match &check.state {
            State::Ok => None,
            State::Failed(reason) => Some(reason.clone()),
        },
    }
}

fn failure_line(failure: LoginFailure) -> FailureLine {
    FailureLine {
        at: timestamp(failure.at),
        request_id: failure.request_id,
        app: failure.app,
        method: failure.method,
        result: failure.result,
        wechat_errcode: failure.wechat_errcode,
    }
}

/// In whole seconds: `2026-01-02T03:04:05Z`.
pub(super) fn timestamp(time: SystemTime) -> String {
    let seconds = crate::clock::unix_seconds(time);
    let timestamp = i64::try_from(seconds).map(Timestamp::from_second);
    match timestamp {
        Ok(Ok(timestamp)) => timestamp.to_string(),
        Ok(Err(_)) | Err(_) => "unknown".to_owned(),
    }
}
