//! What WeChat's clients, and the people who use them, do to a login. Numbers are those of the list of known quirks.
//!
//! Q10 and Q25 are in `login_in_wechat`, Q11 in `identity`, Q21 at the end of this file.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use url::Url;
use wxgate::simulator::faults::{Endpoint, Trouble};

use crate::support::{APP_ID, Browser, TestGateway, agents};

const EXCHANGE: &str = "/sns/oauth2/access_token";
const SESSION: &str = "__Host-wxgate";
const ATTEMPTS: &str = "__Host-wxgate-login";

async fn callback_of(browser: &mut Browser, target: &str) -> Url {
    browser.get_until(target, "/callback/").await.1
}

/// Whom the site saw last.
fn last_openid(gateway: &TestGateway) -> String {
    gateway
        .upstream()
        .last()
        .header("x-wechat-openid")
        .to_owned()
}

fn openid(gateway: &TestGateway, person: &str) -> String {
    gateway.simulator().person(person).unwrap().openid(APP_ID)
}

#[tokio::test]
async fn q1_second_callback_with_another_code_ends_at_the_same_page() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let first = callback_of(&mut alice, "/orders?a=1").await;
    let second = gateway.simulator().double_callback().unwrap();
    assert_ne!(first.as_str(), second);

    // The first answer arrived: the second code is not even looked at.
    let mut lucky = alice.clone();
    lucky.get(first.as_str()).await.assert_ok();
    lucky.get(&second).await.assert_ok();
    assert_eq!(gateway.upstream().last().target, "/orders?a=1");
    assert_eq!(gateway.calls(EXCHANGE), 1);

    // The first connection was dropped, its cookie with it.
    let visit = alice.get(&second).await;
    visit.assert_ok();
    assert_eq!(visit.hops.len(), 2, "no new round");
    assert_eq!(gateway.upstream().last().target, "/orders?a=1");
    assert_eq!(last_openid(&gateway), openid(&gateway, "alice"));
}

#[tokio::test]
async fn q1_both_callbacks_at_once_end_at_the_same_page() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let first = callback_of(&mut alice, "/orders?a=1").await;
    let second = gateway.simulator().double_callback().unwrap();
    let (mut one, mut two) = (alice.clone(), alice);

    let (one, two) = tokio::join!(one.get(first.as_str()), two.get(&second));

    for visit in [one, two] {
        visit.assert_ok();
        assert_eq!(visit.url().as_str(), "https://www.example.test/orders?a=1#");
        assert_eq!(visit.hops.len(), 2);
    }
}

#[tokio::test]
async fn q2_one_callback_delivered_fifty_times_is_exchanged_once() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let callback = callback_of(&mut alice, "/orders?a=1").await;
    let slow = Trouble::Delay(Duration::from_millis(200));
    gateway.simulator().faults().next(Endpoint::Exchange, slow);

    let visits = (0..50).map(|_| {
        let (mut browser, callback) = (alice.clone(), callback.clone());
        async move { browser.get(callback.as_str()).await }
    });
    let visits = join_all(visits).await;

    for visit in &visits {
        visit.assert_ok();
        assert_eq!(visit.url().as_str(), "https://www.example.test/orders?a=1#");
        assert_eq!(visit.hops.len(), 2);
    }
    assert_eq!(gateway.calls(EXCHANGE), 1);
    assert_eq!(last_openid(&gateway), openid(&gateway, "alice"));
    let replays = gateway.metric(r#"wxgate_callback_replays_total{app="main"}"#);
    assert_eq!(replays.await, 49.0);
}

#[tokio::test]
async fn q2_callback_whose_first_connection_was_dropped_is_not_lost() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let callback = callback_of(&mut alice, "/orders?a=1").await;
    let slow = Trouble::Delay(Duration::from_millis(300));
    gateway.simulator().faults().next(Endpoint::Exchange, slow);

    let mut connection = TcpStream::connect(gateway.address()).await.unwrap();
    let target = &callback[url::Position::BeforePath..];
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: www.example.test\r\nUser-Agent: {}\r\nAccept: text/html\r\nCookie: {}\r\n\r\n",
        agents::WECHAT_ANDROID,
        alice.cookie_header()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    while gateway.calls(EXCHANGE) == 0 {
        tokio::task::yield_now().await;
    }
    drop(connection);

    let visit = alice.get(callback.as_str()).await;

    visit.assert_ok();
    assert_eq!(visit.hops.len(), 2);
    assert_eq!(gateway.upstream().last().target, "/orders?a=1");
    assert_eq!(gateway.calls(EXCHANGE), 1);
}

