//! How often a visitor may begin to log in, and that others do not suffer for it.

use std::time::Duration;

use crate::support::{Reply, TestGateway, Wire, agents};

fn page_load(path: &str, client: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: www.example.test\r\nAccept: text/html\r\nUser-Agent: {}\r\nX-Forwarded-For: {client}\r\n\r\n",
        agents::WECHAT_ANDROID
    )
}

#[track_caller]
fn assert_too_many(reply: &Reply) {
    assert_eq!(reply.status, 429, "{}", reply.text());
    assert_eq!(reply.reason(), "rate-limited");
    assert!(
        reply.text().contains("WXG-TOO-MANY-REQUESTS"),
        "{}",
        reply.text()
    );
    let seconds: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(!reply.headers.contains_key("location"));
    assert!(!reply.headers.contains_key("set-cookie"));
}

async fn behind_a_proxy(sections: &str) -> TestGateway {
    TestGateway::with(|setup| {
        setup.server = r#"trusted_proxies = ["127.0.0.1/32"]"#.to_owned();
        setup.sections = sections.to_owned();
    })
    .await
}

#[tokio::test]
async fn too_many_logins_from_one_address_are_told_to_wait() {
    let gateway = behind_a_proxy("").await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/site").await.assert_ok();
    let mut wire = Wire::new(gateway.address());
    for number in 0..30 {
        let reply = wire.ask(page_load("/orders", "203.0.113.7")).await;
        assert_eq!(reply.status, 302, "{number}");
    }

    for _ in 0..3 {
        assert_too_many(&wire.ask(page_load("/orders", "203.0.113.7")).await);
        let by_hand = page_load("/_wxgate/login?to=/orders", "203.0.113.7");
        assert_too_many(&wire.ask(by_hand).await);
    }

    // Everything else of the same address goes on: public places, sessions, other parts of wxgate.
    for (path, status) in [("/open", 200), ("/maybe", 200), ("/_wxgate/jwks", 200)] {
        let reply = wire.ask(page_load(path, "203.0.113.7")).await;
        assert_eq!(reply.status, status, "{path}");
    }
    let with_session = page_load("/site", "203.0.113.7").replace(
        "\r\n\r\n",
        &format!("\r\nCookie: {}\r\n\r\n", alice.cookie_header()),
    );
    assert_eq!(wire.ask(with_session).await.status, 200);
    // So does every other address.
    for client in ["203.0.113.8", "2001:db8::1"] {
        assert_eq!(wire.ask(page_load("/orders", client)).await.status, 302);
    }
    // A false list of addresses in front changes nothing.
    let claimed = page_load("/orders", "198.51.100.1, 203.0.113.7");
    assert_too_many(&wire.ask(claimed).await);

    gateway.clock().advance(Duration::from_secs(2));
    let reply = wire.ask(page_load("/orders", "203.0.113.7")).await;
    assert_eq!(reply.status, 302);
    assert_too_many(&wire.ask(page_load("/orders", "203.0.113.7")).await);
    gateway.clock().advance(Duration::from_secs(60));
    for _ in 0..30 {
        let reply = wire.ask(page_load("/orders", "203.0.113.7")).await;
        assert_eq!(reply.status, 302);
    }
}

#[tokio::test]
async fn an_address_is_the_peers_where_nobody_is_trusted() {
    let gateway = TestGateway::with(|setup| {
        setup.sections =
            "[rate_limit]\nlogin_start = { per = \"ip\", limit = 2, window = \"1m\" }".to_owned();
    })
    .await;
    let mut wire = Wire::new(gateway.address());
    let clients = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"];
    let mut statuses = Vec::new();
    for client in clients {
        let reply = wire.ask(page_load("/orders", client)).await;
        statuses.push(reply.status.as_u16());
    }
    assert_eq!(statuses, [302, 302, 429, 429]);
}

#[tokio::test]
async fn one_network_of_ipv6_is_one_visitor() {
    let gateway =
        behind_a_proxy("[rate_limit]\nlogin_start = { per = \"ip\", limit = 2, window = \"1m\" }")
            .await;
    let mut wire = Wire::new(gateway.address());
    let mut statuses = Vec::new();
    for client in [
        "2001:db8:1:2::1",
        "2001:db8:1:2::2",
        "2001:db8:1:2:3::",
        "2001:db8:1:3::1",
    ] {
        let reply = wire.ask(page_load("/orders", client)).await;
        statuses.push(reply.status.as_u16());
    }
    assert_eq!(statuses, [302, 302, 429, 302]);
}

#[tokio::test]
async fn too_many_callbacks_are_refused_before_wechat_is_asked() {
    let gateway = behind_a_proxy("").await;
    let mut wire = Wire::new(gateway.address());
    let callback = "/_wxgate/callback/main?state=abcdefghijklmnopqrstuvwx1";
    for number in 0..60 {
        let reply = wire.ask(page_load(callback, "203.0.113.7")).await;
        assert_ne!(reply.status, 429, "{number}");
    }
    assert_too_many(&wire.ask(page_load(callback, "203.0.113.7")).await);
    assert_eq!(gateway.simulator().calls().len(), 0);

    // Other visitors log in.
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/site").await.assert_ok();
}

#[tokio::test]
async fn a_limit_can_be_switched_off() {
    let gateway = behind_a_proxy("[rate_limit]\nlogin_start = \"none\"").await;
    let mut wire = Wire::new(gateway.address());
    for _ in 0..40 {
        let reply = wire.ask(page_load("/orders", "203.0.113.7")).await;
        assert_eq!(reply.status, 302);
    }
}

#[tokio::test]
async fn requests_that_begin_no_login_are_not_counted() {
    let gateway = behind_a_proxy("").await;
    let mut wire = Wire::new(gateway.address());
    let script = page_load("/orders", "203.0.113.7").replace("text/html", "*/*");
    for _ in 0..100 {
        assert_eq!(wire.ask(&script).await.status, 401);
    }
    let reply = wire.ask(page_load("/orders", "203.0.113.7")).await;
    assert_eq!(reply.status, 302);
}
