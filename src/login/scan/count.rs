//! How many codes are shown now, for whoever watches.

use std::collections::HashSet;

use super::keys::{SAID, SEEN, TICKET};
use super::tickets::Tickets;
use crate::store;

/// Codes that are good now, by what has become of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanCounts {
    /// Nobody scanned them yet.
    pub waiting: usize,
    /// Somebody scanned them and has not said anything.
    pub scanned: usize,
    /// Somebody said yes or no, and the page has not asked since.
    pub answered: usize,
}

impl Tickets {
    /// Looks at so many codes at most. Reads many keys: not for requests.
    pub(in crate::login) async fn count(&self, most: usize) -> Result<ScanCounts, store::Error> {
        let (seen, said) = (self.ids(SEEN, most).await?, self.ids(SAID, most).await?);
        let mut counts = ScanCounts::default();
        for id in self.ids(TICKET, most).await? {
            let count = match (said.contains(&id), seen.contains(&id)) {
                (true, _) => &mut counts.answered,
                (false, true) => &mut counts.scanned,
                (false, false) => &mut counts.waiting,
            };
            *count += 1;
        }
        Ok(counts)
    }

    async fn ids(&self, prefix: &str, most: usize) -> Result<HashSet<String>, store::Error> {
        let keys = self.store.keys(prefix, most).await?;
        let ids = keys.iter().filter_map(|key| key.strip_prefix(prefix));
        Ok(ids.map(str::to_owned).collect())
    }
}
