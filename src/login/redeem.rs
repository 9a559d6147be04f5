//! Redeeming a code at WeChat, once, and remembering what came of it.
//!
//! The store says who was first, over restarts and between nodes. The outcome is kept for some minutes, sealed together
//! with the attempt's state, so that only the browser that holds the attempt can use it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::attempt::State;
use super::ending::Ending;
use super::exchange::CodeKey;
use super::outcome::{Failure, Found, Outcome};
use crate::clock::Clock;
use crate::identity::Profile;
use crate::message::RequestId;
use crate::observe::{Metrics, Trace};
use crate::seal::{Purpose, Sealer};
use crate::store::{self, Store};
use crate::wechat::{self, App, Code, Grant, Scope};

/// How long an outcome is kept: as long as WeChat's codes live.
const KEEP: Duration = Duration::from_secs(300);

/// Stands in the store while an exchange runs.
const PENDING: &[u8] = b"pending";

/// How often a pending exchange of another process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What to exchange, and for whom.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    /// The app that WeChat made the code for.
    pub(super) app: App,
    /// The code.
    pub(super) code: Code,
    /// Names the code in maps and in the store without giving it away.
    pub(super) key: CodeKey,
    /// The attempt that the code came back with; no other may use the outcome.
    pub(super) state: State,
    /// The scope that was asked for.
    pub(super) scope: Scope,
    /// When the attempt began.
    pub(super) started: SystemTime,
    /// For the profile: `zh_CN`, `zh_TW` or `en`.
    pub(super) language: String,
    /// The request that brought the code, for the log.
    pub(super) request_id: RequestId,
    /// Its trace.
    pub(super) trace: Option<Trace>,
}

/// An outcome, and whether somebody had asked before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// What came of it.
    pub(super) outcome: Outcome,
    /// Whether it came from memory or from the store.
    pub(super) is_replay: bool,
}

impl Answered {
    /// Asked for the first time.
    pub(super) fn first(outcome: Outcome) -> Self {
        Self {
            outcome,
            is_replay: false,
        }
    }

    /// Remembered.
    pub(super) fn again(outcome: Outcome) -> Self {
        Self {
            outcome,
            is_replay: true,
        }
    }

    /// Nothing came of it.
    pub(super) fn failed(failure: Failure) -> Self {
        Self::first(Outcome::Failed(failure))
    }
}

/// Redeems codes; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Redeemer {
    /// Talks to WeChat.
    pub(super) wechat: wechat::Client,
    /// Remembers which codes were redeemed, and what came of them.
    pub(super) store: Store,
    /// Seals what is remembered.
    pub(super) sealer: Arc<Sealer>,
    /// The time.
    pub(super) clock: Clock,
    /// Counts.
    pub(super) metrics: Arc<Metrics>,
}

