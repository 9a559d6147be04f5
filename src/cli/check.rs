//! `check`, `config show`, `config schema`.

use std::process::ExitCode;

use super::Global;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// Count warnings as failure
    #[arg(long)]
    strict: bool,
}

/// Commands below `config`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every key with its effective value; secrets are hidden
    Show,
    /// Print the JSON Schema of the file, for editors
    Schema,
}

pub(super) fn check(_args: CheckArgs, _global: &Global) -> anyhow::Result<ExitCode> {
    todo!()
}

pub(super) fn config(_command: ConfigCommand, _global: &Global) -> anyhow::Result<ExitCode> {
    todo!()
}
