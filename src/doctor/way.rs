//! What the proxies before the gateway make of a request: the running gateway tells how a request of ours arrived.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;

use super::Patient;
use super::finding::Finding;
use super::net::{Seen, ask_publicly};
use crate::message::{Scheme, Site};
use crate::seal::proof;

/// As the gateway tells it.
#[derive(Debug, Deserialize)]
struct Way {
    peer: IpAddr,
    is_trusted: bool,
    client: IpAddr,
    headers: BTreeMap<String, String>,
}

const HOST: &str = "front proxy: Host";
const ADDRESS: &str = "front proxy: visitor's address";
const SCHEME: &str = "front proxy: scheme";
const ANSWERS: &str = "header size of answers";

/// The header that makes it so long has at least so many bytes.
const LONGEST_ANSWER: usize = 7 * 1024;

/// Makes the gateway's answer as long as a login's with the largest cookies.
const LONG: &str = "wxgate-long-answer";

pub(super) async fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let site = &patient.config.gateway.site;
    let Some(app) = patient.config.wechat.apps.first() else {
        return;
    };
    let proof = proof(&app.secret, "way", patient.clock.now());
    let mut headers = HeaderMap::new();
    if let Ok(mut value) = HeaderValue::from_str(&format!("Wxgate-Proof {proof}")) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let path = site.endpoint_path("way");
    let ask =
        async |headers| ask_publicly(&patient.http, site, &site.public_host, &path, headers).await;
    match ask(headers.clone()).await {
        Ok(seen) if seen.status == 200 => match serde_json::from_slice(&seen.body) {
            Ok(way) => {
                findings.extend(judge(&way, site));
                headers.insert(LONG, HeaderValue::from_static("1"));
                findings.push(long_answer(ask(headers).await));
            }
            Err(_) => findings.push(Finding::skip(
                HOST,
                "something else than this gateway answers",
            )),
        },
        // The request reached a gateway under a name that it does not serve.
        Ok(seen) if seen.status == 421 => findings.push(lost_host("another name")),
        Ok(seen) => {
            let said = format!("cannot be seen: the gateway there answers {}", seen.status);
            findings.push(Finding::skip(HOST, said));
        }
        Err(_) => findings.push(Finding::skip(HOST, "the public address does not answer")),
    }
}

/// A gateway of another version would answer as before, which says nothing.
fn long_answer(seen: Result<Seen, String>) -> Finding {
    let trouble = match seen {
        Ok(Seen {
            status: 200,
            longest_header,
            ..
        }) if longest_header >= LONGEST_ANSWER => {
            return Finding::ok(ANSWERS, "7 KiB of cookies reach the visitor");
        }
        Ok(Seen { status: 200, .. }) => {
            let said = "cannot be seen: the gateway there makes no long answer";
            return Finding::skip(ANSWERS, said);
        }
        Ok(seen) => format!("answered with {}", seen.status),
        Err(reason) => format!("cut: {reason}"),
    };
    let said = format!("an answer with 7 KiB of cookies is {trouble}; some visitors cannot log in");
    Finding::fail(ANSWERS, said).fix("in nginx: proxy_buffer_size 16k; proxy_buffers 8 16k;")
}

