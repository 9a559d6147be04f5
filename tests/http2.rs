//! HTTP/2 to clients: chosen by ALPN or by prior knowledge, with the same request path behind it as HTTP/1.1.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Request, Version};
use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::http2::{END_STREAM, Ending, Frames, PREFACE, code, frame, kind, request_to};
use crate::support::{
    Setup, Talk, TestCertificate, TestGateway, TlsClient, eventually, exchange, get, logged_in,
};
use crate::targets::TWO_READINGS;
use crate::tls::{HOST, Secure};

/// A listener for prior knowledge beside the plain one.
const PRIOR_KNOWLEDGE: &str = "[[server.listeners]]\naddress = \"127.0.0.1:0\"\nh2c = true\n";

/// A gateway and where it speaks HTTP/2 to whoever begins with it.
pub(crate) async fn speaking_http2(change: impl FnOnce(&mut Setup)) -> (TestGateway, SocketAddr) {
    let gateway = TestGateway::with(|setup| {
        change(setup);
        setup.sections += PRIOR_KNOWLEDGE;
    })
    .await;
    let address = gateway.app().addresses().nth(1).unwrap();
    (gateway, address)
}

type Sender = SendRequest<BoxBody<Bytes, std::convert::Infallible>>;

/// A client by a library, over any transport.
async fn client(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Sender {
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(
    method: &str,
    path: &str,
    body: Bytes,
) -> Request<BoxBody<Bytes, std::convert::Infallible>> {
    Request::builder()
        .method(method)
        .uri(format!("https://www.example.test{path}"))
        .body(Full::new(body).boxed())
        .unwrap()
}

fn with(mut fields: Vec<(Vec<u8>, Vec<u8>)>, more: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let more = more.iter();
    fields.extend(more.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())));
    fields
}

#[tokio::test]
async fn alpn_chooses_the_protocol() {
    let certificate = TestCertificate::of(&[HOST]);
    let secure = Secure::with(&[&certificate], "", "").await;
    for (offered, chosen) in [
        (vec!["h2", "http/1.1"], Some(b"h2".as_slice())),
        (vec!["http/1.1", "h2"], Some(b"h2")),
        (vec!["http/1.1"], Some(b"http/1.1")),
        (vec![], None),
    ] {
        let client = TlsClient::new(HOST, &[&certificate]).offering(&offered);
        let stream = client.connect(secure.address()).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen, "{offered:?}");
    }
    let other = TlsClient::new(HOST, &[&certificate]).offering(&["h3"]);
    assert!(
        other.connect(secure.address()).await.is_err(),
        "nothing in common"
    );
}

#[tokio::test]
async fn many_requests_on_one_tls_connection_are_served_and_logged() {
    let certificate = TestCertificate::of(&[HOST]);
    let secure = Secure::with(&[&certificate], "", "").await;
    let tls = TlsClient::new(HOST, &[&certificate]).offering(&["h2"]);
    let sender = client(tls.connect(secure.address()).await.unwrap()).await;

    let asked = (0..150).map(|number| {
        let mut sender = sender.clone();
        async move {
            let path = format!("/open/{number}");
            let answer = sender
                .send_request(request("POST", &path, Bytes::from(path.clone())))
                .await;
            let answer = answer.unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.version()),
                (200, Version::HTTP_2)
            );
            assert!(!answer.headers().contains_key("connection"));
            answer.into_body().collect().await.unwrap();
        }
    });
    join_all(asked).await;

    let mut gateway = secure.gateway;
    let seen = gateway.upstream().seen();
    assert_eq!(seen.len(), 150);
    for seen in &seen {
        assert_eq!(seen.target.as_bytes(), &seen.body[..]);
        assert_eq!(seen.header("host"), "www.example.test");
        assert_eq!(seen.header("x-forwarded-proto"), "https");
    }
    drop(sender);
    let log = gateway.access_log().await;
    assert_eq!(log.len(), 150);
    assert!(
        log.iter().all(|line| line["proto"] == "HTTP/2"),
        "{}",
        log[0]
    );
}

#[tokio::test]
async fn prior_knowledge_works_where_it_was_asked_for_and_nowhere_else() {
    let (gateway, address) = speaking_http2(|_| ()).await;

    let answer = Frames::connect(address)
        .await
        .ask(&request_to("GET", "/open"))
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        exchange(address, get("/open")).await.status,
        200,
        "HTTP/1.1 beside it"
    );

    let elsewhere = Frames::connect(gateway.address()).await.closed().await;
    assert_eq!(elsewhere, None);
}

