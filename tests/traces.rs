//! Traces: what belongs to one, who may say so, what spans tell and never tell, and collectors that are no help.

use std::time::{Duration, Instant};

use http::Request;
use http_body_util::Full;
use wxgate::simulator::{Endpoint, Trouble};

use crate::support::{
    APP_ID, APP_SECRET, Collector, Mood, Recorded, Reply, Setup, TestGateway, eventually, exchange,
    free_address,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn tracing(url: &str, sample: &str) -> String {
    format!("[tracing]\notlp_endpoint = \"{url}\"\nsample = {sample}\n")
}

/// Whose traces all begin here and go to this collector.
async fn traced_to(collector: &Collector) -> TestGateway {
    TestGateway::with(|setup| setup.sections = tracing(&collector.url(), "1")).await
}

/// The same behind a proxy that is trusted.
async fn behind_a_proxy(collector: &Collector, sample: &str) -> TestGateway {
    TestGateway::with(|setup| {
        setup.sections = tracing(&collector.url(), sample);
        setup.server = "trusted_proxies = [\"127.0.0.0/8\"]".to_owned();
    })
    .await
}

/// Asks with these headers.
async fn ask(gateway: &TestGateway, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::get(path).header("host", "www.example.test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::default()).unwrap();
    exchange(gateway.address(), request).await
}

/// The only span of this name.
#[track_caller]
fn only<'s>(spans: &'s [Recorded], name: &str) -> &'s Recorded {
    let mut found = spans.iter().filter(|span| span.name() == name);
    let (Some(span), None) = (found.next(), found.next()) else {
        let names: Vec<_> = spans.iter().map(Recorded::name).collect();
        panic!("not one `{name}`: {names:?}")
    };
    span
}

/// Trace, span and flags of a `traceparent`.
fn parts(traceparent: &str) -> (String, String, String) {
    let parts: Vec<_> = traceparent.split('-').map(str::to_owned).collect();
    let [version, trace, span, flags] = parts.as_slice() else {
        panic!("{traceparent}")
    };
    assert_eq!(version, "00");
    (trace.clone(), span.clone(), flags.clone())
}

#[tokio::test]
async fn a_request_is_a_tree_of_spans_and_the_application_is_told_where_it_hangs() {
    let collector = Collector::start(Mood::Good).await;
    let mut gateway = traced_to(&collector).await;

    let reply = ask(&gateway, "/open/page?secret=1", &[]).await;
    let log = gateway.access_log().await;

    assert_eq!(reply.status, 200);
    let spans = collector.spans();
    assert_eq!(spans.len(), 3, "{spans:?}");
    let root = only(&spans, "GET open");
    let (auth, upstream) = (only(&spans, "auth"), only(&spans, "upstream"));
    assert_eq!(root.parent(), "");
    assert_eq!((root.0.kind, auth.0.kind, upstream.0.kind), (2, 1, 3));
    for child in [auth, upstream] {
        assert_eq!(child.trace(), root.trace());
        assert_eq!(child.parent(), root.id());
        assert!(child.0.start_time_unix_nano >= root.0.start_time_unix_nano);
        assert!(child.0.end_time_unix_nano <= root.0.end_time_unix_nano);
    }
    let sent = gateway.upstream().last().header("traceparent").to_owned();
    assert_eq!(parts(&sent), (root.trace(), upstream.id(), "01".to_owned()));
    let site = gateway.upstream().address().to_string();
    for (span, name, value) in [
        (root, "http.request.method", "GET"),
        (root, "http.response.status_code", "200"),
        (root, "network.protocol.version", "1.1"),
        (root, "server.address", "www.example.test"),
        (root, "url.path", "/open/page"),
        (root, "url.scheme", "https"),
        (root, "wxgate.route", "open"),
        (root, "wxgate.decision", "public"),
        (root, "wxgate.request_id", reply.header("x-request-id")),
        (auth, "wxgate.decision", "public"),
        (upstream, "wxgate.upstream_server", &site),
        (upstream, "http.response.status_code", "200"),
    ] {
        assert_eq!(span.attribute(name), value, "{name} of {}", span.name());
    }
    assert!(!root.has_failed());
    assert_eq!(log[0]["trace_id"], root.trace());
    // Visitors learn nothing of it.
    for name in ["traceparent", "tracestate", "traceresponse"] {
        assert_eq!(reply.headers.get(name), None, "{name}");
    }
}

