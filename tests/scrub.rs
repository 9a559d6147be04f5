//! Who may say what in headers: nothing forged gets in, nothing private gets out.

use std::collections::BTreeMap;

use http::HeaderMap;

use crate::support::{Seen, Setup, TestGateway, Wire};

/// Every byte that a header name may hold and that applications read as `_` (RFC 9110 5.6.2).
const FILLERS: &str = "!#$%&'*+-.^_`|~";

/// What we send on every request, and what we would send if there was more to say.
const OURS: [&str; 12] = [
    "X-Wxgate-Jwt-Assertion",
    "X-Wxgate-Logout",
    "X-Wxgate-Response",
    "X-Wxgate-Anything",
    "X-Wechat-Openid",
    "X-Wechat-Unionid",
    "X-Wechat-Appid",
    "X-Wechat-Subject",
    "X-Wechat-Scope",
    "X-Wechat-Nickname",
    "X-Wechat-Avatar",
    "X-Request-Id",
];

/// What says where a request came from.
const CLAIMS: [&str; 16] = [
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-Uri",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded",
    "X-Real-Ip",
    "X-Original-Url",
    "X-Original-Uri",
    "X-Original-Method",
    "X-Original-Anything",
];

pub(crate) const FORGED: &str = "forged-value";

/// Every spelling of these names: each filler everywhere, at each single place, and in other case.
pub(crate) fn spellings(names: &[&str]) -> Vec<String> {
    let mut spellings = Vec::new();
    for name in names {
        let places: Vec<usize> = name.match_indices('-').map(|(place, _)| place).collect();
        for filler in FILLERS.chars() {
            let everywhere = name.replace('-', &filler.to_string());
            spellings.push(everywhere.to_uppercase());
            for place in &places {
                let mut one = (*name).to_owned();
                one.replace_range(*place..=*place, &filler.to_string());
                spellings.push(one);
            }
            spellings.push(everywhere);
        }
    }
    spellings.sort_unstable();
    spellings.dedup();
    spellings
}

/// Every spelling of every name that clients may not use, in lower case.
pub(crate) fn forged_names() -> Vec<String> {
    let mut names: Vec<_> = spellings(&OURS)
        .into_iter()
        .chain(spellings(&CLAIMS))
        .map(|name| name.to_ascii_lowercase())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn fold(name: &str) -> String {
    let fold = |letter: char| match letter.to_ascii_lowercase() {
        letter if letter.is_ascii_alphanumeric() => letter,
        _ => '_',
    };
    name.chars().map(fold).collect()
}

/// What the site can read under each folded name.
fn folded(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut folded: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, value) in headers {
        let values = folded.entry(fold(name.as_str())).or_default();
        values.push(value.to_str().unwrap().to_owned());
    }
    folded
}

#[track_caller]
pub(crate) fn assert_nothing_forged(seen: &Seen, is_known: bool) {
    let shown = format!("{} {}", seen.method, seen.target);
    let headers = folded(&seen.headers);
    for (name, values) in headers.iter().chain(&folded(&seen.trailers)) {
        assert!(
            !values.iter().any(|value| value.contains(FORGED)),
            "{shown}: {name}: {values:?}"
        );
        let is_identity = name.starts_with("x_wxgate_") || name.starts_with("x_wechat_");
        assert!(is_known || !is_identity, "{shown}: {name}: {values:?}");
        if is_identity {
            assert_eq!(values.len(), 1, "{shown}: {name}: {values:?}");
        }
    }
    assert_eq!(headers["x_request_id"].len(), 1, "{shown}");
    assert_eq!(headers["x_forwarded_for"], ["127.0.0.1"], "{shown}");
    if is_known {
        let token = &headers["x_wxgate_jwt_assertion"][0];
        assert_eq!(token.split('.').count(), 3, "{shown}: {token}");
        assert!(!headers["x_wechat_openid"][0].is_empty(), "{shown}");
    }
}

