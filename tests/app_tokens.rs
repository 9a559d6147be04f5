//! The app-wide token: fetched once, shared by all, read by other systems with a bearer token of their own.

use std::time::Duration;

use http::Request;
use http_body_util::Full;
use serde_json::json;
use tokio::net::TcpListener;
use wxgate::simulator::{Endpoint, Trouble};

use crate::support::{APP_SECRET, Reply, Setup, TestGateway, exchange};

const SHARE: &str = "0123456789abcdef0123456789abcdef";

async fn sharing(app: &str) -> TestGateway {
    let app = format!("token_share = \"{SHARE}\"\n{app}");
    TestGateway::with(|setup| setup.app = app).await
}

async fn ask(gateway: &TestGateway, path: &str, bearer: &str) -> Reply {
    let mut request = Request::get(path).header("host", "localhost");
    if !bearer.is_empty() {
        request = request.header("authorization", format!("Bearer {bearer}"));
    }
    let request = request.body(Full::default()).unwrap();
    exchange(gateway.admin_address(), request).await
}

async fn token(gateway: &TestGateway) -> String {
    let reply = ask(gateway, "/token/main", SHARE).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_hundred_callers_at_once_cause_one_fetch() {
    let gateway = sharing("").await;
    let callers = (0..100).map(|_| token(&gateway));

    let tokens = futures_util::future::join_all(callers).await;

    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(gateway.calls("/cgi-bin/stable_token"), 1);
    let series = "wxgate_wechat_token_refreshes_total{app=\"main\",token=\"access\",result=\"ok\"}";
    assert!((gateway.metric(series).await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn the_answer_is_wechats_own_form_and_the_lifetime_counts_down() {
    let gateway = sharing("").await;
    let first = ask(&gateway, "/token/main", SHARE).await.json();
    assert!(first["expires_in"].as_u64().unwrap() > 7190, "{first}");

    gateway.clock().advance(Duration::from_secs(1000));

    let second = ask(&gateway, "/token/main", SHARE).await.json();
    assert_eq!(second["access_token"], first["access_token"]);
    assert!(second["expires_in"].as_u64().unwrap() <= 6200, "{second}");
    assert_eq!(second.as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn a_token_is_replaced_before_it_ends_and_never_forced() {
    let gateway = sharing("").await;
    let first = token(&gateway).await;

    gateway.clock().advance(Duration::from_secs(6800));
    assert_eq!(token(&gateway).await, first);
    gateway.clock().advance(Duration::from_secs(150));

    assert_ne!(token(&gateway).await, first);
    assert_eq!(gateway.calls("/cgi-bin/stable_token"), 2);
    assert_eq!(gateway.calls("/cgi-bin/token"), 0);
}

#[tokio::test]
async fn tokens_survive_a_restart_and_lie_in_the_store_sealed() {
    let mut gateway = TestGateway::with(|setup| {
        setup.store = "embedded";
        setup.app = format!("token_share = \"{SHARE}\"");
    })
    .await;
    let first = token(&gateway).await;
    let setup = Setup {
        store: "embedded",
        app: format!("token_share = \"{SHARE}\""),
        ..Default::default()
    };

    gateway.restart(&setup).await;

    assert_eq!(token(&gateway).await, first);
    assert_eq!(gateway.calls("/cgi-bin/stable_token"), 1);
    gateway.stop().await;
    let files = std::fs::read_dir(gateway.state_dir()).unwrap();
    for file in files {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let holds = |text: &str| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        assert!(!holds(&first));
    }
}

#[tokio::test]
async fn only_its_own_bearer_token_opens_an_apps_token() {
    let admin_token = "fedcba9876543210fedcba9876543210";
    let gateway = TestGateway::with(|setup| {
        setup.app = format!("token_share = \"{SHARE}\"");
        setup.admin = format!("token = \"{admin_token}\"");
    })
    .await;
    for bearer in ["", admin_token, "0123456789abcdef", &format!("{SHARE}0")] {
        let reply = ask(&gateway, "/token/main", bearer).await;
        assert_eq!(reply.status, 401, "{bearer}");
        assert_eq!(reply.header("www-authenticate"), "Bearer");
    }
    assert_eq!(gateway.calls("/cgi-bin/stable_token"), 0);

    // And it opens nothing else, not even whether another app is there.
    for path in [
        "/metrics",
        "/readyz",
        "/token/other",
        "/token/",
        "/token/main/",
    ] {
        assert_eq!(ask(&gateway, path, SHARE).await.status, 401, "{path}");
    }
    assert_eq!(ask(&gateway, "/token/main", SHARE).await.status, 200);
    for path in ["/token/other", "/token/", "/token/main/"] {
        assert_eq!(ask(&gateway, path, admin_token).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn an_app_that_is_not_shared_has_no_address_at_all() {
    let gateway = TestGateway::start().await;

    assert_eq!(ask(&gateway, "/token/main", SHARE).await.status, 404);

    assert_eq!(gateway.calls("/cgi-bin/stable_token"), 0);
}

#[tokio::test]
async fn legacy_mode_asks_the_old_endpoint_once_for_all() {
    let gateway = sharing("token_mode = \"legacy\"").await;
    let callers = (0..20).map(|_| token(&gateway));

    let tokens = futures_util::future::join_all(callers).await;

    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(gateway.calls("/cgi-bin/token"), 1);
    assert_eq!(gateway.calls("/cgi-bin/stable_token"), 0);
}

#[tokio::test]
async fn external_mode_asks_the_operators_server_and_never_wechat() {
    // The operator's server is another wxgate, which is all that it takes.
    let server = sharing("").await;
    let address = server.admin_address();
    let source = format!(
        "token_mode = \"external\"\ntoken_source = {{ url = \"http://{address}/token/main\", bearer = \"{SHARE}\" }}"
    );
    let gateway = sharing(&source).await;

    assert_eq!(token(&gateway).await, token(&server).await);

    assert_eq!(gateway.simulator().calls(), []);
    assert_eq!(server.calls("/cgi-bin/stable_token"), 1);
}

#[tokio::test]
async fn a_token_server_that_lies_or_is_away_gives_no_token() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let source =
        format!("token_mode = \"external\"\ntoken_source = {{ url = \"http://{nobody}/token\" }}");
    let gateway = sharing(&source).await;

    let reply = ask(&gateway, "/token/main", SHARE).await;

    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["error"], json!("wechat_unavailable"));
}

#[tokio::test]
async fn a_refusal_is_told_with_its_number_and_not_asked_for_again_at_once() {
    let gateway = sharing("").await;
    gateway
        .simulator()
        .faults()
        .change(|switches| switches.wrong_ip = true);

    for _ in 0..5 {
        let reply = ask(&gateway, "/token/main", SHARE).await;
        assert_eq!(reply.status, 502);
        assert_eq!(
            reply.json(),
            json!({ "error": "wechat_unavailable", "errcode": 40164 })
        );
    }
    assert_eq!(gateway.calls("/cgi-bin/stable_token"), 1);

    // Mended: nobody waits longer than ten seconds.
    gateway.simulator().faults().clear();
    gateway.clock().advance(Duration::from_secs(10));
    token(&gateway).await;
}

#[tokio::test]
async fn a_fetch_goes_on_when_the_one_who_asked_is_gone() {
    let gateway = sharing("").await;
    let slow = Trouble::Delay(Duration::from_millis(300));
    gateway
        .simulator()
        .faults()
        .next(Endpoint::StableToken, slow);
    let impatient = token(&gateway);
    let gone = tokio::time::timeout(Duration::from_millis(50), impatient).await;
    assert!(gone.is_err());

    token(&gateway).await;

    assert_eq!(gateway.calls("/cgi-bin/stable_token"), 1);
}

#[tokio::test]
async fn broken_answers_are_no_token() {
    let gateway = sharing("").await;
    for trouble in [
        Trouble::Garbage,
        Trouble::Html,
        Trouble::Truncated,
        Trouble::Huge,
        Trouble::Redirect,
        Trouble::Status(500),
        Trouble::Errcode(45009),
    ] {
        gateway
            .simulator()
            .faults()
            .next(Endpoint::StableToken, trouble);
        let reply = ask(&gateway, "/token/main", SHARE).await;
        assert!(reply.status.is_server_error(), "{trouble:?}");
        assert!(!reply.text().contains(APP_SECRET), "{trouble:?}");
    }
    // A quota that is used up is asked about again after ten seconds, not at once.
    gateway.clock().advance(Duration::from_secs(11));
    token(&gateway).await;
}
