//! What may become of a ticket. Three entries in the store, so that the operations of every store are enough:
//!
//! - `scan:<id>`: the ticket, written once when it is drawn, and taken by the one who collects;
//! - `scan-seen:<id>`: who scanned it first, and may confirm;
//! - `scan-said:<id>`: what that person said, written once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::keys::{person_key, said_key, sealed_for, seen_key, ticket_key};
use super::numbers::Numbers;
use super::secret::BrowserSecret;
use super::ticket::{Ticket, TicketId, Wish};
use super::waiting::Waiting;
use crate::clock::unix_seconds;
use crate::identity::Person;
use crate::login::outcome::{Found, Outcome};
use crate::seal::{Purpose, Sealer};
use crate::store::{self, Store};

/// How much longer than a ticket can be confirmed its session can be collected.
const GRACE: Duration = Duration::from_secs(30);

/// How often a page draws a new code without being asked.
const MOST_RENEWALS: u8 = 2;

/// Every ticket.
#[derive(Debug)]
pub(in crate::login) struct Tickets {
    pub(super) store: Store,
    sealer: Arc<Sealer>,
    ttl: Duration,
    /// Requests that wait for news of a ticket.
    pub(super) waiting: Waiting,
}

/// How a ticket looks from the browser that drew it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::login) enum Seen {
    /// Nobody scanned it yet.
    Waiting(Ticket),
    /// Somebody scanned it and has not said anything.
    Scanned(Ticket),
    /// Nobody scanned it for so long that another one took its place.
    Renewed(Ticket),
    /// The phone said no.
    Denied,
    /// Too old, collected, not this browser's, or nobody's: whoever asks learns no more.
    Expired,
    /// The phone said yes, and this was the one time to collect it.
    Collected(Box<Collected>),
}

/// Who a collected ticket logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::login) struct Collected {
    /// The app that knows the person.
    pub(super) app: String,
    /// The person.
    pub(super) found: Found,
    /// What the browser wanted.
    pub(super) ticket: Ticket,
}

/// What a person says on the phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::login) enum Answered {
    /// Log that browser in as this person.
    Yes {
        /// The app that knows the person.
        app: String,
        /// The person.
        found: Found,
    },
    /// Log nobody in.
    No,
}

/// The form in the store.
#[derive(Serialize, Deserialize)]
enum Said {
    Yes { app: String, sealed: String },
    No,
}

impl Tickets {
    /// `ttl` is how long a ticket can be confirmed.
    pub(in crate::login) fn new(store: Store, sealer: Arc<Sealer>, ttl: Duration) -> Self {
        Self {
            store,
            sealer,
            ttl,
            waiting: Waiting::default(),
        }
    }

    /// Draws a ticket that only the holder of this secret can collect.
    pub(in crate::login) async fn draw(
        &self,
        wish: Wish,
        secret: &BrowserSecret,
        now: SystemTime,
    ) -> Result<Ticket, store::Error> {
        self.write(Ticket {
            id: TicketId::random(),
            holder: secret.holder(),
            wish,
            numbers: Numbers::random(),
            drawn: unix_seconds(now),
            renewals: 0,
            follow: None,
        })
        .await
    }

    /// How a ticket looks from the browser with this secret on this host. Collects it when it can be collected.
    pub(in crate::login) async fn look(
        &self,
        id: &TicketId,
        secret: &BrowserSecret,
        host: &str,
        now: SystemTime,
    ) -> Result<Seen, store::Error> {
        let ticket = self.read(id).await?;
        let Some(ticket) =
            ticket.filter(|ticket| ticket.holder == secret.holder() && ticket.wish.host == host)
        else {
            return Ok(Seen::Expired);
        };
        match self.said(id).await? {
            Some(Said::Yes { app, sealed }) => return self.collect(ticket, app, &sealed).await,
            Some(Said::No) => return Ok(Seen::Denied),
            None => {}
        }
        let age = ticket.age(now);
        if age >= self.ttl {
            return Ok(Seen::Expired);
        }
        if self.store.get(&seen_key(id)).await?.is_some() {
            return Ok(Seen::Scanned(ticket));
        }
        if age >= self.ttl / 2 && ticket.renewals < MOST_RENEWALS {
            return self.renew(ticket, now).await;
        }
        Ok(Seen::Waiting(ticket))
    }

