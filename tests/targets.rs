//! Which requests are read at all: targets, hosts, framing, and that nobody finds a second way to a place.

use std::collections::BTreeSet;

use percent_encoding::percent_decode;

use crate::support::{ScriptedSite, Setup, TestGateway, Wire, until_closed};

/// What an attacker hides behind a refused request.
const SMUGGLED: &str = "GET /open/smuggled HTTP/1.1\r\nHost: www.example.test\r\n\r\n";

/// Sends a bad request with a good one behind it: the bad one gets this status and the connection ends there.
async fn assert_refused(gateway: &TestGateway, request: impl AsRef<[u8]>, statuses: &[u16]) {
    let request = request.as_ref();
    let shown = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
    let answer = until_closed(gateway.address(), [request, SMUGGLED.as_bytes()].concat()).await;

    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    assert!(
        status.is_some_and(|status| statuses.contains(&status)),
        "{shown:?} was answered with {answer:?}"
    );
    assert_eq!(
        answer.matches("HTTP/1.1 ").count(),
        1,
        "{shown:?}: {answer}"
    );
    let seen = gateway.upstream().seen();
    assert!(seen.is_empty(), "{shown:?} reached the site: {seen:?}");
}

fn get(target: &[u8]) -> Vec<u8> {
    [
        b"GET ",
        target,
        b" HTTP/1.1\r\nHost: www.example.test\r\n\r\n",
    ]
    .concat()
}

fn open(head: &str) -> String {
    format!("POST /open HTTP/1.1\r\nHost: www.example.test\r\n{head}")
}

/// Targets that two programs may read differently.
pub(crate) const TWO_READINGS: &[&[u8]] = &[
    // Not a path.
    b"!",
    b"open",
    b"*",
    b"?open",
    b"open/x",
    b"http:http://www.example.test/open",
    b"http:/open",
    b"javascript:alert(1)",
    b"ftp://www.example.test/open",
    b"file://www.example.test/open",
    // Bytes that no target holds.
    b"/open#x",
    b"/#/open",
    b"/open?a#b",
    b"/open\\x",
    b"/open\\..\\admin",
    b"/open\x00",
    b"/open\x01",
    b"/open\t/x",
    b"/open\x7f",
    b"/open\x80",
    b"/open/\xff\xfe",
    "/open/é".as_bytes(),
    b"/open?\x00",
    b"/open?\x07",
    b"/open?a\\b",
    b"/open<x>",
    // Broken and ambiguous escapes.
    b"/open/%",
    b"/open/%2",
    b"/open/%zz",
    b"/open/%g0",
    b"/open/% 20",
    b"/open/%u002f",
    b"/open/%2f",
    b"/open/%2F",
    b"/open%2fx",
    b"/open/%5c",
    b"/open/%00",
    b"/open/%23",
    b"/open/%3f",
    b"/open/%3Fx=1",
    b"/open/%c0%af",
    b"/open/%c0%ae%c0%ae/",
    b"/open/%e0%80%af",
    b"/open/%ff",
    b"/open/%ed%a0%80",
    // Dot segments in any spelling.
    b"/open/.",
    b"/open/..",
    b"/open/./x",
    b"/open/../admin",
    b"/./open",
    b"/../open",
    b"/open/%2e/x",
    b"/open/%2e%2e/admin",
    b"/open/.%2e/admin",
    b"/open/%2E%2e/admin",
    b"/open/%252e%252e/admin",
    b"/open/%252e./admin",
    b"/open/%25252e%25252e/admin",
    b"/open/%%32%65%%32%65/admin",
    b"/open/..;/admin",
    b"/open/..;a=b/admin",
    b"/open/.;/admin",
    b"/open/%2e%2e;/admin",
    b"/open/..%3b/admin",
    b"/open/..%3B/admin",
    b"/open;/../admin",
    b"/open/..%252fadmin",
    b"/open/..%255cadmin",
    b"/open/..%20/admin",
    b"/open/.%2e%09/admin",
    b"/open/%20../admin",
    // Empty segments.
    b"//",
    b"//open",
    b"//evil.test/open",
    b"/open//x",
    b"/open//",
    b"/open/;/x",
    b"/open/;a=b/admin",
];

#[tokio::test]
async fn a_target_with_two_readings_is_refused() {
    let gateway = TestGateway::start().await;
    for target in TWO_READINGS {
        assert_refused(&gateway, get(target), &[400]).await;
    }
}

