//! Login inside WeChat, through the whole gateway and the simulator.

use std::time::Duration;

use url::Url;

use crate::support::{APP_ID, Browser, TestGateway, Visit};

const EXCHANGE: &str = "/sns/oauth2/access_token";
const USERINFO: &str = "/sns/userinfo";

const NO_LIMITS: &str = r#"
    [rate_limit]
    login_start = "none"
    callback = "none"
"#;

#[tokio::test]
async fn returning_visitor_is_not_sent_to_wechat_again() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");

    alice.get("/orders").await.assert_ok();
    let logins = gateway.simulator().logins();

    alice.get("/orders").await.assert_ok();
    assert_eq!(logins, 1);
    assert_eq!(gateway.simulator().logins(), logins);
}

/// Older scripts write names into cookies as they are, in UTF-8 or GBK.
#[tokio::test]
async fn cookies_of_the_site_that_are_no_text_stand_in_no_logins_way() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.set_cookie("nick", "张三");

    alice.get("/orders").await.assert_ok();

    let seen = gateway.upstream().last();
    assert_eq!(seen.headers["cookie"].as_bytes(), "nick=张三".as_bytes());
}

#[tokio::test]
async fn silent_login_is_two_bare_redirects() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");

    let visit = alice.get("/orders").await;

    visit.assert_ok();
    let paths: Vec<_> = visit.hops.iter().map(Url::path).collect();
    let authorize = "/connect/oauth2/authorize";
    assert_eq!(
        paths,
        ["/orders", authorize, "/_wxgate/callback/main", "/orders"]
    );
    let statuses: Vec<_> = visit.replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [302, 302, 302, 200]);
    assert_eq!(visit.replies[0].reason(), "login-redirect");
    assert_eq!(visit.replies[2].reason(), "login-finished");
    assert!(visit.replies[0].body.is_empty() && visit.replies[2].body.is_empty());
    // Only the visitor's own request reached the site, as the person that WeChat named.
    let seen = gateway.upstream().seen();
    assert_eq!(seen.len(), 1);
    let openid = gateway.simulator().person("alice").unwrap().openid(APP_ID);
    assert_eq!(seen[0].header("x-wechat-openid"), openid);
    assert_eq!(seen[0].header("x-wechat-scope"), "snsapi_base");
    assert_eq!(gateway.calls(EXCHANGE), 1);
    assert_eq!(gateway.calls(USERINFO), 0);
}

#[tokio::test]
async fn authorize_address_has_the_one_form_that_every_client_takes() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");

    let reply = alice.get_once("/orders?a=1").await;

    let callback = "https%3A%2F%2Fwww.example.test%2F_wxgate%2Fcallback%2Fmain";
    let before = format!(
        "{}/connect/oauth2/authorize?appid={APP_ID}&redirect_uri={callback}",
        gateway.simulator().url()
    );
    let rest = reply.header("location").strip_prefix(&before).unwrap();
    let (way_back, state) = rest
        .split_once("&response_type=code&scope=snsapi_base&state=")
        .unwrap();
    // Where the visitor wanted to go travels sealed: WeChat does not need to know.
    let sealed = way_back.strip_prefix("%3Fback%3D").unwrap();
    assert!(
        sealed
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    );
    let state = state
        .strip_suffix("&connect_redirect=1#wechat_redirect")
        .unwrap();
    assert!((22..=32).contains(&state.len()), "{state}");
    assert!(state.bytes().all(|byte| byte.is_ascii_alphanumeric()));
}

#[tokio::test]
async fn deep_link_is_reached_as_it_was_asked_for() {
    let gateway = TestGateway::with(|setup| setup.sections = NO_LIMITS.to_owned()).await;
    for target in [
        "/orders?a=1&a=2&b=",
        "/orders?",
        "/orders?next=https%3A%2F%2Fevil.example%2F",
        "/orders?code=of-the-site&state=of-the-site",
        "/%E5%B0%8F/a%20b?q=%E7%A8%8B%26x",
        "/orders/a+b;c=d?e=f%2Fg",
        "/orders?to=//evil.example",
    ] {
        let mut visitor = gateway.browser_in_wechat("alice");
        let visit = visitor.get(target).await;
        visit.assert_ok();
        assert_eq!(gateway.upstream().last().target, target);
        assert_eq!(visit.hops.len(), 4, "{:?}", visit.hops);
    }
}

