//! What operators see and do on the admin listener, with and without the command line.

use std::fs;

use http::Method;
use serde_json::Value as Json;
use wxgate::simulator::{Endpoint, Trouble};

use crate::support::{
    APP_ID, Browser, Process, Ran, Setup, TestCertificate, TestGateway, Wire, eventually,
    free_address, run, wxgate,
};
use crate::tls::Secure;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn ask(method: &str, target: &str, more: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: localhost:9502\r\n{more}\r\n")
}

async fn json(gateway: &TestGateway, method: &str, target: &str) -> (u16, Json) {
    let order = match method {
        "POST" => "X-Wxgate-Admin: 1\r\n",
        _ => "",
    };
    let reply = Wire::new(gateway.admin_address())
        .ask(ask(method, target, order))
        .await;
    let body = serde_json::from_str(reply.text()).unwrap_or(Json::Null);
    (reply.status.as_u16(), body)
}

/// From the gateway's present to a time on the page.
fn seconds_until(gateway: &TestGateway, time: &Json) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    let now = jiff::Timestamp::try_from(gateway.clock().now()).unwrap();
    time.as_second() - now.as_second()
}

fn openid(gateway: &TestGateway, person: &str) -> String {
    gateway.simulator().person(person).unwrap().openid(APP_ID)
}

#[tokio::test]
async fn the_status_page_says_what_is_served_and_how_it_fares() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/site").await.assert_ok();
    alice.get_once("/closed").await;
    let mut bob = gateway.browser_in_wechat("bob");
    let faults = gateway.simulator().faults();
    faults.always(Endpoint::Exchange, Trouble::Errcode(40029));
    bob.get("/site").await;

    let (status, page) = json(&gateway, "GET", "/status.json").await;

    assert_eq!(status, 200);
    let routes = page["routes"].as_array().unwrap();
    let route = |name: &str| routes.iter().find(|route| route["name"] == name).unwrap();
    assert_eq!(route("site")["auth"], "base");
    assert_eq!(route("site")["path"], "/");
    assert!(route("site")["requests"].as_u64().unwrap() >= 2);
    assert_eq!(route("closed")["denied"], 1);
    // The start is less than five minutes ago.
    for field in ["requests", "denied"] {
        let lately = &route("closed")[format!("{field}_5m")];
        assert_eq!(lately, &route("closed")[field], "{field}");
    }
    let server = &page["upstreams"][0]["servers"][0];
    let upstream = gateway.upstream().url();
    assert!(
        upstream.ends_with(server["name"].as_str().unwrap()),
        "{server}"
    );
    assert!(server["answers"].as_u64().unwrap() >= 1);
    assert_eq!(page["session_mode"], "cookie");
    assert_eq!(page["checks"][0]["ok"], true);
    assert_eq!(page["apps"][0]["name"], "main");
    let last_error = &page["apps"][0]["last_error"];
    assert_eq!(last_error["errcode"], 40029, "{last_error}");
    assert_eq!(last_error["result"], "errcode");
    let age = -seconds_until(&gateway, &last_error["at"]);
    assert!((0..=5).contains(&age), "{last_error}: {age}");
    let failure = &page["login_failures"][0];
    assert_eq!(failure["wechat_errcode"], 40029);
    assert_eq!(failure["result"], "code_used");
    let text = page.to_string();
    assert!(!text.contains(&openid(&gateway, "alice")) && !text.contains(APP_ID));
}

#[tokio::test]
async fn the_status_page_is_html_for_browsers_without_script_or_foreign_parts() {
    let gateway = TestGateway::with(|setup| {
        setup.routes.push_str(
            "\n[[routes]]\nname = \"<b>bold\"\npath = \"/bold\"\nauth = \"deny\"\nupstream = \"UPSTREAM\"\n",
        );
    })
    .await;
    let mut wire = Wire::new(gateway.admin_address());

    let root = wire.ask(ask("GET", "/", "")).await;
    let page = wire
        .ask(ask("GET", "/status", "Accept: text/html,*/*;q=0.8\r\n"))
        .await;

    assert_eq!(
        (root.status.as_u16(), root.header("location")),
        (302, "/status")
    );
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains("script-src"),
        "{policy}"
    );
    assert_eq!(page.header("cache-control"), "no-store");
    let text = page.text();
    assert!(
        text.contains("&lt;b&gt;bold") && !text.contains("<b>bold"),
        "{text}"
    );
    assert!(
        !["<script", "src=", "href=\"http"]
            .iter()
            .any(|part| text.contains(part)),
        "{text}"
    );
    assert!(
        text.contains("No login has failed since the start."),
        "{text}"
    );
}