#[tokio::test]
async fn q3_back_button_and_reload_show_the_page_and_never_an_error() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let callback = callback_of(&mut alice, "/orders?a=1").await;
    alice.get(callback.as_str()).await.assert_ok();

    // With the session, at any time.
    for _ in 0..2 {
        let visit = alice.get(callback.as_str()).await;
        visit.assert_ok();
        assert_eq!(visit.hops.len(), 2);
        assert_eq!(gateway.upstream().last().target, "/orders?a=1");
        gateway.clock().advance(Duration::from_secs(3600));
    }
    assert_eq!(gateway.calls(EXCHANGE), 1);
}

#[tokio::test]
async fn q3_back_button_without_the_session_logs_in_once_more() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.drop_cookies(|name| name == SESSION);
    let callback = callback_of(&mut alice, "/orders?a=1").await;
    let reply = alice.get_once(callback.as_str()).await;
    assert_eq!(reply.header("location"), "/orders?a=1#");
    alice.drop_cookies(|_| false);

    // A minute later the outcome is still known.
    gateway.clock().advance(Duration::from_secs(60));
    let mut soon = alice.clone();
    let visit = soon.get(callback.as_str()).await;
    visit.assert_ok();
    assert_eq!(visit.hops.len(), 2);
    assert_eq!(gateway.calls(EXCHANGE), 1);

    // Six minutes later it is not, and WeChat refuses the code: a new round, to the same page.
    gateway.clock().advance(Duration::from_secs(300));
    let visit = alice.get(callback.as_str()).await;
    visit.assert_ok();
    assert_eq!(gateway.upstream().last().target, "/orders?a=1");
    assert_eq!(gateway.calls(EXCHANGE), 3);
}

#[tokio::test]
async fn q4_shared_link_logs_in_whoever_opens_it_as_themselves() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let unused = callback_of(&mut alice, "/orders?a=1").await;
    let visit = alice.get("/orders?b=2").await;
    visit.assert_ok();
    let used = visit.hops[2].clone();
    let calls = gateway.calls(EXCHANGE);

    // No address that alice could share, except the callback itself, holds a code.
    assert!(!visit.url().as_str().contains("code="));
    for callback in [unused, used] {
        let mut bob = gateway.browser_in_wechat("bob");
        let visit = bob.get(callback.as_str()).await;
        visit.assert_ok();
        assert_eq!(visit.url().path(), "/orders", "where the link was from");
        assert_eq!(last_openid(&gateway), openid(&gateway, "bob"));
    }
    assert_eq!(gateway.calls(EXCHANGE), calls + 2, "bob's own codes");
}

#[tokio::test]
async fn q5_tencents_second_look_burns_nothing() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let callback = callback_of(&mut alice, "/orders?a=1").await;

    // Another client without cookies, before the visitor and after.
    let mut crawler = gateway.browser(agents::WECHAT_IOS);
    for _ in 0..2 {
        let reply = crawler.get_once(callback.as_str()).await;
        assert_eq!(reply.reason(), "login-redirect");
        assert!(reply.set_cookies(SESSION).is_empty());
        crawler.clear_cookies();
        assert_eq!(gateway.simulator().calls(), []);
    }
    alice.get(callback.as_str()).await.assert_ok();
    crawler.get_once(callback.as_str()).await;

    assert_eq!(gateway.calls(EXCHANGE), 1);
    assert_eq!(gateway.upstream().seen().len(), 1);
    assert_eq!(last_openid(&gateway), openid(&gateway, "alice"));
}

/// The key under which a page keeps or finds the fragment.
fn fragment_key(text: &str) -> &str {
    let (_, rest) = text.split_once("data-key=\"").unwrap();
    rest.split('"').next().unwrap()
}