#[tokio::test]
async fn profile_login_asks_first_and_brings_nickname_and_avatar() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");

    let purpose = alice.get("/member?x=1").await;

    assert_eq!(purpose.status(), 200);
    assert_eq!(purpose.last().reason(), "login-purpose");
    assert_eq!(purpose.hops.len(), 1);
    assert!(!purpose.text().contains("class=\"quiet\""));
    assert!(gateway.simulator().calls().is_empty());
    let visit = alice.press(&purpose).await;
    visit.assert_ok();
    assert!(
        visit.hops[1]
            .query()
            .unwrap()
            .contains("scope=snsapi_userinfo&")
    );
    let seen = gateway.upstream().last();
    assert_eq!(seen.target, "/member?x=1");
    assert_eq!(seen.header("x-wechat-nickname"), "alice%20%F0%9F%99%82");
    assert!(seen.header("x-wechat-avatar").starts_with("https://"));
    assert_eq!(seen.header("x-wechat-scope"), "snsapi_userinfo");
    assert_eq!(gateway.calls(EXCHANGE), 1);
    assert_eq!(gateway.calls(USERINFO), 1);
}

#[tokio::test]
async fn link_of_another_site_cannot_skip_the_purpose_page() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let purpose = alice.get("/member").await;

    let headers = [
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "cross-site"),
    ];
    let action = purpose.last().action();
    let reply = alice.send(http::Method::GET, &action, &headers, "").await;

    assert_eq!(reply.reason(), "login-purpose");
}

#[tokio::test]
async fn profile_login_goes_straight_on_where_that_is_configured() {
    let gateway = TestGateway::with(|setup| {
        setup.sections = "[login]\nuserinfo_prompt = \"auto\"".to_owned();
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");

    let visit = alice.get("/member").await;

    visit.assert_ok();
    assert_eq!(visit.hops.len(), 4);
}

#[tokio::test]
async fn step_up_to_the_profile_keeps_the_session_whatever_the_answer() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let openid = gateway
        .upstream()
        .last()
        .header("x-wechat-openid")
        .to_owned();

    let purpose = alice.get("/member").await;
    assert_eq!(purpose.last().reason(), "login-purpose");
    alice.refuse_consent();
    let refused = alice.press(&purpose).await;
    refused.assert_page(401, "WXG-LOGIN-CANCELLED");
    alice.get("/orders").await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 1);

    alice.grant_consent();
    let visit = press_through(&mut alice, &refused).await;
    visit.assert_ok();
    let seen = gateway.upstream().last();
    assert_eq!(seen.target, "/member");
    assert_eq!(seen.header("x-wechat-openid"), openid);
    alice.get("/orders").await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 2);
}

/// From a page with "try again" over the purpose page to where it ends.
async fn press_through(browser: &mut Browser, page: &Visit) -> Visit {
    let purpose = browser.press(page).await;
    assert_eq!(purpose.last().reason(), "login-purpose");
    browser.press(&purpose).await
}

#[tokio::test]
async fn visitor_may_go_on_without_the_profile_where_nothing_demands_it() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");

    let purpose = alice
        .get("/_wxgate/login?scope=userinfo&to=/maybe%3Fa%3D1")
        .await;

    assert_eq!(purpose.last().reason(), "login-purpose");
    let without = purpose.last().link("class=\"quiet\"").unwrap();
    let visit = alice.get(&without).await;
    visit.assert_ok();
    let seen = gateway.upstream().last();
    assert_eq!(seen.target, "/maybe?a=1");
    assert_eq!(seen.header("x-wechat-scope"), "snsapi_base");
    assert_eq!(gateway.calls(USERINFO), 0);
    // The other button works as well, afterwards.
    alice.press(&purpose).await.assert_ok();
    assert_eq!(
        gateway.upstream().last().header("x-wechat-scope"),
        "snsapi_userinfo"
    );
}

