//! Live diagnosis with WeChat and of the set-up. Changes nothing, and disturbs no token of a running gateway.
//!
//! Each check is one [`Finding`]: what was looked at, how it is, why, and what to do. No secret is in any of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::clock::Clock;
use crate::config::Config;
use crate::listen;
use crate::observe::Metrics;
use crate::wechat;

mod account;
mod certificate;
mod diagnosis;
mod explain;
mod finding;
mod js;
mod net;
mod push;
mod site;
mod upstream;
mod way;

pub use diagnosis::Diagnosis;
pub use finding::{Finding, State};

/// What every check works with.
struct Patient<'c> {
    config: &'c Config,
    client: wechat::Client,
    http: reqwest::Client,
    clock: Clock,
}

/// How long one request of ours may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at everything, or at the app of this name only. What is not looked at after this time is left out, and said so.
///
/// # Errors
///
/// When this machine gives no random bytes, or has no list of authorities.
pub async fn examine(
    config: &Config,
    app: Option<&str>,
    within: Duration,
) -> anyhow::Result<Diagnosis> {
    let patient = Patient::new(config)?;
    let mut findings = Vec::new();
    match tokio::time::timeout(within, all(&patient, app, &mut findings)).await {
        Ok(done) => done?,
        Err(_) => findings.push(
            Finding::skip(
                "the rest",
                format!("was not reached within {} s", within.as_secs()),
            )
            .fix("mend what does not answer, or run wxgate doctor in a shell, which waits longer"),
        ),
    }
    Ok(Diagnosis::new(findings))
}

/// What is signed for the JS-SDK of the page with this address.
///
/// # Errors
///
/// As [`examine`], and when no app has `js_sdk`.
pub async fn examine_page(config: &Config, url: &str) -> anyhow::Result<Diagnosis> {
    let patient = Patient::new(config)?;
    js::examine(&patient, url).await.map(Diagnosis::new)
}

/// What a code of WeChat's means. Asks nobody.
pub fn explain(code: i64) -> Diagnosis {
    Diagnosis::new(vec![explain::finding(code)])
}

impl<'c> Patient<'c> {
    fn new(config: &'c Config) -> anyhow::Result<Self> {
        // Metrics of its own: the doctor's calls are nobody's.
        let client = wechat::Client::new(config.wechat.clone(), Arc::new(Metrics::new()))
            .context("cannot set up the client for WeChat")?;
        Ok(Self {
            config,
            client,
            http: net::client(None)?,
            clock: Clock::system(),
        })
    }
}

async fn all(
    patient: &Patient<'_>,
    app: Option<&str>,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    account::examine(patient, app, findings).await?;
    if app.is_none() {
        site::examine(patient, findings).await;
        way::examine(patient, findings).await;
        push::examine(patient, findings).await;
        certificate::examine(patient, findings).await;
        upstream::examine(patient, findings).await;
    }
    Ok(())
}

/// A public listener that can be asked as this machine reaches it, one without TLS before others.
fn own_listener(config: &Config) -> Option<&listen::Settings> {
    let listeners = config.listeners.iter();
    // The header of the PROXY protocol says who comes from elsewhere, and nobody does.
    let askable = listeners.filter(|listener| listener.proxy_protocol.is_none());
    askable.min_by_key(|listener| listener.tls.is_some())
}