/// A gateway with a list that keeps somebody out.
async fn with_a_ban() -> TestGateway {
    TestGateway::with(|setup| {
        setup.sections = "[lists.banned]\nids = [\"openid:mallory\"]".to_owned();
        setup.routes.push_str(
            "\n[[routes]]\nname = \"<i>club\"\npath = \"/club\"\nauth = \"base\"\ndeny = { lists = [\"banned\"] }\nupstream = \"UPSTREAM\"\n",
        );
    })
    .await
}

#[tokio::test]
async fn an_operator_learns_what_a_url_would_get_and_nothing_is_sent() {
    let gateway = with_a_ban().await;
    for (query, outcome, answer) in [
        ("url=/open", "allow", "without identity"),
        (
            "url=https://www.example.test/site?x=1",
            "login",
            "snsapi_base",
        ),
        ("url=/site&openid=alice", "allow", "with identity"),
        ("url=/club&openid=openid:alice", "allow", "with identity"),
        ("url=/club&openid=mallory", "deny", "on the deny list"),
        (
            "url=/closed&method=POST&unionid=u1",
            "deny",
            "denies everybody",
        ),
        ("url=https://other.test/", "deny", "421"),
        ("url=/a//b", "deny", "400"),
    ] {
        let (status, explained) = json(&gateway, "GET", &format!("/explain?{query}")).await;

        assert_eq!(
            (status, &explained["outcome"]),
            (200, &outcome.into()),
            "{query}"
        );
        let text = explained["answer"].as_str().unwrap();
        assert!(text.contains(answer), "{query}: {text}");
    }
    let (_, explained) = json(&gateway, "GET", "/explain?url=/member/x&ua=desktop").await;
    assert_eq!(explained["selected"]["name"], "member");
    assert_eq!(explained["routes"].as_array().unwrap().len(), 6);
    for (query, why) in [
        ("", "`url` is missing"),
        ("url=ftp://x/", "neither `https` nor `http`"),
        ("url=/&method=A%20B", "`method`"),
        ("url=/&ua=lynx", "`ua` must be"),
        ("url=/&openid=not%20an%20id", "`openid` must hold"),
    ] {
        let (status, answer) = json(&gateway, "GET", &format!("/explain?{query}")).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(
            status == 400 && error.contains(why) && !error.contains("not an id"),
            "{query}: {answer}"
        );
    }
    let mut wire = Wire::new(gateway.admin_address());
    let posted = ask("POST", "/explain?url=/", "X-Wxgate-Admin: 1\r\n");
    assert_eq!(wire.ask(posted).await.status, 405);
    let rebound = "GET /explain?url=/ HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    assert_eq!(wire.ask(rebound).await.status, 421);
    assert!(gateway.upstream().seen().is_empty());
    assert_eq!(gateway.simulator().calls().len(), 0);
}

#[tokio::test]
async fn the_box_is_a_form_of_the_status_page_and_shows_its_answer_in_chromium() {
    let gateway = with_a_ban().await;
    let mut wire = Wire::new(gateway.admin_address());
    let status = wire
        .ask(ask("GET", "/status", "Accept: text/html\r\n"))
        .await;
    let page = status.text();
    assert!(
        page.contains("<form action=\"/explain\" method=\"get\">"),
        "{page}"
    );
    for field in ["url", "method", "ua", "openid", "unionid"] {
        assert!(
            page.contains(&format!("name=\"{field}\"")),
            "{field}: {page}"
        );
    }

    let (dom, errors, picture) = in_chromium(
        &gateway,
        "/explain?url=%2Fclub&ua=phone&openid=mallory&method=GET",
    )
    .await;

    assert!(
        dom.contains("&lt;i&gt;club") && !dom.contains("<i>club"),
        "{dom}"
    );
    assert!(dom.contains("on the deny list"), "{dom}");
    assert!(
        dom.contains("value=\"/club\"") && dom.contains("<option selected=\"\">phone"),
        "{dom}"
    );
    assert!(!errors.contains("Content Security Policy"), "{errors}");
    assert!(picture > 5_000);

    let (dom, _, _) = in_chromium(
        &gateway,
        "/explain?url=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    )
    .await;
    assert!(
        dom.contains("begins neither with") && !dom.contains("<script"),
        "{dom}"
    );
}

#[tokio::test]
async fn a_browser_shows_the_status_page_with_its_style() {
    let gateway = TestGateway::start().await;

    let (dom, errors, picture) = in_chromium(&gateway, "/status").await;

    assert!(dom.contains("<h1>wxgate "), "{dom}");
    assert!(!errors.contains("Content Security Policy"), "{errors}");
    assert!(picture > 5_000);
}

/// A page of the admin listener as Chromium has it, what Chromium complains about, and the size of its picture.
async fn in_chromium(gateway: &TestGateway, target: &str) -> (String, String, u64) {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    let picture = gateway.state_dir().join("status.png");
    let mut command = tokio::process::Command::new(chromium);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!(
            "--user-data-dir={}",
            gateway.state_dir().join("chromium").display()
        ))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("http://{}{target}", gateway.admin_address()))
        .kill_on_drop(true);

    let output = command.output().await.unwrap();

    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let size = fs::metadata(picture).unwrap().len();
    (text(&output.stdout), text(&output.stderr), size)
}