#[tokio::test]
async fn refusal_ends_at_a_page_whose_button_starts_afresh() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    gateway.simulator().faults().change(|s| s.refuse = true);

    let refused = alice.get("/orders?a=1").await;

    refused.assert_page(401, "WXG-LOGIN-CANCELLED");
    assert_eq!(refused.last().reason(), "login-not-finished");
    assert_eq!(refused.last().header("www-authenticate"), "Wxgate");
    assert!(gateway.simulator().calls().is_empty());
    assert!(gateway.upstream().seen().is_empty());
    let page = refused.last();
    assert!(page.text().contains(page.header("x-request-id")));
    gateway.simulator().faults().clear();
    let visit = alice.press(&refused).await;
    visit.assert_ok();
    assert_eq!(gateway.upstream().last().target, "/orders?a=1");
    assert_ne!(refused.hops[1], visit.hops[1], "a fresh state");
}

#[tokio::test]
async fn snapshot_person_gets_a_page_and_no_session() {
    for refuses in [true, false] {
        let gateway = TestGateway::with(|setup| {
            let word = if refuses { "refuse" } else { "anonymous" };
            setup.sections = format!("[login]\nsnapshot_user = \"{word}\"");
        })
        .await;
        let mut alice = gateway.browser_in_wechat("alice");
        gateway.simulator().faults().change(|s| s.snapshot = true);

        let visit = alice.get("/orders").await;

        assert_eq!(visit.status(), 403);
        assert_eq!(visit.last().reason(), "snapshot");
        assert_eq!(alice.cookie("__Host-wxgate"), None);
        assert!(gateway.upstream().seen().is_empty());

        // Where nothing demands a login, `anonymous` goes on without identity.
        let visit = alice.get("/_wxgate/login?to=/maybe").await;
        assert_eq!(alice.cookie("__Host-wxgate"), None);
        if refuses {
            assert_eq!(visit.last().reason(), "snapshot");
            assert!(gateway.upstream().seen().is_empty());
        } else {
            visit.assert_ok();
            let seen = gateway.upstream().last();
            assert_eq!(seen.target, "/maybe");
            assert!(!seen.headers.contains_key("x-wechat-openid"));
            assert!(!seen.headers.contains_key("x-wxgate-jwt-assertion"));
        }

        // "Use the full service" loads the page anew, as the real person.
        gateway.simulator().faults().clear();
        alice.get("/orders").await.assert_ok();
        let openid = gateway.simulator().person("alice").unwrap().openid(APP_ID);
        assert_eq!(gateway.upstream().last().header("x-wechat-openid"), openid);
    }
}

#[tokio::test]
async fn snapshot_person_keeps_the_session_of_the_real_one() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let purpose = alice.get("/member").await;
    gateway.simulator().faults().change(|s| s.snapshot = true);

    let visit = alice.press(&purpose).await;

    assert_eq!(visit.last().reason(), "snapshot");
    assert_eq!(gateway.calls(USERINFO), 0);
    gateway.simulator().faults().clear();
    let logins = gateway.simulator().logins();
    alice.get("/orders").await.assert_ok();
    assert_eq!(gateway.simulator().logins(), logins);
}

#[tokio::test]
async fn each_tab_returns_to_its_own_page() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let mut callbacks = Vec::new();
    for tab in 0..6 {
        let (_, callback) = alice
            .get_until(&format!("/orders?tab={tab}"), "/callback/")
            .await;
        callbacks.push(callback);
    }

    // Five fit into the cookie. The oldest one was forgotten: that tab starts again, and knows its way back all the same.
    for (tab, callback) in callbacks.iter().enumerate().rev() {
        let mut other = alice.clone();
        let visit = other.get(callback.as_str()).await;
        visit.assert_ok();
        assert_eq!(
            gateway.upstream().last().target,
            format!("/orders?tab={tab}")
        );
    }
}

