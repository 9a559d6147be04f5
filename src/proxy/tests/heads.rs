use http::{HeaderName, HeaderValue, Request};

use super::super::forward::stripped;
use super::super::headers::Fields;
use super::super::origin::visited_host;
use super::support::*;
use crate::message::{Head, Present, RequestBody};
use crate::proxy::{Additions, HeaderEdits, HostHeader, IdentityFields, Origin};

/// The fields that go up, sorted, without those that every request gets.
fn prepared(origin: &Origin, method: &str, fields: &str, edits: &HeaderEdits) -> Vec<String> {
    let mut all = prepared_all(origin, method, fields, edits, false);
    all.retain(|field| {
        ![
            "host: shop.example",
            "x-forwarded-for: 203.0.113.7",
            "x-forwarded-host: shop.example",
            "x-forwarded-port: 443",
            "x-forwarded-proto: https",
            "x-real-ip: 203.0.113.7",
            "x-request-id: request-1",
            "x-wechat-openid: ours",
            "x-wxgate-jwt-assertion: token",
        ]
        .contains(&field.as_str())
    });
    all
}

fn prepared_all(
    origin: &Origin,
    method: &str,
    fields: &str,
    edits: &HeaderEdits,
    tunnel: bool,
) -> Vec<String> {
    let mut request = Request::builder()
        .method(method)
        .header("host", "shop.example");
    for field in fields.split('\n').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let jwt = (
        HeaderName::from_static("x-wxgate-jwt-assertion"),
        HeaderValue::from_static("token"),
    );
    let identity = identity().fields().iter().cloned().chain([jwt]).collect();
    let additions = Additions {
        origin,
        present: Head::of(&parts.headers).present,
        identity: Some(&IdentityFields::new(identity)),
        private: &private(),
        wanted: None,
        end: None,
        interim: None,
        traceparent: None,
        span: None,
    };
    let fields = Fields {
        parts: &parts,
        visited: visited_host(&parts),
        body: &RequestBody::empty(),
        tunnel,
        additions: &additions,
        edits,
    };
    let mut as_map: Vec<_> = fields
        .to_map(None)
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    as_map.sort();
    assert_eq!(as_lines(fields), as_map, "both ways to send are one");
    as_map
}

fn as_lines(fields: Fields<'_>) -> Vec<String> {
    let mut head = Vec::new();
    fields.write(None, &mut head);
    let head = String::from_utf8(head).unwrap();
    let mut lines: Vec<_> = head.split_terminator("\r\n").map(str::to_owned).collect();
    lines.sort();
    lines
}

fn behind_proxy() -> Origin {
    Origin {
        trusted_peer: Some("10.0.0.2".parse().unwrap()),
        ..visitor()
    }
}

#[test]
fn every_request_says_where_it_came_from_and_who_asks() {
    assert_eq!(
        prepared_all(&visitor(), "GET", "", &HeaderEdits::default(), false),
        [
            "host: shop.example",
            "x-forwarded-for: 203.0.113.7",
            "x-forwarded-host: shop.example",
            "x-forwarded-port: 443",
            "x-forwarded-proto: https",
            "x-real-ip: 203.0.113.7",
            "x-request-id: request-1",
            "x-wechat-openid: ours",
            "x-wxgate-jwt-assertion: token",
        ]
    );
}

#[test]
fn what_ends_at_this_hop_does_not_go_up() {
    // What the client sends, what is left of it.
    let table = [
        (
            "accept: */*\ncookie: a=b\nuser-agent: x",
            "accept: */*\ncookie: a=b\nuser-agent: x",
        ),
        ("connection: keep-alive\nkeep-alive: timeout=5", ""),
        ("connection: close", ""),
        (
            "connection: upgrade\nupgrade: h2c\nhttp2-settings: AAMAAABk",
            "",
        ),
        (
            "connection: Upgrade, HTTP2-Settings\nupgrade: h2c, websocket",
            "",
        ),
        (
            "proxy-connection: keep-alive\nproxy-authorization: Basic eDp5\nproxy-authenticate: Basic",
            "",
        ),
        ("te: gzip", ""),
        ("te: trailers", "connection: te\nte: trailers"),
        (
            "te: deflate;q=0.5, Trailers\nconnection: te",
            "connection: te\nte: trailers",
        ),
        ("trailer: x-sum", ""),
        ("transfer-encoding: chunked", ""),
        (
            "transfer-encoding: gzip, chunked\ncontent-length: 5",
            "content-length: 0",
        ),
        ("content-length: 5\ncontent-length: 5", "content-length: 0"),
        ("expect: 100-continue", ""),
        ("expect: foo", ""),
        ("proxy: http://evil.example/", ""),
        ("x-custom: 1\nconnection: X-Custom", ""),
        (
            "x-custom: 1\nx-other: 2\nconnection: x-other\nconnection: keep-alive , x-custom,,",
            "",
        ),
        ("connection: not a token, x-custom\nx-custom: 1", ""),
        // What nobody may name.
        (
            "cookie: a=b\nauthorization: Basic eDp5\ncontent-type: text/plain\norigin: https://a\nsec-fetch-site: cross-site\n\
             connection: Cookie, Authorization, Content-Type, Content-Length, Host, Origin, Sec-Fetch-Site",
            "authorization: Basic eDp5\ncontent-type: text/plain\ncookie: a=b\norigin: https://a\nsec-fetch-site: cross-site",
        ),
        (
            "connection: X-Wechat-Openid, Cookie, Host, X-Wxgate-Jwt-Assertion, X-Request-Id\ncookie: a=b",
            "cookie: a=b",
        ),
        (
            "connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Real-IP",
            "",
        ),
        (
            "x-wechat-openid: forged\nx-wechat-openid: again\nx-request-id: theirs",
            "",
        ),
    ];
    for (sent, left) in table {
        let expected: Vec<_> = left.split('\n').filter(|field| !field.is_empty()).collect();
        let found = prepared(&visitor(), "GET", sent, &HeaderEdits::default());
        assert_eq!(found, expected, "{sent}");
    }
}

