//! Stop signal, and the count of what is still open.
//!
//! A [`Drain`] is held by the one who stops things; each connection, tunnel and task holds a [`Guard`]. `stop` tells
//! every guard; `stopped` returns when the last one is dropped.

use tokio::sync::watch;

/// The owner's end: tells everybody to stop and waits for them.
#[derive(Debug)]
pub struct Drain {
    sender: watch::Sender<bool>,
}

/// Held by everything that must end before the process may. Dropping it says "I am done".
#[derive(Clone, Debug)]
pub struct Guard {
    receiver: watch::Receiver<bool>,
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl Drain {
    /// Nothing is open, nobody was told to stop.
    pub fn new() -> Self {
        let (sender, _) = watch::channel(false);
        Self { sender }
    }

    /// A guard for one more thing that is open.
    pub fn guard(&self) -> Guard {
        Guard {
            receiver: self.sender.subscribe(),
        }
    }

    /// Tells every guard to stop; guards taken later find out at once.
    pub fn stop(&self) {
        self.sender.send_replace(true);
    }

    /// How many guards are held.
    pub fn open(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Waits until every guard is dropped. Cancelling loses nothing.
    pub async fn stopped(&self) {
        self.sender.closed().await;
    }
}

impl Guard {
    /// Whether [`Drain::stop`] was called. Also true when the owner is gone.
    pub fn is_stopping(&self) -> bool {
        *self.receiver.borrow() || self.receiver.has_changed().is_err()
    }

    /// Waits for the stop signal. Returns at once when it was given before. Cancelling loses nothing.
    pub async fn stopping(&mut self) {
        // An error means that the owner is gone, which ends everything as well.
        let _ = self.receiver.wait_for(|stop| *stop).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stopped_waits_for_the_last_guard() {
        let drain = Drain::new();
        let mut guard = drain.guard();
        drain.stop();

        guard.stopping().await;
        assert_eq!(drain.open(), 1);
        drop(guard);

        drain.stopped().await;
        assert_eq!(drain.open(), 0);
    }

    #[tokio::test]
    async fn a_guard_taken_after_stop_knows_at_once() {
        let drain = Drain::new();
        drain.stop();

        assert!(drain.guard().is_stopping());
    }
}
