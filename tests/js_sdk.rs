//! JS-SDK: our pages get signatures that WeChat's client takes, nobody else's do.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use wxgate::simulator::{Endpoint, Trouble};

use crate::support::{APP_ID, Browser, Reply, TestGateway};

const PAGE: &str = "https://www.example.test/orders?id=1&x=%E5%B0%8F";

async fn signing() -> TestGateway {
    TestGateway::with(|setup| setup.app = "js_sdk = true".to_owned()).await
}

fn address(url: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let query = query.append_pair("url", url).finish();
    format!("/_wxgate/js/config?{query}")
}

async fn config(browser: &mut Browser, url: &str) -> Reply {
    let headers = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "cors"),
    ];
    browser.send(Method::GET, &address(url), &headers, "").await
}

#[track_caller]
fn accepted(gateway: &TestGateway, config: &Value, url: &str) -> bool {
    let nonce = config["nonceStr"].as_str().unwrap();
    let timestamp = config["timestamp"].as_u64().unwrap();
    let signature = config["signature"].as_str().unwrap();
    let given = (nonce, timestamp, signature);
    gateway.simulator().accepts_js_config(APP_ID, given, url)
}

#[tokio::test]
async fn a_page_gets_a_signature_that_wechat_takes() {
    let gateway = signing().await;
    let mut alice = gateway.browser_in_wechat("alice");

    let reply = config(&mut alice, &format!("{PAGE}#/route")).await;

    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(!reply.headers.contains_key("access-control-allow-origin"));
    let signed = reply.json();
    assert_eq!(signed["appId"], APP_ID);
    assert_eq!(signed.as_object().unwrap().len(), 4);
    assert!(accepted(&gateway, &signed, PAGE));
    assert!(!accepted(&gateway, &signed, "https://www.example.test/"));
}

#[tokio::test]
async fn a_hundred_pages_share_one_token_and_one_ticket() {
    let gateway = TestGateway::with(|setup| {
        setup.app = "js_sdk = true".to_owned();
        setup.sections = "[rate_limit]\njs_config = \"none\"".to_owned();
    })
    .await;
    let pages = (0..100).map(|_| async {
        let reply = config(&mut gateway.browser_in_wechat("alice"), PAGE).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["signature"].as_str().unwrap().to_owned()
    });

    let mut signatures = futures_util::future::join_all(pages).await;

    signatures.sort();
    signatures.dedup();
    assert_eq!(signatures.len(), 100, "each has a nonce of its own");
    assert_eq!(gateway.calls("/cgi-bin/stable_token"), 1);
    assert_eq!(gateway.calls("/cgi-bin/ticket/getticket"), 1);
}

#[tokio::test]
async fn a_foreign_address_is_not_signed() {
    let gateway = signing().await;
    let mut alice = gateway.browser_in_wechat("alice");
    for url in [
        "https://evil.example/",
        "https://www.example.test.evil.example/",
        "https://www.example.test@evil.example/",
        "https://www.example.test:8443/",
        "http://www.example.test/",
        "https://m.example.test/",
        "javascript:alert(1)",
        "/orders",
    ] {
        let reply = config(&mut alice, url).await;
        assert_eq!(reply.status, 403, "{url}");
        assert_eq!(reply.json()["error"], "foreign_url", "{url}");
    }
    let own = address(PAGE);
    for bad in [
        "/_wxgate/js/config",
        &format!("{own}&url=x"),
        &address("https://www.example.test/小"),
    ] {
        let reply = alice.send(Method::GET, bad, &[], "").await;
        assert_eq!(reply.status, 400, "{bad}");
        assert_eq!(reply.json()["error"], "bad_url", "{bad}");
    }
    assert_eq!(gateway.simulator().calls(), [], "nobody asked WeChat");
}

#[tokio::test]
async fn pages_of_other_sites_get_nothing() {
    let gateway = signing().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let own = address(PAGE);
    for headers in [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("referer", "https://evil.example/")],
        [("referer", "https://www.example.test.evil.example/")],
    ] {
        let reply = alice.send(Method::GET, &own, &headers, "").await;
        assert_eq!(reply.status, 403, "{headers:?}");
        assert_eq!(reply.json()["error"], "cross_site_request", "{headers:?}");
    }
    assert_eq!(gateway.simulator().calls(), []);
}

