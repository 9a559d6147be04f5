//! Sessions: how long they last, how they end, and what a cookie must not do.

use std::path::Path;
use std::time::{Duration, Instant};

use http::Method;

use crate::support::{Browser, Process, Reply, Setup, TestGateway, agents, log_out_everywhere};

const SESSION: &str = "__Host-wxgate";
const ATTEMPTS: &str = "__Host-wxgate-login";

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

const OUR_ORIGIN: [(&str, &str); 1] = [("origin", "https://www.example.test")];

async fn logged_in(gateway: &TestGateway, person: &str) -> Browser {
    let mut browser = gateway.browser_in_wechat(person);
    browser.get("/orders").await.assert_ok();
    browser
}

/// Asks a route that never starts a login: whether the site is told who this is.
async fn is_somebody(gateway: &TestGateway, browser: &Browser) -> bool {
    browser.clone().get("/maybe").await.assert_ok();
    let seen = gateway.upstream().last();
    assert_eq!(seen.target, "/maybe");
    seen.headers.contains_key("x-wechat-openid")
}

fn value_of(cookie: &str) -> &str {
    let (pair, _) = cookie.split_once(';').unwrap();
    pair.split_once('=').unwrap().1
}

fn max_age(cookie: &str) -> u64 {
    let (_, rest) = cookie.split_once("Max-Age=").unwrap();
    rest.split(';').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn unused_session_ends_after_its_idle_time() {
    let gateway = TestGateway::start().await;
    let alice = logged_in(&gateway, "alice").await;

    gateway.clock().advance(12 * HOUR - MINUTE);
    assert!(is_somebody(&gateway, &alice).await);
    gateway.clock().advance(MINUTE);
    assert!(!is_somebody(&gateway, &alice).await);
}

#[tokio::test]
async fn used_session_slides_along_and_still_has_an_end() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;

    for _ in 0..16 {
        gateway.clock().advance(10 * HOUR);
        let visit = alice.get("/orders").await;
        assert_eq!(visit.hops.len(), 1);
    }
    // 160 of 168 hours: the cookie promises no more than what is left.
    let reply = gateway_me(&mut alice).await;
    assert_eq!(reply["authenticated"], true);
    gateway.clock().advance(8 * HOUR - MINUTE);
    assert!(is_somebody(&gateway, &alice).await);
    gateway.clock().advance(MINUTE);
    assert!(!is_somebody(&gateway, &alice).await);
    assert_eq!(gateway.simulator().logins(), 1);
}

async fn gateway_me(browser: &mut Browser) -> serde_json::Value {
    let json = [("accept", "application/json")];
    let reply = browser.send(Method::GET, "/_wxgate/me", &json, "").await;
    reply.json()
}

#[tokio::test]
async fn cookie_is_written_again_at_most_each_minute() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let old = alice.cookie(SESSION).unwrap().to_owned();

    gateway.clock().advance(Duration::from_secs(57));
    let reply = alice.get_once("/orders").await;
    assert!(reply.set_cookies(SESSION).is_empty());

    gateway.clock().advance(Duration::from_secs(4));
    let reply = alice.get_once("/orders").await;
    let renewed = reply.set_cookies(SESSION);
    assert_eq!(renewed.len(), 1);
    assert_eq!(max_age(renewed[0]), 12 * 3600);
    assert_ne!(alice.cookie(SESSION), Some(old.as_str()));
    let reply = alice.get_once("/orders").await;
    assert!(reply.set_cookies(SESSION).is_empty());

    // The session stays the same one; the old cookie is good until its own end.
    let first = gateway.upstream().last();
    alice.set_cookie(SESSION, &old);
    alice.get_once("/orders").await;
    let second = gateway.upstream().last();
    assert_eq!(
        first.header("x-wechat-openid"),
        second.header("x-wechat-openid")
    );
    gateway.clock().advance(12 * HOUR - MINUTE);
    assert!(is_somebody(&gateway, &alice).await);
    alice.set_cookie(SESSION, &old);
    assert!(!is_somebody(&gateway, &alice).await);
}

