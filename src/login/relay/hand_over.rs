//! Back from WeChat at the public host: who it is goes into the store, under a ticket for one browser on one host.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::Origin;
use super::begin::back_context;
use crate::login::cookie::Kept;
use crate::login::finish::weigh;
use crate::login::judge::{Arrival, Presented, Verdict, judge};
use crate::login::outcome::{Failure, Outcome};
use crate::login::query::only;
use crate::login::{Login, Visit};
use crate::message::Answer;
use crate::pages::Cause;
use crate::seal::random_text;
use crate::wechat::App;

/// Letters of a ticket: 190 bits.
pub(super) const TICKET_LENGTH: usize = 32;

/// What a ticket stands for.
#[derive(Serialize, Deserialize)]
pub(super) struct HandOver {
    pub(super) origin: Origin,
    pub(super) app: String,
    /// Who it is, in the form that the store knows.
    pub(super) outcome: Vec<u8>,
}

impl Login {
    /// Where a callback belongs that another host began; `None` for our own.
    pub(in crate::login) fn relay_origin(
        &self,
        presented: &Presented<'_>,
        visit: &Visit<'_>,
    ) -> Option<RelayedCallback> {
        let query = visit.info.target.query().unwrap_or_default();
        let token = only(query, "relay_token")?;
        let origin: Origin = self.open_relay(&back_context(presented.state.as_ref()?), token)?;
        self.relayed_host(&origin.host)?;
        Some(RelayedCallback(origin))
    }

    /// Answers a callback that another host began. A session of this host has nothing to do with it.
    pub(in crate::login) async fn relay_callback(
        &self,
        RelayedCallback(origin): &RelayedCallback,
        presented: &Presented<'_>,
        app: &App,
        kept: &Kept,
        visit: &Visit<'_>,
    ) -> Answer {
        let arrival = Arrival {
            app: app.name.as_str(),
            host: visit.info.host.as_str(),
            session: None,
            now: visit.now,
            ttl: self.settings.attempt_ttl,
        };
        match judge(presented, kept.ring(), arrival) {
            Verdict::Exchange { attempt, code } => {
                let Some(errand) = self.errand(code, app, attempt, visit) else {
                    return self.relay_stopped(Cause::LoginCancelled, origin, visit);
                };
                let answered = self.exchange.run(errand).await;
                match answered.outcome {
                    Outcome::Failed(failure) => {
                        let failure = weigh(failure, answered.is_replay);
                        self.relay_failed(failure, origin, visit)
                    }
                    Outcome::Snapshot => self.refuse_snapshot(visit),
                    known @ Outcome::Known(_) => self.hand_over(&known, app, origin, visit).await,
                }
            }
            Verdict::Again {
                attempt, result, ..
            } => {
                self.record(app, attempt, result, visit);
                self.back_to(origin, visit)
            }
            Verdict::Stop {
                attempt,
                cause,
                result,
            } => {
                self.record(app, attempt, result, visit);
                self.relay_stopped(cause, origin, visit)
            }
            // Without a session there is nothing to go on with.
            Verdict::Continue { .. } => self.back_to(origin, visit),
        }
    }

    async fn hand_over(
        &self,
        outcome: &Outcome,
        app: &App,
        origin: &Origin,
        visit: &Visit<'_>,
    ) -> Answer {
        let Some(host) = self.relayed_host(&origin.host) else {
            return self.relay_refused(visit);
        };
        let ticket = random_text(TICKET_LENGTH);
        let sealed = self.seal_relay(
            &ticket_context(&ticket),
            &HandOver {
                origin: origin.clone(),
                app: app.name.as_str().to_owned(),
                outcome: outcome.to_bytes(),
            },
        );
        let lifetime = self.settings.relay.ticket_ttl;
        let key = ticket_key(&ticket);
        match self
            .parts
            .store
            .put(&key, sealed.as_bytes(), lifetime)
            .await
        {
            Ok(()) => {
                let rest = format!("relay?ticket={ticket}");
                let address = self.parts.site.endpoint(&host, &rest);
                self.go("relay-hand-over", &address, visit)
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(request.id = %visit.info.id, error, "relay needs the store");
                self.relay_stopped(Cause::StoreTrouble, origin, visit)
            }
        }
    }

    fn relay_failed(&self, failure: Failure, origin: &Origin, visit: &Visit<'_>) -> Answer {
        match failure {
            Failure::Stale | Failure::Used | Failure::Consent => self.back_to(origin, visit),
            Failure::Timeout => self.relay_stopped(Cause::WechatTimeout, origin, visit),
            Failure::Trouble | Failure::Scope => {
                self.relay_stopped(Cause::WechatTrouble, origin, visit)
            }
            Failure::Store => self.relay_stopped(Cause::StoreTrouble, origin, visit),
            Failure::Internal => self.relay_stopped(Cause::Internal, origin, visit),
            Failure::Setup => self.not_finished(Cause::LoginSetup, None, visit),
            Failure::Blocked => self.not_finished(Cause::LoginBlocked, None, visit),
        }
    }

    /// P6, whose button leads back to where the visitor began.
    fn relay_stopped(&self, cause: Cause, origin: &Origin, visit: &Visit<'_>) -> Answer {
        self.not_finished_at(cause, self.again_address(origin), visit)
    }
}

/// A callback that another host began.
#[derive(Debug)]
pub(in crate::login) struct RelayedCallback(Origin);

pub(super) fn ticket_context(ticket: &str) -> String {
    format!("relay ticket {ticket}")
}

/// A hash: whoever reads the store's keys learns no ticket.
pub(super) fn ticket_key(ticket: &str) -> String {
    let hash = digest(&SHA256, ticket.as_bytes());
    format!("relay:{}", HEXLOWER.encode(hash.as_ref()))
}