#[tokio::test]
async fn calls_to_wechat_are_spans_of_the_callback_and_no_secret_is_in_any() {
    let collector = Collector::start(Mood::Good).await;
    let mut gateway = traced_to(&collector).await;
    let mut alice = gateway.browser_in_wechat("alice");
    let visit = alice.get("/site?x=private-query").await;
    visit.assert_ok();
    let profile = alice.get("/member").await;
    let seen = gateway.upstream().last();
    gateway.stop().await;

    let spans = collector.spans();
    let call = spans.iter().find(|span| span.name() == "wechat").unwrap();
    let root = spans
        .iter()
        .find(|span| span.id() == call.parent())
        .unwrap();
    assert_eq!(root.attribute("url.path"), "/_wxgate/callback/main");
    assert_eq!(call.attribute("wechat.endpoint"), "access_token");
    assert_eq!(call.attribute("wechat.app"), "main");
    assert!(!call.has_failed());

    let alice = gateway.simulator().person("alice").unwrap();
    let mut secrets = vec![
        alice.openid(APP_ID),
        APP_ID.to_owned(),
        APP_SECRET.to_owned(),
        "private-query".to_owned(),
        seen.header("x-wxgate-jwt-assertion").to_owned(),
    ];
    for hop in visit.hops.iter().chain(&profile.hops) {
        let pairs = hop.query_pairs();
        let secret = |name: &str| matches!(name, "code" | "state" | "r");
        secrets.extend(
            pairs
                .filter(|(name, _)| secret(name))
                .map(|(_, value)| value.into_owned()),
        );
    }
    for reply in &visit.replies {
        for cookie in reply.headers.get_all("set-cookie") {
            let value = cookie.to_str().unwrap().split(['=', ';']).nth(1);
            secrets.extend(value.map(str::to_owned));
        }
    }
    secrets.retain(|secret| secret.len() > 5);
    assert!(secrets.len() >= 8, "{secrets:?}");
    let text = collector.text();
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret}");
    }
}

#[tokio::test]
async fn a_refusal_of_wechat_shows_its_errcode() {
    let collector = Collector::start(Mood::Good).await;
    let mut gateway = traced_to(&collector).await;
    let trouble = Trouble::Errcode(40125);
    gateway
        .simulator()
        .faults()
        .next(Endpoint::Exchange, trouble);
    let mut alice = gateway.browser_in_wechat("alice");

    alice.get("/site").await;
    gateway.stop().await;

    let spans = collector.spans();
    let call = only(&spans, "wechat");
    assert!(call.has_failed());
    assert_eq!(call.attribute("wechat.errcode"), "40125");
    assert_eq!(call.attribute("error.type"), "errcode");
}

#[tokio::test]
async fn a_trusted_proxy_says_which_trace_a_request_belongs_to() {
    let collector = Collector::start(Mood::Good).await;
    let mut gateway = behind_a_proxy(&collector, "0").await;
    let given = format!("00-{TRACE}-{SPAN}-01");
    let headers = [("traceparent", given.as_str()), ("tracestate", "a=1,b=2")];

    ask(&gateway, "/open", &headers).await;
    gateway.stop().await;

    let spans = collector.spans();
    let (root, upstream) = (only(&spans, "GET open"), only(&spans, "upstream"));
    assert_eq!((root.trace(), root.parent()), (TRACE.into(), SPAN.into()));
    let seen = gateway.upstream().last();
    let sent = parts(seen.header("traceparent"));
    assert_eq!(sent, (TRACE.to_owned(), upstream.id(), "01".to_owned()));
    assert_eq!(seen.header("tracestate"), "a=1,b=2");
}