#[tokio::test]
async fn last_cookie_of_a_session_promises_no_more_than_is_left() {
    let setup = || Setup {
        sections: "[sessions]\nidle_timeout = \"1h\"\nmax_lifetime = \"90m\"".to_owned(),
        ..Setup::default()
    };
    let gateway = TestGateway::with(|changed| *changed = setup()).await;
    let mut alice = logged_in(&gateway, "alice").await;

    gateway.clock().advance(50 * MINUTE);
    let reply = alice.get_once("/orders").await;

    let left = max_age(reply.set_cookies(SESSION)[0]);
    assert!((2390..=2400).contains(&left), "{left}");
    gateway.clock().advance(40 * MINUTE);
    assert!(!is_somebody(&gateway, &alice).await);
}

#[tokio::test]
async fn answer_that_a_cache_may_keep_carries_no_session() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;
    gateway.clock().advance(2 * MINUTE);

    let public = [("x-answer", "cache-control=public, max-age=60")];
    let reply = alice.send(Method::GET, "/orders", &public, "").await;

    assert!(reply.set_cookies(SESSION).is_empty());
    assert_eq!(reply.header("cache-control"), "public, max-age=60");
}

/// Caches may keep by themselves what says nothing, and show it to whoever comes next (RFC 9111, section 4.2.2).
#[tokio::test]
async fn what_somebody_logged_in_gets_is_for_that_browser_only_where_the_site_says_nothing() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;
    gateway.clock().advance(2 * MINUTE);

    let reply = alice.get_once("/orders").await;
    assert_eq!(reply.header("cache-control"), "private");
    assert!(!reply.set_cookies(SESSION).is_empty());

    // What the site says is the site's to say.
    let says = [("x-answer", "cache-control=max-age=60")];
    let reply = alice.send(Method::GET, "/orders", &says, "").await;
    assert_eq!(reply.header("cache-control"), "max-age=60");
    assert!(reply.set_cookies(SESSION).is_empty());
    // What nobody was told apart for stays as it is.
    for (method, address) in [(Method::GET, "/open"), (Method::POST, "/orders")] {
        let reply = alice.send(method, address, &[], "").await;
        assert_eq!(reply.header("cache-control"), "", "{address}");
    }
}

#[tokio::test]
async fn each_login_is_a_new_session() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let first = alice.cookie(SESSION).unwrap().to_owned();

    // A cookie that somebody planted before the login is not taken over.
    alice.clear_cookies();
    alice.set_cookie(SESSION, "planted");
    alice.get("/orders").await.assert_ok();
    assert_ne!(alice.cookie(SESSION), Some(first.as_str()));
    assert_ne!(alice.cookie(SESSION), Some("planted"));

    // A second person in the same browser gets nothing of the first one's session.
    let purpose = alice.get("/member").await;
    gateway.simulator().add_person("bob");
    alice.switch_person("bob");
    alice.press(&purpose).await.assert_ok();
    let bob = gateway.simulator().person("bob").unwrap();
    let seen = gateway.upstream().last();
    assert_eq!(
        seen.header("x-wechat-openid"),
        bob.openid(crate::support::APP_ID)
    );
}

#[tokio::test]
async fn sealing_key_is_changed_without_logging_anybody_out() {
    let setup = || Setup {
        sections: "[sessions]\nrotate_every = \"1h\"".to_owned(),
        ..Setup::default()
    };
    let mut gateway = TestGateway::with(|changed| *changed = setup()).await;
    let mut alice = logged_in(&gateway, "alice").await;
    let before = key_files(gateway.state_dir());
    gateway.clock().advance(2 * HOUR);

    gateway.restart(&setup()).await;
    alice.follow(&gateway);
    let deadline = Instant::now() + Duration::from_secs(10);
    while key_files(gateway.state_dir()) == before {
        assert!(Instant::now() < deadline, "no new key");
        tokio::task::yield_now().await;
    }

    assert!(is_somebody(&gateway, &alice).await);
    // The next writing is sealed with the new key; the old one is still good.
    let old = alice.cookie(SESSION).unwrap().to_owned();
    let reply = alice.get_once("/orders").await;
    let renewed = value_of(reply.set_cookies(SESSION)[0]).to_owned();
    assert_ne!(renewed[..6], old[..6], "the id of the key");
    assert!(is_somebody(&gateway, &alice).await);
}