#[tokio::test]
async fn orders_are_refused_to_other_sites_and_foreign_names() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::new(gateway.admin_address());
    for path in [
        "/reload",
        "/drain",
        "/log-level?level=debug",
        "/sessions/revoke?unionid=u",
        "/jwt/rotate",
    ] {
        let without_header = wire.ask(ask("POST", path, "Content-Length: 0\r\n")).await;
        assert_eq!(without_header.status, 403, "{path}");
        let read = wire.ask(ask("GET", path, "X-Wxgate-Admin: 1\r\n")).await;
        assert_eq!(
            (read.status.as_u16(), read.header("allow")),
            (405, "POST"),
            "{path}"
        );
        let rebound =
            format!("POST {path} HTTP/1.1\r\nHost: evil.test\r\nX-Wxgate-Admin: 1\r\n\r\n");
        assert_eq!(wire.ask(rebound).await.status, 421, "{path}");
    }
    for path in ["/status", "/status.json", "/sessions"] {
        let rebound = format!("GET {path} HTTP/1.1\r\nHost: evil.test\r\n\r\n");
        assert_eq!(wire.ask(rebound).await.status, 421, "{path}");
        let posted = wire.ask(ask("POST", path, "X-Wxgate-Admin: 1\r\n")).await;
        assert_eq!(posted.status, 405, "{path}");
        let mut public = gateway.browser(crate::support::agents::DESKTOP);
        let reply = public.send(Method::GET, path, &[], "").await;
        assert!(
            !reply.text().contains("login_failures"),
            "{path} is on the public listener"
        );
    }
    let ready = wire.ask(ask("GET", "/readyz", "")).await;
    assert_eq!(ready.status, 200, "an order got through");
}

#[tokio::test]
async fn with_a_token_everything_asks_for_it_and_a_browser_may_type_it() {
    let gateway = TestGateway::with(|setup| setup.admin = format!("token = \"{TOKEN}\"")).await;
    let mut wire = Wire::new(gateway.admin_address());
    let basic = |password: &str| {
        let credentials = data_encoding::BASE64.encode(format!("any:{password}").as_bytes());
        format!("Authorization: Basic {credentials}\r\n")
    };
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    for (target, credentials, status) in [
        ("/status", String::new(), 401),
        ("/status", basic("wrong"), 401),
        ("/status", basic(TOKEN), 200),
        ("/status", bearer.clone(), 200),
        ("/sessions", basic(TOKEN), 409),
        ("/sessions", bearer, 409),
        ("/status.json", String::new(), 401),
    ] {
        let reply = wire.ask(ask("GET", target, &credentials)).await;
        assert_eq!(reply.status, status, "{target} {credentials}");
    }
    // A browser that remembers the password gives no orders.
    for credentials in [String::new(), basic(TOKEN)] {
        let order = format!("X-Wxgate-Admin: 1\r\n{credentials}");
        let reply = wire.ask(ask("POST", "/drain", &order)).await;
        assert_eq!(reply.status, 401, "{credentials}");
    }
}

