//! `routes list`, `routes explain`.

use std::process::ExitCode;

use super::Global;

/// Commands below `routes`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum RoutesCommand {
    /// Print the routes in matching order
    List,
    /// Say which route a URL gets, why, and what would happen
    Explain,
}

pub(super) fn routes(_command: RoutesCommand, _global: &Global) -> anyhow::Result<ExitCode> {
    todo!()
}