/// The content of every file of keys.
fn key_files(state: &Path) -> Vec<(String, String)> {
    let files = std::fs::read_dir(state).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = files
        .filter(|file| file.file_name().to_string_lossy().contains("session"))
        .map(|file| {
            let content = std::fs::read_to_string(file.path()).unwrap();
            (file.file_name().to_string_lossy().into_owned(), content)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[tokio::test]
async fn operators_keys_are_changed_in_two_steps_and_the_removed_one_is_over() {
    let setup = |keys: &str| Setup {
        sections: format!("[sessions]\nkeys = [{keys}]"),
        ..Setup::default()
    };
    let (old, new) = (
        format!("\"{}\"", "old key ".repeat(5)),
        format!("\"{}\"", "new key ".repeat(5)),
    );
    let mut gateway = TestGateway::with(|changed| *changed = setup(&old)).await;
    let mut alice = logged_in(&gateway, "alice").await;

    gateway.restart(&setup(&format!("{new}, {old}"))).await;
    alice.follow(&gateway);
    assert!(is_somebody(&gateway, &alice).await);

    let reloaded = gateway.config(&setup(&new));
    gateway.app().reload(reloaded).unwrap();
    assert!(!is_somebody(&gateway, &alice).await);
}

#[tokio::test]
async fn logout_by_our_own_page_ends_the_session() {
    let gateway = TestGateway::start().await;
    for headers in [
        vec![("origin", "https://www.example.test")],
        vec![("sec-fetch-site", "same-origin")],
    ] {
        let mut alice = logged_in(&gateway, "alice").await;
        let copy = alice.clone();

        let reply = alice
            .send(Method::POST, "/_wxgate/logout", &headers, "")
            .await;

        assert_eq!((reply.status.as_u16(), reply.reason()), (200, "logged-out"));
        assert_eq!(alice.cookie(SESSION), None);
        assert_eq!(alice.cookie(ATTEMPTS), None);
        // Not only the cookie is gone: a copy of it is worth nothing.
        assert!(!is_somebody(&gateway, &copy).await);
        alice.get("/orders").await.assert_ok();
    }
    let series = r#"wxgate_sessions_ended_total{reason="logout"}"#;
    assert_eq!(gateway.metric(series).await, 2.0);
}

/// The hidden field of a form of ours.
fn form_token(reply: &Reply) -> String {
    let (_, rest) = reply
        .text()
        .split_once("name=\"form_token\" value=\"")
        .unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn logout_by_a_link_asks_first_and_by_another_site_is_refused() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let form = ("content-type", "application/x-www-form-urlencoded");

    let page = alice.get("/_wxgate/logout").await;
    assert_eq!(
        (page.status().as_u16(), page.last().reason()),
        (200, "logout-confirm")
    );
    assert!(is_somebody(&gateway, &alice).await);
    let token = form_token(page.last());

    let mut bob = logged_in(&gateway, "bob").await;
    let token_of_bob = form_token(bob.get("/_wxgate/logout").await.last());
    for (headers, body) in [
        (
            vec![("origin", "https://evil.example"), form],
            String::new(),
        ),
        (vec![("origin", "null"), form], String::new()),
        (
            vec![("origin", "https://www.example.test.evil.example"), form],
            String::new(),
        ),
        (vec![("sec-fetch-site", "cross-site"), form], String::new()),
        (vec![("sec-fetch-site", "same-site"), form], String::new()),
        (vec![form], String::new()),
        (vec![form], "form_token=".to_owned()),
        (vec![form], format!("form_token={token_of_bob}")),
        (
            vec![form],
            format!("form_token={}", alice.cookie(SESSION).unwrap()),
        ),
        (
            vec![("content-type", "text/plain")],
            format!("form_token={token}"),
        ),
    ] {
        let reply = alice
            .send(Method::POST, "/_wxgate/logout", &headers, &body)
            .await;
        assert_eq!(
            (reply.status.as_u16(), reply.reason()),
            (403, "logout-confirm"),
            "{headers:?} {body}"
        );
        assert!(reply.set_cookies(SESSION).is_empty(), "{headers:?}");
        assert!(is_somebody(&gateway, &alice).await, "{headers:?}");
    }
    let json = [
        ("origin", "https://evil.example"),
        ("accept", "application/json"),
    ];
    let reply = alice.send(Method::POST, "/_wxgate/logout", &json, "").await;
    assert_eq!(reply.json()["error"], "cross_site_request");

    // The button works in a browser that says nothing of where the form is from.
    let body = format!("form_token={token}");
    let reply = alice
        .send(Method::POST, "/_wxgate/logout", &[form], &body)
        .await;
    assert_eq!(reply.reason(), "logged-out");
    assert!(!is_somebody(&gateway, &alice).await);
    assert!(is_somebody(&gateway, &bob).await);
}

#[tokio::test]
async fn logout_everywhere_ends_every_session_of_the_person() {
    let gateway = TestGateway::start().await;
    let mut phone = logged_in(&gateway, "alice").await;
    let tablet = logged_in(&gateway, "alice").await;
    let bob = logged_in(&gateway, "bob").await;
    let headers = [
        OUR_ORIGIN[0],
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "application/json"),
    ];

    let reply = phone
        .send(Method::POST, "/_wxgate/logout", &headers, "everywhere=1")
        .await;

    assert_eq!(reply.json()["logged_out"], true);
    assert!(!is_somebody(&gateway, &phone).await);
    assert!(!is_somebody(&gateway, &tablet).await);
    assert!(is_somebody(&gateway, &bob).await);
    // Whoever logs in again is in.
    gateway.clock().advance(Duration::from_secs(1));
    let again = logged_in(&gateway, "alice").await;
    assert!(is_somebody(&gateway, &again).await);
}

/// WeChat's address stays in the history of a browser, and its code leads to what came of it for five minutes.
#[tokio::test]
async fn a_callback_that_is_loaded_again_brings_nothing_back_that_ended_everywhere() {
    let gateway = TestGateway::start().await;
    let mut phone = gateway.browser_in_wechat("alice");
    let (_, callback) = phone.get_until("/orders", "/_wxgate/callback/").await;
    phone.get(callback.as_str()).await.assert_ok();
    let mut tablet = logged_in(&gateway, "alice").await;
    gateway.clock().advance(Duration::from_secs(60));
    // So that the latest time seen is later than the login.
    tablet.get("/site").await.assert_ok();

    log_out_everywhere(&gateway, &mut tablet).await;
    phone.get_once(callback.as_str()).await;

    assert!(!is_somebody(&gateway, &phone).await);
}

#[tokio::test]
async fn logging_out_without_a_session_is_no_error() {
    let gateway = TestGateway::start().await;
    let mut nobody = gateway.browser_in_wechat("alice");
    for method in [Method::GET, Method::POST] {
        let reply = nobody
            .send(method, "/_wxgate/logout", &[("accept", "text/html")], "")
            .await;
        assert_eq!((reply.status.as_u16(), reply.reason()), (200, "logged-out"));
        assert!(reply.set_cookies(SESSION).is_empty());
    }
    let reply = nobody.send(Method::PUT, "/_wxgate/logout", &[], "").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("allow")),
        (405, "GET, HEAD, POST")
    );
}