#[tokio::test]
async fn what_a_proxy_does_not_record_is_not_recorded_here() {
    let collector = Collector::start(Mood::Good).await;
    let mut gateway = behind_a_proxy(&collector, "1").await;
    let given = format!("00-{TRACE}-{SPAN}-00");

    ask(&gateway, "/open", &[("traceparent", &given)]).await;
    let log = gateway.access_log().await;

    assert_eq!(collector.requests(), 0);
    let (trace, span, flags) = parts(gateway.upstream().last().header("traceparent"));
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "00"));
    assert_ne!(span, SPAN);
    assert_eq!(log[0]["trace_id"], TRACE);
}

#[tokio::test]
async fn a_visitor_cannot_put_requests_into_a_trace() {
    let collector = Collector::start(Mood::Good).await;
    let mut gateway = traced_to(&collector).await;
    let given = format!("00-{TRACE}-{SPAN}-01");
    let headers = [("traceparent", given.as_str()), ("tracestate", "a=1")];

    ask(&gateway, "/open", &headers).await;
    gateway.stop().await;

    let spans = collector.spans();
    let root = only(&spans, "GET open");
    assert_ne!(root.trace(), TRACE);
    assert_eq!(root.parent(), "");
    let seen = gateway.upstream().last();
    assert_eq!(parts(seen.header("traceparent")).0, root.trace());
    assert_eq!(seen.header("tracestate"), "");
}

#[tokio::test]
async fn a_malformed_traceparent_begins_a_new_trace() {
    let collector = Collector::start(Mood::Good).await;
    let gateway = behind_a_proxy(&collector, "1").await;
    let good = format!("00-{TRACE}-{SPAN}-01");
    let bad = [
        vec![("traceparent", "nonsense")],
        vec![(
            "traceparent",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        )],
        vec![
            ("traceparent", good.as_str()),
            ("traceparent", good.as_str()),
        ],
    ];
    for mut headers in bad {
        headers.push(("tracestate", "a=1"));

        ask(&gateway, "/open", &headers).await;

        let seen = gateway.upstream().last();
        let (trace, _, flags) = parts(seen.header("traceparent"));
        assert!(trace != TRACE && flags == "01", "{headers:?}");
        assert_eq!(seen.header("tracestate"), "", "{headers:?}");
    }
}

