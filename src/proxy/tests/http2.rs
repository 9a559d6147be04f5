//! Servers that speak HTTP/2 without TLS, by the `h2` library.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use super::support::*;
use crate::proxy::{Address, HostHeader, Protocol, Server, UpstreamSettings};

/// One stream as the origin sees it.
struct Call {
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
}

/// An origin that plays a script on each stream.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    /// Connections that have ended in order.
    ended: Arc<AtomicUsize>,
    ending: Arc<Notify>,
}

impl Origin {
    async fn start<F, Played>(script: F) -> Self
    where
        F: Fn(usize, Call) -> Played + Send + Sync + 'static,
        Played: Future<Output = Result<(), h2::Error>> + Send + 'static,
    {
        Self::taking(1000, script).await
    }

    /// One that takes so many streams at once on a connection.
    async fn taking<F, Played>(most: u32, script: F) -> Self
    where
        F: Fn(usize, Call) -> Played + Send + Sync + 'static,
        Played: Future<Output = Result<(), h2::Error>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            streams: Arc::default(),
            ended: Arc::default(),
            ending: Arc::default(),
        };
        let (connections, streams) = (origin.connections.clone(), origin.streams.clone());
        let (ended, ending) = (origin.ended.clone(), origin.ending.clone());
        let script = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (script, streams) = (Arc::clone(&script), Arc::clone(&streams));
                let (ended, ending) = (Arc::clone(&ended), Arc::clone(&ending));
                tokio::spawn(async move {
                    let mut builder = h2::server::Builder::new();
                    builder.max_concurrent_streams(most);
                    let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let number = streams.fetch_add(1, Ordering::SeqCst);
                        let call = Call { request, respond };
                        tokio::spawn(script(number, call));
                    }
                    ended.fetch_add(1, Ordering::SeqCst);
                    ending.notify_one();
                });
            }
        });
        origin
    }

    /// One that answers everything with its path.
    pub(super) async fn echoing() -> Self {
        Self::start(|_, call| async move {
            let path = call.request.uri().path().to_owned();
            call.say(200, path)
        })
        .await
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.load(Ordering::SeqCst)
    }

    /// Waits until a connection has ended in order.
    pub(super) async fn closes(&self) {
        timeout(NEVER, self.ending.notified()).await.unwrap();
    }

    async fn gateway(&self) -> Gateway {
        in_front_of(self.address, |_, _| {}).await
    }
}

impl Call {
    fn say(mut self, status: u16, body: impl Into<Bytes>) -> Result<(), h2::Error> {
        let mut stream = self.respond.send_response(head(status), false)?;
        stream.send_data(body.into(), true)
    }

    /// The whole body and its trailers.
    async fn hear(&mut self) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
        let body = self.request.body_mut();
        let mut heard = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            heard.extend_from_slice(&piece);
        }
        Ok((heard, body.trailers().await?))
    }
}

fn head(status: u16) -> Response<()> {
    Response::builder().status(status).body(()).unwrap()
}

pub(super) async fn in_front_of(
    address: SocketAddr,
    change: impl FnOnce(&mut UpstreamSettings, &mut Route),
) -> Gateway {
    Gateway::start(&[address], |settings, route| {
        for server in &mut settings.servers {
            server.protocol = Protocol::H2c;
        }
        change(settings, route);
    })
    .await
}

