//! How many connections one server may have, and who waits for one.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Room for so many connections.
#[derive(Debug)]
pub(super) struct Room {
    most: usize,
    open: AtomicUsize,
    /// How many wait, so that nobody is told for nothing.
    waiting: AtomicUsize,
    freed: Notify,
}

/// The room that one connection takes, until it is dropped.
#[derive(Debug)]
pub(super) struct Entry(Arc<Room>);

impl Room {
    /// For at most `most` connections.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            open: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        })
    }

    /// Room for one more connection, where there is some.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Entry> {
        let one_more = |open: usize| (open < self.most).then_some(open + 1);
        let entered = self
            .open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more);
        entered.is_ok().then(|| Entry(Arc::clone(self)))
    }

    /// Whether there is no room for one more.
    pub(super) fn is_full(&self) -> bool {
        self.open.load(Ordering::SeqCst) >= self.most
    }

    /// Tries until something comes of it: now, and whenever a connection has become free or has ended. The caller has a deadline.
    pub(super) async fn wait_for<T>(&self, mut attempt: impl FnMut() -> Option<T>) -> T {
        let _waiting = Waiting::count(&self.waiting);
        loop {
            let mut freed = pin!(self.freed.notified());
            // In the row before looking: of several who look at once, each must hear of what becomes free meanwhile.
            freed.as_mut().enable();
            if let Some(found) = attempt() {
                return found;
            }
            freed.await;
        }
    }

    /// A connection has become free: whoever waits longest may look. To be called once for each.
    pub(super) fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }
}

impl Entry {
    /// The room it is in.
    pub(super) fn room(&self) -> Arc<Room> {
        Arc::clone(&self.0)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        self.0.tell();
    }
}

/// Counts one who waits, until he has given up or got something.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn count(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn whoever_waits_gets_the_room_that_was_left() {
        let room = Room::new(1);
        let first = room.enter();
        assert!(first.is_some());
        assert!(room.enter().is_none());

        let waiting = room.wait_for(|| room.enter());
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(first);
        let second = waiting.await;

        assert!(room.enter().is_none());
        drop(second);
        assert!(room.enter().is_some());
    }

    #[tokio::test]
    async fn one_who_gives_up_leaves_his_turn_to_the_next() {
        let room = Room::new(1);
        let first = room.enter();
        let mut impatient = Box::pin(room.wait_for(|| room.enter()));
        let mut patient = Box::pin(room.wait_for(|| room.enter()));
        assert!(futures_util::poll!(&mut impatient).is_pending());
        assert!(futures_util::poll!(&mut patient).is_pending());

        drop(first);
        drop(impatient);

        let entry = tokio::time::timeout(std::time::Duration::from_secs(5), patient).await;
        assert!(entry.is_ok());
    }

    #[tokio::test]
    async fn of_two_who_look_at_once_each_hears_of_what_became_free_meanwhile() {
        let room = Room::new(1);
        let mut looks = 0;
        let mut second = Box::pin(room.wait_for(|| {
            looks += 1;
            if looks == 1 {
                // Two become free while both look, and find nothing yet.
                room.tell();
                room.tell();
            }
            (looks > 1).then_some(())
        }));
        let mut is_looking = true;
        let first = room.wait_for(|| {
            if std::mem::take(&mut is_looking) {
                let _ = second
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                return None;
            }
            Some(())
        });

        let heard = tokio::time::timeout(std::time::Duration::from_secs(5), first).await;

        assert!(heard.is_ok());
    }
}
