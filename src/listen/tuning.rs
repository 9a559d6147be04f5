//! The settings of a running listener, which change without closing anything.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
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
    pub(super) permits: Arc<Semaphore>,
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
            permits: Arc::new(Semaphore::new(prepared.settings.max_connections)),
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
            self.permits.add_permits(new - old);
        } else {
            self.permits.forget_permits(old - new);
        }
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
