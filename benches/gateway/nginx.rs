//! nginx as origin and as the proxy beside which wxgate is measured.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::common::{Running, free_port};
use super::peer::Peer;

/// Beside the load: core 1.
const ORIGIN_CORE: &str = "1";
const PROXY_CORE: &str = "0";

/// Answers every request with the same page.
pub(crate) fn start_origin(folder: &Path, address: SocketAddr) -> anyhow::Result<Running> {
    let body = "x".repeat(1024);
    let location = format!("default_type text/html; return 200 \"{body}\";");
    start(
        folder,
        "origin",
        &serving(address, "", &location),
        address,
        ORIGIN_CORE,
    )
}

/// Passes requests on as a site's first configuration would.
pub(crate) fn start_plain(
    folder: &Path,
    origin: SocketAddr,
    cookie: &str,
) -> anyhow::Result<(Peer, Running)> {
    let fields = "proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;\n\
         proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;";
    start_proxy(folder, "plain", origin, cookie, fields)
}

/// Sends the origin this header, which wxgate sent, and the client what wxgate adds to the answer.
pub(crate) fn start_same(
    folder: &Path,
    origin: SocketAddr,
    cookie: &str,
    header: &str,
) -> anyhow::Result<(Peer, Running)> {
    let mut fields =
        "add_header X-Request-Id $request_id; add_header Cache-Control private;".to_owned();
    // nginx sends no field without a value; the bytes of those stand in one that nobody reads.
    let mut missing = 0;
    for line in header.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").with_context(|| line.to_owned())?;
        ensure!(
            !value.contains(['$', '"', '\\']),
            "nginx would read {line} in its own way"
        );
        let value = match name.to_ascii_lowercase().as_str() {
            "host" => "$http_host",
            "x-request-id" => "$request_id",
            _ if value.is_empty() => {
                missing += format!("{line}\r\n").len();
                continue;
            }
            _ => value,
        };
        fields += &format!("\nproxy_set_header {name} \"{value}\";");
    }
    if let Some(length) = missing.checked_sub("x-same: \r\n".len()) {
        fields += &format!("\nproxy_set_header x-same \"{}\";", "u".repeat(length));
    }
    start_proxy(folder, "same", origin, cookie, &fields)
}

fn start_proxy(
    folder: &Path,
    name: &str,
    origin: SocketAddr,
    cookie: &str,
    fields: &str,
) -> anyhow::Result<(Peer, Running)> {
    let address = free_port()?;
    let upstream = format!(
        "upstream origin {{ server {origin}; keepalive 256; keepalive_requests 1000000000; }}"
    );
    let location = format!(
        "proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
         proxy_buffer_size 16k; proxy_buffers 16 16k;\n{fields}"
    );
    let config = serving(address, &upstream, &location);
    let running = start(folder, name, &config, address, PROXY_CORE)?;
    Ok((Peer::new(address, &running, cookie.to_owned()), running))
}

/// One server that does this with every request.
fn serving(address: SocketAddr, upstream: &str, location: &str) -> String {
    format!(
        "http {{ access_log off; keepalive_requests 1000000000;\n{upstream}\n\
         server {{ listen {address}; location / {{ {location} }} }} }}\n"
    )
}

fn start(
    folder: &Path,
    name: &str,
    config: &str,
    address: SocketAddr,
    core: &str,
) -> anyhow::Result<Running> {
    let prefix = folder.join(name);
    std::fs::create_dir_all(prefix.join("logs"))?;
    let file = prefix.join("nginx.conf");
    let pid = prefix.join("nginx.pid");
    let head = format!(
        "daemon off;\nworker_processes 1;\npid {};\nerror_log {}/error.log;\nevents {{ worker_connections 4096; }}\n",
        pid.display(),
        prefix.display()
    );
    std::fs::write(&file, format!("{head}{config}"))?;
    let child = Command::new("taskset")
        .args(["-c", core, "nginx", "-p"])
        .arg(&prefix)
        .arg("-c")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("nginx or taskset is missing")?;
    let mut running = Running(child);
    running.listens(address)?;
    Ok(running)
}
