//! Mini programs and apps for phones: a code for a token, a ticket for a web-view, data that WeChat's client encrypted.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use wxgate::simulator::{Endpoint, Trouble};

use crate::support::{Client, MINI_ID, MOBILE_ID, Reply, TestGateway, agents, client_apps};

const LOGIN: &str = "/_wxgate/mini-program/login";
const CHECK: &str = "/_wxgate/mini-program/check";
const APP_LOGIN: &str = "/_wxgate/app/login";
const TICKET: &str = "/_wxgate/ticket";

async fn gateway() -> TestGateway {
    TestGateway::with(|setup| {
        setup.sections = client_apps();
        setup.server = "extra_hosts = [\"m.example.test\"]".to_owned();
    })
    .await
}

fn code(gateway: &TestGateway, person: &str) -> String {
    gateway.simulator().client_code(MINI_ID, person).unwrap()
}

/// Status, `error` and `reaction` of a refusal.
#[track_caller]
fn refusal(reply: &Reply) -> (u16, String, String) {
    let body = reply.json();
    let word = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(body["request_id"], reply.header("x-request-id"));
    (reply.status.as_u16(), word("error"), word("reaction"))
}

#[track_caller]
fn assert_refused(reply: &Reply, status: u16, error: &str, reaction: &str) {
    let expected = (status, error.to_owned(), reaction.to_owned());
    assert_eq!(refusal(reply), expected, "{}", reply.text());
}

/// The ticket of an answer as path and query.
fn path_of(url: &Value) -> String {
    let url = url::Url::parse(url.as_str().unwrap()).unwrap();
    format!("{}?{}", url.path(), url.query().unwrap())
}

async fn ticket(client: &Client, to: &str) -> String {
    let reply = client.post(TICKET, &json!({ "to": to })).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    path_of(&reply.json()["url"])
}

#[tokio::test]
async fn a_code_of_a_mini_program_becomes_a_session() {
    let gateway = gateway().await;
    let mut client = gateway.client("alice");

    let reply = client
        .post(LOGIN, &json!({ "code": code(&gateway, "alice") }))
        .await;

    let body = reply.json();
    let person = gateway.simulator().person("alice").unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("x-wxgate-response"), "code-login");
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 12 * 3600);
    assert_eq!(body["app"], "mini");
    let subject = format!("wechat:{MINI_ID}:{}", person.openid(MINI_ID));
    assert_eq!(body["subject"], subject);
    assert!(reply.headers.get("set-cookie").is_none());

    client.keep_token(&reply);
    let reply = client.get("/orders").await;
    assert_eq!(reply.status, 200);
    let seen = gateway.upstream().last();
    assert_eq!(seen.header("x-wechat-openid"), person.openid(MINI_ID));
    assert_eq!(seen.header("x-wechat-unionid"), person.unionid());
    assert_eq!(seen.header("x-wechat-subject"), subject);
    assert!(!seen.headers.contains_key("authorization"));
    let calls = gateway.simulator().calls();
    let call = calls
        .iter()
        .find(|call| call.path.contains("jscode"))
        .unwrap();
    assert_eq!(call.method, "GET");
    assert_eq!(
        call.parameters,
        ["appid", "secret", "js_code", "grant_type"]
    );
}

#[tokio::test]
async fn what_wechat_refuses_tells_the_client_what_to_do() {
    let gateway = gateway().await;
    let client = gateway.client("alice");
    let post = async |code: &str| client.post(LOGIN, &json!({ "code": code })).await;

    let used = code(&gateway, "alice");
    post(&used).await;
    let reply = post(&used).await;
    assert_refused(&reply, 401, "invalid_code", "restart");
    assert_eq!(reply.json()["errcode"], 40163);
    assert_refused(&post("unknown").await, 401, "invalid_code", "restart");
    assert_refused(&post("a b").await, 400, "malformed_code", "config");
    let faults = gateway.simulator().faults();
    for (errcode, times, status, error, reaction) in [
        (40226, 1, 403, "account_blocked", "user"),
        (40125, 1, 500, "setup", "config"),
        (45011, 1, 503, "wechat_busy", "retry"),
        (-1, 3, 503, "wechat_busy", "retry"),
    ] {
        for _ in 0..times {
            faults.next(Endpoint::CodeToSession, Trouble::Errcode(errcode));
        }
        let reply = post(&code(&gateway, "alice")).await;
        assert_refused(&reply, status, error, reaction);
        assert_eq!(reply.headers.contains_key("retry-after"), status == 503);
    }
    faults.next(Endpoint::CodeToSession, Trouble::Garbage);
    let reply = post(&code(&gateway, "alice")).await;
    assert_refused(&reply, 502, "wechat_trouble", "restart");
    faults.next(
        Endpoint::CodeToSession,
        Trouble::Delay(std::time::Duration::from_secs(30)),
    );
    let reply = post(&code(&gateway, "alice")).await;
    assert_refused(&reply, 504, "wechat_timeout", "restart");
}