#[tokio::test]
async fn sessions_are_ended_by_openid_and_only_those() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let mut bob = gateway.browser_in_wechat("bob");
    alice.get("/site").await.assert_ok();
    bob.get("/site").await.assert_ok();
    // Nothing is kept per visitor here, so nothing can be listed.
    assert_eq!(json(&gateway, "GET", "/sessions").await.0, 409);

    let target = format!("/sessions/revoke?openid={}", openid(&gateway, "alice"));
    let (status, answer) = json(&gateway, "POST", &target).await;

    assert_eq!((status, &answer["revoked"]), (200, &"openid".into()));
    assert_eq!(alice.get_once("/site").await.status, 302);
    assert_eq!(bob.get_once("/site").await.status, 200);
    for bad in [
        "/sessions/revoke",
        "/sessions/revoke?sid=x",
        "/sessions/revoke?openid=o&app=none",
    ] {
        assert_eq!(json(&gateway, "POST", bad).await.0, 400, "{bad}");
    }
}

/// The real program in front of a test gateway's simulator and site, and what asks it.
struct Operated {
    gateway: TestGateway,
    program: Process,
}

impl Operated {
    async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    async fn with(setup: Setup) -> Self {
        let gateway = TestGateway::start().await;
        let admin = format!("[admin]\n            listen = \"{}\"", free_address());
        let text = gateway.config_text(&setup);
        let text = text.replace("[admin]\n            listen = \"127.0.0.1:0\"", &admin);
        let state = gateway.state_dir().display().to_string();
        let text = text.replace(
            &format!("state_dir = \"{state}\""),
            &format!("state_dir = \"{state}/second\""),
        );
        fs::create_dir(gateway.state_dir().join("second")).unwrap();
        let program = Process::configured(&text).await;
        Self { gateway, program }
    }

    /// Exit code, standard output and standard error of a command that asks it.
    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Ran { code, out, err } = run(self.program.folder(), arguments).await;
        (code, out, err)
    }

    fn browser(&self, person: &str) -> Browser {
        let mut browser = self.gateway.browser_in_wechat(person);
        browser.follow_to(self.program.address());
        browser
    }
}

#[tokio::test]
async fn the_command_line_shows_status_and_reloads() {
    let operated = Operated::start().await;

    let (code, out, errors) = operated.run(&["status"]).await;
    assert_eq!(code, 0, "{errors}");
    assert!(
        out.starts_with("wxgate ") && out.contains("   ready\n"),
        "{out}"
    );
    assert!(out.contains("route      site   any /   base   "), "{out}");
    let (_, out, _) = operated.run(&["status", "--json"]).await;
    let status: Json = serde_json::from_str(&out).unwrap();
    let before = status["sha256"].clone();

    let file = operated.program.config_path();
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{good}\n[pages]\nsite_name = \"New\"\n")).unwrap();
    let (code, out, errors) = operated.run(&["reload"]).await;
    assert_eq!((code, out.as_str()), (0, "reloaded\n"), "{errors}");
    let (_, out, _) = operated.run(&["status", "--json"]).await;
    let status: Json = serde_json::from_str(&out).unwrap();
    assert_ne!(status["sha256"], before);

    // A key that needs a restart: the file is good, the reload is not.
    fs::write(&file, format!("{good}\n[log]\nformat = \"text\"\n")).unwrap();
    let (code, _, errors) = operated.run(&["reload"]).await;
    assert_eq!(code, 1);
    assert!(errors.contains("needs a restart: log.format"), "{errors}");
    let (code, out, _) = operated.run(&["status"]).await;
    assert_eq!(code, 0);
    assert!(out.contains("the last reload failed"), "{out}");
    let (_, out, _) = operated.run(&["status", "--json"]).await;
    let status: Json = serde_json::from_str(&out).unwrap();
    let report = status["last_reload_report"].as_str().unwrap();
    assert!(report.contains("needs a restart: log.format"), "{report}");
}

#[tokio::test]
async fn the_command_line_says_when_another_key_can_sign() {
    let operated = Operated::start().await;
    for arguments in [
        &["jwt", "rotate"][..],
        &["jwt", "rotate", "--forget-previous"],
    ] {
        let (code, out, errors) = operated.run(arguments).await;
        assert_eq!((code, out.as_str()), (1, ""), "{errors}");
        assert!(errors.contains("ask again in"), "{errors}");
    }
}