#[tokio::test]
async fn a_head_that_two_programs_could_cut_differently_is_refused() {
    let gateway = TestGateway::start().await;
    let lengths = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: identity\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
        "Content-Length: 5\r\ncontent-length: 5\r\n\r\nabcde",
        "Content-Length: 0\r\nContent-Length: 5\r\n\r\nabcde",
        "Content-Length: 5, 5\r\n\r\nabcde",
        "Content-Length: +5\r\n\r\nabcde",
        "Content-Length: -5\r\n\r\nabcde",
        "Content-Length: 0x5\r\n\r\nabcde",
        "Content-Length: 5_0\r\n\r\nabcde",
        "Content-Length: 5 0\r\n\r\nabcde",
        "Content-Length: five\r\n\r\nabcde",
        "Content-Length:\r\n\r\nabcde",
        "Content-Length: 99999999999999999999999\r\n\r\nabcde",
        "Content-Length : 5\r\n\r\nabcde",
        "Content-Length\t: 5\r\n\r\nabcde",
        " Content-Length: 5\r\n\r\nabcde",
        "Content-Length:\r\n 5\r\n\r\nabcde",
        "Content-Length: 5\n\r\nabcde",
        "Content-Length: \x0b5\r\n\r\nabcde",
    ];
    let encodings = [
        ",chunked",
        "chunked,",
        "chunked, chunked",
        "identity, chunked",
        "chunked, identity",
        "gzip, chunked",
        "chunked, gzip",
        "identity",
        "gzip",
        "xchunked",
        "chunkedx",
        "chunked;x=1",
        "\"chunked\"",
        "chunked\x0b",
        "chunked\0",
        "\r\n chunked",
        "",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: identity",
        "identity\r\nTransfer-Encoding: chunked",
    ];
    for head in lengths {
        assert_refused(&gateway, open(head), &[400]).await;
    }
    for encoding in encodings {
        let head = format!("Transfer-Encoding: {encoding}\r\n\r\n0\r\n\r\n");
        assert_refused(&gateway, open(&head), &[400]).await;
    }
    for head in [
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding\0: chunked\r\n\r\n0\r\n\r\n",
        " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "X: a\r\n b\r\n\r\n",
        "X: a\r\n\tb\r\n\r\n",
        "X: a\rb\r\n\r\n",
        "X: a\0b\r\n\r\n",
        "X: a\x7fb\r\n\r\n",
        "X a\r\n\r\n",
        ": a\r\n\r\n",
        "X(: a\r\n\r\n",
        "X\u{e9}: a\r\n\r\n",
        "X: a\n\r\n",
        "X: a\n\n",
        "\n",
    ] {
        assert_refused(&gateway, open(head), &[400]).await;
    }
}

