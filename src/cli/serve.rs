//! `run` and `demo`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::Global;
use super::next_step;
use super::service::{self, Heartbeat};
use crate::admin::Order;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Watch};
use crate::demo::Demo;
use crate::listen::Inherited;
use crate::observe::{self, LogLevel};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Reload when the configuration file changes
    #[arg(long)]
    watch: bool,
    /// Serve although `wechat_api` points at a simulator: anybody can log in as anybody
    #[arg(long)]
    allow_simulator: bool,
}

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Where the gateway listens; loopback only, port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9500", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the simulated WeChat listens; loopback only, port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9510", value_name = "ADDRESS")]
    simulator: SocketAddr,
    /// Put the gateway in front of this site instead of the sample
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
}

/// Serves until SIGTERM or SIGINT. Exit code 1 when something had to be cut.
pub(super) fn run(args: RunArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let inherited = Inherited::from_environment().context("sockets of the service manager")?;
    let path = global.config_path()?;
    let watch = Watch::new(&path, args.watch);
    let Some(config) = super::check::load(&path, global) else {
        return Ok(ExitCode::FAILURE);
    };
    refuse_simulator(&config, &args)?;
    let level = observe::start_logging(&config.observe)?;
    let summary = super::check::summary(&config);
    until_end(async {
        // Before anybody is told that we are there: a signal must never meet the system's own reaction.
        let mut signals = Signals::listen()?;
        let app = App::start_on(config, Clock::system(), inherited).await;
        let mut app = app.map_err(|error| anyhow!(next_step::told(&error)))?;
        eprintln!("wxgate {} · {}", env!("CARGO_PKG_VERSION"), path.display());
        eprint!("{summary}");
        for address in app.addresses() {
            eprintln!("listening on {address}");
        }
        if let Some(address) = app.admin_address() {
            eprintln!("health and metrics on {address}");
        }
        eprintln!("ready in {} ms", began.elapsed().as_millis());
        service::ready();
        let source = Source {
            path: &path,
            args: &args,
            global,
        };
        let orders = app.orders();
        serve(&app, (&mut signals, watch, orders), &source, &level).await;
        Ok(stop(app, &mut signals.ending).await)
    })
}

/// Runs the demo until a signal comes.
pub(super) fn demo(args: DemoArgs, _global: &Global) -> anyhow::Result<ExitCode> {
    until_end(async {
        // Before anybody is told that we are there: a signal must never meet the system's own reaction.
        let mut ending = Ending::listen()?;
        let demo = Demo::start(crate::demo::Options {
            gateway: args.listen,
            simulator: args.simulator,
            upstream: args.upstream,
        })
        .await?;
        print!("{}", demo.banner());
        std::io::stdout().flush()?;
        ending.next().await;
        demo.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn refuse_simulator(config: &Config, args: &RunArgs) -> anyhow::Result<()> {
    if config.uses_simulator && !args.allow_simulator {
        bail!(
            "`wechat_api` points at a simulator, where anybody can log in as anybody\n\
             try: remove `wechat_api.base_url` and `wechat_api.open_url`, or add --allow-simulator for tests"
        );
    }
    Ok(())
}

/// How long threads may go on with something that nobody waits for any more.
const LAST_THREADS: Duration = Duration::from_secs(1);

/// Runs a program until its end. Looking up a name takes a thread until the name servers are given up: such a thread must not keep
/// the process.
pub(super) fn until_end<T>(program: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = runtime()?;
    let ended = runtime.block_on(program);
    runtime.shutdown_timeout(LAST_THREADS);
    ended
}

pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// What an operator says to a running program.
struct Signals {
    reload: Signal,
    reopen: Signal,
    ending: Ending,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            ending: Ending::listen()?,
        })
    }
}

/// SIGTERM and SIGINT.
pub(super) struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

impl Ending {
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one and says what a shell would see if it had ended us on the spot. Cancelling loses nothing.
    pub(super) async fn next(&mut self) -> ExitCode {
        tokio::select! {
            _ = self.terminate.recv() => ExitCode::from(143),
            _ = self.interrupt.recv() => ExitCode::from(130),
        }
    }
}

