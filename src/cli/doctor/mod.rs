//! `doctor`: live diagnosis with WeChat and of the set-up. Changes nothing, and disturbs no token of a running gateway.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::Global;
use crate::clock::Clock;
use crate::config::Config;
use crate::listen;
use crate::observe::Metrics;
use crate::wechat;

mod account;
mod certificate;
mod explain;
mod finding;
mod js;
mod net;
mod push;
mod site;
mod upstream;
mod way;

use finding::{Finding, State};

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// Look at this app only, by its name in [wechat]
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Show what is signed for the JS-SDK of the page with this address
    #[arg(long, value_name = "URL", conflicts_with = "code")]
    js_url: Option<String>,
    /// Explain a code of WeChat's, of its API or of its error pages; asks nobody
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    code: Option<i64>,
}

/// What every check works with.
struct Patient<'c> {
    config: &'c Config,
    client: wechat::Client,
    http: reqwest::Client,
    clock: Clock,
}

/// How long one request of ours may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn doctor(args: DoctorArgs, global: &Global) -> anyhow::Result<ExitCode> {
    if let Some(code) = args.code {
        return Ok(print(&[explain::finding(code)], global));
    }
    let path = global.config_path()?;
    let Some(config) = super::check::load(&path, global) else {
        return Ok(ExitCode::FAILURE);
    };
    if let Some(name) = &args.app
        && !config
            .wechat
            .apps
            .iter()
            .any(|app| app.name.as_str() == name)
    {
        anyhow::bail!("no app is named `{name}` in [wechat]");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let findings = runtime.block_on(examine(&config, &args))?;
    Ok(print(&findings, global))
}

async fn examine(config: &Config, args: &DoctorArgs) -> anyhow::Result<Vec<Finding>> {
    let client = wechat::Client::new(config.wechat.clone(), Arc::new(Metrics::new()))
        .context("cannot set up the client for WeChat")?;
    let patient = Patient {
        config,
        client,
        http: net::client(None)?,
        clock: Clock::system(),
    };
    if let Some(url) = &args.js_url {
        return js::examine(&patient, url).await;
    }
    let mut findings = Vec::new();
    account::examine(&patient, args.app.as_deref(), &mut findings).await?;
    if args.app.is_none() {
        site::examine(&patient, &mut findings).await;
        way::examine(&patient, &mut findings).await;
        push::examine(&patient, &mut findings).await;
        certificate::examine(&patient, &mut findings).await;
        upstream::examine(&patient, &mut findings).await;
    }
    Ok(findings)
}

/// Numbered lines, or one JSON document; the exit code says whether anything failed.
fn print(findings: &[Finding], global: &Global) -> ExitCode {
    let count = |state: State| findings.iter().filter(|one| one.state == state).count();
    let (failed, warned) = (count(State::Fail), count(State::Warn));
    if global.json {
        let report = json!({ "findings": findings, "failed": failed, "warned": warned });
        say!("{report}");
    } else {
        for (number, finding) in findings.iter().enumerate() {
            say!("{:>2} {finding}", number + 1);
        }
        say!(
            "\n{failed} failed, {warned} warned, {} in all",
            findings.len()
        );
    }
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// A public listener that can be asked as this machine reaches it, one without TLS before others.
fn own_listener(config: &Config) -> Option<&listen::Settings> {
    let listeners = config.listeners.iter();
    // The header of the PROXY protocol says who comes from elsewhere, and nobody does.
    let askable = listeners.filter(|listener| listener.proxy_protocol.is_none());
    askable.min_by_key(|listener| listener.tls.is_some())
}
