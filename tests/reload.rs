//! A new configuration for a running gateway: all of it or nothing, and nobody notices.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2 as client;
use hyper::server::conn::http2 as server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::support::http2::{END_STREAM, Frames, code, kind, request_to};
use crate::support::{
    APP_SECRET, KeepAlive, Process, ProcessSetup, Program, Ran, ScriptedSite, Server, Setup, Talk,
    TestGateway, Upstream, eventually, exchange, free_address, get, log_out, logged_in, wxgate,
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
    let process = Process::start(&old.url()).await;

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
    let process = Process::start(&site.url()).await;
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
    let process = Process::start(&site.url()).await;

    process.remove_config();
    process.signal("HUP");
    process.says(REFUSED).await;

    assert_eq!(exchange(process.address(), get("/")).await.status, 200);
    assert_eq!(process.metric(SUCCESSFUL).await, "0");
}

#[tokio::test]
async fn keys_that_need_a_restart_are_refused_by_name() {
    let site = Upstream::start().await;
    let admin = "[admin]\n            listen = \"127.0.0.1:";
    let table = [
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
    let process = Process::start(&site.url()).await;
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
    let process = Process::start(&old.url()).await;
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

#[tokio::test]
async fn a_lower_connection_limit_holds_once_connections_have_ended() {
    let site = Upstream::start().await;
    let limited =
        |most| move |setup: &mut ProcessSetup| setup.server = format!("max_connections = {most}");
    let process = Process::with(&site.url(), limited(2)).await;
    let mut first = KeepAlive::open(process.address()).await;
    let mut second = KeepAlive::open(process.address()).await;
    first.get("/").await;
    second.get("/").await;

    process.configure(&site.url(), limited(1));
    process.signal("HUP");
    process.says(RELOADED).await;
    drop(first);
    let mut third = Box::pin(exchange(process.address(), get("/third")));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut third).await;
    assert!(early.is_err(), "served beside the second");
    assert_eq!(second.get("/").await.status, 200, "an old one is served");
    drop(second);

    let served = tokio::time::timeout(Duration::from_secs(5), third).await;
    assert_eq!(served.expect("never served").status, 200);
}

/// A socket closes in its own task, a moment after the reload was told.
async fn stops_listening(address: SocketAddr) {
    eventually("the socket closes", async || {
        TcpStream::connect(address).await.is_err()
    })
    .await;
}

fn second_listener(address: SocketAddr) -> impl FnOnce(&mut ProcessSetup) {
    move |setup| setup.sections = format!("[[server.listeners]]\naddress = \"{address}\"")
}

#[tokio::test]
async fn a_listener_comes_and_goes_and_the_others_notice_nothing() {
    let site = Upstream::start().await;
    let process = Process::start(&site.url()).await;
    let added = free_address();
    let mut first = KeepAlive::open(process.address()).await;
    first.get("/").await;

    process.configure(&site.url(), second_listener(added));
    process.signal("HUP");
    process.says(RELOADED).await;
    let mut second = KeepAlive::open(added).await;
    assert_eq!(second.get("/").await.header("connection"), "");

    process.configure(&site.url(), |_| ());
    process.signal("HUP");
    process.says_times(RELOADED, 2).await;
    // It is not closed while its client may be writing: the next answer is the last.
    let last = second.get("/").await;
    assert_eq!(
        (last.status.as_u16(), last.header("connection")),
        (200, "close")
    );
    stops_listening(added).await;

    let reply = first.get("/").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("connection")),
        (200, "")
    );

    // The address is free again, also for ourselves.
    process.configure(&site.url(), second_listener(added));
    process.signal("HUP");
    process.says_times(RELOADED, 3).await;
    assert_eq!(exchange(added, get("/")).await.status, 200);
}

#[tokio::test]
async fn a_listener_moves_to_another_port() {
    let site = Upstream::start().await;
    let process = Process::start(&site.url()).await;
    let before = process.address();
    let moved = free_address();

    let text = process.config();
    process.write_config(&text.replacen(
        "listen = \"127.0.0.1:0\"",
        &format!("listen = \"{moved}\""),
        1,
    ));
    process.signal("HUP");
    process.says(RELOADED).await;

    assert_eq!(exchange(moved, get("/")).await.status, 200);
    stops_listening(before).await;
}

