//! `[upstreams.*]`, and upstreams that a route names by URL.

use http::HeaderValue;
use toml::de::DeValue;

use crate::config::code::Code;
use crate::config::file::{Balance, File, HealthCheckFile, UpstreamFile};
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::read::{FileValue, Node, Reader};
use crate::config::suggest::choice;
use crate::config::values::{HostText, Item, TextValue};
use crate::proxy::{
    self, Address, AffinityCookie, HealthCheck, HostHeader, Protocol, Server, Tls, UpstreamId,
    UpstreamSettings,
};
use crate::wechat::AppName;

use super::servers::{self, ServerScheme, WrittenServer};
use super::upstream_tls;

/// Every upstream so far.
#[derive(Debug)]
pub(super) struct Upstreams {
    pub(super) settings: Vec<UpstreamSettings>,
    /// Some name is known but its upstream is broken.
    names: Vec<String>,
    is_partial: bool,
}

pub(super) fn upstreams(file: &File, reader: &mut Reader<'_>) -> Upstreams {
    let named = &file.upstreams.value;
    let public_url = file.server.value.public_url.value.as_ref();
    let is_secure = public_url.is_none_or(|url| url.0.scheme() == "https");
    let mut settings = Vec::new();
    for (name, item) in &named.entries {
        if AppName::parse(name).is_none() {
            let what = "must be named with letters, digits, `_` and `-`";
            reader.report(Problem::new(Code::BadName, &item.place, what));
        }
        settings.extend(upstream(name, &item.value, is_secure, reader));
    }
    Upstreams {
        settings,
        names: named.names().map(str::to_owned).collect(),
        is_partial: file.upstreams.is_broken,
    }
}

impl Upstreams {
    /// The upstream that a route names; `None` when it is unknown or broken.
    pub(super) fn find(
        &mut self,
        text: &str,
        place: &Place,
        reader: &mut Reader<'_>,
    ) -> Option<UpstreamId> {
        if servers::is_address(text) {
            return self.anonymous(servers::read(text, place, reader)?, reader);
        }
        let position = |settings: &UpstreamSettings| settings.name == text;
        if let Some(position) = self.settings.iter().position(position) {
            return Some(UpstreamId(position));
        }
        let is_known = self.names.iter().any(|name| name == text);
        if !is_known && !self.is_partial {
            let what = format!("names \"{text}\", which is not in `[upstreams]`");
            let hint = choice(text, self.names.iter().map(String::as_str))
                .or_else(|| Some("write a URL such as \"http://127.0.0.1:8080\"".to_owned()));
            reader.report(Problem::new(Code::UnknownUpstream, place, what).maybe_hint(hint));
        }
        None
    }

    /// One upstream with defaults per address, shared by all routes that name it.
    fn anonymous(&mut self, server: WrittenServer, reader: &mut Reader<'_>) -> Option<UpstreamId> {
        let name = server.url();
        let known = |settings: &UpstreamSettings| settings.name == name;
        if let Some(position) = self.settings.iter().position(known) {
            return Some(UpstreamId(position));
        }
        let settings = settings(&name, &defaults(reader)?, &[server], reader)?;
        self.settings.push(settings);
        Some(UpstreamId(self.settings.len() - 1))
    }
}

/// An upstream of which nothing but the address is known.
fn defaults(reader: &mut Reader<'_>) -> Option<UpstreamFile> {
    let value = DeValue::parse("{ servers = [\"http://127.0.0.1\"] }").ok()?;
    let node = Node {
        value: value.get_ref(),
        place: Place::root(),
    };
    UpstreamFile::read(&node, reader)
}

