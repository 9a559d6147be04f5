//! What must happen now and then: key rotation, expired values, changed lists.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::assemble::Shared;
use crate::drain::Guard;
use crate::gateway::Gateway;

/// How often lists are looked at: a ban ends open streams within a second, and they ask every 250 ms.
const OFTEN: Duration = Duration::from_millis(250);

/// Every so many of the above, lists are read even if they do not look changed.
const LESS_OFTEN: u32 = 4;

/// Every so many of the above, the rest is done as well.
const SELDOM: u32 = 240;

/// Every so many, what routes have counted is noted, for the status page, and idle connections to sites are looked through.
const SAMPLE: u32 = 15;

/// Beyond so many sessions or codes nobody counts.
const MOST_COUNTED: usize = 100_000;

/// Runs until the guard is told to stop; what has begun then is finished, so that nothing is held afterwards.
pub(super) async fn run(
    // First, so that it is dropped last: whoever waits for it may take the store's file.
    mut guard: Guard,
    shared: Arc<Shared>,
    current: Arc<ArcSwap<Gateway>>,
) {
    let mut ticks = interval(OFTEN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round: u32 = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = guard.stopping() => return,
        }
        let is_full_round = round.is_multiple_of(SELDOM);
        let reads_all = round.is_multiple_of(LESS_OFTEN);
        round = round.wrapping_add(1);
        let (parts, gateway) = (Arc::clone(&shared), current.load_full());
        // Files are read and written, so not on a thread that serves requests.
        let work = tokio::task::spawn_blocking(move || {
            reload_lists(&gateway, reads_all);
            if is_full_round {
                rotate_keys(&parts);
            }
        });
        if let Err(error) = work.await {
            tracing::error!(%error, "housekeeping failed");
        }
        if round % SAMPLE == 1 {
            shared.recent.note(&shared.metrics, Instant::now());
            // Often enough that `keep_alive` means what it says: after a rush the descriptors are free again soon.
            current.load().proxy().sweep(Instant::now());
        }
        if is_full_round {
            count_sessions(&shared, &current.load_full()).await;
            count_codes(&shared, &current.load_full()).await;
            sweep(&shared).await;
        }
    }
}

fn reload_lists(gateway: &Gateway, reads_all: bool) {
    for (_, route) in gateway.routes().in_order() {
        for list in [&route.rule.allow, &route.rule.deny].into_iter().flatten() {
            if !reads_all && !list.looks_changed() {
                continue;
            }
            let reloaded = list.reload();
            let is_news = list.note_outcome(reloaded.is_err());
            match reloaded {
                Ok(true) => tracing::info!(route = route.name, "list reloaded"),
                Ok(false) if is_news => {
                    tracing::info!(route = route.name, "list can be read again");
                }
                Err(error) if is_news => {
                    tracing::warn!(route = route.name, %error, "list not reloaded");
                }
                Ok(false) | Err(_) => {}
            }
        }
    }
}

fn rotate_keys(shared: &Shared) {
    let now = shared.clock.now();
    let keys = shared.keys.load_full();
    match keys.sealer.rotate(now) {
        Ok(true) => tracing::info!("session key rotated"),
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "session key not rotated"),
    }
    match keys.minter.rotate(now) {
        Ok(true) => {
            shared.note_signing_key();
            tracing::info!("signing key moved along");
        }
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "signing key not rotated"),
    }
}

async fn count_sessions(shared: &Shared, gateway: &Gateway) {
    // In cookie mode nobody knows them all. Of a store that fails others speak.
    if let Ok(Some(count)) = gateway.sessions().count(MOST_COUNTED).await {
        shared.metrics.sessions_kept(count);
    }
}

async fn count_codes(shared: &Shared, gateway: &Gateway) {
    // Of a store that fails others speak.
    if let Ok(counts) = gateway.login().scan_counts(MOST_COUNTED).await {
        shared.metrics.scan_tickets("waiting", counts.waiting);
        shared.metrics.scan_tickets("scanned", counts.scanned);
        shared.metrics.scan_tickets("answered", counts.answered);
    }
}

async fn sweep(shared: &Shared) {
    if let Err(error) = shared.store.sweep(shared.clock.now()).await {
        tracing::warn!(%error, "expired values not removed");
    }
}
