//! WebSockets of people who are logged in.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::{
    Browser, Process, ScriptedSite, Setup, Talk, TestCertificate, TestGateway, TlsClient, echo,
    end_sessions, eventually, exchange, get, log_out, log_out_everywhere, logged_in, open_route,
};

type Socket = WebSocketStream<TcpStream>;

fn in_front_of(site: &ScriptedSite) -> impl FnOnce(&mut Setup) {
    let url = site.url();
    move |setup| setup.routes = setup.routes.replace("UPSTREAM", &url)
}

/// Opens a WebSocket with the browser's cookies.
async fn open(gateway: &TestGateway, browser: &Browser) -> Result<Socket, Error> {
    let mut request = "ws://www.example.test/live".into_client_request()?;
    let cookies = browser.cookie_header().parse().unwrap();
    request.headers_mut().insert("cookie", cookies);
    let stream = TcpStream::connect(gateway.address()).await?;
    let (socket, _) = client_async(request, stream).await?;
    Ok(socket)
}

async fn said(socket: &mut Socket) -> Message {
    let message = tokio::time::timeout(Duration::from_secs(5), socket.next()).await;
    message.expect("nothing came").unwrap().unwrap()
}

async fn greet(socket: &mut Socket) {
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(said(socket).await, Message::text("hello"));
}

/// The socket ends within a second, without a word.
async fn assert_ends(mut socket: Socket) {
    let ended = tokio::time::timeout(Duration::from_secs(1), socket.next()).await;
    let last = ended.expect("the tunnel goes on");
    assert!(matches!(last, None | Some(Err(_))), "{last:?}");
}

#[tokio::test]
async fn messages_of_every_kind_pass_and_the_site_knows_who_sends_them() {
    let (site, asked) = echo().await;
    let gateway = TestGateway::with(in_front_of(&site)).await;
    let alice = logged_in(&gateway, "alice").await;
    let mut socket = open(&gateway, &alice).await.unwrap();

    let big = Message::binary(vec![7; 4 << 20]);
    for message in [Message::text("你好"), Message::binary(vec![0; 3]), big] {
        socket.send(message.clone()).await.unwrap();
        assert!(said(&mut socket).await == message, "changed on the way");
    }

    let headers = asked.lock().unwrap().pop().unwrap();
    assert!(headers.contains_key("x-wxgate-jwt-assertion"));
    assert!(!headers["x-wechat-openid"].is_empty());
    assert!(!headers.contains_key("cookie"), "our cookie went up");
}

#[tokio::test]
async fn fragments_and_pings_between_them_pass() {
    let (site, _) = echo().await;
    let gateway = TestGateway::with(in_front_of(&site)).await;
    let alice = logged_in(&gateway, "alice").await;
    let mut socket = open(&gateway, &alice).await.unwrap();

    let fragment = |text: &'static str, code, is_last| {
        Message::Frame(Frame::message(text, OpCode::Data(code), is_last))
    };
    socket
        .send(fragment("one ", Data::Text, false))
        .await
        .unwrap();
    socket
        .send(Message::Ping("still there?".into()))
        .await
        .unwrap();
    assert_eq!(
        said(&mut socket).await,
        Message::Pong("still there?".into())
    );
    socket
        .send(fragment("two ", Data::Continue, false))
        .await
        .unwrap();
    socket
        .send(fragment("three", Data::Continue, true))
        .await
        .unwrap();

    assert_eq!(said(&mut socket).await, Message::text("one two three"));
}

#[tokio::test]
async fn nothing_of_what_passed_through_a_websocket_is_kept() {
    const SOCKETS: u64 = 200;
    let (site, _) = echo().await;
    let process = Process::start(&site.url()).await;
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        let stream = TcpStream::connect(process.address()).await.unwrap();
        let url = "ws://www.example.test/live";
        let (mut socket, _) = client_async(url, stream).await.unwrap();
        greet(&mut socket).await;
        sockets.push(socket);
    }
    let before = process.peak_memory();

    // Less than the largest head, so that it could pass for the beginning of one.
    for socket in &mut sockets {
        for _ in 0..30 {
            socket.send(Message::binary(vec![7; 1000])).await.unwrap();
            said(socket).await;
        }
    }

    let grown = process.peak_memory() - before;
    assert!(grown < SOCKETS * 8 * 1024, "{grown} bytes");
}