#[tokio::test]
async fn me_says_who_is_logged_in() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let page = alice.get("/_wxgate/me").await;
    assert_eq!(
        (page.status().as_u16(), page.last().reason()),
        (200, "account-nobody")
    );
    let json = [("accept", "application/json")];
    let reply = alice.send(Method::GET, "/_wxgate/me", &json, "").await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.json()["error"], "login_required");

    let purpose = alice.get("/member").await;
    alice.press(&purpose).await.assert_ok();
    let openid = gateway
        .upstream()
        .last()
        .header("x-wechat-openid")
        .to_owned();
    let page = alice.get("/_wxgate/me").await;
    assert_eq!(page.last().reason(), "account");
    assert!(page.text().contains("alice 🙂"));
    assert!(!page.text().contains(&openid), "masked");
    let me = gateway_me(&mut alice).await;
    assert_eq!(me["authenticated"], true);
    assert_eq!(me["app"], "main");
    assert_eq!(me["scope"], "snsapi_userinfo");
    assert_eq!(me["nickname"], "alice 🙂");
    assert!(!me.to_string().contains(&openid), "masked");
    for field in ["since", "until"] {
        let time = me[field].as_str().unwrap();
        assert!(time.ends_with('Z') && time.len() == 20, "{time}");
    }
    // The page's own button logs out; browsers say where its form is from.
    assert_eq!(page.last().header("referrer-policy"), "same-origin");
    let token = form_token(page.last());
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("form_token={token}");
    let reply = alice
        .send(Method::POST, "/_wxgate/logout", &form, &body)
        .await;
    assert_eq!(reply.reason(), "logged-out");
}