#[tokio::test]
async fn only_a_json_post_is_read_and_no_other_site_may_ask() {
    let gateway = gateway().await;
    let client = gateway.client("alice");
    let body = json!({ "code": code(&gateway, "alice") }).to_string();

    for (kind, status) in [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json; charset=utf-8", 200),
    ] {
        let headers = [("content-type", kind), ("origin", "https://evil.example")];
        let reply = client.send(Method::POST, LOGIN, &headers, &body).await;
        assert_eq!(reply.status, status, "{kind}: {}", reply.text());
        let names = reply.headers.keys();
        assert!(
            !names
                .into_iter()
                .any(|name| name.as_str().starts_with("access-control"))
        );
    }
    for method in [Method::GET, Method::OPTIONS, Method::PUT] {
        let reply = client.send(method, LOGIN, &[], "").await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(reply.header("allow"), "POST");
        assert!(!reply.headers.contains_key("access-control-allow-origin"));
    }
    for bad in ["", "{}", "[]", "{\"code\":1}", "{\"code\":\"a\""] {
        let json = [("content-type", "application/json")];
        let reply = client.send(Method::POST, LOGIN, &json, bad).await;
        assert_refused(&reply, 400, "malformed_json", "config");
    }
    let long = "x".repeat(65 * 1024);
    let reply = client.post(LOGIN, &json!({ "code": long })).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn code_logins_are_limited_by_address() {
    let gateway = TestGateway::with(|setup| {
        setup.sections = format!(
            "{}\n[rate_limit]\ncode_api = {{ limit = 2, window = \"1m\" }}",
            client_apps()
        );
    })
    .await;
    let client = gateway.client("alice");
    for _ in 0..2 {
        client.post(LOGIN, &json!({ "code": "unknown" })).await;
    }

    let reply = client.post(LOGIN, &json!({ "code": "unknown" })).await;

    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reply.json()["error"], "rate_limited");
    assert_eq!(reply.header("retry-after"), "30");
}

#[tokio::test]
async fn an_app_for_phones_logs_in_with_its_own_codes() {
    let gateway = gateway().await;
    let mut client = gateway.client("alice");
    let simulator = gateway.simulator();
    let person = simulator.person("alice").unwrap();
    let code = simulator.client_code(MOBILE_ID, "alice").unwrap();

    // The code of one kind of app is nothing to the other.
    let reply = client.post(LOGIN, &json!({ "code": code })).await;
    assert_refused(&reply, 401, "invalid_code", "restart");
    let reply = client.post(APP_LOGIN, &json!({ "code": code })).await;

    assert_eq!(reply.json()["app"], "phone", "{}", reply.text());
    client.keep_token(&reply);
    assert_eq!(client.get("/member").await.status, 200);
    let seen = gateway.upstream().last();
    assert_eq!(seen.header("x-wechat-openid"), person.openid(MOBILE_ID));
    assert_eq!(seen.header("x-wechat-unionid"), person.unionid());
    assert_eq!(seen.header("x-wechat-scope"), "snsapi_userinfo");
    assert_ne!(seen.header("x-wechat-nickname"), "");
    let url = ticket(&client, "/member").await;
    let mut view = gateway.browser(agents::PHONE);
    view.get(&url).await.assert_ok();
}

