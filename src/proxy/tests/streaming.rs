use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::support::*;

#[tokio::test]
async fn an_event_arrives_before_the_next_one_is_sent() {
    let seen = Arc::new(Notify::new());
    let told = Arc::clone(&seen);
    let origin = ScriptedOrigin::start(move |_, mut talk| {
        let told = Arc::clone(&told);
        async move {
            talk.head().await?;
            talk.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            for number in 0..3 {
                talk.say(format!("9\r\ndata: {number}\n\n\r\n")).await?;
                told.notified().await;
            }
            talk.say("0\r\n\r\n").await
        }
    })
    .await;
    let gateway = Gateway::to(&origin).await;

    let (_, mut body) = gateway.begin(request("GET", "/", "")).await;
    let mut events = Vec::new();
    while let Some(frame) = body.frame().await {
        events.push(frame.unwrap().into_data().unwrap());
        seen.notify_one();
    }

    assert_eq!(events, ["data: 0\n\n", "data: 1\n\n", "data: 2\n\n"]);
}

#[tokio::test]
async fn a_slow_client_slows_the_server_down() {
    const LENGTH: usize = 256 << 20;
    let taken = Arc::new(AtomicUsize::new(0));
    let stuck = Arc::new(Notify::new());
    let (count, blocked) = (Arc::clone(&taken), Arc::clone(&stuck));
    let origin = ScriptedOrigin::start(move |_, mut talk| {
        let (count, blocked) = (Arc::clone(&count), Arc::clone(&blocked));
        async move {
            talk.head().await?;
            talk.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"
            ))
            .await?;
            let piece = vec![b'a'; 64 << 10];
            while count.load(Ordering::SeqCst) < LENGTH {
                match tokio::time::timeout(SOON * 2, talk.stream.write(&piece)).await {
                    Ok(written) => {
                        count.fetch_add(written?, Ordering::SeqCst);
                    }
                    Err(_) => break,
                }
            }
            blocked.notify_one();
            talk.rest().await;
            Ok(())
        }
    })
    .await;
    let gateway = Gateway::to(&origin).await;

    let mut client = gateway.connect().await;
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        .await
        .unwrap();
    stuck.notified().await;

    // The system's socket buffers on both sides hold a few MiB; we hold less than one.
    let taken = taken.load(Ordering::SeqCst);
    assert!(taken < 32 << 20, "{taken} bytes were taken");
    drop(client);
}

#[tokio::test]
async fn a_big_body_arrives_whole_both_ways() {
    const LENGTH: usize = 5 << 20;
    let origin = ScriptedOrigin::start(|_, mut talk| async move {
        while talk.head().await?.is_some() {
            let body = talk.body(LENGTH).await?;
            talk.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"
            ))
            .await?;
            talk.say(body).await?;
        }
        Ok(())
    })
    .await;
    let gateway = Gateway::to(&origin).await;
    let sent: String = (0..LENGTH / 8)
        .map(|number| format!("{number:08}"))
        .collect();
    let sent: &'static str = sent.leak();

    for _ in 0..2 {
        let reply = gateway.post("/", sent).await;
        assert!(reply.body.unwrap() == sent);
    }

    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_connection_to_the_server() {
    let gone = Arc::new(Notify::new());
    let told = Arc::clone(&gone);
    let origin = ScriptedOrigin::start(move |_, mut talk| {
        let told = Arc::clone(&told);
        async move {
            talk.head().await?;
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhello")
                .await?;
            talk.rest().await;
            told.notify_one();
            Ok(())
        }
    })
    .await;
    let gateway = Gateway::to(&origin).await;

    let (_, body) = gateway.begin(request("GET", "/", "")).await;
    drop(body);

    tokio::time::timeout(NEVER, gone.notified()).await.unwrap();
}

#[tokio::test]
async fn trailers_pass_and_private_ones_do_not() {
    let origin = ScriptedOrigin::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Wechat-Openid, Content-Length\r\n\r\n\
         2\r\nok\r\n0\r\nX-Sum: 7\r\nX-Wechat-Openid: forged\r\nContent-Length: 9\r\n\r\n",
    )
    .await;
    let gateway = Gateway::to(&origin).await;

    for _ in 0..2 {
        let mut client = gateway.connect().await;
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();

        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.to_lowercase(), "2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n");
    }

    assert_eq!(origin.connections(), 1);
    assert!(origin.heads()[0].contains("te: trailers\r\n"));
}
