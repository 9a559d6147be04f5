//! `[login]`.

use super::wechat::Apps;
use crate::config::code::Code;
use crate::config::file::File;
use crate::config::problem::Problem;
use crate::config::read::{FileValue, Reader};
use crate::config::suggest::choice;
use crate::login;
use crate::message::{Scheme, Site};
use crate::route::Auth;
use crate::wechat::{AppKind, AppName};

pub(super) fn settings(
    file: &File,
    apps: &Apps,
    site: Option<&Site>,
    reader: &mut Reader<'_>,
) -> login::Settings {
    let login = &file.login.value;
    let language = login.userinfo_lang.value.show().to_json();
    login::Settings {
        inside_wechat: inside_wechat(file, apps, reader),
        userinfo_prompt: login.userinfo_prompt.value,
        userinfo_language: language.as_str().unwrap_or_default().to_owned(),
        snapshot_user: login.snapshot_user.value,
        keep_fragment: login.keep_fragment.value,
        attempt_ttl: login.attempt_ttl.value.0,
        secure_cookies: site.is_none_or(|site| site.scheme == Scheme::Https),
    }
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
            if !apps.is_partial {
                refuse_routes_with_login(file, reader);
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
    Some(app.name.clone())
}

/// Nobody can log in, so a route that needs a login would shut everybody out.
fn refuse_routes_with_login(file: &File, reader: &mut Reader<'_>) {
    let needs_login = |auth: Auth| matches!(auth, Auth::Base | Auth::Userinfo);
    let mut routes = file.routes.value.iter().flatten();
    let Some(route) = routes.find(|item| {
        let auth = &item.value.auth;
        !auth.is_broken && needs_login(auth.value)
    }) else {
        return;
    };
    let what = "needs a login, and there is no service account in `[wechat]`";
    let hint = "add [wechat.main] with kind = \"service-account\", or auth = \"public\"";
    reader.report(Problem::new(Code::NoLoginApp, &route.place, what).hint(hint));
}
