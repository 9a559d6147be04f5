//! Sessions whose record is in the store: listed, limited, and ended one by one.

use std::time::Duration;

use http::Method;
use serde_json::Value;

use crate::admin::limit_files;
use crate::support::{
    APP_ID, Browser, Process, Setup, Talk, TestGateway, client_apps, event_stream, eventually,
    exchange, get, logged_in, logged_in_at_the_door, push_account, push_keys, send_push,
};

const JSON: (&str, &str) = ("accept", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn in_store(more: &str) -> Setup {
    Setup {
        sections: format!("{}\n[sessions]\nmode = \"store\"\n{more}", client_apps()),
        ..Setup::default()
    }
}

async fn gateway(more: &str) -> TestGateway {
    TestGateway::with(|setup| *setup = in_store(more)).await
}

async fn is_somebody(gateway: &TestGateway, browser: &Browser) -> bool {
    browser.clone().get("/maybe").await.assert_ok();
    gateway
        .upstream()
        .last()
        .headers
        .contains_key("x-wechat-openid")
}

async fn me(browser: &Browser) -> Value {
    let mut browser = browser.clone();
    let reply = browser.send(Method::GET, "/_wxgate/me", &[JSON], "").await;
    reply.json()
}

#[tokio::test]
async fn the_cookie_only_names_a_session_that_is_in_the_store() {
    let gateway = gateway("").await;
    let alice = logged_in(&gateway, "alice").await;

    assert!(is_somebody(&gateway, &alice).await);
    let cookie = alice.cookie("__Host-wxgate").unwrap();
    assert!(cookie.len() < 100, "{cookie}");
    assert_eq!(me(&alice).await.get("sessions"), None);
}

#[tokio::test]
async fn the_account_page_shows_other_sessions_and_ends_one_of_them() {
    let gateway = gateway("").await;
    let mut phone = logged_in(&gateway, "alice").await;
    let desktop = logged_in(&gateway, "alice").await;
    let bob = logged_in(&gateway, "bob").await;
    let page = phone.get("/_wxgate/me").await;
    assert!(page.text().contains("其他登录"), "{}", page.text());

    let listed = me(&phone).await["sessions"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["app"], "main");
    let name = listed[0]["session"].as_str().unwrap();
    assert!(page.text().contains(name));
    assert!(is_somebody(&gateway, &desktop).await);

    // Not by a form of another site, and nobody else's.
    let body = format!("session={name}");
    let evil = [FORM, ("origin", "https://evil.example")];
    let reply = phone
        .send(Method::POST, "/_wxgate/logout", &evil, &body)
        .await;
    assert_eq!(reply.status, 403);
    let ours = [FORM, ("origin", gateway.public_url())];
    let mut other = bob.clone();
    other
        .send(Method::POST, "/_wxgate/logout", &ours, &body)
        .await;
    assert!(is_somebody(&gateway, &desktop).await);

    let reply = phone
        .send(Method::POST, "/_wxgate/logout", &ours, &body)
        .await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("location")),
        (303, "/_wxgate/me")
    );
    assert!(!is_somebody(&gateway, &desktop).await);
    assert!(is_somebody(&gateway, &phone).await);
    assert!(is_somebody(&gateway, &bob).await);
    assert_eq!(me(&phone).await.get("sessions"), None);
}

#[tokio::test]
async fn the_button_of_the_account_page_needs_no_origin() {
    let gateway = gateway("").await;
    let mut phone = logged_in(&gateway, "alice").await;
    let desktop = logged_in(&gateway, "alice").await;
    let page = phone.get("/_wxgate/me").await;
    let value = |name: &str| {
        let field = format!("name=\"{name}\" value=\"");
        let (_, rest) = page.text().split_once(&field).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };

    let body = format!(
        "form_token={}&session={}",
        value("form_token"),
        value("session")
    );
    phone
        .send(Method::POST, "/_wxgate/logout", &[FORM], &body)
        .await;

    assert!(!is_somebody(&gateway, &desktop).await);
}

