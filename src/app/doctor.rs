//! The doctor, asked by an operator on the status page.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value as Json;
use tokio::sync::{Mutex, oneshot};

use crate::admin::Doctor;
use crate::config::Config;
use crate::doctor;

/// A browser waits that long for a page, and so does whoever stops the program meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// For this configuration; one run at a time, of all generations, for at most half a minute.
///
/// A run goes on when nobody waits for its outcome any more, and ends with the process.
pub(super) fn of(config: &Config, listeners: &[SocketAddr], running: &Arc<Mutex<()>>) -> Doctor {
    let (mut config, running) = (config.clone(), Arc::clone(running));
    // Where they really listen: the configuration may have asked for any port.
    for (settings, address) in config.listeners.iter_mut().zip(listeners) {
        settings.address = *address;
    }
    let config = Arc::new(config);
    Box::new(move || {
        let (config, running) = (Arc::clone(&config), Arc::clone(&running).try_lock_owned());
        Box::pin(async move {
            let Ok(running) = running else {
                return Err("busy with an earlier run".to_owned());
            };
            let (reply, outcome) = oneshot::channel();
            // On a thread of its own: some of what it does waits, and requests must not.
            let started = thread::Builder::new()
                .name("doctor".to_owned())
                .spawn(move || {
                    let diagnosis = examine(&config);
                    drop(running);
                    // Whoever asked may be gone.
                    reply.send(diagnosis).ok();
                });
            started.map_err(|error| format!("cannot start: {error}"))?;
            match outcome.await {
                Ok(Ok(diagnosis)) => Ok(diagnosis),
                Ok(Err(error)) => Err(format!("{error:#}")),
                Err(_) => Err("it broke off".to_owned()),
            }
        })
    })
}

fn examine(config: &Config) -> anyhow::Result<Json> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let diagnosis = runtime.block_on(doctor::examine(config, None, PATIENCE))?;
    // A name that is being looked up on a thread of the runtime's must not hold the answer.
    runtime.shutdown_background();
    Ok(diagnosis.json())
}