#[test]
fn only_a_trusted_proxy_may_say_where_a_request_came_from() {
    // What comes in, what is left behind a stranger, what is left behind a trusted proxy.
    let table = [
        ("forwarded: for=1.2.3.4;host=evil", "", ""),
        (
            "x-forwarded-proto: http\nx-forwarded-host: evil\nx-forwarded-port: 1\nx-real-ip: 1.2.3.4",
            "",
            "",
        ),
        (
            "x-forwarded-prefix: /a\nx-forwarded-uri: /b",
            "",
            "x-forwarded-prefix: /a\nx-forwarded-uri: /b",
        ),
        (
            "x_forwarded_for: 1.2.3.4\nx.forwarded.proto: http\nx-forwarded_host: evil",
            "",
            "",
        ),
        ("x_real_ip: 1.2.3.4\nx~real~ip: 1.2.3.4", "", ""),
        (
            "x-original-url: /admin\nx-original-method: GET\nx-rewrite-url: /admin",
            "",
            "x-original-method: GET\nx-original-url: /admin\nx-rewrite-url: /admin",
        ),
        ("x_original_url: /admin", "", ""),
        (
            "x-envoy-internal: true\ntrue-client-ip: 1.2.3.4\nvia: 1.1 x",
            "",
            "true-client-ip: 1.2.3.4\nvia: 1.1 x\nx-envoy-internal: true",
        ),
        (
            "x-client-ip: 1\nx-cluster-client-ip: 1\nx-host: evil\nx-forwarded: 1",
            "",
            "x-client-ip: 1\nx-cluster-client-ip: 1\nx-forwarded: 1\nx-host: evil",
        ),
        (
            "x-http-method-override: DELETE",
            "",
            "x-http-method-override: DELETE",
        ),
        (
            "x-forwardedly: 1\nx-originally: 1\nviable: 1",
            "viable: 1\nx-forwardedly: 1\nx-originally: 1",
            "viable: 1\nx-forwardedly: 1\nx-originally: 1",
        ),
    ];
    for (sent, strange, trusted) in table {
        for (origin, left) in [(visitor(), strange), (behind_proxy(), trusted)] {
            let mut found = prepared(&origin, "GET", sent, &HeaderEdits::default());
            found.retain(|field| field != "x-forwarded-for: 10.0.0.2");
            let expected: Vec<_> = left.split('\n').filter(|field| !field.is_empty()).collect();
            assert_eq!(found, expected, "{sent} trusted: {:?}", origin.trusted_peer);
        }
    }
}

#[test]
fn the_chain_of_a_trusted_proxy_is_kept_and_extended() {
    let table = [
        (visitor(), "x-forwarded-for: 1.2.3.4", "203.0.113.7"),
        (
            behind_proxy(),
            "x-forwarded-for: 203.0.113.7",
            "203.0.113.7, 10.0.0.2",
        ),
        (
            behind_proxy(),
            "x-forwarded-for: 9.9.9.9\nx-forwarded-for: 203.0.113.7",
            "9.9.9.9, 203.0.113.7, 10.0.0.2",
        ),
        (behind_proxy(), "", "10.0.0.2"),
    ];
    for (origin, sent, chain) in table {
        let found = prepared_all(&origin, "GET", sent, &HeaderEdits::default(), false);
        let chains: Vec<_> = found
            .iter()
            .filter(|field| field.starts_with("x-forwarded-for"))
            .collect();
        assert_eq!(chains, [&format!("x-forwarded-for: {chain}")]);
    }
}

#[test]
fn the_port_is_the_one_that_was_typed() {
    let table = [
        ("shop.example", "443"),
        ("shop.example:8443", "8443"),
        ("[2001:db8::1]", "443"),
        ("[2001:db8::1]:8443", "8443"),
    ];
    for (host, port) in table {
        let request = Request::builder().header("host", host).body(()).unwrap();
        let (parts, ()) = request.into_parts();
        let additions = Additions {
            origin: &visitor(),
            present: Present::default(),
            identity: None,
            private: &private(),
            wanted: None,
            end: None,
            interim: None,
            traceparent: None,
            span: None,
        };
        let fields = Fields {
            parts: &parts,
            visited: visited_host(&parts),
            body: &RequestBody::empty(),
            tunnel: false,
            additions: &additions,
            edits: &HeaderEdits::default(),
        };
        let sent = fields.to_map(None);
        assert_eq!(sent["x-forwarded-port"], port);
        assert_eq!(sent["x-forwarded-host"], host);
    }
}

