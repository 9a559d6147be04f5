//! SIGTERM to the real program: nothing is lost, nothing holds it for ever.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{accept_async, client_async};

use crate::support::{KeepAlive, Process, ScriptedSite, Talk, Upstream, eventually, exchange, get};

const ASK: &str = "GET / HTTP/1.1\r\nHost: www.example.test\r\n\r\n";

/// A site that answers each request when it is told to.
struct Hesitant {
    site: ScriptedSite,
    go: watch::Sender<bool>,
}

impl Hesitant {
    async fn start() -> Self {
        let (go, going) = watch::channel(false);
        let site = ScriptedSite::start(move |_, mut talk| {
            let mut going = going.clone();
            async move {
                while !talk.head().await?.is_empty() {
                    let _ = going.wait_for(|go| *go).await;
                    talk.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
                        .await?;
                }
                Ok(())
            }
        })
        .await;
        Self { site, go }
    }

    /// Waits until so many requests are being thought about.
    async fn thinks_about(&self, count: usize) {
        eventually("the site is asked", async || {
            self.site.heads().len() == count
        })
        .await;
    }

    fn go(&self) {
        self.go.send_replace(true);
    }
}

#[tokio::test]
async fn idle_gateway_stops_at_once() {
    let site = Upstream::start().await;
    for signal in ["TERM", "INT"] {
        let mut process = Process::start(&site.url()).await;
        exchange(process.address(), get("/")).await;
        let began = Instant::now();

        process.signal(signal);

        assert_eq!(process.exit_code().await, 0, "{}", process.report());
        assert!(began.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn an_idle_connection_gets_its_next_request_answered() {
    let site = Upstream::start().await;
    let mut process = Process::start(&site.url()).await;
    let mut client = KeepAlive::open(process.address()).await;
    assert_eq!(client.get("/").await.header("connection"), "");

    process.signal("TERM");
    process.says("stopping").await;
    process.refuses().await;
    let last = client.get("/").await;

    assert_eq!(last.status, 200);
    assert_eq!(last.header("connection"), "close");
    assert_eq!(process.exit_code().await, 0, "{}", process.report());
}

#[tokio::test]
async fn a_request_in_flight_is_finished() {
    let hesitant = Hesitant::start().await;
    let mut process = Process::start(&hesitant.site.url()).await;
    let client = Talk::saying(process.address(), ASK).await;
    hesitant.thinks_about(1).await;

    process.signal("TERM");
    process.refuses().await;
    hesitant.go();

    let heard = client.closed().await;
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\n"), "{heard}");
    assert!(heard.contains("connection: close\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n\r\ndone"), "{heard}");
    assert_eq!(process.exit_code().await, 0, "{}", process.report());
}

#[tokio::test]
async fn stuck_request_cannot_hold_shutdown() {
    let hesitant = Hesitant::start().await;
    let mut process = Process::with(&hesitant.site.url(), |setup| {
        setup.server = "shutdown_grace = \"300ms\"".to_owned();
    })
    .await;
    let client = Talk::saying(process.address(), ASK).await;
    hesitant.thinks_about(1).await;
    let began = Instant::now();

    process.signal("TERM");

    assert_eq!(process.exit_code().await, 1, "{}", process.report());
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(client.closed().await, "");
    process.says("\"connections\":1").await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let hesitant = Hesitant::start().await;
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut process = Process::start(&hesitant.site.url()).await;
        let before = hesitant.site.heads().len();
        let _stuck = Talk::saying(process.address(), ASK).await;
        hesitant.thinks_about(before + 1).await;
        process.signal("TERM");
        process.refuses().await;
        let began = Instant::now();

        process.signal(signal);

        assert_eq!(process.exit_code().await, code, "{}", process.report());
        assert!(began.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn readiness_says_no_while_the_last_visitors_are_served() {
    let site = Upstream::start().await;
    let mut process = Process::with(&site.url(), |setup| {
        setup.server = "drain_delay = \"700ms\"".to_owned();
    })
    .await;
    process.is_ready_with(200).await;
    let began = Instant::now();

    process.signal("TERM");
    process.is_ready_with(503).await;

    // A load balancer that has not looked yet still sends visitors here.
    let mut visitor = KeepAlive::open(process.address()).await;
    let reply = visitor.get("/").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("connection")),
        (200, "")
    );
    assert_eq!(process.admin("/healthz").await.status, 200);
    drop(visitor);
    assert_eq!(process.exit_code().await, 0, "{}", process.report());
    assert!(began.elapsed() >= Duration::from_millis(700));
}

/// A site that agrees to every WebSocket and then waits, and says when one has ended.
async fn tunnels() -> (ScriptedSite, mpsc::UnboundedReceiver<()>) {
    let (ended, ends) = mpsc::unbounded_channel();
    let site = ScriptedSite::start(move |_, mut talk| {
        let ended = ended.clone();
        async move {
            talk.head().await?;
            talk.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n").await?;
            talk.rest().await;
            let _ = ended.send(());
            Ok(())
        }
    })
    .await;
    (site, ends)
}

async fn open_tunnel(process: &Process) -> Talk {
    let ask = ASK.replace(
        "\r\n\r\n",
        "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let mut tunnel = Talk::saying(process.address(), ask).await;
    let head = tunnel.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    tunnel
}

#[tokio::test]
async fn open_websocket_holds_the_drain_until_its_deadline() {
    let (site, mut ends) = tunnels().await;
    let mut process = Process::with(&site.url(), |setup| {
        setup.server = "shutdown_grace = \"300ms\"".to_owned();
    })
    .await;
    let tunnel = open_tunnel(&process).await;
    let began = Instant::now();

    process.signal("TERM");

    assert_eq!(process.exit_code().await, 1, "{}", process.report());
    assert!(began.elapsed() >= Duration::from_millis(300));
    // It was told by a close frame, and did not answer.
    assert!(tunnel.closed().await.contains("\u{2}\u{3}"));
    assert!(ends.recv().await.is_some());
    process.says("\"tunnels\":1").await;
}

#[tokio::test]
async fn both_ends_of_a_websocket_are_told_that_we_go_away() {
    let (told, mut tells) = mpsc::unbounded_channel();
    let site = ScriptedSite::start(move |_, talk| {
        let told = told.clone();
        async move {
            let Ok(mut socket) = accept_async(talk.stream).await else {
                return Ok(());
            };
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() {
                    let _ = socket.send(message.clone()).await;
                }
                let _ = told.send(message);
            }
            Ok(())
        }
    })
    .await;
    let mut process = Process::start(&site.url()).await;
    let stream = TcpStream::connect(process.address()).await.unwrap();
    let (mut socket, _) = client_async("ws://www.example.test/live", stream)
        .await
        .unwrap();
    let hello = Message::text("x".repeat(70_000));
    socket.send(hello.clone()).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap() == hello);
    assert!(tells.recv().await.unwrap() == hello);
    let began = Instant::now();

    process.signal("TERM");

    let going_away = Message::Close(Some(CloseFrame {
        code: CloseCode::Away,
        reason: "".into(),
    }));
    assert_eq!(socket.next().await.unwrap().unwrap(), going_away);
    assert_eq!(tells.recv().await.unwrap(), going_away);
    assert!(socket.next().await.is_none(), "it did not end in order");
    assert_eq!(process.exit_code().await, 0, "{}", process.report());
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_websocket_that_ends_in_time_lets_the_drain_end() {
    let (site, _ends) = tunnels().await;
    let mut process = Process::start(&site.url()).await;
    let tunnel = open_tunnel(&process).await;

    process.signal("TERM");
    process.refuses().await;
    drop(tunnel);

    assert_eq!(process.exit_code().await, 0, "{}", process.report());
}

#[tokio::test]
async fn nothing_is_lost_when_it_stops_under_load() {
    let site = Upstream::start().await;
    let mut process = Process::start(&site.url()).await;
    let address = process.address();
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = KeepAlive::open(address).await;
        assert_eq!(client.get("/").await.status, 200);
        clients.push(tokio::spawn(async move {
            // Until the answer that says it is the last.
            loop {
                let reply = client.send(get("/")).await.expect("a request was lost");
                assert_eq!(reply.status, 200);
                if reply.header("connection") == "close" {
                    return;
                }
            }
        }));
    }

    process.signal("TERM");

    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(process.exit_code().await, 0, "{}", process.report());
}
