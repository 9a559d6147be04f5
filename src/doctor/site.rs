//! The set-up between visitors and us: names, the way here, clocks, WeChat's files, size of cookies.

use std::time::{Duration, SystemTime};

use reqwest::header::{COOKIE, HeaderMap, HeaderValue};

use super::finding::Finding;
use super::net::{ask_here, ask_publicly, date_of};
use super::{PATIENCE, Patient, own_listener};
use crate::message::{Host, Scheme, Site};

/// Our cookies at their largest: a full session and five attempts.
const LARGEST_COOKIES: usize = 7 * 1024;

/// A clock so far off still works.
const CLOCK_WARN: Duration = Duration::from_secs(30);
/// One so far off does not: pushes and signatures of that age are refused.
const CLOCK_FAIL: Duration = Duration::from_secs(240);

/// The most callback domains that WeChat takes.
const MOST_DOMAINS: usize = 2;

pub(super) async fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let site = &patient.config.gateway.site;
    findings.push(name(site).await);
    let way = way_here(patient).await;
    findings.push(way);
    findings.push(cookies(patient).await);
    findings.push(clock(patient).await);
    for host in &site.hosts {
        verification_files(patient, host, findings).await;
    }
    findings.push(callback_domains(patient));
}

async fn name(site: &Site) -> Finding {
    let what = "server.public_url name";
    let host = site.public_host.as_str();
    let port = site.port.unwrap_or(match site.scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    });
    let looked_up = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, port))).await;
    match looked_up {
        Ok(Ok(addresses)) => {
            let mut texts: Vec<_> = addresses.map(|one| one.ip().to_string()).collect();
            texts.dedup();
            Finding::ok(what, format!("{host} is {}", texts.join(", ")))
        }
        Ok(Err(error)) => Finding::fail(what, format!("{host} has no address: {error}"))
            .fix("enter the name at your DNS provider, or correct server.public_url"),
        Err(_) => Finding::fail(what, format!("nobody answers what {host} is"))
            .fix("look at the name servers of this machine"),
    }
}

/// Whether what answers under the public name is the gateway on this machine: nobody else has its keys.
async fn way_here(patient: &Patient<'_>) -> Finding {
    let what = "server.public_url way";
    let site = &patient.config.gateway.site;
    let path = site.endpoint_path("jwks");
    let host = &site.public_host;
    let here = match own_listener(patient.config) {
        Some(listener) => ask_here(&patient.http, listener, host, &path).await,
        None => None,
    };
    let there = ask_publicly(&patient.http, site, host, &path, HeaderMap::new()).await;
    match (here, there) {
        (_, Err(reason)) => Finding::fail(
            what,
            format!("{} does not answer: {reason}", site.origin(host)),
        )
        .fix("start wxgate; look at the certificate chain, the firewall and the proxy before it"),
        (_, Ok(there)) if there.status != 200 => Finding::fail(
            what,
            format!("{} answers {path} with {}", site.origin(host), there.status),
        )
        .fix("let the proxy pass everything to wxgate, and keep the Host header"),
        (None, Ok(_)) => Finding::skip(
            what,
            "a gateway answers; whether it is this one cannot be seen: none on this machine can be asked",
        ),
        (Some(here), Ok(there)) if here.body == there.body => {
            Finding::ok(what, format!("{} leads here", site.origin(host)))
        }
        (Some(_), Ok(_)) => Finding::fail(
            what,
            format!(
                "{} leads to another gateway, with other keys",
                site.origin(host)
            ),
        )
        .fix("let name and proxy lead to this machine, or share keys and store among the nodes"),
    }
}

async fn cookies(patient: &Patient<'_>) -> Finding {
    let what = "header size";
    let site = &patient.config.gateway.site;
    let path = site.endpoint_path("jwks");
    let cookie = format!("wxgate-doctor={}", "x".repeat(LARGEST_COOKIES));
    let mut headers = HeaderMap::new();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        headers.insert(COOKIE, cookie);
    }
    match ask_publicly(&patient.http, site, &site.public_host, &path, headers).await {
        Ok(seen) if seen.status == 200 => Finding::ok(what, "7 KiB of cookies arrive"),
        Ok(seen) => Finding::fail(
            what,
            format!("7 KiB of cookies are answered with {}", seen.status),
        )
        .fix("in nginx: large_client_header_buffers 4 16k; and look at server.max_header"),
        Err(_) => Finding::skip(what, "the public address does not answer"),
    }
}

async fn clock(patient: &Patient<'_>) -> Finding {
    let url = &patient.config.wechat.base_url;
    match date_of(&patient.http, url).await {
        Some(date) => judge_clock(patient.clock.now(), date),
        None => Finding::skip("clock", "WeChat's time is not known: it does not answer"),
    }
}

pub(super) fn judge_clock(ours: SystemTime, theirs: SystemTime) -> Finding {
    let (away, word) = match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let said = format!("{} s {word} WeChat's", away.as_secs());
    let fix = "keep the clock by NTP: timedatectl set-ntp true";
    if away >= CLOCK_FAIL {
        Finding::fail("clock", said).fix(fix)
    } else if away >= CLOCK_WARN {
        Finding::warn("clock", said).fix(fix)
    } else {
        Finding::ok("clock", said)
    }
}

async fn verification_files(patient: &Patient<'_>, host: &Host, findings: &mut Vec<Finding>) {
    let settings = &patient.config.gateway;
    for (file, content) in &settings.verification_files {
        let what = format!("verification file on {}", host.as_str());
        let path = format!("/{file}");
        let asked = ask_publicly(&patient.http, &settings.site, host, &path, HeaderMap::new());
        findings.push(match asked.await {
            Ok(seen) if seen.status == 200 && seen.body == *content => {
                Finding::ok(what, format!("{file} is there"))
            }
            Ok(seen) => Finding::fail(what, format!("{file} is answered with {}", seen.status))
                .fix("let the proxy pass files at the root to wxgate, before its own"),
            Err(reason) => Finding::fail(what, format!("{file} cannot be asked for: {reason}"))
                .fix("let this host lead here, or remove it from the configuration"),
        });
    }
}

/// Only WeChat's own page says 10003, so the operator gets what must stand there.
fn callback_domains(patient: &Patient<'_>) -> Finding {
    let what = "callback domains";
    let site = &patient.config.gateway.site;
    let relay = &patient.config.login.relay;
    let domains: Vec<_> = site
        .hosts
        .iter()
        .filter(|host| **host == site.public_host || !relay.covers(host.as_str()))
        .map(Host::as_str)
        .collect();
    let list = domains.join(", ");
    let menu = "mp.weixin.qq.com: 设置与开发 > 接口权限 > 网页授权 > 网页授权域名";
    if domains.len() > MOST_DOMAINS {
        return Finding::warn(
            what,
            format!(
                "WeChat takes two, and these {} are needed: {list}",
                domains.len()
            ),
        )
        .fix("list all but the public host in relay.hosts");
    }
    Finding::skip(
        what,
        format!("only WeChat's page says whether they are right (10003 when not): {list}"),
    )
    .fix(format!("enter exactly these, without https://, at {menu}"))
}
