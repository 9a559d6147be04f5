//! Bodies that pass while they are made: big ones, slow ones, broken ones.

use std::io;
use std::time::Duration;

use crate::support::{
    Process, ScriptedSite, Talk, TestGateway, end_sessions, eventually, log_out,
    log_out_everywhere, logged_in,
};

const GIBIBYTE: u64 = 1 << 30;

/// What a body may cost, however big it is.
const FLAT: u64 = 16 << 20;

const ASK: &str = "GET / HTTP/1.1\r\nHost: www.example.test\r\n\r\n";

/// A site that pours a gibibyte out, or swallows what it is sent and says how much it was.
async fn giant() -> ScriptedSite {
    ScriptedSite::start(|_, mut talk| async move {
        loop {
            let head = talk.head().await?;
            if head.is_empty() {
                return Ok(());
            }
            if head.starts_with("POST") {
                let announced = if head.contains("ength: 0\r\n") {
                    0
                } else {
                    GIBIBYTE
                };
                let swallowed = talk.drain(announced).await.to_string();
                let length = swallowed.len();
                talk.say(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{swallowed}"
                ))
                .await?;
            } else {
                talk.say(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {GIBIBYTE}\r\n\r\n"
                ))
                .await?;
                talk.pour(GIBIBYTE).await?;
            }
        }
    })
    .await
}

