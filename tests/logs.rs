//! What logs say, and what they never say.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;
use tokio::process::Command;
use wxgate::simulator::{Endpoint, Trouble};

use crate::support::{
    APP_ID, APP_SECRET, Browser, Process, Setup, TestGateway, Visit, Wire, agents, run_tool,
};

fn keys(line: &Value) -> BTreeSet<&str> {
    line.as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn a_line_has_the_documented_fields_and_no_others() {
    let mut gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/site").await.assert_ok();
    let forged = [("x-wechat-openid", "x")];
    alice
        .send(
            Method::POST,
            "/site/a%20b?page=2&code=abc&x",
            &forged,
            "hello",
        )
        .await;
    let mut nobody = gateway.browser(agents::DESKTOP);
    nobody.get_once("/open").await;
    let log = gateway.access_log().await;

    let [.., known, open] = log.as_slice() else {
        panic!("{log:?}")
    };
    let always = [
        "ts",
        "level",
        "event",
        "request_id",
        "listener",
        "client_ip",
        "client",
        "method",
        "scheme",
        "host",
        "path",
        "proto",
        "route",
        "auth",
        "decision",
        "status",
        "bytes_in",
        "bytes_out",
        "duration_s",
        "upstream",
        "upstream_server",
        "upstream_status",
        "upstream_s",
    ];
    assert_eq!(keys(open), BTreeSet::from(always));
    let also = ["query_keys", "app", "user", "session", "stripped_headers"];
    assert_eq!(keys(known), always.into_iter().chain(also).collect());

    for (field, value) in [
        ("level", Value::from("info")),
        ("event", "request".into()),
        ("listener", known["listener"].clone()),
        ("client_ip", "127.0.0.1".into()),
        ("client", "wechat-android".into()),
        ("method", "POST".into()),
        ("scheme", "https".into()),
        ("host", "www.example.test".into()),
        ("path", "/site/a%20b".into()),
        ("query_keys", serde_json::json!(["page", "code", "x"])),
        ("proto", "HTTP/1.1".into()),
        ("route", "site".into()),
        ("auth", "base".into()),
        ("decision", "allowed".into()),
        ("app", "main".into()),
        ("status", 200.into()),
        ("bytes_in", 5.into()),
        ("upstream_status", 200.into()),
        ("stripped_headers", 1.into()),
    ] {
        assert_eq!(known[field], value, "{field}");
    }
    let openid = gateway.simulator().person("alice").unwrap().openid(APP_ID);
    let user = known["user"].as_str().unwrap();
    assert!(user.contains('…') && user.len() < 10, "{user}");
    assert!(openid.starts_with(user.split('…').next().unwrap()));
    assert_eq!(known["session"].as_str().unwrap().len(), 8);
    assert!(known["duration_s"].as_f64().unwrap() >= known["upstream_s"].as_f64().unwrap());
    assert_eq!(
        known["ts"].as_str().unwrap().len(),
        "2026-01-02T03:04:05.678Z".len()
    );

    let first = &log[0];
    assert_eq!(first["decision"], "redirected");
    assert_eq!(first["reason"], "no_session");
    assert_eq!(first["status"], 302);
    assert_eq!(first["user"], Value::Null);
}

#[tokio::test]
async fn every_decision_has_its_word() {
    let mut gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/site").await.assert_ok();
    for path in ["/open", "/maybe", "/member", "/closed"] {
        alice.get_once(path).await;
    }
    alice.send(Method::POST, "/member", &[], "").await;
    alice.clear_cookies();
    alice.get_once("/maybe").await;
    alice.send(Method::POST, "/site", &[], "").await;
    let log = gateway.access_log().await;
    let words: Vec<_> = log
        .iter()
        .skip(2)
        .map(|line| {
            let word = |field: &str| line[field].as_str().unwrap_or_default();
            (word("path"), word("decision"), word("reason"))
        })
        .collect();
    assert_eq!(
        words,
        [
            ("/site", "allowed", ""),
            ("/open", "public", ""),
            ("/maybe", "allowed", ""),
            ("/member", "redirected", "scope"),
            ("/closed", "denied", "route"),
            ("/member", "unauthorized", "scope"),
            ("/maybe", "optional_anonymous", ""),
            ("/site", "unauthorized", "no_session"),
        ]
    );
}

#[tokio::test]
async fn of_a_query_as_much_is_shown_as_the_operator_wants() {
    for (detail, shown) in [
        ("none", None),
        (
            "keys",
            Some((
                "query_keys",
                serde_json::json!(["page", "code", "State", "access_token", "q"]),
            )),
        ),
        (
            "full",
            Some((
                "query",
                "page=2&code=[removed]&State=[removed]&access_token=[removed]&q=a%20b".into(),
            )),
        ),
    ] {
        let mut gateway = TestGateway::with(|setup| {
            setup.sections = format!("query = \"{detail}\"");
        })
        .await;
        let mut browser = gateway.browser(agents::DESKTOP);
        let query = "page=2&code=s3cret&State=s3cret&access_token=s3cret&q=a%20b";
        browser.get_once(&format!("/open?{query}")).await;
        let log = gateway.access_log().await;
        let line = &log[0];
        for field in ["query", "query_keys"] {
            let expected = shown.as_ref().filter(|(name, _)| *name == field);
            assert_eq!(
                line.get(field),
                expected.map(|(_, value)| value),
                "{detail}"
            );
        }
        assert!(!line.to_string().contains("s3cret"));
    }
}

#[tokio::test]
async fn the_combined_format_is_read_by_tools_for_logs_of_web_servers() {
    let mut gateway = TestGateway::with(|setup| {
        setup.sections = "format = \"combined\"\nquery = \"full\"".to_owned();
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    let referer = (
        "referer",
        "https://www.example.test/_wxgate/ticket/s3cret?code=s3cret",
    );
    alice.get("/site?page=2").await.assert_ok();
    alice
        .send(Method::GET, "/site?page=3", &[referer], "")
        .await;
    let strange = [("referer", "\"微信"), ("user-agent", "\" \\ -")];
    alice
        .send(Method::POST, "/site/a%20b", &strange, "hello")
        .await;
    gateway.browser(agents::DESKTOP).get_once("/none").await;
    gateway.stop().await;

    let log = std::fs::read_to_string(gateway.log_path()).unwrap();
    assert!(!log.contains("s3cret") && log.is_ascii(), "{log}");
    let from_ticket = "\"https://www.example.test/_wxgate/ticket/\"";
    assert!(log.contains(from_ticket), "{log}");
    assert!(
        log.contains("&code=[removed]&state=[removed] HTTP/1.1\""),
        "{log}"
    );
    let mut goaccess = Command::new("goaccess");
    goaccess.arg(gateway.log_path()).args([
        "--log-format=COMBINED",
        "--no-global-config",
        "--output-format=json",
    ]);
    let said: Value = serde_json::from_str(&run_tool(goaccess, "").await).unwrap();
    let lines = log.lines().count();
    assert_eq!(said["general"]["valid_requests"], lines, "{log}");
    assert_eq!(said["general"]["failed_requests"], 0, "{log}");
}

#[tokio::test]
async fn a_line_cannot_be_forged_or_broken() {
    let mut gateway = TestGateway::with(|setup| {
        setup.server = "trusted_proxies = [\"127.0.0.1/32\"]".to_owned();
        setup.sections = "query = \"full\"".to_owned();
    })
    .await;
    let mut wire = Wire::new(gateway.address());
    for target in [
        "/open/%0a%7b%22event%22:%22request%22%7d",
        "/open/%22,%22status%22:1,%22",
        "/open?x=%22,%22status%22:1,%22y",
        "/open?%0d%0a",
        "/open/%e2%80%a8",
        "/open//",
    ] {
        for id in ["a\",\"b\":\"c", "ok-1"] {
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: www.example.test\r\nX-Request-Id: {id}\r\nUser-Agent: \"}}\\\r\n\r\n"
            );
            wire.ask(&request).await;
        }
    }
    drop(wire);
    // Every line was parsed, so every line is one object.
    let log = gateway.access_log().await;
    assert_eq!(log.len(), 12);
    for line in &log {
        assert!(line["status"] == 200 || line["status"] == 400, "{line}");
        assert_eq!(line["event"], "request");
        assert!(line["request_id"] != "a", "{line}");
    }
}

/// Notes what must not be seen: everything secret that passes through a browser.
#[derive(Default)]
struct Markers(BTreeSet<String>);

impl Markers {
    fn visit(&mut self, visit: &Visit) {
        for url in &visit.hops {
            for (name, value) in url.query_pairs() {
                if ["code", "state"].contains(&name.as_ref()) {
                    self.add(&value);
                }
            }
        }
        for reply in &visit.replies {
            for cookie in reply.headers.get_all("set-cookie") {
                let pair = cookie.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                if name != "wxgate-lang" {
                    self.add(value);
                }
            }
        }
    }

    fn add(&mut self, text: &str) {
        if text.len() >= 8 {
            self.0.insert(text.to_owned());
        }
    }
}

/// Presses the button of the purpose page.
async fn agree(browser: &mut Browser, purpose: &Visit) -> Visit {
    let link = purpose.last().link_to("/_wxgate/login?");
    browser.get(&link).await
}

/// Everything that a login can be, from the first visit to every way to fail.
async fn live_through_everything(gateway: &TestGateway, program: &Process, markers: &mut Markers) {
    let simulator = gateway.simulator();
    let mut number = 0;
    let mut person = || {
        number += 1;
        let name = format!("Nickname-Of-Marker-{number}");
        let mut browser = gateway.browser_in_wechat(&name);
        browser.follow_to(program.address());
        browser
    };
    let mut alice = person();
    markers.visit(&alice.get("/site?token=Query-Marker-1").await);
    let purpose = alice.get("/member").await;
    let visit = agree(&mut alice, &purpose).await;
    visit.assert_ok();
    markers.visit(&visit);
    let headers = [
        ("authorization", "Bearer Bearer-Marker-1"),
        ("x-wxgate-jwt-assertion", "Forged-Marker-1"),
        ("proxy-authorization", "Basic Basic-Marker-1"),
        ("referer", "https://www.example.test/?code=Referer-Marker-1"),
    ];
    alice.set_cookie("sid", "Site-Cookie-Marker-1");
    alice
        .send(
            Method::POST,
            "/site?password=Query-Marker-2",
            &headers,
            "Body-Marker-1",
        )
        .await;
    alice
        .send(Method::GET, "/site//bad?code=Query-Marker-3", &headers, "")
        .await;
    alice.get("/_wxgate/me").await;
    // The callback again, in the same browser and in another one.
    let callback = visit
        .hops
        .iter()
        .find(|url| url.path().contains("/callback/"))
        .unwrap();
    markers.visit(&alice.get(callback.as_str()).await);
    markers.visit(&person().get(callback.as_str()).await);
    let mut forged = person();
    forged.set_cookie("__Host-wxgate", "Session-Cookie-Marker-1");
    forged.set_cookie("__Host-wxgate-login", "Login-Cookie-Marker-1");
    markers.visit(&forged.get("/site").await);
    forged
        .get("/_wxgate/callback/main?code=Code-Marker-1&state=State-Marker-1")
        .await;
    forged
        .get("/_wxgate/callback/none?code=Code-Marker-2")
        .await;

    fail_in_every_way(gateway, &mut person, markers).await;
    let origin = [("origin", "https://www.example.test")];
    alice
        .send(Method::POST, "/_wxgate/logout", &origin, "")
        .await;
    markers.add("Nickname-Of-Marker");
    for number in 1..=number {
        let person = simulator
            .person(&format!("Nickname-Of-Marker-{number}"))
            .unwrap();
        markers.add(&person.openid(APP_ID));
        markers.add(&person.unionid());
        markers.add(&person.avatar());
    }
    for seen in gateway.upstream().seen() {
        if let Some(token) = seen.headers.get("x-wxgate-jwt-assertion") {
            markers.add(token.to_str().unwrap());
        }
    }
}

/// Logins that WeChat spoils, silent ones and those with a profile.
async fn fail_in_every_way(
    gateway: &TestGateway,
    person: &mut impl FnMut() -> Browser,
    markers: &mut Markers,
) {
    let simulator = gateway.simulator();
    for trouble in [
        Trouble::Errcode(40029),
        Trouble::Errcode(40125),
        Trouble::Errcode(40163),
        Trouble::Errcode(-1),
        Trouble::Errcode(48001),
        Trouble::Errcode(99999),
        Trouble::Down,
        Trouble::Status(500),
        Trouble::Garbage,
        Trouble::Html,
        Trouble::Redirect,
        Trouble::Truncated,
        Trouble::Cut,
        Trouble::Huge,
    ] {
        simulator.faults().always(Endpoint::Exchange, trouble);
        markers.visit(&person().get("/site").await);
        simulator.faults().clear();
        simulator.faults().always(Endpoint::UserInfo, trouble);
        let mut browser = person();
        let purpose = browser.get("/member").await;
        markers.visit(&agree(&mut browser, &purpose).await);
        simulator.faults().clear();
    }
    simulator
        .faults()
        .change(|switches| switches.snapshot = true);
    markers.visit(&person().get("/site").await);
    simulator.faults().clear();
    simulator.faults().change(|switches| switches.refuse = true);
    markers.visit(&person().get("/site").await);
    simulator.faults().clear();
}

#[tokio::test]
async fn no_secret_is_in_any_log_at_any_level() {
    let mut gateway = TestGateway::start().await;
    gateway.stop().await;
    let setup = Setup {
        store: "embedded",
        sections: "query = \"full\"\n[log]\nlevel = \"trace\"\nformat = \"json\"\n[rate_limit]\nlogin_start = \"none\"\ncallback = \"none\"".to_owned(),
        ..Setup::default()
    };
    let program = Process::configured(&gateway.config_text(&setup)).await;
    let mut markers = Markers::default();
    markers.add(APP_SECRET);
    for name in [
        "Query-Marker",
        "Bearer-Marker",
        "Forged-Marker",
        "Basic-Marker",
        "Referer-Marker",
        "Site-Cookie-Marker",
        "Body-Marker",
        "Session-Cookie-Marker",
        "Login-Cookie-Marker",
        "Code-Marker",
        "State-Marker",
    ] {
        markers.add(name);
    }

    live_through_everything(&gateway, &program, &mut markers).await;

    assert!(markers.0.len() > 150, "{}", markers.0.len());
    let (output, errors) = program.stop().await;
    let access = std::fs::read_to_string(gateway.log_path()).unwrap();
    for (name, log) in [
        ("stdout", &output),
        ("stderr", &errors),
        ("access log", &access),
    ] {
        for marker in &markers.0 {
            let line = log.lines().find(|line| line.contains(marker.as_str()));
            assert!(line.is_none(), "{marker} is in the {name}: {line:?}");
        }
    }
    // The logs were there and said what happened.
    let count = access.lines().count();
    assert!(count >= 100, "{count}");
    for word in [
        "\"event\":\"login\"",
        "\"result\":\"ok\"",
        "40125",
        "\"request.id\"",
    ] {
        assert!(errors.contains(word), "{word} is not in {errors}");
    }
    let lines = errors.lines().filter(|line| line.starts_with('{'));
    let mut count = 0;
    for line in lines {
        serde_json::from_str::<Value>(line).unwrap();
        count += 1;
    }
    assert!(count > 20, "{count}");
}

#[tokio::test]
async fn log_lines_name_the_request_that_the_visitor_saw_fail() {
    let mut gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    gateway.stop().await;
    let mut setup = Setup::default();
    setup.routes.push_str(
        r#"
        [[routes]]
        name = "broken"
        path = "/broken"
        auth = "public"
        upstream = "http://127.0.0.1:1"
    "#,
    );
    setup.sections = "[log]\nformat = \"json\"".to_owned();
    let program = Process::configured(&gateway.config_text(&setup)).await;
    alice.follow_to(program.address());

    gateway
        .simulator()
        .faults()
        .always(Endpoint::Exchange, Trouble::Errcode(40125));
    let failed = alice.get("/site").await;
    let broken = alice.get_once("/broken").await;

    let ids = [
        failed.last().header("x-request-id").to_owned(),
        broken.header("x-request-id").to_owned(),
    ];
    let (_, errors) = program.stop().await;
    for (id, level) in ids.iter().zip(["ERROR", "WARN"]) {
        let line = errors
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|line| line["request.id"] == **id && line["level"] == level);
        assert!(line.is_some(), "{id} {level} is not in {errors}");
    }
}

#[tokio::test]
async fn a_proxy_that_nobody_named_is_told_once() {
    let mut gateway = TestGateway::start().await;
    gateway.stop().await;
    let words = "not in server.trusted_proxies";
    for (trusted, expected) in [("[]", 1), ("[\"127.0.0.1/32\"]", 0)] {
        let setup = Setup {
            server: format!("trusted_proxies = {trusted}"),
            ..Setup::default()
        };
        let program = Process::configured(&gateway.config_text(&setup)).await;
        let mut browser = gateway.browser_in_wechat("alice");
        browser.follow_to(program.address());
        for _ in 0..3 {
            let forwarded = [("x-forwarded-for", "203.0.113.7")];
            browser.send(Method::GET, "/open", &forwarded, "").await;
        }

        let (_, errors) = program.stop().await;
        assert_eq!(errors.matches(words).count(), expected, "{errors}");
    }
}

/// The only login event of this result, after this visit to the real program.
async fn login_event(fault: Option<i64>) -> Value {
    let gateway = TestGateway::start().await;
    let setup = Setup {
        store: "embedded",
        ..Setup::default()
    };
    let text = gateway.config_text(&setup);
    let state = gateway.state_dir().display().to_string();
    let own = format!("state_dir = \"{state}/second\"");
    std::fs::create_dir(gateway.state_dir().join("second")).unwrap();
    let text = text.replace(&format!("state_dir = \"{state}\""), &own);
    let program = Process::configured(&text).await;
    if let Some(code) = fault {
        let faults = gateway.simulator().faults();
        faults.next(Endpoint::Exchange, Trouble::Errcode(code));
    }
    let mut alice = gateway.browser_in_wechat("alice");
    alice.follow_to(program.address());
    alice.get("/site").await;
    let events = program.events().await;
    let mut logins = events.into_iter().filter(|event| event["event"] == "login");
    let (Some(login), None) = (logins.next(), logins.next()) else {
        panic!("not one login")
    };
    login
}

#[tokio::test]
async fn a_login_event_names_the_errcode_that_wechat_refused_it_with() {
    let refused = login_event(Some(40125)).await;

    assert_eq!(refused["result"], "wechat_error");
    assert_eq!(refused["wechat_errcode"], 40125);
    assert!(
        refused["wechat_rid"]
            .as_str()
            .is_some_and(|rid| !rid.is_empty()),
        "{refused}"
    );
    for (field, value) in [("app", "main"), ("method", "base"), ("level", "INFO")] {
        assert_eq!(refused[field], value, "{field}");
    }
    assert!(refused["attempt_id"].is_string() && refused["request.id"].is_string());

    let fine = login_event(None).await;
    assert_eq!(fine["result"], "ok");
    assert_eq!(fine["wechat_errcode"], Value::Null);
}
