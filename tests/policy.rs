//! Who gets in where, and what the others are told.

use std::time::Duration;

use http::Method;
use tokio::time::{Instant, sleep};

use crate::support::{
    APP_ID, Browser, Reply, Setup, Talk, TestGateway, Visit, Wire, agents, event_stream,
    logged_in_at_the_door, open_route,
};

/// What a browser sends with a page load.
const PAGE: [(&str, &str); 2] = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];

/// Presses the button of the purpose page.
async fn agree(browser: &mut Browser, purpose: &Reply) -> Visit {
    assert_eq!(purpose.reason(), "login-purpose");
    let link = purpose.link_to("/_wxgate/login?");
    browser.get(&link).await
}

fn one_route(setup: &mut Setup, lines: &str) {
    setup.routes =
        format!("[[routes]]\nname = \"place\"\npath = \"/\"\nupstream = \"UPSTREAM\"\n{lines}\n");
}

#[track_caller]
fn assert_page(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert!(reply.text().contains(code), "{}", reply.text());
}

#[tokio::test]
async fn every_level_lets_the_right_people_in() {
    let gateway = TestGateway::start().await;
    let mut nobody = gateway.browser(agents::WECHAT_ANDROID);
    let mut base = gateway.browser_in_wechat("alice");
    base.get("/").await.assert_ok();
    let mut member = gateway.browser_in_wechat("bob");
    let purpose = member.get("/member").await;
    agree(&mut member, purpose.last()).await.assert_ok();
    gateway.upstream().take();

    for (path, statuses, identities) in [
        ("/open", [200, 200, 200], [false, false, false]),
        ("/maybe", [200, 200, 200], [false, true, true]),
        ("/site", [401, 200, 200], [false, true, true]),
        ("/member", [401, 401, 200], [false, false, true]),
        ("/closed", [403, 403, 403], [false, false, false]),
    ] {
        let visitors = [&mut nobody, &mut base, &mut member];
        for (place, visitor) in visitors.into_iter().enumerate() {
            for method in [Method::GET, Method::POST] {
                let reply = visitor.send(method.clone(), path, &[], "").await;
                assert_eq!(reply.status, statuses[place], "{method} {path} {place}");
                let seen = gateway.upstream().take();
                assert_eq!(
                    seen.len(),
                    usize::from(reply.status == 200),
                    "{path} {place}"
                );
                let identity = seen
                    .first()
                    .is_some_and(|seen| seen.headers.contains_key("x-wxgate-jwt-assertion"));
                assert_eq!(identity, identities[place], "{method} {path} {place}");
            }
        }
    }
}

