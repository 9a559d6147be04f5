//! Servers by name, whose addresses change.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::support::*;
use crate::drain::Drain;
use crate::proxy::{Address, Protocol, Proxy, Resolver};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

type Addresses = Arc<Mutex<io::Result<Vec<SocketAddr>>>>;

/// A gateway whose only server has a name, and what the name means.
async fn by_name(addresses: Vec<SocketAddr>, protocol: Protocol) -> (Gateway, Addresses) {
    let known: Addresses = Arc::new(Mutex::new(Ok(addresses)));
    let said = Arc::clone(&known);
    let resolver = Resolver::of(move |host, port| {
        assert_eq!((host.as_str(), port), ("app.inside", 8080));
        let answer = match &*said.lock().unwrap() {
            Ok(addresses) => Ok(addresses.clone()),
            Err(error) => Err(error.kind().into()),
        };
        Box::pin(async move { answer })
    });
    let mut settings = upstream(&["127.0.0.1:1".parse().unwrap()]);
    settings.servers[0].address = Address::Tcp {
        host: "app.inside".to_owned(),
        port: 8080,
    };
    settings.servers[0].protocol = protocol;
    let drain = Arc::new(Drain::new());
    let proxy = Arc::new(resolving(settings, resolver, &drain));
    (Gateway::serve(proxy, Route::default(), drain).await, known)
}

/// What its task does every now and then.
async fn look_again(proxy: &Proxy) -> bool {
    let server = &proxy.upstreams[0].servers()[0];
    server
        .look_again(server.addresses.as_ref().unwrap())
        .await
        .is_ok()
}

#[tokio::test]
async fn every_address_of_a_name_is_used() {
    let origins = [
        ScriptedOrigin::answering(OK).await,
        ScriptedOrigin::answering(OK).await,
    ];
    let addresses = origins.iter().map(|origin| origin.address).collect();
    let (gateway, _) = by_name(addresses, Protocol::Http).await;

    for _ in 0..4 {
        // Without it the idle connection would serve all.
        gateway.proxy.sweep(tokio::time::Instant::now() + 2 * NEVER);
        assert_eq!(gateway.get("/").await.status, 200);
    }

    assert_eq!(origins.map(|origin| origin.connections()), [2, 2]);
}

#[tokio::test]
async fn an_address_that_takes_no_connection_costs_nobody_an_error() {
    let origin = ScriptedOrigin::answering(OK).await;
    let (gateway, _) = by_name(
        vec![refusing_address().await, origin.address],
        Protocol::Http,
    )
    .await;

    for _ in 0..4 {
        gateway.proxy.sweep(tokio::time::Instant::now() + 2 * NEVER);
        let reply = gateway.post("/", "body").await;
        assert_eq!(
            (reply.status, reply.header("test-attempts")),
            (200, Some("1"))
        );
    }
}

#[tokio::test]
async fn requests_follow_a_name_to_its_new_address_and_open_ones_finish() {
    let go_on = Arc::new(Notify::new());
    let gate = Arc::clone(&go_on);
    let old = ScriptedOrigin::start(move |_, mut talk| {
        let gate = Arc::clone(&gate);
        async move {
            while let Some(head) = talk.head().await? {
                if head.starts_with("GET /slow") {
                    talk.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwh")
                        .await?;
                    gate.notified().await;
                    talk.say("le").await?;
                } else {
                    talk.say(OK).await?;
                }
            }
            Ok(())
        }
    })
    .await;
    let new = ScriptedOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew").await;
    let (gateway, known) = by_name(vec![old.address], Protocol::Http).await;
    let (_, slow) = gateway.begin(request("GET", "/slow", "")).await;
    assert_eq!(gateway.get("/").await.body.unwrap(), "ok");

    *known.lock().unwrap() = Ok(vec![new.address]);
    assert!(look_again(&gateway.proxy).await);

    assert_eq!(
        gateway.proxy.upstreams[0].servers()[0].pool.len(),
        0,
        "the idle one is closed"
    );
    assert_eq!(gateway.get("/").await.body.unwrap(), "new");
    go_on.notify_one();
    assert_eq!(slow.collect().await.unwrap().to_bytes(), "whle");
    assert_eq!(gateway.get("/").await.body.unwrap(), "new");
    assert_eq!((old.connections(), new.connections()), (2, 1));
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_any_more_keeps_its_last_addresses() {
    let origin = ScriptedOrigin::answering(OK).await;
    let (gateway, known) = by_name(vec![origin.address], Protocol::Http).await;
    assert_eq!(gateway.get("/").await.status, 200);

    *known.lock().unwrap() = Err(io::ErrorKind::TimedOut.into());
    assert!(!look_again(&gateway.proxy).await);
    gateway.proxy.sweep(tokio::time::Instant::now() + 2 * NEVER);

    assert_eq!(gateway.get("/").await.status, 200);
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn a_name_that_was_never_known_is_502_until_it_is() {
    let origin = ScriptedOrigin::answering(OK).await;
    let (gateway, known) = by_name(Vec::new(), Protocol::Http).await;
    assert_eq!(gateway.get("/").await.status, 502);

    *known.lock().unwrap() = Ok(vec![origin.address]);

    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn shared_connections_follow_a_name_too() {
    let (old, new) = (
        super::http2::Origin::echoing().await,
        super::http2::Origin::echoing().await,
    );
    let (gateway, known) = by_name(vec![old.address], Protocol::H2c).await;
    assert_eq!(gateway.get("/a").await.body.unwrap(), "/a");

    *known.lock().unwrap() = Ok(vec![new.address]);
    assert!(look_again(&gateway.proxy).await);

    assert_eq!(gateway.get("/b").await.body.unwrap(), "/b");
    assert_eq!((old.streams(), new.streams()), (1, 1));
    old.closes().await;
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_says_nothing_holds_up_no_end() {
    let mut settings = upstream(&["127.0.0.1:1".parse().unwrap()]);
    settings.servers[0].address = Address::Tcp {
        host: "app.inside".to_owned(),
        port: 8080,
    };
    let asked = Arc::new(Notify::new());
    let resolver = Resolver::of({
        let asked = Arc::clone(&asked);
        move |_, _| {
            asked.notify_one();
            Box::pin(std::future::pending())
        }
    });
    let drain = Arc::new(Drain::new());
    let _proxy = resolving(settings, resolver, &drain);
    timeout(NEVER, asked.notified()).await.unwrap();

    drain.stop();

    // Sooner than a look-up is given up.
    let ended = timeout(Duration::from_secs(3), drain.stopped()).await;
    assert!(ended.is_ok());
}
