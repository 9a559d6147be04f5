//! One request on its way to the site and back, through the whole gateway.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use crate::support::{KeepAlive, Reply, ScriptedSite, Talk, TestGateway, Upstream, exchange, get};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A gateway with these upstream lines, and a public route to them.
async fn with_upstream(lines: &str) -> TestGateway {
    TestGateway::with(|setup| {
        setup.sections = format!("[upstreams.app]\n{lines}");
        setup.routes = crate::support::open_route("app", "");
    })
    .await
}

/// An address where nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn post(path: &str, body: &'static str) -> Request<Full<Bytes>> {
    let (mut parts, ()) = get(path).map(|_| ()).into_parts();
    parts.method = Method::POST;
    Request::from_parts(parts, Full::from(body))
}

fn line<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

#[tokio::test]
async fn many_requests_of_many_clients_share_one_connection_to_the_site() {
    let site = ScriptedSite::answering(OK).await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;

    for _ in 0..3 {
        let mut client = KeepAlive::open(gateway.address()).await;
        for _ in 0..5 {
            assert_eq!(client.get("/").await.text(), "ok");
        }
        let posted = client.send(post("/", "with a body")).await.unwrap();
        assert_eq!(posted.text(), "ok");
    }

    assert_eq!(site.heads().len(), 18);
    assert_eq!(site.connections(), 1);
}

#[tokio::test]
async fn the_site_sees_the_host_it_wants() {
    let site = ScriptedSite::answering(OK).await;
    let address = site.address().to_string();
    let table = [
        ("preserve", "www.example.test"),
        ("upstream", address.as_str()),
        ("inside.example", "inside.example"),
    ];
    for (wanted, seen) in table {
        let url = site.url();
        let lines = format!("servers = [\"{url}\"]\nhost_header = \"{wanted}\"");
        let gateway = with_upstream(&lines).await;

        exchange(gateway.address(), get("/")).await;

        let head = site.heads().pop().unwrap();
        assert_eq!(line(&head, "host"), Some(seen), "{wanted}");
    }
}

#[tokio::test]
async fn a_route_edits_headers_on_both_ways() {
    let site =
        ScriptedSite::answering("HTTP/1.1 200 OK\r\nServer: old\r\nX-Frame-Options: SAMEORIGIN\r\nContent-Length: 0\r\n\r\n").await;
    let edits = r#"
        request_headers = { set = { "X-From" = "wxgate" }, remove = ["X-Debug"] }
        response_headers = { set = { "X-Frame-Options" = "DENY" }, remove = ["Server"] }
    "#;
    let gateway = TestGateway::in_front_of(&site.url(), edits).await;
    let mut request = get("/");
    let headers = request.headers_mut();
    headers.insert("x-debug", "1".parse().unwrap());
    headers.insert("x-from", "somebody".parse().unwrap());

    let reply = exchange(gateway.address(), request).await;

    let head = site.heads().pop().unwrap();
    assert_eq!(line(&head, "x-from"), Some("wxgate"));
    assert_eq!(line(&head, "x-debug"), None);
    assert_eq!(reply.header("x-frame-options"), "DENY");
    assert_eq!(reply.header("server"), "");
}

#[tokio::test]
async fn a_prefix_is_cut_before_the_site_sees_it() {
    let site = ScriptedSite::answering(OK).await;
    let gateway = TestGateway::with(|setup| {
        setup.routes = crate::support::open_route(&site.url(), "strip_prefix = \"/api\"")
            .replace("path = \"/\"", "path = \"/api\"");
    })
    .await;
    let table = [
        ("/api", "/"),
        ("/api?a=/api", "/?a=/api"),
        ("/api/", "/"),
        ("/api/orders/api?x=1", "/orders/api?x=1"),
        ("/api/a%20b", "/a%20b"),
    ];
    for (asked, seen) in table {
        exchange(gateway.address(), get(asked)).await;

        let head = site.heads().pop().unwrap();
        assert_eq!(head.lines().next().unwrap(), format!("GET {seen} HTTP/1.1"));
    }
}

#[tokio::test]
async fn servers_take_turns() {
    let sites = [
        Upstream::start().await,
        Upstream::start().await,
        Upstream::start().await,
    ];
    let urls: Vec<String> = sites
        .iter()
        .map(|site| format!("{:?}", site.url()))
        .collect();
    let gateway = with_upstream(&format!("servers = [{}]", urls.join(", "))).await;

    for _ in 0..9 {
        exchange(gateway.address(), get("/")).await;
    }

    assert_eq!(sites.map(|site| site.seen().len()), [3, 3, 3]);
}

