//! `[upstreams.*]`, and upstreams that a route names by URL.

use http::HeaderValue;
use toml::de::DeValue;
use url::Url;

use crate::config::code::Code;
use crate::config::file::{File, UpstreamFile};
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::read::{FileValue, Node, Reader};
use crate::config::suggest::choice;
use crate::config::table::not_available;
use crate::config::values::{HostText, Item, TextValue};
use crate::proxy::{HostHeader, Server, UpstreamId, UpstreamSettings};
use crate::wechat::AppName;

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
    let mut settings = Vec::new();
    for (name, item) in &named.entries {
        if AppName::parse(name).is_none() {
            let what = "must be named with letters, digits, `_` and `-`";
            reader.report(Problem::new(Code::BadName, &item.place, what));
        }
        settings.extend(upstream(name, &item.value, reader));
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
        if text.contains("://") || text.starts_with("unix:") {
            return self.anonymous(server(text, place, reader)?, reader);
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
    fn anonymous(&mut self, server: Server, reader: &mut Reader<'_>) -> Option<UpstreamId> {
        let host = if server.host.contains(':') {
            format!("[{}]", server.host)
        } else {
            server.host.clone()
        };
        let name = format!("http://{host}:{}", server.port);
        let known = |settings: &UpstreamSettings| settings.name == name;
        if let Some(position) = self.settings.iter().position(known) {
            return Some(UpstreamId(position));
        }
        let mut settings = upstream(&name, &defaults(reader)?, reader)?;
        settings.servers = vec![server];
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

fn upstream(name: &str, file: &UpstreamFile, reader: &mut Reader<'_>) -> Option<UpstreamSettings> {
    let host_header = host_header(&file.host_header.value, &file.host_header.place, reader);
    let items = file.servers.value.as_ref()?;
    if items.is_empty() {
        let what = "must hold at least one server";
        reader.report(Problem::new(Code::BadUrl, &file.servers.place, what));
    }
    let servers = |item: &Item<String>| server(&item.value, &item.place, reader);
    Some(UpstreamSettings {
        name: name.to_owned(),
        servers: items.iter().filter_map(servers).collect(),
        host_header,
        connect_timeout: file.connect_timeout.value.0,
        response_header_timeout: file.response_header_timeout.value.0,
        idle_timeout: file.idle_timeout.value.0,
        keep_alive: file.keep_alive.value.0,
        max_idle: file.max_idle.value.0 as usize,
        retries: file.retries.value.0,
    })
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

/// `http://host[:port]`; other forms of the format are not available yet.
fn server(text: &str, place: &Place, reader: &mut Reader<'_>) -> Option<Server> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    if matches!(scheme, "https" | "h2c" | "unix") {
        let mut problem = not_available(place, "write \"http://host:port\"");
        problem.message = format!("`{}` with `{scheme}:` is not available yet", place.key);
        reader.report(problem);
        return None;
    }
    let server = parse_server(text);
    if server.is_none() {
        let what = "must be a URL such as \"http://10.0.0.5:8080\", without path";
        reader.report(Problem::new(Code::BadUrl, place, what));
        if text.contains('@') {
            // It may hold a password.
            reader.secrets.push(place.span.clone());
        }
    }
    server
}

fn parse_server(text: &str) -> Option<Server> {
    let url = Url::parse(text).ok()?;
    let is_plain = url.scheme() == "http"
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host_str()?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    is_plain.then(|| Server {
        host: host.to_owned(),
        port: url.port().unwrap_or(80),
    })
}
