//! Clients that are slow, greedy or gone: each is closed in its time, and nobody else waits for it.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::support::{
    KeepAlive, Process, ScriptedSite, Talk, TestGateway, Upstream, eventually, exchange, get,
};

const SHORT_TIMEOUTS: &str = r#"
    [server.timeouts]
    request_header = "200ms"
    keep_alive = "300ms"
    body_progress = "250ms"
"#;

/// A gateway that soon loses patience.
async fn impatient() -> TestGateway {
    TestGateway::with(|setup| setup.sections = SHORT_TIMEOUTS.to_owned()).await
}

/// What the client hears until it is closed, while somebody else is served. It is closed no earlier than `after`.
async fn closed_after(gateway: &TestGateway, talk: Talk, after: Duration) -> String {
    let began = Instant::now();
    let probe = async {
        // New connections and old ones are served as if nothing was.
        let mut old = KeepAlive::open(gateway.address()).await;
        for _ in 0..5 {
            assert_eq!(old.get("/open").await.status, 200);
            let new = exchange(gateway.address(), get("/open")).await;
            assert_eq!(new.status, 200);
        }
    };
    let (heard, ()) = tokio::join!(talk.closed(), probe);
    let took = began.elapsed();
    assert!(took >= after, "closed after {took:?} already");
    heard
}

#[tokio::test]
async fn silent_peer_is_dropped() {
    let gateway = impatient().await;

    let silent = Talk::connect(gateway.address()).await;

    let heard = closed_after(&gateway, silent, Duration::from_millis(150)).await;
    assert_eq!(heard, "");
}

#[tokio::test]
async fn half_a_head_is_dropped() {
    let gateway = impatient().await;

    let half = Talk::saying(gateway.address(), "GET /open HTTP/1.1\r\nHost: www.exam").await;

    closed_after(&gateway, half, Duration::from_millis(100)).await;
    let seen = gateway.upstream().seen();
    assert!(
        seen.iter()
            .all(|seen| seen.header("host") == "www.example.test")
    );
}

#[tokio::test]
async fn a_head_that_trickles_is_dropped() {
    let gateway = impatient().await;
    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));

    // Each byte is progress, but the whole head has one deadline.
    for byte in "GET /open HTTP/1.1\r\nX-Slow: "
        .bytes()
        .chain(std::iter::repeat(b'x'))
    {
        ticks.tick().await;
        if stream.try_write(&[byte]).is_err() {
            break;
        }
        let waited = began.elapsed();
        assert!(
            waited < Duration::from_secs(5),
            "still open after {waited:?}"
        );
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_answer() {
    let gateway = impatient().await;
    let ask = "GET /open HTTP/1.1\r\nHost: www.example.test\r\n\r\n";
    let mut idle = Talk::saying(gateway.address(), ask).await;
    idle.answer().await;

    let heard = closed_after(&gateway, idle, Duration::from_millis(200)).await;

    assert_eq!(heard, "");
}

#[tokio::test]
async fn a_body_that_stops_is_408() {
    let gateway = impatient().await;
    let head = "POST /open HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 10\r\n\r\nhalf";

    let stuck = Talk::saying(gateway.address(), head).await;

    let heard = closed_after(&gateway, stuck, Duration::from_millis(150)).await;
    assert!(heard.starts_with("HTTP/1.1 408 "), "{heard}");
    assert!(heard.contains("x-wxgate-response: body-stalled"), "{heard}");
    assert!(heard.contains("connection: close"), "{heard}");
}

#[tokio::test]
async fn a_client_that_stops_reading_is_dropped() {
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let site = ScriptedSite::start(move |_, mut talk| {
        let ended = ended.clone();
        async move {
            talk.head().await?;
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
                .await?;
            let _ = ended.send(talk.pour(1 << 30).await.is_err());
            Ok(())
        }
    })
    .await;
    let gateway = TestGateway::with(|setup| {
        setup.sections = SHORT_TIMEOUTS.to_owned();
        let big = crate::support::open_route(&site.url(), "").replace("\"/\"", "\"/big\"");
        setup.routes += &big.replace("\"all\"", "\"big\"");
    })
    .await;
    let ask = "GET /big HTTP/1.1\r\nHost: www.example.test\r\n\r\n";

    let _deaf = Talk::saying(gateway.address(), ask).await;

    let cut = tokio::time::timeout(Duration::from_secs(5), ends.recv()).await;
    assert_eq!(cut.expect("still sending"), Some(true));
    assert_eq!(exchange(gateway.address(), get("/open")).await.status, 200);
}

#[tokio::test]
async fn connections_over_the_limit_wait_until_one_leaves() {
    let gateway = TestGateway::with(|setup| setup.server = "max_connections = 2".to_owned()).await;
    let mut first = KeepAlive::open(gateway.address()).await;
    let mut second = KeepAlive::open(gateway.address()).await;
    assert_eq!(first.get("/open").await.status, 200);
    assert_eq!(second.get("/open").await.status, 200);

    let mut third = Box::pin(exchange(gateway.address(), get("/open/third")));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut third).await;
    assert!(early.is_err(), "served beside the two");
    assert_eq!(first.get("/open").await.status, 200, "an old one is served");
    drop(second);

    let served = tokio::time::timeout(Duration::from_secs(5), third).await;
    assert_eq!(served.expect("never served").status, 200);
}