#[tokio::test]
async fn the_command_line_ends_sessions_and_drains() {
    let operated = Operated::start().await;
    let mut alice = operated.browser("alice");
    alice.get("/site").await.assert_ok();

    let (code, _, errors) = operated.run(&["session", "list"]).await;
    assert_eq!(code, 1);
    assert!(errors.contains("`sessions.mode` is \"cookie\""), "{errors}");
    let openid = openid(&operated.gateway, "alice");
    let (code, out, errors) = operated
        .run(&["session", "revoke", "--openid", &openid])
        .await;
    assert_eq!((code, out.as_str()), (0, "revoked\n"), "{errors}");
    assert_eq!(alice.get_once("/site").await.status, 302);

    let (code, out, _) = operated.run(&["drain"]).await;
    assert_eq!(code, 0);
    assert!(out.starts_with("draining"), "{out}");
    let (code, _, _) = operated.run(&["healthcheck", "--ready"]).await;
    assert_eq!(code, 1);
    assert_eq!(alice.get_once("/open").await.status, 200, "requests go on");
}

#[tokio::test]
async fn kept_sessions_are_listed_inspected_and_ended_over_http() {
    let gateway = TestGateway::with(|setup| {
        setup.sections = "[sessions]\nmode = \"store\"".to_owned();
    })
    .await;
    let mut phone = gateway.browser_in_wechat("alice");
    let mut desktop = gateway.browser_in_wechat("alice");
    let mut bob = gateway.browser_in_wechat("bob");
    for browser in [&mut phone, &mut desktop, &mut bob] {
        browser.get("/site").await.assert_ok();
    }
    let alice = openid(&gateway, "alice");

    let (status, all) = json(&gateway, "GET", "/sessions").await;
    assert_eq!((status, sids(&all).len()), (200, 3));
    let (_, two) = json(&gateway, "GET", "/sessions?limit=2").await;
    assert_eq!(sids(&two).len(), 2);
    let of_alice = format!("/sessions?openid={alice}");
    let (_, hers) = json(&gateway, "GET", &of_alice).await;
    assert_eq!(sids(&hers).len(), 2);
    let text = all.to_string();
    assert!(!text.contains(&alice) && !text.contains(APP_ID), "{text}");

    let sid = &sids(&hers)[0];
    let (_, one) = json(&gateway, "GET", &format!("/sessions?sid={sid}")).await;
    let one = &one["sessions"][0];
    assert_eq!(
        (one["sid"].as_str(), &one["app"]),
        (Some(&**sid), &"main".into())
    );
    for field in ["user", "method", "scope", "started", "renewed", "ends"] {
        assert!(
            one[field].as_str().is_some_and(|value| !value.is_empty()),
            "{field}"
        );
    }
    let unknown = format!("/sessions?sid={}", "0".repeat(32));
    assert_eq!(
        json(&gateway, "GET", &unknown).await.1["sessions"],
        serde_json::json!([])
    );

    let (status, _) = json(&gateway, "POST", &format!("/sessions/revoke?sid={sid}")).await;
    assert_eq!(status, 200);
    let (_, left) = json(&gateway, "GET", &of_alice).await;
    assert_eq!(sids(&left), [sids(&hers)[1].clone()]);
    let ended = [
        phone.get_once("/site").await.status,
        desktop.get_once("/site").await.status,
    ];
    assert_eq!(
        ended.iter().filter(|status| **status == 302).count(),
        1,
        "{ended:?}"
    );
    assert_eq!(bob.get_once("/site").await.status, 200);
}

fn sids(listed: &Json) -> Vec<String> {
    let sessions = listed["sessions"].as_array().unwrap();
    let sid = |session: &Json| session["sid"].as_str().unwrap().to_owned();
    sessions.iter().map(sid).collect()
}

#[tokio::test]
async fn the_command_line_lists_inspects_and_ends_kept_sessions() {
    let operated = Operated::with(Setup {
        sections: "[sessions]\nmode = \"store\"".to_owned(),
        ..Setup::default()
    })
    .await;
    let (mut alice, mut bob) = (operated.browser("alice"), operated.browser("bob"));
    alice.get("/site").await.assert_ok();
    bob.get("/site").await.assert_ok();
    let openid = openid(&operated.gateway, "alice");

    let (code, out, errors) = operated.run(&["session", "list"]).await;
    assert_eq!((code, out.lines().count()), (0, 2), "{errors}");
    let (_, out, _) = operated
        .run(&["session", "list", "--openid", &openid, "--json"])
        .await;
    let listed: Json = serde_json::from_str(&out).unwrap();
    let [sid] = sids(&listed).try_into().unwrap();
    let (code, out, _) = operated.run(&["session", "inspect", &sid]).await;
    assert!(
        code == 0 && out.starts_with(&sid) && !out.contains(&openid),
        "{out}"
    );

    let (code, out, errors) = operated.run(&["session", "revoke", "--id", &sid]).await;
    assert_eq!((code, out.as_str()), (0, "revoked\n"), "{errors}");
    assert_eq!(alice.get_once("/site").await.status, 302);
    assert_eq!(bob.get_once("/site").await.status, 200);
    let (code, out, _) = operated.run(&["session", "inspect", &sid]).await;
    assert_eq!((code, out.as_str()), (1, "no session\n"));
}

