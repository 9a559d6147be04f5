//! What happened can be read from the metrics, with the words of `docs/metrics.md`.

use std::time::Duration;

use serde_json::json;

use crate::support::{Setup, TestGateway, Wire, client_apps};

const DAY: Duration = Duration::from_secs(86_400);

async fn ended(gateway: &TestGateway, reason: &str) -> f64 {
    let series = format!("wxgate_sessions_ended_total{{reason=\"{reason}\"}}");
    gateway.metric(&series).await
}

#[tokio::test]
async fn a_session_that_is_shown_after_its_end_is_counted_once_and_by_its_reason() {
    let sections = "[sessions]\nidle_timeout = \"5d\"\nmax_lifetime = \"7d\"";
    let gateway =
        TestGateway::with(|setup| setup.sections = format!("{sections}\n{}", client_apps())).await;
    let (idle, revoked) = (
        gateway.mini_program("alice").await,
        gateway.mini_program("bob").await,
    );
    let mut used = gateway.mini_program("carol").await;
    let answer = revoked.post("/_wxgate/logout", &json!({})).await;
    assert!(answer.status.is_success(), "{}", answer.text());

    gateway.clock().advance(4 * DAY);
    let renewed = used.post("/_wxgate/token/renew", &json!({})).await;
    used.keep_token(&renewed);
    assert_eq!(used.get("/orders").await.status, 200);
    gateway.clock().advance(DAY);
    for _ in 0..3 {
        assert_eq!(idle.get("/orders").await.status, 401);
        assert_eq!(revoked.get("/orders").await.status, 401);
    }
    assert_eq!(ended(&gateway, "idle").await, 1.0);
    assert_eq!(ended(&gateway, "max_lifetime").await, 0.0);

    gateway.clock().advance(2 * DAY);
    for client in [&idle, &used, &used, &revoked] {
        assert_eq!(client.get("/orders").await.status, 401);
    }
    assert_eq!(ended(&gateway, "idle").await, 1.0);
    assert_eq!(ended(&gateway, "max_lifetime").await, 1.0);
    assert_eq!(ended(&gateway, "logout").await, 1.0);
}

#[tokio::test]
async fn headers_that_only_we_may_set_are_counted_by_how_they_were_written() {
    let gateway = TestGateway::start().await;
    let request = "GET /open HTTP/1.1\r\nHost: www.example.test\r\nX-Wechat-Openid: a\r\n\
                   X-Wechat-Unionid: b\r\nX_Wechat_Openid: c\r\nX.Wechat.Openid: d\r\n\
                   X-Wechat_Subject: e\r\nX-Mine: f\r\n\r\n";

    assert_eq!(Wire::new(gateway.address()).ask(request).await.status, 200);

    for (kind, number) in [("identity", 2.0), ("underscore", 3.0)] {
        let series = format!("wxgate_headers_stripped_total{{kind=\"{kind}\"}}");
        assert_eq!(gateway.metric(&series).await, number, "{kind}");
    }
}

#[tokio::test]
async fn a_snapshot_pages_person_is_a_decision_of_its_own() {
    let mut gateway = TestGateway::with(|setup| {
        setup.sections = "[login]\nsnapshot_user = \"anonymous\"".to_owned();
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    gateway.simulator().faults().change(|s| s.snapshot = true);

    let purpose = alice.get("/_wxgate/login?scope=userinfo&to=/maybe").await;
    alice.press(&purpose).await.assert_ok();
    let purpose = alice.get("/member").await;
    let refused = alice.press(&purpose).await;
    assert_eq!(refused.last().reason(), "snapshot");

    for reason in ["anonymous", "refused"] {
        let series = format!(
            "wxgate_auth_decisions_total{{route=\"none\",decision=\"snapshot\",reason=\"{reason}\"}}"
        );
        assert_eq!(gateway.metric(&series).await, 1.0, "{reason}");
    }
    let log = gateway.access_log().await;
    let told = log.iter().filter(|line| line["decision"] == "snapshot");
    assert_eq!(told.count(), 2, "{log:#?}");
}

#[tokio::test]
async fn each_way_to_log_in_is_counted_under_its_own_word_from_start_to_end() {
    let gateway = TestGateway::with(|setup| setup.sections = client_apps()).await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/site").await.assert_ok();
    gateway.mini_program("alice").await;

    for (app, method) in [("main", "base"), ("mini", "mini")] {
        let started = format!("wxgate_logins_started_total{{app=\"{app}\",method=\"{method}\"}}");
        let finished = format!(
            "wxgate_logins_finished_total{{app=\"{app}\",method=\"{method}\",result=\"ok\"}}"
        );
        for series in [started, finished] {
            assert_eq!(gateway.metric(&series).await, 1.0, "{series}");
        }
    }
}

#[tokio::test]
async fn counts_go_on_over_a_reload() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::new(gateway.address());
    let request = "GET /open HTTP/1.1\r\nHost: www.example.test\r\n\r\n";
    let listener = gateway.address();
    let series = format!(
        "wxgate_http_requests_total{{listener=\"{listener}\",route=\"open\",method=\"GET\",code=\"200\"}}"
    );

    assert_eq!(wire.ask(request).await.status, 200);
    let setup = Setup {
        server: "max_body = \"1MiB\"".to_owned(),
        ..Setup::default()
    };
    gateway.app().reload(gateway.config(&setup)).unwrap();
    assert_eq!(wire.ask(request).await.status, 200);

    assert_eq!(gateway.metric(&series).await, 2.0);
}