#[tokio::test]
async fn only_page_loads_begin_a_login() {
    let gateway = TestGateway::start().await;
    let mut browser = gateway.browser(agents::WECHAT_ANDROID);
    let html = ("accept", "text/html,*/*;q=0.8");
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&PAGE, 302),
        (&[("sec-fetch-mode", "navigate")], 302),
        (&[html], 302),
        // Android WeChat names its app even on page loads.
        (&[html, ("x-requested-with", "com.tencent.mm")], 302),
        (&[html, ("x-requested-with", "XMLHttpRequest")], 401),
        (&[], 401),
        (&[("accept", "*/*")], 401),
        (&[("accept", "application/json")], 401),
        (&[html, ("sec-fetch-mode", "cors")], 401),
        (&[html, ("sec-fetch-mode", "no-cors")], 401),
        (&[html, ("sec-fetch-mode", "websocket")], 401),
        (&[html, ("purpose", "prefetch")], 401),
        (&[html, ("sec-purpose", "prefetch;prerender")], 401),
        (&[PAGE[0], PAGE[1], ("sec-purpose", "prefetch")], 401),
    ];
    for (headers, status) in cases {
        for method in [Method::GET, Method::HEAD] {
            let reply = browser.send(method.clone(), "/orders", headers, "").await;
            assert_eq!(reply.status, *status, "{method} {headers:?}");
            let goes = reply
                .header("location")
                .contains("/connect/oauth2/authorize?");
            assert_eq!(goes, *status == 302, "{method} {headers:?}");
            let begins = reply.headers.contains_key("set-cookie");
            assert_eq!(begins, *status == 302, "{method} {headers:?}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let reply = browser.send(method.clone(), "/orders", headers, "").await;
            assert_eq!(reply.status, 401, "{method} {headers:?}");
            assert!(!reply.headers.contains_key("location"));
        }
    }
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn a_401_says_where_to_log_in() {
    let gateway = TestGateway::with(|setup| {
        one_route(
            setup,
            r#"
            auth = "base"
            cors_origins = ["https://app.example.test"]
            "#,
        );
    })
    .await;
    let mut browser = gateway.browser(agents::WECHAT_ANDROID);
    for (referer, to) in [
        ("https://www.example.test/cart?a=1", "%2Fcart%3Fa%3D1"),
        ("https://other.test/cart", "%2F"),
        ("https://www.example.test.other.test/cart", "%2F"),
        ("https://www.example.test//other.test/", "%2F"),
        ("garbage", "%2F"),
    ] {
        let headers = [("referer", referer), ("sec-fetch-mode", "cors")];
        let reply = browser
            .send(Method::POST, "/api/orders?x=1", &headers, "{}")
            .await;

        assert_eq!(reply.status, 401);
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("www-authenticate"), "Wxgate");
        assert_eq!(reply.header("cache-control"), "no-store");
        let body = reply.json();
        assert_eq!(body["error"], "login_required");
        assert_eq!(body["request_id"], reply.header("x-request-id"));
        assert_eq!(body.as_object().unwrap().len(), 3);
        let login_url = body["login_url"].as_str().unwrap();
        let expected = format!("https://www.example.test/_wxgate/login?to={to}");
        assert_eq!(login_url, expected, "{referer}");
        assert!(!reply.headers.contains_key("access-control-allow-origin"));
    }
    // The address works.
    let mut alice = gateway.browser_in_wechat("alice");
    let visit = alice.get("/_wxgate/login?to=%2Fcart%3Fa%3D1").await;
    visit.assert_ok();
    assert_eq!(visit.url().path(), "/cart");
    assert_eq!(visit.url().query(), Some("a=1"));

    for (origin, may_read) in [
        ("https://app.example.test", true),
        ("https://app.example.test.other.test", false),
        ("http://app.example.test", false),
        ("https://www.example.test", false),
        ("null", false),
    ] {
        let reply = browser
            .send(Method::GET, "/api", &[("origin", origin)], "")
            .await;
        assert_eq!(reply.status, 401);
        let allowed = reply.header("access-control-allow-origin");
        assert_eq!(allowed, if may_read { origin } else { "" });
        let with_cookies = reply.header("access-control-allow-credentials");
        assert_eq!(with_cookies, if may_read { "true" } else { "" });
        let varies = reply.headers.get_all("vary").iter();
        let varies: Vec<_> = varies.map(|value| value.to_str().unwrap()).collect();
        assert!(varies.contains(&"Origin"), "{varies:?}");
    }
}

