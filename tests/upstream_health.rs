//! Servers that are well or ill, and which of them gets a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::sync::Notify;

use crate::support::{
    Process, Reply, ScriptedSite, Talk, TestGateway, eventually, exchange, get, open_route,
};

/// A site whose health is a switch. It says its name, and closes each connection after its answer.
struct Patient {
    site: ScriptedSite,
    status: Arc<AtomicU16>,
}

impl Patient {
    async fn named(name: &'static str) -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let health = Arc::clone(&status);
        let site = ScriptedSite::start(move |_, mut talk: Talk| {
            let status = health.load(Ordering::SeqCst);
            async move {
                let head = talk.head().await?;
                let status = if head.starts_with("GET /well?deep ") {
                    status
                } else {
                    200
                };
                let length = name.len();
                talk.say(format!(
                    "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{name}"
                ))
                .await
            }
        })
        .await;
        Self { site, status }
    }

    fn becomes(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Heads of health checks.
    fn checks(&self) -> Vec<String> {
        let mut heads = self.site.heads();
        heads.retain(|head| head.starts_with("GET /well?deep "));
        heads
    }
}

const CHECK: &str = r#"health_check = { path = "/well?deep", interval = "20ms", timeout = "1s", expect = "200-299", healthy_after = 2, unhealthy_after = 3 }"#;

fn upstream(urls: &[String], lines: &str) -> String {
    format!("[upstreams.app]\nservers = {urls:?}\n{lines}")
}

async fn in_front_of(urls: &[String], lines: &str) -> TestGateway {
    TestGateway::with(|setup| {
        setup.sections = upstream(urls, lines);
        setup.routes = open_route("app", "");
    })
    .await
}

/// What the servers that answered are called.
async fn asked(gateway: &TestGateway, times: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..times {
        let reply = exchange(gateway.address(), get("/")).await;
        names.push(reply.text().to_owned());
    }
    names.sort();
    names
}

async fn is_healthy(gateway: &TestGateway, patient: &Patient) -> bool {
    let server = patient.site.address();
    let series = format!(r#"wxgate_upstream_healthy{{upstream="app",server="{server}"}}"#);
    gateway.metric(&series).await == 1.0
}

#[tokio::test]
async fn an_ill_server_gets_no_request_until_it_is_well_again() {
    let (a, b) = (Patient::named("a").await, Patient::named("b").await);
    let gateway = in_front_of(&[a.site.url(), b.site.url()], CHECK).await;
    assert_eq!(asked(&gateway, 4).await, ["a", "a", "b", "b"]);

    a.becomes(503);
    eventually("a is ill", async || !is_healthy(&gateway, &a).await).await;
    assert_eq!(asked(&gateway, 4).await, ["b"; 4]);

    a.becomes(204);
    eventually("a is well", async || is_healthy(&gateway, &a).await).await;
    assert_eq!(asked(&gateway, 4).await, ["a", "a", "b", "b"]);
    let server = a.site.address();
    let series = format!(
        r#"wxgate_upstream_health_checks_total{{upstream="app",server="{server}",result="failed"}}"#
    );
    assert!(gateway.metric(&series).await >= 3.0);
}

#[tokio::test]
async fn without_a_well_server_nobody_is_asked_and_the_answer_is_503() {
    let only = Patient::named("a").await;
    only.becomes(500);
    let gateway = in_front_of(&[only.site.url()], CHECK).await;
    eventually("it is ill", async || !is_healthy(&gateway, &only).await).await;
    let before = only.site.heads().len() - only.checks().len();

    let reply = exchange(gateway.address(), get("/")).await;

    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.reason(), "upstream-unavailable");
    assert_eq!(only.site.heads().len() - only.checks().len(), before);
}

#[tokio::test]
async fn a_health_check_says_nothing_of_any_visitor() {
    let patient = Patient::named("a").await;
    let _gateway = in_front_of(&[patient.site.url()], CHECK).await;
    eventually("it is asked", async || !patient.checks().is_empty()).await;

    let address = patient.site.address();
    let expected = format!(
        "GET /well?deep HTTP/1.1\r\nhost: {address}\r\nuser-agent: wxgate-health\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(patient.checks()[0], expected);
}

#[tokio::test]
async fn health_and_its_checks_survive_a_reload_and_end_with_their_upstream() {
    let (a, b) = (Patient::named("a").await, Patient::named("b").await);
    a.becomes(500);
    let sections = upstream(&[a.site.url(), b.site.url()], CHECK);
    let process = Process::with("app", |setup| setup.sections.clone_from(&sections)).await;
    process.says("server is ill").await;
    assert!(
        process.report().contains("status 500"),
        "{}",
        process.report()
    );

    process.configure("app", |setup| {
        setup.sections = sections;
        setup.server = "max_headers = 90".to_owned();
    });
    process.signal("HUP");
    process.says("configuration reloaded").await;
    for _ in 0..4 {
        assert_eq!(exchange(process.address(), get("/")).await.text(), "b");
    }
    assert_eq!(process.report().matches("server is ill").count(), 1);

    process.configure(&b.site.url(), |_| ());
    process.signal("HUP");
    process.says_times("configuration reloaded", 2).await;
    let seen = a.checks().len();
    // At most one more was on its way.
    let quiet = tokio::time::Instant::now() + std::time::Duration::from_millis(200);
    tokio::time::sleep_until(quiet).await;
    assert!(a.checks().len() <= seen + 1);
}

#[tokio::test]
async fn the_server_with_the_fewest_open_requests_is_next() {
    let release = Arc::new(Notify::new());
    let held = Arc::clone(&release);
    let slow = ScriptedSite::start(move |_, mut talk: Talk| {
        let held = Arc::clone(&held);
        async move {
            talk.head().await?;
            talk.say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nslow")
                .await?;
            held.notified().await;
            // The next one does not wait.
            held.notify_one();
            Ok(())
        }
    })
    .await;
    let quick = Patient::named("quick").await;
    let urls = [slow.url(), quick.site.url()];
    let gateway = in_front_of(&urls, "balance = \"least-requests\"").await;

    // Begins, and does not end.
    let address = gateway.address();
    let open = tokio::spawn(async move { exchange(address, get("/")).await });
    eventually("one is open", async || slow.connections() == 1).await;
    assert_eq!(asked(&gateway, 5).await, ["quick"; 5]);

    release.notify_one();
    assert_eq!(open.await.unwrap().text(), "slow");
    eventually("it is asked again", async || {
        asked(&gateway, 2).await == ["quick", "slow"]
    })
    .await;
}

fn with_cookie(cookie: &str) -> Request<Full<bytes::Bytes>> {
    let mut request = get("/");
    request
        .headers_mut()
        .insert("cookie", cookie.parse().unwrap());
    request
}

fn server_cookie(reply: &Reply) -> Option<String> {
    let lines = reply.headers.get_all("set-cookie").iter();
    let mut lines = lines.map(|line| line.to_str().unwrap());
    lines
        .find(|line| line.starts_with("__Host-wxgate-at-"))
        .map(str::to_owned)
}

#[tokio::test]
async fn a_cookie_leads_a_visitor_back_to_the_same_server_while_it_is_well() {
    let (a, b) = (Patient::named("a").await, Patient::named("b").await);
    let lines = format!("balance = \"cookie\"\n{CHECK}");
    let gateway = in_front_of(&[a.site.url(), b.site.url()], &lines).await;
    let first = exchange(gateway.address(), get("/")).await;
    let set = server_cookie(&first).unwrap();
    assert!(
        set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"),
        "{set}"
    );
    let pair = set.split(';').next().unwrap();
    let (home, other) = match first.text() {
        "a" => (&a, "b"),
        _ => (&b, "a"),
    };

    for _ in 0..5 {
        let request = with_cookie(&format!("mine=1; {pair}"));
        let reply = exchange(gateway.address(), request).await;
        assert_eq!(reply.text(), first.text());
        assert_eq!(server_cookie(&reply), None, "nothing new to say");
    }
    let head = home.site.heads().pop().unwrap();
    let head = match head.contains("mine=1") {
        true => head,
        false => home
            .site
            .heads()
            .into_iter()
            .rfind(|head| head.contains("mine=1"))
            .unwrap(),
    };
    assert!(head.contains("\r\ncookie: mine=1\r\n"), "{head}");

    home.becomes(500);
    eventually("it is ill", async || !is_healthy(&gateway, home).await).await;
    let moved = exchange(gateway.address(), with_cookie(pair)).await;
    assert_eq!(moved.text(), other);
    let new = server_cookie(&moved).unwrap();
    assert_ne!(new.split(';').next().unwrap(), pair);
}
