//! What clients of a production site ask, as bytes, and the status that each must get.

use super::HOST;
use super::common::AGENT;

const DESKTOP: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";

/// What WeChat's browser on Android sends with a page load, in its order.
const PAGE: &[(&str, &str)] = &[
    ("Connection", "keep-alive"),
    ("Upgrade-Insecure-Requests", "1"),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    ),
    ("X-Requested-With", "com.tencent.mm"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-User", "?1"),
    ("Sec-Fetch-Dest", "document"),
    ("Referer", "https://www.example.test/orders?page=1"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Accept-Language", "zh-CN,zh;q=0.9,en;q=0.8"),
];

/// The same of a script.
const SCRIPT: &[(&str, &str)] = &[
    ("Connection", "keep-alive"),
    ("Accept", "application/json"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "cors"),
    ("Sec-Fetch-Dest", "empty"),
    ("Accept-Encoding", "gzip, deflate"),
];

/// The same of a program that is no browser.
const PROGRAM: &[(&str, &str)] = &[("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")];

/// What a proxy before the gateway adds.
const PROXIED: &[(&str, &str)] = &[
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-Proto", "https"),
    ("X-Request-Id", "5f3c1d0a9b8e7f6a5d4c3b2a19080716"),
];

/// One request and the status it must get.
pub(crate) struct Ask {
    /// Method and target.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) is_head: bool,
}

/// A request that is not bytes yet.
struct Draft<'d> {
    host: &'d str,
    agent: &'d str,
    cookie: &'d str,
    fields: Vec<(&'d str, &'d str)>,
    body: &'d str,
}

impl<'d> Draft<'d> {
    fn new(cookie: &'d str, fields: &[(&'d str, &'d str)]) -> Self {
        Self {
            host: HOST,
            agent: AGENT,
            cookie,
            fields: fields.to_vec(),
            body: "",
        }
    }

    fn with(mut self, fields: &[(&'d str, &'d str)]) -> Self {
        self.fields.extend_from_slice(fields);
        self
    }

    fn ask(&self, method: &str, target: &str, status: u16) -> Ask {
        let Self { host, agent, .. } = self;
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n");
        for (name, value) in &self.fields {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.cookie.is_empty() {
            head += &format!("Cookie: {}\r\n", self.cookie);
        }
        if !self.body.is_empty() {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        Ask {
            name: format!("{method} {target}"),
            bytes: format!("{head}\r\n{}", self.body).into_bytes(),
            status,
            is_head: method == "HEAD",
        }
    }
}

/// One visit of somebody logged in, on one connection: mostly pages, and what belongs to them.
pub(crate) fn visit(cookie: &str) -> Vec<Ask> {
    let (page, script) = (Draft::new(cookie, PAGE), Draft::new(cookie, SCRIPT));
    let mut asks = Vec::new();
    for number in 0..8 {
        asks.push(page.ask("GET", "/", 200));
        asks.push(page.ask("GET", &format!("/orders?page={number}&sort=new"), 200));
        asks.push(page.ask(
            "GET",
            &format!("/goods/{}/%E8%8C%B6.html", number * 37),
            200,
        ));
        asks.push(Draft::new(cookie, PROGRAM).ask("GET", "/", 200));
        asks.push(script.ask("GET", &format!("/api/stock?of={number}"), 200));
    }
    asks.push(page.ask("GET", "/pieces", 200));
    asks.push(page.ask("GET", "/cart", 200));
    asks.push(page.ask("GET", "/news", 200));
    asks.push(page.ask("HEAD", "/orders", 200));
    asks.push(script.ask("GET", "/static/site.css?v=7", 200));
    let known = Draft::new(cookie, SCRIPT).with(&[("If-None-Match", "\"6a1f-5c\"")]);
    asks.push(known.ask("GET", "/static/site.css?v=7", 304));
    asks.push(page.ask("GET", "/large", 200));
    let body = "{\"goods\":4711}".repeat(40);
    let mut form = Draft::new(cookie, SCRIPT).with(&[
        ("Content-Type", "application/json"),
        ("Origin", "https://www.example.test"),
    ]);
    form.body = &body;
    asks.push(form.ask("POST", "/api/cart", 200));
    asks
}

/// The same person, through a proxy before the gateway.
pub(crate) fn proxied_visit(cookie: &str) -> Vec<Ask> {
    let page = Draft::new(cookie, PAGE).with(PROXIED);
    let mut asks: Vec<_> = (0..12)
        .map(|number| page.ask("GET", &format!("/orders/{number}"), 200))
        .collect();
    // A proxy that only asks whether.
    let judged = Draft::new(cookie, PAGE).with(PROXIED).with(&[
        ("X-Original-Method", "GET"),
        ("X-Original-URL", "https://www.example.test/judged/1"),
    ]);
    for _ in 0..3 {
        asks.push(judged.ask("GET", "/_wxgate/auth/nginx", 204));
    }
    asks
}

/// Single requests of somebody logged in, each for a connection of its own.
pub(crate) fn single(cookie: &str) -> Vec<Ask> {
    let last = Draft::new(cookie, PROGRAM).with(&[("Connection", "close")]);
    vec![
        last.ask("GET", "/", 200),
        last.ask("GET", "/orders", 200),
        last.ask("GET", "/member", 200),
    ]
}

/// Visitors without a session, and requests that lead nowhere.
pub(crate) fn strangers() -> Vec<Ask> {
    let (page, script) = (Draft::new("", PAGE), Draft::new("", SCRIPT));
    let desktop = Draft {
        agent: DESKTOP,
        ..Draft::new("site=1", PAGE)
    };
    let at = |host| Draft {
        host,
        ..Draft::new("", PAGE)
    };
    let forged = Draft::new("__Host-wxgate=forged", PAGE).with(&[("X-Wechat-Openid", "forged")]);
    vec![
        page.ask("GET", "/orders", 302),
        at("m.example.test").ask("GET", "/orders", 302),
        forged.ask("GET", "/orders", 302),
        desktop.ask("GET", "/orders", 302),
        desktop.ask("GET", "/_wxgate/scan?to=%2Forders", 200),
        script.ask("GET", "/api/stock?of=1", 401),
        script.ask("GET", "/static/site.css", 200),
        page.ask("GET", "/news/today", 200),
        page.ask("GET", "/closed/door", 403),
        page.ask("GET", "/_wxgate/unknown", 404),
        script.ask("GET", "/_wxgate/jwks", 200),
        at("other.example.test").ask("GET", "/", 421),
    ]
}
