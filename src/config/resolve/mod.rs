//! File to settings, one file per section; cross-checks. Every problem is collected, none is followed by invented ones.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::code::Code;
use super::file::File;
use super::problem::Problem;
use super::read::Reader;
use super::show::Shown;
use super::values::Item;
use super::{Config, Document};
use crate::route::list::Source;

mod edits;
mod headers;
mod identity;
mod listeners;
mod lists;
mod login;
mod observe;
mod own_addresses;
mod pages;
mod paths;
mod proxy;
mod reachable;
mod routes;
mod server;
mod servers;
mod sessions;
mod tabs;
mod upstream_tls;
mod wechat;

/// The version of the format that this program reads.
const VERSION: u32 = 1;

/// Whether the file has another format than ours; then nothing else can be said about it.
pub(super) fn unknown_version(file: &File) -> Option<Problem> {
    let version = file.version.value?.0;
    (version != VERSION).then(|| {
        let what = format!("= {version} is a format that this program does not know");
        Problem::new(Code::UnknownVersion, &file.version.place, what).hint("write version = 1")
    })
}

/// Each list's name and sources.
pub(super) fn lists(file: &File, reader: &mut Reader<'_>) -> BTreeMap<String, Vec<Source>> {
    lists::read(file, reader).into_sources()
}

/// Checks everything and makes settings. `None` where a problem left nothing to put into a setting.
pub(super) fn resolve(file: &File, document: &Document, reader: &mut Reader<'_>) -> Option<Config> {
    let apps = wechat::apps(file, reader);
    let names = headers::names(file, reader);
    let upstreams = proxy::upstreams(file, reader);
    let lists = lists::read(file, reader);
    let site = server::site(file, reader);
    let listeners = listeners::listeners(file, reader);
    let routes = routes::routes(
        file,
        routes::Known {
            apps: &apps,
            upstreams,
            lists: &lists,
            protected: &names,
        },
        reader,
    );
    reachable::check(file, &routes.resolved, site.as_ref(), reader);
    let login = login::settings(file, &apps, site.as_ref(), reader);
    let sessions = sessions::settings(file, site.as_ref(), reader);
    let session_keys = sessions::keys(file, reader);
    let jwt = identity::jwt(file, site.as_ref(), reader);
    let gateway = server::gateway(file, site.clone(), &routes, reader);
    let pages = pages::settings(file, reader);
    let limits = observe::limits(file, reader);
    let observe = observe::settings(file, reader);
    let admin = server::admin(file, &listeners, reader);
    own_addresses::check(file, &listeners, admin.listen, reader);
    let wechat = wechat::settings(file, apps, reader);
    Some(Config {
        source: document.source.clone(),
        fingerprint: document.fingerprint(),
        references: std::mem::take(&mut reader.references),
        state_dir: file.state_dir.value.resolve(reader),
        listeners: listeners.into_iter().map(|item| item.value).collect(),
        gateway: gateway?,
        routes: crate::route::Settings {
            routes: routes.resolved.into_iter().map(|item| item.value).collect(),
        },
        lists: lists.into_sources(),
        login,
        uses_simulator: wechat::uses_simulator(file),
        wechat,
        sessions: sessions?,
        session_keys,
        store: sessions::store(file, reader),
        identity: identity::settings(file, names),
        jwt,
        proxy: crate::proxy::Settings {
            upstreams: routes.upstreams,
            resolver: crate::proxy::Resolver::system(),
        },
        pages,
        limits,
        observe,
        admin,
        drain_delay: file.server.value.drain_delay.value,
        shutdown_grace: file.server.value.shutdown_grace.value,
    })
}

/// Puts the values into `shown` whose defaults depend on other keys.
pub(super) fn show_effective(config: &Config, shown: &mut Shown) {
    shown.replace("sessions.cookie", Shown::text(&config.sessions.cookie));
    shown.replace("jwt.issuer", Shown::text(&config.jwt.issuer));
    if let Some(app) = &config.login.inside_wechat {
        shown.replace("login.inside_wechat", Shown::text(app.as_str()));
    }
    if !config
        .listeners
        .iter()
        .any(|listener| shown_listens_on(shown, listener.address))
    {
        shown.replace("server.listen", Shown::Absent);
    }
}

/// Whether `server.listen` is one of the listeners, and not a default that `[[server.listeners]]` replaced.
fn shown_listens_on(shown: &Shown, address: SocketAddr) -> bool {
    let json = shown.to_json();
    json["server"]["listen"] == serde_json::json!(address.to_string())
}

/// The values of a list.
fn values<T: Clone>(items: &[Item<T>]) -> Vec<T> {
    items.iter().map(|item| item.value.clone()).collect()
}

/// The place below `state_dir` of a file that wxgate makes itself.
fn state_file(file: &File, name: &str, reader: &Reader<'_>) -> std::path::PathBuf {
    file.state_dir.value.resolve(reader).join(name)
}
