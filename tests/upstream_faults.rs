//! Servers that break the rules: what the visitor gets, and that others are served meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::Full;

use crate::support::{KeepAlive, Reply, ScriptedSite, Talk, TestGateway, exchange, get};

/// A gateway whose `/` is a site with a fault, and whose `/open` is a well one.
async fn around(site: &ScriptedSite, lines: &str) -> TestGateway {
    let url = site.url();
    TestGateway::with(|setup| {
        setup.sections = format!("[upstreams.faulty]\nservers = [\"{url}\"]\n{lines}");
        setup.routes = r#"
            [[routes]]
            name = "faulty"
            path = "/"
            auth = "public"
            upstream = "faulty"

            [[routes]]
            name = "open"
            path = "/open"
            auth = "public"
            upstream = "UPSTREAM"
        "#
        .to_owned();
    })
    .await
}

/// What a visitor gets, or that the transfer broke off, while another one is served.
async fn ask(gateway: &TestGateway, request: Request<Full<bytes::Bytes>>) -> hyper::Result<Reply> {
    let (mut one, mut other) = (
        KeepAlive::open(gateway.address()).await,
        KeepAlive::open(gateway.address()).await,
    );
    let others = async {
        for _ in 0..3 {
            assert_eq!(other.get("/open").await.status, StatusCode::OK);
        }
    };
    let (answer, ()) = tokio::join!(one.send(request), others);
    assert_eq!(other.get("/open").await.status, StatusCode::OK);
    answer
}

/// A site that says this after each head, and then nothing more.
async fn saying(answer: impl Into<String>) -> ScriptedSite {
    let answer = answer.into();
    ScriptedSite::start(move |_, mut talk: Talk| {
        let answer = answer.clone();
        async move {
            while !talk.head().await?.is_empty() {
                talk.say(&answer).await?;
            }
            Ok(())
        }
    })
    .await
}

/// Such an answer is 502, and nothing of it reaches the visitor.
async fn is_refused(answer: impl Into<String>) {
    let answer = answer.into();
    let site = saying(answer.clone()).await;
    let gateway = around(&site, "").await;

    let reply = ask(&gateway, get("/")).await.unwrap();

    let start: String = answer.chars().take(80).collect();
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{start}");
    assert_eq!(reply.reason(), "upstream-broken");
    assert!(!reply.text().contains("smuggled"), "{}", reply.text());
    assert_eq!(site.heads().len(), 1, "asked once");
}

#[tokio::test]
async fn two_lengths_are_refused() {
    is_refused("HTTP/1.1 200 OK\r\ncontent-length: 8\r\ncontent-length: 5\r\n\r\nsmuggled").await;
}

#[tokio::test]
async fn a_length_beside_chunks_is_refused() {
    is_refused(
        "HTTP/1.1 200 OK\r\ncontent-length: 8\r\ntransfer-encoding: chunked\r\n\r\n8\r\nsmuggled\r\n0\r\n\r\n",
    )
    .await;
}

#[tokio::test]
async fn statuses_out_of_bounds_are_refused() {
    for status in ["099", "600", "999", "20", "2000"] {
        is_refused(format!(
            "HTTP/1.1 {status} X\r\ncontent-length: 8\r\n\r\nsmuggled"
        ))
        .await;
    }
}

#[tokio::test]
async fn a_switch_of_protocols_that_nobody_asked_for_is_refused() {
    is_refused(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nsmuggled",
    )
    .await;
}