/// The program in front of the site, after one small request has warmed it up, and what it used until then.
async fn warm(site: &ScriptedSite) -> (Process, u64) {
    let process = Process::with(&site.url(), |setup| {
        setup.server = "max_body = \"none\"".to_owned();
    })
    .await;
    let small = ASK.replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n");
    let small = small.replace("GET", "POST");
    Talk::saying(process.address(), small)
        .await
        .head()
        .await
        .unwrap();
    let used = process.peak_memory();
    (process, used)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_comes_down_with_flat_memory() {
    let site = giant().await;
    let (process, before) = warm(&site).await;

    let mut client = Talk::saying(process.address(), ASK).await;
    client.head().await.unwrap();
    let came = client.drain(GIBIBYTE).await;

    assert_eq!(came, GIBIBYTE);
    let grown = process.peak_memory() - before;
    assert!(grown < FLAT, "{grown} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_goes_up_with_flat_memory() {
    let site = giant().await;
    let (process, before) = warm(&site).await;

    let head =
        format!("POST / HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: {GIBIBYTE}\r\n\r\n");
    let mut client = Talk::saying(process.address(), head).await;
    client.pour(GIBIBYTE).await.unwrap();
    let answer = client.answer().await;

    assert!(answer.ends_with(&format!("\r\n\r\n{GIBIBYTE}")), "{answer}");
    let grown = process.peak_memory() - before;
    assert!(grown < FLAT, "{grown} bytes");
}

#[tokio::test]
async fn clients_that_do_not_read_cost_no_memory() {
    let site = giant().await;
    let (process, before) = warm(&site).await;

    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = Talk::saying(process.address(), ASK).await;
        client.head().await.unwrap();
        clients.push(client);
    }
    // The program answers others, so it has had its turn with each of these.
    Talk::saying(process.address(), ASK)
        .await
        .head()
        .await
        .unwrap();

    let grown = process.peak_memory() - before;
    assert!(grown < FLAT, "{grown} bytes");
}

const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn event(text: &str) -> String {
    let event = format!("data: {text}\n\n");
    format!("{:X}\r\n{event}\r\n", event.len())
}

#[tokio::test]
async fn an_event_arrives_when_it_is_sent() {
    let (tell, told) = tokio::sync::mpsc::channel::<String>(1);
    let told = std::sync::Arc::new(tokio::sync::Mutex::new(told));
    let site = ScriptedSite::start(move |_, mut talk| {
        let told = std::sync::Arc::clone(&told);
        async move {
            talk.head().await?;
            talk.say(EVENTS).await?;
            while let Some(text) = told.lock().await.recv().await {
                talk.say(event(&text)).await?;
            }
            talk.say("0\r\n\r\n").await
        }
    })
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;
    let mut client = Talk::saying(gateway.address(), ASK).await;
    client.head().await.unwrap();

    for text in ["one", "two", "three"] {
        tell.send(text.to_owned()).await.unwrap();
        // Nothing more is sent before this one has arrived.
        let heard = client.hear_until("\n\n\r\n").await.unwrap().unwrap();
        assert_eq!(heard, event(text));
    }
    drop(tell);
    assert_eq!(
        client.hear_until("\r\n\r\n").await.unwrap().unwrap(),
        "0\r\n\r\n"
    );
}

#[tokio::test]
async fn an_upload_arrives_while_it_is_made() {
    let site = ScriptedSite::start(|_, mut talk| async move {
        talk.head().await?;
        // The answer to each piece is a piece: both ways are open at once.
        talk.say(EVENTS).await?;
        while let Some(piece) = talk.hear_until("!\r\n").await? {
            talk.say(piece).await?;
        }
        Ok(())
    })
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;
    let head = "POST / HTTP/1.1\r\nHost: www.example.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = Talk::saying(gateway.address(), head).await;

    for piece in ["4\r\none!\r\n", "4\r\ntwo!\r\n"] {
        client.say(piece).await.unwrap();
        assert!(client.hear_until(piece).await.unwrap().is_some());
    }
}

/// A gateway in front of a site that begins an answer and never ends it, and how the site's connection ended.
async fn endless() -> (
    TestGateway,
    ScriptedSite,
    tokio::sync::mpsc::UnboundedReceiver<io::Result<usize>>,
) {
    let (ended, ends) = tokio::sync::mpsc::unbounded_channel();
    let site = ScriptedSite::start(move |_, mut talk| {
        let ended = ended.clone();
        async move {
            talk.head().await?;
            talk.say(EVENTS).await?;
            talk.say(event("hello")).await?;
            let mut byte = [0];
            let end = tokio::io::AsyncReadExt::read(&mut talk.stream, &mut byte).await;
            let _ = ended.send(end);
            Ok(())
        }
    })
    .await;
    let gateway = TestGateway::with(|setup| {
        setup.routes = setup.routes.replace("UPSTREAM", &site.url());
    })
    .await;
    (gateway, site, ends)
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_by_the_site() {
    let (gateway, _site, mut ends) = endless().await;
    let ask = ASK.replace(" / ", " /open ");
    let mut client = Talk::saying(gateway.address(), ask).await;
    client.hear_until("hello").await.unwrap();

    drop(client);

    let end = tokio::time::timeout(Duration::from_secs(2), ends.recv()).await;
    assert!(matches!(end.unwrap().unwrap(), Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_is_noticed_by_the_site() {
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let site = ScriptedSite::start(move |_, mut talk| {
        let ended = ended.clone();
        async move {
            while talk.head().await?.starts_with("GET /first ") {
                talk.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .await?;
            }
            let _ = ended.send(talk.rest().await);
            Ok(())
        }
    })
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;
    for is_first in [true, false] {
        let mut client = Talk::connect(gateway.address()).await;
        if !is_first {
            client.say(ASK.replace(" / ", " /first ")).await.unwrap();
            client.head().await.unwrap();
        }
        let asked = site.heads().len();
        client.say(ASK).await.unwrap();
        eventually("the site is asked", async || site.heads().len() > asked).await;

        drop(client);

        let end = tokio::time::timeout(Duration::from_secs(2), ends.recv()).await;
        assert_eq!(end.unwrap().unwrap(), "");
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_upload_is_noticed_by_the_site() {
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let site = ScriptedSite::start(move |_, mut talk| {
        let heard = heard.clone();
        async move {
            talk.head().await?;
            let _ = heard.send(talk.rest().await);
            Ok(())
        }
    })
    .await;
    let gateway = TestGateway::in_front_of(&site.url(), "").await;
    let head = "POST / HTTP/1.1\r\nHost: www.example.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let client = Talk::saying(gateway.address(), head).await;
    eventually("the site hears of it", async || !site.heads().is_empty()).await;

    drop(client);

    let body = tokio::time::timeout(Duration::from_secs(2), hears.recv()).await;
    let body = body.unwrap().unwrap();
    assert!(!body.contains("0\r\n\r\n"), "looks complete: {body:?}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_a_short_complete_one() {
    let table = [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhalf",
    ];
    for answer in table {
        let site = ScriptedSite::start(move |_, mut talk| async move {
            talk.head().await?;
            talk.say(answer).await?;
            talk.reset();
            Ok(())
        })
        .await;
        let mut gateway = TestGateway::in_front_of(&site.url(), "").await;

        let got = Talk::saying(gateway.address(), ASK).await.closed().await;

        // The connection is over and the answer is not.
        assert!(
            got.starts_with("HTTP/1.1 200 ") || got.starts_with("HTTP/1.1 502 "),
            "{got}"
        );
        assert!(!got.contains("0\r\n\r\n"), "{got}");
        let log = gateway.access_log().await;
        assert_eq!(log.len(), 1, "{log:?}");
    }
}

#[tokio::test]
async fn an_event_stream_ends_with_its_session() {
    let (gateway, _site, mut ends) = endless().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let cookies = alice.cookie_header();
    let ask = ASK.replace("\r\n\r\n", &format!("\r\nCookie: {cookies}\r\n\r\n"));
    let mut stream = Talk::saying(gateway.address(), ask).await;
    stream.hear_until("hello").await.unwrap().expect("an event");

    log_out(&gateway, &mut alice).await;

    let ended = tokio::time::timeout(Duration::from_secs(1), stream.hear_until("0\r\n\r\n"));
    let ended = ended.await.expect("the stream goes on");
    assert!(ended.unwrap().is_some(), "broken off");
    assert!(ends.recv().await.is_some());
}

#[tokio::test]
async fn an_event_stream_ends_when_its_person_logs_out_everywhere_on_another_device() {
    let (gateway, _site, mut ends) = endless().await;
    let phone = logged_in(&gateway, "alice").await;
    let mut desktop = logged_in(&gateway, "alice").await;
    let cookies = phone.cookie_header();
    let ask = ASK.replace("\r\n\r\n", &format!("\r\nCookie: {cookies}\r\n\r\n"));
    let mut stream = Talk::saying(gateway.address(), ask).await;
    stream.hear_until("hello").await.unwrap().expect("an event");

    log_out_everywhere(&gateway, &mut desktop).await;

    let ended = tokio::time::timeout(Duration::from_secs(1), stream.hear_until("0\r\n\r\n"));
    let ended = ended.await.expect("the stream goes on");
    assert!(ended.unwrap().is_some(), "broken off");
    assert!(ends.recv().await.is_some());
}

#[tokio::test]
async fn an_event_stream_ends_when_an_operator_ends_the_sessions_of_its_person() {
    let (gateway, _site, mut ends) = endless().await;
    let alice = logged_in(&gateway, "alice").await;
    let stream = Talk::listening(gateway.address(), &alice.cookie_header()).await;

    end_sessions(&gateway, "alice").await;

    stream.ends_within_a_second().await;
    assert!(ends.recv().await.is_some());
}