#[tokio::test]
async fn attempt_that_took_too_long_starts_again() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let (_, late) = alice.get_until("/orders?a=1", "/callback/").await;
    gateway.clock().advance(Duration::from_secs(601));

    let visit = alice.get(late.as_str()).await;

    visit.assert_ok();
    assert_eq!(gateway.upstream().last().target, "/orders?a=1");
    assert_eq!(gateway.calls(EXCHANGE), 1, "the old code was not exchanged");
    assert_eq!(visit.replies[0].reason(), "login-redirect");
}

#[tokio::test]
async fn late_callback_of_somebody_logged_in_goes_on() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let (_, late) = alice.get_until("/orders?a=1", "/callback/").await;
    alice.get("/orders?b=2").await.assert_ok();
    gateway.clock().advance(Duration::from_secs(601));

    let visit = alice.get(late.as_str()).await;

    visit.assert_ok();
    assert_eq!(gateway.upstream().last().target, "/orders?a=1");
    assert_eq!(gateway.calls(EXCHANGE), 1);
}

#[tokio::test]
async fn old_login_is_renewed_silently_where_the_route_wants_a_young_one() {
    let gateway = TestGateway::with(|setup| {
        setup.routes.push_str(
            r#"
            [[routes]]
            name = "admin"
            path = "/admin"
            auth = "userinfo"
            max_age = "30m"
            upstream = "UPSTREAM"
            "#,
        );
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    let purpose = alice.get("/admin").await;
    alice.press(&purpose).await.assert_ok();
    let nickname = gateway
        .upstream()
        .last()
        .header("x-wechat-nickname")
        .to_owned();
    gateway.clock().advance(Duration::from_secs(31 * 60));

    // Elsewhere the age does not matter.
    alice.get("/orders").await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 1);
    let visit = alice.get("/admin?x=1").await;

    visit.assert_ok();
    assert_eq!(visit.hops.len(), 4, "{:?}", visit.hops);
    assert!(
        visit.hops[1]
            .query()
            .unwrap()
            .contains("scope=snsapi_base&")
    );
    let seen = gateway.upstream().last();
    assert_eq!(seen.target, "/admin?x=1");
    assert_eq!(
        seen.header("x-wechat-nickname"),
        nickname,
        "the profile stays"
    );
    assert_eq!(gateway.simulator().logins(), 2);

    // Q14: another account on the phone meanwhile is noticed here.
    gateway.clock().advance(Duration::from_secs(31 * 60));
    gateway.simulator().add_person("bob");
    alice.switch_person("bob");
    let visit = alice.get("/admin").await;
    assert_eq!(
        visit.last().reason(),
        "login-purpose",
        "bob granted nothing yet"
    );
    alice.press(&visit).await.assert_ok();
    let bob = gateway.simulator().person("bob").unwrap().openid(APP_ID);
    assert_eq!(gateway.upstream().last().header("x-wechat-openid"), bob);
}

#[tokio::test]
async fn login_by_hand_leads_to_our_own_pages_only() {
    let gateway = TestGateway::with(|setup| setup.sections = NO_LIMITS.to_owned()).await;
    let table = [
        ("/orders?a=1", "/orders?a=1"),
        ("https://www.example.test/orders", "/orders"),
        ("https://evil.example/orders", "/"),
        ("//evil.example/orders", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/_wxgate/logout", "/"),
        ("", "/"),
    ];
    for (to, expected) in table {
        let mut alice = gateway.browser_in_wechat("alice");
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("to", to)
            .finish();
        let visit = alice.get(&format!("/_wxgate/login?{query}")).await;
        visit.assert_ok();
        assert_eq!(gateway.upstream().last().target, expected, "{to}");
        // Once more while logged in.
        let visit = alice.get(&format!("/_wxgate/login?{query}")).await;
        visit.assert_ok();
        assert_eq!(visit.hops.len(), 2);
        assert_eq!(gateway.upstream().last().target, expected, "{to}");
    }
}
