//! Whether the applications behind us can be reached, by us and by others.

use std::net::IpAddr;

use tokio::net::{TcpStream, UnixStream};

use super::finding::Finding;
use crate::config::Config;
use crate::proxy::{Address, Server, UpstreamSettings};

pub(super) async fn examine(config: &Config, findings: &mut Vec<Finding>) {
    for upstream in &config.proxy.upstreams {
        for server in &upstream.servers {
            findings.push(reach(upstream, server).await);
            if let Some(finding) = exposed(server) {
                findings.push(finding);
            }
        }
    }
}

async fn reach(upstream: &UpstreamSettings, server: &Server) -> Finding {
    let what = format!("upstream {}", upstream.name);
    let (place, connected) = match &server.address {
        Address::Tcp { host, port } => {
            let connecting = TcpStream::connect((host.as_str(), *port));
            let connected = tokio::time::timeout(upstream.connect_timeout, connecting).await;
            (
                format!("{host}:{port}"),
                connected.map(|made| made.map(drop)),
            )
        }
        Address::Unix(path) => {
            let connecting = UnixStream::connect(path);
            let connected = tokio::time::timeout(upstream.connect_timeout, connecting).await;
            let place = path.display().to_string();
            (place, connected.map(|made| made.map(drop)))
        }
    };
    match connected {
        Ok(Ok(())) => Finding::ok(what, format!("{place} takes connections")),
        Ok(Err(error)) => Finding::fail(what, format!("{place} takes no connection: {error}"))
            .fix("start the application, or correct its address"),
        Err(_) => Finding::fail(what, format!("{place} does not answer"))
            .fix("look at the firewall between wxgate and the application"),
    }
}

/// An application with an address of the whole internet can be asked without us.
fn exposed(server: &Server) -> Option<Finding> {
    let Address::Tcp { host, .. } = &server.address else {
        return None;
    };
    let address: IpAddr = host.parse().ok()?;
    let is_private = match address.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    if is_private {
        return None;
    }
    let what = format!("upstream {address}");
    let said = "has an address that anybody can reach, past wxgate and with any identity header";
    let fix =
        "let the application listen on loopback or in a closed network, or verify the token in it";
    Some(Finding::warn(what, said).fix(fix))
}