#[tokio::test]
async fn the_first_bytes_may_come_in_pieces() {
    let (gateway, address) = speaking_http2(|_| ()).await;
    let http1 = "POST /open HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    for (first, rest) in [("P", &http1[1..]), ("PO", &http1[2..]), (http1, "")] {
        let mut talk = Talk::saying(address, first).await;
        tokio::task::yield_now().await;
        talk.say(rest).await.unwrap();
        let heard = talk.closed().await;
        assert!(heard.starts_with("HTTP/1.1 200 "), "{first:?}: {heard}");
        assert_eq!(&gateway.upstream().last().body[..], b"hi");
    }
    for cut in [1, 3, 14, 23] {
        let mut frames = Frames::silent(address).await;
        frames.say(&PREFACE[..cut]).await.unwrap();
        tokio::task::yield_now().await;
        let settings = frame(kind::SETTINGS, 0, 0, &[]);
        frames
            .say(&[&PREFACE[cut..], &settings].concat())
            .await
            .unwrap();
        assert_eq!(
            frames.ask(&request_to("GET", "/open")).await.status(),
            200,
            "{cut}"
        );
    }
}

#[tokio::test]
async fn a_visitor_logs_in_and_is_known_over_http2() {
    let (gateway, address) = speaking_http2(|_| ()).await;
    let mut frames = Frames::connect(address).await;
    let agent = crate::support::agents::WECHAT_ANDROID;
    let page = [
        ("user-agent", agent),
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
    ];

    let login = frames
        .ask(&with(request_to("GET", "/site"), &page))
        .await
        .reply();
    assert_eq!(login.status, 302, "{}", login.text());
    assert!(login.header("location").contains("snsapi_base"));
    assert_eq!(frames.ask(&request_to("GET", "/site")).await.status(), 401);

    let alice = logged_in(&gateway, "alice").await;
    let cookies = alice.cookie_header();
    // Each in a field of its own, as browsers send them, with ours in the middle.
    let split: Vec<_> = std::iter::once("theme=dark")
        .chain(cookies.split("; "))
        .chain(["lang=en"])
        .map(|cookie| ("cookie", cookie))
        .collect();
    let known = frames.ask(&with(request_to("GET", "/site"), &split)).await;
    assert_eq!(known.status(), 200);
    let seen = gateway.upstream().last();
    assert_eq!(seen.header("cookie"), "theme=dark; lang=en");
    assert_eq!(seen.header("x-wxgate-jwt-assertion").split('.').count(), 3);
    assert!(!seen.header("x-wechat-openid").is_empty());
}

#[tokio::test]
async fn a_target_with_two_readings_is_refused_over_http2_too() {
    let (gateway, address) = speaking_http2(|_| ()).await;
    let mut frames = Frames::connect(address).await;
    for target in TWO_READINGS {
        let mut fields = request_to("GET", "");
        fields[3].1 = target.to_vec();

        let ending = frames.ask(&fields).await;

        let shown = String::from_utf8_lossy(target);
        // The library cuts a fragment off before anybody sees it; what is left is judged and forwarded.
        if target.contains(&b'#') && matches!(ending.status(), 200 | 401) {
            let seen = gateway.upstream().take();
            assert!(
                seen.iter().all(|seen| !seen.target.contains('#')),
                "{shown}"
            );
            assert_eq!(seen.len(), usize::from(ending.status() == 200), "{shown}");
            continue;
        }
        match ending {
            Ending::Answer(reply) => assert_eq!(reply.status, 400, "{shown}"),
            Ending::Reset(code) => assert_eq!(code, 1, "{shown}"),
            Ending::Closed(_) => frames = Frames::connect(address).await,
        }
        assert!(
            gateway.upstream().seen().is_empty(),
            "{shown} reached the site"
        );
    }
    assert_eq!(frames.ask(&request_to("GET", "/open")).await.status(), 200);
}

/// A head that is wrong in one way, and the answers that are right.
type Malformed = (&'static str, Vec<(Vec<u8>, Vec<u8>)>, &'static [u16]);

