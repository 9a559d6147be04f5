//! The PROXY header: whose it is, what it changes, and what a bad one costs.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::http2::{Frames, request_to};
use crate::support::{Setup, Talk, TestCertificate, TestGateway, TlsClient, eventually};
use crate::tls::HOST;

const ASK: &str = "GET /open HTTP/1.1\r\nHost: www.example.test\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n";
const LINE: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";

/// `192.0.2.7:56324`, with an extension behind.
fn binary() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x13".to_vec();
    header.extend([192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 1, 0xbb]);
    header.extend([4, 0, 4, 1, 2, 3, 4]);
    header
}

/// A gateway with a second listener for these headers, and where that is.
async fn behind_proxy(
    taken: &str,
    trusted: &str,
    more: &str,
    change: impl FnOnce(&mut Setup),
) -> (TestGateway, SocketAddr) {
    let gateway = TestGateway::with(|setup| {
        setup.server = format!("trusted_proxies = [{trusted}]");
        setup.sections = format!(
            "[[server.listeners]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = \"{taken}\"\n{more}\n"
        );
        change(setup);
    })
    .await;
    let address = gateway.app().addresses().nth(1).unwrap();
    (gateway, address)
}

const LOOPBACK: &str = "\"127.0.0.1/32\"";

#[tokio::test]
async fn the_announced_client_is_the_client_everywhere() {
    let (mut gateway, address) = behind_proxy("any", LOOPBACK, "", |setup| {
        setup.routes += r#"
            [[routes]]
            name = "office"
            path = "/office"
            auth = "public"
            allow_ips = ["192.0.2.0/24"]
            upstream = "UPSTREAM"
        "#;
    })
    .await;

    for header in [LINE.as_bytes().to_vec(), binary()] {
        let said = [header, ASK.into()].concat();
        let heard = Talk::saying(address, said).await.closed().await;
        assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
        let seen = gateway.upstream().last();
        // The announced client is no trusted proxy, so what it claims counts for nothing.
        assert_eq!(seen.header("x-forwarded-for"), "192.0.2.7");
        assert_eq!(seen.header("x-real-ip"), "192.0.2.7");
    }
    for (client, status) in [("192.0.2.7", 200), ("203.0.113.7", 403)] {
        let ask = ASK.replace("/open", "/office");
        let said = format!("PROXY TCP4 {client} 198.51.100.1 1 443\r\n{ask}");
        let heard = Talk::saying(address, said).await.closed().await;
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{heard}");
    }
    let log = gateway.access_log().await;
    let clients: Vec<_> = log
        .iter()
        .map(|line| line["client_ip"].as_str().unwrap())
        .collect();
    assert_eq!(
        clients,
        ["192.0.2.7", "192.0.2.7", "192.0.2.7", "203.0.113.7"]
    );
}

#[tokio::test]
async fn a_proxy_that_speaks_for_itself_is_its_own_client() {
    let (gateway, address) = behind_proxy("any", LOOPBACK, "", |_| ()).await;
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00".to_vec(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x00\x00\x00".to_vec(),
    ] {
        let ask = ASK.replace("X-Forwarded-For: 6.6.6.6\r\n", "");
        let said = [header, ask.into()].concat();
        let heard = Talk::saying(address, said).await.closed().await;
        assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
        let seen = gateway.upstream().last();
        assert!(seen.header("x-forwarded-for").contains("127.0.0.1"));
    }
}

#[tokio::test]
async fn limits_count_for_the_announced_client() {
    let (_gateway, address) = behind_proxy("v1", LOOPBACK, "", |setup| {
        setup.sections = format!(
            "[rate_limit]\nlogin_start = {{ limit = 2, window = \"1h\" }}\n{}",
            setup.sections
        );
    })
    .await;
    let login = async |client: &str| {
        let said = format!(
            "PROXY TCP4 {client} 198.51.100.1 1 443\r\nGET /_wxgate/login?to=/ HTTP/1.1\r\nHost: www.example.test\r\nUser-Agent: {}\r\nAccept: text/html\r\nConnection: close\r\n\r\n",
            crate::support::agents::WECHAT_ANDROID
        );
        let heard = Talk::saying(address, said).await.closed().await;
        heard[9..12].to_owned()
    };
    assert_eq!(login("192.0.2.7").await, "302");
    assert_eq!(login("192.0.2.7").await, "302");
    assert_eq!(login("192.0.2.7").await, "429");
    assert_eq!(login("192.0.2.8").await, "302");
}

