//! Puts everything together; publishes, reloads, drains.
//!
//! A new configuration is built completely before anybody sees it, and a failure keeps the old one. Store, keys, metrics,
//! limits, pools and listeners outlive configurations.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::admin::Order;
use crate::clock::Clock;
use crate::config::Config;
use crate::drain::Drain;
use crate::gateway::{AnswerBody, Gateway};
use crate::listen::{Handler, Inherited, Listener, Peer};

mod admin;
mod assemble;
mod doctor;
mod explain;
mod facts;
mod housekeeping;
mod lasting;
mod listeners;
mod successor;

use admin::AdminHandler;
use assemble::Shared;
use listeners::{Listeners, Running};

/// A running gateway. Dropping it without [`shutdown`](Self::shutdown) cuts everything.
#[derive(Debug)]
pub struct App {
    shared: Arc<Shared>,
    current: Current,
    config: Arc<ArcSwap<Config>>,
    listeners: Listeners,
    /// One reload at a time.
    reloading: Mutex<()>,
    admin: Option<Running>,
    admin_answers: AdminHandler,
    tunnels: Arc<Drain>,
    housekeeping: Drain,
    /// What operators ask for on the admin listener, until somebody takes it.
    orders: Option<mpsc::Receiver<Order>>,
}

/// How long a shutdown waits for tasks of our own, which have no visitor any more.
const LAST_TASKS: Duration = Duration::from_secs(2);

/// So many orders may wait.
const MOST_ORDERS: usize = 4;

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Connections that had to be cut.
    pub connections: usize,
    /// Tunnels that had to be cut.
    pub tunnels: usize,
}

impl Outcome {
    /// Whether everything ended by itself.
    pub fn is_clean(self) -> bool {
        self.connections == 0 && self.tunnels == 0
    }
}

/// The present generation.
#[derive(Clone, Debug)]
struct Current(Arc<ArcSwap<Gateway>>);

impl Handler for Current {
    type Body = AnswerBody;

    fn handle(
        &self,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = Response<AnswerBody>> + Send {
        // PERF: the future is some kilobytes large. In a box hyper moves a pointer instead of all of it, several times.
        Box::pin(self.0.load_full().handle(request, peer))
    }
}

impl App {
    /// Opens store, keys and logs, binds every listener, and begins to serve.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        Self::start_on(config, clock, Inherited::none()).await
    }

    /// The same, on sockets that the service manager has opened: `listener-1` and so on in the order of the configuration, and
    /// `admin`, or by their addresses.
    pub async fn start_on(
        config: Config,
        clock: Clock,
        inherited: Inherited,
    ) -> anyhow::Result<Self> {
        let (order, orders) = mpsc::channel(MOST_ORDERS);
        let shared = Arc::new(Shared::open(&config, clock, order).await?);
        let tunnels = Arc::new(Drain::new());
        let listeners = Listeners::new(inherited);
        let bound = listeners.prepare(&config.listeners, &shared.metrics)?;
        let admin = config.admin.listen.map(admin::settings);
        let admin = admin
            .map(|settings| listeners.open("admin", &settings))
            .transpose()?;
        let mut taken = bound.addresses();
        taken.extend(admin.as_ref().map(Listener::address));
        listeners.refuse_unused(&names(&config), &taken)?;
        let gateway = shared.gateway(&config, None, &bound.addresses(), &tunnels)?;
        let current = Current(Arc::new(ArcSwap::from_pointee(gateway)));
        let addresses = bound.addresses();
        listeners.apply(bound, &current);
        let answers = shared.admin(&config, &current.0.load(), &addresses);
        let admin_answers = AdminHandler(Arc::new(ArcSwap::from_pointee(answers)));
        let admin = admin
            .map(|listener| Running::start(listener.address(), listener, admin_answers.clone()));
        shared.metrics.config_loaded(shared.clock.now());
        shared.readiness.set_started();
        let housekeeping = Drain::new();
        // It ends by its guard, also when the app is dropped.
        drop(tokio::spawn(housekeeping::run(
            housekeeping.guard(),
            Arc::clone(&shared),
            Arc::clone(&current.0),
        )));
        Ok(Self {
            shared,
            current,
            config: Arc::new(ArcSwap::from_pointee(config)),
            listeners,
            reloading: Mutex::default(),
            admin,
            admin_answers,
            tunnels,
            housekeeping,
            orders: Some(orders),
        })
    }