fn malformed() -> Vec<Malformed> {
    let base = || request_to("GET", "/open");
    let more = |more: &[(&str, &str)]| with(base(), more);
    let without = |name: &str| {
        let mut fields = base();
        fields.retain(|field| field.0 != name.as_bytes());
        fields
    };
    let changed = |name: &str, value: &[u8]| {
        let mut fields = base();
        let field = fields.iter_mut().find(|field| field.0 == name.as_bytes());
        field.unwrap().1 = value.to_vec();
        fields
    };
    let mut late = base();
    let path = late.pop().unwrap();
    let late = [with(late, &[("x-a", "1")]), vec![path]].concat();
    vec![
        ("late pseudo-header", late, &[]),
        ("unknown pseudo-header", more(&[(":x-user", "1")]), &[]),
        ("response pseudo-header", more(&[(":status", "200")]), &[]),
        ("upper-case name", more(&[("X-A", "1")]), &[]),
        ("empty name", more(&[("", "1")]), &[]),
        ("colon in a name", more(&[("x:a", "1")]), &[]),
        ("blank in a name", more(&[("x a", "1")]), &[]),
        ("line end in a name", more(&[("x-a\r\nx-b", "1")]), &[]),
        ("no method", without(":method"), &[]),
        ("no scheme", without(":scheme"), &[]),
        ("no path", without(":path"), &[400]),
        ("no host at all", without(":authority"), &[400]),
        ("empty path", changed(":path", b""), &[400]),
        (
            "line end in a path",
            changed(":path", b"/open\r\nx: y"),
            &[400],
        ),
        ("blank in a path", changed(":path", b"/open x"), &[400]),
        ("line end in a method", changed(":method", b"GET\r\n"), &[]),
        ("blank in a method", changed(":method", b"GET /"), &[]),
        ("no method token", changed(":method", b""), &[]),
        ("lower-case method", changed(":method", b"get"), &[405]),
        ("TRACE", changed(":method", b"TRACE"), &[405]),
        ("scheme file", changed(":scheme", b"file"), &[400]),
        ("scheme with a blank", changed(":scheme", b"ht tp"), &[]),
        (
            "user in the authority",
            changed(":authority", b"u@www.example.test"),
            &[400],
        ),
        (
            "path in the authority",
            changed(":authority", b"www.example.test/a"),
            &[],
        ),
        ("empty authority", changed(":authority", b""), &[400]),
        (
            "port 0",
            changed(":authority", b"www.example.test:0"),
            &[400],
        ),
        ("unknown host", changed(":authority", b"evil.test"), &[421]),
        ("host differs", more(&[("host", "m.example.test")]), &[400]),
        (
            "host differs in its port",
            more(&[("host", "www.example.test:8443")]),
            &[400],
        ),
        ("two hosts", more(&[("host", HOST), ("host", HOST)]), &[400]),
        (
            "two authorizations",
            more(&[("authorization", "a"), ("authorization", "b")]),
            &[400],
        ),
        ("expectation", more(&[("expect", "x")]), &[417]),
        (
            "two lengths",
            more(&[("content-length", "0"), ("content-length", "1")]),
            &[],
        ),
        ("length without body", more(&[("content-length", "5")]), &[]),
        (
            "length that is none",
            more(&[("content-length", "five")]),
            &[400],
        ),
    ]
}

