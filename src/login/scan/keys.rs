//! The names of everything about a ticket in the store.

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::BASE64URL_NOPAD;

use super::ticket::{Ticket, TicketId};
use crate::identity::Person;

/// Before a ticket's id: the ticket.
pub(super) const TICKET: &str = "scan:";
/// Before a ticket's id: who scanned it first.
pub(super) const SEEN: &str = "scan-seen:";
/// Before a ticket's id: what that person said.
pub(super) const SAID: &str = "scan-said:";

pub(super) fn ticket_key(id: &TicketId) -> String {
    format!("{TICKET}{}", id.as_str())
}

pub(super) fn seen_key(id: &TicketId) -> String {
    format!("{SEEN}{}", id.as_str())
}

pub(super) fn said_key(id: &TicketId) -> String {
    format!("{SAID}{}", id.as_str())
}

pub(super) fn wrong_key(person: &Person) -> String {
    format!("scan-wrong:{}", person_key(person))
}

pub(super) fn reported_key(ticket: &Ticket, person: &Person) -> String {
    format!(
        "scan-reported:{}:{}",
        person_key(person),
        ticket.wish.device.network
    )
}

/// Bound into the seal of who said yes: good for this ticket only.
pub(super) fn sealed_for(id: &TicketId) -> String {
    format!("scan {}", id.as_str())
}

/// Names a person in the store without giving the openid away.
pub(super) fn person_key(person: &Person) -> String {
    let app_id = person.app_id.as_str();
    let mut context = Context::new(&SHA256);
    // The length first, so that no other pair of texts runs together into the same bytes.
    context.update(&app_id.len().to_be_bytes());
    context.update(app_id.as_bytes());
    context.update(person.openid.as_str().as_bytes());
    BASE64URL_NOPAD.encode(context.finish().as_ref())
}