    /// The ticket as the phone finds it; `None` when it is of another host, too old, or answered.
    pub(in crate::login) async fn find(
        &self,
        id: &TicketId,
        host: &str,
        now: SystemTime,
    ) -> Result<Option<Ticket>, store::Error> {
        let is_good = |ticket: &Ticket| ticket.wish.host == host && ticket.age(now) < self.ttl;
        let Some(ticket) = self.read(id).await?.filter(is_good) else {
            return Ok(None);
        };
        let is_answered = self.said(id).await?.is_some();
        Ok((!is_answered).then_some(ticket))
    }

    /// The ticket, whatever host and age it has; for what WeChat pushes.
    pub(super) async fn find_anywhere(
        &self,
        id: &TicketId,
    ) -> Result<Option<Ticket>, store::Error> {
        self.read(id).await
    }

    /// How long the ticket can still be confirmed.
    pub(super) fn time_left(&self, ticket: &Ticket, now: SystemTime) -> Duration {
        self.ttl.saturating_sub(ticket.age(now))
    }

    /// Makes the ticket this person's to answer. `false` when somebody else was first.
    pub(in crate::login) async fn claim(
        &self,
        ticket: &Ticket,
        person: &Person,
    ) -> Result<bool, store::Error> {
        let (key, person) = (seen_key(&ticket.id), person_key(person));
        let life = self.ttl + GRACE;
        if self.store.put_new(&key, person.as_bytes(), life).await? {
            self.waiting.wake(&ticket.id);
            return Ok(true);
        }
        let first = self.store.get(&key).await?;
        Ok(first.is_some_and(|first| first == person.as_bytes()))
    }

    /// Writes down what the person said, for good. `false` when something was said before.
    pub(in crate::login) async fn answer(
        &self,
        ticket: &Ticket,
        answered: Answered,
    ) -> Result<bool, store::Error> {
        let said = match answered {
            Answered::No => Said::No,
            Answered::Yes { app, found } => Said::Yes {
                app,
                sealed: self.sealer.seal(
                    Purpose::Attempts,
                    &sealed_for(&ticket.id),
                    &Outcome::Known(found).to_bytes(),
                ),
            },
        };
        // Texts always have a JSON form; bytes that cannot be read count as "no".
        let said = serde_json::to_vec(&said).unwrap_or_default();
        let life = self.ttl + GRACE;
        let key = said_key(&ticket.id);
        let is_first = self.store.put_new(&key, &said, life).await?;
        self.waiting.wake(&ticket.id);
        Ok(is_first)
    }

    /// Another code in the place of one that nobody scanned, so that a picture of it is of no use for long.
    async fn renew(&self, old: Ticket, now: SystemTime) -> Result<Seen, store::Error> {
        // Of two requests of one page one gets the new code; the phone finds the old one no more.
        if self.store.take(&ticket_key(&old.id)).await?.is_none() {
            return Ok(Seen::Expired);
        }
        let renewed = Ticket {
            id: TicketId::random(),
            numbers: Numbers::random(),
            drawn: unix_seconds(now),
            renewals: old.renewals + 1,
            ..old
        };
        Ok(Seen::Renewed(self.write(renewed).await?))
    }

    async fn collect(
        &self,
        ticket: Ticket,
        app: String,
        sealed: &str,
    ) -> Result<Seen, store::Error> {
        if self.store.take(&ticket_key(&ticket.id)).await?.is_none() {
            return Ok(Seen::Expired);
        }
        let context = sealed_for(&ticket.id);
        let opened = self.sealer.open(Purpose::Attempts, &context, sealed);
        Ok(match opened.as_deref().and_then(Outcome::from_bytes) {
            Some(Outcome::Known(found)) => {
                Seen::Collected(Box::new(Collected { app, found, ticket }))
            }
            // Sealed with keys that are gone.
            Some(Outcome::Snapshot | Outcome::Failed(_)) | None => Seen::Expired,
        })
    }

    /// Keeps a ticket, in the place of what it was before.
    pub(super) async fn write(&self, ticket: Ticket) -> Result<Ticket, store::Error> {
        let life = self.ttl + GRACE;
        let key = ticket_key(&ticket.id);
        self.store.put(&key, &ticket.to_bytes(), life).await?;
        Ok(ticket)
    }

    async fn read(&self, id: &TicketId) -> Result<Option<Ticket>, store::Error> {
        let bytes = self.store.get(&ticket_key(id)).await?;
        Ok(bytes.and_then(|bytes| Ticket::from_bytes(id, &bytes)))
    }

    async fn said(&self, id: &TicketId) -> Result<Option<Said>, store::Error> {
        let bytes = self.store.get(&said_key(id)).await?;
        Ok(bytes.map(|bytes| serde_json::from_slice(&bytes).unwrap_or(Said::No)))
    }
}

#[cfg(test)]
mod tests;
