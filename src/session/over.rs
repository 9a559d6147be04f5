//! Sessions whose time was over when somebody came with them.
//!
//! A sealed session ends unseen: nothing is stored of it, and a browser forgets its cookie. Only what is shown after its end can be
//! counted: tokens of apps, and cookies that a program keeps.

use quick_cache::sync::Cache;

use super::{Session, Sessions};

/// So many ended sessions are remembered; one that was forgotten and comes again counts again.
const MOST_REMEMBERED: usize = 4096;

/// The ids of sessions that were counted, so that a program that asks with one for days counts once.
#[derive(Debug)]
pub(super) struct SeenOver(Cache<Box<str>, ()>);

impl Default for SeenOver {
    fn default() -> Self {
        Self(Cache::new(MOST_REMEMBERED))
    }
}

impl Sessions {
    /// Counts a session that is over, once. One that was revoked before its time was counted then; where the store cannot tell, nothing is
    /// counted.
    pub(super) async fn count_end(&self, session: &Session, reason: &'static str) {
        let Some(metrics) = &self.metrics else {
            return;
        };
        let seen = &self.seen_over.0;
        if seen.get(session.id.as_str()).is_some() {
            return;
        }
        if let Ok(is_revoked) = self.is_revoked(session).await {
            seen.insert(session.id.as_str().into(), ());
            if !is_revoked {
                metrics.session_ended(reason);
            }
        }
    }
}
