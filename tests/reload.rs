//! A new configuration for a running gateway: all of it or nothing, and nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;

use crate::support::{
    KeepAlive, Process, Setup, TestGateway, Upstream, eventually, exchange, get, log_out,
    logged_in, run_to_end,
};

const SUCCESSFUL: &str = "wxgate_config_last_reload_successful";
const RELOADED: &str = "configuration reloaded";
const REFUSED: &str = "configuration not reloaded";

/// A route of its own at `/new`.
fn new_route(site: &Upstream) -> String {
    crate::support::open_route(&site.url(), "strip_prefix = \"/new\"")
        .replace("\"/\"", "\"/new\"")
        .replace("\"all\"", "\"new\"")
}

#[tokio::test]
async fn new_routes_serve() {
    let (old, new) = (Upstream::start().await, Upstream::start().await);
    let mut process = Process::start(&old.url()).await;

    process.configure(&old.url(), |setup| setup.sections = new_route(&new));
    process.signal("HUP");
    process.says(RELOADED).await;

    exchange(process.address(), get("/new/page")).await;
    exchange(process.address(), get("/page")).await;
    assert_eq!(new.last().target, "/page");
    assert_eq!(old.seen().len(), 1);
    assert_eq!(process.metric(SUCCESSFUL).await, "1");
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_reported() {
    let site = Upstream::start().await;
    let mut process = Process::start(&site.url()).await;
    let bad = [
        ("not toml at all", "E"),
        (
            "version = 1\n[server]\npublic_url = \"https://www.example.test\"\nlisten = \"127.0.0.1:0\"\nmax_bodi = \"1MiB\"\n",
            "max_bodi",
        ),
        ("", "version"),
    ];
    for (times, (text, problem)) in bad.into_iter().enumerate() {
        process.write_config(text);
        process.signal("HUP");
        process.says_times(REFUSED, times + 1).await;

        assert!(process.report().contains(problem), "{}", process.report());
        assert_eq!(exchange(process.address(), get("/")).await.status, 200);
        assert_eq!(process.metric(SUCCESSFUL).await, "0");
    }
    let report = process.report();
    assert!(report.contains("^^^^"), "no caret: {report}");
    assert!(report.contains("max_body"), "no suggestion: {report}");

    process.configure(&site.url(), |_| ());
    process.signal("HUP");
    process.says(RELOADED).await;
    assert_eq!(process.metric(SUCCESSFUL).await, "1");
}

#[tokio::test]
async fn a_file_that_is_gone_changes_nothing() {
    let site = Upstream::start().await;
    let mut process = Process::start(&site.url()).await;

    process.remove_config();
    process.signal("HUP");
    process.says(REFUSED).await;

    assert_eq!(exchange(process.address(), get("/")).await.status, 200);
    assert_eq!(process.metric(SUCCESSFUL).await, "0");
}

#[tokio::test]
async fn keys_that_need_a_restart_are_refused_by_name() {
    let site = Upstream::start().await;
    let public = "example.test\"\n        listen = \"127.0.0.1:";
    let admin = "[admin]\n        listen = \"127.0.0.1:";
    let table = [
        ("server.listen", format!("{public}0"), format!("{public}1")),
        ("admin.listen", format!("{admin}0"), format!("{admin}1")),
        (
            "state_dir",
            "/state\"".to_owned(),
            "/elsewhere\"".to_owned(),
        ),
        (
            "store.kind",
            "[admin]".to_owned(),
            "[store]\nkind = \"memory\"\n[admin]".to_owned(),
        ),
        (
            "log.format",
            "[admin]".to_owned(),
            "[log]\nformat = \"text\"\n[admin]".to_owned(),
        ),
    ];
    let mut process = Process::start(&site.url()).await;
    let before = process.config();
    for (times, (key, from, to)) in table.iter().enumerate() {
        let text = before.replace(from, to);
        assert_ne!(text, before, "{key}");
        process.write_config(&text);
        process.signal("HUP");
        process.says_times("needs a restart", times + 1).await;

        let report = process.report();
        let line = report
            .lines()
            .rfind(|line| line.contains("needs a restart"))
            .unwrap();
        let named = table.iter().filter(|(other, ..)| line.contains(other));
        let named: Vec<_> = named.map(|(named, ..)| named).collect();
        assert_eq!(named, [key], "{line}");
        assert_eq!(process.metric(SUCCESSFUL).await, "0");
        assert_eq!(exchange(process.address(), get("/")).await.status, 200);
    }
}

#[tokio::test]
async fn reload_keeps_open_connections() {
    let (old, new) = (Upstream::start().await, Upstream::start().await);
    let mut process = Process::start(&old.url()).await;
    let mut client = KeepAlive::open(process.address()).await;
    client.get("/").await;

    process.configure(&new.url(), |_| ());
    process.signal("HUP");
    process.says(RELOADED).await;
    let reply = client.get("/").await;

    assert_eq!(
        (reply.status.as_u16(), reply.header("connection")),
        (200, "")
    );
    assert_eq!((old.seen().len(), new.seen().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_reloads_under_load_lose_nothing() {
    const CLIENTS: usize = 10;
    let site = Upstream::start().await;
    let mut process = Process::start(&site.url()).await;
    let enough = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = KeepAlive::open(process.address()).await;
        let enough = Arc::clone(&enough);
        clients.push(tokio::spawn(async move {
            let mut answered = 0;
            while !enough.load(Ordering::Relaxed) {
                let reply = client.send(get("/")).await.expect("a request was lost");
                assert_eq!(reply.status, StatusCode::OK);
                assert_eq!(reply.header("connection"), "");
                answered += 1;
            }
            answered
        }));
    }

    for round in 0..20 {
        let new = new_route(&site);
        // Every third one is bad, every other one differs from the one before.
        match round % 3 {
            0 => process.configure(&site.url(), |setup| setup.sections = new),
            1 => process.configure(&site.url(), |setup| {
                setup.server = "max_body = \"1MiB\"".to_owned();
            }),
            _ => process.write_config("version = 2"),
        }
        process.signal("HUP");
        let (words, times) = match round % 3 {
            2 => (REFUSED, round / 3 + 1),
            _ => (RELOADED, round - round / 3 + 1),
        };
        process.says_times(words, times).await;
    }
    enough.store(true, Ordering::Relaxed);

    let mut answered = 0;
    for client in clients {
        let count: usize = client.await.unwrap();
        assert!(count > 0, "a client was not served at all");
        answered += count;
    }
    assert_eq!(site.seen().len(), answered);
}

#[tokio::test]
async fn a_changed_file_is_taken_without_a_signal_when_it_is_watched() {
    let (old, new) = (Upstream::start().await, Upstream::start().await);
    let mut process = Process::with(&old.url(), |setup| setup.arguments = &["--watch"]).await;

    process.configure(&new.url(), |_| ());
    process.says(RELOADED).await;

    exchange(process.address(), get("/")).await;
    assert_eq!((old.seen().len(), new.seen().len()), (0, 1));
}

#[tokio::test]
async fn who_logged_out_stays_out() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let cookies = alice.cookie_header();
    log_out(&gateway, &mut alice).await;

    gateway
        .app()
        .reload(gateway.config(&Setup::default()))
        .unwrap();

    let mut replayed = get("/");
    replayed
        .headers_mut()
        .insert("cookie", cookies.parse().unwrap());
    let reply = exchange(gateway.address(), replayed).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn who_is_logged_in_stays_in() {
    let gateway = TestGateway::start().await;
    let mut alice = logged_in(&gateway, "alice").await;

    gateway
        .app()
        .reload(gateway.config(&Setup::default()))
        .unwrap();

    alice.get("/").await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 1);
}

#[tokio::test]
async fn limits_that_are_used_up_stay_used_up() {
    let limits = "[rate_limit]\nlogin_start = { per = \"ip\", limit = 2, window = \"1h\" }";
    let with_limits = |setup: &mut Setup| setup.sections = limits.to_owned();
    let gateway = TestGateway::with(with_limits).await;
    let mut setup = Setup::default();
    with_limits(&mut setup);
    let mut alice = gateway.browser_in_wechat("alice");
    for _ in 0..2 {
        assert_eq!(alice.get_once("/").await.status, StatusCode::FOUND);
    }
    assert_eq!(
        alice.get_once("/").await.status,
        StatusCode::TOO_MANY_REQUESTS
    );

    gateway.app().reload(gateway.config(&setup)).unwrap();

    assert_eq!(
        alice.get_once("/").await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test]
async fn the_token_of_the_admin_listener_changes_too() {
    let site = Upstream::start().await;
    let mut process = Process::start(&site.url()).await;
    assert_eq!(process.admin("/metrics").await.status, StatusCode::OK);

    let token = "[admin]\n        token = \"env:WXGATE_TEST_SECRET\"";
    process.write_config(&process.config().replace("[admin]", token));
    process.signal("HUP");
    process.says(RELOADED).await;

    let refused = process.admin("/metrics").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(process.admin("/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_simulator_is_refused_unless_it_is_allowed() {
    let site = Upstream::start().await;
    let simulator =
        "[wechat_api]\nbase_url = \"http://127.0.0.1:9\"\nopen_url = \"http://127.0.0.1:9\"";
    let mut process = Process::start(&site.url()).await;
    process.configure(&site.url(), |setup| setup.sections = simulator.to_owned());

    let path = process.config_path();
    let (code, output, errors) = run_to_end(&["run", "--config", path.to_str().unwrap()]).await;
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(errors.contains("points at a simulator"), "{errors}");
    assert!(errors.contains("--allow-simulator"), "{errors}");

    // A running gateway takes none either.
    process.signal("HUP");
    process.says(REFUSED).await;
    assert!(process.report().contains("points at a simulator"));
    assert_eq!(process.metric(SUCCESSFUL).await, "0");

    let allowed = Process::with(&site.url(), |setup| {
        setup.sections = simulator.to_owned();
        setup.arguments = &["--allow-simulator"];
    })
    .await;
    assert_eq!(exchange(allowed.address(), get("/")).await.status, 200);
}

#[tokio::test]
async fn logs_change_too() {
    let site = Upstream::start().await;
    let mut process = Process::start(&site.url()).await;
    let log = process.state_path("access.log");
    let output = format!("output = {:?}", log.display().to_string());

    let text = process.config().replace("enabled = false", &output);
    process.write_config(&text.replace("[admin]", "[log]\nlevel = \"warn\"\n[admin]"));
    process.signal("HUP");
    eventually("a line in the new log", async || {
        exchange(process.address(), get("/logged")).await;
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains("/logged"))
    })
    .await;
    process.write_config(&text);
    process.signal("HUP");
    process.says(RELOADED).await;
    // It is said at level `info`, so only of the second one.
    assert_eq!(process.report().matches(RELOADED).count(), 1);
}
