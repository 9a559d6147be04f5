//! One server of an upstream, with its connections and what is believed of it.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use http::HeaderValue;

use super::http2::Shared;
use super::mark::Mark;
use super::pool::Pool;
use super::settings::{Address, Server as Place, UpstreamSettings};
use crate::observe::{Metrics, UpstreamMetrics};

/// One server of an upstream.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) place: Place,
    /// `host:port`, or `unix:` and a path, as in metrics and logs.
    pub(super) name: Arc<str>,
    /// As a `Host` value: without the scheme's own port.
    pub(super) authority: HeaderValue,
    pub(super) pool: Pool,
    /// Connections over HTTP/2.
    pub(super) shared: Shared,
    pub(super) metrics: UpstreamMetrics,
    pub(super) mark: Mark,
    /// What active checks believe.
    well: AtomicBool,
    /// Requests that have not ended.
    open: AtomicUsize,
}

/// A request that has not ended, counted at its server.
#[derive(Debug)]
pub(super) struct Load(Arc<Server>);

impl Load {
    pub(super) fn on(server: &Arc<Server>) -> Self {
        server.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(server))
    }
}

impl Deref for Load {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    /// Nothing is connected yet.
    pub(super) fn new(place: &Place, settings: &UpstreamSettings, metrics: &Metrics) -> Self {
        let (name, authority) = match &place.address {
            Address::Tcp { host, port } => {
                let host = match host.contains(':') {
                    true => format!("[{host}]"),
                    false => host.clone(),
                };
                let name = format!("{host}:{port}");
                let is_default = *port == place.protocol.default_port();
                let authority = if is_default { host } else { name.clone() };
                (name, authority)
            }
            // There is no name for it; this is what local programs expect.
            Address::Unix(path) => (format!("unix:{}", path.display()), "localhost".to_owned()),
        };
        Self {
            place: place.clone(),
            metrics: metrics.upstream(&settings.name, &name),
            name: name.into(),
            // The configuration has checked the name; an empty `Host` is what is left if it had not.
            authority: HeaderValue::from_maybe_shared(Bytes::from(authority))
                .unwrap_or_else(|_| HeaderValue::from_static("")),
            pool: Pool::new(settings.max_idle, settings.keep_alive),
            shared: Shared::new(settings.keep_alive),
            mark: Mark::default(),
            well: AtomicBool::new(true),
            open: AtomicUsize::new(0),
        }
    }

    /// Requests that have not ended.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether active checks believe that it is well; without them it always is.
    pub(super) fn is_well(&self) -> bool {
        self.well.load(Ordering::Relaxed)
    }

    /// What active checks believe from now on.
    pub(super) fn believe(&self, is_well: bool) {
        if is_well {
            self.mark.clear();
        }
        self.well.store(is_well, Ordering::Relaxed);
        self.metrics.set_healthy(is_well);
    }

    /// A connection was opened: nothing that failed before counts any more.
    pub(super) fn unmark(&self) {
        if self.mark.clear() {
            self.metrics.set_healthy(self.is_well());
        }
    }
}
