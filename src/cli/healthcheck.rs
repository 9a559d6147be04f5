//! `healthcheck`: whether a running gateway is well, for containers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use super::Global;
use crate::listen::reachable;

/// Arguments of `healthcheck`.
#[derive(Debug, clap::Args)]
pub(super) struct HealthcheckArgs {
    /// Ask for readiness instead of life
    #[arg(long)]
    ready: bool,
}

/// Asks the admin listener. Exit code 0 or 1, never 2: Docker reserves it.
pub(super) fn healthcheck(args: HealthcheckArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let path = global.config_path()?;
    let Some(access) = super::check::admin_access(&path, global) else {
        return Ok(ExitCode::FAILURE);
    };
    let Some(address) = access.listen else {
        bail!("`admin.listen` is \"none\", so there is nobody to ask");
    };
    let endpoint = if args.ready { "/readyz" } else { "/healthz" };
    let token = access.token.as_ref().map(|token| token.reveal().as_str());
    let status = ask(reachable(address), endpoint, token)
        .with_context(|| format!("http://{address}{endpoint}"))?;
    if global.json {
        say!(
            "{}",
            serde_json::json!({ "endpoint": endpoint, "status": status })
        );
    } else {
        say!("{endpoint}: {status}");
    }
    Ok(if status == 200 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One request, two seconds for each step; the status of the answer.
fn ask(address: SocketAddr, endpoint: &str, token: Option<&str>) -> anyhow::Result<u16> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let token = token.map_or(String::new(), |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    write!(
        stream,
        "GET {endpoint} HTTP/1.1\r\nHost: {address}\r\n{token}Connection: close\r\n\r\n"
    )?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    std::str::from_utf8(&start)
        .ok()
        .and_then(|start| start.strip_prefix("HTTP/1.1 "))
        .and_then(|status| status.parse().ok())
        .context("the answer is not HTTP")
}
