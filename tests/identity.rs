//! Who the application is told that somebody is: openid, unionid, and the forms of the subject.

use std::collections::BTreeSet;

use data_encoding::BASE64URL_NOPAD;
use futures_util::future::join_all;
use serde_json::Value;

use crate::support::{APP_ID, MINI_ID, Seen, TestGateway, client_apps};

const VIP: &str = r#"
    [[routes]]
    name = "vip"
    path = "/vip"
    auth = "base"
    require = ["unionid"]
    upstream = "UPSTREAM"
"#;

/// The claims of the token that the site got.
fn claims(seen: &Seen) -> Value {
    let token = seen.header("x-wxgate-jwt-assertion");
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

#[tokio::test]
async fn unionid_is_attached_as_soon_as_wechat_tells_it() {
    let gateway = TestGateway::start().await;
    let person = gateway.simulator().add_person("alice");
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let before = gateway.upstream().last();

    let purpose = alice.get("/member").await;
    alice.press(&purpose).await.assert_ok();

    let after = gateway.upstream().last();
    assert_eq!(before.header("x-wechat-unionid"), "");
    assert_eq!(claims(&before).get("unionid"), None);
    assert_eq!(after.header("x-wechat-unionid"), person.unionid());
    assert_eq!(claims(&after)["unionid"], person.unionid());
    // The person stays the same one.
    let subject = format!("wechat:{APP_ID}:{}", person.openid(APP_ID));
    for seen in [&before, &after] {
        assert_eq!(seen.header("x-wechat-subject"), subject);
        assert_eq!(claims(seen)["sub"], subject);
        assert_eq!(claims(seen)["openid"], person.openid(APP_ID));
    }
    assert_ne!(claims(&before)["sid"], claims(&after)["sid"]);
}

#[tokio::test]
async fn silent_login_of_who_consented_before_brings_the_unionid() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let purpose = alice.get("/member").await;
    alice.press(&purpose).await.assert_ok();
    let unionid = gateway.simulator().person("alice").unwrap().unionid();
    alice.clear_cookies();

    alice.get("/orders").await.assert_ok();

    let seen = gateway.upstream().last();
    assert_eq!(seen.header("x-wechat-scope"), "snsapi_base");
    assert_eq!(seen.header("x-wechat-unionid"), unionid);
}

