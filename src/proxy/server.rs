//! One server of an upstream, with its connections and what is believed of it.

use std::io;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

use super::http2::Shared;
use super::mark::Mark;
use super::names::{Look, Name, Resolver};
use super::pool::Pool;
use super::room::Room;
use super::settings::{Address, Server as Place, UpstreamSettings};
use crate::drain::Guard;
use crate::observe::{Metrics, UpstreamMetrics};

/// One server of an upstream.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) place: Place,
    /// `host:port`, or `unix:` and a path, as in metrics and logs.
    pub(super) name: Arc<str>,
    /// As a `Host` value: without the scheme's own port.
    pub(super) authority: HeaderValue,
    /// What its name stands for; `None` where it has an address.
    pub(super) addresses: Option<Name>,
    pub(super) connect_timeout: Duration,
    /// Counts its connections.
    pub(super) room: Arc<Room>,
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
    pub(super) fn new(
        place: &Place,
        settings: &UpstreamSettings,
        resolver: &Resolver,
        metrics: &Metrics,
    ) -> Self {
        let room = Room::new(settings.max_connections);
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
            addresses: name_of(&place.address, resolver),
            connect_timeout: settings.connect_timeout,
            pool: Pool::new(settings.max_idle, settings.keep_alive, Arc::clone(&room)),
            room,
            shared: Shared::new(settings.keep_alive),
            mark: Mark::default(),
            well: AtomicBool::new(true),
            open: AtomicUsize::new(0),
        }
    }

    /// It could not be connected to: its name may stand for other addresses by now.
    pub(super) fn doubt_addresses(&self) {
        if let Some(name) = &self.addresses {
            name.doubt();
        }
    }

    /// Looks its name up again and again, until it is told to stop. Cancelling loses nothing.
    pub(super) async fn follow_name(self: Arc<Self>, upstream: String, mut guard: Guard) {
        let Some(name) = &self.addresses else {
            return;
        };
        let mut is_failing = false;
        loop {
            let waiting = async {
                name.wait().await;
                self.look_again(name).await
            };
            let looked = tokio::select! {
                looked = waiting => looked,
                () = guard.stopping() => return,
            };
            let server = &self.name;
            match &looked {
                Ok(Look::Changed(addresses)) => {
                    tracing::info!(upstream, %server, count = addresses.len(), "server has other addresses");
                }
                // Said once; what was known stays in use.
                Err(error) if !is_failing => {
                    tracing::warn!(upstream, %server, %error, "name of server cannot be looked up");
                }
                Ok(Look::Same) | Err(_) => {}
            }
            is_failing = looked.is_err();
        }
    }

    /// Looks its name up. Connections to addresses that are gone get nothing new, and close when their requests have ended.
    pub(super) async fn look_again(&self, name: &Name) -> io::Result<Look> {
        let looked = name.look().await?;
        if let Look::Changed(addresses) = &looked {
            self.pool.keep_only(addresses);
            self.shared.keep_only(addresses);
        }
        Ok(looked)
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

fn name_of(address: &Address, resolver: &Resolver) -> Option<Name> {
    match address {
        Address::Tcp { host, port } if host.parse::<IpAddr>().is_err() => {
            Some(Name::new(host, *port, resolver.clone()))
        }
        Address::Tcp { .. } | Address::Unix(_) => None,
    }
}
