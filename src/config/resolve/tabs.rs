//! `login.desktop`, `login.mobile_browser` and `login.mini_program_link`: which ways to log in are offered outside WeChat.

use super::wechat::Apps;
use crate::config::code::Code;
use crate::config::file::{File, PushMode};
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::suggest::choice;
use crate::config::values::Item;
use crate::login::{DesktopTab, FollowConsent, MiniProgramLink, MobileBrowser};
use crate::wechat::{AppKind, AppName};

/// The tabs that were chosen; where none were, everything that the apps can do.
pub(super) fn desktop(
    file: &File,
    inside_wechat: Option<&AppName>,
    apps: &Apps,
    reader: &mut Reader<'_>,
) -> Vec<DesktopTab> {
    let chosen = &file.login.value.desktop;
    let Some(items) = &chosen.value else {
        return match chosen.is_given {
            true => Vec::new(),
            false => everything(inside_wechat, apps),
        };
    };
    let mut tabs = Vec::new();
    for item in items {
        let Some(tab) = desktop_tab(item, file, inside_wechat, apps, reader) else {
            continue;
        };
        if tabs.contains(&tab) {
            let what = format!("names \"{}\" twice", item.value);
            reader.report(Problem::new(Code::BadName, &item.place, what));
        }
        tabs.push(tab);
    }
    tabs
}

/// What the apps can do, in an order that does not depend on the file's: WeChat's own code first.
fn everything(inside_wechat: Option<&AppName>, apps: &Apps) -> Vec<DesktopTab> {
    let mut websites: Vec<&AppName> = websites(apps).collect();
    websites.sort();
    let websites = websites.into_iter().cloned().map(DesktopTab::Website);
    let scan = inside_wechat.map(|_| DesktopTab::Scan);
    websites.chain(scan).collect()
}

pub(super) fn websites(apps: &Apps) -> impl Iterator<Item = &AppName> {
    let websites = apps.apps.iter();
    websites
        .filter(|app| app.kind == AppKind::Website)
        .map(|app| &app.name)
}

/// One tab; `None` where a problem says why, here or at the app.
fn desktop_tab(
    item: &Item<String>,
    file: &File,
    inside_wechat: Option<&AppName>,
    apps: &Apps,
    reader: &mut Reader<'_>,
) -> Option<DesktopTab> {
    match item.value.as_str() {
        "scan" => {
            refuse_without_app("scan", &item.place, inside_wechat, apps, reader);
            return Some(DesktopTab::Scan);
        }
        "follow" => {
            check_follow(&item.place, file, inside_wechat, apps, reader);
            return Some(DesktopTab::Follow);
        }
        _ => {}
    }
    let name = item.value.as_str();
    if let Some(website) = websites(apps).find(|website| website.as_str() == name) {
        return Some(DesktopTab::Website(website.clone()));
    }
    let is_app = file.wechat.value.names().any(|known| known == name);
    let problem = if is_app && apps.apps.iter().any(|app| app.name.as_str() == name) {
        let what = format!("names the app \"{name}\", which is no website app");
        let hint = "for a service account write \"scan\"".to_owned();
        Problem::new(Code::UnknownApp, &item.place, what).hint(hint)
    } else if is_app || file.wechat.is_broken {
        // The app itself has a problem.
        return None;
    } else {
        let what = format!("names the app \"{name}\", which is not in `[wechat]`");
        let known = websites(apps)
            .map(AppName::as_str)
            .chain(["scan", "follow"]);
        let known: Vec<&str> = known.collect();
        Problem::new(Code::UnknownApp, &item.place, what).maybe_hint(choice(name, known))
    };
    reader.report(problem);
    None
}

pub(super) fn check_mobile_browser(
    file: &File,
    inside_wechat: Option<&AppName>,
    apps: &Apps,
    reader: &mut Reader<'_>,
) {
    let key = &file.login.value.mobile_browser;
    if key.value == MobileBrowser::Scan {
        refuse_without_app("scan", &key.place, inside_wechat, apps, reader);
    }
}

/// Longer paths are none of a mini program's.
const LONGEST_PAGE: usize = 256;

pub(super) fn mini_program_link(
    file: &File,
    apps: &Apps,
    reader: &mut Reader<'_>,
) -> Option<MiniProgramLink> {
    let link = file.login.value.mini_program_link.value.as_ref()?;
    let (name, page) = (link.app.value.as_ref()?, link.page.value.as_ref()?);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.".contains(&byte);
    let is_page = (1..=LONGEST_PAGE).contains(&page.len())
        && !page.starts_with('/')
        && page.bytes().all(is_plain);
    if !is_page {
        let what = "must be a page such as \"pages/web/index\": no slash before it, no query";
        reader.report(Problem::new(Code::BadText, &link.page.place, what));
    }
    let mini_programs = || {
        let all = apps.apps.iter();
        all.filter(|app| app.kind == AppKind::MiniProgram)
            .map(|app| &app.name)
    };
    let app = mini_programs().find(|app| app.as_str() == name).cloned();
    if app.is_none() && !apps.is_partial {
        let what = format!("names \"{name}\", which is no mini program in `[wechat]`");
        let hint = choice(name, mini_programs().map(AppName::as_str))
            .or_else(|| Some("add [wechat.mini] with kind = \"mini-program\"".to_owned()));
        let problem = Problem::new(Code::UnknownApp, &link.app.place, what);
        reader.report(problem.maybe_hint(hint));
    }
    Some(MiniProgramLink {
        app: app?,
        page: page.clone(),
    })
}

/// Only a service account can say who scanned.
fn refuse_without_app(
    word: &str,
    place: &Place,
    inside_wechat: Option<&AppName>,
    apps: &Apps,
    reader: &mut Reader<'_>,
) {
    if inside_wechat.is_none() && !apps.is_partial {
        let what = format!("= \"{word}\" needs a service account in `[wechat]`");
        let hint = "add [wechat.main] with kind = \"service-account\"";
        reader.report(Problem::new(Code::NoLoginApp, place, what).hint(hint));
    }
}

/// The account's own code works with message push only: WeChat tells nobody else who read it.
fn check_follow(
    place: &Place,
    file: &File,
    inside_wechat: Option<&AppName>,
    apps: &Apps,
    reader: &mut Reader<'_>,
) {
    refuse_without_app("follow", place, inside_wechat, apps, reader);
    let entries = &file.wechat.value.entries;
    let entry = entries
        .iter()
        .find(|(name, _)| inside_wechat.is_some_and(|app| app.as_str() == *name));
    let Some((name, app)) = entry else {
        return;
    };
    let push = &app.value.push;
    if !push.is_given {
        let what = format!("= \"follow\" needs `push` of [wechat.{name}]");
        let hint =
            "add push = { token = \"...\", aes_key = \"...\" } as WeChat's console shows them";
        let problem = Problem::new(Code::KeysContradict, place, what).hint(hint);
        reader.report(problem.also(&app.place, "the account"));
        return;
    }
    let consent = &file.login.value.follow_consent;
    if let Some(push) = &push.value
        && push.mode.value == PushMode::Plain
        && consent.value == FollowConsent::Scan
    {
        let what = "= \"scan\" needs sealed messages: whoever can change a plain one would log in as anybody";
        let problem = Problem::new(Code::KeysContradict, &consent.place, what);
        let problem =
            problem.hint("choose safe mode at WeChat's console, or follow_consent = \"confirm\"");
        reader.report(problem.also(&push.mode.place, "plain messages"));
    }
}