#[tokio::test]
async fn application_can_end_the_session() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let copy = alice.clone();

    let wants_no_end = [("x-answer", "x-wxgate-logout=0")];
    let reply = alice.send(Method::GET, "/orders", &wants_no_end, "").await;
    assert_eq!(reply.header("x-wxgate-logout"), "");
    assert!(is_somebody(&gateway, &alice).await);

    let wants_end = [("x-answer", "x-wxgate-logout=1")];
    let reply = alice.send(Method::POST, "/bye", &wants_end, "").await;

    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-wxgate-logout"), "", "ours alone");
    assert_eq!(alice.cookie(SESSION), None);
    assert!(!is_somebody(&gateway, &copy).await);
    let series = r#"wxgate_sessions_ended_total{reason="application"}"#;
    assert_eq!(gateway.metric(series).await, 1.0);
}

#[tokio::test]
async fn application_that_ended_the_session_is_not_undone_by_the_back_button() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let visit = alice.get("/orders").await;
    visit.assert_ok();
    let callback = visit.hops[2].clone();

    let wants_end = [("x-answer", "x-wxgate-logout=1")];
    alice.send(Method::POST, "/bye", &wants_end, "").await;

    let reply = alice.get_once(callback.as_str()).await;
    assert!(reply.set_cookies(SESSION).is_empty());
    assert_eq!(reply.reason(), "login-redirect");
}

#[tokio::test]
async fn logout_header_from_a_public_page_or_from_the_visitor_does_nothing() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;

    let answer = [("x-answer", "x-wxgate-logout=1")];
    let reply = alice.send(Method::GET, "/open", &answer, "").await;
    assert_eq!(reply.header("x-wxgate-logout"), "");
    let ask = [("x-wxgate-logout", "1")];
    alice.send(Method::GET, "/orders", &ask, "").await;
    assert!(
        !gateway
            .upstream()
            .last()
            .headers
            .contains_key("x-wxgate-logout")
    );

    assert!(is_somebody(&gateway, &alice).await);
}

#[tokio::test]
async fn changed_session_cookie_is_nobodys() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let sound = alice.cookie(SESSION).unwrap().to_owned();

    for place in (0..sound.len()).step_by(11).chain([sound.len() - 1]) {
        for bit in 0..7 {
            let mut bytes = sound.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            // What ends a cookie, or no header can carry, is another test's.
            if changed.contains([';', ' ', '\t']) || changed.contains(char::is_control) {
                continue;
            }
            alice.set_cookie(SESSION, &changed);
            assert!(!is_somebody(&gateway, &alice).await, "{place} {bit}");
        }
    }
    let attempts = alice.cookie(ATTEMPTS).unwrap().to_owned();
    for other in [
        attempts,
        String::new(),
        format!("\"{sound}\""),
        format!("{sound}="),
        "a".repeat(8000),
    ] {
        alice.set_cookie(SESSION, &other);
        assert!(!is_somebody(&gateway, &alice).await, "{other}");
    }
    alice.set_cookie(SESSION, &sound);
    assert!(is_somebody(&gateway, &alice).await);
}

#[tokio::test]
async fn cookie_of_another_site_with_the_same_keys_is_nobodys() {
    let setup = |url: &str| Setup {
        public_url: url.to_owned(),
        sections: format!("[sessions]\nkeys = [\"{}\"]", "shared ".repeat(6)),
        ..Setup::default()
    };
    let staging = TestGateway::with(|s| *s = setup("https://staging.example.test")).await;
    let production = TestGateway::with(|s| *s = setup("https://www.example.test")).await;
    let twin = TestGateway::with(|s| *s = setup("https://www.example.test")).await;
    let of_staging = logged_in(&staging, "alice").await;
    let of_production = logged_in(&production, "alice").await;

    let mut moved = production.browser_in_wechat("alice");
    moved.set_cookie(SESSION, of_staging.cookie(SESSION).unwrap());
    assert!(!is_somebody(&production, &moved).await);
    // Another node of the same site needs nothing but the keys.
    let mut same = of_production.clone();
    same.follow(&twin);
    assert!(is_somebody(&twin, &same).await);
}

