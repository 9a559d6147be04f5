//! Whether WeChat's pushes find the way here: asked as WeChat's console asks when an address is entered.

use reqwest::header::HeaderMap;

use super::Patient;
use super::finding::Finding;
use super::net::ask_publicly;
use crate::seal::random_text;
use crate::wechat::{App, PushKeys};

const MENU: &str = "mp.weixin.qq.com: 设置与开发 > 开发接口管理 > 基本配置 > 服务器配置";

pub(super) async fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    for app in &patient.config.wechat.apps {
        if let Some(keys) = &app.push {
            findings.push(address(patient, app, keys).await);
        }
    }
}

async fn address(patient: &Patient<'_>, app: &App, keys: &PushKeys) -> Finding {
    let what = format!("wechat.{} push", app.name.as_str());
    let site = &patient.config.gateway.site;
    let path = site.endpoint_path(&format!("push/{}", app.name.as_str()));
    let url = format!("{}{path}", site.origin(&site.public_host));
    let (nonce, echo) = (random_text(10), random_text(20));
    let check = keys.address_check(&nonce, &echo, patient.clock.now());
    let asked = format!("{path}?{check}");
    let seen = ask_publicly(
        &patient.http,
        site,
        &site.public_host,
        &asked,
        HeaderMap::new(),
    );
    match seen.await {
        Ok(seen) if seen.status == 200 && seen.body == echo.as_bytes() => {
            Finding::ok(what, "the address answers as WeChat wants to hear it").fix(format!(
                "enter {url} and token and EncodingAESKey at {MENU}"
            ))
        }
        Ok(seen) => {
            let told = match seen.status {
                200 => "another text than WeChat's".to_owned(),
                status => status.to_string(),
            };
            Finding::fail(what, format!("{url} answers a check of the address with {told}")).fix(
                "reload the running gateway, so that it has this token; let the proxy pass path and query as they are",
            )
        }
        Err(_) => Finding::skip(what, "the public address does not answer"),
    }
}
