//! What an operator may ask of the running program, beyond looking.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::doctor::Doctor;
use super::explain::Explain;
use super::generation::Generation;
use super::operator::Operator;
use super::query::Query;
use super::recent::Recent;
use crate::clock::Clock;
use crate::jwt::{Minter, Rotated};
use crate::message::{self, Answer};
use crate::observe::{IdentityMask, Metrics};
use crate::session::Sessions;
use crate::wechat::App;

/// An order for whoever holds configuration file and log.
#[derive(Debug)]
pub enum Order {
    /// Load the configuration again; the answer is the report when it is bad.
    Reload(oneshot::Sender<Result<(), String>>),
    /// Log up to this level, until the next reload.
    LogLevel(tracing::Level),
}

/// Where orders go.
pub type Orders = mpsc::Sender<Order>;

/// How long a reload may take before we stop waiting for its outcome.
const RELOAD_PATIENCE: Duration = Duration::from_secs(30);

/// What the status page and the orders of an operator need; one per generation.
pub struct Control {
    /// What is served.
    pub generation: Generation,
    /// To list and to end.
    pub sessions: Arc<Sessions>,
    /// Its signing key can be replaced.
    pub minter: Arc<Minter>,
    /// To name apps.
    pub apps: Vec<App>,
    /// How people appear.
    pub mask: IdentityMask,
    /// To whoever can reload.
    pub orders: Orders,
    /// The time.
    pub clock: Clock,
    /// When the process began to serve.
    pub began: SystemTime,
    /// What was counted lately.
    pub recent: Arc<Recent>,
    /// Judges requests that nobody made.
    pub explain: Explain,
    /// Looks whether everything fits.
    pub doctor: Doctor,
}

impl fmt::Debug for Control {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Control")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl Control {
    /// `POST /reload`. Dropping the future does not stop the reload.
    pub(super) async fn reload(&self, operator: &Operator<'_>) -> Answer {
        let (reply, outcome) = oneshot::channel();
        if self.orders.try_send(Order::Reload(reply)).is_err() {
            return failed(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy with an earlier order",
            );
        }
        operator.ordered("reload", "");
        match tokio::time::timeout(RELOAD_PATIENCE, outcome).await {
            Ok(Ok(Ok(()))) => done(&json!({ "reloaded": true })),
            Ok(Ok(Err(report))) => failed(StatusCode::CONFLICT, &report),
            Ok(Err(_)) | Err(_) => failed(StatusCode::SERVICE_UNAVAILABLE, "nobody took the order"),
        }
    }

    /// `POST /jwt/rotate`, with `forget_previous=1` for a key that somebody else may have. Dropping the future does not stop it.
    pub(super) async fn rotate_key(
        &self,
        query: &Query<'_>,
        operator: &Operator<'_>,
        metrics: &Metrics,
    ) -> Answer {
        let forgets_previous = query.value("forget_previous") == Some("1");
        let (minter, now) = (Arc::clone(&self.minter), self.clock.now());
        operator.ordered(
            "rotate-signing-key",
            if forgets_previous {
                "forget previous"
            } else {
                ""
            },
        );
        let rotated = move || minter.rotate_now(now, forgets_previous);
        match tokio::task::spawn_blocking(rotated).await {
            Ok(Ok(Rotated::Done(kid))) => {
                metrics.jwt_key(&kid, now);
                done(&json!({ "kid": kid }))
            }
            Ok(Ok(Rotated::TooEarly(left))) => {
                let seconds = left.as_secs() + 1;
                let why = format!(
                    "applications may not know the next key yet: ask again in {seconds} seconds"
                );
                failed(StatusCode::CONFLICT, &why)
            }
            Ok(Ok(Rotated::Given)) => failed(
                StatusCode::CONFLICT,
                "`jwt.keys` are yours: put the new key second, reload, and first ten minutes later",
            ),
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "signing key not rotated");
                failed(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the key file cannot be written; the log says why",
                )
            }
            Err(_) => failed(StatusCode::INTERNAL_SERVER_ERROR, "nobody took the order"),
        }
    }

    /// `POST /log-level?level=debug`
    pub(super) fn log_level(&self, query: &Query<'_>, operator: &Operator<'_>) -> Answer {
        let level = query.value("level").unwrap_or_default();
        let Ok(level) = level.parse::<tracing::Level>() else {
            let words = "`level` must be error, warn, info, debug or trace";
            return failed(StatusCode::BAD_REQUEST, words);
        };
        let Ok(place) = self.orders.try_reserve() else {
            return failed(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy with an earlier order",
            );
        };
        let word = level.to_string().to_ascii_lowercase();
        // Written before the order is carried out: the new level might hide it.
        operator.ordered("log-level", &word);
        place.send(Order::LogLevel(level));
        done(&json!({ "level": word }))
    }
}

/// It worked.
pub(super) fn done(value: &serde_json::Value) -> Answer {
    message::json(StatusCode::OK, "admin", value)
}

/// It did not, and why.
pub(super) fn failed(status: StatusCode, why: &str) -> Answer {
    message::json(status, "admin-failed", &json!({ "error": why }))
}