/// The head of one kind of request, without the line end after it.
const KINDS: [(&str, &str); 6] = [
    ("GET", ""),
    ("HEAD", ""),
    (
        "OPTIONS",
        "Origin: https://other.test\r\nAccess-Control-Request-Method: POST\r\n",
    ),
    ("POST", "Content-Length: 0\r\n"),
    ("GET", "Range: bytes=0-1\r\n"),
    (
        "GET",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ),
];

async fn session_of(gateway: &TestGateway, address: &str) -> String {
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get(address).await.assert_ok();
    gateway.upstream().take();
    alice.cookie_header()
}

#[tokio::test]
async fn no_spelling_of_an_identity_header_gets_in_on_any_route_by_any_method() {
    let gateway = TestGateway::start().await;
    let cookie = session_of(&gateway, "/").await;
    let mut names = spellings(&OURS);
    names.extend(spellings(&CLAIMS));
    assert!(names.len() > 1000, "{}", names.len());
    let batches: Vec<String> = names
        .chunks(85)
        .map(|names| {
            let lines = names.iter().map(|name| format!("{name}: {FORGED}\r\n"));
            lines.collect()
        })
        .collect();
    let with_session = format!("Cookie: {cookie}\r\n");
    let visits = [
        ("/open", "", false),
        ("/open", with_session.as_str(), false),
        ("/maybe", "", false),
        ("/maybe", &with_session, true),
        ("/site", &with_session, true),
    ];

    let mut wire = Wire::new(gateway.address());
    for (target, cookie, is_known) in visits {
        for (method, head) in KINDS {
            for lines in &batches {
                let request = format!(
                    "{method} {target} HTTP/1.1\r\nHost: www.example.test\r\n{cookie}{head}{lines}\r\n"
                );
                let reply = wire.ask(&request).await;
                assert_eq!(reply.status, 200, "{method} {target}");
                assert!(!reply.header("x-request-id").contains(FORGED));
                let seen = gateway.upstream().take();
                assert_eq!(seen.len(), 1, "{method} {target}");
                assert_nothing_forged(&seen[0], is_known);
            }
        }
    }
    assert_eq!(wire.connections(), 1);
    // Who is not let in cannot talk his way in either.
    for lines in &batches {
        let request = format!("GET / HTTP/1.1\r\nHost: www.example.test\r\n{lines}\r\n");
        assert_eq!(wire.ask(&request).await.status, 401);
    }
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn a_forged_header_beside_the_right_one_changes_nothing() {
    let gateway = TestGateway::start().await;
    let cookie = session_of(&gateway, "/").await;
    let mut wire = Wire::new(gateway.address());
    for lines in [
        "X-Wechat-Openid: forged-value\r\nx-wechat-openid: forged-value\r\n",
        "Accept: */*\r\nX-Wechat-Openid: forged-value\r\nAccept: text/html\r\n",
        "X-Wechat-Openid: forged-value, forged-value\r\nX_Wechat_Openid:\r\n",
        "X-Wechat-Openid:\r\nX-Wxgate-Jwt-Assertion:\r\n",
    ] {
        let request = format!(
            "GET /site HTTP/1.1\r\nHost: www.example.test\r\nCookie: {cookie}\r\n{lines}\r\n"
        );
        assert_eq!(wire.ask(&request).await.status, 200);
        assert_nothing_forged(&gateway.upstream().last(), true);
    }
    drop(wire);
    let log = { gateway }.access_log().await;
    let counts: Vec<_> = log
        .iter()
        .filter(|line| line["path"] == "/site")
        .map(|line| line["stripped_headers"].as_u64())
        .collect();
    assert_eq!(counts, [Some(1), Some(1), Some(2), Some(2)]);
}

fn preset(setup: &mut Setup, preset: &str) {
    setup.sections = format!(
        "[identity_headers]\npreset = \"{preset}\"\n[jwt]\nheader = \"Authorization\"\nprefix = \"Bearer \"\n"
    );
}

#[tokio::test]
async fn headers_of_presets_are_ours_as_well() {
    for (name, own) in [
        ("remote-user", "Remote-User"),
        ("x-forwarded-user", "X-Forwarded-User"),
        ("x-auth-request", "X-Auth-Request-User"),
    ] {
        let gateway = TestGateway::with(|setup| preset(setup, name)).await;
        let cookie = session_of(&gateway, "/").await;
        let mut names = spellings(&[own]);
        names.push("AUTHORIZATION".to_owned());
        let lines: String = names
            .iter()
            .map(|name| format!("{name}: {FORGED}\r\n"))
            .collect();
        let mut wire = Wire::new(gateway.address());

        for (target, cookie) in [
            ("/open", String::new()),
            ("/maybe", String::new()),
            ("/open", format!("Cookie: {cookie}\r\n")),
            ("/site", format!("Cookie: {cookie}\r\n")),
        ] {
            let request =
                format!("GET {target} HTTP/1.1\r\nHost: www.example.test\r\n{cookie}{lines}\r\n");
            assert_eq!(wire.ask(&request).await.status, 200, "{name} {target}");
            let seen = folded(&gateway.upstream().last().headers);
            let forged = |values: &Vec<String>| values.iter().any(|value| value == FORGED);
            assert!(!seen.values().any(forged), "{name} {target}: {seen:?}");
            let is_known = target == "/site";
            for ours in [own, "Authorization"] {
                let values = seen.get(&fold(ours)).map_or(0, Vec::len);
                assert_eq!(values, usize::from(is_known), "{name} {target}: {seen:?}");
            }
        }
    }
}

#[tokio::test]
async fn trailers_carry_no_identity() {
    let gateway = TestGateway::start().await;
    let cookie = session_of(&gateway, "/").await;
    let names = spellings(&[
        "X-Wechat-Openid",
        "X-Wxgate-Jwt-Assertion",
        "X-Forwarded-For",
    ]);
    let mut wire = Wire::new(gateway.address());
    for announced in [
        "",
        "Trailer: X-Checksum, X-Wechat-Openid\r\n",
        "Trailer: *\r\n",
    ] {
        for (target, cookie) in [
            ("/open", String::new()),
            ("/site", format!("Cookie: {cookie}\r\n")),
        ] {
            for names in names.chunks(40) {
                let lines: String = names
                    .iter()
                    .map(|name| format!("{name}: {FORGED}\r\n"))
                    .collect();
                let request = format!(
                    "POST {target} HTTP/1.1\r\nHost: www.example.test\r\n{cookie}TE: trailers\r\n{announced}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Checksum: 1\r\n{lines}\r\n"
                );
                assert_eq!(wire.ask(&request).await.status, 200);
                let seen = gateway.upstream().last();
                assert_eq!(&seen.body[..], b"abc");
                assert_nothing_forged(&seen, target == "/site");
                let expected = if announced.contains("X-Checksum") {
                    "1"
                } else {
                    ""
                };
                let passed = seen.trailers.get("x-checksum");
                let passed = passed.map_or("", |value| value.to_str().unwrap());
                assert_eq!(passed, expected, "{announced:?}");
                assert!(seen.trailers.len() <= 1, "{:?}", seen.trailers);
            }
        }
    }
}

#[tokio::test]
async fn connection_cannot_name_what_we_say() {
    let gateway = TestGateway::start().await;
    let cookie = session_of(&gateway, "/").await;
    let mut wire = Wire::new(gateway.address());
    for token in [
        "X-Wxgate-Jwt-Assertion",
        "x-wechat-openid",
        "X_Wechat_Openid",
        "X-Request-Id",
        "X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Real-Ip",
        "Cookie",
        "Host",
        "Content-Length",
        "Content-Type",
        "Authorization",
        "keep-alive, X-Wechat-Openid, X-Wechat-Subject",
        "x-wechat-openid,x-wechat-openid",
        "X-Wechat-Openid\r\nConnection: X-Wxgate-Jwt-Assertion",
    ] {
        let request = format!(
            "POST /site HTTP/1.1\r\nHost: www.example.test\r\nCookie: theme=dark; {cookie}\r\nAuthorization: Basic abc\r\nContent-Type: text/x\r\nX-Hop: 1\r\nConnection: {token}, X-Hop\r\nX-Wechat-Openid: {FORGED}\r\nContent-Length: 3\r\n\r\nabc"
        );
        let reply = wire.ask(&request).await;
        assert_eq!(reply.status, 200, "{token}");
        let seen = gateway.upstream().last();
        assert_nothing_forged(&seen, true);
        assert_eq!(seen.header("host"), "www.example.test", "{token}");
        assert_eq!(seen.header("cookie"), "theme=dark", "{token}");
        assert_eq!(seen.header("authorization"), "Basic abc", "{token}");
        assert_eq!(seen.header("content-type"), "text/x", "{token}");
        assert_eq!(&seen.body[..], b"abc", "{token}");
        assert_eq!(seen.header("x-real-ip"), "127.0.0.1", "{token}");
        assert_eq!(seen.header("x-forwarded-proto"), "https", "{token}");
        // What the client meant for this hop alone ends here, and so does the list.
        assert!(!seen.headers.contains_key("x-hop"), "{token}");
        assert!(!seen.headers.contains_key("connection"), "{token}");
    }
}

#[tokio::test]
async fn strangers_cannot_say_where_a_request_came_from() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::new(gateway.address());
    let claims = "Forwarded: for=6.6.6.6;host=evil.test;proto=http\r\n\
        X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7, 8.8.8.8\r\n\
        X-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Port: 1\r\n\
        X-Forwarded-Prefix: /evil\r\nX-Forwarded-Server: evil.test\r\nX-Forwarded-Uri: /evil\r\n\
        X-Real-Ip: 6.6.6.6\r\nX-Original-Url: /evil\r\nX-Original-Uri: /evil\r\nX-Original-Method: PUT\r\n\
        X-Rewrite-Url: /evil\r\nX-Envoy-Original-Path: /evil\r\nX-Host: evil.test\r\n\
        X-Client-Ip: 6.6.6.6\r\nX-Cluster-Client-Ip: 6.6.6.6\r\nTrue-Client-Ip: 6.6.6.6\r\n\
        X-Http-Method-Override: PUT\r\nProxy: http://evil.test\r\nVia: 1.1 evil.test\r\n\
        X-Request-Id: evil-1\r\n";
    let request = format!("GET /open HTTP/1.1\r\nHost: www.example.test:8443\r\n{claims}\r\n");

    let reply = wire.ask(&request).await;

    let seen = gateway.upstream().last();
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "www.example.test:8443"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "8443"),
        ("x-real-ip", "127.0.0.1"),
        ("x-request-id", reply.header("x-request-id")),
    ] {
        assert_eq!(seen.header(name), value, "{name}");
    }
    for (name, value) in &seen.headers {
        let value = value.to_str().unwrap();
        let is_claim = ["evil", "6.6.6.6", "gopher", "PUT"]
            .iter()
            .any(|claim| value.contains(claim));
        assert!(!is_claim, "{name}: {value}");
    }
    assert!(!reply.header("x-request-id").contains("evil"));
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_from_the_right() {
    let gateway = TestGateway::with(|setup| {
        setup.server = r#"trusted_proxies = ["127.0.0.1/32", "10.0.0.0/8"]"#.to_owned();
    })
    .await;
    let mut wire = Wire::new(gateway.address());
    for (given, client, chain) in [
        ("", "127.0.0.1", "127.0.0.1"),
        (
            "X-Forwarded-For: 1.2.3.4\r\n",
            "1.2.3.4",
            "1.2.3.4, 127.0.0.1",
        ),
        (
            "X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\n",
            "1.2.3.4",
            "6.6.6.6, 1.2.3.4, 127.0.0.1",
        ),
        (
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.2.3.4, 10.1.1.1\r\n",
            "1.2.3.4",
            "6.6.6.6, 1.2.3.4, 10.1.1.1, 127.0.0.1",
        ),
        (
            "X-Forwarded-For: 1.2.3.4, garbage, 10.1.1.1\r\n",
            "10.1.1.1",
            "1.2.3.4, garbage, 10.1.1.1, 127.0.0.1",
        ),
        (
            "X-Forwarded-For: 2001:db8::1\r\n",
            "2001:db8::1",
            "2001:db8::1, 127.0.0.1",
        ),
        // Aliases are not what a proxy writes.
        ("X_Forwarded_For: 1.2.3.4\r\n", "127.0.0.1", "127.0.0.1"),
    ] {
        let request = format!(
            "GET /open HTTP/1.1\r\nHost: www.example.test\r\n{given}X-Request-Id: given-by.proxy_1\r\n\r\n"
        );
        let reply = wire.ask(&request).await;
        assert_eq!(reply.header("x-request-id"), "given-by.proxy_1");
        let seen = gateway.upstream().last();
        assert_eq!(seen.header("x-request-id"), "given-by.proxy_1");
        assert_eq!(seen.header("x-real-ip"), client, "{given:?}");
        assert_eq!(seen.header("x-forwarded-for"), chain, "{given:?}");
        assert!(!seen.headers.contains_key("x_forwarded_for"));
    }
    for bad in [
        "",
        "a b",
        "<x>",
        "a\"b",
        &"x".repeat(129),
        "a\r\nX-Request-Id: b c",
    ] {
        let request =
            format!("GET /open HTTP/1.1\r\nHost: www.example.test\r\nX-Request-Id: {bad}\r\n\r\n");
        let reply = wire.ask(&request).await;
        let id = reply.header("x-request-id");
        assert_eq!(gateway.upstream().last().header("x-request-id"), id);
        assert!(id == "a" || id.len() == 24, "{bad:?} became {id:?}");
    }
    // Trusted or not, nobody else says who the visitor is.
    let lines: String = spellings(&["X-Wechat-Openid", "X-Wxgate-Jwt-Assertion"])
        .iter()
        .take(90)
        .map(|name| format!("{name}: {FORGED}\r\n"))
        .collect();
    let request = format!("GET /open HTTP/1.1\r\nHost: www.example.test\r\n{lines}\r\n");
    assert_eq!(wire.ask(&request).await.status, 200);
    assert_nothing_forged(&gateway.upstream().last(), false);
}