#[test]
fn a_method_that_usually_has_a_body_says_that_it_has_none() {
    for (method, length) in [
        ("GET", None),
        ("HEAD", None),
        ("DELETE", None),
        ("OPTIONS", None),
        ("POST", Some("content-length: 0")),
        ("PUT", Some("content-length: 0")),
        ("PATCH", Some("content-length: 0")),
    ] {
        let found = prepared(&visitor(), method, "", &HeaderEdits::default());
        assert_eq!(found.first().map(String::as_str), length, "{method}");
    }
}

#[test]
fn edits_come_last_but_touch_neither_identity_nor_framing() {
    let pair = |name: &'static str, value: &'static str| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    let edits = HeaderEdits {
        set: vec![
            pair("x-from", "wxgate"),
            pair("x-replaced", "new"),
            pair("x-wechat-openid", "evil"),
            pair("x-wxgate-jwt-assertion", "evil"),
            pair("x-wechat-other", "evil"),
            pair("x-request-id", "evil"),
            pair("host", "evil"),
            pair("content-length", "5"),
            pair("transfer-encoding", "chunked"),
            pair("connection", "close"),
            pair("upgrade", "h2c"),
        ],
        remove: [
            "x-debug",
            "x-wechat-openid",
            "x-wxgate-jwt-assertion",
            "host",
            "x-request-id",
        ]
        .map(HeaderName::from_static)
        .to_vec(),
    };
    let plain = prepared_all(&visitor(), "GET", "", &HeaderEdits::default(), false);

    let mut edited = prepared_all(
        &visitor(),
        "GET",
        "x-debug: 1\nx-replaced: old",
        &edits,
        false,
    );

    edited.retain(|field| !plain.contains(field));
    assert_eq!(edited, ["x-from: wxgate", "x-replaced: new"]);
    let all = prepared_all(&visitor(), "GET", "", &edits, false);
    assert!(plain.iter().all(|field| all.contains(field)));
}

#[test]
fn a_tunnel_asks_for_websocket_and_nothing_else() {
    let found = prepared_all(
        &visitor(),
        "GET",
        "connection: Upgrade, HTTP2-Settings\nupgrade: h2c, websocket\nhttp2-settings: x\nsec-websocket-key: k",
        &HeaderEdits::default(),
        true,
    );
    let of_tunnel: Vec<_> = found
        .iter()
        .filter(|field| ["conn", "upgr", "http", "sec-"].contains(&&field[..4]))
        .collect();
    assert_eq!(
        of_tunnel,
        [
            "connection: upgrade",
            "sec-websocket-key: k",
            "upgrade: websocket"
        ]
    );
}

#[test]
fn a_prefix_is_cut_by_whole_segments() {
    let table = [
        ("/api/x?y=1", "/api", "/x?y=1"),
        ("/api", "/api", "/"),
        ("/api?y=1", "/api", "/?y=1"),
        ("/api/", "/api", "/"),
        ("/api/x", "/api/", "/x"),
        ("/x", "/", "/x"),
    ];
    for (target, prefix, expected) in table {
        let cut = stripped(&target.parse().unwrap(), prefix).unwrap();
        assert_eq!(cut, expected, "{target} without {prefix}");
    }
    for (target, prefix) in [
        ("/other", "/api"),
        ("/apix", "/api"),
        ("/x/api", "/api"),
        ("/a%2Fb/c", "/a"),
    ] {
        assert_eq!(stripped(&target.parse().unwrap(), prefix), None, "{target}");
    }
}

#[tokio::test]
async fn the_server_sees_the_host_it_was_configured_to_see() {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let origin = ScriptedOrigin::answering(OK).await;
    let table = [
        (HostHeader::Preserve, "shop.example".to_owned()),
        (HostHeader::Upstream, origin.address.to_string()),
        (
            HostHeader::Literal(HeaderValue::from_static("inner.example")),
            "inner.example".to_owned(),
        ),
    ];
    for (number, (policy, host)) in table.into_iter().enumerate() {
        let gateway = Gateway::start(&[origin.address], |settings, route| {
            settings.host_header = policy;
            route.forwarding.strip_prefix = Some("/api".to_owned());
        })
        .await;
        gateway.get("/api/x?y=%20").await;

        let head = &origin.heads()[number];
        assert!(head.starts_with("GET /x?y=%20 HTTP/1.1\r\n"), "{head}");
        assert_eq!(head.matches("\r\nhost: ").count(), 1);
        assert!(head.contains(&format!("\r\nhost: {host}\r\n")), "{head}");
        assert!(head.contains("\r\nx-forwarded-host: shop.example\r\n"));
    }
}
