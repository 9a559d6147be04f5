//! What speaks against a scan: numbers that somebody guesses, and codes that people did not draw themselves.

use std::time::Duration;

use super::keys::{reported_key, wrong_key};
use super::ticket::Ticket;
use super::tickets::Tickets;
use crate::identity::Person;
use crate::store;

/// Wrong numbers that one person may choose in [`FORGIVEN_AFTER`].
pub(super) const MOST_WRONG_NUMBERS: u64 = 3;

/// From the first wrong number on.
pub(super) const FORGIVEN_AFTER: Duration = Duration::from_secs(600);

/// How long nobody on a network can ask a person who said "this was not me".
pub(super) const REPORTED_FOR: Duration = Duration::from_secs(3600);

impl Tickets {
    /// Counts a wrong number against the person.
    pub(super) async fn count_wrong_number(&self, person: &Person) -> Result<(), store::Error> {
        let key = wrong_key(person);
        self.store.increment(&key, FORGIVEN_AFTER).await?;
        Ok(())
    }

    /// Whether the person chose so many wrong numbers lately that somebody may be guessing.
    pub(super) async fn guesses(&self, person: &Person) -> Result<bool, store::Error> {
        let count = self.store.get(&wrong_key(person)).await?;
        let count = count.and_then(|count| count.try_into().ok());
        Ok(count.map_or(0, u64::from_be_bytes) >= MOST_WRONG_NUMBERS)
    }

    /// The person did not draw this code: nobody on that network may ask the person again for an hour.
    pub(super) async fn report(
        &self,
        ticket: &Ticket,
        person: &Person,
    ) -> Result<(), store::Error> {
        let key = reported_key(ticket, person);
        self.store.put(&key, b"1", REPORTED_FOR).await
    }

    /// Whether the person reported that network lately.
    pub(super) async fn is_reported(
        &self,
        ticket: &Ticket,
        person: &Person,
    ) -> Result<bool, store::Error> {
        let reported = self.store.get(&reported_key(ticket, person)).await?;
        Ok(reported.is_some())
    }
}