#[tokio::test]
async fn the_sites_own_authorization_passes_and_only_once() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::new(gateway.address());
    let ask = "GET /open HTTP/1.1\r\nHost: www.example.test\r\nAuthorization: Basic b25l\r\n";

    assert_eq!(wire.ask(format!("{ask}\r\n")).await.status, 200);
    assert_eq!(
        gateway.upstream().last().header("authorization"),
        "Basic b25l"
    );
    gateway.upstream().take();

    let twice = format!("{ask}Authorization: Basic dHdv\r\n\r\n");
    let reply = wire.ask(twice).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.reason(), "bad-request");
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn our_cookies_never_reach_the_site_and_others_do() {
    let gateway = TestGateway::start().await;
    let cookie = session_of(&gateway, "/").await;
    let mut wire = Wire::new(gateway.address());
    let session = cookie
        .split("; ")
        .find(|pair| pair.starts_with("__Host-wxgate="))
        .unwrap();
    for (given, passed) in [
        (format!("a=1; {session}; b=2"), "a=1; b=2"),
        (format!("{session};c=\"x;y\""), "c=\"x;y\""),
        (
            format!("__Host-wxgate-login=x; wxgate=y; __Secure-wxgate=z; {session}; d=4"),
            "d=4",
        ),
        (session.to_owned(), ""),
        (
            format!("a=1\r\nCookie: {session}\r\nCookie: b=2"),
            "a=1|b=2",
        ),
        (format!("a=1; {session}; {session}"), "a=1"),
    ] {
        let request =
            format!("GET /site HTTP/1.1\r\nHost: www.example.test\r\nCookie: {given}\r\n\r\n");
        assert_eq!(wire.ask(&request).await.status, 200, "{given}");
        let seen = gateway.upstream().last();
        let cookies = seen.headers.get_all("cookie").iter();
        let cookies: Vec<_> = cookies.map(|value| value.to_str().unwrap()).collect();
        assert_eq!(cookies.join("|"), passed, "{given}");
    }
}

