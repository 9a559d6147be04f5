//! `run`, `demo`, `sim`, `healthcheck`.

use std::process::ExitCode;

use super::Global;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {}

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {}

/// Arguments of `sim`.
#[derive(Debug, clap::Args)]
pub(super) struct SimArgs {}

/// Arguments of `healthcheck`.
#[derive(Debug, clap::Args)]
pub(super) struct HealthcheckArgs {}

pub(super) fn run(_args: RunArgs, _global: &Global) -> anyhow::Result<ExitCode> {
    todo!()
}

pub(super) fn demo(_args: DemoArgs, _global: &Global) -> anyhow::Result<ExitCode> {
    todo!()
}

pub(super) fn sim(_args: SimArgs, _global: &Global) -> anyhow::Result<ExitCode> {
    todo!()
}

pub(super) fn healthcheck(_args: HealthcheckArgs, _global: &Global) -> anyhow::Result<ExitCode> {
    todo!()
}
