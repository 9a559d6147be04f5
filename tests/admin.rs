//! Health and metrics: on their own listener only, and true.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use wxgate::simulator::{Endpoint, Fault, Trouble};

use crate::support::{APP_ID, Process, TestGateway, Wire, agents, log_out, logged_in, run_tool};

fn ask(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Every series with its value.
async fn series(gateway: &TestGateway) -> BTreeMap<String, f64> {
    let reply = Wire::new(gateway.admin_address())
        .ask(ask("/metrics"))
        .await;
    assert_eq!(reply.status, 200);
    reply
        .text()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// The sum of a family's series that have all these labels.
fn sum(series: &BTreeMap<String, f64>, family: &str, labels: &[&str]) -> f64 {
    series
        .iter()
        .filter(|(name, _)| name.split('{').next() == Some(family))
        .filter(|(name, _)| labels.iter().all(|label| name.contains(label)))
        .map(|(_, value)| value)
        .sum()
}

#[tokio::test]
async fn health_and_metrics_are_on_the_admin_listener_only() {
    let gateway = TestGateway::start().await;
    let mut admin = Wire::new(gateway.admin_address());
    let mut public = Wire::new(gateway.address());
    for (path, body) in [
        ("/healthz", Some("ok\n")),
        ("/readyz", Some("ok\n")),
        ("/startupz", Some("ok\n")),
        ("/metrics", None),
    ] {
        let reply = admin.ask(ask(path)).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
        if let Some(body) = body {
            assert_eq!(reply.text(), body, "{path}");
        }
        // In front, the same path is one of the site's like any other.
        let request = format!("GET {path} HTTP/1.1\r\nHost: www.example.test\r\n\r\n");
        assert_eq!(public.ask(&request).await.status, 401, "{path}");
        let request = format!("GET /open{path} HTTP/1.1\r\nHost: www.example.test\r\n\r\n");
        let reply = public.ask(&request).await;
        assert_eq!(reply.text(), format!("site answers /open{path}"));
    }
    let checks = admin.ask(ask("/readyz?verbose")).await;
    assert_eq!(
        checks.text(),
        "ok    started\nok    draining\nok    store\n"
    );

    // And nothing of the site, nor of our endpoints, is behind the admin listener.
    for path in [
        "/open",
        "/_wxgate/jwks",
        "/_wxgate/login",
        "/healthz/",
        "/healthz;x",
    ] {
        assert_eq!(admin.ask(ask(path)).await.status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request =
            format!("{method} /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(admin.ask(&request).await.status, 405, "{method}");
    }
    assert_eq!(gateway.upstream().seen().len(), 4);
}

#[tokio::test]
async fn a_token_is_asked_for_everywhere_but_for_life() {
    let gateway = TestGateway::with(|setup| {
        setup.sections = "[log]\nlevel = \"info\"\n".to_owned();
        setup.admin = "token = \"0123456789abcdef0123456789abcdef\"".to_owned();
    })
    .await;
    let mut wire = Wire::new(gateway.admin_address());
    assert_eq!(wire.ask(ask("/healthz")).await.status, 200);
    for (credentials, status) in [
        ("", 401),
        ("Authorization: Bearer\r\n", 401),
        (
            "Authorization: Bearer 0123456789abcdef0123456789abcdee\r\n",
            401,
        ),
        ("Authorization: Bearer 0123456789abcdef\r\n", 401),
        (
            "Authorization: Basic 0123456789abcdef0123456789abcdef\r\n",
            401,
        ),
        ("Cookie: token=0123456789abcdef0123456789abcdef\r\n", 401),
        (
            "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n",
            200,
        ),
    ] {
        for path in ["/metrics", "/readyz", "/startupz"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{credentials}\r\n");
            let reply = wire.ask(&request).await;
            assert_eq!(reply.status, status, "{path} {credentials:?}");
            let challenge = if status == 401 { "Bearer" } else { "" };
            assert_eq!(reply.header("www-authenticate"), challenge);
        }
    }
    let request = ask("/metrics?token=0123456789abcdef0123456789abcdef");
    assert_eq!(wire.ask(request).await.status, 401);
    // Who has no token does not even learn what there is.
    assert_eq!(wire.ask(ask("/nothing")).await.status, 401);
}

/// Families with some of their labels, and how far they move at least.
const MOVED: &[(&str, &[&str], f64)] = &[
    (
        "wxgate_http_requests_total",
        &["route=\"site\"", "method=\"GET\"", "code=\"200\""],
        1.0,
    ),
    (
        "wxgate_http_requests_total",
        &["route=\"open\"", "code=\"200\""],
        1.0,
    ),
    ("wxgate_http_requests_total", &["route=\"none\""], 2.0),
    (
        "wxgate_http_request_duration_seconds_count",
        &["route=\"site\"", "code_class=\"2xx\""],
        1.0,
    ),
    (
        "wxgate_http_response_size_bytes_count",
        &["route=\"open\""],
        1.0,
    ),
    ("wxgate_upstream_requests_total", &["code=\"200\""], 2.0),
    ("wxgate_upstream_request_duration_seconds_count", &[], 2.0),
    ("wxgate_upstream_errors_total", &["kind=\"connect\""], 1.0),
    (
        "wxgate_auth_decisions_total",
        &["route=\"site\"", "decision=\"allowed\""],
        1.0,
    ),
    (
        "wxgate_auth_decisions_total",
        &[
            "route=\"site\"",
            "decision=\"redirected\"",
            "reason=\"no_session\"",
        ],
        2.0,
    ),
    (
        "wxgate_auth_decisions_total",
        &[
            "route=\"site\"",
            "decision=\"unauthorized\"",
            "reason=\"no_session\"",
        ],
        1.0,
    ),
    (
        "wxgate_auth_decisions_total",
        &["route=\"open\"", "decision=\"public\""],
        1.0,
    ),
    (
        "wxgate_auth_decisions_total",
        &["route=\"maybe\"", "decision=\"optional_anonymous\""],
        1.0,
    ),
    (
        "wxgate_auth_decisions_total",
        &[
            "route=\"closed\"",
            "decision=\"denied\"",
            "reason=\"route\"",
        ],
        1.0,
    ),
    (
        "wxgate_logins_started_total",
        &["app=\"main\"", "method=\"base\""],
        2.0,
    ),
    (
        "wxgate_logins_finished_total",
        &["app=\"main\"", "method=\"base\"", "result=\"ok\""],
        1.0,
    ),
    (
        "wxgate_login_duration_seconds_count",
        &["app=\"main\""],
        1.0,
    ),
    (
        "wxgate_wechat_requests_total",
        &["app=\"main\"", "result=\"ok\"", "errcode=\"none\""],
        1.0,
    ),
    (
        "wxgate_wechat_requests_total",
        &["app=\"main\"", "result=\"errcode\"", "errcode=\"40029\""],
        1.0,
    ),
    ("wxgate_wechat_request_duration_seconds_count", &[], 2.0),
    ("wxgate_sessions_created_total", &["app=\"main\""], 1.0),
    ("wxgate_sessions_ended_total", &["reason=\"logout\""], 1.0),
    ("wxgate_jwt_signed_total", &["alg=\"ES256\""], 1.0),
    (
        "wxgate_session_store_operations_total",
        &["op=\"put_new\"", "result=\"ok\""],
        1.0,
    ),
    (
        "wxgate_session_store_operation_duration_seconds_count",
        &["op=\"put_new\""],
        1.0,
    ),
    ("wxgate_headers_stripped_total", &["kind=\"identity\""], 1.0),
    (
        "wxgate_headers_stripped_total",
        &["kind=\"underscore\""],
        1.0,
    ),
    ("process_resident_memory_bytes", &[], 1.0),
];

#[tokio::test]
async fn the_promised_families_move_with_what_happens() {
    let gateway = TestGateway::with(|setup| {
        setup.routes.push_str(
            r#"
            [[routes]]
            name = "broken"
            path = "/broken"
            auth = "public"
            upstream = "http://127.0.0.1:1"
        "#,
        );
    })
    .await;
    let before = series(&gateway).await;
    assert_eq!(
        sum(&before, "wxgate_build_info", &["version=\"0.1.0\""]),
        1.0
    );
    assert_eq!(
        sum(&before, "wxgate_config_last_reload_successful", &[]),
        1.0
    );
    assert!(
        sum(
            &before,
            "wxgate_config_last_reload_success_timestamp_seconds",
            &[]
        ) > 1.7e9
    );

    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/site").await.assert_ok();
    let logout = alice.send(
        Method::POST,
        "/_wxgate/logout",
        &[("origin", "https://www.example.test")],
        "",
    );
    assert_eq!(logout.await.status, 200);
    let mut bob = gateway.browser_in_wechat("bob");
    gateway.simulator().faults().add(Fault {
        on: Endpoint::Exchange,
        trouble: Trouble::Errcode(40029),
        times: None,
    });
    bob.get("/site").await;
    let mut nobody = gateway.browser(agents::DESKTOP);
    nobody.get_once("/broken").await;
    let forged = [("x-wechat-openid", "x"), ("x_wechat_unionid", "x")];
    nobody.send(Method::GET, "/open", &forged, "").await;
    nobody.send(Method::POST, "/site", &[], "").await;
    nobody.get_once("/closed").await;
    nobody.get_once("/maybe").await;

    let after = series(&gateway).await;
    for (family, labels, least) in MOVED {
        let moved = sum(&after, family, labels) - sum(&before, family, labels);
        assert!(
            moved >= *least,
            "{family} {labels:?} moved by {moved}: {after:#?}"
        );
    }
    assert_eq!(sum(&after, "wxgate_http_requests_in_flight", &[]), 0.0);
}

#[tokio::test]
async fn visitors_cannot_add_series_or_appear_in_one() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::new(gateway.address());
    for round in 0..3 {
        for number in 0..20 {
            let request = format!(
                "M{number} /open/{number} HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 0\r\n\r\n"
            )
            .replace(char::is_numeric, "Q")
            .replace("HTTP/Q.Q", "HTTP/1.1")
            .replace("Content-Length: Q", "Content-Length: 0")
            .replacen('Q', &"Q".repeat(number + 1), 1);
            wire.ask(&request).await;
            let request = format!("GET /x{number} HTTP/1.1\r\nHost: h{number}.test\r\n\r\n");
            wire.ask(&request).await;
        }
        let count = series(&gateway).await.len();
        assert!(count < 400, "{count} series after round {round}");
    }
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/site").await.assert_ok();
    let openid = gateway
        .upstream()
        .last()
        .header("x-wechat-openid")
        .to_owned();
    let page = Wire::new(gateway.admin_address())
        .ask(ask("/metrics"))
        .await;
    for private in [
        openid.as_str(),
        "alice",
        "127.0.0.1",
        "h1.test",
        "/open",
        // Long enough that no random key id holds it.
        "QQQQQQQQ",
    ] {
        // Servers, upstreams and listeners are named by addresses of the configuration.
        let ours = ["server=\"127", "upstream=\"http://127", "listener=\"127"];
        let is_ours = |line: &str| ours.iter().any(|label| line.contains(label));
        let mut lines = page.text().lines();
        let shown = lines.find(|line| line.contains(private) && !is_ours(line));
        assert_eq!(shown, None, "{private}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_write_lets_nobody_in_and_logs_nobody_out() {
    let mut gateway = TestGateway::with(|setup| setup.store = "embedded").await;
    let mut alice = gateway.browser_in_wechat("alice");
    let mut bob = gateway.browser_in_wechat("bob");
    let mut carol = logged_in(&gateway, "carol").await;
    let mut dave = logged_in(&gateway, "dave").await;
    let mut dave_before = dave.clone();
    log_out(&gateway, &mut dave).await;
    gateway.stop().await;
    gateway.upstream().take();
    let setup = crate::support::Setup {
        store: "embedded",
        ..Default::default()
    };
    let program = Process::configured(&gateway.config_text(&setup)).await;
    alice.follow_to(program.address());
    bob.follow_to(program.address());
    alice.get("/site").await.assert_ok();
    let origin = [("origin", "https://www.example.test")];

    limit_files(&program, "1");
    let logout = alice
        .send(Method::POST, "/_wxgate/logout", &origin, "")
        .await;
    assert_eq!(logout.status, 503, "{}", logout.text());
    assert!(!logout.headers.contains_key("set-cookie"));
    let visit = bob.get("/site").await;
    assert_eq!(visit.status(), 503, "{}", visit.text());
    assert!(
        visit.text().contains("WXG-STORE-TROUBLE"),
        "{}",
        visit.text()
    );
    assert_eq!(bob.cookie("__Host-wxgate"), None);
    let bobs = gateway.simulator().person("bob").unwrap().openid(APP_ID);
    let seen = gateway.upstream().take();
    let is_bob = |seen: &&crate::support::Seen| seen.header("x-wechat-openid") == bobs;
    assert_eq!(seen.iter().filter(is_bob).count(), 0);
    // Who was logged in is, seen before or not; who logged out stays out.
    carol.follow_to(program.address());
    dave_before.follow_to(program.address());
    carol.get("/site").await.assert_ok();
    assert_eq!(dave_before.get_once("/site").await.status, 302);
    assert_eq!(gateway.upstream().seen().len(), 1);
    let mut admin = Wire::new(program.admin_address());
    let ready = admin.ask(ask("/readyz")).await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.text(), "fail: store\n");
    assert_eq!(admin.ask(ask("/healthz")).await.status, 200);
    // What needs no store goes on.
    assert_eq!(bob.get("/open").await.status(), 200);

    limit_files(&program, "unlimited");
    assert_eq!(admin.ask(ask("/readyz")).await.status, 200);
    let logout = alice
        .send(Method::POST, "/_wxgate/logout", &origin, "")
        .await;
    assert_eq!(logout.status, 200, "{}", logout.text());
    bob.get("/site").await.assert_ok();
}

/// Changes how large the program's files may become.
pub(crate) fn limit_files(program: &Process, size: &str) {
    let status = std::process::Command::new("prlimit")
        .args(["--pid", &program.id().to_string()])
        .arg(format!("--fsize={size}:unlimited"))
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_damaged_store_is_not_opened() {
    let mut gateway = TestGateway::with(|setup| setup.store = "embedded").await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/site").await.assert_ok();
    gateway.stop().await;
    let files: Vec<_> = std::fs::read_dir(gateway.state_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "redb")
        })
        .collect();
    let [file] = files.as_slice() else {
        panic!("{files:?}")
    };
    let whole = std::fs::read(file).unwrap();
    let setup = crate::support::Setup {
        store: "embedded",
        ..Default::default()
    };
    let mut half = whole.clone();
    half.truncate(whole.len() / 2);
    let mut noise = whole.clone();
    for (byte, other) in noise.iter_mut().zip((0..=250).cycle()) {
        *byte = other;
    }
    for damaged in [b"garbage".to_vec(), half, noise] {
        std::fs::write(file, damaged).unwrap();
        let started = wxgate::app::App::start(gateway.config(&setup), gateway.clock().clone());
        let error = started.await.unwrap_err();
        assert!(format!("{error:#}").contains("store"), "{error:#}");
    }

    std::fs::write(file, whole).unwrap();
    gateway.restart(&setup).await;
    alice.follow(&gateway);
    alice.get("/site").await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 1);
}

#[tokio::test]
async fn while_it_drains_readiness_says_no_and_requests_go_on() {
    let mut gateway = TestGateway::with(|setup| {
        setup.server = r#"drain_delay = "1s""#.to_owned();
    })
    .await;
    let (admin, public) = (gateway.admin_address(), gateway.address());
    let observer = tokio::spawn(async move {
        let mut admin = Wire::new(admin);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        loop {
            let reply = admin.ask(ask("/readyz")).await;
            if reply.status == 503 {
                assert_eq!(reply.text(), "fail: draining\n");
                break;
            }
            assert!(tokio::time::Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
        let request = "GET /open HTTP/1.1\r\nHost: www.example.test\r\nConnection: close\r\n\r\n";
        assert_eq!(Wire::new(public).ask(request).await.status, 200);
    });
    assert!(gateway.stop().await.is_clean());
    observer.await.unwrap();
}

#[tokio::test]
async fn promtool_finds_nothing_to_complain_about() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/site").await.assert_ok();
    alice.get("/member").await;
    let page = Wire::new(gateway.admin_address())
        .ask(ask("/metrics"))
        .await;
    let families = page.text().matches("# TYPE wxgate_").count();
    assert!(families >= 25, "{families} families");

    let mut promtool = tokio::process::Command::new("promtool");
    promtool.args(["check", "metrics", "--extended"]);
    let said = run_tool(promtool, page.text()).await;

    assert!(
        said.contains("wxgate_session_store_operations_total"),
        "{said}"
    );
}
