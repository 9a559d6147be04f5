//! `doctor`: live diagnosis with WeChat and of the set-up.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::Global;
use crate::doctor::{self, Diagnosis};

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// Look at this app only, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Show what is signed for the JS-SDK of the page with this address
    #[arg(long, value_name = "URL", conflicts_with = "code")]
    js_url: Option<String>,
    /// Explain a code of WeChat's, of its API or of its error pages; asks nobody
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    code: Option<i64>,
}

/// Longer than all checks of a large set-up of which nothing answers.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) fn doctor(args: DoctorArgs, global: &Global) -> anyhow::Result<ExitCode> {
    if let Some(code) = args.code {
        return Ok(print(&doctor::explain(code), global));
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
    let diagnosis = runtime.block_on(async {
        match &args.js_url {
            Some(url) => doctor::examine_page(&config, url).await,
            None => doctor::examine(&config, args.app.as_deref(), PATIENCE).await,
        }
    })?;
    Ok(print(&diagnosis, global))
}

/// Numbered lines, or one JSON document; the exit code says whether anything failed.
fn print(diagnosis: &Diagnosis, global: &Global) -> ExitCode {
    match global.json {
        true => say!("{}", diagnosis.json()),
        false => say!("{diagnosis}"),
    }
    match diagnosis.failed() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
