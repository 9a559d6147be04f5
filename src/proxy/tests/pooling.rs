use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::support::*;
use crate::drain::Drain;
use crate::observe::Metrics;
use crate::proxy::{Proxy, Resolver, Settings};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n";

fn idle(proxy: &Proxy) -> usize {
    proxy.upstreams[0].servers()[0].pool.len()
}

#[tokio::test]
async fn requests_of_every_kind_share_one_connection() {
    let origin = ScriptedOrigin::start(|_, mut talk| async move {
        while let Some(head) = talk.head().await? {
            if head.starts_with("POST") {
                talk.body(4).await?;
            }
            let answer = match head.split(' ').nth(1) {
                Some("/chunked") => CHUNKED,
                Some("/nothing") => "HTTP/1.1 204 No Content\r\n\r\n",
                Some("/same") => "HTTP/1.1 304 Not Modified\r\nContent-Length: 70\r\n\r\n",
                Some("/head") => "HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n",
                _ => OK,
            };
            talk.say(answer).await?;
        }
        Ok(())
    })
    .await;
    let gateway = Gateway::to(&origin).await;

    for round in 0..3 {
        assert_eq!(gateway.get("/").await.body.unwrap(), "ok", "round {round}");
        assert_eq!(gateway.get("/chunked").await.body.unwrap(), "ok");
        assert_eq!(gateway.get("/nothing").await.status, 204);
        assert_eq!(gateway.get("/same").await.status, 304);
        let head = gateway.send(request("HEAD", "/head", "")).await;
        assert_eq!(head.header("content-length"), Some("70"));
        assert_eq!(gateway.post("/", "four").await.body.unwrap(), "ok");
    }

    assert_eq!(origin.connections(), 1);
    assert_eq!(origin.heads().len(), 18);
}

#[tokio::test]
async fn a_connection_that_the_server_gave_up_is_not_used_again() {
    for farewell in ["Connection: close\r\n", "Connection: Foo, Close\r\n"] {
        let answer: &'static str =
            format!("HTTP/1.1 200 OK\r\n{farewell}Content-Length: 2\r\n\r\nok").leak();
        let origin = ScriptedOrigin::answering(answer).await;
        let gateway = Gateway::to(&origin).await;

        gateway.get("/").await;
        gateway.get("/").await;

        assert_eq!(origin.connections(), 2, "{farewell}");
    }
}

#[tokio::test]
async fn answers_whose_end_or_owner_is_in_doubt_end_their_connection() {
    let table = [
        (
            "HTTP/1.0",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        ),
        (
            "204 with a length",
            "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok",
        ),
        (
            "204 in chunks",
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "304 with a body",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok",
        ),
        (
            "more than announced",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more",
        ),
        (
            "two answers",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        ),
        (
            "NTLM",
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 2\r\n\r\nok",
        ),
        (
            "Negotiate",
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nWWW-Authenticate: negotiate abc\r\nContent-Length: 2\r\n\r\nok",
        ),
    ];
    for (what, answer) in table {
        let origin = ScriptedOrigin::answering(answer).await;
        let gateway = Gateway::to(&origin).await;

        for path in ["/1", "/2"] {
            let reply = gateway.get(path).await;
            let body = reply.body.unwrap();
            assert!(body == "ok" || body.is_empty(), "{what}: {body:?}");
        }

        assert_eq!(origin.connections(), 2, "{what}");
    }
}

