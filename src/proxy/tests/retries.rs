use std::collections::HashSet;
use std::time::Duration;

use super::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers the first request of its first connection, then takes the second one and says nothing.
async fn dies_on_second_request(reset: bool) -> ScriptedOrigin {
    ScriptedOrigin::start(move |number, mut talk| async move {
        talk.head().await?;
        talk.say(OK).await?;
        if number > 0 {
            talk.rest().await;
            return Ok(());
        }
        talk.head().await?;
        if reset {
            talk.reset();
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_request_that_may_be_repeated_survives_a_dying_connection() {
    for reset in [false, true] {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
            let origin = dies_on_second_request(reset).await;
            let gateway = Gateway::to(&origin).await;
            gateway.get("/1").await;

            let reply = gateway.send(request(method, "/2", "")).await;

            assert_eq!(reply.status, 200, "{method}");
            assert_eq!(reply.header("test-attempts"), Some("2"));
            let heads = origin.heads();
            assert_eq!(heads.len(), 3, "{method}");
            assert_eq!(heads[1], heads[2], "the copy is the request");
        }
    }
}

#[tokio::test]
async fn a_request_that_may_not_be_repeated_is_sent_once() {
    let table = [
        ("POST", "", 1),
        ("POST", "body", 1),
        ("PATCH", "", 1),
        ("PUT", "body", 1),
        ("GET", "", 0),
    ];
    for (method, body, retries) in table {
        let origin = dies_on_second_request(true).await;
        let gateway =
            Gateway::start(&[origin.address], |settings, _| settings.retries = retries).await;
        gateway.get("/1").await;

        let reply = gateway.send(request(method, "/2", body)).await;

        assert_eq!(reply.status, 502, "{method} {body}");
        assert_eq!(origin.heads().len(), 2, "{method} {body}");
    }
}

#[tokio::test]
async fn nothing_is_repeated_after_the_first_byte_of_an_answer_or_on_a_new_connection() {
    let origin = ScriptedOrigin::start(|number, mut talk| async move {
        if number == 0 {
            talk.head().await?;
            talk.say(OK).await?;
        }
        talk.head().await?;
        talk.say(if number == 0 { "H" } else { "" }).await
    })
    .await;
    let gateway = Gateway::to(&origin).await;
    gateway.get("/1").await;

    let begun = gateway.get("/2").await;
    let fresh = gateway.get("/3").await;

    assert_eq!((begun.status, fresh.status), (502, 502));
    assert_eq!(origin.heads().len(), 3);
}

#[tokio::test]
async fn a_post_is_never_seen_twice_while_connections_die_under_it() {
    // Each connection answers one request and closes without a word, so that pooled ones die at every possible moment.
    let origin = ScriptedOrigin::start(|_, mut talk| async move {
        talk.head().await?;
        talk.say(OK).await
    })
    .await;
    let gateway = Gateway::start(&[origin.address], |settings, _| settings.retries = 3).await;

    let posts = (0..300).map(|number| {
        let gateway = &gateway;
        async move { gateway.post(&format!("/{number}"), "").await.status }
    });
    let statuses = futures_util::future::join_all(posts).await;

    let heads = origin.heads();
    let distinct: HashSet<_> = heads.iter().map(|head| head.lines().next()).collect();
    assert_eq!(distinct.len(), heads.len(), "a request came twice");
    assert!(statuses.contains(&200));
    assert!(statuses.iter().all(|status| [200, 502].contains(status)));
}

#[tokio::test]
async fn a_refusing_server_passes_every_request_on_to_the_next() {
    let origin = ScriptedOrigin::start(|_, mut talk| async move {
        while let Some(head) = talk.head().await? {
            if head.starts_with("POST") {
                talk.body(4).await?;
            }
            talk.say(OK).await?;
        }
        Ok(())
    })
    .await;
    let servers = [refusing_address().await, origin.address];
    let gateway = Gateway::start(&servers, |_, _| {}).await;

    let first = gateway.post("/", "body").await;
    let later = gateway.post("/", "body").await;

    assert_eq!(
        (first.status, first.header("test-attempts")),
        (200, Some("2"))
    );
    assert_eq!(
        (later.status, later.header("test-attempts")),
        (200, Some("1"))
    );
    assert_eq!(origin.heads().len(), 2);
}

#[tokio::test]
async fn refusal_is_502_and_503_once_every_server_was_known_to_refuse() {
    let servers = [refusing_address().await, refusing_address().await];
    let gateway = Gateway::start(&servers, |_, _| {}).await;

    assert_eq!(gateway.get("/").await.status, 502);
    assert_eq!(gateway.get("/").await.status, 503);

    let alone = Gateway::start(&servers[..1], |_, _| {}).await;
    for _ in 0..3 {
        assert_eq!(alone.get("/").await.status, 502);
    }
}

#[tokio::test]
async fn retries_are_counted() {
    let origin = ScriptedOrigin::answering(OK).await;
    let servers = [
        refusing_address().await,
        refusing_address().await,
        origin.address,
    ];

    for (retries, status) in [(0, 502), (1, 502), (2, 200)] {
        let gateway = Gateway::start(&servers, |settings, _| settings.retries = retries).await;
        assert_eq!(gateway.get("/").await.status, status, "{retries} retries");
    }
}

#[tokio::test]
async fn the_next_server_has_all_the_time_that_an_answer_may_take() {
    let origin = ScriptedOrigin::answering(OK).await;
    let dead = DeadServer::start().await;
    // More than the time that an answer may take goes by before the second server is asked.
    let gateway = Gateway::start(&[origin.address, dead.address], |settings, _| {
        settings.connect_timeout = 4 * SOON;
        settings.response_header_timeout = 3 * SOON;
    })
    .await;
    assert_eq!(gateway.get("/1").await.status, 200);

    let reply = gateway.get("/2").await;

    assert_eq!(
        (reply.status, reply.header("test-attempts")),
        (200, Some("2"))
    );
    assert_eq!(origin.connections(), 1, "on the connection that was idle");
}

#[tokio::test]
async fn a_server_that_does_not_take_connections_is_given_up_in_time() {
    let dead = DeadServer::start().await;
    let gateway = Gateway::start(&[dead.address], |settings, _| {
        settings.connect_timeout = Duration::from_millis(20);
    })
    .await;

    let reply = gateway.get("/").await;

    assert_eq!(reply.status, 504);
    assert_eq!(
        reply.body.unwrap(),
        "no connection to upstream `app` within 20 ms"
    );
}
