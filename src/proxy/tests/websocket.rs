use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

use super::support::*;

const ASK: &str = "GET /live HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const AGREE: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Agrees, says a word at once, and answers each byte with the same until the other side finishes.
async fn echo() -> ScriptedOrigin {
    ScriptedOrigin::start(|_, mut talk| async move {
        talk.head().await?;
        talk.say(AGREE).await?;
        talk.say("hi").await?;
        let mut byte = [0];
        while talk.stream.read(&mut byte).await? > 0 {
            talk.say(byte).await?;
        }
        talk.say("bye").await
    })
    .await
}

async fn read(stream: &mut tokio::net::TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    let reading = tokio::time::timeout(NEVER, stream.read_exact(&mut bytes));
    reading.await.unwrap().unwrap();
    String::from_utf8(bytes).unwrap()
}

async fn read_head(stream: &mut tokio::net::TcpStream) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push_str(&read(stream, 1).await);
    }
    head
}

#[tokio::test]
async fn messages_of_every_kind_and_size_pass_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() || message.is_binary() {
                    socket.send(message).await.unwrap();
                }
            }
        }
    });
    let gateway = Gateway::start(&[address], |_, _| {}).await;

    let stream = gateway.connect().await;
    let (mut socket, response) = tokio_tungstenite::client_async("ws://shop.example/live", stream)
        .await
        .unwrap();
    let big = Message::binary(vec![7; 3 << 20]);
    for message in [Message::text("hello"), Message::text(""), big] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();

    assert_eq!(response.status(), 101);
    while let Some(message) = socket.next().await {
        assert!(message.unwrap().is_close());
    }
}

#[tokio::test]
async fn what_comes_right_behind_the_heads_is_not_lost() {
    let origin = echo().await;
    let gateway = Gateway::to(&origin).await;
    let mut client = gateway.connect().await;

    client
        .write_all(format!("{ASK}early").as_bytes())
        .await
        .unwrap();

    let head = read_head(&mut client).await;
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{head}"
    );
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_eq!(read(&mut client, 7).await, "hiearly");
    let asked = &origin.heads()[0];
    assert!(asked.contains("connection: upgrade\r\n") && asked.contains("upgrade: websocket\r\n"));
    assert!(asked.contains("x-wechat-openid: ours\r\n"));
}

#[tokio::test]
async fn one_side_may_finish_before_the_other() {
    let origin = echo().await;
    let gateway = Gateway::to(&origin).await;
    let mut client = gateway.connect().await;
    client.write_all(ASK.as_bytes()).await.unwrap();
    read_head(&mut client).await;

    client.shutdown().await.unwrap();

    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "hibye");
}

#[tokio::test]
async fn no_byte_of_the_clients_goes_up_before_the_server_agrees() {
    let refusals = [
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
            "HTTP/1.1 403",
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200",
        ),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 502"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            "HTTP/1.1 502",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
            "HTTP/1.1 502",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            "HTTP/1.1 502",
        ),
    ];
    for (answer, expected) in refusals {
        let seen = Arc::new(AtomicUsize::new(0));
        let done = Arc::new(Notify::new());
        let (count, told) = (Arc::clone(&seen), Arc::clone(&done));
        let origin = ScriptedOrigin::start(move |number, mut talk| {
            let (count, told) = (Arc::clone(&count), Arc::clone(&told));
            async move {
                talk.head().await?;
                talk.say(answer).await?;
                if number == 0 {
                    count.store(talk.rest().await.len(), Ordering::SeqCst);
                    told.notify_one();
                }
                Ok(())
            }
        })
        .await;
        let gateway = Gateway::to(&origin).await;
        let mut client = gateway.connect().await;

        client
            .write_all(
                format!("{ASK}GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n").as_bytes(),
            )
            .await
            .unwrap();

        assert_eq!(read(&mut client, 12).await, expected, "{answer}");
        drop(client);
        tokio::time::timeout(NEVER, done.notified()).await.unwrap();
        assert_eq!(seen.load(Ordering::SeqCst), 0, "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_websocket_goes_up_as_an_ordinary_request() {
    let table = [
        "GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        "POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\n",
        "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websockets\r\n",
        "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
        "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\nUpgrade-Insecure-Requests: 1\r\n",
    ];
    for (number, head) in table.into_iter().enumerate() {
        let origin = ScriptedOrigin::answering(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        )
        .await;
        let gateway = Gateway::to(&origin).await;
        let mut client = gateway.connect().await;
        client
            .write_all(format!("{head}Host: shop.example\r\n\r\n").as_bytes())
            .await
            .unwrap();

        assert_eq!(&read(&mut client, 12).await[9..], "200", "{head}");
        let seen = origin.heads().remove(0);
        let is_websocket = number == table.len() - 1;
        assert_eq!(seen.contains("\r\nupgrade: "), is_websocket, "{seen}");
        assert_eq!(seen.contains("\r\nconnection: "), is_websocket, "{seen}");
        assert!(!seen.contains("http2-settings"));
    }
}

#[tokio::test]
async fn a_tunnel_without_traffic_ends() {
    let origin = echo().await;
    let gateway = Gateway::start(&[origin.address], |settings, _| {
        settings.idle_timeout = SOON;
    })
    .await;
    let mut client = gateway.connect().await;
    client.write_all(ASK.as_bytes()).await.unwrap();
    read_head(&mut client).await;

    let mut rest = String::new();
    let reading = tokio::time::timeout(NEVER, client.read_to_string(&mut rest));
    reading.await.unwrap().unwrap();

    assert_eq!(rest, "hi");
}

#[tokio::test]
async fn a_tunnel_counts_as_open_until_it_is_told_to_end() {
    let told = Arc::new(Notify::new());
    let origin = echo().await;
    let gateway = Gateway::start(&[origin.address], |_, route| {
        let told = Arc::clone(&told);
        route.end = Some(Arc::new(move || {
            let told = Arc::clone(&told);
            Box::pin(async move { told.notified().await })
        }));
    })
    .await;
    let before = gateway.drain.open();
    let mut client = gateway.connect().await;
    client.write_all(ASK.as_bytes()).await.unwrap();
    read_head(&mut client).await;
    assert_eq!(read(&mut client, 2).await, "hi");
    assert_eq!(gateway.drain.open(), before + 1);

    told.notify_one();

    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "");
    while gateway.drain.open() > before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_tunnel_ends_when_either_side_breaks() {
    for server_breaks in [false, true] {
        let gone = Arc::new(Notify::new());
        let told = Arc::clone(&gone);
        let origin = ScriptedOrigin::start(move |_, mut talk| {
            let told = Arc::clone(&told);
            async move {
                talk.head().await?;
                talk.say(AGREE).await?;
                if server_breaks {
                    talk.reset();
                } else {
                    talk.rest().await;
                    told.notify_one();
                }
                Ok(())
            }
        })
        .await;
        let gateway = Gateway::to(&origin).await;
        let mut client = gateway.connect().await;
        client.write_all(ASK.as_bytes()).await.unwrap();

        if server_breaks {
            // The 101 may be lost with the connection.
            let mut rest = Vec::new();
            let reading = tokio::time::timeout(NEVER, client.read_to_end(&mut rest));
            let _ = reading.await.unwrap();
        } else {
            read_head(&mut client).await;
            drop(client);
            tokio::time::timeout(NEVER, gone.notified()).await.unwrap();
        }
    }
}