#[tokio::test]
async fn a_request_in_flight_at_a_listener_that_goes_is_finished() {
    let (go, going) = watch::channel(false);
    let site = ScriptedSite::start(move |_, mut talk| {
        let mut going = going.clone();
        async move {
            talk.head().await?;
            let _ = going.wait_for(|go| *go).await;
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
                .await
        }
    })
    .await;
    let added = free_address();
    let process = Process::with(&site.url(), second_listener(added)).await;
    let client = Talk::saying(added, "GET / HTTP/1.1\r\nHost: www.example.test\r\n\r\n").await;
    eventually("the site is asked", async || site.heads().len() == 1).await;

    process.configure(&site.url(), |_| ());
    process.signal("HUP");
    process.says(RELOADED).await;
    go.send_replace(true);

    let heard = client.closed().await;
    assert!(heard.ends_with("\r\n\r\ndone"), "{heard}");
    assert!(heard.contains("connection: close\r\n"), "{heard}");
}

#[tokio::test]
async fn an_address_that_is_taken_changes_nothing() {
    let (old, new) = (Upstream::start().await, Upstream::start().await);
    let process = Process::start(&old.url()).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();

    process.configure(&new.url(), second_listener(address));
    process.signal("HUP");
    process.says(REFUSED).await;

    assert!(
        process
            .report()
            .contains(&format!("cannot listen on {address}"))
    );
    assert_eq!(process.metric(SUCCESSFUL).await, "0");
    assert_eq!(exchange(process.address(), get("/")).await.status, 200);
    assert_eq!((old.seen().len(), new.seen().len()), (1, 0));
}

#[tokio::test]
async fn connections_to_upstreams_live_on() {
    let site = ScriptedSite::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let process = Process::start(&site.url()).await;
    let mut client = KeepAlive::open(process.address()).await;
    client.get("/").await;

    process.configure(&site.url(), |setup| {
        setup.server = "max_body = \"1MiB\"".to_owned();
    });
    process.signal("HUP");
    process.says(RELOADED).await;
    client.get("/").await;

    assert_eq!((site.heads().len(), site.connections()), (2, 1));
}

#[tokio::test]
async fn the_state_of_a_server_that_is_gone_disappears() {
    let (old, new) = (Upstream::start().await, Upstream::start().await);
    let process = Process::start(&old.url()).await;
    let states = async |process: &Process| {
        let metrics = process.admin("/metrics").await;
        let states = metrics
            .text()
            .lines()
            .filter(|line| line.starts_with("wxgate_upstream_healthy{"));
        states.map(str::to_owned).collect::<Vec<_>>()
    };
    let of = |site: &Upstream| {
        let (url, address) = (site.url(), site.address());
        format!("wxgate_upstream_healthy{{upstream=\"{url}\",server=\"{address}\"}} 1")
    };
    assert_eq!(states(&process).await, [of(&old)]);

    process.configure(&new.url(), |_| ());
    process.signal("HUP");
    process.says(RELOADED).await;

    eventually("only the new server is there", async || {
        states(&process).await == [of(&new)]
    })
    .await;
}

/// A site that answers as fast as it can, and how many requests it has answered.
async fn fast_site() -> (Server, Arc<AtomicUsize>) {
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let site = Server::start(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            let mut heard = Vec::new();
            // The gateway may leave at any time.
            while stream
                .read_buf(&mut heard)
                .await
                .is_ok_and(|count| count > 0)
            {
                while let Some(end) = heard.windows(4).position(|end| end == b"\r\n\r\n") {
                    heard.drain(..end + 4);
                    count.fetch_add(1, Ordering::Relaxed);
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
                        .await;
                }
            }
        }
    });
    (site.await, answered)
}