#[tokio::test]
async fn planted_cookies_of_our_name_do_not_hide_the_real_one() {
    let gateway = TestGateway::start().await;
    let alice = logged_in(&gateway, "alice").await;
    let sound = alice.cookie(SESSION).unwrap().to_owned();
    let bob = logged_in(&gateway, "bob").await;
    let of_bob = bob.cookie(SESSION).unwrap();
    let name = SESSION;
    let alice_id = gateway
        .simulator()
        .person("alice")
        .unwrap()
        .openid(crate::support::APP_ID);
    let bob_id = gateway
        .simulator()
        .person("bob")
        .unwrap()
        .openid(crate::support::APP_ID);

    let table = [
        (format!("{name}=planted; {name}={sound}"), alice_id.as_str()),
        (format!("{name}=a; {name}=b; {name}={sound}"), &alice_id),
        (format!("{name}=; {name}={sound}"), &alice_id),
        (format!("a=1; {name}={sound}; {name}={of_bob}"), &alice_id),
        (format!("{name}={of_bob}; {name}={sound}"), &bob_id),
        (format!("x{name}={sound}"), ""),
        (format!("{name}x={sound}"), ""),
        (format!("wxgate={sound}"), ""),
    ];
    let mut raw = gateway.browser_in_wechat("nobody");
    for (cookies, expected) in table {
        raw.send(Method::GET, "/maybe", &[("cookie", &cookies)], "")
            .await;
        let seen = gateway.upstream().last();
        assert_eq!(seen.header("x-wechat-openid"), expected, "{cookies}");
    }
}

#[tokio::test]
async fn our_cookies_never_reach_the_site() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let (session, attempts) = (
        alice.cookie(SESSION).unwrap().to_owned(),
        alice.cookie(ATTEMPTS).unwrap().to_owned(),
    );
    alice.set_cookie("PHPSESSID", "of-the-site");
    alice.set_cookie("theme", "\"dark; light\"");

    for path in ["/orders", "/open", "/maybe"] {
        alice.get(path).await.assert_ok();
        let seen = gateway.upstream().last();
        let cookies = seen.header("cookie");
        assert!(cookies.contains("PHPSESSID=of-the-site"), "{cookies}");
        assert!(!cookies.contains("wxgate"), "{cookies}");
        for value in seen.headers.values() {
            let value = String::from_utf8_lossy(value.as_bytes());
            assert!(!value.contains(&session) && !value.contains(&attempts));
        }
    }
    let nothing_else = format!("{SESSION}={session}; wxgate=x; __Secure-wxgate=y");
    let mut raw = gateway.browser_in_wechat("nobody");
    raw.send(Method::GET, "/orders", &[("cookie", &nothing_else)], "")
        .await;
    assert!(!gateway.upstream().last().headers.contains_key("cookie"));
}

/// Sends the same `Cookie` field as in every request; says whether the site is told who this is.
async fn is_somebody_by(gateway: &TestGateway, cookies: &str) -> bool {
    let mut raw = gateway.browser_in_wechat("nobody");
    raw.send(Method::GET, "/maybe", &[("cookie", cookies)], "")
        .await;
    let seen = gateway.upstream().last();
    assert_eq!(seen.header("cookie"), "a=1; b=2");
    seen.headers.contains_key("x-wechat-openid")
}

/// What a whole `Cookie` field led to is remembered from its second time on.
#[tokio::test]
async fn cookies_that_came_before_are_nobodys_as_soon_as_their_session_is_over() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let bob = logged_in(&gateway, "bob").await;
    let cookies = |browser: &Browser| {
        let session = browser.cookie(SESSION).unwrap();
        format!("a=1; {SESSION}={session}; b=2")
    };
    let (of_alice, of_bob) = (cookies(&alice), cookies(&bob));
    for _ in 0..4 {
        assert!(is_somebody_by(&gateway, &of_alice).await);
        assert!(is_somebody_by(&gateway, &of_bob).await);
    }

    let wants_end = [("x-answer", "x-wxgate-logout=1")];
    alice.send(Method::POST, "/bye", &wants_end, "").await;
    for _ in 0..2 {
        assert!(!is_somebody_by(&gateway, &of_alice).await, "revoked");
        assert!(is_somebody_by(&gateway, &of_bob).await);
    }
    gateway.clock().advance(12 * HOUR);
    for _ in 0..2 {
        assert!(!is_somebody_by(&gateway, &of_bob).await, "expired");
    }
}

#[tokio::test]
async fn site_cannot_set_our_cookies() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;
    for name in [SESSION, ATTEMPTS, "wxgate", "__Secure-wxgate"] {
        let cookie = format!("set-cookie={name}=evil; Path=/");
        let answer = [("x-answer", cookie.as_str())];
        let reply = alice.send(Method::GET, "/orders", &answer, "").await;
        assert!(reply.set_cookies(name).is_empty(), "{name}");
    }
    let answer = [("x-answer", "set-cookie=mine=1; Path=/")];
    let reply = alice.send(Method::GET, "/orders", &answer, "").await;
    assert_eq!(reply.set_cookies("mine"), ["mine=1; Path=/"]);
    assert!(is_somebody(&gateway, &alice).await);
}