/// Where configurations come from.
struct Source<'a> {
    path: &'a Path,
    args: &'a RunArgs,
    global: &'a Global,
}

/// Waits for the end; reloads and reopens logs on the way.
async fn serve(
    app: &App,
    (signals, mut watch, mut orders): (&mut Signals, Watch, Option<mpsc::Receiver<Order>>),
    source: &Source<'_>,
    level: &LogLevel,
) {
    let mut heartbeat = Heartbeat::new();
    loop {
        tokio::select! {
            _ = signals.ending.next() => return,
            never = heartbeat.beat() => match never {},
            // Its outcome was reported; nobody else waits for it.
            _ = signals.reload.recv() => {
                watch.acknowledge();
                drop(reload_now(app, source, level));
            }
            () = watch.changed() => drop(reload_now(app, source, level)),
            Some(order) = next(&mut orders) => match order {
                // Whoever asked may be gone.
                Order::Reload(reply) => {
                    watch.acknowledge();
                    drop(reply.send(reload_now(app, source, level)));
                }
                Order::LogLevel(wanted) => level.change(wanted),
            },
            _ = signals.reopen.recv() => {
                if let Err(error) = app.reopen_logs() {
                    tracing::error!(%error, "access log not reopened");
                }
            }
        }
    }
}

/// The next order; never comes where nobody can give one.
async fn next(orders: &mut Option<mpsc::Receiver<Order>>) -> Option<Order> {
    match orders {
        Some(orders) => orders.recv().await,
        None => std::future::pending().await,
    }
}

/// Takes the file as it is now; a bad one changes nothing, is reported like `check` does, and given back as text.
fn reload_now(app: &App, source: &Source<'_>, level: &LogLevel) -> Result<(), String> {
    service::reloading();
    let result = take_file(app, source, level);
    service::ready();
    result
}

fn take_file(app: &App, source: &Source<'_>, level: &LogLevel) -> Result<(), String> {
    let config = match super::check::load_or_report(source.path, source.global) {
        Ok(config) => config,
        Err(problems) => {
            let report = problems.render(false);
            // Before it is told: whoever reads the log finds it in the metrics.
            app.reload_failed(&report);
            tracing::error!("configuration not reloaded, the old one stays");
            return Err(report);
        }
    };
    let new_level = config.observe.level;
    let result = match refuse_simulator(&config, source.args) {
        Ok(()) => app.reload(config),
        Err(error) => {
            app.reload_failed(&error.to_string());
            Err(error)
        }
    };
    match result {
        Ok(()) => {
            level.change(new_level);
            tracing::info!("configuration reloaded");
            Ok(())
        }
        Err(error) => {
            let error = next_step::told(&error);
            tracing::error!(error, "configuration not reloaded, the old one stays");
            Err(error)
        }
    }
}

/// Drains; a second signal ends the process at once.
async fn stop(app: App, ending: &mut Ending) -> ExitCode {
    tracing::info!("stopping");
    service::stopping();
    let mut heartbeat = Heartbeat::new();
    let outcome = tokio::select! {
        never = heartbeat.beat() => match never {},
        outcome = app.shutdown() => outcome,
        code = ending.next() => {
            tracing::warn!("stopped at once by a second signal");
            return code;
        }
    };
    if outcome.is_clean() {
        tracing::info!("stopped");
        ExitCode::SUCCESS
    } else {
        let (connections, tunnels) = (outcome.connections, outcome.tunnels);
        tracing::warn!(connections, tunnels, "stopped, the rest was cut");
        ExitCode::FAILURE
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_nobody_waits_for_does_not_keep_the_process() {
        let (release, held) = std::sync::mpsc::channel::<()>();

        let ended = until_end(async {
            let (started, has_started) = tokio::sync::oneshot::channel();
            drop(tokio::task::spawn_blocking(move || {
                let _ = started.send(());
                held.recv()
            }));
            Ok(has_started.await?)
        });

        // Whoever waits for the thread never gets here.
        ended.unwrap();
        drop(release);
    }
}
