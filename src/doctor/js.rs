//! `doctor --js-url`: what is signed for a page.

use anyhow::Context;

use super::Patient;
use super::account::{tokens, undisturbing};
use super::explain;
use super::finding::Finding;
use crate::clock::unix_seconds;
use crate::seal::random_text;
use crate::wechat::{js_signature, js_signed_text};

pub(super) async fn examine(patient: &Patient<'_>, url: &str) -> anyhow::Result<Vec<Finding>> {
    let apps = patient.config.wechat.apps.iter();
    let app = apps
        .clone()
        .find(|app| app.js_sdk)
        .context("no app has js_sdk = true in [wechat]")?;
    let mut findings = vec![address(patient, url)];
    let page = url.split('#').next().unwrap_or_default();
    let what = format!("wechat.{} signature", app.name.as_str());
    findings.push(match tokens(patient)?.jsapi_ticket(&undisturbing(app)).await {
        Ok(ticket) => {
            let (nonce, now) = (random_text(16), unix_seconds(patient.clock.now()));
            // The ticket would let anybody sign.
            let text = js_signed_text("TICKET", &nonce, now, page);
            let signature = js_signature(ticket.reveal(), &nonce, now, page);
            Finding::ok(what, format!("SHA-1 of {text} is {signature}")).fix(
                "compare with what the page gives to wx.config; at WeChat each host is needed: 设置与开发 > 账号设置 > \
                 功能设置 > JS接口安全域名",
            )
        }
        Err(error) => explain::of_error(what, &error, true),
    });
    Ok(findings)
}

fn address(patient: &Patient<'_>, url: &str) -> Finding {
    let what = "page address";
    let site = &patient.config.gateway.site;
    let page = url.split('#').next().unwrap_or_default();
    let is_ours = site.hosts.iter().any(|host| {
        page.strip_prefix(site.origin(host).as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    });
    if page.contains("&amp;") {
        return Finding::fail(what, "holds `&amp;`: it was escaped for HTML")
            .fix("use location.href in a script, not an address printed by a template");
    }
    if !is_ours {
        return Finding::fail(
            what,
            "is on no host of this gateway, so no page of it is signed",
        )
        .fix("use the address that the visitor sees, with https:// and host");
    }
    if page.len() < url.len() {
        return Finding::ok(what, format!("{page} is signed; `#...` never is"));
    }
    Finding::ok(what, format!("{page} is signed as it is"))
}
