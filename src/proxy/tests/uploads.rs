use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Collects everything that comes behind each request head until the connection ends.
async fn listening_origin() -> (ScriptedOrigin, mpsc::UnboundedReceiver<Vec<u8>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let sender = Arc::new(sender);
    let origin = ScriptedOrigin::start(move |_, mut talk| {
        let sender = Arc::clone(&sender);
        async move {
            talk.head().await?;
            let rest = talk.rest().await;
            // The test may have ended.
            let _ = sender.send(rest);
            Ok(())
        }
    })
    .await;
    (origin, receiver)
}

#[tokio::test]
async fn a_body_is_framed_by_what_it_is() {
    let table = [
        (
            "POST / HTTP/1.1\r\nContent-Length: 4\r\n",
            "body",
            "content-length: 4",
            "body",
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length: 4\r\n",
            "body",
            "content-length: 4",
            "body",
        ),
        (
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
            "4\r\nbody\r\n0\r\n\r\n",
            "transfer-encoding: chunked",
            "4\r\nbody\r\n0\r\n\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
            "2;x=y\r\nbo\r\n2\r\ndy\r\n0\r\nX-Trailer: 1\r\n\r\n",
            "transfer-encoding: chunked",
            "2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        ),
        ("POST / HTTP/1.1\r\n", "", "content-length: 0", ""),
        (
            "GET / HTTP/1.1\r\nContent-Length: 0\r\n",
            "",
            "content-length: 0",
            "",
        ),
        ("GET / HTTP/1.1\r\n", "", "", ""),
        ("DELETE / HTTP/1.1\r\n", "", "", ""),
    ];
    for (line, body, framing, expected) in table {
        let origin = ScriptedOrigin::start(move |_, mut talk| async move {
            talk.head().await?;
            let received = talk.body(expected.len()).await?;
            assert_eq!(String::from_utf8_lossy(&received), expected);
            talk.say(OK).await
        })
        .await;
        let gateway = Gateway::to(&origin).await;

        let answer = gateway
            .raw(&format!(
                "{line}Host: shop.example\r\nConnection: close\r\n\r\n{body}"
            ))
            .await;

        assert!(answer.starts_with("HTTP/1.1 200"), "{line}: {answer}");
        let head = origin.heads().remove(0);
        let found: Vec<_> = head
            .lines()
            .filter(|line| line.starts_with("content-length") || line.starts_with("transfer-"))
            .collect();
        assert_eq!(found.join(""), framing, "{line}");
    }
}

#[tokio::test]
async fn an_early_answer_is_passed_on_while_the_client_still_sends() {
    for close in [false, true] {
        let origin = ScriptedOrigin::start(move |_, mut talk| async move {
            talk.head().await?;
            talk.say("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
                .await?;
            if !close {
                // Reads on, as a polite server does.
                talk.rest().await;
            }
            Ok(())
        })
        .await;
        let gateway = Gateway::to(&origin).await;
        let mut client = gateway.connect().await;
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000000\r\n\r\nbeginning")
            .await
            .unwrap();

        let mut answer = vec![0; 12];
        client.read_exact(&mut answer).await.unwrap();

        assert_eq!(answer, b"HTTP/1.1 413", "close: {close}");
        drop(client);
        // Its connection carried half a body and is never used again.
        gateway.get("/").await;
        assert_eq!(origin.connections(), 2);
    }
}

#[tokio::test]
async fn an_answer_is_not_lost_when_the_server_closes_on_our_writing() {
    for round in 0..20 {
        // Closing with unread bytes resets the connection right behind the answer.
        let origin = ScriptedOrigin::start(|_, mut talk| async move {
            talk.head().await?;
            talk.say("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
                .await
        })
        .await;
        let gateway = Gateway::to(&origin).await;
        let (mut answers, mut requests) = gateway.connect().await.into_split();
        let writing = tokio::spawn(async move {
            let head = "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 9999999\r\n\r\n";
            requests.write_all(head.as_bytes()).await?;
            requests.write_all(&vec![b'a'; 9_999_999]).await
        });

        let mut answer = vec![0; 12];
        answers.read_exact(&mut answer).await.unwrap();

        assert_eq!(answer, b"HTTP/1.1 413", "round {round}");
        drop(answers);
        // It may have been cut off; that is what the answer said.
        let _ = writing.await.unwrap();
    }
}

#[tokio::test]
async fn expect_is_answered_here_and_not_passed_on() {
    let origin = ScriptedOrigin::start(|_, mut talk| async move {
        talk.head().await?;
        talk.body(4).await?;
        talk.say(OK).await
    })
    .await;
    let gateway = Gateway::to(&origin).await;
    let mut client = gateway.connect().await;
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: shop.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();

    let mut interim = vec![0; 25];
    client.read_exact(&mut interim).await.unwrap();
    client.write_all(b"body").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();

    assert_eq!(interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(!origin.heads()[0].contains("expect"));
}

#[tokio::test]
async fn a_body_that_breaks_off_reaches_the_server_broken() {
    let (origin, mut bodies) = listening_origin().await;
    let gateway = Gateway::to(&origin).await;

    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut client = gateway.connect().await;
        let head =
            format!("POST / HTTP/1.1\r\nHost: shop.example\r\n{framing}\r\n\r\n4\r\nbody\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        drop(client);

        let seen = String::from_utf8(bodies.recv().await.unwrap()).unwrap();
        assert!(!seen.contains("0\r\n\r\n") && seen.len() < 100, "{seen:?}");
    }
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let (origin, mut bodies) = listening_origin().await;
    let gateway = Gateway::start(&[origin.address], |_, route| {
        route.forwarding.max_body = Some(8);
    })
    .await;

    let announced = gateway.post("/", "nine bytes").await;
    assert_eq!(announced.status, 413);
    assert_eq!(origin.connections(), 0, "nothing was sent");

    let streamed = gateway
        .raw("POST / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n9\r\nnine more\r\n0\r\n\r\n")
        .await;
    assert!(streamed.starts_with("HTTP/1.1 413"), "{streamed}");
    let seen = String::from_utf8(bodies.recv().await.unwrap()).unwrap();
    assert!(
        !seen.contains("nine") && !seen.ends_with("0\r\n\r\n"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_client_that_stops_sending_is_408() {
    let (origin, mut bodies) = listening_origin().await;
    let gateway = Gateway::start(&[origin.address], |settings, route| {
        route.patience = SOON;
        // The server is not to blame while the client is slow.
        settings.response_header_timeout = SOON / 4;
        settings.idle_timeout = SOON / 4;
    })
    .await;

    let answer = gateway
        .raw("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100\r\n\r\nbeginning")
        .await;

    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(bodies.recv().await.unwrap(), b"beginning");
}

#[tokio::test]
async fn a_server_that_stops_taking_the_body_is_504() {
    let origin = ScriptedOrigin::start(|_, talk| async move {
        let _open = talk;
        std::future::pending().await
    })
    .await;
    let gateway = Gateway::start(&[origin.address], |settings, _| {
        settings.idle_timeout = SOON;
    })
    .await;

    let reply = gateway.post("/", "a".repeat(64 << 20).leak()).await;

    assert_eq!(reply.status, 504);
}

#[tokio::test]
async fn the_deadline_for_the_head_begins_when_the_body_has_ended() {
    let origin = ScriptedOrigin::start(|_, mut talk| async move {
        talk.head().await?;
        talk.rest().await;
        Ok(())
    })
    .await;
    let gateway = Gateway::start(&[origin.address], |settings, _| {
        settings.response_header_timeout = SOON;
    })
    .await;

    let reply = gateway.post("/", "body").await;

    assert_eq!(reply.status, 504);
    assert_eq!(
        reply.body.unwrap(),
        "no answer from upstream `app` within 80 ms"
    );
}