#[tokio::test]
async fn sessions_and_logouts_survive_a_restart() {
    let setup = || Setup {
        store: "embedded",
        ..Setup::default()
    };
    let mut gateway = TestGateway::with(|changed| *changed = setup()).await;
    let mut alice = logged_in(&gateway, "alice").await;
    let mut bob = logged_in(&gateway, "bob").await;
    let mut carol = logged_in(&gateway, "carol").await;
    let copies = [alice.clone(), bob.clone()];
    alice
        .send(Method::POST, "/_wxgate/logout", &OUR_ORIGIN, "")
        .await;
    bob.send(
        Method::POST,
        "/_wxgate/logout?everywhere=1",
        &OUR_ORIGIN,
        "",
    )
    .await;

    gateway.restart(&setup()).await;

    for mut copy in copies {
        copy.follow(&gateway);
        assert!(!is_somebody(&gateway, &copy).await);
    }
    carol.follow(&gateway);
    assert!(is_somebody(&gateway, &carol).await);
    // For as long as the session could have lived.
    gateway.clock().advance(DAY / 4);
    assert!(is_somebody(&gateway, &carol).await);
}

/// Simulator, site, and the configuration of a gateway that keeps everything on disk.
async fn stopped_gateway() -> (TestGateway, String) {
    let mut gateway = TestGateway::start().await;
    gateway.stop().await;
    let setup = Setup {
        store: "embedded",
        ..Setup::default()
    };
    let config = gateway.config_text(&setup);
    (gateway, config)
}

#[tokio::test]
async fn logout_survives_kill_9_of_the_real_binary() {
    let (gateway, config) = stopped_gateway().await;

    let process = Process::configured(&config).await;
    let mut people = Vec::new();
    for name in ["alice", "bob", "carol"] {
        gateway.simulator().add_person(name);
        let mut browser = Browser::at(process.address(), &gateway, agents::WECHAT_ANDROID, name);
        browser.get("/orders").await.assert_ok();
        people.push(browser);
    }
    let copies = people.clone();
    let [alice, bob, _] = &mut people[..] else {
        unreachable!()
    };
    let reply = alice
        .send(Method::POST, "/_wxgate/logout", &OUR_ORIGIN, "")
        .await;
    assert_eq!(reply.reason(), "logged-out");
    let everywhere = "/_wxgate/logout?everywhere=1";
    let reply = bob.send(Method::POST, everywhere, &OUR_ORIGIN, "").await;
    assert_eq!(reply.reason(), "logged-out");
    process.kill().await;

    let process = Process::configured(&config).await;
    let mut known = Vec::new();
    for mut copy in copies {
        copy.follow_to(process.address());
        known.push(is_somebody(&gateway, &copy).await);
    }
    assert_eq!(known, [false, false, true]);
}

#[tokio::test]
async fn callback_interrupted_by_kill_9_leads_in_afterwards() {
    let (gateway, config) = stopped_gateway().await;
    let process = Process::configured(&config).await;
    gateway.simulator().add_person("alice");
    let mut alice = Browser::at(process.address(), &gateway, agents::WECHAT_ANDROID, "alice");
    let (_, callback) = alice.get_until("/orders?a=1", "/callback/").await;
    let slow = wxgate::simulator::faults::Trouble::Delay(Duration::from_secs(30));
    let endpoint = wxgate::simulator::faults::Endpoint::Exchange;
    gateway.simulator().faults().next(endpoint, slow);

    // The process dies while WeChat thinks.
    let mut interrupted = alice.clone();
    let address = callback.clone();
    let task = tokio::spawn(async move { interrupted.get_once(address.as_str()).await });
    while gateway.calls("/sns/oauth2/access_token") == 0 {
        tokio::task::yield_now().await;
    }
    process.kill().await;
    assert!(task.await.is_err(), "the connection broke");
    let process = Process::configured(&config).await;
    alice.follow_to(process.address());
    let began = Instant::now();

    let visit = alice.get(callback.as_str()).await;

    visit.assert_ok();
    assert_eq!(gateway.upstream().last().target, "/orders?a=1");
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}