#[tokio::test]
async fn snapshot_persons_unionid_is_nobodys() {
    let gateway = TestGateway::with(|setup| {
        setup.sections = "[login]\nsnapshot_user = \"anonymous\"".to_owned();
        setup.routes.push_str(VIP);
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    gateway.simulator().faults().change(|s| s.snapshot = true);

    let purpose = alice.get("/_wxgate/login?scope=userinfo&to=/maybe").await;
    alice.press(&purpose).await.assert_ok();
    let seen = gateway.upstream().last();
    assert!(!seen.headers.contains_key("x-wechat-unionid"));
    assert!(!seen.headers.contains_key("x-wechat-openid"));

    let visit = alice.get("/vip").await;
    assert_eq!(visit.last().reason(), "snapshot");
    assert_eq!(gateway.upstream().seen().len(), 1);
}

#[tokio::test]
async fn required_unionid_leads_through_the_profile_once() {
    let gateway = TestGateway::with(|setup| setup.routes.push_str(VIP)).await;
    let mut alice = gateway.browser_in_wechat("alice");

    // A silent login, which brings none, and then the purpose page.
    let purpose = alice.get("/vip?a=1").await;
    assert_eq!(purpose.last().reason(), "login-purpose");
    assert!(gateway.upstream().seen().is_empty());
    assert_eq!(gateway.simulator().logins(), 1);
    let visit = alice.press(&purpose).await;

    visit.assert_ok();
    let seen = gateway.upstream().last();
    let unionid = gateway.simulator().person("alice").unwrap().unionid();
    assert_eq!(seen.target, "/vip?a=1");
    assert_eq!(seen.header("x-wechat-unionid"), unionid);
    alice.get("/vip").await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 2);
}

#[tokio::test]
async fn required_unionid_that_never_comes_is_a_refusal_and_no_loop() {
    let gateway = TestGateway::with(|setup| setup.routes.push_str(VIP)).await;
    gateway.simulator().set_has_unionid(false);
    let mut alice = gateway.browser_in_wechat("alice");

    let purpose = alice.get("/vip").await;
    let visit = alice.press(&purpose).await;

    assert_eq!(visit.status(), 403);
    assert_eq!(visit.last().reason(), "denied");
    for _ in 0..3 {
        let visit = alice.get("/vip").await;
        assert_eq!((visit.status().as_u16(), visit.hops.len()), (403, 1));
    }
    assert_eq!(gateway.simulator().authorizations(), 2);
    assert!(gateway.upstream().seen().is_empty());
    // The rest of the site does not mind.
    alice.get("/orders").await.assert_ok();
}

#[tokio::test]
async fn unionid_as_subject_never_becomes_another_form() {
    let sections = "[identity]\nsubject = \"unionid\"";
    let gateway = TestGateway::with(|setup| setup.sections = sections.to_owned()).await;
    let mut alice = gateway.browser_in_wechat("alice");

    // Every route needs it, so a silent login is followed by the purpose page.
    let purpose = alice.get("/orders").await;
    assert_eq!(purpose.last().reason(), "login-purpose");
    assert!(gateway.upstream().seen().is_empty());
    alice.press(&purpose).await.assert_ok();
    let unionid = gateway.simulator().person("alice").unwrap().unionid();
    let subject = format!("wechat:union:{unionid}");
    let seen = gateway.upstream().last();
    assert_eq!(seen.header("x-wechat-subject"), subject);
    assert_eq!(claims(&seen)["sub"], subject);

    gateway.simulator().set_has_unionid(false);
    let mut bob = gateway.browser_in_wechat("bob");
    let purpose = bob.get("/orders").await;
    let visit = bob.press(&purpose).await;
    assert_eq!(visit.last().reason(), "denied");
    assert_eq!(gateway.upstream().seen().len(), 1);
    // Where no login is needed, bob is nobody rather than somebody under another name.
    bob.get("/maybe").await.assert_ok();
    let seen = gateway.upstream().last();
    assert!(!seen.headers.contains_key("x-wechat-subject"));
    assert!(!seen.headers.contains_key("x-wxgate-jwt-assertion"));
}

#[tokio::test]
async fn same_person_is_another_openid_for_another_app() {
    let gateway = TestGateway::start().await;
    let person = gateway.simulator().add_person("alice");
    assert_ne!(person.openid(APP_ID), person.openid("wxfedcba9876543210"));
    let mut alice = gateway.browser_in_wechat("alice");

    alice.get("/orders").await.assert_ok();

    let seen = gateway.upstream().last();
    assert_eq!(seen.header("x-wechat-appid"), APP_ID);
    let claims = claims(&seen);
    assert_eq!(claims["appid"], APP_ID);
    assert_eq!(claims["app"], "main");
    assert_eq!(claims["amr"], serde_json::json!(["wechat_mp"]));
    assert_eq!(claims["scope"], "snsapi_base");
}

/// One user for each person over all apps.
async fn with_users(store: &'static str) -> TestGateway {
    TestGateway::with(|setup| {
        setup.sections = format!("{}\n[identity]\nsubject = \"user\"", client_apps());
        setup.store = store;
    })
    .await
}

#[tokio::test]
async fn two_apps_with_one_unionid_are_one_subject() {
    for store in ["memory", "embedded"] {
        let gateway = with_users(store).await;
        let client = gateway.mini_program("alice").await;
        client.get("/orders").await;
        let by_mini_program = claims(&gateway.upstream().last());

        let mut alice = gateway.browser_in_wechat("alice");
        let purpose = alice.get("/member").await;
        alice.press(&purpose).await.assert_ok();
        let seen = gateway.upstream().last();

        let subject = by_mini_program["sub"].as_str().unwrap();
        assert!(subject.starts_with("wechat:user:"), "{subject}");
        assert_eq!(claims(&seen)["sub"], subject);
        assert_eq!(seen.header("x-wechat-subject"), subject);
        assert_eq!(claims(&seen).get("aka"), None);
        assert_ne!(claims(&seen)["openid"], by_mini_program["openid"]);
        let bob = gateway.mini_program("bob").await;
        bob.get("/orders").await;
        assert_ne!(claims(&gateway.upstream().last())["sub"], subject);
    }
}

#[tokio::test]
async fn a_hundred_first_logins_at_once_on_two_apps_are_one_subject() {
    for store in ["memory", "embedded"] {
        let gateway = TestGateway::with(|setup| {
            let limits =
                "[rate_limit]\nlogin_start = \"none\"\ncallback = \"none\"\ncode_api = \"none\"";
            let identity = "[identity]\nsubject = \"user\"";
            setup.sections = format!("{}\n{limits}\n{identity}", client_apps());
            setup.store = store;
        })
        .await;
        let gateway = &gateway;
        let by_browser = (0..50).map(|_| async move {
            let mut alice = gateway.browser_in_wechat("alice");
            let purpose = alice.get("/member").await;
            alice.press(&purpose).await.assert_ok();
        });
        let by_mini_program = (0..50).map(|_| async move {
            let client = gateway.mini_program("alice").await;
            assert_eq!(client.get("/orders").await.status, 200);
        });

        tokio::join!(join_all(by_browser), join_all(by_mini_program));

        let seen = gateway.upstream().take();
        assert_eq!(seen.len(), 100);
        let apps: BTreeSet<_> = seen
            .iter()
            .map(|seen| seen.header("x-wechat-appid"))
            .collect();
        assert_eq!(apps, BTreeSet::from([APP_ID, MINI_ID]));
        let subjects: BTreeSet<_> = seen
            .iter()
            .map(|seen| seen.header("x-wechat-subject"))
            .collect();
        assert_eq!(subjects.len(), 1, "{store}: {subjects:?}");
        assert!(
            subjects
                .iter()
                .all(|subject| subject.starts_with("wechat:user:"))
        );
    }
}

#[tokio::test]
async fn a_late_unionid_joins_two_users_and_tells_the_old_subject() {
    let gateway = with_users("memory").await;
    // First known to the service account only by openid, then to the mini program by unionid.
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let old = claims(&gateway.upstream().last())["sub"].clone();
    gateway.clock().advance(std::time::Duration::from_secs(1));
    let client = gateway.mini_program("alice").await;
    client.get("/orders").await;
    let young = claims(&gateway.upstream().last())["sub"].clone();
    assert_ne!(old, young);

    let purpose = alice.get("/member").await;
    alice.press(&purpose).await.assert_ok();

    let after = claims(&gateway.upstream().last());
    assert_eq!(after["sub"], old);
    assert_eq!(after["aka"], serde_json::json!([young]));
    // The other app's session, which has gone on all the time, is the same person at once.
    client.get("/orders").await;
    let seen = gateway.upstream().last();
    assert_eq!(claims(&seen)["sub"], old);
    assert_eq!(claims(&seen)["aka"], serde_json::json!([young]));
    assert_eq!(seen.header("x-wechat-appid"), MINI_ID);
}

#[tokio::test]
async fn users_are_the_same_after_a_restart() {
    let mut setup = crate::support::Setup {
        sections: format!("{}\n[identity]\nsubject = \"user\"", client_apps()),
        store: "embedded",
        ..crate::support::Setup::default()
    };
    let mut gateway = with_users("embedded").await;
    let client = gateway.mini_program("alice").await;
    client.get("/orders").await;
    let before = claims(&gateway.upstream().last())["sub"].clone();

    setup.server = String::new();
    gateway.restart(&setup).await;
    let again = gateway.mini_program("alice").await;
    again.get("/orders").await;

    assert_eq!(claims(&gateway.upstream().last())["sub"], before);
}

#[tokio::test]
async fn a_snapshot_visitor_joins_nobody() {
    let gateway = with_users("memory").await;
    let mut alice = gateway.browser_in_wechat("alice");
    gateway
        .simulator()
        .faults()
        .change(|switches| switches.snapshot = true);
    let purpose = alice.get("/member").await;
    let page = alice.press(&purpose).await;
    assert_eq!(page.last().reason(), "snapshot");
    gateway
        .simulator()
        .faults()
        .change(|switches| switches.snapshot = false);

    let client = gateway.mini_program("alice").await;
    client.get("/orders").await;

    assert_eq!(claims(&gateway.upstream().last()).get("aka"), None);
}