#[tokio::test]
async fn q6_fragment_is_saved_before_the_login_and_restored_after() {
    let gateway = TestGateway::with(|setup| {
        setup.sections = "[login]\nkeep_fragment = true".to_owned();
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");

    let save = alice.get("/orders?a=1").await;
    assert_eq!(save.status(), 200);
    assert_eq!(save.last().reason(), "login-save-fragment");
    let address = save.last().action();
    assert!(address.ends_with("#wechat_redirect"));
    assert_eq!(address.matches('#').count(), 1);
    let restore = alice.press(&save).await;

    assert_eq!(restore.last().reason(), "login-restore-fragment");
    assert_eq!(restore.last().action(), "/orders?a=1");
    assert_eq!(fragment_key(save.text()), fragment_key(restore.text()));
    for page in [&save, &restore] {
        assert!(page.text().contains("location.replace("));
        assert_eq!(page.last().header("cache-control"), "no-store");
    }
    alice.press(&restore).await.assert_ok();
    // The way back to the page of a used callback is the same.
    let again = alice.get(restore.url().as_str()).await;
    assert_eq!(again.last().reason(), "login-restore-fragment");

    // The purpose page comes after the saving, for its own address has no fragment.
    let save = alice.get("/member").await;
    assert_eq!(save.last().reason(), "login-save-fragment");
    let purpose = alice.press(&save).await;
    assert_eq!(purpose.last().reason(), "login-purpose");
    let restore = alice.press(&purpose).await;
    assert_eq!(restore.last().reason(), "login-restore-fragment");
    assert_eq!(fragment_key(save.text()), fragment_key(restore.text()));
    alice.press(&restore).await.assert_ok();
    assert_eq!(gateway.upstream().last().target, "/member");
}

#[tokio::test]
async fn q7_q8_only_page_loads_are_sent_to_wechat() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let html = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let table: [(&[(&str, &str)], bool); 16] = [
        (
            &[
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                html,
            ],
            true,
        ),
        (&[("sec-fetch-mode", "navigate")], true),
        (&[html], true),
        // Android WeChat names itself on page loads.
        (&[html, ("x-requested-with", "com.tencent.mm")], true),
        (
            &[
                ("sec-fetch-mode", "navigate"),
                ("x-requested-with", "com.tencent.mm"),
            ],
            true,
        ),
        (&[html, ("x-requested-with", "xmlhttprequest")], true),
        (&[html, ("x-requested-with", "XMLHttpRequest")], false),
        (
            &[
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-dest", "empty"),
                html,
            ],
            false,
        ),
        (
            &[
                ("sec-fetch-mode", "same-origin"),
                ("sec-fetch-dest", "empty"),
            ],
            false,
        ),
        (
            &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            false,
        ),
        (&[("accept", "application/json")], false),
        (&[("accept", "*/*")], false),
        (
            &[("accept", "*/*"), ("x-requested-with", "com.tencent.mm")],
            false,
        ),
        (&[], false),
        (&[html, ("purpose", "prefetch")], false),
        (
            &[("sec-fetch-mode", "navigate"), ("sec-purpose", "prefetch")],
            false,
        ),
    ];
    for (headers, is_page) in table {
        let reply = alice.send(Method::GET, "/orders?a=1", headers, "").await;
        if is_page {
            assert_eq!(reply.status, 302, "{headers:?}");
            assert_eq!(reply.reason(), "login-redirect", "{headers:?}");
            continue;
        }
        assert_eq!(reply.status, 401, "{headers:?}");
        assert_eq!(
            reply.header("content-type"),
            "application/json",
            "{headers:?}"
        );
        assert_eq!(reply.header("www-authenticate"), "Wxgate");
        assert_eq!(reply.header("location"), "");
        assert!(reply.set_cookies(ATTEMPTS).is_empty());
        let body = reply.json();
        assert_eq!(body["error"], "login_required");
        assert_eq!(body["request_id"], reply.header("x-request-id"));
        let login = body["login_url"].as_str().unwrap();
        assert!(
            login.starts_with("https://www.example.test/_wxgate/login?to="),
            "{login}"
        );
    }
    assert!(gateway.upstream().seen().is_empty());
    assert_eq!(gateway.simulator().authorizations(), 0);
}

#[tokio::test]
async fn q7_login_address_of_a_401_leads_back_to_the_calling_page() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    for (referer, expected) in [
        ("https://www.example.test/orders?a=1", "/orders?a=1"),
        ("https://evil.example/orders", "/"),
        ("https://www.example.test.evil.example/", "/"),
        ("", "/"),
    ] {
        let headers = [
            ("accept", "application/json"),
            ("sec-fetch-mode", "cors"),
            ("referer", referer),
        ];
        let reply = alice.send(Method::GET, "/api/items", &headers, "").await;
        let login = reply.json()["login_url"].as_str().unwrap().to_owned();
        let mut fresh = gateway.browser_in_wechat("alice");
        fresh.get(&login).await.assert_ok();
        assert_eq!(gateway.upstream().last().target, expected, "{referer}");
    }
}

