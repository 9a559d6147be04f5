//! What a connection is doing, and until when it may.
//!
//! One coarse timer per connection asks [`Activity::verdict`]; reads and writes only note the time, so that a deadline costs
//! nothing per request.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Timeouts;

/// How long an idle connection may take to send its next request once we stop. Closing it at once would lose a request that is
/// on its way.
pub(super) const IDLE_WHILE_STOPPING: Duration = Duration::from_secs(5);

/// What is going on; shared by the socket, the service and the timer of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    phase: AtomicU8,
    /// When the phase began, in milliseconds since `began`.
    phase_since: AtomicU64,
    /// When the client stopped reading, in milliseconds since `began`; `NEVER` while it reads.
    blocked_since: AtomicU64,
    stopping: AtomicBool,
    stopping_since: AtomicU64,
}

/// What the client or we are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was ever received.
    First = 0,
    /// A head has begun.
    Head = 1,
    /// A request is being answered.
    Busy = 2,
    /// Between two requests.
    Idle = 3,
}

/// What the timer should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask again then.
    Wait(Instant),
    /// The deadline is over: drop the connection.
    Close,
}

const NEVER: u64 = u64::MAX;

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            phase: AtomicU8::new(Phase::First as u8),
            phase_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(NEVER),
            stopping: AtomicBool::new(false),
            stopping_since: AtomicU64::new(NEVER),
        }
    }

    /// Bytes came from the client.
    pub(super) fn received(&self) {
        match self.phase() {
            Phase::Idle => self.enter(Phase::Head),
            // The first head's deadline counts from the beginning of the connection.
            Phase::First => self.phase.store(Phase::Head as u8, Ordering::Relaxed),
            Phase::Head | Phase::Busy => {}
        }
    }

    /// A whole head was read and is being answered.
    pub(super) fn request_began(&self) {
        self.phase.store(Phase::Busy as u8, Ordering::Relaxed);
    }

    /// The answer was handed over completely.
    pub(super) fn request_ended(&self) {
        self.enter(Phase::Idle);
    }

    /// Whether a request is being answered.
    pub(super) fn is_busy(&self) -> bool {
        self.phase() == Phase::Busy
    }

    /// The client does not take more bytes now.
    pub(super) fn write_blocked(&self) {
        if self.blocked_since.load(Ordering::Relaxed) == NEVER {
            let now = self.milliseconds(Instant::now());
            self.blocked_since.store(now, Ordering::Relaxed);
        }
    }

    /// The client took bytes.
    pub(super) fn write_progressed(&self) {
        if self.blocked_since.load(Ordering::Relaxed) != NEVER {
            self.blocked_since.store(NEVER, Ordering::Relaxed);
        }
    }

    /// From now on the next answer is the last.
    pub(super) fn stop(&self, now: Instant) {
        self.stopping_since
            .store(self.milliseconds(now), Ordering::Relaxed);
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the next answer is the last.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Judges the connection. A request that is being answered has no deadline here: its parts have their own.
    pub(super) fn verdict(&self, now: Instant, timeouts: &Timeouts) -> Verdict {
        let phase_since = self.phase_since.load(Ordering::Relaxed);
        let by_phase = match self.phase() {
            Phase::First | Phase::Head => Some((phase_since, timeouts.request_header)),
            Phase::Idle if self.is_stopping() => Some((
                phase_since.max(self.stopping_since.load(Ordering::Relaxed)),
                IDLE_WHILE_STOPPING.min(timeouts.keep_alive),
            )),
            Phase::Idle => Some((phase_since, timeouts.keep_alive)),
            Phase::Busy => None,
        };
        let blocked = match self.blocked_since.load(Ordering::Relaxed) {
            NEVER => None,
            since => Some((since, timeouts.body_progress)),
        };
        let deadline = |(since, patience): (u64, Duration)| {
            self.began + Duration::from_millis(since) + patience
        };
        // Browsers open connections ahead of need: one that never asked for anything is as idle as one between two requests.
        let last_chance = match self.phase() {
            Phase::First if self.is_stopping() => Some((
                self.stopping_since.load(Ordering::Relaxed),
                IDLE_WHILE_STOPPING,
            )),
            Phase::First | Phase::Head | Phase::Busy | Phase::Idle => None,
        };
        let earliest = [by_phase, last_chance, blocked]
            .into_iter()
            .flatten()
            .map(deadline)
            .min();
        match earliest {
            Some(deadline) if deadline <= now => Verdict::Close,
            Some(deadline) => Verdict::Wait(deadline.min(now + Self::shortest(timeouts))),
            None => Verdict::Wait(now + Self::shortest(timeouts)),
        }
    }

    /// A deadline may begin at any time, so the timer looks at least this often.
    fn shortest(timeouts: &Timeouts) -> Duration {
        timeouts
            .request_header
            .min(timeouts.keep_alive)
            .min(timeouts.body_progress)
    }

    fn enter(&self, phase: Phase) {
        let now = self.milliseconds(Instant::now());
        self.phase_since.store(now, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::First,
            1 => Phase::Head,
            2 => Phase::Busy,
            _ => Phase::Idle,
        }
    }

    fn milliseconds(&self, at: Instant) -> u64 {
        let passed = at.saturating_duration_since(self.began).as_millis();
        u64::try_from(passed).unwrap_or(NEVER - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        tls_handshake: Duration::from_secs(10),
        request_header: Duration::from_secs(15),
        keep_alive: Duration::from_secs(75),
        body_progress: Duration::from_secs(30),
    };

    fn closes_after(activity: &Activity) -> Duration {
        let from = Instant::now();
        let mut now = from;
        for _ in 0..1000 {
            match activity.verdict(now, &TIMEOUTS) {
                Verdict::Close => return now - from,
                Verdict::Wait(until) => now = until,
            }
        }
        Duration::MAX
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_deadline() {
        let activity = Activity::new(Instant::now());
        assert_eq!(closes_after(&activity).as_secs(), 15, "silent peer");

        activity.received();
        assert_eq!(closes_after(&activity).as_secs(), 15, "half a head");

        activity.request_began();
        assert_eq!(closes_after(&activity), Duration::MAX, "being answered");

        activity.request_ended();
        assert_eq!(closes_after(&activity).as_secs(), 75, "idle");

        activity.received();
        assert_eq!(closes_after(&activity).as_secs(), 15, "second head");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_is_dropped() {
        let activity = Activity::new(Instant::now());
        activity.request_began();

        activity.write_blocked();
        assert_eq!(closes_after(&activity).as_secs(), 30);

        activity.write_progressed();
        assert_eq!(closes_after(&activity), Duration::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_never_asked_holds_up_the_end_no_longer_than_an_idle_one() {
        for (age, left) in [(2, IDLE_WHILE_STOPPING), (12, Duration::from_secs(3))] {
            let activity = Activity::new(Instant::now());
            tokio::time::advance(Duration::from_secs(age)).await;

            activity.stop(Instant::now());

            assert_eq!(closes_after(&activity), left, "{age} s old");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_gets_a_moment_when_we_stop() {
        let activity = Activity::new(Instant::now());
        activity.request_began();
        activity.request_ended();
        tokio::time::advance(Duration::from_secs(40)).await;

        activity.stop(Instant::now());

        assert_eq!(closes_after(&activity), IDLE_WHILE_STOPPING);
    }
}
