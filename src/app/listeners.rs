//! The public listeners: which serve, which a new configuration brings, which it takes away.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use tokio::task::JoinHandle;

use crate::drain::Drain;
use crate::listen::{self, Handler, Inherited, Listener, Prepared, Tuning};
use crate::observe::Metrics;

/// A listener at work, and its connections.
#[derive(Debug)]
pub(super) struct Running {
    /// As the configuration names it: port 0 stays 0.
    wanted: SocketAddr,
    address: SocketAddr,
    tuning: Arc<Tuning>,
    task: JoinHandle<()>,
    connections: Drain,
}

impl Running {
    /// Begins to accept.
    pub(super) fn start(wanted: SocketAddr, listener: Listener, handler: impl Handler) -> Self {
        let connections = Drain::new();
        Self {
            wanted,
            address: listener.address(),
            tuning: listener.tuning(),
            task: tokio::spawn(listener.run(handler, connections.guard())),
            connections,
        }
    }

    /// Where it listens, with the port that was taken.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more; each connection's next answer is its last.
    pub(super) fn stop(&self) {
        self.connections.stop();
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.connections.open()
    }

    /// Waits until every connection has ended after [`stop`](Self::stop).
    pub(super) async fn stopped(&self) {
        self.connections.stopped().await;
    }

    /// Lets go of the socket, whatever is left.
    pub(super) async fn end(self) {
        self.task.abort();
        // Only cancelled; what it held is let go of when it is gone.
        let _ = self.task.await;
    }
}

/// Every public listener.
#[derive(Debug)]
pub(super) struct Listeners {
    inherited: Inherited,
    /// Locked for a few lines, never while waiting.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of the configuration.
    serving: Vec<Running>,
    /// Taken away by a reload; their last connections are ending.
    leaving: Vec<Running>,
}

/// What a configuration makes of the listeners. New sockets are bound, but nobody is accepted yet. Dropping it changes nothing.
#[derive(Debug)]
pub(super) struct Change {
    slots: Vec<Slot>,
    /// Those that serve on, and those that end.
    others: Vec<SocketAddr>,
}

#[derive(Debug)]
enum Slot {
    /// The place among those that serve now.
    Kept(usize, SocketAddr, Box<Prepared>),
    New(SocketAddr, Box<Listener>),
}

impl Change {
    /// Every address that requests may come in at once this is applied, and those that are leaving.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let slots = self.slots.iter().map(|slot| match slot {
            Slot::Kept(_, address, _) => *address,
            Slot::New(_, listener) => listener.address(),
        });
        slots.chain(self.others.iter().copied()).collect()
    }
}

impl Listeners {
    /// None yet. Sockets of these are taken instead of binding.
    pub(super) fn new(inherited: Inherited) -> Self {
        Self {
            inherited,
            state: Mutex::default(),
        }
    }

    /// Binds what is new and reads certificates. A failure changes nothing. Needs a Tokio runtime.
    pub(super) fn prepare(
        &self,
        settings: &[listen::Settings],
        metrics: &Metrics,
    ) -> anyhow::Result<Change> {
        let state = self.lock();
        let mut free: Vec<usize> = (0..state.serving.len()).collect();
        let mut slots = Vec::new();
        for (position, settings) in settings.iter().enumerate() {
            let is_same = |place: &usize| {
                let running = state.serving.get(*place);
                running.is_some_and(|running| running.wanted == settings.address)
            };
            let kept = free
                .iter()
                .position(is_same)
                .map(|found| free.remove(found));
            slots.push(
                match kept.and_then(|place| Some((place, state.serving.get(place)?))) {
                    Some((place, running)) => {
                        let prepared = running.tuning.prepare(settings.clone())?;
                        Slot::Kept(place, running.address, Box::new(prepared))
                    }
                    None => {
                        let name = format!("listener-{}", position + 1);
                        let mut listener = self.open(&name, settings)?;
                        let address = listener.address().to_string();
                        listener.count_in(metrics.listener(&address));
                        Slot::New(settings.address, Box::new(listener))
                    }
                },
            );
        }
        let ending = free.iter().filter_map(|place| state.serving.get(*place));
        let others = ending.chain(&state.leaving);
        Ok(Change {
            slots,
            others: others.map(Running::address).collect(),
        })
    }

    /// Begins with what is new and ends what is no longer wanted. Connections that are open stay open where their listener does.
    ///
    /// `change` must come from the last [`prepare`](Self::prepare).
    pub(super) fn apply(&self, change: Change, handler: &impl Handler) {
        let mut state = self.lock();
        let mut before: Vec<Option<Running>> = std::mem::take(&mut state.serving)
            .into_iter()
            .map(Some)
            .collect();
        for slot in change.slots {
            let running = match slot {
                Slot::New(wanted, listener) => {
                    Some(Running::start(wanted, *listener, handler.clone()))
                }
                Slot::Kept(place, _, prepared) => {
                    let running = before.get_mut(place).and_then(Option::take);
                    running.inspect(|running| running.tuning.change(*prepared))
                }
            };
            state.serving.extend(running);
        }
        for running in before.into_iter().flatten() {
            tracing::info!(listener = %running.address, "no longer listening");
            running.stop();
            state.leaving.push(running);
        }
        state.leaving.retain(|running| running.open() > 0);
    }

    /// Where the listeners listen, in the order of the configuration.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.lock().serving.iter().map(Running::address).collect()
    }

    /// All of them, to be ended.
    pub(super) fn into_running(self) -> Vec<Running> {
        let state = self.state.into_inner();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.serving.into_iter().chain(state.leaving).collect()
    }

    /// The socket of this name or address that was inherited, or a new one.
    pub(super) fn open(&self, name: &str, settings: &listen::Settings) -> anyhow::Result<Listener> {
        let address = settings.address;
        let listener = match self.inherited.socket(name, address) {
            Ok(Some(socket)) => Listener::on(socket, settings.clone()),
            Ok(None) => Listener::bind(settings.clone()),
            Err(error) => Err(error.into()),
        };
        listener.with_context(|| format!("cannot listen on {address}"))
    }

    /// Fails when a socket was given that no listener has taken: whoever connects there would wait for ever.
    pub(super) fn refuse_unused(
        &self,
        names: &[String],
        taken: &[SocketAddr],
    ) -> anyhow::Result<()> {
        for (name, address) in self.inherited.all() {
            let is_used = names.iter().any(|known| known == name)
                || address.is_some_and(|address| taken.contains(&address));
            if !is_used {
                let place = address.map_or_else(String::new, |address| format!(" at {address}"));
                bail!(
                    "no listener has the name or the address of the socket `{name}`{place} that the service manager gave\n\
                     try: the same address in ListenStream= and in the configuration, or FileDescriptorName={}",
                    names.join(" or ")
                );
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