#[tokio::test]
async fn a_request_line_that_is_none_is_refused() {
    let gateway = TestGateway::start().await;
    let host = "Host: www.example.test\r\n\r\n";
    for line in [
        "GET /open\r\n",
        "GET  /open HTTP/1.1\r\n",
        "GET /open  HTTP/1.1\r\n",
        "GET /open HTTP/1.1 \r\n",
        "GET /open x HTTP/1.1\r\n",
        "GET /open http/1.1\r\n",
        "GET /open HTTP/0.9\r\n",
        "GET /open HTTP/1.2\r\n",
        "GET /open HTTP/2.0\r\n",
        "GET /open HTTP/3\r\n",
        "GET /open HTTP/01.1\r\n",
        "GET /open XTTP/1.1\r\n",
        "GET\t/open\tHTTP/1.1\r\n",
        " GET /open HTTP/1.1\r\n",
        "G(T /open HTTP/1.1\r\n",
        "/open HTTP/1.1\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n",
        "HELO example.test\r\n",
        "GET /open HTTP/1.1\n",
    ] {
        assert_refused(&gateway, format!("{line}{host}"), &[400]).await;
    }
    // HTTP/2 without having agreed on it is not even answered.
    let preface = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{SMUGGLED}");
    assert_eq!(until_closed(gateway.address(), preface).await, "");
    assert!(gateway.upstream().seen().is_empty());
    assert_refused(
        &gateway,
        "POST /open HTTP/1.0\r\nHost: www.example.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[400],
    )
    .await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_before_it_is_read() {
    let gateway = TestGateway::start().await;
    let many: String = (0..101)
        .map(|number| format!("x-{number}: 1\r\n"))
        .collect();
    let long = "a".repeat(40 * 1024);

    let many = format!("GET /open HTTP/1.1\r\nHost: www.example.test\r\n{many}\r\n");
    assert_refused(&gateway, many, &[431]).await;
    let head = format!("GET /open HTTP/1.1\r\nHost: www.example.test\r\nx: {long}\r\n\r\n");
    assert_refused(&gateway, head, &[431]).await;
    let name = format!("GET /open HTTP/1.1\r\nHost: www.example.test\r\n{long}: 1\r\n\r\n");
    assert_refused(&gateway, name, &[431]).await;
    assert_refused(
        &gateway,
        get(format!("/open/{long}").as_bytes()),
        &[414, 431],
    )
    .await;
}

#[tokio::test]
async fn methods_that_no_site_should_see_are_refused() {
    let gateway = TestGateway::start().await;
    let host = "Host: www.example.test\r\n\r\n";
    for line in [
        "CONNECT www.example.test:443 HTTP/1.1\r\n",
        "CONNECT 127.0.0.1:22 HTTP/1.1\r\n",
        "CONNECT /open HTTP/1.1\r\n",
    ] {
        assert_refused(&gateway, format!("{line}{host}"), &[400, 405]).await;
    }
    for method in [
        "TRACE", "get", "Get", "gET", "FOO_BAR", "GET1", "G.T", "G'T", "~",
    ] {
        let request = format!("{method} /open HTTP/1.1\r\n{host}");
        assert_refused(&gateway, request, &[405]).await;
    }
    // What is asked of the server as a whole is nobody's route.
    let whole = "OPTIONS * HTTP/1.1\r\nHost: www.example.test\r\n\r\n".to_owned();
    assert_refused(&gateway, whole, &[400]).await;
    for expectation in ["200-ok", "100-continue, x", "x"] {
        let head = format!("Expect: {expectation}\r\nContent-Length: 5\r\n\r\nabcde");
        assert_refused(&gateway, open(&head), &[417]).await;
    }
}

#[tokio::test]
async fn a_method_is_never_read_from_a_header_or_the_query() {
    let gateway = TestGateway::with(|setup| {
        setup.routes = r#"
            [[routes]]
            name = "reading"
            path = "/"
            methods = ["GET", "HEAD"]
            auth = "public"
            upstream = "UPSTREAM"

            [[routes]]
            name = "writing"
            path = "/"
            auth = "base"
            upstream = "UPSTREAM"
        "#
        .to_owned();
    })
    .await;
    let mut wire = Wire::new(gateway.address());

    for name in [
        "X-HTTP-Method-Override",
        "X_HTTP_Method_Override",
        "X-HTTP-Method",
        "X-Method-Override",
    ] {
        let request = format!(
            "POST /?_method=GET HTTP/1.1\r\nHost: www.example.test\r\n{name}: GET\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(wire.ask(&request).await.status, 401, "{name}");
        assert!(gateway.upstream().seen().is_empty(), "{name}");

        let request = format!(
            "GET /?_method=POST HTTP/1.1\r\nHost: www.example.test\r\n{name}: DELETE\r\n\r\n"
        );
        assert_eq!(wire.ask(&request).await.status, 200, "{name}");
        let seen = gateway.upstream().take();
        let [seen] = seen.as_slice() else {
            panic!("{seen:?}")
        };
        assert_eq!(seen.method, "GET");
        let carries = |value: &http::HeaderValue| value == "DELETE";
        assert!(!seen.headers.values().any(carries), "{name}: {seen:?}");
    }
    for method in [
        "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "M-SEARCH",
    ] {
        let request =
            format!("{method} / HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(wire.ask(&request).await.status, 401, "{method}");
    }
    assert!(gateway.upstream().seen().is_empty());
    assert_eq!(wire.connections(), 1);
}

#[tokio::test]
async fn a_host_that_is_none_is_refused() {
    let gateway = TestGateway::start().await;
    for hosts in [
        "",
        "Host: www.example.test\r\nHost: www.example.test\r\n",
        "Host: www.example.test\r\nhost: other.test\r\n",
        "Host: other.test\r\nHost: www.example.test\r\n",
        "Host:\r\n",
        "Host: \r\n",
        "Host: a/b@c\r\n",
        "Host: www.example.test/open\r\n",
        "Host: user@www.example.test\r\n",
        "Host: www.example.test, other.test\r\n",
        "Host: www.example.test other.test\r\n",
        "Host: www.example.test:\r\n",
        "Host: www.example.test:0\r\n",
        "Host: www.example.test:99999\r\n",
        "Host: www.example.test:80:80\r\n",
        "Host: www.example.test:http\r\n",
        "Host: www.example.test:+80\r\n",
        "Host: www.example.test\\x\r\n",
        "Host: www.example.test#x\r\n",
        "Host: www.example.test?x\r\n",
        "Host: www.example.test%00\r\n",
        "Host: www.example.test\u{e9}\r\n",
        "Host: [::1\r\n",
        "Host: [::1]x\r\n",
        "Host: [fe80::1%25eth0]\r\n",
        "Host: .\r\n",
    ] {
        let request = format!("GET /open HTTP/1.1\r\n{hosts}\r\n");
        assert_refused(&gateway, request, &[400]).await;
    }
    for target in [
        "http://other.test/open",
        "http://www.example.test:81/open",
        "http://user@www.example.test/open",
        "http://www.example.test@other.test/open",
        "http://www.example.test.other.test/open",
        "http:///open",
        "//www.example.test/open",
    ] {
        assert_refused(&gateway, get(target.as_bytes()), &[400]).await;
    }
}

#[tokio::test]
async fn a_host_that_nobody_serves_gets_421() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::new(gateway.address());
    for host in [
        "other.test",
        "example.test",
        "xwww.example.test",
        "www.example.test.other.test",
        "a.www.example.test",
        "www-example-test",
        "www.example.test..",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]:9500",
        "xn--e1afmkfd.test",
    ] {
        for target in [
            "/open",
            "/",
            "/_wxgate/login",
            "/_wxgate/callback/main",
            "/_wxgate/me",
            "/_wxgate/jwks",
        ] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let reply = wire.ask(&request).await;
            assert_eq!(reply.status, 421, "{host}{target}");
            assert_eq!(reply.reason(), "unknown-host", "{host}{target}");
            assert!(!reply.headers.contains_key("set-cookie"));
        }
    }
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn a_host_is_read_without_case_port_and_trailing_dot() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::new(gateway.address());
    for (target, host) in [
        ("/open", "www.example.test"),
        ("/open", "WWW.Example.TEST"),
        ("/open", "www.example.test."),
        ("/open", "www.example.test:443"),
        ("/open", "www.example.test.:8443"),
        ("http://www.example.test/open", "www.example.test"),
        ("http://WWW.example.test/open", "www.EXAMPLE.test"),
        ("https://www.example.test:443/open", "www.example.test:443"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(wire.ask(&request).await.status, 200, "{target} at {host}");
        assert_eq!(gateway.upstream().last().target, "/open");
        // The same rules protect it under every spelling.
        let request = request.replace("/open", "/");
        assert_eq!(wire.ask(&request).await.status, 401, "{target} at {host}");
    }
}

#[tokio::test]
async fn hosts_of_routes_go_by_the_most_specific_name() {
    let gateway = TestGateway::with(|setup| {
        setup.routes = r#"
            [[routes]]
            name = "any"
            path = "/"
            auth = "base"
            upstream = "UPSTREAM"

            [[routes]]
            name = "below"
            host = "*.shop.test"
            path = "/"
            auth = "public"
            upstream = "UPSTREAM"

            [[routes]]
            name = "exact"
            host = "vip.shop.test"
            path = "/"
            auth = "deny"
            upstream = "UPSTREAM"
        "#
        .to_owned();
    })
    .await;
    let mut wire = Wire::new(gateway.address());
    for (host, status) in [
        ("www.example.test", 401),
        ("a.shop.test", 200),
        ("A.Shop.Test.:80", 200),
        ("a.b.shop.test", 200),
        ("vip.shop.test", 403),
        ("VIP.shop.test", 403),
        ("vip.shop.test.", 403),
        ("shop.test", 421),
        ("xshop.test", 421),
        ("shop.test.evil.test", 421),
        (".shop.test", 421),
    ] {
        let request = format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let status_seen = wire.ask(&request).await.status;
        assert_eq!(status_seen, status, "{host}");
    }
    assert_eq!(gateway.upstream().seen().len(), 3);
}

#[tokio::test]
async fn what_is_judged_is_what_the_site_gets() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::new(gateway.address());
    for (sent, forwarded) in [
        ("/open", "/open"),
        ("/open/", "/open/"),
        ("/open?", "/open?"),
        ("/open?/../admin&x=//y;z", "/open?/../admin&x=//y;z"),
        ("/open?%2e%2e%00%zz", "/open?%2e%2e%00%zz"),
        ("/open/%61b", "/open/ab"),
        ("/%6f%70en/x", "/open/x"),
        ("/open/%e4%bd%a0", "/open/%E4%BD%A0"),
        ("/open/a%20b%3bc", "/open/a%20b%3Bc"),
        ("/open/a;b=c", "/open/a;b=c"),
        ("/open/...", "/open/..."),
        ("/open/a..b", "/open/a..b"),
        ("/open/.well-known", "/open/.well-known"),
        ("http://www.example.test/open?a", "/open?a"),
    ] {
        let request = get(sent.as_bytes());
        assert_eq!(wire.ask(&request).await.status, 200, "{sent}");
        assert_eq!(gateway.upstream().last().target, forwarded, "{sent}");
    }
}

