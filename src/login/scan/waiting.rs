//! Requests that wait for news of a ticket: one for each ticket, and not more than a limit in all.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::ticket::TicketId;

/// The most requests that wait at once. Who comes when there are as many is answered at once and asked to come back.
const MOST_WAITING: usize = 4096;

/// Everybody who waits.
#[derive(Debug)]
pub(in crate::login) struct Waiting {
    places: Arc<DashMap<TicketId, Arc<Notify>>>,
    permits: Arc<Semaphore>,
}

/// One request that waits. Dropping it leaves the place.
#[derive(Debug)]
pub(super) struct Place {
    id: TicketId,
    news: Arc<Notify>,
    places: Arc<DashMap<TicketId, Arc<Notify>>>,
    _permit: OwnedSemaphorePermit,
}

impl Default for Waiting {
    fn default() -> Self {
        Self::with_limit(MOST_WAITING)
    }
}

impl Waiting {
    fn with_limit(limit: usize) -> Self {
        Self {
            places: Arc::default(),
            permits: Arc::new(Semaphore::new(limit)),
        }
    }

    /// A place to wait in; whoever waited for the same ticket is woken and leaves. `None` when every place is taken.
    pub(super) fn enter(&self, id: &TicketId) -> Option<Place> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        let news = Arc::new(Notify::new());
        let previous = self.places.insert(id.clone(), Arc::clone(&news));
        if let Some(previous) = previous {
            previous.notify_one();
        }
        Some(Place {
            id: id.clone(),
            news,
            places: Arc::clone(&self.places),
            _permit: permit,
        })
    }

    /// There is news of this ticket.
    pub(super) fn wake(&self, id: &TicketId) {
        if let Some(news) = self.places.get(id) {
            news.notify_one();
        }
    }
}

impl Place {
    /// Waits for news, or for somebody who takes the place. What came since [`Waiting::enter`] counts. Cancelling loses
    /// nothing.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places
            .remove_if(&self.id, |_, news| Arc::ptr_eq(news, &self.news));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use tokio::time::{Duration, timeout};

    use super::*;

    async fn has_news(place: &Place) -> bool {
        timeout(Duration::ZERO, place.news()).await.is_ok()
    }

    #[tokio::test]
    async fn news_wakes_whoever_waits_for_that_ticket() {
        let waiting = Waiting::default();
        let (one, other) = (TicketId::random(), TicketId::random());
        let place = waiting.enter(&one).unwrap();
        let elsewhere = waiting.enter(&other).unwrap();

        waiting.wake(&one);

        assert!(has_news(&place).await);
        assert!(!has_news(&elsewhere).await);
    }

    #[tokio::test]
    async fn one_request_waits_for_a_ticket_and_the_earlier_one_leaves() {
        let waiting = Waiting::default();
        let id = TicketId::random();
        let earlier = waiting.enter(&id).unwrap();
        let later = waiting.enter(&id).unwrap();

        assert!(has_news(&earlier).await);
        drop(earlier);
        waiting.wake(&id);

        assert!(has_news(&later).await, "the later one kept its place");
    }

    #[test]
    fn no_more_wait_than_the_limit_and_nothing_is_left_behind() {
        let waiting = Waiting::with_limit(1000);
        let places: Vec<Place> = (0..5000)
            .filter_map(|_| waiting.enter(&TicketId::random()))
            .collect();
        assert_eq!((places.len(), waiting.places.len()), (1000, 1000));

        drop(places);

        assert_eq!(waiting.places.len(), 0);
        assert!(waiting.enter(&TicketId::random()).is_some());
    }
}