#[tokio::test]
async fn websockets_pass_over_tls() {
    let (site, asked) = echo().await;
    let certificate = TestCertificate::of(&["www.example.test"]);
    let folder = tempfile::TempDir::new().unwrap();
    let (cert, key) = certificate.write(folder.path(), "listener");
    let gateway = TestGateway::with(|setup| {
        setup.sections = format!(
            "[[server.listeners]]\naddress = \"127.0.0.1:0\"\ntls = {{ cert = \"{}\", key = \"{}\" }}\n",
            cert.display(),
            key.display()
        );
        in_front_of(&site)(setup);
    })
    .await;
    let address = gateway.app().addresses().nth(1).unwrap();
    let client = TlsClient::new("www.example.test", &[&certificate]).offering(&["http/1.1"]);
    let alice = logged_in(&gateway, "alice").await;

    let mut request = "wss://www.example.test/live".into_client_request().unwrap();
    let cookies = alice.cookie_header().parse().unwrap();
    request.headers_mut().insert("cookie", cookies);
    let stream = client.connect(address).await.unwrap();
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    for message in [Message::text("hello"), Message::binary(vec![7; 1 << 20])] {
        socket.send(message.clone()).await.unwrap();
        let said = tokio::time::timeout(Duration::from_secs(5), socket.next()).await;
        assert!(
            said.unwrap().unwrap().unwrap() == message,
            "changed on the way"
        );
    }
    socket.close(None).await.unwrap();

    assert!(asked.lock().unwrap()[0].contains_key("x-wxgate-jwt-assertion"));
}

#[tokio::test]
async fn either_side_may_finish_before_the_other() {
    const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let last = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&last);
    let site = ScriptedSite::start(move |number, mut talk| {
        let kept = Arc::clone(&kept);
        async move {
            talk.head().await?;
            talk.say(format!("HTTP/1.1 101 Switching Protocols\r\n{UPGRADE}"))
                .await?;
            if number == 0 {
                // The client has finished, and still hears what is said.
                let heard = talk.rest().await;
                talk.say(format!("heard {heard}")).await?;
            } else {
                talk.say("all").await?;
                tokio::io::AsyncWriteExt::shutdown(&mut talk.stream).await?;
                *kept.lock().unwrap() = talk.rest().await;
            }
            Ok(())
        }
    })
    .await;
    let gateway = TestGateway::with(|setup| setup.routes = open_route(&site.url(), "")).await;
    let ask = format!("GET / HTTP/1.1\r\nHost: www.example.test\r\n{UPGRADE}");

    let mut first = Talk::saying(gateway.address(), &ask).await;
    assert!(first.head().await.unwrap().starts_with("HTTP/1.1 101"));
    first.say("this").await.unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut first.stream)
        .await
        .unwrap();
    assert_eq!(first.closed().await, "heard this");

    let mut second = Talk::saying(gateway.address(), &ask).await;
    assert!(second.head().await.unwrap().starts_with("HTTP/1.1 101"));
    let heard = tokio::time::timeout(Duration::from_secs(5), second.rest()).await;
    assert_eq!(heard.unwrap(), "all");
    second.say("and you").await.unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut second.stream)
        .await
        .unwrap();
    eventually("the tunnel ends when both have finished", async || {
        *last.lock().unwrap() == "and you"
    })
    .await;
}