/// Sends batches of requests on one connection, and never one twice, until it is enough and `done`; says how many.
async fn ask_without_a_second_try(
    address: SocketAddr,
    enough: usize,
    done: Arc<AtomicBool>,
) -> usize {
    const BATCH: usize = 25;
    const END: &[u8] = b"\r\n\r\ndone";
    let batch = "GET /page HTTP/1.1\r\nHost: www.example.test\r\n\r\n".repeat(BATCH);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut asked, mut heard) = (0, Vec::new());
    while asked < enough || !done.load(Ordering::Relaxed) {
        stream.write_all(batch.as_bytes()).await.unwrap();
        heard.clear();
        let mut answers = 0;
        while answers < BATCH {
            let from = heard.len().saturating_sub(END.len() - 1);
            let count = stream.read_buf(&mut heard).await.unwrap();
            assert!(
                count > 0,
                "closed after {answers} of {BATCH} answers: a request was lost"
            );
            answers += heard[from..]
                .windows(END.len())
                .filter(|end| *end == END)
                .count();
        }
        let text = std::str::from_utf8(&heard).unwrap();
        assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), BATCH, "{text}");
        assert!(!text.contains("connection: close"), "{text}");
        asked += BATCH;
    }
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_reloads_under_load_lose_none_of_a_hundred_thousand_requests() {
    const CLIENTS: usize = 20;
    const RELOADS: usize = 50;
    let (site, answered) = fast_site().await;
    let url = site.url();
    let process = Process::start(&url).await;
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let enough = 100_000 / CLIENTS;
            tokio::spawn(ask_without_a_second_try(
                process.address(),
                enough,
                Arc::clone(&done),
            ))
        })
        .collect();

    let added = free_address();
    let (mut good, mut bad) = (0, 0);
    for round in 0..RELOADS {
        // Spread over the whole load.
        while answered.load(Ordering::Relaxed) < round * 100_000 / RELOADS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Every fifth one is bad; the others bring a limit, a listener, or take them away again.
        match round % 5 {
            0 => process.configure(&url, |setup| {
                setup.server = "max_body = \"1MiB\"".to_owned();
            }),
            1 | 3 => process.configure(&url, second_listener(added)),
            2 => process.configure(&url, |_| ()),
            _ => process.write_config("version = 2"),
        }
        process.signal("HUP");
        if round % 5 == 4 {
            bad += 1;
            process.says_times(REFUSED, bad).await;
        } else {
            good += 1;
            process.says_times(RELOADED, good).await;
        }
    }
    done.store(true, Ordering::Relaxed);

    let mut asked = 0;
    for client in clients {
        asked += client.await.unwrap();
    }
    assert!(asked >= 100_000, "{asked}");
    assert_eq!(answered.load(Ordering::Relaxed), asked);
    assert_eq!((good, bad), (40, 10));
}

/// A site that knows HTTP/2 beforehand, and how many requests it has answered.
async fn fast_site_over_http2() -> (Server, Arc<AtomicUsize>) {
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let site = Server::start(move |stream| {
        let count = Arc::clone(&count);
        let answer = service_fn(move |_: Request<Incoming>| {
            count.fetch_add(1, Ordering::Relaxed);
            let body = Full::new(Bytes::from_static(b"done"));
            async { Ok::<_, Infallible>(Response::new(body)) }
        });
        // Its result is of no interest: the gateway may leave at any time.
        server::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer)
    });
    (site.await, answered)
}

