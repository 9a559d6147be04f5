//! Each app at WeChat: credentials, app-wide token, JS-SDK, and what only WeChat's own pages tell.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::finding::Finding;
use super::{Patient, explain};
use crate::seal::{KeySource, Sealer};
use crate::store::{self, Store};
use crate::wechat::{AccessTokens, App, AppKind, Code, Error, TokenMode};

/// WeChat's answers to a code that it never made, from an app that it knows.
const CODE_REFUSED: [i64; 3] = [40029, 40163, 41008];

/// Characters of an AppSecret, all of them hex digits.
const SECRET_LENGTH: usize = 32;

pub(super) async fn examine(
    patient: &Patient<'_>,
    only: Option<&str>,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    let apps = patient.config.wechat.apps.iter();
    for app in apps.filter(|app| only.is_none_or(|name| app.name.as_str() == name)) {
        if app.kind != AppKind::MiniProgram {
            findings.push(login(patient, app).await);
        }
        if matches!(app.kind, AppKind::ServiceAccount | AppKind::MiniProgram) {
            findings.push(app_wide_token(patient, app).await);
        }
        if app.js_sdk {
            findings.push(ticket(patient, app).await?);
        }
        if patient.config.login.follows(&app.name) {
            findings.push(follow_code(patient, app).await?);
        }
        let link = patient.config.login.mini_program_link.as_ref();
        if let Some(link) = link.filter(|link| link.app == app.name) {
            findings.push(url_link(patient, app, &link.page).await?);
        }
        if app.token == TokenMode::Legacy {
            let what = format!("wechat.{} token_mode", app.name.as_str());
            let said = "= \"legacy\": whoever asks for a token makes the one before void";
            findings.push(Finding::warn(what, said).fix("token_mode = \"stable\""));
        }
    }
    Ok(())
}

/// A made-up code: WeChat looks at the app first, so a complaint about the code is good news. The list of addresses has no say
/// here, as in a real login.
async fn login(patient: &Patient<'_>, app: &App) -> Finding {
    let what = format!("wechat.{} login", app.name.as_str());
    let Some(code) = Code::parse("wxgate-doctor-looks-whether-the-app-is-known") else {
        return Finding::skip(what, "no code to try");
    };
    match patient.client.exchange(app, &code).await {
        Ok(_) => Finding::warn(what, "WeChat took a code that it never made")
            .fix("look at wechat_api.base_url: this is not WeChat"),
        Err(error)
            if error
                .code()
                .is_some_and(|code| CODE_REFUSED.contains(&code)) =>
        {
            Finding::ok(what, "WeChat knows the app and takes the AppSecret")
        }
        Err(error) => about_secret(patient, app, explain::of_error(what, &error, true)),
    }
}

/// Where WeChat does not take the AppSecret: where it was read and how long it is, never what it is.
fn about_secret(patient: &Patient<'_>, app: &App, mut finding: Finding) -> Finding {
    if !finding.code.is_some_and(explain::is_about_secret) {
        return finding;
    }
    let key = format!("wechat.{}.secret", app.name.as_str());
    let place = match patient.config.references.get(&key) {
        Some(reference) => format!("`{reference}`"),
        None => format!("{key} in {}", patient.config.source.display()),
    };
    let length = app.secret.reveal().chars().count();
    finding.said += &format!(". It was read from {place} and has {length} characters");
    if length != SECRET_LENGTH {
        finding.said += &format!(", where WeChat's have {SECRET_LENGTH}");
    }
    finding
}

/// By `stable_token`, whatever the mode: the running gateway's token stays as it is.
async fn app_wide_token(patient: &Patient<'_>, app: &App) -> Finding {
    let what = format!("wechat.{} app-wide token", app.name.as_str());
    let shares = &patient.config.admin.token_shares;
    let is_needed = app.js_sdk || shares.iter().any(|(name, _)| *name == app.name);
    if let TokenMode::External(server) = &app.token {
        return match patient.client.token_of_server(app, server).await {
            Ok((_, lifetime)) => {
                let seconds = lifetime.as_secs();
                Finding::ok(what, format!("the token server gives one for {seconds} s"))
            }
            Err(error) => of_token_server(what, &error),
        };
    }
    match patient.client.stable_token(app).await {
        Ok((_, lifetime)) => {
            let seconds = lifetime.as_secs();
            Finding::ok(what, format!("WeChat gives one for {seconds} s"))
        }
        Err(error) => about_secret(patient, app, explain::of_error(what, &error, is_needed)),
    }
}

fn of_token_server(what: String, error: &Error) -> Finding {
    Finding::fail(what, format!("the token server of token_source: {error}"))
        .fix("look at token_source.url and token_source.bearer, and at the log of that server")
}

async fn ticket(patient: &Patient<'_>, app: &App) -> anyhow::Result<Finding> {
    let what = format!("wechat.{} JS-SDK", app.name.as_str());
    let tokens = tokens(patient)?;
    Ok(match tokens.jsapi_ticket(&undisturbing(app)).await {
        Ok(_) => Finding::ok(what, "WeChat gives a ticket for signatures").fix(
            "for each host that signs: mp.weixin.qq.com: 设置与开发 > 账号设置 > 功能设置 > JS接口安全域名",
        ),
        Err(error) => explain::of_error(what, &error, true),
    })
}

/// A code of the account for a minute, which no page shows.
async fn follow_code(patient: &Patient<'_>, app: &App) -> anyhow::Result<Finding> {
    let what = format!("wechat.{} follow", app.name.as_str());
    let (tokens, app) = (tokens(patient)?, undisturbing(app));
    let made = tokens.scene_code(&app, "wxgateDoctor", Duration::from_secs(60));
    Ok(match made.await {
        Ok(_) => Finding::ok(what, "WeChat makes codes that are followed"),
        Err(error) => explain::of_error(what, &error, true),
    })
}

/// A link to the page of `login.mini_program_link`, which nobody opens.
async fn url_link(patient: &Patient<'_>, app: &App, page: &str) -> anyhow::Result<Finding> {
    let what = format!("wechat.{} link", app.name.as_str());
    let (tokens, app) = (tokens(patient)?, undisturbing(app));
    Ok(match tokens.url_link(&app, page, "url=doctor").await {
        Ok(_) => Finding::ok(what, "WeChat makes links that open the mini program").fix(
            "for each host that its page shows: mp.weixin.qq.com: 开发管理 > 开发设置 > 业务域名",
        ),
        Err(error) => explain::of_error(what, &error, true),
    })
}

/// Tokens in a store of our own.
pub(super) fn tokens(patient: &Patient<'_>) -> anyhow::Result<AccessTokens> {
    let clock = patient.clock.clone();
    let store = Store::open(&store::Settings::Memory, clock.clone()).context("memory")?;
    let sealer = Sealer::open_ring(KeySource::Ephemeral, clock.now()).context("no random bytes")?;
    Ok(AccessTokens::new(
        patient.client.clone(),
        store,
        Arc::new(sealer),
        clock,
        Arc::new(crate::observe::Metrics::new()),
    ))
}

/// The app without the mode in which asking does harm.
pub(super) fn undisturbing(app: &App) -> App {
    let mut app = app.clone();
    if app.token == TokenMode::Legacy {
        app.token = TokenMode::Stable;
    }
    app
}