/// A public place with two protected ones, one of them inside it.
fn public_beside_protected(setup: &mut Setup) {
    setup.routes = r#"
        [[routes]]
        name = "site"
        path = "/"
        auth = "base"
        upstream = "UPSTREAM"

        [[routes]]
        name = "open"
        path = "/open"
        auth = "public"
        upstream = "UPSTREAM"

        [[routes]]
        name = "private"
        path = "/open/private"
        auth = "base"
        upstream = "UPSTREAM"

        [[routes]]
        name = "static"
        path_glob = "/static/*.css"
        auth = "public"
        upstream = "UPSTREAM"
    "#
    .to_owned();
}

const STARTS: [&str; 5] = ["", "/open", "/open/x", "/static/a.css", "/open/private"];
const STEPS: [&str; 24] = [
    "",
    ".",
    "..",
    "%2e%2e",
    "%2E.",
    "%252e%252e",
    "%25252e.",
    "..;",
    "..;a=b",
    "%2e%2e;",
    "..%3b",
    ";",
    ";x",
    "..%00",
    "..%09",
    "..%20",
    "...",
    "%c0%ae%c0%ae",
    "%u002e%u002e",
    "..%5c..",
    "..%2f..",
    "..%252f..",
    "%ef%bc%8e%ef%bc%8e",
    "x/../..",
];
const SLASHES: [&str; 14] = [
    "/",
    "//",
    "\\",
    "%2f",
    "%5C",
    "%252f",
    "/;/",
    ";/",
    "%c0%af",
    "%ef%bc%8f",
    "%00/",
    "?/",
    "%3f/",
    "%23/",
];
const GOALS: [&str; 10] = [
    "admin",
    "%61dmin",
    "%2561dmin",
    "admin;x",
    "admin%2f",
    "admin%20",
    "open/private",
    "private",
    "pr%69vate;a/b",
    "private%3bx",
];

