//! `[server]`, `[admin]`, `[verification_files]`.

use std::sync::Arc;

use bytes::Bytes;

use super::listeners::collide;
use super::values;
use crate::config::code::Code;
use crate::config::file::File;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::resolve::routes::ResolvedRoutes;
use crate::config::values::Item;
use crate::message::{Host, Scheme, Site};
use crate::{admin, gateway, listen};

/// Where visitors find us; `None` where `public_url` is broken.
pub(super) fn site(file: &File, reader: &mut Reader<'_>) -> Option<Site> {
    let path_prefix = path_prefix(file, reader);
    let server = &file.server.value;
    let place = &server.public_url.place;
    let url = server.public_url.value.as_ref()?;
    if url.has_more_than_origin() {
        let what = "must end after the host or port: no path, no query";
        reader.report(
            Problem::new(Code::BadUrl, place, what).hint(format!("write \"{}\"", url.origin())),
        );
    }
    let scheme = match url.0.scheme() {
        "https" => Scheme::Https,
        _ if url.is_loopback() => Scheme::Http,
        _ => {
            let what = "must be https: sessions would travel in the clear";
            let hint = "http is for loopback hosts only, to try things out";
            reader.report(Problem::new(Code::NotHttps, place, what).hint(hint));
            return None;
        }
    };
    let public_host = Host::from_canonical(url.0.host_str()?.trim_end_matches('.'));
    let (hosts, wildcard_hosts) = hosts(file, &public_host, reader);
    Some(Site {
        scheme,
        public_host,
        port: url.0.port(),
        path_prefix,
        hosts,
        wildcard_hosts,
    })
}

/// Exact hosts, the public one first, and suffixes of `*.` hosts; each once.
fn hosts(file: &File, public: &Host, reader: &mut Reader<'_>) -> (Vec<Host>, Vec<String>) {
    let mut exact = vec![public.clone()];
    let mut below: Vec<String> = Vec::new();
    for item in &file.server.value.extra_hosts.value {
        if item.value.0.starts_with("*.") {
            let what = "must be a whole host name";
            let hint = "`*.` hosts belong to routes: host = \"*.example.com\"";
            reader.report(Problem::new(Code::BadHost, &item.place, what).hint(hint));
        }
    }
    let extra = file.server.value.extra_hosts.value.iter();
    let extra = extra.map(|item| &item.value);
    let of_routes = file.routes.value.iter().flatten();
    let of_routes = of_routes.filter_map(|item| item.value.host.value.as_ref());
    let relayed = file.relay.value.hosts.value.iter();
    let relayed = relayed.map(|item| &item.value);
    for host in extra.chain(of_routes).chain(relayed) {
        if let Some(suffix) = host.0.strip_prefix('*') {
            if !below.iter().any(|known| known == suffix) {
                below.push(suffix.to_owned());
            }
        } else {
            let host = Host::from_canonical(&host.0);
            if !exact.contains(&host) {
                exact.push(host);
            }
        }
    }
    (exact, below)
}

fn path_prefix(file: &File, reader: &mut Reader<'_>) -> String {
    let prefix = &file.server.value.path_prefix;
    let text = &prefix.value;
    let fits = text.len() > 1
        && text.starts_with('/')
        && !text.ends_with('/')
        && !text.contains("//")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte));
    if !fits {
        let what =
            "must begin with `/`, end without one, and hold only letters, digits, `_` and `-`";
        reader
            .report(Problem::new(Code::BadPath, &prefix.place, what).hint("such as \"/_wxgate\""));
    }
    text.clone()
}

/// The admin listener.
pub(super) fn admin(
    file: &File,
    listeners: &[Item<listen::Settings>],
    reader: &mut Reader<'_>,
) -> admin::Settings {
    let admin = &file.admin.value;
    let token = admin.token.value.0.as_ref().map(|token| token.0.clone());
    if let Some(address) = admin.listen.value.0 {
        let place = &admin.listen.place;
        if !address.ip().is_loopback() && token.is_none() && !admin.token.is_broken {
            let what =
                format!("= \"{address}\" can be reached from elsewhere and needs `admin.token`");
            let hint = "add token = \"env:WXGATE_ADMIN_TOKEN\", or listen on 127.0.0.1";
            reader.report(Problem::new(Code::AdminNeedsToken, place, what).hint(hint));
        }
        let taken = |item: &&Item<listen::Settings>| collide(item.value.address, address);
        if let Some(other) = listeners.iter().find(taken) {
            let what = format!("= \"{address}\" is taken by a public listener");
            let problem = Problem::new(Code::AddressTwice, place, what);
            reader.report(problem.also(&other.place, "here"));
        }
    }
    admin::Settings {
        listen: admin.listen.value.0,
        token,
        token_shares: super::wechat::token_shares(file, reader),
    }
}

/// What the request path needs beyond its parts.
pub(super) fn gateway(
    file: &File,
    site: Option<Site>,
    routes: &ResolvedRoutes,
    reader: &mut Reader<'_>,
) -> Option<gateway::Settings> {
    for item in &file.server.value.trusted_proxies.value {
        if item.value.0.prefix_len() == 0 {
            let what = "lets every client say who it is";
            let hint = "name the addresses of your proxies";
            reader.report(Problem::new(Code::TrustsEverybody, &item.place, what).hint(hint));
        }
    }
    let verification_files = verification_files(file, reader);
    let trusted = &file.server.value.trusted_proxies.value;
    Some(gateway::Settings {
        site: Arc::new(site?),
        trusted_proxies: trusted.iter().map(|item| item.value.0).collect(),
        request_id_header: file.server.value.request_id.value.clone(),
        forwarding: routes.forwarding.clone(),
        verification_files,
        jwt_header: file.jwt.value.header.value.clone(),
        jwt_prefix: file.jwt.value.prefix.value.clone(),
        claims: values(&file.jwt.value.claims.value),
    })
}

fn verification_files(file: &File, reader: &mut Reader<'_>) -> Vec<(String, Bytes)> {
    let mut files = Vec::new();
    for (name, item) in &file.verification_files.value.entries {
        let fits = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        if !fits || name.starts_with('.') || name.is_empty() {
            let what = "must be a file name of letters, digits, `_`, `-` and `.`";
            reader.report(Problem::new(Code::BadName, &item.place, what));
        }
        if item.value != "auto" {
            files.push((name.clone(), Bytes::from(item.value.clone())));
            continue;
        }
        let stem = name
            .rsplit_once('.')
            .map_or(name.as_str(), |(stem, _)| stem);
        match stem.rsplit_once('_') {
            Some((_, content)) if !content.is_empty() => {
                files.push((name.clone(), Bytes::from(content.to_owned())));
            }
            _ => {
                let what = "= \"auto\" needs a `_` in the file name";
                let hint = "write the content instead of \"auto\"";
                reader.report(Problem::new(Code::BadText, &item.place, what).hint(hint));
            }
        }
    }
    files
}