#[tokio::test]
async fn whoever_may_not_send_one_is_closed_at_once_and_counted() {
    let (gateway, address) = behind_proxy("any", "\"10.0.0.0/8\"", "", |_| ()).await;

    for said in [format!("{LINE}{ASK}"), ASK.to_owned(), String::new()] {
        assert_eq!(Talk::saying(address, said).await.closed().await, "");
    }

    assert!(gateway.upstream().seen().is_empty());
    let series =
        format!("wxgate_proxy_headers_total{{listener=\"{address}\",result=\"untrusted\"}}");
    eventually("it is counted", async || {
        gateway.metric(&series).await == 3.0
    })
    .await;
}

#[tokio::test]
async fn a_header_that_is_none_or_of_the_other_version_closes_the_connection() {
    let line = [LINE.as_bytes(), ASK.as_bytes()].concat();
    let binary = [&binary()[..], ASK.as_bytes()].concat();
    for (taken, bad) in [
        ("v1", binary.clone()),
        ("v2", line.clone()),
        ("any", ASK.into()),
        ("any", b"\x16\x03\x01\x02\x00".to_vec()),
        ("any", LINE.replace("192.0.2.7", "192.0.2.777").into_bytes()),
        (
            "any",
            format!("PROXY UNKNOWN {}\r\n", "x".repeat(200)).into_bytes(),
        ),
    ] {
        let (gateway, address) = behind_proxy(taken, LOOPBACK, "", |_| ()).await;

        let heard = Talk::saying(address, &bad).await.closed().await;

        assert_eq!(heard, "", "{taken}: {:?}", String::from_utf8_lossy(&bad));
        assert!(gateway.upstream().seen().is_empty());
        let series =
            format!("wxgate_proxy_headers_total{{listener=\"{address}\",result=\"broken\"}}");
        eventually("it is counted", async || {
            gateway.metric(&series).await == 1.0
        })
        .await;
    }
}

#[tokio::test]
async fn a_header_that_never_ends_is_dropped_while_others_are_served() {
    let (gateway, address) = behind_proxy("any", LOOPBACK, "", |_| ()).await;
    let mut slow = Vec::new();
    for said in ["", "PROXY TCP4 ", "\r\n\r\n\0\r\nQUIT\n\x21"] {
        slow.push(Talk::saying(address, said).await);
    }
    let heard = Talk::saying(address, format!("{LINE}{ASK}"))
        .await
        .closed()
        .await;
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");

    for mut talk in slow {
        let dropped = tokio::time::timeout(Duration::from_secs(9), talk.rest()).await;
        assert_eq!(dropped.expect("still open"), "");
    }

    let series = format!("wxgate_proxy_headers_total{{listener=\"{address}\",result=\"timeout\"}}");
    assert_eq!(gateway.metric(&series).await, 3.0);
}

#[tokio::test]
async fn the_header_comes_before_tls() {
    let certificate = TestCertificate::of(&[HOST]);
    let folder = tempfile::TempDir::new().unwrap();
    let (cert, key) = certificate.write(folder.path(), "0");
    let tls = format!(
        "tls = {{ cert = \"{}\", key = \"{}\" }}",
        cert.display(),
        key.display()
    );
    let (gateway, address) = behind_proxy("v2", LOOPBACK, &tls, |_| ()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&binary()).await.unwrap();

    let client = TlsClient::new(HOST, &[&certificate]);
    let mut stream = client.over(stream).await.unwrap();
    stream.write_all(ASK.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let _ = stream.read_to_string(&mut heard).await;

    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
    assert_eq!(gateway.upstream().last().header("x-real-ip"), "192.0.2.7");
}

#[tokio::test]
async fn http2_with_prior_knowledge_may_follow() {
    let (gateway, address) = behind_proxy("any", LOOPBACK, "h2c = true", |_| ()).await;
    let mut frames = Frames::silent(address).await;
    frames.say(LINE.as_bytes()).await.unwrap();
    frames.greet(&[]).await;

    assert_eq!(frames.ask(&request_to("GET", "/open")).await.status(), 200);

    assert_eq!(gateway.upstream().last().header("x-real-ip"), "192.0.2.7");
}