/// Every spelling of a way from a public place to a protected one that this list can make.
fn confusing_targets() -> Vec<String> {
    let mut targets = BTreeSet::new();
    for start in STARTS {
        for step in STEPS {
            for slash in SLASHES {
                for (number, goal) in GOALS.iter().enumerate() {
                    // A third of the combinations, spread evenly, keeps the test short.
                    match (start.len() + step.len() + slash.len() + number) % 3 {
                        0 => targets.insert(format!("{start}/{step}{slash}{goal}")),
                        1 => targets.insert(format!("{start}{slash}{step}/{goal}")),
                        _ => false,
                    };
                }
            }
        }
    }
    targets.into_iter().collect()
}

/// Every path that some program behind us might make of a target if it decodes escapes at most so many times.
fn readings(target: &str, decodings: usize) -> BTreeSet<String> {
    let path = target.split('?').next().unwrap_or_default();
    let mut readings = BTreeSet::new();
    let mut new = vec![(path.to_owned(), decodings)];
    // Every habit after every other, as often as it changes something.
    while let Some((path, decodings)) = new.pop() {
        if !readings.insert((path.clone(), decodings)) {
            continue;
        }
        if decodings > 0 {
            let decoded = percent_decode(path.as_bytes()).decode_utf8_lossy();
            new.push((decoded.into_owned(), decodings - 1));
        }
        let until_end = path.split(['\0', '#', '?']).next().unwrap_or_default();
        new.push((until_end.to_owned(), decodings));
        new.push((path.replace('\\', "/"), decodings));
        new.push((cut_parameters(&path), decodings));
        new.push((resolve(&path), decodings));
    }
    readings.into_iter().map(|(path, _)| path).collect()
}

fn cut_parameters(path: &str) -> String {
    let names = path.split('/').map(|segment| segment.split(';').next());
    names
        .map(Option::unwrap_or_default)
        .collect::<Vec<_>>()
        .join("/")
}

