//! Servers that speak HTTP/2 frame by frame, as no library lets them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use h2::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::http2::in_front_of;
use super::support::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// `:status: 200` out of the static table (RFC 7541, appendix A).
const STATUS_200: &[u8] = &[0x88];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Speaks frame by frame: answers settings and pings, and gives the number of each stream that begins to `script`, whose
/// frames are written. `None` closes the connection.
async fn framed(
    script: impl Fn(usize, u32) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    framed_or("", script).await
}

/// The same for clients that speak HTTP/2; those of HTTP/1.1 always get this answer.
async fn framed_or(
    http1: &'static str,
    script: impl Fn(usize, u32) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let streams = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&streams);
    let script = Arc::new(script);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (script, count) = (Arc::clone(&script), Arc::clone(&count));
            tokio::spawn(async move { play(stream, http1, &*script, &count).await });
        }
    });
    (address, streams)
}

async fn play(
    mut stream: TcpStream,
    http1: &str,
    script: &(impl Fn(usize, u32) -> Option<Vec<u8>> + Send + Sync),
    count: &AtomicUsize,
) -> io::Result<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    if !preface.starts_with(b"PRI ") {
        let mut head = preface.to_vec();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        stream.write_all(http1.as_bytes()).await?;
        // Until the other side closes it.
        return stream.read_u8().await.map(drop);
    }
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        let is_answer = head[4] & 1 != 0;
        match head[3] {
            SETTINGS if !is_answer => stream.write_all(&frame(SETTINGS, 1, 0, &[])).await?,
            PING if !is_answer => stream.write_all(&frame(PING, 1, 0, &payload)).await?,
            HEADERS => {
                let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                match script(count.fetch_add(1, Ordering::SeqCst), id) {
                    Some(frames) => stream.write_all(&frames).await?,
                    None => return Ok(()),
                }
            }
            _ => {}
        }
    }
}