fn judge(way: &Way, site: &Site) -> Vec<Finding> {
    let header = |name: &str| way.headers.get(name).map(String::as_str);
    let mut findings = vec![host(header("host").unwrap_or_default(), site)];
    let speaks = ["forwarded", "x-forwarded-for", "x-real-ip"];
    let speaks = speaks.iter().any(|name| way.headers.contains_key(*name));
    let (peer, client) = (way.peer, way.client);
    findings.push(match (way.is_trusted, header("x-forwarded-for")) {
        (false, _) if speaks => Finding::fail(
            ADDRESS,
            format!("a proxy at {peer} tells it and is not believed: every visitor has the address {peer}"),
        )
        .fix(format!(
            "server.trusted_proxies = [\"{}\"], where this proxy is yours",
            IpNet::from(peer)
        )),
        (false, _) => Finding::ok(ADDRESS, format!("{client}: no proxy, or one that says nothing")),
        (true, None) => Finding::fail(
            ADDRESS,
            format!("the proxy at {peer} does not tell it: every visitor has the address {peer}"),
        )
        .fix("in nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"),
        (true, Some(_)) if client == peer => Finding::warn(
            ADDRESS,
            format!("the proxy at {peer} tells none that can be used"),
        )
        .fix("let it send the address alone, or a list of addresses with commas"),
        (true, Some(_)) => Finding::ok(ADDRESS, format!("{client}, as the proxy at {peer} tells")),
    });
    let told = header("x-forwarded-proto").filter(|_| way.is_trusted);
    if let Some(told) = told {
        let wanted = match site.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        findings.push(match told == wanted {
            true => Finding::ok(SCHEME, format!("{told}, as in server.public_url")),
            false => Finding::warn(
                SCHEME,
                format!(
                    "X-Forwarded-Proto says `{told}`, and server.public_url begins with {wanted}"
                ),
            )
            .fix("in nginx: proxy_set_header X-Forwarded-Proto $scheme;"),
        });
    }
    findings
}

/// The port may be left out on the way.
fn host(seen: &str, site: &Site) -> Finding {
    let name = match seen.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => seen,
    };
    let wanted = site.public_host.as_str();
    let name = name.trim_start_matches('[').trim_end_matches(']');
    match name.eq_ignore_ascii_case(wanted) {
        true => Finding::ok(HOST, format!("{seen} arrives")),
        false => lost_host(&format!("`{seen}`")),
    }
}

fn lost_host(instead: &str) -> Finding {
    let said = format!("the proxy sends {instead} in place of the visitor's Host");
    Finding::fail(HOST, said).fix("in nginx: proxy_set_header Host $host;")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::super::finding::State;
    use super::*;
    use crate::message::Host;

    #[test]
    fn what_proxies_may_get_wrong_is_told_apart() {
        let site = Site {
            scheme: Scheme::Https,
            public_host: Host::from_canonical("www.example.com"),
            hosts: vec![Host::from_canonical("www.example.com")],
            port: None,
            path_prefix: "/_wxgate".to_owned(),
            wildcard_hosts: Vec::new(),
        };
        let good = r#""host":"www.example.com""#;
        type Expected = &'static [(&'static str, State)];
        let table: [(&str, bool, &str, Expected); 7] = [
            (
                "203.0.113.5",
                false,
                good,
                &[(HOST, State::Ok), (ADDRESS, State::Ok)],
            ),
            (
                "10.0.0.2",
                false,
                r#""host":"10.0.0.9:9500""#,
                &[(HOST, State::Fail)],
            ),
            (
                "10.0.0.2",
                false,
                r#""host":"WWW.example.com:443","x-real-ip":"203.0.113.5""#,
                &[(HOST, State::Ok), (ADDRESS, State::Fail)],
            ),
            ("10.0.0.2", true, good, &[(ADDRESS, State::Fail)]),
            (
                "10.0.0.2",
                true,
                r#""host":"www.example.com","x-forwarded-for":"unknown""#,
                &[(ADDRESS, State::Warn)],
            ),
            (
                "203.0.113.5",
                true,
                r#""host":"www.example.com","x-forwarded-for":"203.0.113.5","x-forwarded-proto":"https""#,
                &[(ADDRESS, State::Ok), (SCHEME, State::Ok)],
            ),
            (
                "203.0.113.5",
                true,
                r#""host":"www.example.com","x-forwarded-for":"203.0.113.5","x-forwarded-proto":"http""#,
                &[(ADDRESS, State::Ok), (SCHEME, State::Warn)],
            ),
        ];
        for (client, is_trusted, headers, expected) in table {
            let peer = if is_trusted { "10.0.0.2" } else { client };
            let text = format!(
                r#"{{"peer":"{peer}","is_trusted":{is_trusted},"client":"{client}","headers":{{{headers}}}}}"#
            );
            let findings = judge(&serde_json::from_str(&text).unwrap(), &site);
            for (what, state) in expected {
                let finding = findings
                    .iter()
                    .find(|finding| finding.what == *what)
                    .unwrap();
                assert_eq!(finding.state, *state, "{text}: {finding}");
            }
        }
    }
}