#[tokio::test]
async fn requests_at_once_share_one_connection() {
    const REQUESTS: u32 = 100;
    let arrived = Arc::new(Semaphore::new(0));
    let all_there = Arc::new(Notify::new());
    let (count, gate) = (Arc::clone(&arrived), Arc::clone(&all_there));
    let origin = Origin::start(move |_, call| {
        let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
        async move {
            let opened = gate.notified();
            count.add_permits(1);
            opened.await;
            let path = call.request.uri().path().to_owned();
            call.say(200, path)
        }
    })
    .await;
    let gateway = origin.gateway().await;

    let paths: Vec<_> = (0..REQUESTS).map(|number| format!("/{number}")).collect();
    let opening = async {
        let all = timeout(NEVER, arrived.acquire_many(REQUESTS)).await;
        all.unwrap().unwrap().forget();
        all_there.notify_waiters();
    };
    let (replies, ()) = tokio::join!(
        join_all(paths.iter().map(|path| gateway.get(path))),
        opening
    );

    for (reply, path) in replies.into_iter().zip(&paths) {
        assert_eq!(
            (reply.status, reply.body.unwrap()),
            (200, Bytes::from(path.clone()))
        );
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn more_requests_than_the_server_takes_on_one_connection_get_more_connections() {
    let arrived = Arc::new(Semaphore::new(0));
    let all_there = Arc::new(Notify::new());
    let (count, gate) = (Arc::clone(&arrived), Arc::clone(&all_there));
    let origin = Origin::taking(10, move |_, call| {
        let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
        async move {
            let opened = gate.notified();
            count.add_permits(1);
            opened.await;
            call.say(200, "ok")
        }
    })
    .await;
    let gateway = origin.gateway().await;

    let opening = async {
        let all = timeout(NEVER, arrived.acquire_many(30)).await;
        all.unwrap().unwrap().forget();
        all_there.notify_waiters();
    };
    let (replies, ()) = tokio::join!(join_all((0..30).map(|_| gateway.get("/"))), opening);

    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(origin.connections(), 3);
}

#[tokio::test]
async fn the_server_sees_a_request_of_http2() {
    let seen = Arc::new(Mutex::new(None));
    let log = Arc::clone(&seen);
    let origin = Origin::start(move |_, call| {
        let log = Arc::clone(&log);
        async move {
            let (parts, _) = call.request.into_parts();
            *log.lock().unwrap() = Some(parts);
            let mut respond = call.respond;
            respond.send_response(head(204), true).map(|_| ())
        }
    })
    .await;
    let gateway = origin.gateway().await;

    let answer = gateway
        .raw("POST /a?b=c HTTP/1.1\r\nHost: shop.example\r\nTE: trailers\r\nConnection: close, te\r\nContent-Length: 0\r\n\r\n")
        .await;

    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let seen = seen.lock().unwrap().take().unwrap();
    assert_eq!(seen.version, Version::HTTP_2);
    assert_eq!(seen.uri, "http://shop.example/a?b=c");
    let fields: HashMap<_, _> = seen
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    let expected = [
        ("te", "trailers"),
        ("content-length", "0"),
        ("x-wechat-openid", "ours"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-for", "203.0.113.7"),
    ];
    for (name, value) in expected {
        assert_eq!(fields.get(name), Some(&value), "{name}");
    }
    for name in ["host", "connection", "transfer-encoding"] {
        assert_eq!(fields.get(name), None, "{name}");
    }
}

#[tokio::test]
async fn bodies_go_both_ways_at_once() {
    let origin = Origin::start(|_, mut call| async move {
        let mut stream = call.respond.send_response(head(200), false)?;
        let body = call.request.body_mut();
        while let Some(piece) = body.data().await {
            let mut piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            while !piece.is_empty() {
                stream.reserve_capacity(piece.len());
                let room = poll_fn(|context| stream.poll_capacity(context))
                    .await
                    .unwrap()?;
                stream.send_data(piece.split_to(room.min(piece.len())), false)?;
            }
        }
        stream.send_data(Bytes::new(), true)
    })
    .await;
    let gateway = origin.gateway().await;
    let mut client = gateway.connect().await;

    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    for word in ["one", "two", "six"] {
        client
            .write_all(format!("3\r\n{word}\r\n").as_bytes())
            .await
            .unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(format!("{word}\r\n").as_bytes()) {
            let read = timeout(NEVER, client.read_buf(&mut heard)).await;
            assert_ne!(read.unwrap().unwrap(), 0);
        }
    }
    client.write_all(b"0\r\n\r\n").await.unwrap();
    let mut rest = [0; 5];
    timeout(NEVER, client.read_exact(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&rest, b"0\r\n\r\n");
}

#[tokio::test]
async fn a_large_upload_arrives_whole() {
    const BODY: &str = match std::str::from_utf8(&[b'x'; 1_000_000]) {
        Ok(body) => body,
        Err(_) => unreachable!(),
    };
    let origin = Origin::start(|_, mut call| async move {
        let (heard, _) = call.hear().await?;
        call.say(200, heard.len().to_string())
    })
    .await;
    let gateway = origin.gateway().await;

    let reply = gateway.post("/", BODY).await;

    assert_eq!(reply.body.unwrap(), "1000000");
}

/// Refuses the first stream, and answers the others.
async fn refusing_first(reason: Reason) -> Origin {
    Origin::start(move |number, mut call| async move {
        if number == 0 {
            call.respond.send_reset(reason);
            return Ok(());
        }
        call.say(200, "ok")
    })
    .await
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_whatever_its_method() {
    for method in ["GET", "POST", "PATCH"] {
        let origin = refusing_first(Reason::REFUSED_STREAM).await;
        let gateway = origin.gateway().await;

        let reply = gateway.send(request(method, "/", "")).await;

        assert_eq!((reply.status, origin.streams()), (200, 2), "{method}");
        assert_eq!(origin.connections(), 1, "the connection goes on");
    }
}

#[tokio::test]
async fn any_other_reset_is_never_sent_again() {
    for reason in [
        Reason::CANCEL,
        Reason::INTERNAL_ERROR,
        Reason::ENHANCE_YOUR_CALM,
    ] {
        let origin = refusing_first(reason).await;
        let gateway = origin.gateway().await;

        for (method, status) in [("GET", 502), ("GET", 200)] {
            let reply = gateway.send(request(method, "/", "")).await;
            assert_eq!(reply.status, status, "{reason}");
        }
        assert_eq!(origin.streams(), 2);
    }
}

#[tokio::test]
async fn a_refused_upload_is_sent_again_only_while_its_body_was_not_begun() {
    let origin = refusing_first(Reason::REFUSED_STREAM).await;
    let gateway = origin.gateway().await;
    let mut client = gateway.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    // The body comes after the stream was refused.
    while origin.streams() < 2 {
        tokio::task::yield_now().await;
    }
    client.write_all(b"abc").await.unwrap();
    let mut answer = String::new();
    timeout(NEVER, client.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let origin = Origin::start(|_, mut call| async move {
        call.request.body_mut().data().await.unwrap()?;
        call.respond.send_reset(Reason::REFUSED_STREAM);
        Ok(())
    })
    .await;
    let gateway = origin.gateway().await;
    assert_eq!(gateway.post("/", "abc").await.status, 502);
    assert_eq!(origin.streams(), 1);
}

#[tokio::test]
async fn an_answer_that_is_reset_breaks_off_whatever_the_reason() {
    for reason in [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR] {
        let arrived = Arc::new(Notify::new());
        let gate = Arc::clone(&arrived);
        let origin = Origin::start(move |_, mut call| {
            let gate = Arc::clone(&gate);
            async move {
                let mut stream = call.respond.send_response(head(200), false)?;
                stream.send_data(Bytes::from_static(b"half"), false)?;
                gate.notified().await;
                stream.send_reset(reason);
                Ok(())
            }
        })
        .await;
        let gateway = origin.gateway().await;

        let (_, mut body) = gateway.begin(request("GET", "/", "")).await;
        let half = body.frame().await.unwrap().unwrap().into_data();
        arrived.notify_one();

        assert_eq!(half.unwrap(), "half");
        assert!(body.frame().await.unwrap().is_err(), "{reason}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_stream_and_nothing_else() {
    let cancelled = Arc::new(Notify::new());
    let told = Arc::clone(&cancelled);
    let origin = Origin::start(move |number, mut call| {
        let told = Arc::clone(&told);
        async move {
            if number > 0 {
                return call.say(200, "ok");
            }
            let mut stream = call.respond.send_response(head(200), false)?;
            stream.send_data(Bytes::from_static(b"begun"), false)?;
            let reason = poll_fn(|context| stream.poll_reset(context)).await?;
            assert_eq!(reason, Reason::CANCEL);
            told.notify_one();
            Ok(())
        }
    })
    .await;
    let gateway = origin.gateway().await;

    let (_, mut body) = gateway.begin(request("GET", "/", "")).await;
    assert!(body.frame().await.unwrap().is_ok());
    drop(body);

    timeout(NEVER, cancelled.notified()).await.unwrap();
    assert_eq!(gateway.get("/").await.status, 200);
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn a_server_that_takes_no_more_of_a_body_is_given_up() {
    let origin = Origin::start(|_, call| async move {
        // Never opens its window.
        let _held = call;
        std::future::pending().await
    })
    .await;
    let gateway = in_front_of(origin.address, |settings, _| settings.idle_timeout = SOON).await;
    const BODY: &str = match std::str::from_utf8(&[b'x'; 200_000]) {
        Ok(body) => body,
        Err(_) => unreachable!(),
    };

    assert_eq!(gateway.post("/", BODY).await.status, 504);
}

#[tokio::test]
async fn a_late_answer_is_504_and_the_connection_is_asked_for_a_sign_of_life() {
    let reset = Arc::new(Notify::new());
    let told = Arc::clone(&reset);
    let origin = Origin::start(move |number, mut call| {
        let told = Arc::clone(&told);
        async move {
            if number > 0 {
                return call.say(200, "ok");
            }
            poll_fn(|context| call.respond.poll_reset(context)).await?;
            told.notify_one();
            Ok(())
        }
    })
    .await;
    let gateway = in_front_of(origin.address, |settings, _| {
        settings.response_header_timeout = SOON;
    })
    .await;

    assert_eq!(gateway.get("/").await.status, 504);
    timeout(NEVER, reset.notified()).await.unwrap();
    // The server has answered a ping by now, or a second connection was opened meanwhile.
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn an_answer_without_progress_is_cut() {
    let origin = Origin::start(|_, mut call| async move {
        let mut stream = call.respond.send_response(head(200), false)?;
        stream.send_data(Bytes::from_static(b"begun"), false)?;
        let _held = stream;
        std::future::pending().await
    })
    .await;
    let gateway = in_front_of(origin.address, |settings, _| settings.idle_timeout = SOON).await;

    assert_eq!(gateway.get("/").await.body, Err(Cut));
}

#[tokio::test]
async fn connections_end_in_order_when_their_upstream_is_gone() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, gate) = (Arc::clone(&begun), Arc::clone(&go_on));
    let origin = Origin::start(move |_, call| {
        let (told, gate) = (Arc::clone(&told), Arc::clone(&gate));
        async move {
            told.notify_one();
            gate.notified().await;
            call.say(200, "whole")
        }
    })
    .await;
    let mut settings = upstream(&[origin.address]);
    settings.servers[0].protocol = Protocol::H2c;
    let drain = Arc::new(crate::drain::Drain::new());
    let old = Arc::new(proxy(settings, &drain));
    let gateway = Gateway::serve(Arc::clone(&old), Route::default(), drain).await;

    let answer = async {
        begun.notified().await;
        // What a reload does with a server that is no longer named.
        old.upstreams[0].servers()[0].shared.forget();
        assert_eq!(origin.ended.load(Ordering::SeqCst), 0, "a request is open");
        go_on.notify_one();
    };
    let (reply, ()) = tokio::join!(gateway.get("/"), answer);

    assert_eq!(reply.body.unwrap(), "whole");
    timeout(NEVER, origin.ending.notified()).await.unwrap();
}

#[tokio::test]
async fn connections_without_requests_are_closed_after_a_while() {
    let origin = Origin::echoing().await;
    let gateway = in_front_of(origin.address, |settings, _| {
        settings.keep_alive = Duration::from_secs(60);
    })
    .await;
    let reply = gateway.get("/").await;
    assert_eq!(reply.status, 200);
    let now = tokio::time::Instant::now();

    gateway.proxy.sweep(now);
    assert_eq!(gateway.proxy.upstreams[0].servers()[0].shared.len(), 1);
    gateway.proxy.sweep(now + Duration::from_secs(61));
    assert_eq!(gateway.proxy.upstreams[0].servers()[0].shared.len(), 0);
    timeout(NEVER, origin.ending.notified()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_speaks_only_http1_is_no_server_over_http2() {
    let origin = ScriptedOrigin::start(|_, mut talk| async move {
        talk.rest_until_preface().await?;
        talk.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .await
    })
    .await;
    let gateway = in_front_of(origin.address, |_, _| {}).await;

    let reply = gateway.get("/").await;

    assert_eq!(reply.status, 502);
    assert_eq!(reply.body.unwrap(), "no connection to upstream `app`");
}

#[tokio::test]
async fn requests_at_once_to_a_server_that_takes_no_connection_are_all_late() {
    let dead = DeadServer::start().await;
    let gateway = in_front_of(dead.address, |settings, _| {
        settings.connect_timeout = SOON;
    })
    .await;

    let replies = join_all((0..3).map(|_| gateway.get("/"))).await;

    // Only one of them connects, and the others wait for it: not for a connection that is in use.
    let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [504; 3]);
}

#[tokio::test]
async fn websockets_to_a_server_with_prior_knowledge_are_asked_for_over_http1() {
    let origin = ScriptedOrigin::answering(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    )
    .await;
    let gateway = in_front_of(origin.address, |_, _| {}).await;

    let (_socket, answer) = gateway.ask_for_websocket().await;

    assert_eq!(&answer, b"HTTP/1.1 101");
    assert!(origin.heads()[0].starts_with("GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn servers_of_both_kinds_take_turns() {
    let (new, old) = (
        Origin::echoing().await,
        ScriptedOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold").await,
    );
    let gateway = in_front_of(new.address, |settings, _| {
        settings.servers.push(Server {
            address: Address::Tcp {
                host: "127.0.0.1".to_owned(),
                port: old.address.port(),
            },
            protocol: Protocol::Http,
        });
    })
    .await;

    let mut bodies = Vec::new();
    for _ in 0..4 {
        bodies.push(gateway.get("/new").await.body.unwrap());
    }

    assert_eq!(bodies, ["/new", "old", "/new", "old"]);
}

#[tokio::test]
async fn http2_is_spoken_over_a_socket_of_this_machine() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let authority = request.uri().authority().unwrap().to_string();
                    let mut stream = respond.send_response(head(200), false).unwrap();
                    stream.send_data(authority.into(), true).unwrap();
                }
            });
        }
    });
    let gateway = in_front_of(SocketAddr::from(([127, 0, 0, 1], 1)), |settings, _| {
        settings.servers[0].address = Address::Unix(path);
        settings.host_header = HostHeader::Upstream;
    })
    .await;

    for _ in 0..2 {
        let reply = gateway.get("/").await;
        assert_eq!(
            (reply.status, reply.body.unwrap()),
            (200, "localhost".into())
        );
    }
}

#[tokio::test]
async fn trailers_of_the_server_are_passed_on_without_what_only_we_may_say() {
    let origin = Origin::start(|_, mut call| async move {
        let mut answer = head(200);
        let names = HeaderValue::from_static("grpc-status, x-wechat-openid");
        answer.headers_mut().insert("trailer", names);
        let mut stream = call.respond.send_response(answer, false)?;
        stream.send_data(Bytes::from_static(b"ok"), false)?;
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("x-wechat-openid", HeaderValue::from_static("forged"));
        stream.send_trailers(trailers)
    })
    .await;
    let gateway = origin.gateway().await;

    let answer = gateway
        .raw("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, te\r\n\r\n")
        .await;

    assert!(answer.contains("grpc-status: 0\r\n"), "{answer}");
    assert!(!answer.contains("forged"), "{answer}");
}

#[tokio::test]
async fn requests_beyond_the_streams_of_all_connections_wait_for_one_to_end() {
    let go_on = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go_on);
    let origin = Origin::taking(2, move |_, call| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            call.say(200, "ok")
        }
    })
    .await;
    let gateway = in_front_of(origin.address, |settings, _| settings.max_connections = 1).await;

    let answering = async {
        while origin.streams() < 2 {
            tokio::task::yield_now().await;
        }
        go_on.add_permits(8);
    };
    let (replies, ()) = tokio::join!(join_all((0..8).map(|_| gateway.get("/"))), answering);

    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(origin.connections(), 1);

    let gateway = in_front_of(origin.address, |settings, _| {
        settings.max_connections = 1;
        settings.connect_timeout = SOON;
    })
    .await;
    let third = async {
        while origin.streams() < 10 {
            tokio::task::yield_now().await;
        }
        let reply = gateway.get("/").await;
        go_on.add_permits(2);
        reply.status
    };
    let (_, _, third) = tokio::join!(gateway.get("/"), gateway.get("/"), third);
    assert_eq!(third, 503);
}
