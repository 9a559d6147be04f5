//! Back at the host where the visitor began: the ticket for a session.

use super::hand_over::{HandOver, TICKET_LENGTH, ticket_context, ticket_key};
use crate::limit::Action;
use crate::login::cookie::Kept;
use crate::login::outcome::Outcome;
use crate::login::{Error, Login, Visit};
use crate::message::Answer;

impl Login {
    /// Logs in whoever began the attempt that a ticket is for. A ticket in other hands is not used up.
    pub(super) async fn relay_end(
        &self,
        ticket: &str,
        kept: &Kept,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        if let Some(answer) = self.over_limit(Action::Callback, visit) {
            return Ok(answer);
        }
        let is_ticket = ticket.len() == TICKET_LENGTH
            && ticket.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_ticket {
            return Ok(self.relay_unknown(visit));
        }
        let key = ticket_key(ticket);
        let Some(stored) = self.parts.store.get(&key).await? else {
            return Ok(self.relay_over(visit));
        };
        let opened = self.open_hand_over(ticket, &stored);
        let host = visit.info.host.as_str();
        let Some(handed) = opened.filter(|handed| handed.origin.host == host) else {
            return Ok(self.relay_unknown(visit));
        };
        // The list may have become shorter since.
        if self.relayed_host(host).is_none() {
            return Ok(self.relay_refused(visit));
        }
        let attempt = self.relayed_attempt(&handed.origin.challenge, kept, visit);
        let Some(attempt) = attempt.filter(|attempt| {
            attempt.app == handed.app && !attempt.is_expired(visit.now, self.settings.attempt_ttl)
        }) else {
            return Ok(self.relay_unknown(visit));
        };
        // Of several at once exactly one gets it.
        if self.parts.store.take(&key).await?.is_none() {
            return Ok(self.relay_over(visit));
        }
        let app = self.parts.wechat.app(&handed.app);
        match (app, Outcome::from_bytes(&handed.outcome)) {
            (Some(app), Some(Outcome::Known(found))) => {
                Ok(self.start_session(found, app, attempt, kept, visit).await)
            }
            (_, Some(_) | None) => Ok(self.relay_unknown(visit)),
        }
    }

    fn open_hand_over(&self, ticket: &str, stored: &[u8]) -> Option<HandOver> {
        let sealed = std::str::from_utf8(stored).ok()?;
        self.open_relay(&ticket_context(ticket), sealed)
    }

    /// A ticket that is used or too old: whoever is logged in goes on.
    fn relay_over(&self, visit: &Visit<'_>) -> Answer {
        match visit.session {
            Some(_) => self.go("login-not-needed", "/", visit),
            None => self.relay_unknown(visit),
        }
    }
}
