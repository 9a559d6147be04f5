//! How long an exchange waits, and for whom.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::outgoing::Stage;

/// How long an exchange may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// From the last byte of the request to the head of the answer.
    pub(super) head: Duration,
    /// For a body that makes no progress.
    pub(super) idle: Duration,
}

/// What an exchange waits for, as far as deadlines go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wait {
    #[default]
    Nothing,
    /// The server takes no more of the body since this many bytes were written.
    Upload(u64),
    Head,
}

impl Wait {
    /// `None` where there is no body; `sent` is how much of it has gone.
    pub(super) fn of(upload: Option<Stage>, sent: u64) -> Self {
        match upload {
            None | Some(Stage::Done) => Self::Head,
            Some(Stage::Server) => Self::Upload(sent),
            Some(Stage::Client) => Self::Nothing,
        }
    }
}

/// Starts a deadline whenever an exchange begins to wait for something else.
#[derive(Debug, Default)]
pub(super) struct Watch(Wait);

impl Watch {
    /// Ready with the length of the deadline that passed. Call it whenever the exchange cannot go on.
    pub(super) fn poll(
        &mut self,
        mut timer: Pin<&mut Sleep>,
        waits_for: Wait,
        deadlines: Deadlines,
        context: &mut Context<'_>,
    ) -> Poll<Duration> {
        let deadline = match waits_for {
            Wait::Nothing => {
                self.0 = waits_for;
                return Poll::Pending;
            }
            Wait::Upload(_) => deadlines.idle,
            Wait::Head => deadlines.head,
        };
        if waits_for != self.0 {
            self.0 = waits_for;
            timer.as_mut().reset(later(deadline));
        }
        ready!(timer.poll(context));
        Poll::Ready(deadline)
    }
}

/// A deadline from now on.
pub(super) fn later(within: Duration) -> Instant {
    after(Instant::now(), within)
}

/// A deadline that cannot overflow: a century means never.
pub(super) fn after(since: Instant, within: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    since + within.min(CENTURY)
}
