#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use http::{Method, StatusCode};

use super::*;

/// The value of the series that begins with `series`.
const IN_FLIGHT: &str = r#"wxgate_http_requests_in_flight{listener="0.0.0.0:443"}"#;

fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(series))?;
    Some(line.trim().parse().unwrap())
}

/// Puts at least one series into every family. One is there as long as its upstream.
fn touch_everything(metrics: &Metrics) -> UpstreamMetrics {
    metrics.login_started("main", "base");
    metrics.login_finished("main", "base", "ok", Some(Duration::from_secs(3)));
    metrics.callback_replayed("main");
    metrics.login_loop_stopped("loop-cookie");
    metrics.rate_limited("callback");
    metrics.headers_stripped("identity", 1);
    metrics.session_created("main");
    metrics.session_ended("logout");
    metrics.sessions_kept(3);
    metrics.scan_tickets("waiting", 2);
    metrics.jwt_signed("ES256");
    metrics.jwt_key("kid", UNIX_EPOCH);
    let store = metrics.store();
    store.operation(StoreOperation::PutNew, false, Duration::from_millis(3));
    metrics.route("shop").websocket_opened();
    metrics.config_loaded(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    metrics.config_refused("unknown key");
    let listener = metrics.listener("0.0.0.0:443");
    listener.request_began();
    metrics.route("shop").request_finished(
        &listener,
        &Method::GET,
        StatusCode::OK,
        Duration::ZERO,
        0,
        0,
    );
    metrics.route("shop").decision("allowed", "session");
    let upstream = metrics.upstream("app", "10.0.0.5:80");
    upstream.request_finished(StatusCode::OK, Duration::ZERO);
    upstream.failed("connect");
    upstream.set_healthy(true);
    metrics.wechat_call("main", "x", "ok", None, Duration::ZERO);
    metrics.wechat_token_refreshed("main", "access", Some(UNIX_EPOCH));
    upstream.probed(true);
    metrics.log_lines_dropped("full").inc();
    metrics.trace_spans_exported().inc();
    metrics.trace_spans_dropped("full").inc();
    listener.handshake("ok");
    listener.proxy_header("ok");
    listener.certificate_reloaded("ok");
    let ends = UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    listener.certificates([], [("www.example.com", ends)]);
    upstream
}

#[test]
fn an_answered_request_shows_in_every_family_of_its_route() {
    let metrics = Metrics::new();
    let (listener, route) = (metrics.listener("0.0.0.0:443"), metrics.route("shop"));

    listener.request_began();
    assert_eq!(value(&metrics.encode(), IN_FLIGHT), Some(1.0));
    let took = Duration::from_millis(7);
    listener.request_ended();
    route.request_finished(&listener, &Method::GET, StatusCode::OK, took, 10, 2000);

    let page = metrics.encode();
    for (series, expected) in [
        (IN_FLIGHT, 0.0),
        (
            r#"wxgate_http_requests_total{listener="0.0.0.0:443",route="shop",method="GET",code="200"}"#,
            1.0,
        ),
        (
            r#"wxgate_http_request_duration_seconds_sum{route="shop",method="GET",code_class="2xx"}"#,
            0.007,
        ),
        (
            r#"wxgate_http_request_duration_seconds_bucket{le="0.005",route="shop",method="GET",code_class="2xx"}"#,
            0.0,
        ),
        (
            r#"wxgate_http_request_duration_seconds_bucket{le="0.01",route="shop",method="GET",code_class="2xx"}"#,
            1.0,
        ),
        (
            r#"wxgate_http_request_duration_seconds_bucket{le="+Inf",route="shop",method="GET",code_class="2xx"}"#,
            1.0,
        ),
        (r#"wxgate_http_request_size_bytes_sum{route="shop"}"#, 10.0),
        (
            r#"wxgate_http_response_size_bytes_sum{route="shop"}"#,
            2000.0,
        ),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series}\n{page}");
    }
}

#[test]
fn clients_and_upstreams_cannot_add_series_without_bound() {
    let metrics = Metrics::new();
    let (listener, route) = (metrics.listener("0.0.0.0:443"), metrics.route("shop"));
    let empty = metrics.encode().lines().count();

    for number in 0..500 {
        let method = Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
        let status = StatusCode::from_u16(600 + number % 400).unwrap();
        route.request_finished(&listener, &method, status, Duration::ZERO, 0, 0);
        metrics.wechat_call(
            "main",
            "x",
            "errcode",
            Some(70_000 + i64::from(number)),
            Duration::ZERO,
        );
    }

    let page = metrics.encode();
    let other = r#"wxgate_http_requests_total{listener="0.0.0.0:443",route="shop",method="other",code="other"}"#;
    assert_eq!(value(&page, other), Some(500.0));
    let wechat =
        r#"wxgate_wechat_requests_total{app="main",endpoint="x",result="errcode",errcode="other"}"#;
    assert_eq!(value(&page, wechat), Some(500.0));
    assert!(page.lines().count() < empty + 60, "{page}");
}

#[test]
fn every_kind_of_answer_is_counted_even_when_no_slot_is_free() {
    let metrics = Metrics::new();
    let (listener, route) = (metrics.listener("0.0.0.0:443"), metrics.route("shop"));

    for _ in 0..2 {
        for status in 200..300 {
            let status = StatusCode::from_u16(status).unwrap();
            route.request_finished(&listener, &Method::GET, status, Duration::ZERO, 0, 0);
        }
    }

    let page = metrics.encode();
    for status in 200..300 {
        let series = format!(
            r#"wxgate_http_requests_total{{listener="0.0.0.0:443",route="shop",method="GET",code="{status}"}}"#
        );
        assert_eq!(value(&page, &series), Some(2.0), "{status}");
    }
}

#[test]
fn two_generations_of_a_route_count_into_one_series() {
    let metrics = Metrics::new();

    metrics.route("shop").decision("allowed", "session");
    metrics.route("shop").decision("allowed", "session");

    let series = r#"wxgate_auth_decisions_total{route="shop",decision="allowed",reason="session"}"#;
    assert_eq!(value(&metrics.encode(), series), Some(2.0));
}

#[test]
fn upstream_answers_errors_and_health_are_told_apart_by_server() {
    let metrics = Metrics::new();
    let first = metrics.upstream("app", "10.0.0.5:80");
    let second = metrics.upstream("app", "10.0.0.6:80");

    first.request_finished(StatusCode::OK, Duration::from_secs(1));
    second.failed("connect");
    first.set_healthy(true);
    second.set_healthy(false);

    let page = metrics.encode();
    for (series, expected) in [
        (
            r#"wxgate_upstream_requests_total{upstream="app",server="10.0.0.5:80",code="200"}"#,
            1.0,
        ),
        (
            r#"wxgate_upstream_request_duration_seconds_sum{upstream="app"}"#,
            1.0,
        ),
        (
            r#"wxgate_upstream_errors_total{upstream="app",kind="connect"}"#,
            1.0,
        ),
        (
            r#"wxgate_upstream_healthy{upstream="app",server="10.0.0.5:80"}"#,
            1.0,
        ),
        (
            r#"wxgate_upstream_healthy{upstream="app",server="10.0.0.6:80"}"#,
            0.0,
        ),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series}\n{page}");
    }
}

