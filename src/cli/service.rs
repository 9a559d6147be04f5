//! What the service manager is told (`sd_notify(3)`): ready, reloading, stopping, alive. Without one, nothing.

use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Tells the service manager that we serve.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// Tells it that a new configuration is being taken. [`ready`] must follow, also when the old one stays.
pub(super) fn reloading() {
    // The time lets the manager tell this reload from an earlier one.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Tells it that the last requests are being finished.
pub(super) fn stopping() {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("finishing the last requests"),
    ]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "service manager not told");
    }
}

/// Says "alive" as often as the service manager asks for (`WatchdogSec=`).
#[derive(Debug)]
pub(super) struct Heartbeat {
    ticks: Option<Interval>,
}

impl Heartbeat {
    /// As asked for in the environment of this process.
    pub(super) fn new() -> Self {
        let patience = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
        let ticks = patience.map(|patience| {
            // Half of its patience, as the manual recommends.
            let mut ticks = interval((patience / 2).max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self { ticks }
    }

    /// Beats until it is dropped.
    pub(super) async fn beat(&mut self) -> Infallible {
        let Some(ticks) = &mut self.ticks else {
            return std::future::pending().await;
        };
        loop {
            ticks.tick().await;
            tell(&[NotifyState::Watchdog]);
        }
    }
}