#[tokio::test]
async fn a_server_that_refuses_is_passed_over_and_marked() {
    let site = Upstream::start().await;
    let (dead, live) = (nobody().await, site.url());
    let gateway = with_upstream(&format!("servers = [\"{dead}\", \"{live}\"]")).await;

    for _ in 0..6 {
        let reply = exchange(gateway.address(), post("/", "once")).await;
        assert_eq!(reply.status, StatusCode::OK);
    }

    assert_eq!(site.seen().len(), 6);
    let metrics = KeepAlive::open(gateway.admin_address())
        .await
        .get("/metrics")
        .await;
    let healthy = |url: &str| {
        let server = url.trim_start_matches("http://");
        let mut lines = metrics.text().lines();
        let line = lines.find(|line| line.contains("_healthy{") && line.contains(server));
        line.unwrap_or_else(|| panic!("{server}: {}", metrics.text()))
            .ends_with(" 1")
    };
    assert!(!healthy(&dead));
    assert!(healthy(&live));
}

/// What every answer of our own carries.
fn assert_own(reply: &Reply, status: u16, reason: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.reason(), reason);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(!reply.header("x-request-id").is_empty());
}

/// The page for a browser and the JSON for a script, both with the request id.
async fn assert_failure(gateway: &TestGateway, status: u16, reason: &str) {
    let mut page = get("/");
    page.headers_mut()
        .insert("accept", "text/html".parse().unwrap());
    page.headers_mut()
        .insert("sec-fetch-mode", "navigate".parse().unwrap());
    let reply = exchange(gateway.address(), page).await;
    assert_own(&reply, status, reason);
    assert!(reply.header("content-type").starts_with("text/html"));
    assert!(reply.text().contains(reply.header("x-request-id")));

    let mut script = get("/");
    script
        .headers_mut()
        .insert("accept", "application/json".parse().unwrap());
    let reply = exchange(gateway.address(), script).await;
    assert_own(&reply, status, reason);
    assert_eq!(reply.json()["request_id"], reply.header("x-request-id"));
}

#[tokio::test]
async fn a_site_that_refuses_is_502() {
    let gateway = TestGateway::in_front_of(&nobody().await, "").await;

    assert_failure(&gateway, 502, "upstream-broken").await;
}

#[tokio::test]
async fn a_site_that_speaks_no_http_is_502() {
    let site = ScriptedSite::answering("220 mail.example ESMTP\r\n\r\n").await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;

    assert_failure(&gateway, 502, "upstream-broken").await;
}

#[tokio::test]
async fn a_site_that_hangs_up_is_502() {
    let site = ScriptedSite::start(|_, mut talk| async move {
        talk.head().await?;
        talk.reset();
        Ok(())
    })
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;

    assert_failure(&gateway, 502, "upstream-broken").await;
}

#[tokio::test]
async fn a_site_that_answers_too_late_for_the_route_is_504() {
    let site = ScriptedSite::start(|_, mut talk| async move {
        talk.rest().await;
        Ok(())
    })
    .await;
    let patience = "response_header_timeout = \"50ms\"";
    let gateway = TestGateway::in_front_of(&site.url(), patience).await;

    assert_failure(&gateway, 504, "upstream-timeout").await;
}

#[tokio::test]
async fn an_upstream_without_a_working_server_is_503() {
    let (one, other) = (nobody().await, nobody().await);
    let gateway = with_upstream(&format!("servers = [\"{one}\", \"{other}\"]")).await;
    // Nobody knows yet.
    exchange(gateway.address(), get("/")).await;

    assert_failure(&gateway, 503, "upstream-unavailable").await;
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    // Each connection answers once and dies on the second request.
    let site = ScriptedSite::start(|_, mut talk| async move {
        talk.head().await?;
        talk.say(OK).await?;
        talk.head().await?;
        talk.reset();
        Ok(())
    })
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;
    let mut client = KeepAlive::open(gateway.address()).await;

    let mut statuses = Vec::new();
    for _ in 0..2 {
        client.get("/warm").await;
        statuses.push(
            client
                .send(post("/pay", "1"))
                .await
                .unwrap()
                .status
                .as_u16(),
        );
    }

    assert_eq!(statuses, [502, 502]);
    let heads = site.heads();
    let paid = heads.iter().filter(|head| head.starts_with("POST")).count();
    assert_eq!(paid, 2);
}

