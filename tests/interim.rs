//! Interim answers of the site (103 Early Hints and others) on their way to clients.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::support::{ScriptedSite, Talk, TestGateway};

const GET: &str = "GET / HTTP/1.1\r\nHost: www.example.test\r\n\r\n";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
const HINTS_SEEN: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A gateway in front of a site that says this to every request.
async fn in_front_of_one_that_says(answer: String) -> (TestGateway, ScriptedSite) {
    let site = ScriptedSite::answering(answer.leak()).await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;
    (gateway, site)
}

#[tokio::test]
async fn early_hints_reach_the_client_while_the_site_still_works_on_the_answer() {
    let hints_arrived = Arc::new(Notify::new());
    let go_on = Arc::clone(&hints_arrived);
    let site = ScriptedSite::start(move |_, mut talk| {
        let go_on = Arc::clone(&go_on);
        async move {
            talk.head().await?;
            talk.say(HINTS).await?;
            go_on.notified().await;
            talk.say(OK).await
        }
    })
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;

    let mut client = Talk::saying(gateway.address(), GET).await;
    assert_eq!(client.head().await.unwrap(), HINTS_SEEN);
    hints_arrived.notify_one();

    let answer = client.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}

#[tokio::test]
async fn hints_that_come_together_with_the_answer_stand_before_it_on_every_request() {
    let (gateway, site) = in_front_of_one_that_says(format!("{HINTS}{HINTS}{OK}")).await;
    let mut client = Talk::connect(gateway.address()).await;

    for _ in 0..3 {
        client.say(GET).await.unwrap();
        assert_eq!(client.head().await.unwrap(), HINTS_SEEN);
        assert_eq!(client.head().await.unwrap(), HINTS_SEEN);
        let answer = client.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }

    assert_eq!(site.connections(), 1, "hints must not cost the connection");
}

#[tokio::test]
async fn what_only_we_may_say_is_not_in_hints() {
    let answer = "HTTP/1.1 103 Early Hints\r\nX_Wechat_Openid: forged\r\nX-Wxgate-Jwt-Assertion: forged\r\nSet-Cookie: __Host-wxgate=forged\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 7\r\nLink: </a.css>; rel=preload\r\n\r\n";
    let (gateway, _site) = in_front_of_one_that_says(format!("{answer}{OK}")).await;

    let mut client = Talk::saying(gateway.address(), GET).await;

    assert_eq!(client.head().await.unwrap(), HINTS_SEEN);
    assert!(client.answer().await.ends_with("\r\n\r\nok"));
}

#[tokio::test]
async fn a_client_of_the_old_protocol_gets_the_answer_alone() {
    let (gateway, _site) = in_front_of_one_that_says(format!("{HINTS}{OK}")).await;

    let request = "GET / HTTP/1.0\r\nHost: www.example.test\r\n\r\n";
    let answer = Talk::saying(gateway.address(), request)
        .await
        .closed()
        .await;

    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(!answer.contains("103"), "{answer}");
}

#[tokio::test]
async fn a_flood_of_interim_answers_is_cut() {
    let flood = HINTS.repeat(500);
    let (gateway, _site) = in_front_of_one_that_says(format!("{flood}{OK}")).await;
    let mut client = Talk::saying(gateway.address(), GET).await;

    let mut hints = 0;
    let answer = loop {
        let head = client.head().await.unwrap();
        if head != HINTS_SEEN {
            break head;
        }
        hints += 1;
    };

    assert_eq!(hints, 16);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn hints_never_stand_inside_the_answer_to_an_earlier_request() {
    const LARGE: usize = 8 * 1024 * 1024;
    let site = ScriptedSite::start(|_, mut talk| async move {
        loop {
            let head = talk.head().await?;
            if head.is_empty() {
                return Ok(());
            }
            if head.starts_with("GET /large") {
                let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
                talk.say(start).await?;
                talk.pour(LARGE as u64).await?;
            } else {
                talk.say(format!("{HINTS}{OK}")).await?;
            }
        }
    })
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;
    let large = GET.replace("GET /", "GET /large");

    let mut client = Talk::saying(gateway.address(), format!("{large}{GET}{large}{GET}")).await;

    for _ in 0..2 {
        let head = client.head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let body = client.hear(LARGE).await.unwrap();
        assert!(body.iter().all(|byte| *byte == b'x'));
        assert_eq!(client.head().await.unwrap(), HINTS_SEEN);
        assert!(client.answer().await.ends_with("\r\n\r\nok"));
    }
}