/// The same for fields of every request and for CONNECT.
fn malformed_further() -> Vec<Malformed> {
    let base = || request_to("GET", "/open");
    let more = |more: &[(&str, &str)]| with(base(), more);
    let mut table: Vec<Malformed> = Vec::new();
    for pseudo in [":method", ":scheme", ":authority", ":path"] {
        let value = base()
            .into_iter()
            .find(|field| field.0 == pseudo.as_bytes());
        let doubled = [base(), vec![value.unwrap()]].concat();
        table.push(("doubled pseudo-header", doubled, &[]));
    }
    for (name, value) in [
        ("connection", "close"),
        ("connection", "x-wechat-openid"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "5"),
        ("proxy-connection", "keep-alive"),
        ("upgrade", "websocket"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
    ] {
        table.push(("field about the connection", more(&[(name, value)]), &[400]));
    }
    for value in [" a", "a ", "\ta", "a\t", " "] {
        table.push(("untrimmed value", more(&[("x-a", value)]), &[400]));
    }
    for value in ["a\rb", "a\nb", "a\0b", "a\x7fb", "\r\n"] {
        table.push(("control byte in a value", more(&[("x-a", value)]), &[]));
    }
    let connect = |more: &[(&str, &str)]| {
        let fields = vec![
            (b":method".to_vec(), b"CONNECT".to_vec()),
            (b":authority".to_vec(), b"www.example.test:443".to_vec()),
        ];
        with(fields, more)
    };
    table.push(("CONNECT", connect(&[]), &[400, 405]));
    table.push((
        "CONNECT elsewhere",
        {
            let mut fields = connect(&[]);
            fields[1].1 = b"127.0.0.1:22".to_vec();
            fields
        },
        &[400, 405, 421],
    ));
    let websocket = [
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/open"),
        ("sec-websocket-version", "13"),
    ];
    table.push(("extended CONNECT", connect(&websocket), &[]));
    table
}

#[tokio::test]
async fn a_head_with_two_readings_is_refused_over_http2() {
    let (gateway, address) = speaking_http2(|setup| {
        setup.server = "extra_hosts = [\"m.example.test\"]".to_owned();
    })
    .await;
    let mut frames = Frames::connect(address).await;
    let mut wrong = Vec::new();
    for (what, fields, statuses) in malformed().into_iter().chain(malformed_further()) {
        let ending = frames.ask(&fields).await;
        let fits = match &ending {
            Ending::Answer(reply) => statuses.contains(&reply.status.as_u16()),
            // PROTOCOL_ERROR
            Ending::Reset(code) => *code == 1,
            Ending::Closed(code) => *code == Some(1),
        };
        if !fits {
            let last = fields.last().unwrap();
            let (name, value) = (
                String::from_utf8_lossy(&last.0),
                String::from_utf8_lossy(&last.1),
            );
            wrong.push(format!("{what} ({name}: {value}): {ending:?}"));
        }
        if matches!(ending, Ending::Closed(_)) {
            frames = Frames::connect(address).await;
        }
        let seen = gateway.upstream().take();
        assert!(seen.is_empty(), "{what} reached the site: {seen:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(frames.ask(&request_to("GET", "/open")).await.status(), 200);
}

#[tokio::test]
async fn a_host_field_alone_is_the_host_that_is_judged_and_sent() {
    let (gateway, address) = speaking_http2(|_| ()).await;
    let mut frames = Frames::connect(address).await;
    for (host, status) in [(HOST, 200), ("evil.test", 421)] {
        let mut fields = request_to("GET", "/open");
        fields.retain(|(name, _)| name != b":authority");

        let ending = frames.ask(&with(fields, &[("host", host)])).await;

        assert_eq!(ending.status(), status, "{host}");
        let seen = gateway.upstream().take();
        assert_eq!(seen.len(), usize::from(status == 200), "{host}");
        assert!(seen.iter().all(|seen| seen.header("host") == HOST));
    }
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_it_says_never_looks_whole() {
    let (gateway, address) = speaking_http2(|_| ()).await;
    for body in [b"abc".as_slice(), b"abcdefgh"] {
        let fields = with(request_to("POST", "/open"), &[("content-length", "5")]);
        let ending = Frames::connect(address)
            .await
            .send(&fields, body, &[])
            .await;

        assert!(
            !matches!(&ending, Ending::Answer(reply) if reply.status == 200),
            "{ending:?}"
        );
        assert!(gateway.upstream().take().is_empty());
    }
}

#[tokio::test]
async fn trailers_pass_in_both_directions_without_being_announced() {
    let site = crate::support::ScriptedSite::start(|_, mut talk| async move {
        talk.head().await?;
        talk.hear_until("\r\n\r\n").await?;
        talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Status, X-Wechat-Openid\r\n\r\n2\r\nok\r\n0\r\nGrpc-Status: 0\r\nX-Wechat-Openid: leak\r\n\r\n").await
    })
    .await;
    let url = site.url();
    let (_gateway, address) = speaking_http2(|setup| {
        setup.routes = setup.routes.replace("UPSTREAM", &url);
    })
    .await;
    let fields = with(request_to("POST", "/open"), &[("te", "trailers")]);
    let trailers = with(
        Vec::new(),
        &[("x-checksum", "1"), ("x-wechat-openid", "forged")],
    );

    let reply = Frames::connect(address)
        .await
        .send(&fields, b"abc", &trailers)
        .await
        .reply();

    assert_eq!(reply.text(), "ok");
    assert_eq!(reply.header("trailer-grpc-status"), "0");
    assert_eq!(reply.header("trailer-x-wechat-openid"), "");
}

#[tokio::test]
async fn announced_trailers_reach_the_site_without_forged_ones() {
    let (gateway, address) = speaking_http2(|_| ()).await;
    let fields = with(
        request_to("POST", "/open"),
        &[("trailer", "x-checksum, x-wechat-openid")],
    );
    let trailers = with(
        Vec::new(),
        &[
            ("x-checksum", "1"),
            ("x-wechat-openid", "forged"),
            ("x_wechat_openid", "forged"),
        ],
    );

    let ending = Frames::connect(address)
        .await
        .send(&fields, b"abc", &trailers)
        .await;

    assert_eq!(ending.status(), 200);
    let seen = gateway.upstream().last();
    assert_eq!(&seen.body[..], b"abc");
    let expected = HeaderMap::from_iter([("x-checksum".parse().unwrap(), "1".parse().unwrap())]);
    assert_eq!(seen.trailers, expected);
}

#[tokio::test]
async fn no_spelling_of_an_identity_header_gets_in_over_http2() {
    let (gateway, address) = speaking_http2(|_| ()).await;
    let cookie = logged_in(&gateway, "alice").await.cookie_header();
    let names = crate::scrub::forged_names();
    assert!(names.len() > 500, "{}", names.len());
    let mut frames = Frames::connect(address).await;
    for (path, cookie, is_known) in [
        ("/open", "", false),
        ("/open", cookie.as_str(), false),
        ("/maybe", &cookie, true),
        ("/site", &cookie, true),
    ] {
        for method in ["GET", "HEAD", "OPTIONS", "POST"] {
            for names in names.chunks(80) {
                let forged = names
                    .iter()
                    .map(|name| (name.as_str(), crate::scrub::FORGED));
                let fields = forged.chain((!cookie.is_empty()).then_some(("cookie", cookie)));
                let fields = with(request_to(method, path), &fields.collect::<Vec<_>>());

                let ending = frames.ask(&fields).await;

                assert_eq!(ending.status(), 200, "{method} {path}: {ending:?}");
                let seen = gateway.upstream().take();
                assert_eq!(seen.len(), 1, "{method} {path}");
                crate::scrub::assert_nothing_forged(&seen[0], is_known);
            }
        }
    }
}

#[tokio::test]
async fn bodies_stream_in_both_directions() {
    let (gateway, address) = speaking_http2(|_| ()).await;
    let mut sender = client(TcpStream::connect(address).await.unwrap()).await;
    let (mut feed, body) = Channel::<Bytes, std::convert::Infallible>::new(1);
    let upload = Request::post("https://www.example.test/open")
        .body(body.boxed())
        .unwrap();
    let feeding = async {
        for _ in 0..64 {
            feed.send_data(Bytes::from(vec![b'x'; 64 * 1024]))
                .await
                .unwrap();
        }
        drop(feed);
    };

    let (answer, ()) = tokio::join!(sender.send_request(upload), feeding);

    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(gateway.upstream().last().body.len(), 64 * 64 * 1024);
}

#[tokio::test]
async fn a_big_answer_comes_whole_and_a_broken_one_breaks() {
    let site = crate::support::ScriptedSite::start(|_, mut talk| async move {
        let head = talk.head().await?;
        talk.say("HTTP/1.1 200 OK\r\nContent-Length: 16777216\r\n\r\n")
            .await?;
        let count = if head.contains("/open/short") {
            1 << 20
        } else {
            16 << 20
        };
        talk.pour(count).await
    })
    .await;
    let url = site.url();
    let (_gateway, address) = speaking_http2(|setup| {
        setup.routes = setup.routes.replace("UPSTREAM", &url);
    })
    .await;
    let mut sender = client(TcpStream::connect(address).await.unwrap()).await;

    let whole = sender
        .send_request(request("GET", "/open/whole", Bytes::new()))
        .await
        .unwrap();
    assert_eq!(
        whole.into_body().collect().await.unwrap().to_bytes().len(),
        16 << 20
    );

    let short = sender
        .send_request(request("GET", "/open/short", Bytes::new()))
        .await
        .unwrap();
    assert!(short.into_body().collect().await.is_err(), "looks whole");
}

#[tokio::test]
async fn body_limits_and_deadlines_hold_for_each_stream() {
    let (gateway, address) = speaking_http2(|setup| {
        setup.sections = "[server.timeouts]\nbody_progress = \"300ms\"\n".to_owned();
        let limit = "path = \"/open\"\nmax_body = \"1KiB\"";
        setup.routes = setup.routes.replace("path = \"/open\"", limit);
    })
    .await;
    let mut frames = Frames::connect(address).await;

    let stuck = frames.begin(&request_to("POST", "/open"), 0).await;
    let large = frames
        .send(&request_to("POST", "/open"), &[b'x'; 1025], &[])
        .await;
    assert_eq!(large.status(), 413, "{large:?}");
    let announced = with(request_to("POST", "/open"), &[("content-length", "1025")]);
    assert_eq!(
        frames.send(&announced, &[b'x'; 1025], &[]).await.status(),
        413
    );
    let fits = frames
        .send(&request_to("POST", "/open"), &[b'x'; 1024], &[])
        .await;
    assert_eq!(fits.status(), 200);

    let late = frames.ending(stuck).await.reply();
    assert_eq!((late.status.as_u16(), late.reason()), (408, "body-stalled"));
    assert_eq!(frames.ask(&request_to("GET", "/open")).await.status(), 200);
    assert!(
        gateway
            .upstream()
            .seen()
            .iter()
            .all(|seen| seen.body.len() <= 1024)
    );
}

#[tokio::test]
async fn fields_over_the_limits_are_refused() {
    let (gateway, address) = speaking_http2(|_| ()).await;
    let mut frames = Frames::connect(address).await;
    let many: Vec<_> = (0..101).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(
        frames
            .ask(&with(request_to("GET", "/open"), &many))
            .await
            .status(),
        400
    );

    let long = "x".repeat(40 * 1024);
    let ending = frames
        .ask(&with(request_to("GET", "/open"), &[("x-long", &long)]))
        .await;
    assert!(matches!(ending.status(), 0 | 431), "{ending:?}");
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn a_client_that_cancels_a_request_stops_it_at_the_site() {
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let site = crate::support::ScriptedSite::start(move |_, mut talk| {
        let ended = ended.clone();
        async move {
            talk.head().await?;
            let left = talk.head().await;
            let _ = ended.send(left.is_err() || left.is_ok_and(|head| head.is_empty()));
            Ok(())
        }
    })
    .await;
    let url = site.url();
    let (_gateway, address) = speaking_http2(|setup| {
        setup.routes = setup.routes.replace("UPSTREAM", &url);
    })
    .await;
    let mut frames = Frames::connect(address).await;
    let stream = frames.begin(&request_to("GET", "/open"), END_STREAM).await;
    eventually("the site is asked", async || !site.heads().is_empty()).await;

    // CANCEL
    frames
        .say(&frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes()))
        .await
        .unwrap();

    let left = tokio::time::timeout(Duration::from_secs(5), ends.recv()).await;
    assert_eq!(left.expect("the site still answers"), Some(true));
}

/// A gateway that soon loses patience.
async fn impatient() -> (TestGateway, SocketAddr) {
    let timeouts = "[server.timeouts]\nrequest_header = \"300ms\"\nkeep_alive = \"600ms\"\nbody_progress = \"400ms\"\n";
    speaking_http2(|setup| setup.sections = timeouts.to_owned()).await
}

#[tokio::test]
async fn whoever_asks_for_nothing_is_dropped() {
    let (_gateway, address) = impatient().await;
    let settings = frame(kind::SETTINGS, 0, 0, &[]);
    let block = crate::support::http2::block([(b":method".as_slice(), b"GET".as_slice())]);
    let half_a_head = frame(kind::HEADERS, END_STREAM, 1, &block);
    for said in [
        Vec::new(),
        PREFACE[..10].to_vec(),
        PREFACE.to_vec(),
        [PREFACE, &settings].concat(),
        [PREFACE, &settings, &half_a_head].concat(),
    ] {
        let mut frames = Frames::silent(address).await;
        frames.say(&said).await.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(5), frames.closed()).await;
        assert!(closed.is_ok(), "still open after {} bytes", said.len());
    }
}

#[tokio::test]
async fn pings_do_not_keep_an_idle_connection() {
    let (_gateway, address) = impatient().await;
    let mut frames = Frames::connect(address).await;
    assert_eq!(frames.ask(&request_to("GET", "/open")).await.status(), 200);
    let pinging = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            if frames.say(&frame(kind::PING, 0, 0, &[0; 8])).await.is_err() {
                return;
            }
        }
    };
    let closed = tokio::time::timeout(Duration::from_secs(5), pinging).await;
    assert!(closed.is_ok(), "still open");
}

#[tokio::test]
async fn a_stream_whose_client_takes_nothing_is_reset_and_others_go_on() {
    let (_gateway, address) = impatient().await;
    // SETTINGS_INITIAL_WINDOW_SIZE
    let mut frames = Frames::with_settings(address, &[(4, 0)]).await;
    let stalled = frames
        .begin(&with(request_to("GET", "/_wxgate/jwks"), &[]), END_STREAM)
        .await;
    // It gets its head and no byte of its body; another one has a window of its own.
    let open = frames
        .begin(&request_to("GET", "/_wxgate/jwks"), END_STREAM)
        .await;
    let window = frame(kind::WINDOW_UPDATE, 0, open, &100_000_u32.to_be_bytes());
    frames.say(&window).await.unwrap();
    assert_eq!(frames.ending(open).await.status(), 200);

    let ending = frames.ending(stalled).await;

    assert!(
        matches!(ending, Ending::Reset(_) | Ending::Closed(_)),
        "{ending:?}"
    );
}

#[tokio::test]
async fn a_window_of_zero_on_a_hundred_streams_ends_in_time() {
    let (gateway, address) = impatient().await;
    let mut frames = Frames::with_settings(address, &[(4, 0)]).await;
    for _ in 0..100 {
        frames.begin(&request_to("GET", "/open"), END_STREAM).await;
    }

    let closed = tokio::time::timeout(Duration::from_secs(8), frames.closed()).await;

    assert!(closed.is_ok(), "still open");
    assert_eq!(exchange(gateway.address(), get("/open")).await.status, 200);
}

#[tokio::test]
async fn shutdown_says_goaway_and_finishes_what_has_begun() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let site = crate::support::ScriptedSite::start(move |_, mut talk| {
        let mut wait = wait.clone();
        async move {
            talk.head().await?;
            let _ = wait.wait_for(|go| *go).await;
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
                .await
        }
    })
    .await;
    let url = site.url();
    let (mut gateway, address) = speaking_http2(|setup| {
        setup.routes = setup.routes.replace("UPSTREAM", &url);
    })
    .await;
    let mut busy = Frames::connect(address).await;
    let stream = busy.begin(&request_to("GET", "/open"), END_STREAM).await;
    let mut idle = Frames::connect(address).await;
    assert_eq!(
        idle.ask(&request_to("GET", "/_wxgate/jwks")).await.status(),
        200
    );
    eventually("the site is asked", async || !site.heads().is_empty()).await;

    let watching = async {
        loop {
            let next = busy.next().await.expect("closed without a word");
            if next.kind == kind::GOAWAY {
                assert_eq!(code(&next.payload[4..]), 0);
                break;
            }
        }
        // An idle connection needs nobody's patience: its client knows that nothing was taken.
        while idle.next().await.is_some() {}
        go.send_replace(true);
        busy.ending(stream).await
    };
    let (outcome, ending) = tokio::join!(gateway.stop(), watching);

    assert!(outcome.is_clean(), "{outcome:?}");
    assert_eq!(ending.reply().text(), "done");
}

#[tokio::test]
async fn a_client_that_goes_away_in_any_phase_leaves_nothing_behind() {
    let (mut gateway, address) = speaking_http2(|_| ()).await;
    for cut in 0..6 {
        let mut frames = Frames::silent(address).await;
        let settings = frame(kind::SETTINGS, 0, 0, &[]);
        let said: &[&[u8]] = &[&PREFACE[..5], &PREFACE[5..], &settings];
        for piece in said.iter().take(cut) {
            frames.say(piece).await.unwrap();
        }
        if cut > 3 {
            frames.begin(&request_to("POST", "/open"), 0).await;
        }
        if cut > 4 {
            frames.say(&frame(kind::DATA, 0, 1, b"abc")).await.unwrap();
        }
    }
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain
        .write_all(b"GET /open HTTP/1.1\r\nHost: www.example.test\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut heard = String::new();
    plain.read_to_string(&mut heard).await.unwrap();
    assert!(heard.starts_with("HTTP/1.1 200 "));

    assert!(gateway.stop().await.is_clean());
}