#[tokio::test]
async fn a_body_on_head_never_reaches_the_next_visitor() {
    let origin =
        ScriptedOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
    let gateway = Gateway::to(&origin).await;

    let head = gateway.send(request("HEAD", "/", "")).await;
    let next = gateway.get("/").await;

    assert_eq!(head.body.unwrap(), "");
    assert_eq!((next.status, next.body.unwrap()), (200, "evil".into()));
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_a_visitor_logged_in_is_not_shared() {
    let origin = ScriptedOrigin::answering(OK).await;
    let gateway = Gateway::to(&origin).await;

    for _ in 0..2 {
        let mut request = request("GET", "/", "");
        let credentials = "NTLM TlRMTVNTUAABAAAA".parse().unwrap();
        request.headers_mut().insert("authorization", credentials);
        gateway.send(request).await;
    }

    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_found_before_anything_is_written() {
    let origin = ScriptedOrigin::start(|_, mut talk| async move {
        talk.head().await?;
        talk.say(OK).await
    })
    .await;
    let gateway = Gateway::start(&[origin.address], |settings, _| settings.retries = 0).await;

    for _ in 0..20 {
        let reply = gateway.post("/", "").await;
        assert_eq!(reply.status, 200);
    }

    assert_eq!(origin.heads().len(), 20);
}

#[tokio::test]
async fn connections_grow_old() {
    let origin = ScriptedOrigin::answering(OK).await;
    let gateway = Gateway::start(&[origin.address], |settings, _| {
        settings.keep_alive = std::time::Duration::ZERO;
    })
    .await;

    gateway.get("/").await;
    gateway.get("/").await;

    assert_eq!(origin.connections(), 2);
    assert_eq!(idle(&gateway.proxy), 1);
}

#[tokio::test]
async fn no_more_connections_are_kept_than_allowed() {
    let both_came = Arc::new(tokio::sync::Barrier::new(2));
    let origin = ScriptedOrigin::start(move |_, mut talk| {
        let both_came = Arc::clone(&both_came);
        async move {
            talk.head().await?;
            both_came.wait().await;
            talk.say(OK).await?;
            talk.rest().await;
            Ok(())
        }
    })
    .await;
    let gateway = Gateway::start(&[origin.address], |settings, _| settings.max_idle = 1).await;

    let (first, second) = tokio::join!(gateway.get("/"), gateway.get("/"));

    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(idle(&gateway.proxy), 1);
}

#[tokio::test]
async fn sweep_closes_what_is_old_or_was_closed() {
    let close = Arc::new(Notify::new());
    let closed = Arc::new(Notify::new());
    let (wait, done) = (Arc::clone(&close), Arc::clone(&closed));
    let origin = ScriptedOrigin::start(move |_, mut talk| {
        let (wait, done) = (Arc::clone(&wait), Arc::clone(&done));
        async move {
            talk.head().await?;
            talk.say(OK).await?;
            wait.notified().await;
            drop(talk);
            done.notify_one();
            Ok(())
        }
    })
    .await;
    let gateway = Gateway::to(&origin).await;
    gateway.get("/").await;

    gateway.proxy.sweep(Instant::now());
    assert_eq!(idle(&gateway.proxy), 1, "open and young");

    close.notify_one();
    closed.notified().await;
    // The runtime hears of the end when it next looks at its sockets.
    while idle(&gateway.proxy) > 0 {
        tokio::task::yield_now().await;
        gateway.proxy.sweep(Instant::now());
    }

    gateway.get("/").await;
    gateway.proxy.sweep(Instant::now() + NEVER);
    assert_eq!(idle(&gateway.proxy), 0, "old");
}

#[tokio::test]
async fn reload_keeps_the_connections_of_equal_upstreams() {
    let origin = ScriptedOrigin::answering(OK).await;
    let drain = Arc::new(Drain::new());
    let first = Arc::new(proxy(upstream(&[origin.address]), &drain));
    let gateway = Gateway::serve(Arc::clone(&first), Route::default(), Arc::clone(&drain)).await;
    gateway.get("/").await;
    let reloaded = |change: u32| {
        let mut settings = upstream(&[origin.address]);
        settings.retries += change;
        let settings = Settings {
            upstreams: vec![settings],
            resolver: Resolver::system(),
        };
        let proxy = Proxy::new(settings, Some(&first), &Metrics::new(), Arc::clone(&drain));
        Gateway::serve(Arc::new(proxy), Route::default(), Arc::clone(&drain))
    };

    reloaded(0).await.get("/").await;
    assert_eq!(origin.connections(), 1, "equal settings");

    reloaded(1).await.get("/").await;
    assert_eq!(origin.connections(), 2, "other settings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_on_shared_connections_get_their_own_answers() {
    const VISITORS: usize = 16;
    let origin = ScriptedOrigin::start(|_, mut talk| async move {
        while let Some(head) = talk.head().await? {
            let path = head.split(' ').nth(1).unwrap_or_default();
            let length = path.len();
            let answer = match length % 2 {
                0 => format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}"),
                _ => format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{path}\r\n0\r\n\r\n"),
            };
            talk.say(answer).await?;
        }
        Ok(())
    })
    .await;
    let gateway = Arc::new(Gateway::to(&origin).await);

    let visitors = (0..VISITORS).map(|visitor| {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            for turn in 0..25 {
                let path = format!("/{visitor}/{turn}");
                assert_eq!(gateway.get(&path).await.body.unwrap(), path);
            }
        })
    });
    for visitor in futures_util::future::join_all(visitors).await {
        visitor.unwrap();
    }

    assert_eq!(origin.heads().len(), VISITORS * 25);
    assert!(origin.connections() <= VISITORS);
}
