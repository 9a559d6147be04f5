use std::net::Ipv4Addr;
use std::sync::Arc;

use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};

use super::readiness::store_check;
use super::{Admin, Check, Readiness, State};
use crate::message::{Answer, REASON_HEADER};
use crate::observe::Metrics;
use crate::secret::Secret;
use crate::store;

fn admin(token: Option<&str>) -> (Admin, Arc<Readiness>) {
    let readiness = Arc::new(Readiness::new());
    let token = token.map(|token| Secret::new(token.to_owned()));
    let admin = Admin::new(token, Arc::new(Metrics::new()), Arc::clone(&readiness));
    (admin, readiness)
}

async fn get(admin: &Admin, target: &'static str) -> Answer {
    let target = PathAndQuery::from_static(target);
    admin
        .handle(
            &Method::GET,
            &target,
            &HeaderMap::new(),
            Ipv4Addr::LOCALHOST.into(),
        )
        .await
}

fn body(answer: &Answer) -> &str {
    str::from_utf8(answer.body()).unwrap_or("not text")
}

#[tokio::test]
async fn each_endpoint_follows_the_life_of_the_process() {
    let (admin, readiness) = admin(None);
    let statuses = async || {
        let mut statuses = Vec::new();
        for target in ["/healthz", "/startupz", "/readyz", "/metrics"] {
            statuses.push(get(&admin, target).await.status().as_u16());
        }
        statuses
    };

    assert_eq!(statuses().await, [200, 503, 503, 200]);
    readiness.set_started();
    assert_eq!(statuses().await, [200, 200, 200, 200]);
    readiness.set_draining();
    assert_eq!(statuses().await, [200, 200, 503, 200]);
}

#[tokio::test]
async fn the_failing_check_is_named() {
    let (admin, readiness) = admin(None);
    assert_eq!(body(&get(&admin, "/readyz").await), "fail: started\n");
    assert_eq!(body(&get(&admin, "/startupz").await), "fail: started\n");
    readiness.set_draining();
    assert_eq!(
        body(&get(&admin, "/readyz").await),
        "fail: started, draining\n"
    );
    readiness.set_started();
    assert_eq!(body(&get(&admin, "/readyz").await), "fail: draining\n");
    for target in [
        "/readyz?verbose",
        "/readyz?verbose=1",
        "/readyz?a=b&verbose",
    ] {
        let answer = get(&admin, target).await;
        assert_eq!(
            body(&answer),
            "ok    started\nfail  draining: shutting down\n"
        );
        assert_eq!(answer.status(), 503);
    }
    assert_eq!(
        body(&get(&admin, "/readyz?verbosely").await),
        "fail: draining\n"
    );
}

#[tokio::test(start_paused = true)]
async fn the_store_fails_readiness_by_error_and_by_silence() {
    let check = |state| Check {
        name: "store",
        state,
    };
    let failed = |reason: &str| check(State::Failed(reason.to_owned()));
    assert_eq!(store_check(async { Ok(()) }).await, check(State::Ok));
    let closed = store_check(async { Err(store::Error::Closed) }).await;
    assert_eq!(closed, failed("store is closed"));
    assert_eq!(closed.to_string(), "fail  store: store is closed");
    let silent = store_check(std::future::pending()).await;
    assert_eq!(silent, failed("no answer in time"));
}

#[tokio::test]
async fn metrics_are_in_the_format_that_was_asked_for() {
    let (admin, _) = admin(None);
    let target = PathAndQuery::from_static("/metrics");
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2";
    for (accept, kind, is_openmetrics) in [
        (
            Some(prometheus),
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            true,
        ),
        (
            Some("*/*"),
            "text/plain; version=0.0.4; charset=utf-8",
            false,
        ),
        (None, "text/plain; version=0.0.4; charset=utf-8", false),
    ] {
        let accept = accept.map(|accept| (http::header::ACCEPT, HeaderValue::from_static(accept)));
        let headers = HeaderMap::from_iter(accept);

        let answer = admin
            .handle(&Method::GET, &target, &headers, Ipv4Addr::LOCALHOST.into())
            .await;

        assert_eq!(answer.headers()[CONTENT_TYPE], kind);
        let text = body(&answer);
        assert!(text.contains("\nwxgate_build_info{version="), "{text}");
        assert_eq!(text.ends_with("# EOF\n"), is_openmetrics, "{text}");
    }
}