fn goaway(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

fn ok(id: u32) -> Vec<u8> {
    [frame(HEADERS, 4, id, STATUS_200), frame(DATA, 1, id, b"ok")].concat()
}

#[tokio::test]
async fn a_request_above_the_last_one_that_goaway_names_is_sent_again_whatever_its_method() {
    for method in ["GET", "POST"] {
        let (address, streams) = framed(|number, id| match number {
            0 => Some(goaway(0)),
            _ => Some(ok(id)),
        })
        .await;
        let gateway = in_front_of(address, |_, _| {}).await;

        let reply = gateway.send(request(method, "/", "")).await;

        assert_eq!(
            (reply.status, streams.load(Ordering::SeqCst)),
            (200, 2),
            "{method}"
        );
    }
}

#[tokio::test]
async fn requests_that_goaway_still_counts_are_finished_and_new_ones_go_elsewhere() {
    let (address, _) = framed(|number, id| match number {
        // The first is answered after the server has said that it was the last.
        0 => Some([goaway(id), ok(id)].concat()),
        _ => Some(ok(id)),
    })
    .await;
    let gateway = in_front_of(address, |_, _| {}).await;

    for _ in 0..2 {
        let reply = gateway.post("/", "").await;
        assert_eq!(
            (reply.status, reply.body.unwrap().as_ref()),
            (200, &b"ok"[..])
        );
    }
}

fn reset(id: u32, reason: Reason) -> Vec<u8> {
    frame(RST_STREAM, 0, id, &u32::from(reason).to_be_bytes())
}

const OLD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold";

#[tokio::test]
async fn a_request_that_needs_http1_is_sent_again_over_it_where_it_may_be_repeated() {
    for (method, status) in [("GET", 200), ("HEAD", 200), ("POST", 502)] {
        let (address, streams) =
            framed_or(OLD, |_, id| Some(reset(id, Reason::HTTP_1_1_REQUIRED))).await;
        let gateway = in_front_of(address, |_, _| {}).await;

        let reply = gateway.send(request(method, "/", "")).await;

        assert_eq!(reply.status, status, "{method}");
        assert_eq!(streams.load(Ordering::SeqCst), 1, "{method}");
    }
}

#[tokio::test]
async fn a_server_that_goes_away_because_it_needs_http1_gets_whatever_it_did_not_look_at() {
    let going = || {
        let reason = u32::from(Reason::HTTP_1_1_REQUIRED).to_be_bytes();
        frame(GOAWAY, 0, 0, &[[0; 4], reason].concat())
    };
    for method in ["GET", "POST"] {
        let (address, streams) = framed_or(OLD, move |_, _| Some(going())).await;
        let gateway = in_front_of(address, |_, _| {}).await;

        let reply = gateway.send(request(method, "/", "")).await;

        assert_eq!((reply.status, &*reply.body.unwrap()), (200, &b"old"[..]));
        assert_eq!(streams.load(Ordering::SeqCst), 1, "{method}");
    }
}

#[tokio::test]
async fn a_websocket_takes_the_room_of_an_idle_connection_over_http2() {
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let (address, streams) = framed_or(switch, |_, id| Some(ok(id))).await;
    let gateway = in_front_of(address, |settings, _| {
        settings.max_connections = 1;
        settings.connect_timeout = NEVER;
    })
    .await;
    assert_eq!(gateway.get("/").await.status, 200);

    let (_socket, answer) = gateway.ask_for_websocket().await;

    assert_eq!(&answer, b"HTTP/1.1 101");
    assert_eq!(streams.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_is_in_use_is_not_given_up_for_a_websocket() {
    let (address, _) = framed_or("", |_, id| Some(frame(HEADERS, 4, id, STATUS_200))).await;
    let gateway = in_front_of(address, |settings, _| {
        settings.max_connections = 1;
        settings.connect_timeout = SOON;
    })
    .await;
    let (parts, _body) = gateway.begin(request("GET", "/", "")).await;
    assert_eq!(parts.status, 200);

    let (_socket, answer) = gateway.ask_for_websocket().await;

    assert_eq!(&answer, b"HTTP/1.1 503");
}

#[tokio::test]
async fn a_connection_that_breaks_under_a_request_is_502_and_a_post_is_not_sent_twice() {
    let (address, streams) = framed(|number, id| (number != 1).then(|| ok(id))).await;
    let gateway = in_front_of(address, |_, _| {}).await;

    assert_eq!(gateway.post("/", "").await.status, 200);
    assert_eq!(gateway.post("/", "").await.status, 502);
    assert_eq!(streams.load(Ordering::SeqCst), 2);
    // What may be sent twice is, where the connection had carried something before.
    let (address, streams) = framed(|number, id| (number != 1).then(|| ok(id))).await;
    let gateway = in_front_of(address, |_, _| {}).await;
    for _ in 0..2 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    assert_eq!(streams.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn heads_without_end_and_heads_too_large_are_502() {
    /// A field of 8,000 bytes, never indexed.
    fn field(number: u8) -> Vec<u8> {
        let mut block = vec![0x10, 2, b'x', b'0' + number, 127, 0xc1, 0x3d];
        block.resize(7 + 8000, b'y');
        block
    }
    type Script = Box<dyn Fn(usize, u32) -> Option<Vec<u8>> + Send + Sync>;
    let large: Script = Box::new(|_, id| {
        let mut frames = frame(HEADERS, 1, id, STATUS_200);
        for number in 0..9 {
            let flags = if number == 8 { 4 } else { 0 };
            frames.extend(frame(CONTINUATION, flags, id, &field(number)));
        }
        Some(frames)
    });
    let endless: Script = Box::new(|_, id| {
        let mut frames = frame(HEADERS, 0, id, STATUS_200);
        for _ in 0..10_000 {
            frames.extend(frame(CONTINUATION, 0, id, &[]));
        }
        Some(frames)
    });
    for (name, script) in [("large", large), ("endless", endless)] {
        let (address, streams) = framed(script).await;
        let gateway = in_front_of(address, |_, _| {}).await;

        assert_eq!(gateway.post("/", "").await.status, 502, "{name}");
        assert_eq!(streams.load(Ordering::SeqCst), 1, "{name}");
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_announced_breaks_off() {
    // `content-length` out of the static table, literal without indexing.
    let announcing = |length: u8| [STATUS_200, &[0x0f, 0x0d, 1, b'0' + length]].concat();
    for (announced, sent) in [(5, &b"abc"[..]), (2, b"abc")] {
        let head = announcing(announced);
        let (address, _) = framed(move |_, id| {
            Some([frame(HEADERS, 4, id, &head), frame(DATA, 1, id, sent)].concat())
        })
        .await;
        let gateway = in_front_of(address, |_, _| {}).await;

        let reply = gateway.get("/").await;

        assert!(
            reply.status == 502 || reply.body.is_err(),
            "{announced} {sent:?}"
        );
    }
}

#[tokio::test]
async fn an_early_answer_is_passed_on_and_the_rest_of_the_upload_stopped() {
    let (address, _) = framed(|_, id| {
        let whole = frame(DATA, 1, id, b"too much");
        Some(
            [
                frame(HEADERS, 4, id, STATUS_200),
                whole,
                frame(RST_STREAM, 0, id, &[0; 4]),
            ]
            .concat(),
        )
    })
    .await;
    let gateway = in_front_of(address, |_, _| {}).await;
    let mut client = gateway.connect().await;

    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegun";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"too much\r\n0\r\n\r\n") {
        let read = timeout(NEVER, client.read_buf(&mut answer)).await;
        assert_ne!(
            read.unwrap().unwrap(),
            0,
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}
