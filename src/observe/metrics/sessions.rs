//! Sessions, and the codes that may become some.

use super::events::count;
use super::{Counters, Families, Gauges, Metrics, label};

/// The families of sessions.
#[derive(Debug)]
pub(super) struct SessionFamilies {
    created: Counters,
    ended: Counters,
    active: Gauges,
    scan_tickets: Gauges,
}

impl SessionFamilies {
    pub(super) fn register(families: &mut Families) -> Self {
        Self {
            created: families.add("sessions_created", "Sessions begun"),
            ended: families.add(
                "sessions_ended",
                "Sessions ended; idle and max_lifetime: what somebody came with was over, counted once a session",
            ),
            active: families.add(
                "sessions_active",
                "Sessions in the store, counted once a minute; in cookie mode nobody can count them",
            ),
            scan_tickets: families.add(
                "scan_tickets",
                "Codes that are good now, by what has become of them; counted once a minute",
            ),
        }
    }
}

impl Metrics {
    /// A session began.
    pub fn session_created(&self, app: &str) {
        self.sessions
            .created
            .get_or_create_owned(&vec![label("app", app)])
            .inc();
    }

    /// So many sessions are kept in the store.
    pub fn sessions_kept(&self, count: usize) {
        self.sessions
            .active
            .get_or_create_owned(&vec![("mode", "store".into())])
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// So many codes of one state are good now: `waiting`, `scanned` or `answered`.
    pub fn scan_tickets(&self, state: &'static str, count: usize) {
        self.sessions
            .scan_tickets
            .get_or_create_owned(&vec![("state", state.into())])
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A session ended: `reason` is `logout`, `logout_everywhere`, `application`, `revoked`, `evicted`, `idle` or
    /// `max_lifetime`.
    pub fn session_ended(&self, reason: &'static str) {
        count(&self.sessions.ended, "reason", reason);
    }
}
