//! The settings of a running listener, which change without closing anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, MissedTickBehavior, interval};

use super::Settings;
use super::certificate::CertificateError;
use super::tls::Tls;
use crate::observe::ListenerMetrics;

/// How often certificate files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The settings of a running listener; new ones count for connections accepted later.
#[derive(Debug)]
pub struct Tuning {
    current: ArcSwap<Prepared>,
    /// Places for connections that nobody has taken.
    free: Arc<Semaphore>,
    /// So many places were taken when a lower limit did away with them: they are gone when their connections leave.
    owed: AtomicUsize,
}

/// Settings and what they need from files.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) settings: Settings,
    pub(super) tls: Option<Arc<Tls>>,
}

impl Prepared {
    /// Whether a connection begins with its first request, in HTTP/1.1.
    pub(super) fn is_plain(&self) -> bool {
        self.tls.is_none() && !self.settings.h2c && self.settings.proxy_protocol.is_none()
    }

    /// Loads certificates. Blocking file access.
    pub(super) fn new(settings: Settings) -> Result<Self, CertificateError> {
        let tls = settings.tls.as_ref().map(Tls::new).transpose()?;
        Ok(Self {
            tls: tls.map(Arc::new),
            settings,
        })
    }
}

impl Tuning {
    pub(super) fn new(prepared: Prepared) -> Self {
        Self {
            free: Arc::new(Semaphore::new(prepared.settings.max_connections)),
            owed: AtomicUsize::new(0),
            current: ArcSwap::from_pointee(prepared),
        }
    }

    /// Gets new settings ready and changes nothing yet. Certificates that are in use already stay, so that clients can resume
    /// their sessions. Blocking file access.
    pub fn prepare(&self, settings: Settings) -> Result<Prepared, CertificateError> {
        let current = self.current.load();
        if settings.tls == current.settings.tls {
            let tls = current.tls.clone();
            return Ok(Prepared { settings, tls });
        }
        Prepared::new(settings)
    }

    /// Takes new settings; the address is not looked at. A lower connection limit closes nothing: it holds once connections
    /// have ended.
    pub fn change(&self, prepared: Prepared) {
        let new = prepared.settings.max_connections;
        let before = self.current.swap(Arc::new(prepared));
        let old = before.settings.max_connections;
        if new > old {
            self.add_places(new - old);
        } else {
            let gone = self.free.forget_permits(old - new);
            self.owed.fetch_add(old - new - gone, Ordering::Relaxed);
        }
    }

    /// A place for one more connection, until it is dropped. Waits while all are taken; cancelling loses nothing.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let place = Arc::clone(&self.free).acquire_owned().await.ok()?;
            if let Some(place) = self.unless_owed(place) {
                return Some(place);
            }
        }
    }

    /// The same without waiting; `None` while all are taken.
    pub(super) fn free_place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let place = Arc::clone(&self.free).try_acquire_owned().ok()?;
            if let Some(place) = self.unless_owed(place) {
                return Some(place);
            }
        }
    }

    fn unless_owed(&self, place: OwnedSemaphorePermit) -> Option<OwnedSemaphorePermit> {
        let one_less = |owed: usize| owed.checked_sub(1);
        let pays = self
            .owed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        match pays {
            Ok(_) => {
                place.forget();
                None
            }
            Err(_) => Some(place),
        }
    }

    /// What is owed need not be paid first.
    fn add_places(&self, count: usize) {
        let less = |owed: usize| Some(owed.saturating_sub(count));
        let owed = self
            .owed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        let kept = owed.unwrap_or_default().min(count);
        self.free.add_permits(count - kept);
    }

    pub(super) fn current(&self) -> Arc<Prepared> {
        self.current.load_full()
    }

    /// Loads certificates again when their files change, until it is dropped.
    pub(super) async fn watch_certificates(&self, metrics: &ListenerMetrics) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shown = self.current();
        loop {
            ticks.tick().await;
            let current = self.current();
            let Some(tls) = &current.tls else {
                continue;
            };
            // A reload may have named other files.
            if !shown
                .tls
                .as_ref()
                .is_some_and(|shown| Arc::ptr_eq(shown, tls))
            {
                let before = shown.tls.as_ref().map(|tls| &**tls.certificates());
                tls.certificates().show(before, metrics);
            }
            shown = Arc::clone(&current);
            let (certificates, metrics) = (Arc::clone(tls.certificates()), metrics.clone());
            let look = tokio::task::spawn_blocking(move || certificates.refresh(&metrics));
            if let Err(error) = look.await {
                tracing::error!(%error, "certificates not looked at");
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use crate::listen::Timeouts;

    use super::*;

    fn at_most(max_connections: usize) -> Prepared {
        let timeouts = Timeouts {
            tls_handshake: LOOK_EVERY,
            request_header: LOOK_EVERY,
            keep_alive: LOOK_EVERY,
            body_progress: LOOK_EVERY,
        };
        Prepared::new(Settings {
            address: "127.0.0.1:0".parse().unwrap(),
            max_header: 1024,
            max_headers: 100,
            max_connections,
            timeouts,
            tls: None,
            h2c: false,
            proxy_protocol: None,
            trusted_proxies: Vec::new(),
        })
        .unwrap()
    }

    /// Every place that is free now.
    fn take_all(tuning: &Tuning) -> Vec<OwnedSemaphorePermit> {
        std::iter::from_fn(|| tuning.free_place()).collect()
    }

    #[test]
    fn however_the_limit_changes_it_holds_once_connections_have_ended() {
        let tuning = Tuning::new(at_most(5));
        let mut open = take_all(&tuning);
        assert_eq!(open.len(), 5);

        for limit in [2_usize, 4, 3, 6, 7, 1] {
            let more = limit.saturating_sub(5);
            tuning.change(at_most(limit));
            open.extend(take_all(&tuning));
            assert_eq!(open.len(), 5 + more, "{limit}");
            open.truncate(5);
            // Those that have just left leave what the limit allows, and no more.
            let free = take_all(&tuning);
            assert_eq!(free.len(), more, "{limit}");
        }
        open.truncate(1);
        assert!(take_all(&tuning).is_empty());
        drop(open);
        assert_eq!(take_all(&tuning).len(), 1);
        tuning.change(at_most(3));
        assert_eq!(take_all(&tuning).len(), 3);
    }
}