#[tokio::test]
async fn one_login_too_many_ends_the_oldest_session() {
    let gateway = gateway("max_per_user = 2").await;
    let mut browsers = Vec::new();
    for _ in 0..3 {
        browsers.push(logged_in(&gateway, "alice").await);
        gateway.clock().advance(Duration::from_secs(1));
    }

    assert!(!is_somebody(&gateway, &browsers[0]).await);
    assert!(is_somebody(&gateway, &browsers[1]).await);
    assert!(is_somebody(&gateway, &browsers[2]).await);
    let evicted = "wxgate_sessions_ended_total{reason=\"evicted\"}";
    assert_eq!(gateway.metric(evicted).await, 1.0);

    // A seat whose session was over is taken without anybody losing anything.
    gateway.clock().advance(Duration::from_secs(13 * 60 * 60));
    logged_in(&gateway, "alice").await;
    assert_eq!(gateway.metric(evicted).await, 1.0);
}

#[tokio::test]
async fn kept_sessions_are_counted_and_sealed_ones_are_not() {
    let active = "wxgate_sessions_active{mode=\"store\"}";
    let setup = Setup {
        store: "embedded",
        ..in_store("")
    };
    let mut gateway = TestGateway::with(|changed| {
        changed.store = setup.store;
        changed.sections.clone_from(&setup.sections);
    })
    .await;
    logged_in(&gateway, "alice").await;
    logged_in(&gateway, "bob").await;
    // Counted at the start, and then once a minute.
    gateway.restart(&setup).await;
    eventually("two are counted", async || {
        gateway.metric(active).await == 2.0
    })
    .await;

    let sealed = TestGateway::start().await;
    logged_in(&sealed, "alice").await;
    let reply = exchange(sealed.admin_address(), get("/metrics")).await;
    assert!(
        reply
            .text()
            .contains("wxgate_sessions_created_total{app=\"main\"} 1")
    );
    assert!(!reply.text().contains("wxgate_sessions_active{"));
}

#[tokio::test]
async fn tokens_are_sessions_in_the_store_too() {
    let gateway = gateway("").await;
    let client = gateway.mini_program("alice").await;
    assert!(client.token().len() < 120);
    assert_eq!(client.get("/orders").await.status, 200);

    let reply = client
        .post("/_wxgate/token/renew", &serde_json::json!({}))
        .await;
    let mut renewed = client.clone();
    renewed.keep_token(&reply);
    renewed.send(Method::POST, "/_wxgate/logout", &[], "").await;

    assert_eq!(client.get("/orders").await.status, 401);
    assert_eq!(renewed.get("/orders").await.status, 401);
}

#[tokio::test]
async fn logout_everywhere_ends_all_sessions_of_a_unionid() {
    let more = "[identity]\nsubject = \"user\"";
    let gateway = gateway(more).await;
    let client = gateway.mini_program("alice").await;
    let mut alice = gateway.browser_in_wechat("alice");
    let purpose = alice.get("/member").await;
    alice.press(&purpose).await.assert_ok();
    let listed = me(&alice).await["sessions"].clone();
    assert_eq!(listed[0]["app"], "mini");

    let ours = [JSON, ("origin", gateway.public_url())];
    let address = "/_wxgate/logout?everywhere=1";
    let reply = alice.send(Method::POST, address, &ours, "").await;

    assert_eq!(reply.json()["logged_out"], true);
    assert_eq!(client.get("/orders").await.status, 401);
}

#[tokio::test]
async fn kept_sessions_survive_a_restart_and_their_logout_too() {
    let setup = Setup {
        store: "embedded",
        ..in_store("")
    };
    let mut gateway = TestGateway::with(|first| {
        *first = Setup {
            store: "embedded",
            ..in_store("")
        }
    })
    .await;
    let mut alice = logged_in(&gateway, "alice").await;
    let mut bob = logged_in(&gateway, "bob").await;
    crate::support::log_out(&gateway, &mut bob.clone()).await;

    gateway.restart(&setup).await;
    alice.follow(&gateway);
    bob.follow(&gateway);

    assert!(is_somebody(&gateway, &alice).await);
    assert!(!is_somebody(&gateway, &bob).await);
}

#[tokio::test]
async fn a_used_session_slides_along_in_the_store_and_still_has_an_end() {
    let gateway = gateway("").await;
    let mut alice = logged_in(&gateway, "alice").await;
    for _ in 0..16 {
        gateway.clock().advance(Duration::from_secs(10 * 3600));
        assert_eq!(alice.get("/orders").await.hops.len(), 1);
    }

    gateway.clock().advance(Duration::from_secs(8 * 3600));

    assert!(!is_somebody(&gateway, &alice).await);
    assert_eq!(gateway.simulator().logins(), 1);
}

/// Alice, logged in with her profile.
async fn member(gateway: &TestGateway) -> Browser {
    let mut alice = gateway.browser_in_wechat("alice");
    let purpose = alice.get("/member").await;
    alice.press(&purpose).await.assert_ok();
    alice
}

