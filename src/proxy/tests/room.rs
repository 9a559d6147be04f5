//! As many connections to a server as it may have.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers each request when there is a permit for it.
async fn patient() -> (ScriptedOrigin, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let asked = Arc::clone(&permits);
    let origin = ScriptedOrigin::start(move |_, mut talk| {
        let asked = Arc::clone(&asked);
        async move {
            while let Some(head) = talk.head().await? {
                asked.acquire().await.unwrap().forget();
                let answer = match head.contains("Upgrade") || head.contains("upgrade") {
                    true => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                    false => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                };
                talk.say(answer).await?;
            }
            Ok(())
        }
    })
    .await;
    (origin, permits)
}

#[tokio::test]
async fn a_request_beyond_the_limit_waits_for_a_connection_that_becomes_free() {
    let (origin, permits) = patient().await;
    let gateway = Gateway::start(&[origin.address], |settings, _| {
        settings.max_connections = 2;
    })
    .await;

    let asked = (0..6).map(|number| async move { number });
    let answering = async {
        while origin.heads().len() < 2 {
            tokio::task::yield_now().await;
        }
        permits.add_permits(6);
    };
    let gets = asked.map(|number| {
        let gateway = &gateway;
        async move {
            // Uploads and requests without a body wait alike.
            match number.await % 2 {
                0 => gateway.get("/").await,
                _ => gateway.post("/", "body").await,
            }
        }
    });
    let (replies, ()) = tokio::join!(futures_util::future::join_all(gets), answering);

    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn a_request_that_gets_no_connection_in_time_is_503() {
    let (origin, permits) = patient().await;
    let gateway = Gateway::start(&[origin.address], |settings, _| {
        settings.max_connections = 1;
        settings.connect_timeout = SOON;
    })
    .await;

    let second = async {
        while origin.heads().is_empty() {
            tokio::task::yield_now().await;
        }
        let reply = gateway.get("/").await;
        permits.add_permits(1);
        reply
    };
    let (first, second) = tokio::join!(gateway.get("/"), second);

    assert_eq!(first.status, 200);
    assert_eq!(second.status, 503);
    let body = second.body.unwrap();
    assert!(body.starts_with(b"every connection to upstream `app` is in use"));
    // The server is not at fault, and is asked again.
    permits.add_permits(1);
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn a_full_server_hands_over_to_another() {
    let ((full, permits), other) = (
        patient().await,
        ScriptedOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother").await,
    );
    let gateway = Gateway::start(&[full.address, other.address], |settings, _| {
        settings.max_connections = 1;
        settings.connect_timeout = SOON;
    })
    .await;

    let rest = async {
        while full.heads().is_empty() {
            tokio::task::yield_now().await;
        }
        let replies = [gateway.get("/").await, gateway.get("/").await];
        permits.add_permits(1);
        replies
    };
    let (_, replies) = tokio::join!(gateway.get("/"), rest);

    for reply in replies {
        assert_eq!(reply.body.unwrap(), "other");
    }
}

#[tokio::test]
async fn a_websocket_takes_the_room_of_an_idle_connection_and_gives_it_back() {
    let (origin, permits) = patient().await;
    permits.add_permits(10);
    let gateway = Gateway::start(&[origin.address], |settings, _| {
        settings.max_connections = 1;
        settings.connect_timeout = SOON;
    })
    .await;
    assert_eq!(gateway.get("/").await.status, 200);

    let (socket, answer) = gateway.ask_for_websocket().await;
    assert_eq!(&answer, b"HTTP/1.1 101");
    assert_eq!(gateway.get("/").await.status, 503);

    drop(socket);
    while gateway.get("/").await.status != 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(origin.connections(), 3);
}

#[tokio::test]
async fn whoever_waits_hears_of_connections_that_a_sweep_had_in_its_hands() {
    let origin = ScriptedOrigin::answering(OK).await;
    let gateway = Gateway::to(&origin).await;
    gateway.get("/").await;
    let server = &gateway.proxy.upstreams[0].servers()[0];
    let mut is_swept = true;
    // Finds nothing while a sweep looks the connections over.
    let mut waiting = Box::pin(server.room.wait_for(|| {
        let is_away = std::mem::take(&mut is_swept);
        (!is_away)
            .then(|| server.pool.take(Instant::now()))
            .flatten()
    }));
    assert!(futures_util::poll!(&mut waiting).is_pending());

    server.pool.sweep(Instant::now());

    assert!(timeout(Duration::from_secs(5), waiting).await.is_ok());
}