#[tokio::test]
async fn the_admin_listener_answers_when_the_public_one_is_full() {
    let gateway = TestGateway::with(|setup| setup.server = "max_connections = 1".to_owned()).await;
    let mut only = KeepAlive::open(gateway.address()).await;
    only.get("/open").await;

    let health = KeepAlive::open(gateway.admin_address())
        .await
        .get("/healthz")
        .await;

    assert_eq!(health.status, 200);
}

#[tokio::test]
async fn listener_survives_a_failed_accept() {
    let site = Upstream::start().await;
    let process = Process::with(&site.url(), |setup| setup.descriptors = Some(40)).await;
    let mut old = KeepAlive::open(process.address()).await;
    assert_eq!(old.get("/").await.status, 200);

    // Before the crowd: the first failures may come while it still grows.
    let began = Instant::now();
    let mut crowd = Vec::new();
    for _ in 0..60 {
        crowd.push(TcpStream::connect(process.address()).await.unwrap());
    }
    // Each wait is twice the one before it, and begins anew where one accept succeeds in between, because a descriptor was free
    // for a moment. A loop that spins is done in no time.
    process.says_times("accept failed, waiting", 8).await;
    let waited = began.elapsed();
    assert!(waited > Duration::from_millis(100), "spins: {waited:?}");
    assert_eq!(
        old.get("/").await.status,
        200,
        "an old connection is served"
    );
    drop(crowd);

    let served = tokio::time::timeout(
        Duration::from_secs(3),
        exchange(process.address(), get("/")),
    );
    assert_eq!(served.await.expect("never served again").status, 200);
}

