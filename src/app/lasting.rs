//! What outlives configurations that say the same about it: keys, and where things are noted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;

use crate::config::Config;
use crate::jwt::Minter;
use crate::observe::{self, AccessLog, IdentityMask, Metrics, Output, Tracer};
use crate::seal::Sealer;

/// Keys outlive configurations that say the same about them.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) sealer: Arc<Sealer>,
    pub(super) minter: Arc<Minter>,
}

/// What requests are noted with.
#[derive(Debug)]
pub(super) struct Noting {
    pub(super) access_log: Arc<AccessLog>,
    pub(super) mask: IdentityMask,
    pub(super) tracer: Option<Arc<Tracer>>,
}

impl Keys {
    /// Reads or makes them.
    pub(super) fn open(config: &Config, now: SystemTime) -> anyhow::Result<Self> {
        Ok(Self {
            sealer: open_sealer(config, now)?,
            minter: open_minter(config, now)?,
        })
    }

    /// The keys for a new configuration: the same where it says the same about them.
    pub(super) fn renewed(
        &self,
        old: &Config,
        new: &Config,
        now: SystemTime,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            sealer: if old.session_keys == new.session_keys {
                Arc::clone(&self.sealer)
            } else {
                open_sealer(new, now)?
            },
            minter: if old.jwt == new.jwt {
                Arc::clone(&self.minter)
            } else {
                open_minter(new, now)?
            },
        })
    }
}

impl Noting {
    /// Opens them. Needs a Tokio runtime.
    pub(super) fn open(settings: &observe::Settings, metrics: &Metrics) -> anyhow::Result<Self> {
        Ok(Self {
            access_log: open_access_log(settings, metrics)?,
            mask: open_mask(settings)?,
            tracer: open_tracer(settings, metrics)?,
        })
    }

    /// What a new configuration notes with: the same access log and tracer where it says the same about them.
    pub(super) fn renewed(
        &self,
        old: &observe::Settings,
        new: &observe::Settings,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let access_log = match old.access_log == new.access_log {
            true => Arc::clone(&self.access_log),
            false => open_access_log(new, metrics)?,
        };
        let mask = open_mask(new)?;
        let tracer = match old.trace == new.trace {
            true => self.tracer.clone(),
            false => open_tracer(new, metrics)?,
        };
        Ok(Self {
            access_log,
            mask,
            tracer,
        })
    }

    /// Writes and sends what is left, for some seconds at most.
    pub(super) async fn close(&self) {
        let access_log = Arc::clone(&self.access_log);
        // Waiting for a slow disk must not hold up the runtime.
        let lines = tokio::task::spawn_blocking(move || access_log.close());
        if let Some(tracer) = &self.tracer {
            // A collector that hangs must not hold up the end either.
            let _ = tokio::time::timeout(LAST_SPANS, tracer.close()).await;
        }
        let _ = lines.await;
    }
}

/// How long a shutdown waits for the collector of spans.
const LAST_SPANS: Duration = Duration::from_secs(2);

fn open_access_log(
    settings: &observe::Settings,
    metrics: &Metrics,
) -> anyhow::Result<Arc<AccessLog>> {
    let access_log = AccessLog::start(settings.access_log.clone(), settings.format, metrics);
    let output = settings.access_log.as_ref().map(|one| &one.output);
    let access_log = access_log.with_context(|| match output {
        Some(Output::File(path)) => format!("cannot open the access log {}", path.display()),
        Some(Output::Stdout) | None => "cannot start the access log".to_owned(),
    });
    Ok(Arc::new(access_log?))
}

fn open_mask(settings: &observe::Settings) -> anyhow::Result<IdentityMask> {
    IdentityMask::open(&settings.identity).context("cannot open the log's key")
}

fn open_tracer(
    settings: &observe::Settings,
    metrics: &Metrics,
) -> anyhow::Result<Option<Arc<Tracer>>> {
    let Some(settings) = &settings.trace else {
        return Ok(None);
    };
    let tracer = Tracer::start(settings, metrics).context("cannot export traces")?;
    Ok(Some(Arc::new(tracer)))
}

fn open_sealer(config: &Config, now: SystemTime) -> anyhow::Result<Arc<Sealer>> {
    let sealer = Sealer::open_ring(config.session_keys.clone(), now);
    Ok(Arc::new(sealer.context("cannot open the session keys")?))
}

fn open_minter(config: &Config, now: SystemTime) -> anyhow::Result<Arc<Minter>> {
    let minter = Minter::open(config.jwt.clone(), now);
    Ok(Arc::new(minter.context("cannot open the signing keys")?))
}
