//! Bearer tokens: a session for clients without cookies, on every route.

use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::support::{Client, Reply, TestGateway, client_apps, logged_in};

const RENEW: &str = "/_wxgate/token/renew";
const HOUR: Duration = Duration::from_secs(3600);

async fn gateway() -> TestGateway {
    TestGateway::with(|setup| setup.sections = client_apps()).await
}

async fn is_somebody(gateway: &TestGateway, client: &Client) -> bool {
    let reply = client.get("/maybe").await;
    assert_eq!(reply.status, 200);
    let seen = gateway.upstream().last();
    assert!(!seen.headers.contains_key("authorization"));
    seen.headers.contains_key("x-wechat-openid")
}

#[track_caller]
fn assert_stale(reply: &Reply) {
    assert_eq!(reply.status, 401, "{}", reply.text());
    let challenge = reply.header("www-authenticate");
    assert_eq!(
        challenge,
        "Bearer realm=\"wxgate\", error=\"invalid_token\""
    );
    assert_eq!(reply.json()["error"], "login_required");
    assert!(!reply.headers.contains_key("location"));
    assert!(!reply.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn a_token_is_a_session_on_every_route_and_never_goes_on() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;

    for path in ["/orders", "/open", "/maybe"] {
        let reply = client.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert!(!reply.headers.contains_key("set-cookie"));
        let seen = gateway.upstream().last();
        assert_eq!(seen.target, path);
        assert!(!seen.headers.contains_key("authorization"), "{path}");
        assert_eq!(
            seen.headers.contains_key("x-wechat-openid"),
            path != "/open"
        );
    }
    let upload = [("content-type", "text/plain")];
    let reply = client.send(Method::POST, "/orders", &upload, "body").await;
    assert_eq!(reply.status, 200);
    assert_eq!(gateway.upstream().last().body, "body");
    let json = [("accept", "application/json")];
    let me = client.send(Method::GET, "/_wxgate/me", &json, "").await;
    assert_eq!(me.json()["app"], "mini");
}

#[tokio::test]
async fn a_stale_token_is_a_401_and_never_a_redirect() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;
    gateway.clock().advance(12 * HOUR);

    let page = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];
    assert_stale(&client.send(Method::GET, "/orders", &page, "").await);
    assert_stale(&client.send(Method::POST, "/orders", &[], "x").await);
    let json = [("accept", "application/json")];
    assert_stale(&client.send(Method::GET, "/_wxgate/me", &json, "").await);
    assert!(!is_somebody(&gateway, &client).await);
    // What was never a token of ours is judged the same way.
    for wrong in ["wxg_", "wxg_AAAA", &"wxg_x".repeat(2000)] {
        let mut other = client.clone();
        other.token = Some(wrong.to_owned());
        assert_stale(&other.get("/orders").await);
    }
}

#[tokio::test]
async fn a_token_whose_login_told_too_little_is_a_403() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;

    let reply = client.get("/member").await;

    assert_eq!(reply.status, 403);
    assert_eq!(reply.json()["error"], "insufficient_scope");
    let challenge = reply.header("www-authenticate");
    assert_eq!(
        challenge,
        "Bearer realm=\"wxgate\", error=\"insufficient_scope\""
    );
}

#[tokio::test]
async fn a_token_is_no_cookie_and_a_cookie_is_no_token() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;
    let browser = logged_in(&gateway, "alice").await;
    let cookie = browser.cookie("__Host-wxgate").unwrap().to_owned();
    // Both are known to the gateway already, each in its own place.
    assert!(is_somebody(&gateway, &client).await);
    browser.clone().get("/maybe").await.assert_ok();

    let token = client.token().to_owned();
    for value in [
        token.as_str(),
        token.strip_prefix("wxg_").unwrap(),
        &format!("Bearer {token}"),
    ] {
        let mut nobody = client.clone();
        nobody.token = None;
        let headers = [("cookie", format!("__Host-wxgate={value}"))];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        nobody.send(Method::GET, "/maybe", &headers, "").await;
        let seen = gateway.upstream().last();
        assert!(!seen.headers.contains_key("x-wechat-openid"), "{value}");
    }
    for value in [format!("wxg_{cookie}"), cookie] {
        let mut other = client.clone();
        other.token = Some(value);
        other.get("/maybe").await;
        let seen = gateway.upstream().last();
        assert!(!seen.headers.contains_key("x-wechat-openid"));
    }
}