#[tokio::test]
async fn nothing_else_is_there() {
    let (admin, _) = admin(None);
    for target in [
        "/healthz/",
        "/Healthz",
        "//healthz",
        "/metrics/x",
        "/readyz/..",
        "/config",
        "/%68ealthz",
    ] {
        let answer = get(&admin, target).await;
        assert_eq!(answer.status(), 404, "{target}");
        assert_eq!(
            answer.headers()[REASON_HEADER],
            "admin-not-found",
            "{target}"
        );
    }
}

#[tokio::test]
async fn only_get_and_head_are_served() {
    let (admin, readiness) = admin(None);
    readiness.set_started();
    for target in ["/healthz", "/startupz", "/readyz", "/metrics"] {
        let target = PathAndQuery::from_static(target);
        let head = admin
            .handle(
                &Method::HEAD,
                &target,
                &HeaderMap::new(),
                Ipv4Addr::LOCALHOST.into(),
            )
            .await;
        assert_eq!(head.status(), 200, "{target}");
        for method in [
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::OPTIONS,
            Method::TRACE,
        ] {
            let answer = admin
                .handle(
                    &method,
                    &target,
                    &HeaderMap::new(),
                    Ipv4Addr::LOCALHOST.into(),
                )
                .await;
            assert_eq!(answer.status(), 405, "{method} {target}");
            assert_eq!(answer.headers()[ALLOW], "GET, HEAD");
        }
    }
}

#[tokio::test]
async fn the_token_is_asked_for_everywhere_but_on_healthz() {
    let (admin, readiness) = admin(Some("correct-horse"));
    readiness.set_started();
    let ask = async |target: &'static str, values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        let target = PathAndQuery::from_static(target);
        admin
            .handle(&Method::GET, &target, &headers, Ipv4Addr::LOCALHOST.into())
            .await
    };

    let wrong: [&[&str]; 11] = [
        &[],
        &[""],
        &["Bearer"],
        &["Bearer "],
        &["Bearer correct-hors"],
        &["Bearer correct-horse1"],
        &["Bearer Correct-Horse"],
        &["Basic correct-horse"],
        &["correct-horse"],
        &["Bearer correct-horse", "Bearer correct-horse"],
        &["Bearer x", "Bearer correct-horse"],
    ];
    for target in [
        "/readyz",
        "/startupz",
        "/metrics",
        "/nothing",
        "/readyz?token=correct-horse",
    ] {
        for values in wrong {
            let answer = ask(target, values).await;
            assert_eq!(answer.status(), 401, "{target} {values:?}");
            assert_eq!(answer.headers()[WWW_AUTHENTICATE], "Bearer");
            assert!(!body(&answer).contains("horse"));
        }
    }
    for right in [
        "Bearer correct-horse",
        "bearer correct-horse",
        "Bearer   correct-horse ",
    ] {
        assert_eq!(ask("/readyz", &[right]).await.status(), 200, "{right}");
        assert_eq!(ask("/nothing", &[right]).await.status(), 404, "{right}");
    }
    assert_eq!(ask("/healthz", &[]).await.status(), 200);
}

#[tokio::test]
async fn no_answer_is_ever_stored() {
    let (admin, _) = admin(Some("correct-horse"));
    for target in ["/healthz", "/readyz", "/metrics", "/"] {
        assert_eq!(
            get(&admin, target).await.headers()[CACHE_CONTROL],
            "no-store"
        );
    }
}

#[test]
fn debug_output_hides_the_token() {
    let (admin, _) = admin(Some("correct-horse"));
    assert!(!format!("{admin:?}").contains("horse"));
}
