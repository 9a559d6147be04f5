//! HTTP/2 towards upstreams: chosen by ALPN or known beforehand.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version, request};
use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{accept_async, client_async};

use crate::http2::speaking_http2;
use crate::support::{
    Authority, Process, SecureSite, Server, Talk, TestGateway, answer_each, eventually, exchange,
    get, logged_in, open_route,
};

const LOCAL: &[&str] = &["127.0.0.1", "localhost"];
const MEBIBYTE: u64 = 1 << 20;

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Serves HTTP/2 until the other side leaves.
async fn serve<Answering>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    answer: impl Fn(Request<Incoming>) -> Answering + Send + 'static,
) -> io::Result<()>
where
    Answering: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answering = answer(request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // The gateway may leave at any time.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
    Ok(())
}

/// What a site with prior knowledge saw.
#[derive(Clone, Default)]
struct Log {
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<(request::Parts, HeaderMap)>>>,
}

/// A site that knows HTTP/2 beforehand: it swallows the body, and answers with how much it was and a trailer.
async fn knowing() -> (Server, Log) {
    let log = Log::default();
    let seen = log.clone();
    let site = Server::start(move |stream| {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let seen = seen.clone();
        serve(stream, move |request| swallow(request, seen.clone()))
    });
    (site.await, log)
}

