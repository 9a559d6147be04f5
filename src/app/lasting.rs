//! What outlives configurations that say the same about it: keys, and where things are noted.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;

use crate::config::Config;
use crate::jwt::Minter;
use crate::observe::{self, AccessLog, IdentityMask, Metrics};
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
    /// Opens them.
    pub(super) fn open(settings: &observe::Settings, metrics: &Metrics) -> anyhow::Result<Self> {
        let access_log = AccessLog::start(settings.access_log.clone(), settings.format, metrics);
        let mask = IdentityMask::open(&settings.identity);
        Ok(Self {
            access_log: Arc::new(access_log.context("cannot open the access log")?),
            mask: mask.context("cannot open the log's key")?,
        })
    }

    /// The logs of a new configuration: the same access log where it says the same about it.
    pub(super) fn renewed(
        &self,
        old: &observe::Settings,
        new: &observe::Settings,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        if old.access_log != new.access_log {
            return Self::open(new, metrics);
        }
        let mask = IdentityMask::open(&new.identity);
        Ok(Self {
            access_log: Arc::clone(&self.access_log),
            mask: mask.context("cannot open the log's key")?,
        })
    }
}

fn open_sealer(config: &Config, now: SystemTime) -> anyhow::Result<Arc<Sealer>> {
    let sealer = Sealer::open_ring(config.session_keys.clone(), now);
    Ok(Arc::new(sealer.context("cannot open the session keys")?))
}

fn open_minter(config: &Config, now: SystemTime) -> anyhow::Result<Arc<Minter>> {
    let minter = Minter::open(config.jwt.clone(), now);
    Ok(Arc::new(minter.context("cannot open the signing keys")?))
}