#[tokio::test]
async fn a_framed_page_load_gets_a_page_that_breaks_out() {
    let gateway = TestGateway::start().await;
    let mut browser = gateway.browser(agents::WECHAT_ANDROID);
    for frame in ["iframe", "frame", "embed", "object", "fencedframe"] {
        let headers = [PAGE[0], PAGE[1], ("sec-fetch-dest", frame)];
        let reply = browser
            .send(Method::GET, "/orders?a=1&b=2", &headers, "")
            .await;
        assert_eq!(reply.reason(), "login-break-out", "{frame}");
        assert!(!reply.headers.contains_key("location"));
        assert!(!reply.headers.contains_key("set-cookie"));
        assert!(!reply.headers.contains_key("x-frame-options"));
        let target = "href=\"https://www.example.test/orders?a=1&b=2\" target=\"_top\"";
        assert!(reply.unescaped().contains(target), "{}", reply.text());
    }
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn a_route_may_always_redirect_or_never() {
    let gateway = TestGateway::with(|setup| {
        setup.routes = r#"
            [[routes]]
            name = "always"
            path = "/always"
            auth = "base"
            unauthenticated = "redirect"
            upstream = "UPSTREAM"

            [[routes]]
            name = "never"
            path = "/never"
            auth = "base"
            unauthenticated = "status"
            upstream = "UPSTREAM"
        "#
        .to_owned();
    })
    .await;
    let mut browser = gateway.browser(agents::WECHAT_ANDROID);
    for (method, path, headers, status) in [
        (Method::GET, "/always", &[][..], 302),
        (Method::GET, "/always", &[("purpose", "prefetch")], 401),
        (Method::POST, "/always", &[], 401),
        (Method::GET, "/never", &PAGE, 401),
    ] {
        let reply = browser.send(method.clone(), path, headers, "").await;
        assert_eq!(reply.status, status, "{method} {path} {headers:?}");
    }
}

#[tokio::test]
async fn lists_of_a_file_are_read_again_when_it_changes_and_deny_wins() {
    let folder = tempfile::tempdir().unwrap();
    let (staff, banned) = (folder.path().join("staff"), folder.path().join("banned"));
    std::fs::write(&staff, "# nobody yet\n").unwrap();
    std::fs::write(&banned, "").unwrap();
    let gateway = TestGateway::with(|setup| {
        setup.sections = format!(
            "[lists.staff]\nfile = \"{}\"\n[lists.banned]\nfile = \"{}\"\n",
            staff.display(),
            banned.display()
        );
        setup.routes.push_str(
            r#"
            [[routes]]
            name = "admin"
            path = "/admin"
            auth = "base"
            allow = { lists = ["staff"] }
            deny = { lists = ["banned"] }
            upstream = "UPSTREAM"
        "#,
        );
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    let person = gateway.simulator().person("alice").unwrap();

    let refused = alice.get("/admin").await;
    assert_page(refused.last(), 403, "WXG-DENIED");
    assert_eq!(refused.last().reason(), "denied");
    assert_eq!(gateway.simulator().logins(), 1);
    let openid = person.openid(APP_ID);
    assert!(!refused.text().contains(&openid), "the id is masked");
    alice.get("/").await.assert_ok();

    std::fs::write(&staff, format!("openid:{openid} # Alice\n")).unwrap();
    until_status(&mut alice, "/admin", 200).await;

    std::fs::write(&banned, format!("openid:{openid}\n")).unwrap();
    until_status(&mut alice, "/admin", 403).await;

    // A file that is damaged changes nothing.
    std::fs::write(&banned, "garbage\n").unwrap();
    std::fs::write(&staff, format!("openid:{openid}\n# again\n")).unwrap();
    assert_eq!(alice.get("/admin").await.status(), 403);
    std::fs::write(&banned, "").unwrap();
    until_status(&mut alice, "/admin", 200).await;
    // Refused is refused: nobody was sent to WeChat again.
    assert_eq!(gateway.simulator().logins(), 1);
}

/// Asks until the answer has this status.
async fn until_status(browser: &mut Browser, path: &str, status: u16) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let seen = browser.get(path).await.status();
        if seen == status {
            return;
        }
        assert!(Instant::now() < deadline, "{path} still answers {seen}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_is_refused_gets_the_page_or_the_status_of_the_route() {
    for (on_deny, status, reason, shows_page) in [
        ("page", 403, "denied", true),
        ("403", 403, "denied", false),
        ("404", 404, "no-route", true),
    ] {
        let gateway = TestGateway::with(|setup| {
            setup.sections = "[lists.banned]\nids = [\"openid:o1234567890123456789\"]".to_owned();
            let lines = format!(
                "auth = \"base\"\nallow = {{ lists = [\"banned\"] }}\non_deny = \"{on_deny}\""
            );
            one_route(setup, &lines);
        })
        .await;
        let mut alice = gateway.browser_in_wechat("alice");
        let visit = alice.get("/x").await;
        let reply = visit.last();
        assert_eq!(reply.status, status, "{on_deny}");
        assert_eq!(reply.reason(), reason, "{on_deny}");
        assert_eq!(reply.text().contains("<html"), shows_page, "{on_deny}");
        if on_deny == "404" {
            assert!(!reply.text().contains("DENIED"), "{}", reply.text());
        }
        // A script gets no page.
        let reply = alice.send(Method::POST, "/x", &[], "").await;
        assert_eq!(reply.status, status, "{on_deny}");
        assert!(!reply.text().contains("<html"), "{on_deny}");
        assert!(gateway.upstream().seen().is_empty());
    }
}

#[tokio::test]
async fn a_denied_route_is_closed_for_everybody_and_sends_nobody_to_wechat() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    assert_page(alice.get("/closed").await.last(), 403, "WXG-DENIED");
    assert_eq!(gateway.simulator().authorizations(), 0);
    alice.get("/").await.assert_ok();
    assert_page(alice.get("/closed/x").await.last(), 403, "WXG-DENIED");
    assert_eq!(gateway.upstream().seen().len(), 1);
}

#[tokio::test]
async fn a_route_may_want_a_client() {
    for (clients, fitting) in [
        (
            r#"["wechat"]"#,
            &[
                agents::WECHAT_ANDROID,
                agents::WECHAT_IOS,
                agents::WECHAT_WINDOWS,
            ][..],
        ),
        (r#"["desktop"]"#, &[agents::WECHAT_WINDOWS, agents::DESKTOP]),
        (r#"["phone"]"#, &[agents::PHONE]),
        (
            r#"["phone", "wechat"]"#,
            &[
                agents::WECHAT_ANDROID,
                agents::WECHAT_IOS,
                agents::WECHAT_WINDOWS,
                agents::PHONE,
            ],
        ),
    ] {
        let gateway = TestGateway::with(|setup| {
            one_route(setup, &format!("auth = \"public\"\nclients = {clients}"));
        })
        .await;
        for agent in [
            agents::WECHAT_ANDROID,
            agents::WECHAT_IOS,
            agents::WECHAT_WINDOWS,
            agents::WECOM,
            agents::PHONE,
            agents::DESKTOP,
            "",
        ] {
            let mut browser = gateway.browser(agent);
            let reply = browser.get_once("/x?a=1").await;
            if fitting.contains(&agent) {
                assert_eq!(reply.status, 200, "{clients} {agent}");
                continue;
            }
            assert_page(&reply, 403, "WXG-CLIENT");
            assert_eq!(reply.reason(), "denied");
            assert!(reply.unescaped().contains("https://www.example.test/x?a=1"));
        }
        assert_eq!(gateway.upstream().seen().len(), fitting.len(), "{clients}");
    }
}

#[tokio::test]
async fn where_no_login_fits_the_browser_a_page_says_so() {
    let gateway = TestGateway::with(|setup| {
        setup.sections = "[login]\ndesktop = []".to_owned();
    })
    .await;
    for agent in [agents::WECOM, agents::PHONE, agents::DESKTOP, ""] {
        let mut browser = gateway.browser(agent);
        let reply = browser.get_once("/orders?a=1").await;
        assert_page(&reply, 401, "WXG-CLIENT");
        assert_eq!(reply.reason(), "login-elsewhere", "{agent}");
        assert_eq!(reply.header("www-authenticate"), "Wxgate", "{agent}");
        assert!(!reply.headers.contains_key("set-cookie"), "{agent}");
    }
    assert!(gateway.upstream().seen().is_empty());
}

/// A proxy that appends leaves what a client sent in front of its own word, whatever bytes that has.
#[tokio::test]
async fn bytes_in_front_of_a_proxys_word_make_nobody_a_neighbour() {
    let gateway = TestGateway::with(|setup| {
        setup.server = r#"trusted_proxies = ["127.0.0.1/32"]"#.to_owned();
        one_route(setup, "auth = \"public\"\nallow_ips = [\"127.0.0.1/32\"]");
    })
    .await;
    for sent in ["", "garbage, ", "127.0.0.1, ", "一, ", "\u{7f}\u{e9}, "] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: www.example.test\r\nX-Forwarded-For: {sent}203.0.113.7\r\n\r\n"
        );
        let reply = Wire::new(gateway.address()).ask(&request).await;
        assert!(reply.status.is_client_error(), "{sent}: {}", reply.status);
    }
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn a_route_may_be_for_some_addresses_only() {
    let route = "auth = \"public\"\nallow_ips = [\"203.0.113.0/24\", \"2001:db8::/32\"]";
    let near = TestGateway::with(|setup| one_route(setup, route)).await;
    let behind = TestGateway::with(|setup| {
        setup.server = r#"trusted_proxies = ["127.0.0.1/32"]"#.to_owned();
        one_route(setup, route);
    })
    .await;
    for (forwarded, is_allowed) in [
        ("203.0.113.7", true),
        ("::ffff:203.0.113.7", true),
        ("2001:db8::1", true),
        ("203.0.114.7", false),
        ("203.0.113.7, 203.0.114.7", false),
        ("203.0.114.7, 203.0.113.7", true),
        ("203.0.113.7, garbage", false),
        ("", false),
    ] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: www.example.test\r\nX-Forwarded-For: {forwarded}\r\n\r\n"
        );
        // Whoever is not trusted cannot claim an address.
        let status = Wire::new(near.address()).ask(&request).await.status;
        assert_eq!(status, 403, "{forwarded}");
        let status = Wire::new(behind.address()).ask(&request).await.status;
        assert_eq!(status, if is_allowed { 200 } else { 403 }, "{forwarded}");
    }
    assert!(near.upstream().seen().is_empty());

    // Nobody logs in only to be refused.
    let login = TestGateway::with(|setup| {
        one_route(setup, "auth = \"base\"\nallow_ips = [\"203.0.113.0/24\"]");
    })
    .await;
    let mut alice = login.browser_in_wechat("alice");
    assert_page(alice.get("/").await.last(), 403, "WXG-DENIED");
    assert_eq!(login.simulator().authorizations(), 0);
}

#[tokio::test]
async fn methods_choose_the_route_and_its_level() {
    let gateway = TestGateway::with(|setup| {
        setup.routes = r#"
            [[routes]]
            name = "notify"
            path_exact = "/pay/notify"
            methods = ["POST"]
            auth = "public"
            upstream = "UPSTREAM"

            [[routes]]
            name = "pay"
            path = "/pay"
            auth = "base"
            upstream = "UPSTREAM"

            [[routes]]
            name = "read"
            path = "/news"
            methods = ["GET"]
            auth = "public"
            upstream = "UPSTREAM"

            [[routes]]
            name = "write"
            path = "/news"
            auth = "deny"
            upstream = "UPSTREAM"
        "#
        .to_owned();
    })
    .await;
    let mut wire = Wire::new(gateway.address());
    for (method, path, status) in [
        ("POST", "/pay/notify", 200),
        ("POST", "/pay/notify?x", 200),
        ("GET", "/pay/notify", 401),
        ("PUT", "/pay/notify", 401),
        ("POST", "/pay/notify/", 401),
        ("POST", "/pay/notify/x", 401),
        ("POST", "/pay/notify;x", 401),
        ("POST", "/pay", 401),
        ("GET", "/news", 200),
        ("HEAD", "/news/1", 200),
        ("POST", "/news", 403),
        ("DELETE", "/news/1", 403),
    ] {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(wire.ask(&request).await.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn a_login_that_is_too_old_is_renewed_without_a_question() {
    let gateway = TestGateway::with(|setup| {
        setup.routes.push_str(
            r#"
            [[routes]]
            name = "admin"
            path = "/admin"
            auth = "base"
            max_age = "30m"
            upstream = "UPSTREAM"
        "#,
        );
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/admin").await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 1);

    gateway.clock().advance(Duration::from_secs(29 * 60));
    alice.get("/admin").await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 1);

    gateway.clock().advance(Duration::from_secs(2 * 60));
    alice.get("/site").await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 1);
    let reply = alice.send(Method::POST, "/admin", &[], "").await;
    assert_eq!(reply.status, 401);
    alice.get("/admin").await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 2);
    alice.get("/admin").await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 2);
}

#[tokio::test]
async fn a_route_that_needs_a_unionid_asks_once_and_then_says_no() {
    let lines = "auth = \"base\"\nrequire = [\"unionid\"]";
    let gateway = TestGateway::with(|setup| one_route(setup, lines)).await;
    let mut alice = gateway.browser_in_wechat("alice");
    let purpose = alice.get("/").await;
    agree(&mut alice, purpose.last()).await.assert_ok();
    let unionid = gateway.simulator().person("alice").unwrap().unionid();
    assert_eq!(
        gateway.upstream().last().header("x-wechat-unionid"),
        unionid
    );

    let gateway = TestGateway::with(|setup| one_route(setup, lines)).await;
    gateway.simulator().set_has_unionid(false);
    let mut alice = gateway.browser_in_wechat("alice");
    let purpose = alice.get("/").await;
    let refused = agree(&mut alice, purpose.last()).await;
    assert!(
        refused.status().is_client_error(),
        "{}: {}",
        refused.status(),
        refused.text()
    );
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn an_event_stream_ends_within_a_second_when_its_person_is_banned() {
    let site = event_stream().await;
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("banned.txt");
    std::fs::write(&list, "").unwrap();
    let gateway = TestGateway::with(|setup| {
        setup.sections = format!("[lists.banned]\nfile = \"{}\"", list.display());
        setup.routes = open_route(&site.url(), "deny = { lists = [\"banned\"] }")
            .replace("\"public\"", "\"base\"");
    })
    .await;
    let alice = logged_in_at_the_door(&gateway, "alice").await;
    let bob = logged_in_at_the_door(&gateway, "bob").await;
    let of_alice = Talk::listening(gateway.address(), &alice.cookie_header()).await;
    let mut of_bob = Talk::listening(gateway.address(), &bob.cookie_header()).await;

    let openid = gateway.simulator().person("alice").unwrap().openid(APP_ID);
    std::fs::write(&list, format!("openid:{openid}\n")).unwrap();

    of_alice.ends_within_a_second().await;
    let going_on = Duration::from_millis(300);
    let heard = tokio::time::timeout(going_on, of_bob.hear_until("0\r\n\r\n")).await;
    assert!(heard.is_err(), "somebody else's stream ended too");
}
