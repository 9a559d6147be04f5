//! `[login]`.

use super::tabs;
use super::wechat::Apps;
use crate::config::code::Code;
use crate::config::file::File;
use crate::config::problem::Problem;
use crate::config::read::{FileValue, Reader};
use crate::config::suggest::choice;
use crate::login::{self, RelaySettings};
use crate::message::{Host, Scheme, Site};
use crate::route::Auth;
use crate::wechat::{App, AppKind, AppName};

pub(super) fn settings(
    file: &File,
    apps: &Apps,
    site: Option<&Site>,
    reader: &mut Reader<'_>,
) -> login::Settings {
    let login = &file.login.value;
    let language = login.userinfo_lang.value.show().to_json();
    let inside_wechat = inside_wechat(file, apps, reader);
    let desktop = tabs::desktop(file, inside_wechat.as_ref(), apps, reader);
    tabs::check_mobile_browser(file, inside_wechat.as_ref(), apps, reader);
    login::Settings {
        inside_wechat,
        desktop,
        mobile_browser: login.mobile_browser.value,
        mini_program_link: tabs::mini_program_link(file, apps, reader),
        scan_ttl: login.scan_ttl.value.0,
        scan_confirm: login.scan_confirm.value,
        follow_consent: login.follow_consent.value,
        userinfo_prompt: login.userinfo_prompt.value,
        userinfo_language: language.as_str().unwrap_or_default().to_owned(),
        snapshot_user: login.snapshot_user.value,
        keep_fragment: login.keep_fragment.value,
        attempt_ttl: login.attempt_ttl.value.0,
        relay: relay(file, site, reader),
        secure_cookies: site.is_none_or(|site| site.scheme == Scheme::Https),
    }
}

fn relay(file: &File, site: Option<&Site>, reader: &mut Reader<'_>) -> RelaySettings {
    let relay = &file.relay.value;
    if relay.ticket_ttl.value.0 > file.login.value.attempt_ttl.value.0 {
        let what = "is longer than `login.attempt_ttl`";
        let problem = Problem::new(Code::TimesContradict, &relay.ticket_ttl.place, what);
        reader.report(problem.also(&file.login.value.attempt_ttl.place, "the whole login"));
    }
    let mut settings = RelaySettings {
        ticket_ttl: relay.ticket_ttl.value.0,
        ..RelaySettings::default()
    };
    for item in &relay.hosts.value {
        let host = &item.value.0;
        if site.is_some_and(|site| site.public_host.as_str() == host) {
            let what = "is the host of `server.public_url`, to which WeChat sends everybody back";
            reader.report(Problem::new(Code::KeysContradict, &item.place, what));
        }
        match host.strip_prefix('*') {
            Some(suffix) => settings.wildcard_hosts.push(suffix.to_owned()),
            None => settings.hosts.push(Host::from_canonical(host)),
        }
    }
    settings
}

/// The app that was chosen, or the only service account.
fn inside_wechat(file: &File, apps: &Apps, reader: &mut Reader<'_>) -> Option<AppName> {
    let chosen = &file.login.value.inside_wechat;
    if let Some(name) = &chosen.value {
        return chosen_app(file, name, apps, reader);
    }
    if chosen.is_given {
        return None;
    }
    let accounts: Vec<&AppName> = apps
        .apps
        .iter()
        .filter(|app| app.kind == AppKind::ServiceAccount)
        .map(|app| &app.name)
        .collect();
    match accounts.as_slice() {
        [only] => Some((*only).clone()),
        [] => {
            if !apps.is_partial && !apps.apps.iter().any(is_by_token) {
                check_without_account(file, apps, reader);
            }
            None
        }
        [first, ..] => {
            let what = "must be given: there are several service accounts";
            let hint = format!("add inside_wechat = \"{}\"", first.as_str());
            reader.report(Problem::new(Code::AmbiguousApp, &chosen.place, what).hint(hint));
            None
        }
    }
}

fn is_by_token(app: &App) -> bool {
    matches!(app.kind, AppKind::MiniProgram | AppKind::MobileApp)
}

fn chosen_app(file: &File, name: &str, apps: &Apps, reader: &mut Reader<'_>) -> Option<AppName> {
    let mut names = file.wechat.value.names();
    if !file.wechat.is_broken && !names.any(|known| known == name) {
        let what = format!("names the app \"{name}\", which is not in `[wechat]`");
        let hint = choice(name, file.wechat.value.names());
        let problem = Problem::new(
            Code::UnknownApp,
            &file.login.value.inside_wechat.place,
            what,
        );
        reader.report(problem.maybe_hint(hint));
    }
    let mut known = apps.apps.iter();
    let app = known.find(|app| app.name.as_str() == name)?;
    if app.kind != AppKind::ServiceAccount {
        let what = format!("names the app \"{name}\", which is no service account");
        let place = &file.login.value.inside_wechat.place;
        let hint = "only a service account can log in there";
        reader.report(Problem::new(Code::UnknownApp, place, what).hint(hint));
        return None;
    }
    Some(app.name.clone())
}

/// Without a service account nobody can log in inside WeChat. Desktop browsers can with a website app, and clients with tokens need
/// no browser; where there is none of these, a route that needs a login would shut everybody out.
fn check_without_account(file: &File, apps: &Apps, reader: &mut Reader<'_>) {
    let needs_login = |auth: Auth| matches!(auth, Auth::Base | Auth::Userinfo);
    let mut routes = file.routes.value.iter().flatten();
    let Some(route) = routes.find(|item| {
        let auth = &item.value.auth;
        !auth.is_broken && needs_login(auth.value)
    }) else {
        return;
    };
    let problem = match tabs::websites(apps).next() {
        Some(website) => {
            let what = format!(
                "needs a login, and inside WeChat nobody can do one: the app \"{}\" is for other browsers",
                website.as_str()
            );
            let hint = "add an app with kind = \"service-account\" for visitors inside WeChat";
            Problem::new(Code::NobodyInWechat, &route.place, what).hint(hint)
        }
        None => {
            let what = "needs a login, and no app in `[wechat]` can do one";
            let hint = "add [wechat.main] with kind = \"service-account\", or auth = \"public\"";
            Problem::new(Code::NoLoginApp, &route.place, what).hint(hint)
        }
    };
    reader.report(problem);
}