#[tokio::test]
async fn an_order_is_noted_with_who_gave_it_and_so_is_one_that_was_refused() {
    let operated = Operated::start().await;
    let mut command = wxgate(&["drain"], operated.program.folder());
    command.env_remove("SUDO_USER").env("USER", "carol");
    assert!(command.output().await.unwrap().status.success());
    let mut wire = Wire::new(operated.program.admin_address());
    let anonymous = ask(
        "POST",
        "/sessions/revoke?unionid=u1",
        "X-Wxgate-Admin: 1\r\n",
    );
    assert_eq!(wire.ask(anonymous).await.status, 200);
    let foreign = ask("POST", "/reload", "Content-Length: 0\r\n");
    assert_eq!(wire.ask(foreign).await.status, 403);
    let odd = ask("POST", "/drain", "X-Wxgate-Admin: a b\r\n");
    assert_eq!(wire.ask(odd).await.status, 200);

    let events = operated.program.events().await;
    let orders: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "admin")
        .collect();
    let fields = ["what", "detail", "peer", "admitted_by", "operator"];
    let noted: Vec<_> = orders
        .iter()
        .map(|order| fields.map(|field| order[field].as_str().unwrap_or("-")))
        .collect();
    assert_eq!(
        noted,
        [
            ["drain", "", "127.0.0.1", "loopback", "carol"],
            ["revoke", "unionid", "127.0.0.1", "loopback", ""],
            ["refused", "/reload", "127.0.0.1", "-", ""],
            ["drain", "", "127.0.0.1", "loopback", ""],
        ]
    );
    assert_eq!(orders[2]["why"], "header");
    assert!(!format!("{events:?}").contains("u1\""));
}

/// Whether a login of somebody new shows in the log.
async fn a_login_is_logged(operated: &Operated, person: &str) -> bool {
    let logins = async || {
        let events = operated.program.events().await;
        events
            .iter()
            .filter(|event| event["event"] == "login")
            .count()
    };
    let before = logins().await;
    operated.browser(person).get("/site").await.assert_ok();
    logins().await > before
}

#[tokio::test]
async fn a_lower_log_level_says_less_and_a_higher_one_more_again() {
    let operated = Operated::start().await;
    assert!(a_login_is_logged(&operated, "first").await);
    let mut wire = Wire::new(operated.program.admin_address());

    for (level, is_logged) in [("error", false), ("info", true)] {
        let order = format!("/log-level?level={level}");
        let order = ask("POST", &order, "X-Wxgate-Admin: 1\r\n");
        assert_eq!(wire.ask(order).await.status, 200);

        // The order waits in a queue; once it is carried out it stays so.
        let mut number = 0;
        eventually("the level holds", async || {
            number += 1;
            a_login_is_logged(&operated, &format!("{level}{number}")).await == is_logged
        })
        .await;
        for person in ["a", "b", "c"] {
            let person = format!("{level}-{person}");
            assert_eq!(
                a_login_is_logged(&operated, &person).await,
                is_logged,
                "{person}"
            );
        }
    }
}

#[tokio::test]
async fn the_log_level_changes_while_the_program_runs() {
    let operated = Operated::start().await;
    let mut wire = Wire::new(operated.program.admin_address());
    let order = ask("POST", "/log-level?level=error", "X-Wxgate-Admin: 1\r\n");
    assert_eq!(wire.ask(order).await.status, 200);
    let bad = ask("POST", "/log-level?level=loud", "X-Wxgate-Admin: 1\r\n");
    assert_eq!(wire.ask(bad).await.status, 400);
    // The order went through the same queue, so the level holds when the next one is answered.
    let (code, _, _) = operated.run(&["reload"]).await;
    assert_eq!(code, 0);

    let (_, errors) = operated.program.stop().await;

    assert!(errors.contains("order of an operator"), "{errors}");
    assert!(errors.contains("\"what\":\"log-level\""), "{errors}");
    assert!(
        errors.contains("configuration reloaded"),
        "the reload brings the level of the file back: {errors}"
    );
}