#[tokio::test]
async fn the_app_must_be_named_only_where_there_are_several() {
    let gateway = TestGateway::with(|setup| {
        let more = client_apps()
            .replace("wechat.mini", "wechat.second")
            .replace("wechat.phone", "wechat.tablet");
        let more = more.replace("00aa", "00cc").replace("00bb", "00dd");
        setup.sections = format!("{}{more}", client_apps());
    })
    .await;
    let client = gateway.client("alice");
    let code = code(&gateway, "alice");

    let reply = client.post(LOGIN, &json!({ "code": code })).await;
    assert_refused(&reply, 400, "app_needed", "config");
    for name in ["main", "phone", "nobody"] {
        let reply = client
            .post(LOGIN, &json!({ "code": code, "app": name }))
            .await;
        assert_refused(&reply, 404, "unknown_app", "config");
    }
    let reply = client
        .post(LOGIN, &json!({ "code": code, "app": "mini" }))
        .await;
    assert_eq!(reply.json()["app"], "mini", "{}", reply.text());
}

#[tokio::test]
async fn a_web_view_enters_by_a_ticket_that_works_once() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;
    let url = ticket(&client, "/orders?id=1").await;

    // Whoever looks at the address beforehand takes nothing away.
    let mut view = gateway.browser(agents::WECHAT_IOS);
    let head = view.send(Method::HEAD, &url, &[], "").await;
    assert_eq!(head.status, 204);
    let prefetch = [("sec-purpose", "prefetch"), ("sec-fetch-mode", "navigate")];
    let reply = view.send(Method::GET, &url, &prefetch, "").await;
    assert_eq!(reply.status, 503);
    assert_eq!(view.cookie("__Host-wxgate"), None);

    let visit = view.get(&url).await;

    visit.assert_ok();
    let (first, last) = (&visit.replies[0], visit.url());
    assert_eq!(first.status, 302);
    assert_eq!(first.header("location"), "/orders?id=1#");
    assert_eq!(first.header("referrer-policy"), "no-referrer");
    assert_eq!((last.path(), last.query()), ("/orders", Some("id=1")));
    let seen = gateway.upstream().last();
    let person = gateway.simulator().person("alice").unwrap();
    assert_eq!(seen.header("x-wechat-openid"), person.openid(MINI_ID));

    // A second browser gets nothing, and a reload of the first one does no harm.
    let mut thief = gateway.browser(agents::WECHAT_ANDROID);
    let stolen = thief.get_once(&url).await;
    assert_eq!(stolen.status, 401);
    assert_eq!(stolen.cause(), "WXG-LOGIN-STATE");
    assert_eq!(thief.cookie("__Host-wxgate"), None);
    view.get(&url).await.assert_ok();
}

#[tokio::test]
async fn of_many_who_show_a_ticket_at_once_one_gets_in() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;
    let url = ticket(&client, "/orders").await;

    let tries = (0..20).map(|_| {
        let mut view = gateway.browser(agents::WECHAT_ANDROID);
        let url = &url;
        async move { view.get_once(url).await }
    });
    let replies = futures_util::future::join_all(tries).await;

    let winners = replies
        .iter()
        .filter(|reply| !reply.set_cookies("__Host-wxgate").is_empty());
    assert_eq!(winners.count(), 1);
}

#[tokio::test]
async fn a_ticket_is_good_for_one_host_and_one_minute() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;

    let elsewhere = json!({ "to": "https://m.example.test/orders" });
    let reply = client.post(TICKET, &elsewhere).await;
    assert_eq!(reply.json()["expires_in"], 60);
    let address = reply.json()["url"].as_str().unwrap().to_owned();
    assert!(
        address.starts_with("https://m.example.test/_wxgate/ticket/"),
        "{address}"
    );
    let mut view = gateway.browser(agents::WECHAT_ANDROID);
    // Shown to another host first, it is used up everywhere.
    let reply = view.get_once(&path_of(&json!(address))).await;
    assert_eq!(reply.cause(), "WXG-LOGIN-STATE");
    assert_eq!(view.get_once(&address).await.cause(), "WXG-LOGIN-STATE");

    let reply = client.post(TICKET, &elsewhere).await;
    let address = reply.json()["url"].as_str().unwrap().to_owned();
    let visit = view.get(&address).await;
    visit.assert_ok();
    assert_eq!(visit.url().host_str(), Some("m.example.test"));

    let url = ticket(&client, "/orders").await;
    gateway.clock().advance(std::time::Duration::from_secs(60));
    let mut late = gateway.browser(agents::WECHAT_ANDROID);
    assert_eq!(late.get_once(&url).await.cause(), "WXG-LOGIN-STATE");
}