#[tokio::test]
async fn the_site_cannot_speak_for_us() {
    let gateway = TestGateway::start().await;
    let cookie = session_of(&gateway, "/").await;
    let mut wire = Wire::new(gateway.address());
    let names = spellings(&[
        "X-Wxgate-Jwt-Assertion",
        "X-Wxgate-Response",
        "X-Wechat-Openid",
        "X-Request-Id",
    ]);
    for names in names.chunks(85) {
        let lines: String = names
            .iter()
            .map(|name| format!("x-answer: {name}={FORGED}\r\n"))
            .collect();
        for (target, cookie) in [
            ("/open", String::new()),
            ("/site", format!("Cookie: {cookie}\r\n")),
        ] {
            let request =
                format!("GET {target} HTTP/1.1\r\nHost: www.example.test\r\n{cookie}{lines}\r\n");
            let reply = wire.ask(&request).await;
            assert_eq!(reply.status, 200);
            for (name, value) in &reply.headers {
                assert!(
                    !value.to_str().unwrap().contains(FORGED),
                    "{target}: {name}"
                );
            }
            assert_eq!(reply.reason(), "");
            assert_eq!(reply.header("x-request-id").len(), 24);
        }
    }

    let cookies = [
        "__Host-wxgate=evil; Path=/; Secure",
        "__Host-wxgate-login=evil; Path=/; Secure",
        "wxgate=evil",
        "wxgate-login=evil",
        "__Secure-wxgate=evil; Secure",
        " __Host-wxgate =evil",
        "=__Host-wxgate=evil",
        "__Host-wxgate",
        "a=1; Path=/",
        "b=__Host-wxgate",
        "__Host-wxgatex=2",
    ];
    let lines: String = cookies
        .iter()
        .map(|cookie| format!("x-answer: set-cookie={cookie}\r\n"))
        .collect();
    let request = format!("GET /open HTTP/1.1\r\nHost: www.example.test\r\n{lines}\r\n");
    let reply = wire.ask(&request).await;
    let kept: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
    assert_eq!(kept, ["a=1; Path=/", "b=__Host-wxgate", "__Host-wxgatex=2"]);
}

