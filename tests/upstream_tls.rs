//! TLS towards upstreams, and sockets of this machine.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{accept_async, client_async};

use crate::support::{
    Authority, KeepAlive, Process, ScriptedSite, SecureSite, Talk, TestGateway, exchange, get,
    open_route,
};

const LOCAL: &[&str] = &["127.0.0.1", "localhost"];

/// A gateway in front of this server, with these `tls` settings.
async fn in_front_of(url: &str, tls: &str) -> TestGateway {
    TestGateway::with(|setup| {
        setup.sections = upstream(url, tls);
        setup.routes = open_route("app", "");
    })
    .await
}

fn upstream(url: &str, tls: &str) -> String {
    format!(
        "[upstreams.app]\nservers = [\"{url}\"]\nconnect_timeout = \"300ms\"\ntls = {{ {tls} }}"
    )
}

fn trusting(authority: &Authority) -> String {
    format!("ca = \"{}\"", authority.file().display())
}

#[tokio::test]
async fn requests_reach_a_site_whose_authority_is_trusted_and_share_its_connection() {
    let authority = Authority::new();
    let site = SecureSite::answering(authority.issue(LOCAL).server(None, &["http/1.1"])).await;
    let gateway = in_front_of(&site.url_by_name(), &trusting(&authority)).await;

    let mut client = KeepAlive::open(gateway.address()).await;
    for _ in 0..5 {
        assert_eq!(client.get("/").await.text(), "ok");
    }

    assert_eq!(site.connections(), 1);
    assert_eq!(site.names(), [Some("localhost".to_owned())]);
}

#[tokio::test]
async fn a_name_may_be_expected_that_is_not_the_servers_own() {
    let authority = Authority::new();
    let site = SecureSite::answering(authority.issue(&["inside.example"]).server(None, &[])).await;
    let tls = format!("{}, server_name = \"inside.example\"", trusting(&authority));
    let gateway = in_front_of(&site.url(), &tls).await;

    let reply = exchange(gateway.address(), get("/")).await;

    assert_eq!(reply.text(), "ok");
    assert_eq!(site.names(), [Some("inside.example".to_owned())]);
}

#[tokio::test]
async fn whose_fault_a_handshake_is_stands_in_the_log_and_not_on_the_page() {
    let (authority, other) = (Authority::new(), Authority::new());
    let good = authority.issue(LOCAL);
    let plain = ScriptedSite::start(|_, mut talk: Talk| async move {
        talk.hear(1).await?;
        talk.say("HTTP/1.1 400 Bad Request\r\n\r\n").await
    })
    .await;
    let sites = [
        SecureSite::answering(other.issue(LOCAL).server(None, &[])).await,
        SecureSite::answering(authority.issue_expired(LOCAL).server(None, &[])).await,
        SecureSite::answering(authority.issue(&["inside.example"]).server(None, &[])).await,
        SecureSite::answering(good.server(Some(&authority), &["h3"])).await,
    ];
    let faults = [
        "by an unknown authority",
        "has expired",
        "for another name",
        "speaks no TLS or HTTP that we do",
        "does not speak TLS",
    ];
    let urls = sites.iter().map(SecureSite::url);
    let urls = urls.chain([plain.url().replace("http:", "https:")]);
    for (url, fault) in urls.zip(faults) {
        let sections = upstream(&url, &trusting(&authority));
        let process = Process::with("app", |setup| setup.sections = sections).await;

        let reply = exchange(process.address(), get("/")).await;

        assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{fault}");
        assert_eq!(reply.reason(), "upstream-broken");
        process.says(fault).await;
        for word in ["certificate", "TLS", "authority", "127.0.0.1"] {
            assert!(!reply.text().contains(word), "{word}: {}", reply.text());
        }
        let failed = r#"wxgate_upstream_errors_total{upstream="app",kind="tls"}"#;
        assert_eq!(process.metric(failed).await, "1", "{fault}");
    }
}

#[tokio::test]
async fn a_site_that_wants_our_certificate_gets_it() {
    let (authority, other) = (Authority::new(), Authority::new());
    let config = authority.issue(LOCAL).server(Some(&authority), &[]);
    let site = SecureSite::answering(config).await;
    let show = |issued: &crate::support::Issued| {
        let (certificate, key) = (issued.certificate.display(), issued.key.display());
        let trust = trusting(&authority);
        format!("{trust}, cert = \"{certificate}\", key = \"{key}\"")
    };

    let ours = show(&authority.issue(&["wxgate.example"]));
    let gateway = in_front_of(&site.url(), &ours).await;
    assert_eq!(exchange(gateway.address(), get("/")).await.text(), "ok");

    for tls in [
        trusting(&authority),
        show(&other.issue(&["wxgate.example"])),
    ] {
        let sections = upstream(&site.url(), &tls);
        let process = Process::with("app", |setup| setup.sections = sections).await;
        let reply = exchange(process.address(), get("/")).await;
        assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{tls}");
        process.says("received fatal alert").await;
    }
}