#[tokio::test]
async fn without_tracing_the_field_is_the_clients_own() {
    let mut gateway = TestGateway::start().await;
    let given = format!("00-{TRACE}-{SPAN}-01");

    ask(&gateway, "/open", &[("traceparent", &given)]).await;
    let log = gateway.access_log().await;

    assert_eq!(gateway.upstream().last().header("traceparent"), given);
    assert_eq!(log[0]["trace_id"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_share_of_nothing_sends_nothing_and_still_names_traces() {
    let collector = Collector::start(Mood::Good).await;
    let mut gateway = behind_a_proxy(&collector, "0").await;

    ask(&gateway, "/open", &[]).await;
    gateway.stop().await;

    assert_eq!(collector.requests(), 0);
    let (_, _, flags) = parts(gateway.upstream().last().header("traceparent"));
    assert_eq!(flags, "00");
}

#[tokio::test]
async fn a_failed_attempt_is_a_span_below_that_of_the_upstream() {
    let collector = Collector::start(Mood::Good).await;
    let dead = free_address();
    let mut gateway = TestGateway::with(|setup| {
        setup.sections = format!(
            "{}\n[upstreams.two]\nservers = [\"http://{dead}\", \"UPSTREAM\"]\n",
            tracing(&collector.url(), "1")
        );
        setup.routes =
            "[[routes]]\nname = \"all\"\npath = \"/\"\nauth = \"public\"\nupstream = \"two\"\n"
                .to_owned();
    })
    .await;

    // Round-robin meets the dead one first or second.
    for _ in 0..2 {
        assert_eq!(ask(&gateway, "/", &[]).await.status, 200);
    }
    gateway.stop().await;

    let spans = collector.spans();
    let attempt = only(&spans, "attempt");
    let upstream = spans
        .iter()
        .find(|span| span.id() == attempt.parent())
        .unwrap();
    assert_eq!(upstream.name(), "upstream");
    assert_eq!(upstream.attribute("http.request.resend_count"), "1");
    assert!(attempt.has_failed() && !upstream.has_failed());
    assert_eq!(attempt.attribute("error.type"), "not_connected");
    assert_eq!(
        attempt.attribute("wxgate.upstream_server"),
        dead.to_string()
    );
}

#[tokio::test]
async fn a_site_that_is_down_is_a_failed_span() {
    let collector = Collector::start(Mood::Good).await;
    let dead = free_address();
    let mut gateway = TestGateway::with(|setup| {
        setup.sections = tracing(&collector.url(), "1");
        setup.routes = crate::support::open_route(&format!("http://{dead}"), "");
    })
    .await;

    assert_eq!(ask(&gateway, "/", &[]).await.status, 502);
    gateway.stop().await;

    let spans = collector.spans();
    let (root, upstream) = (only(&spans, "GET all"), only(&spans, "upstream"));
    assert!(root.has_failed() && upstream.has_failed());
    assert_eq!(root.attribute("http.response.status_code"), "502");
    assert_eq!(upstream.attribute("error.type"), "upstream");
}

#[tokio::test]
async fn a_collector_that_is_no_help_holds_up_nobody() {
    let down = free_address();
    let hanging = Collector::start(Mood::Hanging).await;
    let refusing = Collector::start(Mood::Refusing(400)).await;
    let urls = [format!("http://{down}"), hanging.url(), refusing.url()];
    for url in urls {
        let mut gateway = TestGateway::with(|setup| setup.sections = tracing(&url, "1")).await;
        let began = Instant::now();
        for _ in 0..50 {
            assert_eq!(ask(&gateway, "/open", &[]).await.status, 200);
        }
        let took = began.elapsed();
        // Far more than 50 requests need, and less than one wait for the collector.
        assert!(took < Duration::from_secs(4), "{url}: {took:?}");

        let began = Instant::now();
        assert!(gateway.stop().await.is_clean(), "{url}");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "{url}: {took:?}");
    }
    assert!(refusing.requests() >= 1 && hanging.requests() >= 1);
}

#[tokio::test]
async fn spans_that_the_collector_does_not_take_are_counted() {
    for (mood, reason, lost) in [
        (Mood::Refusing(400), "export", 3.0),
        (Mood::Picky(2), "rejected", 2.0),
    ] {
        let collector = Collector::start(mood).await;
        let gateway = traced_to(&collector).await;

        ask(&gateway, "/open", &[]).await;

        let dropped = format!("wxgate_trace_spans_dropped_total{{reason=\"{reason}\"}}");
        eventually(&dropped, async || gateway.metric(&dropped).await == lost).await;
        let exported = gateway.metric("wxgate_trace_spans_exported_total").await;
        assert_eq!(exported, 3.0 - lost, "{reason}");
    }
}

#[tokio::test]
async fn a_reload_switches_tracing_on_and_off() {
    let collector = Collector::start(Mood::Good).await;
    let gateway = TestGateway::start().await;
    let on = Setup {
        sections: tracing(&collector.url(), "1"),
        ..Setup::default()
    };

    gateway.app().reload(gateway.config(&on)).unwrap();
    ask(&gateway, "/open", &[]).await;
    assert_ne!(gateway.upstream().last().header("traceparent"), "");
    gateway
        .app()
        .reload(gateway.config(&Setup::default()))
        .unwrap();
    ask(&gateway, "/open", &[]).await;

    assert_eq!(gateway.upstream().last().header("traceparent"), "");
    // Nobody holds the tracer any more: what it had is sent.
    eventually("spans arrive", async || collector.requests() > 0).await;
    assert_eq!(collector.spans().len(), 3);
}