/// Asks one by one on a connection that others share, and never twice, until it is enough and `done`; says how many.
async fn ask_over_http2(
    mut sender: client::SendRequest<Full<Bytes>>,
    enough: usize,
    done: Arc<AtomicBool>,
) -> usize {
    let mut asked = 0;
    while asked < enough || !done.load(Ordering::Relaxed) {
        let request = Request::post("http://www.example.test/page").body(Full::default());
        let answer = sender.send_request(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(
            answer.into_body().collect().await.unwrap().to_bytes(),
            "done"
        );
        asked += 1;
    }
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_lose_no_request_over_http2() {
    const CONNECTIONS: usize = 4;
    const STREAMS: usize = 10;
    const REQUESTS: usize = 10_000;
    const RELOADS: usize = 20;
    let (server, answered) = fast_site_over_http2().await;
    let site = server.address();
    let address = free_address();
    // Each one changes the upstream, so that its connections end with their last requests.
    let round = |number: usize| {
        move |setup: &mut ProcessSetup| {
            setup.sections = format!(
                "[upstreams.app]\nservers = [\"h2c://{site}\"]\nretries = {}\n\
                 [[server.listeners]]\naddress = \"{address}\"\nh2c = true\n",
                number % 2
            );
        }
    };
    let process = Process::with("app", round(0)).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await.unwrap();
        let builder = client::Builder::new(TokioExecutor::new());
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..STREAMS {
            let enough = REQUESTS / CONNECTIONS / STREAMS;
            let asking = ask_over_http2(sender.clone(), enough, Arc::clone(&done));
            clients.push(tokio::spawn(asking));
        }
    }

    for number in 1..=RELOADS {
        let share = number * REQUESTS / (RELOADS + 1);
        eventually("the load goes on", async || {
            answered.load(Ordering::Relaxed) >= share
        })
        .await;
        process.configure("app", round(number));
        process.signal("HUP");
        process.says_times(RELOADED, number).await;
    }
    done.store(true, Ordering::Relaxed);

    let mut asked = 0;
    for client in clients {
        asked += client.await.unwrap();
    }
    assert!(asked >= REQUESTS, "{asked}");
    assert_eq!(answered.load(Ordering::Relaxed), asked);
}

/// Asks one by one until the gateway says that it takes no more, and never twice; how many were answered.
async fn ask_until_goaway(address: SocketAddr) -> usize {
    let mut frames = Frames::connect(address).await;
    let mut answered = 0;
    loop {
        let stream = frames.begin(&request_to("POST", "/page"), END_STREAM).await;
        let mut last = None;
        loop {
            let next = frames.next().await.expect("closed without an answer");
            match next.kind {
                kind::GOAWAY => {
                    assert_eq!(code(&next.payload[4..]), 0, "graceful");
                    let taken = code(&next.payload[..4]);
                    if stream > taken {
                        return answered;
                    }
                    last = Some(taken);
                }
                kind::RST_STREAM => panic!("lost"),
                _ if next.stream == stream && next.flags & END_STREAM != 0 => break,
                _ => {}
            }
        }
        answered += 1;
        if last.is_some() {
            return answered;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_over_http2_of_a_listener_that_goes_hear_goaway_and_lose_nothing() {
    const CLIENTS: usize = 8;
    let (server, answered) = fast_site_over_http2().await;
    let site = server.address();
    let address = free_address();
    let app = format!("[upstreams.app]\nservers = [\"h2c://{site}\"]\n");
    let with_listener = format!("{app}[[server.listeners]]\naddress = \"{address}\"\nh2c = true\n");
    let process = Process::with("app", |setup| setup.sections.clone_from(&with_listener)).await;
    let mut asked = 0;

    for round in 0..5 {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(ask_until_goaway(address)))
            .collect();
        let enough = answered.load(Ordering::Relaxed) + 400;
        eventually("the load goes on", async || {
            answered.load(Ordering::Relaxed) >= enough
        })
        .await;
        process.configure("app", |setup| setup.sections.clone_from(&app));
        process.signal("HUP");
        process.says_times(RELOADED, 2 * round + 1).await;
        for client in clients {
            asked += client.await.unwrap();
        }
        process.configure("app", |setup| setup.sections.clone_from(&with_listener));
        process.signal("HUP");
        process.says_times(RELOADED, 2 * round + 2).await;
    }

    assert!(asked >= 2000, "{asked}");
    assert_eq!(answered.load(Ordering::Relaxed), asked);
}

#[tokio::test]
async fn a_changed_file_is_taken_without_a_signal_when_it_is_watched() {
    let (old, new) = (Upstream::start().await, Upstream::start().await);
    let process = Process::with(&old.url(), |setup| setup.arguments = &["--watch"]).await;

    process.configure(&new.url(), |_| ());
    process.says(RELOADED).await;

    exchange(process.address(), get("/")).await;
    assert_eq!((old.seen().len(), new.seen().len()), (0, 1));
}

#[tokio::test]
async fn a_file_that_changed_during_the_start_is_taken_too_when_it_is_watched() {
    let (old, new) = (Upstream::start().await, Upstream::start().await);
    let folder = tempfile::TempDir::new().unwrap();
    let write = |site: &Upstream, secret: &str| {
        let text = ProcessSetup::default().config(&site.url(), folder.path());
        let text = text.replace("env:WXGATE_TEST_SECRET", secret);
        std::fs::write(folder.path().join("config.toml"), text).unwrap();
    };
    // The program has read its configuration when it opens the secret, and starts when it gets it.
    let pipe = folder.path().join("secret");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    write(&old, &format!("file:{}", pipe.display()));
    let mut command = wxgate(&["run", "--watch"], folder.path());
    command.env("WXGATE_TEST_SECRET", APP_SECRET);
    let mut program = Program::start(command);
    let mut secret = tokio::fs::OpenOptions::new()
        .write(true)
        .open(&pipe)
        .await
        .unwrap();

    write(&new, "env:WXGATE_TEST_SECRET");
    secret.write_all(APP_SECRET.as_bytes()).await.unwrap();
    secret.flush().await.unwrap();
    drop(secret);

    let address = program.word_after("listening on ").await.parse().unwrap();
    program.says(RELOADED, 1).await;
    exchange(address, get("/")).await;
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
    let process = Process::start(&site.url()).await;
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
    let process = Process::start(&site.url()).await;
    process.configure(&site.url(), |setup| setup.sections = simulator.to_owned());

    let mut command = wxgate(&["run"], process.folder());
    command.env("WXGATE_TEST_SECRET", APP_SECRET);
    let ran = Ran::of(command).await;
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("points at a simulator"), "{}", ran.err);
    assert!(ran.err.contains("--allow-simulator"), "{}", ran.err);

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
    let process = Process::start(&site.url()).await;
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