fn upstream(
    name: &str,
    file: &UpstreamFile,
    is_secure: bool,
    reader: &mut Reader<'_>,
) -> Option<UpstreamSettings> {
    let items = file.servers.value.as_ref()?;
    if items.is_empty() {
        let what = "must hold at least one server";
        reader.report(Problem::new(Code::BadUrl, &file.servers.place, what));
    }
    let read = |item: &Item<String>| servers::read(&item.value, &item.place, reader);
    let servers: Vec<_> = items.iter().filter_map(read).collect();
    let balance = match file.balance.value {
        Balance::RoundRobin => proxy::Balance::RoundRobin,
        Balance::LeastRequests => proxy::Balance::LeastRequests,
        Balance::Cookie => proxy::Balance::Cookie(AffinityCookie::of(name, is_secure)),
    };
    let settings = settings(name, file, &servers, reader)?;
    Some(UpstreamSettings {
        balance,
        ..settings
    })
}

fn settings(
    name: &str,
    file: &UpstreamFile,
    servers: &[WrittenServer],
    reader: &mut Reader<'_>,
) -> Option<UpstreamSettings> {
    let tls = &file.tls.value;
    let uses_tls = servers
        .iter()
        .any(|server| server.scheme == ServerScheme::Https);
    let host_header = host_header(&file.host_header.value, &file.host_header.place, reader);
    // Files are read where somebody needs them, or somebody wrote them down.
    let tls = match uses_tls || file.tls.is_given {
        true => Some(upstream_tls::tls(tls, reader)?),
        false => None,
    };
    let server = |written: &WrittenServer| {
        Some(Server {
            address: written.address.clone(),
            protocol: protocol(written, tls.as_ref())?,
        })
    };
    Some(UpstreamSettings {
        name: name.to_owned(),
        servers: servers.iter().filter_map(server).collect(),
        balance: proxy::Balance::RoundRobin,
        host_header,
        connect_timeout: file.connect_timeout.value.0,
        response_header_timeout: file.response_header_timeout.value.0,
        idle_timeout: file.idle_timeout.value.0,
        keep_alive: file.keep_alive.value.0,
        max_idle: file.max_idle.value.0 as usize,
        max_connections: file.max_connections.value.0 as usize,
        retries: file.retries.value.0,
        health_check: file.health_check.value.0.as_ref().map(health_check),
    })
}

fn health_check(file: &HealthCheckFile) -> HealthCheck {
    HealthCheck {
        path: file.path.value.0.clone(),
        interval: file.interval.value.0,
        timeout: file.timeout.value.0,
        expect: file.expect.value.0.clone(),
        healthy_after: file.healthy_after.value.0,
        unhealthy_after: file.unhealthy_after.value.0,
    }
}

/// `None` never happens: TLS was set up, and certificates can be for every host that was read.
fn protocol(server: &WrittenServer, tls: Option<&Tls>) -> Option<Protocol> {
    match (server.scheme, &server.address) {
        (ServerScheme::Http, _) => Some(Protocol::Http),
        (ServerScheme::H2c, _) => Some(Protocol::H2c),
        (ServerScheme::Https, Address::Tcp { host, .. }) => tls.and_then(|tls| {
            Some(Protocol::Https {
                tls: tls.clone(),
                name: tls.name(host)?,
            })
        }),
        (ServerScheme::Https, Address::Unix(_)) => None,
    }
}

fn host_header(text: &str, place: &Place, reader: &mut Reader<'_>) -> HostHeader {
    match text {
        "preserve" => HostHeader::Preserve,
        "upstream" => HostHeader::Upstream,
        literal => {
            let (host, port) = match literal.rsplit_once(':') {
                Some((host, port)) if !port.contains(']') => (host, Some(port)),
                _ => (literal, None),
            };
            let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok());
            let is_host = HostText::parse(host).is_some() && !host.starts_with('*');
            match HeaderValue::from_str(literal) {
                Ok(value) if is_host && port_fits => HostHeader::Literal(value),
                Ok(_) | Err(_) => {
                    let what = "must be \"preserve\", \"upstream\" or a host name";
                    reader.report(Problem::new(Code::BadHost, place, what));
                    HostHeader::Preserve
                }
            }
        }
    }
}