#[tokio::test]
async fn a_link_on_another_site_logs_nobody_in() {
    let gateway = gateway().await;
    let mallory = gateway.mini_program("mallory").await;
    let url = ticket(&mallory, "/orders").await;
    let mut victim = gateway.browser(agents::WECHAT_ANDROID);

    // A neighbouring host is another site of the operator's, and not for us to trust.
    for site in ["cross-site", "same-site"] {
        let elsewhere = [
            ("sec-fetch-site", site),
            ("sec-fetch-mode", "navigate"),
            ("accept", "text/html"),
        ];
        let reply = victim.send(Method::GET, &url, &elsewhere, "").await;

        assert_eq!(reply.cause(), "WXG-LOGIN-STATE", "{site}");
        assert_eq!(victim.cookie("__Host-wxgate"), None, "{site}");
    }
}

#[tokio::test]
async fn a_ticket_leads_only_to_our_own_hosts_and_needs_a_token() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;
    for to in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/_wxgate/logout",
        "javascript:alert(1)",
    ] {
        let reply = client.post(TICKET, &json!({ "to": to })).await;
        assert_refused(&reply, 400, "foreign_address", "config");
    }
    let url = ticket(&client, "/orders").await;
    let mut view = gateway.browser(agents::WECHAT_ANDROID);
    let changed = url.replace("%2Forders", "https%3A%2F%2Fevil.example%2F");
    let reply = view.get_once(&changed).await;
    assert_eq!(reply.header("location"), "/#");

    // A cookie is no token: its holder is where a ticket would lead.
    let json = [("content-type", "application/json")];
    let reply = view
        .send(Method::POST, TICKET, &json, "{\"to\":\"/\"}")
        .await;
    assert_refused(&reply, 401, "invalid_token", "restart");
    let nobody = gateway.client("alice");
    let reply = nobody.post(TICKET, &json!({ "to": "/" })).await;
    assert_refused(&reply, 401, "invalid_token", "restart");
}

#[tokio::test]
async fn a_ticket_of_a_session_that_ended_is_nothing() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;
    let url = ticket(&client, "/orders").await;
    let reply = client.send(Method::POST, "/_wxgate/logout", &[], "").await;
    assert_eq!(reply.reason(), "logged-out");

    let mut view = gateway.browser(agents::WECHAT_ANDROID);

    assert_eq!(view.get_once(&url).await.cause(), "WXG-LOGIN-STATE");
}

#[tokio::test]
async fn a_login_can_bring_a_ticket_along() {
    let gateway = gateway().await;
    let client = gateway.client("alice");
    let body = json!({ "code": code(&gateway, "alice"), "to": "/orders" });

    let reply = client.post(LOGIN, &body).await;

    let mut view = gateway.browser(agents::WECHAT_ANDROID);
    view.get(&path_of(&reply.json()["ticket_url"]))
        .await
        .assert_ok();
    let foreign = json!({ "code": code(&gateway, "alice"), "to": "https://evil.example/" });
    let reply = client.post(LOGIN, &foreign).await;
    assert_refused(&reply, 400, "foreign_address", "config");
}

#[tokio::test]
async fn data_of_wechats_client_is_checked_with_the_logins_key() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;
    let data = gateway
        .simulator()
        .open_data(MINI_ID, MINI_ID, "alice")
        .unwrap();
    let body = serde_json::to_value(&data).unwrap();
    let nickname = gateway.simulator().person("alice").unwrap().nickname;

    let reply = client.post(CHECK, &body).await;

    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["data"]["nickName"], nickname);
    for secret in ["openId", "unionId", "watermark"] {
        assert!(!reply.text().contains(secret), "{}", reply.text());
    }
    let with = |name: &str, value: Value| {
        let mut body = body.clone();
        body[name] = value;
        body
    };
    for (body, status, error) in [
        (with("signature", json!("00")), 422, "not_genuine"),
        (with("rawData", json!("{}")), 422, "not_genuine"),
        (
            with("iv", json!("AAAAAAAAAAAAAAAAAAAAAA==")),
            422,
            "not_genuine",
        ),
        (with("encryptedData", json!("AAAA")), 422, "not_genuine"),
        (with("iv", Value::Null), 400, "incomplete_data"),
        (with("signature", Value::Null), 400, "incomplete_data"),
        (json!({}), 400, "incomplete_data"),
    ] {
        let reply = client.post(CHECK, &body).await;
        let (found, word, _) = refusal(&reply);
        assert_eq!((found, word.as_str()), (status, error), "{body}");
    }
}