/// Comes back every ten hours, so that the session stays, for this many days.
async fn keep_coming(gateway: &TestGateway, browser: &mut Browser, hours: u64) {
    for _ in 0..hours / 10 {
        gateway.clock().advance(Duration::from_secs(36_000));
        browser.get("/member").await.assert_ok();
    }
}

async fn nickname(gateway: &TestGateway, browser: &mut Browser) -> String {
    // What was known for a minute is looked up again.
    gateway.clock().advance(Duration::from_secs(61));
    browser.get("/member").await.assert_ok();
    let seen = gateway.upstream().last();
    let nickname = seen.header("x-wechat-nickname");
    percent_encoding::percent_decode_str(nickname)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

#[tokio::test]
async fn a_profile_is_refreshed_in_the_background_once_a_day() {
    let gateway = gateway("[jwt]\nclaims = [\"profile_at\"]").await;
    let mut alice = member(&gateway).await;
    let seen = gateway.upstream().last();
    let before = profile_at(&seen);
    gateway.simulator().set_nickname("alice", "新名字");
    keep_coming(&gateway, &mut alice, 20).await;
    assert_eq!(gateway.calls("/sns/oauth2/refresh_token"), 0);

    keep_coming(&gateway, &mut alice, 10).await;
    eventually("the profile is fetched", async || {
        gateway.calls("/sns/userinfo") == 2
    })
    .await;

    eventually("the site learns the name", async || {
        nickname(&gateway, &mut alice).await == "新名字"
    })
    .await;
    assert!(profile_at(&gateway.upstream().last()) > before + 86_400);
    assert_eq!(gateway.calls("/sns/oauth2/refresh_token"), 1);
    assert_eq!(gateway.simulator().logins(), 1);
}

fn profile_at(seen: &crate::support::Seen) -> u64 {
    let token = seen.header("x-wxgate-jwt-assertion");
    let payload = token.split('.').nth(1).unwrap();
    let payload = data_encoding::BASE64URL_NOPAD
        .decode(payload.as_bytes())
        .unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    claims["profile_at"].as_u64().unwrap()
}

#[tokio::test]
async fn a_refresh_token_that_wechat_takes_no_more_is_forgotten() {
    use wxgate::simulator::{Endpoint, Trouble};

    for (errcode, later) in [(42002, 1), (40030, 1), (-1, 4)] {
        let gateway = gateway("").await;
        let mut alice = member(&gateway).await;
        let refreshes = || gateway.calls("/sns/oauth2/refresh_token");
        // "Busy" is tried three times at once, and again later; the others are over.
        let tries = if errcode == -1 { 3 } else { 1 };
        for _ in 0..tries {
            gateway
                .simulator()
                .faults()
                .next(Endpoint::Refresh, Trouble::Errcode(errcode));
        }
        keep_coming(&gateway, &mut alice, 30).await;
        eventually("WeChat is asked", async || refreshes() == tries).await;

        eventually("the outcome is known", async || {
            keep_coming(&gateway, &mut alice, 10).await;
            refreshes() == later
        })
        .await;
        if errcode != -1 {
            keep_coming(&gateway, &mut alice, 20).await;
            assert_eq!(refreshes(), later, "{errcode}");
        }
    }
}

#[tokio::test]
async fn a_profile_is_refreshed_for_as_long_as_wechat_takes_the_token() {
    const DAY: u64 = 24;
    for (is_long, days, is_fresh) in [
        (false, 29, true),
        (false, 31, false),
        (true, 179, true),
        (true, 181, false),
    ] {
        let gateway = gateway("idle_timeout = \"200d\"\nmax_lifetime = \"200d\"").await;
        let faults = gateway.simulator().faults();
        faults.change(|switches| switches.long_refresh = is_long);
        let mut alice = member(&gateway).await;
        gateway.simulator().set_nickname("alice", "新名字");

        gateway
            .clock()
            .advance(Duration::from_secs(days * DAY * 3600));
        alice.get("/member").await.assert_ok();

        let name = if is_fresh { "新名字" } else { "alice 🙂" };
        eventually("WeChat is asked", async || {
            gateway.calls("/sns/oauth2/refresh_token") == 1
        })
        .await;
        eventually("the outcome is known", async || {
            nickname(&gateway, &mut alice).await == name
        })
        .await;
        assert_eq!(gateway.calls("/sns/oauth2/refresh_token"), 1, "{days}");
    }
}

#[tokio::test]
async fn a_changed_profile_is_fetched_anew_where_sessions_are_kept() {
    let gateway = TestGateway::with(|setup| {
        *setup = in_store("");
        setup.app = push_keys("");
    })
    .await;
    let mut alice = member(&gateway).await;
    assert_eq!(nickname(&gateway, &mut alice).await, "alice 🙂");
    gateway.simulator().set_nickname("alice", "新名字");
    let (now, person) = (gateway.clock().now(), gateway.simulator().person("alice"));
    let account = push_account(APP_ID, true, false);
    let push = account.consent(
        "user_info_modified",
        &person.unwrap().openid(APP_ID),
        None,
        now,
    );

    let reply = send_push(&gateway, "main", &push).await;

    assert_eq!((reply.status.as_u16(), reply.text()), (200, "success"));
    // The old name is gone at once, the new one is there as soon as WeChat told it.
    alice.get("/member").await.assert_ok();
    assert_eq!(gateway.upstream().last().header("x-wechat-nickname"), "");
    eventually("the site learns the name", async || {
        nickname(&gateway, &mut alice).await == "新名字"
    })
    .await;
    assert_eq!(gateway.calls("/sns/oauth2/refresh_token"), 1);
    assert_eq!(gateway.simulator().logins(), 1);
}

#[tokio::test]
async fn a_withdrawn_consent_ends_kept_sessions_and_their_streams() {
    let site = event_stream().await;
    let gateway = TestGateway::with(|setup| {
        *setup = in_store("");
        setup.app = push_keys("");
        setup.routes = setup.routes.replacen("UPSTREAM", &site.url(), 1);
    })
    .await;
    let alice = logged_in_at_the_door(&gateway, "alice").await;
    let (other, bob) = (
        logged_in_at_the_door(&gateway, "alice").await,
        logged_in_at_the_door(&gateway, "bob").await,
    );
    let stream = Talk::listening(gateway.address(), &alice.cookie_header()).await;
    let openid = gateway.simulator().person("alice").unwrap().openid(APP_ID);
    let account = push_account(APP_ID, true, false);
    let push = account.consent(
        "user_authorization_revoke",
        &openid,
        None,
        gateway.clock().now(),
    );

    let reply = send_push(&gateway, "main", &push).await;

    assert_eq!((reply.status.as_u16(), reply.text()), (200, "success"));
    stream.ends_within_a_second().await;
    assert!(!is_somebody(&gateway, &alice).await);
    assert!(!is_somebody(&gateway, &other).await);
    assert!(is_somebody(&gateway, &bob).await);
    // The record is no help to a copy of the cookie, nor is a later login hurt by the push.
    gateway.clock().advance(Duration::from_secs(2));
    let again = logged_in_at_the_door(&gateway, "alice").await;
    assert!(is_somebody(&gateway, &again).await);
    assert_eq!(me(&again).await.get("sessions"), None);
}

#[tokio::test]
async fn a_store_that_takes_nothing_lets_nobody_in_and_ends_nothing() {
    let gateway = TestGateway::start().await;
    let (mut alice, mut bob) = (
        gateway.browser_in_wechat("alice"),
        gateway.browser_in_wechat("bob"),
    );
    let setup = Setup {
        store: "embedded",
        ..in_store("")
    };
    let program = Process::configured(&gateway.config_text(&setup)).await;
    alice.follow_to(program.address());
    bob.follow_to(program.address());
    alice.get("/site").await.assert_ok();
    let origin = [("origin", "https://www.example.test")];

    limit_files(&program, "1");

    let visit = bob.get("/site").await;
    assert_eq!(visit.status(), 503, "{}", visit.text());
    assert_eq!(bob.cookie("__Host-wxgate"), None);
    // What was kept before is still read: nobody is logged out by it, and nobody else let in.
    alice.get("/site").await.assert_ok();
    for address in ["/_wxgate/logout", "/_wxgate/logout?everywhere=1"] {
        let logout = alice.send(Method::POST, address, &origin, "").await;
        assert_eq!(logout.status, 503, "{}", logout.text());
        assert!(!logout.headers.contains_key("set-cookie"));
    }

    limit_files(&program, "unlimited");
    let logout = alice
        .send(Method::POST, "/_wxgate/logout", &origin, "")
        .await;
    assert_eq!(logout.reason(), "logged-out", "{}", logout.text());
    bob.get("/site").await.assert_ok();
}