#[tokio::test]
async fn without_a_gateway_orders_fail_and_say_what_to_try() {
    let folder = tempfile::TempDir::new().unwrap();
    let text = format!(
        "{}\n[admin]\nlisten = \"{}\"\n",
        include_str!("configs/minimal.toml"),
        free_address()
    );
    fs::write(folder.path().join("config.toml"), text).unwrap();
    for arguments in [
        &["reload"][..],
        &["status"],
        &["drain"],
        &["session", "list"],
    ] {
        let mut command = wxgate(arguments, folder.path());
        command.env("WXGATE_MAIN_SECRET", "s3cret");
        let ran = Ran::of(command).await;
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(
            ran.err.contains("try: wxgate run"),
            "{arguments:?}: {}",
            ran.err
        );
    }
    let usage = run(folder.path(), &["session", "revoke"]).await;
    assert_eq!(usage.code, 2);
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let ran = run(folder.path(), &["completion", shell]).await;
        assert!(ran.code == 0 && ran.out.contains("healthcheck"), "{shell}");
    }
}

#[tokio::test]
async fn the_status_page_tells_when_certificates_and_tokens_end() {
    let host = "www.example.test";
    let certificate = TestCertificate::ending_in(&[host], 10);
    let secure = Secure::with(&[&certificate], "", "").await;
    let (_, status) = json(&secure.gateway, "GET", "/status.json").await;
    let shown = &status["certificates"][0];
    assert_eq!(shown["subject"], host);
    assert_eq!(shown["listener"], secure.address().to_string());
    // It ends within the tenth day; the clock went on since it was made.
    assert!(
        [9, 10].contains(&shown["days_left"].as_i64().unwrap()),
        "{shown}"
    );

    let gateway = TestGateway::with(|setup| setup.app = "js_sdk = true".to_owned()).await;
    let page = "/_wxgate/js/config?url=https%3A%2F%2Fwww.example.test%2F";
    let signed = gateway.browser_in_wechat("alice").get(page).await;
    assert_eq!(signed.status(), 200, "{}", signed.text());

    let (_, status) = json(&gateway, "GET", "/status.json").await;
    assert_eq!(status["certificates"].as_array().unwrap().len(), 0);
    let tokens = status["apps"][0]["tokens"].as_array().unwrap();
    let names: Vec<_> = tokens
        .iter()
        .map(|one| one["token"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["access", "jsapi_ticket"]);
    for token in tokens {
        let left = seconds_until(&gateway, &token["expires"]);
        assert!((6000..=7200).contains(&left), "{token}: {left}");
    }
}

#[tokio::test]
async fn sessions_in_the_store_are_counted_searched_and_shown_as_a_page() {
    let gateway =
        TestGateway::with(|setup| setup.sections = "[sessions]\nmode = \"store\"".to_owned()).await;
    for person in ["alice", "bob"] {
        gateway
            .browser_in_wechat(person)
            .get("/site")
            .await
            .assert_ok();
    }
    let mut wire = Wire::new(gateway.admin_address());
    let html = "Accept: text/html\r\n";
    let openid = openid(&gateway, "alice");
    let rows = |text: &str| text.matches("wechat_mp").count();

    let all = wire.ask(ask("GET", "/sessions", html)).await;
    assert_eq!(
        (all.status.as_u16(), rows(all.text())),
        (200, 2),
        "{}",
        all.text()
    );
    let hers = format!("/sessions?app=main&openid={openid}");
    let hers = wire.ask(ask("GET", &hers, html)).await;
    assert_eq!((hers.status.as_u16(), rows(hers.text())), (200, 1));
    assert!(!hers.text().contains(&openid), "{}", hers.text());
    let wrong = wire
        .ask(ask("GET", "/sessions?app=none&openid=x", html))
        .await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("an openid belongs to one app"));

    let (_, status) = json(&gateway, "GET", "/status.json").await;
    assert!(status["sessions_kept"].is_u64(), "{status}");
    let page = wire.ask(ask("GET", "/status", html)).await;
    assert!(
        page.text().contains("action=\"/sessions\""),
        "{}",
        page.text()
    );
}
