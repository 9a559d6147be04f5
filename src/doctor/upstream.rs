//! Whether the applications behind us can be reached, by us and by others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use tokio::net::{TcpStream, UnixStream};

use super::finding::Finding;
use super::{PATIENCE, Patient, certificate};
use crate::proxy::{Address, Server, UpstreamSettings};

pub(super) async fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    for upstream in &patient.config.proxy.upstreams {
        for server in &upstream.servers {
            findings.push(reach(upstream, server).await);
            let now = patient.clock.now();
            findings.extend(certificate::of_upstream(upstream, server, now).await);
            findings.extend(exposed(server).or(open_port(server).await));
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

/// An application on loopback that also listens on the machine's other addresses can be asked without us.
async fn open_port(server: &Server) -> Option<Finding> {
    let Address::Tcp { host, port } = &server.address else {
        return None;
    };
    let is_here = host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if !is_here {
        return None;
    }
    let what = format!("upstream port {port}");
    let outside = outside_addresses();
    if outside.is_empty() {
        return Some(Finding::skip(what, "this machine has no other address"));
    }
    for address in outside {
        let connecting = TcpStream::connect((address, *port));
        if let Ok(Ok(_)) = tokio::time::timeout(PATIENCE, connecting).await {
            let said = format!(
                "is open at {address} too: whoever reaches this machine can ask the application past wxgate, with any identity \
                 header"
            );
            let fix = "let the application listen on 127.0.0.1 only, close the port in the firewall, or verify the token in it";
            return Some(Finding::warn(what, said).fix(fix));
        }
    }
    Some(Finding::ok(what, "cannot be reached from elsewhere"))
}

/// The addresses from which this machine talks to others, one of each family. Nothing is sent: connecting a UDP socket only asks
/// the routing table (to addresses for documentation).
fn outside_addresses() -> Vec<IpAddr> {
    let of = |from: IpAddr, to: &str| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect((to, 9)).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_loopback() && !address.is_unspecified()).then_some(address)
    };
    let four = of(Ipv4Addr::UNSPECIFIED.into(), "203.0.113.1");
    let six = of(Ipv6Addr::UNSPECIFIED.into(), "2001:db8::1");
    four.into_iter().chain(six).collect()
}