#[tokio::test]
async fn data_with_the_watermark_of_another_app_or_an_old_one_is_refused() {
    let gateway = gateway().await;
    let client = gateway.mini_program("alice").await;
    let simulator = gateway.simulator();
    let foreign = simulator
        .open_data(MINI_ID, "wx00000000000000ee", "alice")
        .unwrap();
    let ours = simulator.open_data(MINI_ID, MINI_ID, "alice").unwrap();

    let reply = client.post(CHECK, &json!(foreign)).await;
    assert_refused(&reply, 422, "not_genuine", "restart");
    assert_eq!(client.post(CHECK, &json!(ours)).await.status, 200);
    gateway.clock().advance(std::time::Duration::from_secs(700));
    let reply = client.post(CHECK, &json!(ours)).await;
    assert_refused(&reply, 422, "not_genuine", "restart");

    // Of another person, at the same app.
    let bob = gateway.mini_program("bob").await;
    let alices = simulator.open_data(MINI_ID, MINI_ID, "alice").unwrap();
    let reply = bob.post(CHECK, &json!(alices)).await;
    assert_refused(&reply, 422, "not_genuine", "restart");
}

#[tokio::test]
async fn data_is_checked_along_with_the_login() {
    let gateway = gateway().await;
    gateway.mini_program("alice").await;
    let client = gateway.client("alice");
    // Made with the key of the login before: the new code has replaced it.
    let stale = gateway
        .simulator()
        .open_data(MINI_ID, MINI_ID, "alice")
        .unwrap();
    let mut body = json!(stale);
    body["code"] = json!(code(&gateway, "alice"));

    let reply = client.post(LOGIN, &body).await;

    assert_refused(&reply, 422, "not_genuine", "restart");
}

#[tokio::test]
async fn an_app_without_a_session_key_has_no_data_to_check() {
    let gateway = gateway().await;
    let mut client = gateway.client("alice");
    let code = gateway.simulator().client_code(MOBILE_ID, "alice").unwrap();
    let reply = client.post(APP_LOGIN, &json!({ "code": code })).await;
    client.keep_token(&reply);

    let body = json!({ "rawData": "{}", "signature": "00" });
    let reply = client.post(CHECK, &body).await;

    assert_refused(&reply, 400, "no_session_key", "config");
}

#[tokio::test]
async fn session_key_code_token_and_ticket_are_in_no_answer_and_no_log() {
    let mut gateway = gateway().await;
    let client = gateway.client("alice");
    let code = code(&gateway, "alice");
    let login = client
        .post(LOGIN, &json!({ "code": code, "to": "/orders" }))
        .await;
    let token = login.json()["token"].as_str().unwrap().to_owned();
    let url = path_of(&login.json()["ticket_url"]);
    let mut view = gateway.browser(agents::WECHAT_ANDROID);
    let visit = view.get(&url).await;
    let data = gateway
        .simulator()
        .open_data(MINI_ID, MINI_ID, "alice")
        .unwrap();
    let mut with_token = client.clone();
    with_token.token = Some(token.clone());
    let checked = with_token.post(CHECK, &json!(data)).await;
    let key = gateway.simulator().session_key(MINI_ID, "alice").unwrap();

    let mut texts: Vec<String> = vec![
        login.text().to_owned(),
        checked.text().to_owned(),
        view.cookie_header(),
    ];
    texts.extend(
        visit
            .replies
            .iter()
            .map(|reply| format!("{:?} {}", reply.headers, reply.text())),
    );
    for text in &texts {
        assert!(!text.contains(&key), "{text}");
    }
    let ticket_id = url.split(['/', '?']).nth(3).unwrap();
    let log = serde_json::to_string(&gateway.access_log().await).unwrap();
    for secret in [key.as_str(), &code, &token, ticket_id] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(log.contains("/_wxgate/ticket/…"), "{log}");
}