#[tokio::test]
async fn a_thousand_cookies_are_refused() {
    let cookies: String = (0..1000)
        .map(|number| format!("set-cookie: smuggled{number}=1\r\n"))
        .collect();
    is_refused(format!(
        "HTTP/1.1 200 OK\r\n{cookies}content-length: 2\r\n\r\nok"
    ))
    .await;
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    for answer in [
        "smuggled\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\nsmuggled",
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\nsmuggled",
    ] {
        is_refused(answer).await;
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused_when_it_is_too_large() {
    let site = ScriptedSite::start(|_, mut talk: Talk| async move {
        talk.head().await?;
        talk.say("HTTP/1.1 200 OK\r\n").await?;
        let line = format!("x-filler: {}\r\n", "x".repeat(4000));
        loop {
            talk.say(&line).await?;
        }
    })
    .await;
    let gateway = around(&site, "").await;

    let reply = ask(&gateway, get("/")).await.unwrap();

    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn interim_answers_without_end_are_cut_at_the_deadline_for_the_head() {
    let site = ScriptedSite::start(|_, mut talk: Talk| async move {
        talk.head().await?;
        loop {
            talk.say("HTTP/1.1 102 Processing\r\n\r\n").await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let gateway = around(&site, "response_header_timeout = \"300ms\"").await;

    let reply = ask(&gateway, get("/")).await.unwrap();

    assert_eq!(reply.status, StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn a_server_that_resets_is_502() {
    let reset = ScriptedSite::start(|_, mut talk: Talk| async move {
        talk.head().await?;
        talk.reset();
        Ok(())
    })
    .await;
    let gateway = around(&reset, "").await;
    let reply = ask(&gateway, get("/")).await.unwrap();
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_short_body_is_never_a_complete_one() {
    for (answer, resets) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", true),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nshort",
            true,
        ),
    ] {
        let site = ScriptedSite::start(move |_, mut talk: Talk| async move {
            talk.head().await?;
            talk.say(answer).await?;
            if resets {
                talk.reset();
            }
            Ok(())
        })
        .await;
        let gateway = around(&site, "").await;

        // A reset may overtake the head; then the visitor is told by 502.
        match ask(&gateway, get("/")).await {
            Err(_) => {}
            Ok(reply) => assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{answer}"),
        }
    }
}

#[tokio::test]
async fn a_body_that_trickles_arrives_whole() {
    let site = ScriptedSite::start(|_, mut talk: Talk| async move {
        talk.head().await?;
        talk.say("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n")
            .await?;
        for _ in 0..50 {
            talk.say("x").await?;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    })
    .await;
    let gateway = around(&site, "").await;

    let reply = ask(&gateway, get("/")).await.unwrap();

    assert_eq!(reply.text(), "x".repeat(50));
}

#[tokio::test]
async fn the_body_of_a_204_never_answers_the_next_request() {
    let site = ScriptedSite::start(|_, mut talk: Talk| async move {
        while let head = talk.head().await?
            && !head.is_empty()
        {
            let answer = if head.starts_with("GET /none ") {
                "HTTP/1.1 204 No Content\r\ncontent-length: 8\r\n\r\nsmuggled"
            } else {
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
            };
            talk.say(answer).await?;
        }
        Ok(())
    })
    .await;
    let gateway = around(&site, "").await;

    for _ in 0..3 {
        let none = ask(&gateway, get("/none")).await.unwrap();
        assert_eq!(none.status, StatusCode::NO_CONTENT);
        assert!(none.body.is_empty());
        let next = exchange(gateway.address(), get("/next")).await;
        assert_eq!(next.text(), "ok");
    }
}

#[tokio::test]
async fn an_answer_before_the_body_was_read_is_passed_on() {
    let site = ScriptedSite::start(|_, mut talk: Talk| async move {
        talk.head().await?;
        talk.say("HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno")
            .await
    })
    .await;
    let gateway = around(&site, "").await;
    let mut talk = Talk::saying(
        gateway.address(),
        "POST / HTTP/1.1\r\nhost: www.example.test\r\ncontent-length: 1000000\r\n\r\nbeginning",
    )
    .await;

    let answer = talk.answer().await;

    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.ends_with("no"), "{answer}");
}

#[tokio::test]
async fn a_post_on_a_connection_that_dies_is_never_sent_twice() {
    // Each connection answers twice; whatever comes third dies with it, at once or after it was read.
    let site = ScriptedSite::start(|number, mut talk: Talk| async move {
        for _ in 0..2 {
            talk.head().await?;
            talk.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await?;
        }
        if number % 2 == 0 {
            talk.head().await?;
            talk.reset();
        }
        Ok(())
    })
    .await;
    let gateway = around(&site, "").await;
    let mut client = KeepAlive::open(gateway.address()).await;

    let mut lost = 0;
    for number in 0..200 {
        let mut request = get(&format!("/{number}"));
        *request.method_mut() = Method::POST;
        let reply = client.send(request).await.unwrap();
        match reply.status {
            StatusCode::OK => {}
            StatusCode::BAD_GATEWAY => lost += 1,
            status => panic!("{status}"),
        }
    }

    let mut seen: HashMap<String, usize> = HashMap::new();
    for head in site.heads().iter().filter(|head| !head.is_empty()) {
        let line = head.lines().next().unwrap().to_owned();
        *seen.entry(line).or_default() += 1;
    }
    assert!(seen.values().all(|&times| times == 1), "{seen:?}");
    assert!(lost > 0, "no connection died under a request");
}