/// Dot segments and empty segments resolved, blanks at the end of names removed.
fn resolve(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment.trim() {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    format!("/{}", kept.join("/"))
}

fn is_below(reading: &str, place: &str) -> bool {
    reading
        .strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_a_path_leads_around_a_login() {
    let gateway = TestGateway::with(public_beside_protected).await;
    let targets = confusing_targets();
    assert!(targets.len() > 5000, "{} targets", targets.len());

    let mut workers = tokio::task::JoinSet::new();
    for part in targets.chunks(targets.len() / 8 + 1) {
        let (part, address) = (part.to_vec(), gateway.address());
        workers.spawn(async move {
            let mut wire = Wire::new(address);
            for target in part {
                let status = wire.ask(get(target.as_bytes())).await.status;
                assert!(
                    [200, 400, 401].contains(&status.as_u16()),
                    "{target}: {status}"
                );
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }

    let seen = gateway.upstream().seen();
    assert!(seen.len() > 100, "only {} got through", seen.len());
    let targets: BTreeSet<_> = seen.into_iter().map(|seen| seen.target).collect();
    for target in targets {
        for reading in readings(&target, 1) {
            assert!(
                (is_below(&reading, "/open") && !is_below(&reading, "/open/private"))
                    || reading.starts_with("/static/"),
                "{target} is {reading} to some"
            );
        }
        // A program that decodes more than once reads names of its own, but nothing leads it up and out.
        for reading in readings(&target, 3) {
            assert!(
                is_below(&reading, "/open") || is_below(&reading, "/static"),
                "{target} is {reading} to some"
            );
        }
    }
}

#[tokio::test]
async fn a_public_place_is_no_prefix_pattern_or_parameter() {
    let gateway = TestGateway::with(public_beside_protected).await;
    let mut wire = Wire::new(gateway.address());
    for target in [
        "/openx",
        "/open-x",
        "/open.",
        "/open%20",
        "/OPEN",
        "/Open/x",
        "/x/open",
        "/admin?/open",
        "/admin?path=/open/x",
        "/admin;/open",
        "/admin%0a/open",
        "/open/private?x=/open",
        "/open/private/",
        "/open/private;x",
        "/open/private;x/y",
        "/open/%70rivate",
        "/open/privat%65/x",
        "/static/",
        "/static/a.js",
        "/static/a.css/admin",
        "/static/a.cssx",
        "/static/x/a.css",
        "/static/a.css;x",
        "/",
        "/robots.txt",
        "/favicon.ico",
        "/.well-known/acme-challenge/x",
        "/healthz",
        "/readyz",
        "/metrics",
        "/status",
    ] {
        for agent in [
            "",
            "kube-probe/1.30",
            "ELB-HealthChecker/2.0",
            "GoogleHC/1.0",
        ] {
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: www.example.test\r\nUser-Agent: {agent}\r\n\r\n"
            );
            let reply = wire.ask(&request).await;
            assert_eq!(reply.status, 401, "{target} by {agent:?}");
        }
    }
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn a_route_may_allow_encoded_separators_and_gets_them_as_sent() {
    let gateway = TestGateway::with(|setup| {
        setup.routes.push_str(
            r#"
            [[routes]]
            name = "files"
            path = "/files"
            auth = "public"
            allow_encoded = ["%2f"]
            upstream = "UPSTREAM"

            [[routes]]
            name = "secret-files"
            path = "/files/secret"
            auth = "base"
            allow_encoded = ["%2f"]
            upstream = "UPSTREAM"
        "#,
        );
    })
    .await;
    let mut wire = Wire::new(gateway.address());
    for (target, status, forwarded) in [
        ("/files/a%2fb", 200, Some("/files/a%2Fb")),
        ("/files/a%2Fb/c", 200, Some("/files/a%2Fb/c")),
        // The decoded path is judged.
        ("/files%2fsecret", 401, None),
        ("/files%2Fsecret%2Fx", 401, None),
        ("/files/secret%2fx", 401, None),
        ("/files/x%2f..%2fsecret", 400, None),
        ("/files/%2e%2e%2fadmin", 400, None),
        ("/files/x%2f%2e%2e", 400, None),
        ("/files;x%2f..", 400, None),
        ("/files/a%5cb", 400, None),
        ("/files/a%00b", 400, None),
        ("/files/a%3fb", 400, None),
        ("/files/a%23b", 400, None),
        ("/open/a%2fb", 400, None),
        ("/a%2fb", 400, None),
    ] {
        let before = gateway.upstream().seen().len();
        let reply = wire.ask(get(target.as_bytes())).await;
        assert_eq!(reply.status, status, "{target}: {}", reply.text());
        let seen = gateway.upstream().seen();
        let seen = seen.get(before).map(|seen| seen.target.as_str());
        assert_eq!(seen, forwarded, "{target}");
    }
}

#[tokio::test]
async fn no_application_route_reaches_below_our_prefix() {
    let gateway = TestGateway::with(|setup| {
        setup.routes = r#"
            [[routes]]
            name = "everything"
            path = "/"
            auth = "public"
            allow_encoded = ["%2f", "%5c", "%23", "%3f"]
            upstream = "UPSTREAM"
        "#
        .to_owned();
    })
    .await;
    let mut wire = Wire::new(gateway.address());
    for target in [
        "/_wxgate",
        "/_wxgate/",
        "/_wxgate/x",
        "/_wxgate/login/",
        "/_wxgate/login/x",
        "/_wxgate/Login",
        "/_wxgate/jwks/",
        "/_wxgate/jwks.json",
        "/_wxgate;x",
        "/_wxgate;x/jwks",
        "/_wxgate/jwks;x",
        "/_wxgate/me;x=1",
        "/_wxgate%3bx/me",
        "/_wxgate%2fme",
        "/_wxgate%2Fjwks",
        "/_wxgate%2flogout",
        "/_wxgate/callback",
        "/_wxgate/callback/",
        "/_wxgate/callback/a/b",
        "/_wxgate/auth/nginx",
        "/_wxgate/healthz",
        "/_wxgate/metrics",
        "/_wxg%61te/nothing",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            let request = format!(
                "{method} {target} HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 0\r\n\r\n"
            );
            let reply = wire.ask(&request).await;
            assert_eq!(reply.status, 404, "{method} {target}");
            assert_eq!(reply.reason(), "no-route", "{method} {target}");
        }
    }
    assert!(gateway.upstream().seen().is_empty());

    // What only looks like ours belongs to the application.
    for target in [
        "/_wxgatex",
        "/_WXGATE/login",
        "/x/_wxgate/login",
        "/?/_wxgate/login",
    ] {
        let reply = wire.ask(get(target.as_bytes())).await;
        assert_eq!(reply.reason(), "", "{target}");
        assert_eq!(gateway.upstream().last().target, target);
    }
}

#[tokio::test]
async fn our_endpoints_answer_in_any_equivalent_spelling_and_only_to_their_methods() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::new(gateway.address());
    for (target, reason) in [
        ("/_wxgate/jwks", "jwks"),
        ("/_wxgate/%6awks", "jwks"),
        ("/%5fwxgate/jwks?x", "jwks"),
        ("http://www.example.test/_wxgate/jwks", "jwks"),
    ] {
        assert_eq!(
            wire.ask(get(target.as_bytes())).await.reason(),
            reason,
            "{target}"
        );
    }
    for (endpoint, refused) in [
        ("jwks", ["POST", "PUT", "DELETE", "OPTIONS"].as_slice()),
        ("me", &["POST", "PUT", "DELETE", "OPTIONS"]),
        ("login", &["POST", "PUT", "DELETE", "OPTIONS"]),
        ("callback/main", &["POST", "PUT", "DELETE", "OPTIONS"]),
        ("logout", &["PUT", "DELETE", "OPTIONS"]),
    ] {
        for method in refused {
            let request = format!(
                "{method} /_wxgate/{endpoint} HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 0\r\n\r\n"
            );
            let reply = wire.ask(&request).await;
            assert_eq!(reply.status, 405, "{method} {endpoint}");
            assert!(reply.header("allow").contains("GET"), "{method} {endpoint}");
        }
    }
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn verification_files_are_served_by_their_exact_name_on_every_host() {
    let gateway = TestGateway::with(|setup| {
        setup.server = r#"extra_hosts = ["m.example.test"]"#.to_owned();
        setup.sections = r#"
            [verification_files]
            "MP_verify_AbCdEf0123456789.txt" = "auto"
            "WW_verify_x.txt" = "the text itself"
        "#
        .to_owned();
        setup.routes = r#"
            [[routes]]
            name = "closed"
            path = "/"
            auth = "deny"
            upstream = "UPSTREAM"

            [[routes]]
            name = "below"
            host = "*.shop.test"
            path = "/"
            auth = "base"
            upstream = "UPSTREAM"
        "#
        .to_owned();
    })
    .await;
    let mut wire = Wire::new(gateway.address());
    for host in ["www.example.test", "m.example.test", "a.shop.test"] {
        for (name, content) in [
            ("MP_verify_AbCdEf0123456789.txt", "AbCdEf0123456789"),
            ("MP%5fverify_AbCdEf0123456789.txt", "AbCdEf0123456789"),
            ("MP_verify_AbCdEf0123456789.txt?x=1", "AbCdEf0123456789"),
            ("WW_verify_x.txt", "the text itself"),
        ] {
            let request = format!("GET /{name} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let reply = wire.ask(&request).await;
            assert_eq!(reply.status, 200, "{host}/{name}");
            assert_eq!(reply.text(), content, "{host}/{name}");
            assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
            assert_eq!(reply.reason(), "verification-file");
            let head = wire.ask(request.replace("GET ", "HEAD ")).await;
            assert_eq!(head.status, 200, "{host}/{name}");
            assert_eq!(head.header("content-length"), content.len().to_string());
            let post = request.replace("GET ", "POST ");
            let post = wire.ask(post.replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"));
            assert_eq!(post.await.status, 405, "{host}/{name}");
        }
        for name in [
            "MP_verify_AbCdEf0123456789.txt/",
            "MP_verify_AbCdEf0123456789.txt;x",
            "MP_verify_AbCdEf0123456789.txt%20",
            "MP_verify_AbCdEf0123456789.TXT",
            "mp_verify_AbCdEf0123456789.txt",
            "MP_verify_AbCdEf0123456780.txt",
            "x/MP_verify_AbCdEf0123456789.txt",
            "MP_verify_AbCdEf0123456789.txt/admin",
        ] {
            let request = format!("GET /{name} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let status = wire.ask(&request).await.status;
            assert!(
                [401, 403].contains(&status.as_u16()),
                "{host}/{name}: {status}"
            );
        }
    }
    let request = "GET /WW_verify_x.txt HTTP/1.1\r\nHost: other.test\r\n\r\n";
    assert_eq!(wire.ask(request).await.status, 421);
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn a_request_that_no_route_serves_reaches_nobody() {
    let gateway = TestGateway::with(|setup| {
        setup.routes = r#"
            [[routes]]
            name = "only"
            path = "/only"
            methods = ["GET"]
            auth = "public"
            upstream = "UPSTREAM"
        "#
        .to_owned();
    })
    .await;
    let mut wire = Wire::new(gateway.address());
    for (method, target, status) in [
        ("GET", "/only", 200),
        ("GET", "/", 404),
        ("GET", "/onlyx", 404),
        ("POST", "/only", 404),
        ("PUT", "/only/x", 404),
        ("GET", "/healthz", 404),
        ("GET", "/readyz", 404),
        ("GET", "/startupz", 404),
        ("GET", "/metrics", 404),
    ] {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(wire.ask(&request).await.status, status, "{method} {target}");
    }
    assert_eq!(gateway.upstream().seen().len(), 1);
    drop(wire);
    let log = { gateway }.access_log().await;
    assert_eq!(log.len(), 9);
    let lost = &log[1];
    assert_eq!(lost["route"], "none");
    assert_eq!(lost["reason"], "no-route");
    assert_eq!(lost["host"], "www.example.test");
    assert_eq!(lost["method"], "GET");
    assert_eq!(lost["path"], "/");
}

#[tokio::test]
async fn a_broken_chunk_ends_the_request_and_the_connection() {
    let gateway = TestGateway::start().await;
    for chunks in [
        "zz\r\nabc\r\n0\r\n\r\n",
        "-1\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        ";x\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nX y\r\n\r\n",
    ] {
        let head = open("Transfer-Encoding: chunked\r\n\r\n");
        let answer = until_closed(gateway.address(), format!("{head}{chunks}{SMUGGLED}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunks:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{chunks:?}");
    }
    let is_smuggled = |seen: &crate::support::Seen| seen.target.contains("smuggled");
    assert!(!gateway.upstream().seen().iter().any(is_smuggled));
}

#[tokio::test]
async fn a_connection_that_a_broken_chunk_went_up_on_is_not_used_again() {
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let site = ScriptedSite::start(move |_, mut talk| {
        let ended = ended.clone();
        async move {
            if talk.head().await?.starts_with("POST ") {
                let _ = ended.send(talk.rest().await);
                return Ok(());
            }
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await
        }
    })
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;
    let chunks = "3\r\nabc\r\nzz\r\n0\r\n\r\n";
    let upload = open(&format!("Transfer-Encoding: chunked\r\n\r\n{chunks}"));

    let answer = until_closed(gateway.address(), upload).await;

    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let body = ends.recv().await.unwrap();
    assert!(!body.contains("0\r\n\r\n"), "looks whole: {body:?}");
    let next = get(b"/open");
    assert_eq!(Wire::new(gateway.address()).ask(next).await.status, 200);
    assert_eq!(site.heads().len(), 2);
}

#[tokio::test]
async fn bytes_behind_a_refused_upgrade_never_go_up() {
    let gateway = TestGateway::start().await;
    for upgrade in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        "Connection: Upgrade\r\nUpgrade: tls/1.3\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
    ] {
        let request = format!(
            "GET /open HTTP/1.1\r\nHost: www.example.test\r\n{upgrade}\r\nGET /open/private HTTP/1.1\r\nHost: www.example.test\r\nConnection: close\r\n\r\n"
        );
        until_closed(gateway.address(), request).await;

        let seen = gateway.upstream().take();
        // The site answers 200, so there is no tunnel and each request was judged by itself.
        let targets: Vec<_> = seen.iter().map(|seen| seen.target.as_str()).collect();
        assert!(
            targets == ["/open", "/open/private"] || targets == ["/open"],
            "{upgrade}: {targets:?}"
        );
        assert!(!seen[0].headers.contains_key("http2-settings"));
        let upgrade_sent = seen[0].header("upgrade");
        let is_websocket = upgrade.contains("websocket");
        assert_eq!(upgrade_sent, if is_websocket { "websocket" } else { "" });
    }
}