#[tokio::test]
async fn q9_post_is_never_sent_away() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let form = [
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let method: Method = method.parse().unwrap();
        let reply = alice.send(method.clone(), "/orders", &form, "a=1").await;
        assert_eq!(reply.status, 401, "{method}");
        assert_eq!(reply.header("location"), "", "{method}");
        assert_eq!(reply.json()["error"], "login_required", "{method}");
    }
    assert!(gateway.upstream().seen().is_empty());

    alice.get("/orders").await.assert_ok();
    let reply = alice.send(Method::POST, "/orders", &form, "a=1").await;
    assert_eq!(reply.status, 200);
    assert_eq!(gateway.upstream().last().body, "a=1");
}

#[tokio::test]
async fn q12_cookies_have_the_attributes_that_every_web_view_keeps() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let visit = alice.get("/orders").await;
    let only = |index: usize, name: &str| -> String {
        let cookies = visit.replies[index].set_cookies(name);
        assert_eq!(cookies.len(), 1, "{name}");
        cookies[0].to_owned()
    };

    for (cookie, max_age) in [
        (only(0, ATTEMPTS), 600),
        (only(2, ATTEMPTS), 600),
        (only(2, SESSION), 12 * 3600),
    ] {
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        let mut attributes: Vec<_> = attributes.split("; ").collect();
        attributes.sort_unstable();
        let max_age = format!("Max-Age={max_age}");
        assert_eq!(
            attributes,
            ["HttpOnly", &max_age, "Path=/", "SameSite=Lax", "Secure"]
        );
        let (_, value) = pair.split_once('=').unwrap();
        assert!(
            value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        );
        assert!(cookie.len() <= 4096);
    }
}

#[tokio::test]
async fn q12_cookies_on_loopback_http_have_plain_names() {
    let gateway = TestGateway::with(|setup| {
        setup.public_url = "http://127.0.0.1:9500".to_owned();
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");

    let visit = alice.get("/orders").await;

    visit.assert_ok();
    for cookie in visit.replies[2].headers.get_all("set-cookie") {
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.starts_with("wxgate"), "{cookie}");
        assert!(!cookie.contains("Secure"), "{cookie}");
        assert!(cookie.contains("; SameSite=Lax") && cookie.contains("; HttpOnly"));
    }
    assert!(alice.cookie("wxgate").is_some());
}

#[tokio::test]
async fn q13_browser_without_cookies_is_stopped_at_the_third_round() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.drop_cookies(|_| true);

    let visit = alice.get("/orders?a=1").await;

    visit.assert_page(401, "WXG-LOOP-COOKIE");
    assert_eq!(visit.last().reason(), "login-not-finished");
    assert_eq!(gateway.simulator().authorizations(), 2);
    assert_eq!(gateway.simulator().calls(), []);
    let series = r#"wxgate_login_loops_stopped_total{cause="WXG-LOOP-COOKIE"}"#;
    assert_eq!(gateway.metric(series).await, 1.0);
    // Once cookies are kept, the button leads in.
    alice.drop_cookies(|_| false);
    alice.press(&visit).await.assert_ok();
}

#[tokio::test]
async fn q13_session_cookie_that_does_not_stay_is_stopped_at_the_third_round() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.drop_cookies(|name| name == SESSION);

    let visit = alice.get("/orders?a=1").await;

    visit.assert_page(401, "WXG-LOOP-COOKIE");
    assert_eq!(visit.url().path(), "/orders");
    assert_eq!(gateway.simulator().authorizations(), 2);
    assert!(gateway.upstream().seen().is_empty());
    // The address bar is no way around it, another page or a minute are.
    let visit = alice.get("/orders?a=1").await;
    visit.assert_page(401, "WXG-LOOP-COOKIE");
    assert_eq!(gateway.simulator().authorizations(), 2);
    alice.drop_cookies(|_| false);
    alice.clone().get("/orders?b=2").await.assert_ok();
    alice.clone().press(&visit).await.assert_ok();
    gateway.clock().advance(Duration::from_secs(61));
    alice.get("/orders?a=1").await.assert_ok();
}