async fn limited() -> TestGateway {
    let limit = "max_body = \"1KiB\"";
    TestGateway::with(|setup| {
        setup.routes = setup
            .routes
            .replace("path = \"/open\"", &format!("path = \"/open\"\n{limit}"));
    })
    .await
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_413_and_never_asked_for() {
    let gateway = limited().await;
    let head = "POST /open HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 1025\r\nExpect: 100-continue\r\n\r\n";

    let heard = Talk::saying(gateway.address(), head).await.closed().await;

    assert!(heard.starts_with("HTTP/1.1 413 "), "{heard}");
    assert!(
        heard.contains("x-wxgate-response: body-too-large"),
        "{heard}"
    );
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn a_body_that_turns_out_too_big_is_413() {
    let gateway = limited().await;
    let head =
        "POST /open HTTP/1.1\r\nHost: www.example.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let mut client = Talk::saying(gateway.address(), format!("{head}{chunk}")).await;

    client.say("1\r\nx\r\n").await.unwrap();

    let heard = client.closed().await;
    assert!(heard.starts_with("HTTP/1.1 413 "), "{heard}");
    assert!(
        heard.contains("x-wxgate-response: body-too-large"),
        "{heard}"
    );
    assert!(
        gateway
            .upstream()
            .seen()
            .iter()
            .all(|seen| seen.body.len() <= 1024)
    );
}

#[tokio::test]
async fn a_client_that_sends_all_of_a_refused_body_hears_why() {
    let gateway = limited().await;
    let head = "POST /open HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 4194304\r\n\r\n";
    let mut client = Talk::saying(gateway.address(), head).await;

    // It listens only when it has sent everything.
    let sent = client.pour(4 << 20).await;

    let heard = client.closed().await;
    assert!(
        heard.starts_with("HTTP/1.1 413 "),
        "{heard:?} after {sent:?}"
    );
}

#[tokio::test]
async fn a_body_of_just_the_limit_passes() {
    let gateway = limited().await;
    let body = "x".repeat(1024);
    let head = format!(
        "POST /open HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 1024\r\n\r\n{body}"
    );

    let answer = Talk::saying(gateway.address(), head).await.answer().await;

    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(gateway.upstream().last().body.len(), 1024);
}

#[tokio::test]
async fn a_head_that_is_too_big_is_431() {
    let gateway = TestGateway::start().await;
    let many = "X-Many: 1\r\n".repeat(101);
    let large = format!("X-Large: {}\r\n", "x".repeat(33 * 1024));
    for fields in [many, large] {
        let ask = format!("GET /open HTTP/1.1\r\nHost: www.example.test\r\n{fields}\r\n");

        let heard = Talk::saying(gateway.address(), ask).await.closed().await;

        assert!(heard.starts_with("HTTP/1.1 431 "), "{heard}");
    }
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn what_is_no_http_is_400() {
    let gateway = TestGateway::start().await;
    for bytes in [
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n",
        "hello\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        let heard = Talk::saying(gateway.address(), bytes).await.closed().await;

        assert!(
            heard.is_empty()
                || heard.starts_with("HTTP/1.1 400 ")
                || heard.starts_with("HTTP/1.1 505 "),
            "{heard}"
        );
    }
    assert!(gateway.upstream().seen().is_empty());
}

/// Answers a page, never, with more than anybody reads, or with a WebSocket, as the path says.
async fn moody_site() -> ScriptedSite {
    ScriptedSite::start(|_, mut talk| async move {
        loop {
            let head = talk.head().await?;
            let path = head.split(' ').nth(1).unwrap_or_default();
            match path {
                "" => return Ok(()),
                "/never" => drop(talk.rest().await),
                "/big" => {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 << 20);
                    talk.say(head).await?;
                    talk.say(vec![b'x'; 64 << 20]).await?;
                }
                "/socket" => {
                    talk.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await?;
                    drop(talk.rest().await);
                }
                _ => {
                    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
                    talk.say(answer).await?;
                }
            }
        }
    })
    .await
}

/// What a client says, and what it still hears before it is gone.
const PHASES: [(&str, &str); 11] = [
    ("", ""),
    ("GET /pa", ""),
    ("GET /page HTTP/1.1\r\nHost: www.example.test\r\n", ""),
    ("GET /never HTTP/1.1\r\nHost: www.example.test\r\n\r\n", ""),
    (
        "POST /never HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 100\r\n\r\nhalf",
        "",
    ),
    (
        "POST /never HTTP/1.1\r\nHost: www.example.test\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf",
        "",
    ),
    ("GET /big HTTP/1.1\r\nHost: www.example.test\r\n\r\n", ""),
    (
        "GET /big HTTP/1.1\r\nHost: www.example.test\r\n\r\n",
        "xxxx",
    ),
    (
        "GET /page HTTP/1.1\r\nHost: www.example.test\r\n\r\nGET /never HTTP/1.1\r\nHost: www.example.test\r\n\r\n",
        "done",
    ),
    (
        "GET /page HTTP/1.1\r\nHost: www.example.test\r\n\r\n",
        "done",
    ),
    (
        "GET /socket HTTP/1.1\r\nHost: www.example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "\r\n\r\n",
    ),
];

#[tokio::test]
async fn a_client_that_goes_away_in_any_phase_leaves_nothing_behind() {
    let site = moody_site().await;
    let process = Process::start(&site.url()).await;
    assert_eq!(exchange(process.address(), get("/page")).await.status, 200);
    let before: f64 = process.metric("process_open_fds").await.parse().unwrap();

    for (said, heard) in PHASES {
        for _ in 0..20 {
            let mut talk = Talk::saying(process.address(), said).await;
            if !heard.is_empty() {
                talk.hear_until(heard).await.unwrap().expect(heard);
            }
        }
        let others = exchange(process.address(), get("/page")).await;
        assert_eq!(others.status, 200, "after {said:?}");
    }

    // A few connections to the site are kept for the next requests.
    eventually("descriptors are given back", async || {
        let now: f64 = process.metric("process_open_fds").await.parse().unwrap();
        now <= before + 8.0
    })
    .await;
    assert!(
        !process.report().contains("panicked"),
        "{}",
        process.report()
    );
}