#[tokio::test]
async fn verify_off_takes_any_certificate_and_is_warned_about_at_each_start() {
    let site =
        SecureSite::answering(Authority::new().issue_expired(&["x"]).server(None, &[])).await;
    let sections = upstream(&site.url(), "verify = false");
    let process = Process::with("app", |setup| setup.sections = sections).await;

    let reply = exchange(process.address(), get("/")).await;

    assert_eq!(reply.text(), "ok");
    let report = process.report();
    assert!(report.contains("warning[W310]"), "{report}");
    assert!(report.contains("upstreams.app.tls.verify"), "{report}");
}

#[tokio::test]
async fn the_systems_authorities_are_trusted_too() {
    let authority = Authority::new();
    let site = SecureSite::answering(authority.issue(LOCAL).server(None, &[])).await;
    let file = authority.file().display().to_string();

    for (variables, status) in [
        (vec![("SSL_CERT_FILE", file)], StatusCode::OK),
        (Vec::new(), StatusCode::BAD_GATEWAY),
    ] {
        let process = Process::with(&site.url(), |setup| setup.variables = variables).await;
        assert_eq!(exchange(process.address(), get("/")).await.status, status);
    }
}

#[tokio::test]
async fn a_handshake_that_nobody_answers_ends_at_the_deadline_for_connecting() {
    let silent = ScriptedSite::start(|_, mut talk: Talk| async move {
        talk.rest().await;
        Ok(())
    })
    .await;
    let gateway = in_front_of(&silent.url().replace("http:", "https:"), "").await;

    let reply = exchange(gateway.address(), get("/")).await;

    assert_eq!(reply.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(reply.reason(), "upstream-timeout");
}

#[tokio::test]
async fn a_body_that_ends_without_farewell_is_never_a_short_complete_one() {
    let authority = Authority::new();
    let config = authority.issue(LOCAL).server(None, &[]);
    let site = SecureSite::start(config, |mut stream| async move {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\nthe first half")
            .await?;
        stream.flush().await?;
        // The TCP connection ends in order, TLS does not: somebody on the way may have done that.
        stream.get_mut().0.shutdown().await
    })
    .await;
    let gateway = in_front_of(&site.url(), &trusting(&authority)).await;

    let reply = KeepAlive::open(gateway.address())
        .await
        .send(get("/"))
        .await;

    assert!(reply.is_err(), "{reply:?}");
}

#[tokio::test]
async fn a_websocket_passes_through_tls() {
    let authority = Authority::new();
    let config = authority.issue(LOCAL).server(None, &[]);
    let site = SecureSite::start(config, |stream| async move {
        let mut socket = accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            let _ = socket.send(message).await;
        }
        Ok(())
    })
    .await;
    let gateway = in_front_of(&site.url(), &trusting(&authority)).await;

    let request = "ws://www.example.test/live".into_client_request().unwrap();
    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    let sent = Message::binary(vec![7; 300_000]);
    socket.send(sent.clone()).await.unwrap();

    assert_eq!(socket.next().await.unwrap().unwrap(), sent);
}

#[tokio::test]
async fn a_socket_of_this_machine_is_a_server() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let heads = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heads = String::new();
        for _ in 0..2 {
            let mut head = vec![0; 4096];
            let count = stream.read(&mut head).await.unwrap();
            heads.push_str(std::str::from_utf8(&head[..count]).unwrap());
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
        }
        heads
    });
    // As a route writes it.
    let url = format!("unix:{}", path.display());
    let gateway = TestGateway::in_front_of(&url, "").await;

    let mut client = KeepAlive::open(gateway.address()).await;
    for _ in 0..2 {
        assert_eq!(client.get("/").await.text(), "ok");
    }

    let heads = tokio::time::timeout(Duration::from_secs(5), heads).await;
    let heads = heads.unwrap().unwrap();
    assert_eq!(
        heads.matches("\nhost: www.example.test").count(),
        2,
        "{heads}"
    );
    let server = format!(r#"wxgate_upstream_healthy{{upstream="{url}",server="{url}"}}"#);
    assert_eq!(gateway.metric(&server).await, 1.0);
}