    /// Where the first public listener listens.
    pub fn address(&self) -> SocketAddr {
        self.addresses()
            .next()
            .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Where the public listeners listen, in the order of the configuration.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        self.listeners.addresses().into_iter()
    }

    /// Where the admin listener listens.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Running::address)
    }

    /// Takes a new configuration. Requests in flight finish with the one they began with; no connection is closed, except
    /// those of a listener that is gone, after their next answer.
    ///
    /// Fails, and changes nothing, when a part cannot be built, an address cannot be taken or a key changed that needs a restart.
    /// Reads key files and templates; needs a Tokio runtime.
    pub fn reload(&self, config: Config) -> anyhow::Result<()> {
        let result = self.replace(config);
        match &result {
            Ok(()) => {
                let now = self.shared.clock.now();
                self.shared.metrics.config_loaded(now);
            }
            Err(error) => self.reload_failed(&format!("{error:#}")),
        }
        result
    }

    /// Notes a reload that failed before there was a configuration, with the report that the status page shows.
    pub fn reload_failed(&self, report: &str) {
        self.shared.metrics.config_refused(report);
    }

    /// What operators ask for on the admin listener; only the first who asks gets it. Whoever has it must carry orders out.
    pub fn orders(&mut self) -> Option<mpsc::Receiver<Order>> {
        self.orders.take()
    }

    /// Opens the access log's file again.
    pub fn reopen_logs(&self) -> std::io::Result<()> {
        self.shared.noting.load().access_log.reopen()
    }

    /// Says "not ready", waits `drain_delay`, stops accepting, lets requests and tunnels finish, and cuts what is left after
    /// `shutdown_grace`. Cancelling cuts everything at once.
    pub async fn shutdown(self) -> Outcome {
        let config = self.config.load_full();
        self.shared.readiness.set_draining();
        tokio::time::sleep(config.drain_delay).await;
        let listeners = self.listeners.into_running();
        listeners.iter().for_each(Running::stop);
        self.tunnels.stop();
        let all_ended = async {
            for listener in &listeners {
                listener.stopped().await;
            }
            self.tunnels.stopped().await;
        };
        let _ = tokio::time::timeout(config.shutdown_grace, all_ended).await;
        let outcome = Outcome {
            connections: listeners.iter().map(Running::open).sum(),
            tunnels: self.tunnels.open(),
        };
        self.housekeeping.stop();
        for listener in listeners {
            listener.end().await;
        }
        // They hold the store, whose file the next process wants.
        let last_tasks = async {
            self.housekeeping.stopped().await;
            if let Some(admin) = self.admin {
                admin.stop();
                admin.stopped().await;
            }
        };
        let _ = tokio::time::timeout(LAST_TASKS, last_tasks).await;
        self.shared.close().await;
        outcome
    }

    fn replace(&self, mut config: Config) -> anyhow::Result<()> {
        let _alone = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let old = self.config.load_full();
        successor::refuse_restart_keys(&old, &config)?;
        successor::keep_lists(&old, &mut config);
        // New sockets are bound before anybody sees the new generation, and accept after.
        let listeners = self
            .listeners
            .prepare(&config.listeners, &self.shared.metrics)?;
        let addresses = listeners.addresses();
        let gateway = self.current.0.load_full();
        let new =
            self.shared
                .gateway(&config, Some((&old, &gateway)), &addresses, &self.tunnels)?;
        self.current.0.store(Arc::new(new));
        self.listeners.apply(listeners, &self.current);
        let admin = self
            .shared
            .admin(&config, &self.current.0.load(), &addresses);
        self.admin_answers.0.store(Arc::new(admin));
        self.config.store(Arc::new(config));
        Ok(())
    }
}

/// The names by which the service manager can tell sockets apart.
fn names(config: &Config) -> Vec<String> {
    let listeners = 1..=config.listeners.len();
    let admin = config.admin.listen.map(|_| "admin".to_owned());
    listeners
        .map(|number| format!("listener-{number}"))
        .chain(admin)
        .collect()
}