#[tokio::test]
async fn q13_loop_page_names_http_and_foreign_keys() {
    let gateway = TestGateway::start().await;
    // A visitor on http: Secure cookies get lost.
    let mut alice = gateway.browser_in_wechat("alice");
    alice.drop_cookies(|_| true);
    let headers = [
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
        ("referer", "http://www.example.test/"),
    ];
    let state = format!("{}2", "a".repeat(24));
    let callback = format!("/_wxgate/callback/main?code=x&state={state}");
    let reply = alice.send(Method::GET, &callback, &headers, "").await;
    assert_eq!(
        (reply.status.as_u16(), reply.cause()),
        (401, "WXG-LOOP-HTTP")
    );

    // A cookie that another node sealed.
    let mut alice = gateway.browser_in_wechat("alice");
    alice.set_cookie(ATTEMPTS, "AYkxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTA");
    let reply = alice.get_once(&callback).await;
    assert_eq!(
        (reply.status.as_u16(), reply.cause()),
        (401, "WXG-LOOP-KEYS")
    );
    assert_eq!(gateway.simulator().calls(), []);
}

#[tokio::test]
async fn q14_switched_account_becomes_another_session_where_the_login_is_old() {
    let gateway = TestGateway::with(|setup| {
        let young = "name = \"member\"\nmax_age = \"30m\"";
        setup.routes = setup.routes.replace("name = \"member\"", young);
        setup.routes = setup.routes.replace("\"userinfo\"", "\"base\"");
    })
    .await;
    let mut phone = gateway.browser_in_wechat("alice");
    phone.get("/member").await.assert_ok();
    let alice = openid(&gateway, "alice");
    assert_eq!(last_openid(&gateway), alice);

    gateway.simulator().add_person("bob");
    phone.becomes("bob");

    // Nothing can tell before WeChat is asked again.
    phone.get("/member").await.assert_ok();
    assert_eq!(last_openid(&gateway), alice);
    gateway.clock().advance(Duration::from_secs(31 * 60));
    phone.get("/member").await.assert_ok();
    assert_eq!(last_openid(&gateway), openid(&gateway, "bob"));
    // Nothing of the one before is left for the rest of the site.
    phone.get("/site").await.assert_ok();
    assert_eq!(last_openid(&gateway), openid(&gateway, "bob"));
    assert_eq!(gateway.upstream().last().header("x-wechat-nickname"), "");
}

#[tokio::test]
async fn q16_frame_gets_a_page_that_breaks_out() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    for place in ["iframe", "frame"] {
        let headers = [
            ("accept", "text/html"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", place),
        ];
        let reply = alice.send(Method::GET, "/orders?a=1", &headers, "").await;
        assert_eq!(
            (reply.status.as_u16(), reply.reason()),
            (200, "login-break-out")
        );
        assert_eq!(reply.action(), "https://www.example.test/orders?a=1");
        assert!(reply.set_cookies(ATTEMPTS).is_empty());
    }
}

#[tokio::test]
async fn q18_browser_that_is_not_wechat_is_told_where_to_go() {
    let gateway = TestGateway::start().await;
    // A desktop browser gets a code to scan.
    let visit = gateway.browser(agents::DESKTOP).get("/orders?a=1").await;
    assert_eq!((visit.status().as_u16(), visit.hops.len()), (200, 2));
    assert_eq!(visit.last().reason(), "login-page");
    for agent in [agents::PHONE, agents::WECOM] {
        let visit = gateway.browser(agent).get("/orders?a=1").await;
        assert_eq!(
            (visit.status().as_u16(), visit.hops.len()),
            (401, 1),
            "{agent}"
        );
        assert_eq!(visit.last().reason(), "login-elsewhere", "{agent}");
        assert!(visit.text().contains("www.example.test"), "{agent}");
    }
    for agent in [agents::WECHAT_IOS, agents::WECHAT_WINDOWS] {
        gateway.simulator().add_person("alice");
        let mut alice = Browser::new(&gateway, agent, "alice");
        alice.get("/orders?a=1").await.assert_ok();
    }
}

