//! `keygen`, `jwt inspect`, `jwt verify`.

use std::process::ExitCode;

use super::Global;

/// Arguments of `keygen`.
#[derive(Debug, clap::Args)]
pub(super) struct KeygenArgs {}

/// Commands below `jwt`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum JwtCommand {
    /// Print header and claims without verifying
    Inspect,
    /// Verify a token against a key set
    Verify,
}

pub(super) fn keygen(_args: KeygenArgs, _global: &Global) -> anyhow::Result<ExitCode> {
    todo!()
}

pub(super) fn jwt(_command: JwtCommand, _global: &Global) -> anyhow::Result<ExitCode> {
    todo!()
}