#[tokio::test]
async fn the_code_of_a_close_passes() {
    let (site, _) = echo().await;
    let gateway = TestGateway::with(in_front_of(&site)).await;
    let alice = logged_in(&gateway, "alice").await;
    let mut socket = open(&gateway, &alice).await.unwrap();

    let close = CloseFrame {
        code: CloseCode::Library(4001),
        reason: "enough".into(),
    };
    socket.close(Some(close.clone())).await.unwrap();

    // The site's library repeats what it was closed with.
    assert_eq!(said(&mut socket).await, Message::Close(Some(close)));
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn nobody_opens_a_websocket_without_a_session() {
    let (site, asked) = echo().await;
    let gateway = TestGateway::with(in_front_of(&site)).await;
    let stranger = gateway.browser_in_wechat("stranger");

    let refused = open(&gateway, &stranger).await.unwrap_err();

    let Error::Http(answer) = refused else {
        panic!("{refused}");
    };
    assert_eq!(answer.status(), 401);
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_refusal_of_the_site_is_passed_on() {
    let refusal = "HTTP/1.1 426 Upgrade Required\r\nX-Why: old\r\nContent-Length: 2\r\n\r\nno";
    let site = ScriptedSite::answering(refusal).await;
    let gateway = TestGateway::with(in_front_of(&site)).await;
    let alice = logged_in(&gateway, "alice").await;

    let refused = open(&gateway, &alice).await.unwrap_err();

    let Error::Http(answer) = refused else {
        panic!("{refused}");
    };
    assert_eq!(answer.status(), 426);
    assert_eq!(answer.headers()["x-why"], "old");
}

#[tokio::test]
async fn a_websocket_ends_when_its_person_logs_out() {
    let (site, _) = echo().await;
    let gateway = TestGateway::with(in_front_of(&site)).await;
    let mut alice = logged_in(&gateway, "alice").await;
    let bob = logged_in(&gateway, "bob").await;
    let mut socket = open(&gateway, &alice).await.unwrap();
    let mut of_bob = open(&gateway, &bob).await.unwrap();
    greet(&mut socket).await;

    log_out(&gateway, &mut alice).await;

    assert_ends(socket).await;
    greet(&mut of_bob).await;
}

#[tokio::test]
async fn a_websocket_ends_with_its_session_after_a_reload_too() {
    let (site, _) = echo().await;
    let mut setup = Setup::default();
    in_front_of(&site)(&mut setup);
    let gateway = TestGateway::with(in_front_of(&site)).await;
    let mut alice = logged_in(&gateway, "alice").await;
    let mut socket = open(&gateway, &alice).await.unwrap();

    gateway.app().reload(gateway.config(&setup)).unwrap();

    greet(&mut socket).await;
    log_out(&gateway, &mut alice).await;
    assert_ends(socket).await;
}

#[tokio::test]
async fn a_websocket_ends_within_a_second_when_its_person_is_banned() {
    let (site, asked) = echo().await;
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("banned.txt");
    std::fs::write(&list, "# nobody yet\n").unwrap();
    let with_list = |setup: &mut Setup| {
        in_front_of(&site)(setup);
        setup.sections = format!("[lists.banned]\nfile = {:?}", list.display().to_string());
        let denied = "name = \"site\"\ndeny = { lists = [\"banned\"] }";
        setup.routes = setup.routes.replace("name = \"site\"", denied);
    };
    let gateway = TestGateway::with(with_list).await;
    let alice = logged_in(&gateway, "alice").await;
    let bob = logged_in(&gateway, "bob").await;
    let mut socket = open(&gateway, &alice).await.unwrap();
    let mut of_bob = open(&gateway, &bob).await.unwrap();
    // A reload in between must not part the sockets from the list.
    let mut setup = Setup::default();
    with_list(&mut setup);
    gateway.app().reload(gateway.config(&setup)).unwrap();
    greet(&mut socket).await;

    let openid = asked.lock().unwrap()[0]["x-wechat-openid"].clone();
    let line = format!("openid:{}\n", openid.to_str().unwrap());
    std::fs::write(&list, line).unwrap();

    let last = tokio::time::timeout(Duration::from_secs(1), socket.next()).await;
    let last = last.expect("the tunnel goes on");
    assert!(matches!(last, None | Some(Err(_))), "{last:?}");
    greet(&mut of_bob).await;
}

#[tokio::test]
async fn a_logout_while_the_site_thinks_about_a_websocket_ends_it() {
    let (agree, agreed) = tokio::sync::oneshot::channel::<()>();
    let agreed = Arc::new(Mutex::new(Some(agreed)));
    let site = ScriptedSite::start(move |_, talk| {
        let agreed = agreed.lock().unwrap().take();
        async move {
            let Talk { stream, .. } = talk;
            stream.readable().await?;
            agreed.unwrap().await.unwrap();
            if let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await {
                while socket.next().await.is_some() {}
            }
            Ok(())
        }
    })
    .await;
    let gateway = TestGateway::with(in_front_of(&site)).await;
    let mut alice = logged_in(&gateway, "alice").await;
    let before = alice.cookie_header();
    let opening = async {
        let mut request = "ws://www.example.test/live".into_client_request().unwrap();
        request
            .headers_mut()
            .insert("cookie", before.parse().unwrap());
        let stream = TcpStream::connect(gateway.address()).await.unwrap();
        client_async(request, stream).await.unwrap().0
    };
    let ending = async {
        eventually("the site is asked", async || site.connections() == 1).await;
        log_out(&gateway, &mut alice).await;
        agree.send(()).unwrap();
    };

    let (socket, ()) = tokio::join!(opening, ending);

    assert_ends(socket).await;
}

#[tokio::test]
async fn a_websocket_ends_when_its_site_dies() {
    let site = ScriptedSite::start(|_, talk| async move {
        let Talk { stream, .. } = talk;
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        socket.next().await;
        // Gone without a close frame.
        Ok(())
    })
    .await;
    let gateway = TestGateway::with(in_front_of(&site)).await;
    let alice = logged_in(&gateway, "alice").await;
    let mut socket = open(&gateway, &alice).await.unwrap();

    socket.send(Message::text("die")).await.unwrap();

    assert_ends(socket).await;
}

#[tokio::test]
async fn an_open_websocket_takes_its_place_among_the_connections() {
    let (site, _) = echo().await;
    let gateway = TestGateway::with(|setup| {
        in_front_of(&site)(setup);
        setup.server = "max_connections = 1".to_owned();
    })
    .await;
    let alice = logged_in(&gateway, "alice").await;
    let mut socket = open(&gateway, &alice).await.unwrap();
    greet(&mut socket).await;

    let mut waiting = Box::pin(exchange(gateway.address(), get("/nowhere")));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
    assert!(early.is_err(), "served beside the only connection");
    drop(socket);

    let served = tokio::time::timeout(Duration::from_secs(5), waiting).await;
    served.expect("the place is not free again");
}

#[tokio::test]
async fn open_websockets_are_counted() {
    let (site, _) = echo().await;
    let gateway = TestGateway::with(in_front_of(&site)).await;
    let alice = logged_in(&gateway, "alice").await;
    let count = async || {
        gateway
            .metric("wxgate_websocket_connections{route=\"site\"}")
            .await
    };

    let mut socket = open(&gateway, &alice).await.unwrap();
    greet(&mut socket).await;
    assert!(count().await > 0.5);

    drop(socket);
    eventually("the tunnel is gone", async || count().await < 0.5).await;
}

#[tokio::test]
async fn a_websocket_ends_when_its_person_logs_out_everywhere_on_another_device() {
    let (site, _) = echo().await;
    let gateway = TestGateway::with(in_front_of(&site)).await;
    let phone = logged_in(&gateway, "alice").await;
    let mut desktop = logged_in(&gateway, "alice").await;
    let bob = logged_in(&gateway, "bob").await;
    let mut socket = open(&gateway, &phone).await.unwrap();
    let mut of_bob = open(&gateway, &bob).await.unwrap();
    greet(&mut socket).await;

    log_out_everywhere(&gateway, &mut desktop).await;

    assert_ends(socket).await;
    greet(&mut of_bob).await;
}

#[tokio::test]
async fn a_websocket_ends_when_an_operator_ends_the_sessions_of_its_person() {
    let (site, _) = echo().await;
    let gateway = TestGateway::with(in_front_of(&site)).await;
    let alice = logged_in(&gateway, "alice").await;
    let bob = logged_in(&gateway, "bob").await;
    let mut socket = open(&gateway, &alice).await.unwrap();
    let mut of_bob = open(&gateway, &bob).await.unwrap();
    greet(&mut socket).await;

    end_sessions(&gateway, "alice").await;

    assert_ends(socket).await;
    greet(&mut of_bob).await;
}