#[tokio::test]
async fn q21_nothing_of_ours_is_cached_or_moved_for_good() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let nobody = gateway.browser_in_wechat("alice");
    let callback = "/_wxgate/callback/main";
    for path in [
        "/orders",
        "/member",
        "/closed",
        "/_wxgate/login?to=/orders",
        "/_wxgate/login?to=/orders&scope=userinfo",
        "/_wxgate/logout",
        "/_wxgate/me",
        "/_wxgate/nothing",
        "/_wxgate/",
        callback,
        &format!("{callback}?code=a"),
        &format!("{callback}?state=a"),
        &format!("{callback}?code=a&state={}1", "a".repeat(24)),
        &format!("{callback}?code=a&state={}2", "a".repeat(24)),
        "/_wxgate/callback/nobody?code=a",
        "/a/../b",
        "/%00",
    ] {
        for browser in [&alice, &nobody] {
            let reply = browser.clone().get_once(path).await;
            if reply.reason().is_empty() {
                // The site answered.
                continue;
            }
            assert_eq!(reply.header("cache-control"), "no-store", "{path}");
            assert_ne!(reply.header("x-request-id"), "", "{path}");
            assert!(![301, 308].contains(&reply.status.as_u16()), "{path}");
            let vary = reply.headers.get_all("vary").iter();
            let by_cookie = vary.filter(|value| *value == "Cookie").count();
            let is_login = path.starts_with("/_wxgate/") || reply.status.is_redirection();
            if is_login && !["no-route", "bad-target"].contains(&reply.reason()) {
                assert_eq!(by_cookie, 1, "{path}");
            }
        }
    }
    // A round has an address of its own.
    let first = nobody.clone().get_once("/orders").await;
    let second = nobody.clone().get_once("/orders").await;
    assert_ne!(first.header("location"), second.header("location"));
}

#[tokio::test]
async fn the_log_tells_a_callback_that_came_again() {
    let mut gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let callback = callback_of(&mut alice, "/orders").await;
    alice.get(callback.as_str()).await.assert_ok();
    alice.get(callback.as_str()).await.assert_ok();

    let log = gateway.access_log().await;

    let callbacks = log
        .iter()
        .filter(|line| line["path"] == "/_wxgate/callback/main");
    let replayed: Vec<bool> = callbacks.map(|line| line["replay"] == true).collect();
    assert_eq!(replayed, [false, true]);
}

#[tokio::test]
async fn q13_loop_page_names_another_host_and_a_clock_that_was_set_back() {
    let gateway = TestGateway::with(|setup| {
        setup.server = "trusted_proxies = [\"127.0.0.1/32\"]".to_owned();
        // After a clock was set back every bucket counts as empty for a moment.
        setup.sections = "[rate_limit]\ncallback = \"none\"".to_owned();
    })
    .await;
    let third_round = format!("/_wxgate/callback/main?code=x&state={}2", "a".repeat(24));
    // A front proxy changes the host, so what the browser keeps belongs to another one.
    let mut alice = gateway.browser_in_wechat("alice");
    let headers = [
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
        ("x-forwarded-host", "m.example.test"),
    ];
    let reply = alice.send(Method::GET, &third_round, &headers, "").await;
    assert_eq!(
        (reply.status.as_u16(), reply.cause()),
        (401, "WXG-LOOP-HOST")
    );

    // An attempt that begins in the future.
    callback_of(&mut alice, "/orders").await;
    gateway.clock().turn_back(Duration::from_secs(3600));
    let reply = alice.get_once(&third_round).await;
    assert_eq!(
        (reply.status.as_u16(), reply.cause()),
        (401, "WXG-LOOP-CLOCK")
    );
    let series = r#"wxgate_login_loops_stopped_total{cause="WXG-LOOP-CLOCK"}"#;
    assert_eq!(gateway.metric(series).await, 1.0);
}

#[tokio::test]
async fn q13_step_up_whose_code_is_refused_twice_names_the_code_as_the_cause() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/site").await.assert_ok();
    let used = Trouble::Errcode(40163);
    gateway
        .simulator()
        .faults()
        .always(Endpoint::Exchange, used);

    let mut visit = alice.get("/member").await;
    for _ in 0..2 {
        visit = alice.press(&visit).await;
    }

    visit.assert_page(401, "WXG-LOGIN-CODE");
    // What the visitor had is still there, and once WeChat takes codes again the button leads in.
    alice.clone().get("/site").await.assert_ok();
    gateway.simulator().faults().clear();
    let visit = alice.press(&visit).await;
    alice.press(&visit).await.assert_ok();
    assert_eq!(gateway.upstream().last().target, "/member");
}