#[test]
fn every_method_feeds_its_family() {
    let metrics = Metrics::new();

    let _upstream = touch_everything(&metrics);

    let page = metrics.encode();
    for (series, expected) in [
        (
            r#"wxgate_logins_started_total{app="main",method="base"}"#,
            1.0,
        ),
        (
            r#"wxgate_logins_finished_total{app="main",method="base",result="ok"}"#,
            1.0,
        ),
        (
            r#"wxgate_login_duration_seconds_sum{app="main",method="base"}"#,
            3.0,
        ),
        (r#"wxgate_callback_replays_total{app="main"}"#, 1.0),
        (
            r#"wxgate_login_loops_stopped_total{cause="loop-cookie"}"#,
            1.0,
        ),
        (r#"wxgate_rate_limited_total{rule="callback"}"#, 1.0),
        (r#"wxgate_headers_stripped_total{kind="identity"}"#, 1.0),
        (r#"wxgate_sessions_created_total{app="main"}"#, 1.0),
        (r#"wxgate_sessions_ended_total{reason="logout"}"#, 1.0),
        (r#"wxgate_sessions_active{mode="store"}"#, 3.0),
        (r#"wxgate_jwt_signed_total{alg="ES256"}"#, 1.0),
        (r#"wxgate_websocket_connections{route="shop"}"#, 1.0),
        ("wxgate_config_last_reload_successful", 0.0),
        (
            "wxgate_config_last_reload_success_timestamp_seconds",
            1_700_000_000.0,
        ),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series}\n{page}");
    }
}

#[test]
fn the_page_names_the_build_and_the_process_and_ends_as_it_must() {
    let page = Metrics::new().encode();

    assert!(page.contains("wxgate_build_info{version="), "{page}");
    assert!(value(&page, "process_resident_memory_bytes").unwrap() > 0.0);
    assert!(value(&page, "process_open_fds").unwrap() > 0.0);
    assert!(value(&page, "process_start_time_seconds").unwrap() > 1_600_000_000.0);
    assert!(page.contains("process_cpu_seconds_total "), "{page}");
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn no_family_is_described_twice_and_each_has_help() {
    let metrics = Metrics::new();
    let _upstream = touch_everything(&metrics);
    let page = metrics.encode();
    let names: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();

    let mut distinct = names.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(names.len(), distinct.len());
    assert!(names.len() > 30, "{names:?}");
    for line in page.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (_, help) = line.split_once(' ').unwrap();
        assert!(help.ends_with('.') && !help.ends_with(".."), "{line}");
    }
}

/// A family's type and labels by its name.
type Described = BTreeMap<String, (String, Vec<String>)>;

/// The table of `docs/metrics.md`.
fn documented() -> Described {
    let rows = include_str!("../../docs/metrics.md").lines();
    let rows = rows.filter_map(|line| line.strip_prefix("| `wxgate_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[2].split(", ").filter(|label| !label.is_empty());
        let mut labels: Vec<_> = labels.map(str::to_owned).collect();
        labels.sort_unstable();
        let name = format!("wxgate_{}", cells[0].trim_end_matches('`'));
        (name, (cells[1].to_owned(), labels))
    })
    .collect()
}

/// What a page in the older text format has.
fn shown(page: &str) -> Described {
    let mut families = Described::new();
    let mut current = String::new();
    for line in page.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            current = name.to_owned();
            families.insert(current.clone(), (kind.to_owned(), Vec::new()));
        } else if !line.starts_with('#') {
            let inside = line.split_once('{').map_or("", |(_, rest)| rest);
            let inside = inside.rsplit_once('}').map_or("", |(labels, _)| labels);
            let names = inside
                .split("\",")
                .filter_map(|label| label.split_once('=').map(|(name, _)| name.to_owned()))
                .filter(|name| name != "le");
            let labels = &mut families.get_mut(&current).unwrap().1;
            labels.extend(names);
            labels.sort_unstable();
            labels.dedup();
        }
    }
    families.retain(|name, _| name.starts_with("wxgate_"));
    families
}

#[test]
fn every_family_and_label_is_documented_and_nothing_else_is() {
    let metrics = Metrics::new();
    let _upstream = touch_everything(&metrics);

    let (shown, documented) = (shown(&metrics.encode_text()), documented());

    assert!(documented.len() > 40, "{documented:#?}");
    assert_eq!(shown, documented);
}