async fn swallow(request: Request<Incoming>, log: Log) -> Answer {
    let (parts, mut body) = request.into_parts();
    let (mut length, mut trailers) = (0, HeaderMap::new());
    while let Some(Ok(frame)) = body.frame().await {
        match frame.into_data() {
            Ok(data) => length += data.len(),
            Err(frame) => trailers = frame.into_trailers().unwrap(),
        }
    }
    let pours = parts.uri.path().strip_prefix("/pour/");
    let pours: u64 = pours.map_or(0, |mebibytes| mebibytes.parse().unwrap());
    log.requests.lock().unwrap().push((parts, trailers));
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    tokio::spawn(async move {
        let piece = Bytes::from(vec![b'x'; 64 * 1024]);
        for _ in 0..pours * 16 {
            if sender.send_data(piece.clone()).await.is_err() {
                return;
            }
        }
        let _ = sender.send_data(Bytes::from(length.to_string())).await;
        let mut trailers = HeaderMap::new();
        let status = HeaderName::from_static("x-checksum");
        trailers.insert(status, HeaderValue::from_static("good"));
        let forged = HeaderName::from_static("x-wechat-openid");
        trailers.insert(forged, HeaderValue::from_static("forged"));
        let _ = sender.send_trailers(trailers).await;
    });
    Response::new(body.boxed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_answers_pass_from_http2_to_http2_with_trailers_and_identity() {
    let (server, log) = knowing().await;
    let site = server.address();
    let (gateway, address) = speaking_http2(|setup| {
        setup.routes = format!(
            "[[routes]]\nname = \"all\"\npath = \"/app\"\nauth = \"base\"\nupstream = \"h2c://{site}\"\n{}",
            setup.routes
        );
    })
    .await;
    let cookie = logged_in(&gateway, "alice").await.cookie_header();
    let stream = TcpStream::connect(address).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut client, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);

    let (mut upload, body) = Channel::<Bytes, Infallible>::new(1);
    let request = Request::builder()
        .method("PATCH")
        .uri("https://www.example.test/app/x?y=z")
        .header("cookie", cookie)
        .header("te", "trailers")
        .header("x-wechat-openid", "forged")
        .body(body)
        .unwrap();
    let answering = tokio::spawn(client.send_request(request));
    upload.send_data(Bytes::from_static(b"some")).await.unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-mine", HeaderValue::from_static("kept"));
    trailers.insert("x-wechat-openid", HeaderValue::from_static("forged"));
    upload.send_trailers(trailers).await.unwrap();
    drop(upload);
    let answer = answering.await.unwrap().unwrap();

    assert_eq!(answer.status(), 200);
    let answer = answer.into_body().collect().await.unwrap();
    let trailers = answer.trailers().unwrap().clone();
    assert_eq!(answer.to_bytes(), "4");
    assert_eq!(trailers["x-checksum"], "good");
    assert_eq!(trailers.get("x-wechat-openid"), None);
    let requests = log.requests.lock().unwrap();
    let (parts, trailers) = requests.first().unwrap();
    assert_eq!(parts.version, Version::HTTP_2);
    assert_eq!(parts.uri, "http://www.example.test/app/x?y=z");
    assert_eq!(parts.headers["te"], "trailers");
    let openids: Vec<_> = parts.headers.get_all("x-wechat-openid").iter().collect();
    assert!(openids.len() == 1 && openids[0] != "forged", "{openids:?}");
    assert!(parts.headers.contains_key("x-wxgate-jwt-assertion"));
    assert_eq!(trailers["x-mine"], "kept");
    assert_eq!(trailers.get("x-wechat-openid"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_pass_with_flat_memory() {
    const BODY: u64 = 64 * MEBIBYTE;
    const FLAT: u64 = 16 * MEBIBYTE;
    let (server, _) = knowing().await;
    let site = server.address();
    let process = Process::with(&format!("h2c://{site}"), |setup| {
        setup.server = "max_body = \"none\"".to_owned();
    })
    .await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: www.example.test\r\n\r\n");
    let mut warm = Talk::saying(process.address(), ask("/pour/1")).await;
    warm.head().await.unwrap();
    // With the lines between the chunks.
    assert!(warm.drain(MEBIBYTE).await >= MEBIBYTE);
    let before = process.peak_memory();

    let mut down = Talk::saying(process.address(), ask("/pour/64")).await;
    down.head().await.unwrap();
    assert!(down.drain(BODY).await >= BODY);
    let head =
        format!("POST / HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: {BODY}\r\n\r\n");
    let mut up = Talk::saying(process.address(), head).await;
    up.pour(BODY).await.unwrap();
    up.head().await.unwrap();
    let length = up.hear_until(&BODY.to_string()).await.unwrap();
    assert!(length.is_some());
    // Nobody reads these.
    let mut still = Vec::new();
    for _ in 0..8 {
        let mut talk = Talk::saying(process.address(), ask("/pour/64")).await;
        talk.head().await.unwrap();
        still.push(talk);
    }

    let grown = process.peak_memory() - before;
    assert!(grown < FLAT, "{grown} bytes");
}

/// A gateway in front of a server over TLS.
async fn in_front_of(site: &SecureSite, authority: &Authority, tls: &str) -> TestGateway {
    let url = site.url_by_name();
    let sections = format!(
        "[upstreams.app]\nservers = [\"{url}\"]\ntls = {{ ca = \"{}\"{tls} }}",
        authority.file().display()
    );
    TestGateway::with(|setup| {
        setup.sections = sections;
        setup.routes = open_route("app", "");
    })
    .await
}

fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

/// Says which HTTP it was asked in.
async fn say_version(request: Request<Incoming>) -> Answer {
    let version = format!("{:?}", request.version());
    Response::new(Full::new(Bytes::from(version)).boxed())
}

async fn serve_either(stream: TlsStream<TcpStream>) -> io::Result<()> {
    if is_http2(&stream) {
        return serve(stream, say_version).await;
    }
    answer_each(stream, say_version).await;
    Ok(())
}

#[tokio::test]
async fn a_server_over_tls_chooses_the_protocol() {
    let authority = Authority::new();
    let issued = authority.issue(LOCAL);
    for (spoken, tls, version, connections) in [
        (&["h2", "http/1.1"][..], "", "HTTP/2.0", 1),
        (&["h2"], "", "HTTP/2.0", 1),
        (&["http/1.1"], "", "HTTP/1.1", 16),
        (&[], "", "HTTP/1.1", 16),
        (&["h2", "http/1.1"], ", http2 = false", "HTTP/1.1", 16),
    ] {
        let site = SecureSite::start(issued.server(None, spoken), serve_either).await;
        let gateway = in_front_of(&site, &authority, tls).await;

        let asked = (0..16).map(|_| exchange(gateway.address(), get("/")));
        for reply in join_all(asked).await {
            assert_eq!(reply.text(), version, "{spoken:?} {tls}");
        }

        assert!(site.connections() <= connections, "{spoken:?} {tls}");
    }
}

#[tokio::test]
async fn websockets_go_over_http1_beside_requests_over_http2() {
    let authority = Authority::new();
    let config = authority.issue(LOCAL).server(None, &["h2", "http/1.1"]);
    let site = SecureSite::start(config, |stream| async move {
        if is_http2(&stream) {
            return serve(stream, say_version).await;
        }
        let mut socket = accept_async(stream).await.map_err(io::Error::other)?;
        while let Some(Ok(message)) = socket.next().await {
            socket.send(message).await.map_err(io::Error::other)?;
        }
        Ok(())
    })
    .await;
    let gateway = in_front_of(&site, &authority, "").await;
    assert_eq!(
        exchange(gateway.address(), get("/")).await.text(),
        "HTTP/2.0"
    );

    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    let request = "ws://www.example.test/chat".into_client_request().unwrap();
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    let sent = Message::text("hello");
    socket.send(sent.clone()).await.unwrap();

    assert_eq!(socket.next().await.unwrap().unwrap(), sent);
    assert_eq!(
        exchange(gateway.address(), get("/")).await.text(),
        "HTTP/2.0"
    );
    assert_eq!(site.connections(), 2);
}

#[tokio::test]
async fn health_checks_speak_what_requests_speak() {
    let (server, log) = knowing().await;
    let site = server.address();
    let check = "health_check = { path = \"/health\", interval = \"20ms\", unhealthy_after = 1 }";
    let gateway = TestGateway::with(|setup| {
        setup.sections = format!("[upstreams.app]\nservers = [\"h2c://{site}\"]\n{check}");
        setup.routes = open_route("app", "");
    })
    .await;

    eventually("a health check", async || {
        let requests = log.requests.lock().unwrap();
        let checks = requests
            .iter()
            .filter(|(parts, _)| parts.uri.path() == "/health");
        checks.count() >= 2
    })
    .await;

    assert_eq!(exchange(gateway.address(), get("/")).await.text(), "0");
    let server = format!(r#"wxgate_upstream_healthy{{upstream="app",server="{site}"}}"#);
    assert_eq!(gateway.metric(&server).await, 1.0);
}

#[tokio::test]
async fn a_reload_that_changes_the_upstream_ends_connections_after_their_requests() {
    let (server, log) = knowing().await;
    let site = server.address();
    let (other_server, _) = knowing().await;
    let other = other_server.address();
    let process = Process::with(&format!("h2c://{site}"), |_| ()).await;
    let mut talk = Talk::saying(
        process.address(),
        "POST / HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 4\r\n\r\nso",
    )
    .await;
    eventually("the request arrives", async || {
        log.connections.load(Ordering::SeqCst) == 1
    })
    .await;

    process.configure(&format!("h2c://{other}"), |_| ());
    process.signal("HUP");
    process.says("configuration reloaded").await;
    talk.say("me").await.unwrap();

    let answer = tokio::time::timeout(Duration::from_secs(10), talk.head()).await;
    assert!(answer.unwrap().unwrap().starts_with("HTTP/1.1 200"));
}