#[tokio::test]
async fn a_get_survives_a_connection_that_dies_under_it() {
    let site = ScriptedSite::start(|_, mut talk| async move {
        talk.head().await?;
        talk.say(OK).await?;
        talk.head().await?;
        talk.reset();
        Ok(())
    })
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;
    let mut client = KeepAlive::open(gateway.address()).await;

    for _ in 0..4 {
        assert_eq!(client.get("/").await.text(), "ok");
    }
}

#[tokio::test]
async fn trailers_of_the_answer_pass_but_no_identity_among_them() {
    let site = ScriptedSite::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Wechat-Openid\r\n\r\n\
         2\r\nok\r\n0\r\nX-Sum: 7\r\nX-Wechat-Openid: forged\r\n\r\n",
    )
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;
    let asked =
        "GET / HTTP/1.1\r\nHost: www.example.test\r\nTE: trailers\r\nConnection: close, te\r\n\r\n";

    let answer = Talk::saying(gateway.address(), asked).await.closed().await;

    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body = body.to_ascii_lowercase();
    assert_eq!(body, "2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n", "{answer}");
}

#[tokio::test]
async fn trailers_of_the_request_pass_but_no_identity_among_them() {
    let site = ScriptedSite::start(|_, mut talk| async move {
        talk.head().await?;
        let body = talk.hear_until("\r\n\r\n").await?.unwrap_or_default();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        talk.say(answer).await
    })
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;
    let asked = "POST / HTTP/1.1\r\nHost: www.example.test\r\nTransfer-Encoding: chunked\r\n\
        Trailer: X-Sum, X-Wechat-Openid, X.Wechat.Unionid\r\n\r\n\
        2\r\nok\r\n0\r\nX-Sum: 7\r\nX-Wechat-Openid: forged\r\nX.Wechat.Unionid: forged\r\nx_wxgate_jwt_assertion: forged\r\n\r\n";

    let answer = Talk::saying(gateway.address(), asked).await.answer().await;

    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body = body.to_ascii_lowercase();
    assert_eq!(body, "2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n", "{answer}");
}

#[tokio::test]
async fn an_expectation_is_met_before_the_body_is_sent() {
    let gateway = TestGateway::start().await;
    let head = "POST /open HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let mut client = Talk::saying(gateway.address(), head).await;

    assert_eq!(
        client.head().await.unwrap(),
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    client.say("hello").await.unwrap();
    let answer = client.answer().await;

    assert!(answer.ends_with("site answers /open"), "{answer}");
    assert_eq!(gateway.upstream().last().body, "hello");
}

#[tokio::test]
async fn a_refused_body_is_not_asked_for() {
    let gateway = TestGateway::start().await;
    let head = "POST /closed HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let mut client = Talk::saying(gateway.address(), head).await;

    let answer = client.answer().await;

    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_usable() {
    let site = ScriptedSite::start(|_, mut talk| async move {
        loop {
            let head = talk.head().await?;
            let answer = match head.split(' ').nth(1) {
                Some("/204") => "HTTP/1.1 204 No Content\r\n\r\n",
                Some("/304") => "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n",
                Some("/head") => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                Some(_) => OK,
                None => return Ok(()),
            };
            talk.say(answer).await?;
        }
    })
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;
    let mut client = KeepAlive::open(gateway.address()).await;

    assert_eq!(client.get("/204").await.status, 204);
    assert_eq!(client.get("/304").await.header("etag"), "\"1\"");
    let mut head = get("/head");
    *head.method_mut() = Method::HEAD;
    let reply = client.send(head).await.unwrap();
    assert_eq!(reply.header("content-length"), "1000");
    assert_eq!(client.get("/").await.text(), "ok");
    assert_eq!(site.connections(), 1);
}

#[tokio::test]
async fn one_broken_site_does_not_touch_the_other() {
    let dead = nobody().await;
    let gateway = TestGateway::with(|setup| {
        setup.routes += &crate::support::open_route(&dead, "").replace("\"/\"", "\"/dead\"");
    })
    .await;
    let mut client = KeepAlive::open(gateway.address()).await;

    assert_eq!(client.get("/dead").await.status, 502);
    assert_eq!(client.get("/open").await.status, 200);
}
