//! How a login ended, for metrics and log.

use std::time::SystemTime;

use super::attempt::{Attempt, State};
use crate::message::RequestId;
use crate::observe::{LoginFailure, Metrics};
use crate::wechat::{self, App, AppKind, Scope};

/// How a login ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending<'a> {
    /// Whose login it was.
    pub(super) app: &'a App,
    /// The scope that was asked for.
    pub(super) scope: Scope,
    /// One of the words of [`Metrics::login_finished`].
    pub(super) result: &'static str,
    /// When the attempt began, where that is known.
    pub(super) started: Option<SystemTime>,
    /// The request that ended it.
    pub(super) request_id: &'a RequestId,
    /// Which attempt it was, where that is known.
    pub(super) state: Option<&'a State>,
    /// What WeChat refused it with.
    pub(super) refusal: Option<&'a wechat::Error>,
}

impl<'a> Ending<'a> {
    /// The end of an attempt, or of a callback whose attempt is not known.
    pub(super) fn of(
        attempt: Option<&'a Attempt>,
        app: &'a App,
        result: &'static str,
        request_id: &'a RequestId,
    ) -> Self {
        Self {
            app,
            scope: attempt.map_or(Scope::Base, |attempt| attempt.scope),
            result,
            started: attempt.map(|attempt| attempt.started),
            request_id,
            state: attempt.map(|attempt| &attempt.state),
            refusal: None,
        }
    }

    /// Counts and logs it.
    pub(super) fn record(&self, metrics: &Metrics, now: SystemTime) {
        let (app, method) = (self.app.name.as_str(), label(self.app.kind, self.scope));
        let took = self
            .started
            .and_then(|started| now.duration_since(started).ok());
        metrics.login_finished(app, method, self.result, took);
        let wechat_errcode = self.refusal.and_then(wechat::Error::code);
        if self.result != "ok" {
            metrics.login_failed(LoginFailure {
                at: now,
                request_id: self.request_id.as_str().to_owned(),
                app: app.to_owned(),
                method,
                result: self.result,
                wechat_errcode,
            });
        }
        tracing::info!(
            event = "login",
            request.id = self.request_id.as_str(),
            app,
            method,
            result = self.result,
            wechat_errcode,
            wechat_rid = self.refusal.and_then(wechat::Error::reference),
            attempt_id = self.state.map(State::log_name),
            "login ended"
        );
    }
}

/// The way to log in, in metrics and logs: an app's kind, and for a service account what was asked for.
pub(super) fn label(kind: AppKind, scope: Scope) -> &'static str {
    match (kind, scope) {
        (AppKind::ServiceAccount, Scope::Base) => "base",
        (AppKind::ServiceAccount, Scope::Userinfo) => "userinfo",
        (AppKind::Website, _) => "website",
        (AppKind::MiniProgram, _) => "mini",
        (AppKind::MobileApp, _) => "mobile",
    }
}