#[tokio::test]
async fn only_a_site_that_knows_the_visitor_may_end_the_session() {
    let gateway = TestGateway::start().await;
    let cookie = session_of(&gateway, "/").await;
    let mut wire = Wire::new(gateway.address());
    let mut ask = async |target: &str, line: &str| {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: www.example.test\r\nCookie: {cookie}\r\n{line}\r\n"
        );
        wire.ask(&request).await
    };
    let logout = "x-answer: x-wxgate-logout=1\r\n";

    // A public route has no visitor to log out.
    let reply = ask("/open", logout).await;
    assert!(!reply.headers.contains_key("x-wxgate-logout"));
    assert_eq!(ask("/site", "").await.status, 200);
    let reply = ask("/site", "x-answer: x-wxgate-logout=0\r\n").await;
    assert!(!reply.headers.contains_key("x-wxgate-logout"));
    assert_eq!(ask("/site", "").await.status, 200);

    let reply = ask("/site", logout).await;
    assert!(!reply.headers.contains_key("x-wxgate-logout"));
    assert_eq!(reply.set_cookies("__Host-wxgate").len(), 1);
    assert!(reply.set_cookies("__Host-wxgate")[0].starts_with("__Host-wxgate=;"));
    assert_eq!(ask("/site", "").await.status, 401);
}