#[tokio::test]
async fn without_the_key_there_is_no_signature_and_no_script() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    for path in [address(PAGE), "/_wxgate/js/share".to_owned()] {
        let reply = alice.send(Method::GET, &path, &[], "").await;
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.json()["error"], "js_sdk_off", "{path}");
    }
}

#[tokio::test]
async fn a_token_that_wechat_takes_no_more_is_replaced_once_for_all_callers() {
    for (mode, path) in [
        ("stable", "/cgi-bin/stable_token"),
        ("legacy", "/cgi-bin/token"),
    ] {
        let gateway = TestGateway::with(|setup| {
            setup.app = format!("js_sdk = true\ntoken_mode = \"{mode}\"");
            setup.sections = "[rate_limit]\njs_config = \"none\"".to_owned();
        })
        .await;
        let mut alice = gateway.browser_in_wechat("alice");
        // There is a token and no ticket yet when another system asks for a token, which makes ours void.
        gateway
            .simulator()
            .faults()
            .next(Endpoint::Ticket, Trouble::Errcode(-1000));
        assert_eq!(config(&mut alice, PAGE).await.status, 502);
        gateway.clock().advance(Duration::from_secs(1800));
        gateway.simulator().void_app_tokens(APP_ID);

        let callers = (0..30).map(|_| async {
            let reply = config(&mut gateway.browser_in_wechat("alice"), PAGE).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
        });
        futures_util::future::join_all(callers).await;

        assert_eq!(gateway.calls(path), 2, "{mode}");
    }
}

#[tokio::test]
async fn expired_and_refused_tokens_are_tried_once_more_only() {
    for code in [40001, 40014, 42001] {
        let gateway = signing().await;
        let mut alice = gateway.browser_in_wechat("alice");
        let faults = gateway.simulator().faults();
        faults.next(Endpoint::Ticket, Trouble::Errcode(-1000));
        assert_eq!(config(&mut alice, PAGE).await.status, 502);
        gateway.clock().advance(Duration::from_secs(1800));
        gateway.simulator().void_app_tokens(APP_ID);
        faults.next(Endpoint::Ticket, Trouble::Errcode(code));

        assert_eq!(config(&mut alice, PAGE).await.status, 200, "{code}");
        assert_eq!(gateway.calls("/cgi-bin/stable_token"), 2, "{code}");

        // A token that is refused as soon as it is there is not replaced again and again.
        faults.always(Endpoint::Ticket, Trouble::Errcode(code));
        gateway.clock().advance(Duration::from_secs(7000));
        for _ in 0..5 {
            assert_eq!(config(&mut alice, PAGE).await.status, 502, "{code}");
        }
        assert_eq!(gateway.calls("/cgi-bin/stable_token"), 3, "{code}");
    }
}

#[tokio::test]
async fn wechats_trouble_is_told_without_secrets() {
    let gateway = signing().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let table = [
        (Trouble::Errcode(40164), 502),
        (Trouble::Html, 502),
        (Trouble::Delay(Duration::from_secs(5)), 504),
    ];
    for (trouble, status) in table {
        gateway
            .simulator()
            .faults()
            .next(Endpoint::StableToken, trouble);
        let reply = config(&mut alice, PAGE).await;
        assert_eq!(reply.status, status, "{trouble:?}");
        assert_eq!(reply.json()["error"], "wechat_unavailable");
        gateway.clock().advance(Duration::from_secs(11));
    }
}

#[tokio::test]
async fn signatures_are_rate_limited() {
    let gateway = TestGateway::with(|setup| {
        setup.app = "js_sdk = true".to_owned();
        setup.sections =
            "[rate_limit]\njs_config = { per = \"ip\", limit = 3, window = \"1m\" }".to_owned();
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    for _ in 0..3 {
        assert_eq!(config(&mut alice, PAGE).await.status, 200);
    }

    let reply = config(&mut alice, PAGE).await;

    assert_eq!(reply.status, 429);
    assert!(reply.headers.contains_key("retry-after"));
    let series = "wxgate_rate_limited_total{rule=\"js_config\"}";
    assert!((gateway.metric(series).await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn the_share_script_is_a_script_and_holds_no_secret() {
    let gateway = signing().await;
    let mut alice = gateway.browser_in_wechat("alice");

    let reply = alice.send(Method::GET, "/_wxgate/js/share", &[], "").await;

    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(!reply.text().contains(APP_ID));
}