impl Redeemer {
    /// Redeems a code, unless somebody did before; then waits for what came of it.
    ///
    /// Ends by the deadlines of store and client. Dropping the future loses the code.
    pub(super) async fn redeem(&self, errand: &Errand) -> Answered {
        let name = errand.key.in_store();
        match self.store.put_new(&name, PENDING, KEEP).await {
            Ok(true) => {}
            Ok(false) => return self.wait_for_kept(&name, errand).await,
            Err(error) => return store_failed(&error, errand),
        }
        let asked = self.ask(errand).await;
        let (outcome, refusal) = match asked {
            Ok(outcome) => (outcome, None),
            Err(error) => (failed(&error, errand), Some(error)),
        };
        // Counted here and not where it is answered: the one who asked may be gone by now.
        let ending = Ending {
            app: &errand.app,
            scope: errand.scope,
            result: outcome.result(),
            started: Some(errand.started),
            request_id: &errand.request_id,
            state: Some(&errand.state),
            refusal: refusal.as_ref(),
        };
        ending.record(&self.metrics, self.clock.now());
        let sealed = self.sealer.seal(
            Purpose::Attempts,
            &sealed_for(&errand.state),
            &outcome.to_bytes(),
        );
        // The code is gone, so the visitor gets in all the same; only a second callback would have to begin anew.
        if let Err(error) = self.store.put(&name, sealed.as_bytes(), KEEP).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "outcome of a login was not kept");
        }
        Answered::first(outcome)
    }

    /// Somebody had this code before us: another node, or this one before a restart.
    async fn wait_for_kept(&self, name: &str, errand: &Errand) -> Answered {
        // Whoever exchanges it began before now, so by then the outcome is there or the process is gone.
        let deadline = Instant::now() + self.wechat.timeout();
        while Instant::now() < deadline {
            match self.store.get(name).await {
                Ok(Some(value)) if value == PENDING => sleep(LOOK_EVERY).await,
                Ok(value) => {
                    let kept = value.and_then(|value| self.open(&value, &errand.state));
                    return Answered::again(kept.unwrap_or(Outcome::Failed(Failure::Used)));
                }
                Err(error) => return store_failed(&error, errand),
            }
        }
        Answered::again(Outcome::Failed(Failure::Used))
    }

    fn open(&self, value: &[u8], state: &State) -> Option<Outcome> {
        let sealed = std::str::from_utf8(value).ok()?;
        let bytes = self
            .sealer
            .open(Purpose::Attempts, &sealed_for(state), sealed)?;
        Outcome::from_bytes(&bytes)
    }

    async fn ask(&self, errand: &Errand) -> Result<Outcome, wechat::Error> {
        let wechat = self.wechat.traced(errand.trace.as_ref());
        let grant = wechat.exchange(&errand.app, &errand.code).await?;
        if grant.is_snapshot {
            return Ok(Outcome::Snapshot);
        }
        if grant.scope < errand.scope {
            tracing::warn!(
                request.id = errand.request_id.as_str(),
                app = errand.app.name.as_str(),
                "WeChat granted less than was asked for"
            );
            return Ok(Outcome::Failed(Failure::Scope));
        }
        let found = Found {
            openid: grant.openid.clone(),
            unionid: grant.unionid.clone(),
            scope: errand.scope,
            profile: None,
            at: self.clock.now(),
            refresh_token: grant.refresh_token.clone(),
        };
        match errand.scope {
            // Without a profile there is nothing to refresh.
            Scope::Base => Ok(Outcome::Known(Found {
                refresh_token: None,
                ..found
            })),
            Scope::Userinfo => self.add_profile(found, &grant, errand).await,
        }
    }

    async fn add_profile(
        &self,
        found: Found,
        grant: &Grant,
        errand: &Errand,
    ) -> Result<Outcome, wechat::Error> {
        let wechat = self.wechat.traced(errand.trace.as_ref());
        let user = wechat.user_info(&errand.app, grant, &errand.language);
        let user = user.await?;
        Ok(Outcome::Known(Found {
            unionid: found.unionid.or(user.unionid),
            profile: Some(Profile {
                nickname: user.nickname,
                avatar: user.avatar,
                fetched_at: found.at,
            }),
            ..found
        }))
    }
}

/// Bound into the seal of an outcome: only the browser that holds the attempt knows its state.
fn sealed_for(state: &State) -> String {
    format!("outcome {}", state.as_str())
}

/// Logged here, once per code and not once per callback.
fn failed(error: &wechat::Error, errand: &Errand) -> Outcome {
    let failure = Failure::of(error);
    let app = errand.app.name.as_str();
    // The text of a refusal names errcode and WeChat's request id, and never a code or a token.
    let source: &dyn std::error::Error = error;
    let request_id = errand.request_id.as_str();
    match failure {
        Failure::Setup => tracing::error!(
            request.id = request_id,
            app,
            error = source,
            "WeChat refuses the app: nobody can log in until its settings are right"
        ),
        Failure::Timeout
        | Failure::Trouble
        | Failure::Scope
        | Failure::Store
        | Failure::Internal => tracing::warn!(
            request.id = request_id,
            app,
            error = source,
            "login failed at WeChat"
        ),
        Failure::Stale | Failure::Used | Failure::Consent | Failure::Blocked => tracing::info!(
            request.id = request_id,
            app,
            error = source,
            "WeChat did not accept a login"
        ),
    }
    Outcome::Failed(failure)
}

fn store_failed(error: &store::Error, errand: &Errand) -> Answered {
    let error: &dyn std::error::Error = error;
    tracing::error!(
        request.id = errand.request_id.as_str(),
        error,
        "login needs the store"
    );
    Answered::failed(Failure::Store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_sealed_for_one_attempt_only() {
        let random = "x".repeat(24);
        let first = sealed_for(&State::new(&random, 1));
        let second = sealed_for(&State::new(&random, 2));
        assert_ne!(first, second);
    }
}
