//! Coming back from WeChat: check everything, then exchange.

use http::{Method, StatusCode};

use super::attempt::Attempt;
use super::cookie::Kept;
use super::ending::Ending;
use super::exchange::CodeKey;
use super::judge::{Arrival, Presented, Verdict, judge};
use super::query::LoginQuery;
use super::redeem::Errand;
use super::send::Intent;
use super::{Login, Visit, guard};
use crate::limit::Action;
use crate::message::{self, Answer, Load};
use crate::pages::{Cause, Page};
use crate::route::Unauthenticated;
use crate::route::policy::Because;
use crate::wechat::{App, AppKind, Code, Scope};

impl Login {
    /// Answers `callback/<app>`.
    pub(super) async fn callback(&self, app: &str, visit: &Visit<'_>) -> Answer {
        if let Some(answer) = self.over_limit(Action::Callback, visit) {
            return answer;
        }
        // Nobody is looking: no exchange, and nothing that a browser could show later instead of the real answer.
        if visit.info.method == Method::HEAD {
            return message::empty(StatusCode::NO_CONTENT, "callback-head");
        }
        if visit.info.load == Load::Prefetch {
            return message::empty(StatusCode::SERVICE_UNAVAILABLE, "callback-prefetch");
        }
        let app = self.parts.wechat.app(app);
        let Some(app) = app.filter(|app| has_callback(app.kind)) else {
            let page = Page::Refused {
                cause: Cause::NotFound,
                retry_after: None,
            };
            return self.page(StatusCode::NOT_FOUND, "unknown-app", &page, visit);
        };
        let presented = Presented::read(visit.info.target.query().unwrap_or_default());
        let kept = self.attempts.read(visit.headers);
        if self.is_in_frame(app, &kept, visit) {
            return self.leave_frame(visit);
        }
        if let Some(relayed) = self.relay_origin(&presented, visit) {
            return self
                .relay_callback(&relayed, &presented, app, &kept, visit)
                .await;
        }
        let arrival = Arrival {
            app: app.name.as_str(),
            host: visit.info.host.as_str(),
            session: visit.session,
            now: visit.now,
            ttl: self.settings.attempt_ttl,
        };
        let verdict = judge(&presented, kept.ring(), arrival);
        self.carry_out(verdict, app, &kept, visit).await
    }

    async fn carry_out(
        &self,
        verdict: Verdict<'_>,
        app: &App,
        kept: &Kept,
        visit: &Visit<'_>,
    ) -> Answer {
        match verdict {
            Verdict::Continue { attempt } => self.replayed(app, self.arrive(attempt, visit)),
            Verdict::Again {
                attempt,
                round,
                result,
            } => {
                self.record(app, attempt, result, visit);
                self.begin_again(attempt, round, kept, visit)
            }
            Verdict::Stop {
                attempt,
                cause,
                result,
            } => {
                self.record(app, attempt, result, visit);
                let retry = retry(attempt, &self.way_back(visit));
                self.not_finished(cause, Some(retry), visit)
            }
            Verdict::Exchange { attempt, code } => {
                self.exchange_code(code, app, attempt, kept, visit).await
            }
        }
    }

    async fn exchange_code(
        &self,
        code: &str,
        app: &App,
        attempt: &Attempt,
        kept: &Kept,
        visit: &Visit<'_>,
    ) -> Answer {
        let Some(errand) = self.errand(code, app, attempt, visit) else {
            let retry = retry(Some(attempt), "/");
            return self.not_finished(Cause::LoginCancelled, Some(retry), visit);
        };
        let answered = self.exchange.run(errand).await;
        self.finish(answered, app, attempt, kept, visit).await
    }

    /// What to exchange for an attempt; `None`, and counted, when it is no code.
    pub(super) fn errand(
        &self,
        code: &str,
        app: &App,
        attempt: &Attempt,
        visit: &Visit<'_>,
    ) -> Option<Errand> {
        let Some(parsed) = Code::parse(code) else {
            self.record(app, Some(attempt), "cancelled", visit);
            return None;
        };
        Some(Errand {
            app: app.clone(),
            code: parsed,
            key: CodeKey::new(app.id.as_str(), code),
            state: attempt.state.clone(),
            scope: attempt.scope,
            started: attempt.started,
            language: self.settings.userinfo_language.clone(),
            request_id: visit.info.id.clone(),
            trace: visit.info.trace.clone(),
        })
    }

    /// Another round, or the page of the loop guard.
    pub(super) fn begin_again(
        &self,
        attempt: Option<&Attempt>,
        round: u8,
        kept: &Kept,
        visit: &Visit<'_>,
    ) -> Answer {
        let intent = Intent {
            // The visitor pressed the button a moment ago.
            clicked: true,
            ..intent_again(attempt, round, &self.way_back(visit))
        };
        let is_other_host = attempt.is_some_and(|attempt| attempt.host != visit.info.host.as_str());
        match guard::next_round(round) {
            None => self.stop_loop(&intent, kept, is_other_host, visit),
            Some(_) => self.open(&intent, Unauthenticated::Auto, kept.clone(), visit),
        }
    }

    /// Counts and marks the answer to a callback that came again.
    pub(super) fn replayed(&self, app: &App, mut answer: Answer) -> Answer {
        self.parts.metrics.callback_replayed(app.name.as_str());
        answer.extensions_mut().insert(message::Replayed);
        answer
    }

    pub(super) fn record(
        &self,
        app: &App,
        attempt: Option<&Attempt>,
        result: &'static str,
        visit: &Visit<'_>,
    ) {
        Ending::of(attempt, app, result, &visit.info.id).record(&self.parts.metrics, visit.now);
    }
}

/// Whether WeChat ever sends a browser back for an app of this kind.
fn has_callback(kind: AppKind) -> bool {
    match kind {
        AppKind::ServiceAccount | AppKind::Website => true,
        AppKind::MiniProgram | AppKind::MobileApp => false,
    }
}

/// The login that an attempt was for, once more; `way_back` is the target where the attempt is not known.
pub(super) fn intent_again(attempt: Option<&Attempt>, rounds: u8, way_back: &str) -> Intent {
    Intent {
        target: attempt
            .map_or(way_back, |attempt| &attempt.target)
            .to_owned(),
        scope: attempt.map_or(Scope::Base, |attempt| attempt.scope),
        because: attempt.map_or(Because::NoSession, |attempt| attempt.because),
        max_age: None,
        required: attempt.is_some_and(|attempt| attempt.required),
        clicked: false,
        is_at_target: false,
        rounds,
    }
}

/// The link behind "try again".
pub(super) fn retry(attempt: Option<&Attempt>, way_back: &str) -> LoginQuery {
    LoginQuery {
        again: true,
        ..intent_again(attempt, 0, way_back).query()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::attempt::tests::attempt;

    const NOW: u64 = 1_700_000_000;

    #[test]
    fn trying_again_keeps_target_and_scope() {
        let attempt = Attempt {
            scope: Scope::Userinfo,
            required: true,
            ..attempt('a', 2, "/orders?id=1", NOW)
        };
        assert_eq!(
            retry(Some(&attempt), "/").link(),
            "login?to=%2Forders%3Fid%3D1&scope=userinfo&again=1&required=1"
        );
        assert_eq!(retry(None, "/a").link(), "login?to=%2Fa&again=1");
    }
}