#[tokio::test]
async fn what_a_client_shows_counts_and_not_the_cookie_beside_it() {
    let gateway = gateway().await;
    let alice = gateway.mini_program("alice").await;
    let bob = logged_in(&gateway, "bob").await;
    let cookies = bob.cookie_header();
    let headers = [("cookie", cookies.as_str())];

    alice.send(Method::GET, "/orders", &headers, "").await;
    let person = gateway.simulator().person("alice").unwrap();
    let seen = gateway.upstream().last();
    assert_eq!(
        seen.header("x-wechat-openid"),
        person.openid(crate::support::MINI_ID)
    );

    let mut stale = alice.clone();
    stale.token = Some("wxg_stale".to_owned());
    assert_stale(&stale.send(Method::GET, "/orders", &headers, "").await);
}

#[tokio::test]
async fn authorization_of_another_kind_is_the_applications_business() {
    let gateway = gateway().await;
    let nobody = gateway.client("alice");
    for value in ["Bearer abc", "Basic d3hnXw==", "Bearer WXG_abc"] {
        let headers = [("authorization", value)];
        nobody.send(Method::GET, "/open", &headers, "").await;
        assert_eq!(gateway.upstream().last().header("authorization"), value);
    }
}

#[tokio::test]
async fn a_token_is_read_where_the_jwt_takes_the_same_header() {
    let gateway = TestGateway::with(|setup| {
        let jwt = "[jwt]\nheader = \"Authorization\"\nprefix = \"Bearer \"";
        setup.sections = format!("{}\n{jwt}", client_apps());
    })
    .await;
    let client = gateway.mini_program("alice").await;

    assert_eq!(client.get("/orders").await.status, 200);

    let seen = gateway.upstream().last();
    let jwt = seen
        .header("authorization")
        .strip_prefix("Bearer ")
        .unwrap();
    assert_eq!(jwt.split('.').count(), 3);
}

#[tokio::test]
async fn a_token_can_be_renewed_until_its_session_ends() {
    let gateway = gateway().await;
    let mut client = gateway.mini_program("alice").await;
    let old = client.clone();
    for _ in 0..16 {
        gateway.clock().advance(10 * HOUR);
        let reply = client.post(RENEW, &json!({})).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        client.keep_token(&reply);
    }

    // 160 of 168 hours: no more is promised than what is left.
    let reply = client.post(RENEW, &json!({})).await;
    let left = reply.json()["expires_in"].as_u64().unwrap();
    assert!((8 * 3600 - 60..=8 * 3600).contains(&left), "{left}");
    assert_eq!(reply.json()["token_type"], "Bearer");
    gateway.clock().advance(8 * HOUR);
    let reply = client.post(RENEW, &json!({})).await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.json()["error"], "invalid_token");
    let reply = old.post(RENEW, &json!({})).await;
    assert_eq!(reply.json()["reaction"], "restart");
}

#[tokio::test]
async fn logout_with_a_token_ends_it_at_once() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;
    let other = gateway.mini_program("alice").await;
    assert!(is_somebody(&gateway, &client).await);

    let json = [("accept", "application/json")];
    let reply = client
        .send(Method::POST, "/_wxgate/logout", &json, "")
        .await;
    assert_eq!(reply.json()["logged_out"], true);

    assert!(!is_somebody(&gateway, &client).await);
    assert!(is_somebody(&gateway, &other).await);
    let reply = other
        .send(Method::POST, "/_wxgate/logout?everywhere=1", &json, "")
        .await;
    assert_eq!(reply.json()["logged_out"], true);
    assert!(!is_somebody(&gateway, &other).await);
}

#[tokio::test]
async fn the_application_can_end_the_session_of_a_token() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;
    let wants_logout = [("x-answer", "X-Wxgate-Logout=1")];

    let reply = client.send(Method::GET, "/orders", &wants_logout, "").await;

    assert_eq!(reply.status, 200);
    assert!(!reply.headers.contains_key("set-cookie"));
    assert!(!is_somebody(&gateway, &client).await);
}
