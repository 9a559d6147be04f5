//! TLS on listeners: which certificate, which protocol, what a bad handshake costs, and certificates that change.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{
    Process, ProcessSetup, Talk, TestCertificate, TestGateway, TlsClient, Upstream, eventually,
    exchange, get,
};

/// A gateway with a plain listener and one with TLS, and where its certificate files are.
pub(crate) struct Secure {
    pub(crate) gateway: TestGateway,
    folder: TempDir,
}

impl Secure {
    /// With these certificates; files are named `0.pem`, `0.key` and so on. `more` has more lines.
    pub(crate) async fn with(certificates: &[&TestCertificate], tls: &str, more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let listener = listener(&folder, certificates, tls);
        let gateway = TestGateway::with(|setup| {
            // A listener by its own table switches the short form's default off, but the setup has it.
            setup.sections = format!("{more}\n{listener}");
        })
        .await;
        Self { gateway, folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.app().addresses().nth(1).unwrap()
    }

    async fn metric(&self, family: &str, labels: &str) -> f64 {
        let address = self.address();
        let series = format!("{family}{{listener=\"{address}\",{labels}}}");
        self.gateway.metric(&series).await
    }
}

fn listener(folder: &TempDir, certificates: &[&TestCertificate], tls: &str) -> String {
    let pairs: Vec<_> = certificates
        .iter()
        .enumerate()
        .map(|(number, certificate)| {
            let (cert, key) = certificate.write(folder.path(), &number.to_string());
            format!("cert = \"{}\", key = \"{}\"", cert.display(), key.display())
        })
        .collect();
    let named = match pairs.as_slice() {
        [one] => one.clone(),
        several => format!("certs = [{{ {} }}]", several.join(" }, { ")),
    };
    format!("[[server.listeners]]\naddress = \"127.0.0.1:0\"\ntls = {{ {named}{tls} }}\n")
}

pub(crate) const HOST: &str = "www.example.test";

#[tokio::test]
async fn a_visitor_over_tls_is_served_and_logged_like_any_other() {
    let certificate = TestCertificate::of(&[HOST]);
    let secure = Secure::with(&[&certificate], "", "").await;
    let client = TlsClient::new(HOST, &[&certificate]);
    let mut connection = client.open(secure.address()).await.unwrap();

    assert_eq!(connection.get("/open").await.status, 200);
    assert_eq!(connection.get("/maybe").await.status, 200);

    let seen = secure.gateway.upstream().last();
    assert_eq!(seen.header("x-forwarded-proto"), "https");
    assert_eq!(
        secure
            .metric("wxgate_tls_handshakes_total", "result=\"ok\"")
            .await,
        1.0
    );
    let mut gateway = secure.gateway;
    let log = gateway.access_log().await;
    assert_eq!(log.len(), 2);
    assert_eq!(log[0]["client_ip"], "127.0.0.1");
}

#[tokio::test]
async fn the_certificate_is_chosen_by_name() {
    let [exact, wildcard, default] = [
        TestCertificate::of(&[HOST]),
        TestCertificate::of(&["*.example.test"]),
        TestCertificate::of(&["default.test"]),
    ];
    let all = [&default, &wildcard, &exact];
    let secure = Secure::with(&all, "", "").await;

    for (name, expected) in [
        (HOST, &exact),
        ("WWW.example.test", &exact),
        ("shop.example.test", &wildcard),
        ("default.test", &default),
    ] {
        let client = TlsClient::new(name, &all);
        let connection = client.open(secure.address()).await.unwrap();
        assert!(connection.shows(expected), "{name}");
    }
    let unnamed = TlsClient::new("default.test", &all).without_name();
    assert!(
        unnamed
            .open(secure.address())
            .await
            .unwrap()
            .shows(&default)
    );
    // A wildcard stands for one label, and an unknown name gets the default, which the client then refuses.
    let deeper = TlsClient::new("a.b.example.test", &all);
    assert!(deeper.open(secure.address()).await.is_err());
}

#[tokio::test]
async fn an_older_version_than_allowed_is_refused() {
    let certificate = TestCertificate::of(&[HOST]);
    let old = TlsClient::speaking(HOST, &[&certificate], &[&rustls::version::TLS12]);

    let strict = Secure::with(&[&certificate], ", min_version = \"1.3\"", "").await;
    assert!(old.open(strict.address()).await.is_err());
    let new = TlsClient::new(HOST, &[&certificate]);
    assert_eq!(
        new.open(strict.address())
            .await
            .unwrap()
            .get("/open")
            .await
            .status,
        200
    );
    eventually("it is counted", async || {
        strict
            .metric("wxgate_tls_handshakes_total", "result=\"failed\"")
            .await
            == 1.0
    })
    .await;

    let lenient = Secure::with(&[&certificate], "", "").await;
    assert_eq!(
        old.open(lenient.address())
            .await
            .unwrap()
            .get("/open")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_session_is_resumed_without_early_data() {
    let certificate = TestCertificate::of(&[HOST]);
    let secure = Secure::with(&[&certificate], "", "").await;
    let client = TlsClient::new(HOST, &[&certificate]).resuming();
    // Tickets come behind the handshake, so something must be read.
    client
        .open(secure.address())
        .await
        .unwrap()
        .get("/open")
        .await;

    let second = client.connect(secure.address()).await.unwrap();

    let (_, state) = second.get_ref();
    assert_eq!(state.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    assert!(!state.is_early_data_accepted());
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_so() {
    let certificate = TestCertificate::of(&[HOST]);
    let secure = Secure::with(&[&certificate], "", "").await;
    let ask = "GET / HTTP/1.1\r\nHost: www.example.test\r\n\r\n";

    let heard = Talk::saying(secure.address(), ask).await.closed().await;

    assert!(heard.starts_with("HTTP/1.1 400 "), "{heard}");
    assert!(heard.contains("X-Wxgate-Response: plain-http"), "{heard}");
    assert!(heard.ends_with("此端口只接受 https 访问。\n"), "{heard}");
    eventually("it is counted", async || {
        let results = "result=\"plain_http\"";
        secure.metric("wxgate_tls_handshakes_total", results).await == 1.0
    })
    .await;
    assert!(secure.gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn silent_tls_peer_does_not_block_others_and_is_dropped() {
    let certificate = TestCertificate::of(&[HOST]);
    let timeouts = "[server.timeouts]\ntls_handshake = \"300ms\"\n";
    let secure = Secure::with(&[&certificate], "", timeouts).await;
    let mut crowd = Vec::new();
    for number in 0..60 {
        let mut stream = TcpStream::connect(secure.address()).await.unwrap();
        if number % 2 == 0 {
            // The beginning of a handshake that never goes on.
            stream.write_all(&[0x16, 3, 1, 2, 0]).await.unwrap();
        }
        crowd.push(stream);
    }

    let client = TlsClient::new(HOST, &[&certificate]);
    let served = tokio::time::timeout(Duration::from_secs(5), client.open(secure.address()));
    let mut connection = served.await.expect("waits for others").unwrap();
    assert_eq!(connection.get("/open").await.status, 200);

    eventually("all are dropped", async || {
        secure
            .metric("wxgate_tls_handshakes_total", "result=\"timeout\"")
            .await
            == 60.0
    })
    .await;
}

#[tokio::test]
async fn after_the_handshake_silence_and_half_heads_are_dropped_too() {
    let certificate = TestCertificate::of(&[HOST]);
    let timeouts = "[server.timeouts]\nrequest_header = \"200ms\"\n";
    let secure = Secure::with(&[&certificate], "", timeouts).await;
    let client = TlsClient::new(HOST, &[&certificate]);
    for said in ["", "GET /open HTTP/1.1\r\nHost: www.exam"] {
        let mut stream = client.connect(secure.address()).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();

        let mut heard = Vec::new();
        let closed = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut heard);
        let closed = tokio::time::timeout(Duration::from_secs(5), closed).await;

        assert!(closed.is_ok(), "still open after {said:?}");
        assert!(heard.is_empty(), "{heard:?}");
    }
    assert!(secure.gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_and_no_connection_closes() {
    let [old, new] = [
        TestCertificate::of(&[HOST]),
        TestCertificate::ending_in(&[HOST], 60),
    ];
    let secure = Secure::with(&[&old], "", "").await;
    let both = TlsClient::new(HOST, &[&old, &new]);
    let mut before = both.open(secure.address()).await.unwrap();
    assert!(before.shows(&old));
    let expiry = "wxgate_tls_certificate_expiry_timestamp_seconds";
    let ended = secure.metric(expiry, "subject=\"www.example.test\"").await;

    new.write(secure.folder.path(), "0");

    eventually("the new one is shown", async || {
        let mut connection = both.open(secure.address()).await.unwrap();
        assert_eq!(connection.get("/open").await.status, 200);
        connection.shows(&new)
    })
    .await;
    assert_eq!(before.get("/open").await.status, 200, "the old connection");
    let reloads = "wxgate_tls_certificate_reloads_total";
    assert_eq!(secure.metric(reloads, "result=\"ok\"").await, 1.0);
    let ends = secure.metric(expiry, "subject=\"www.example.test\"").await;
    assert!(ends < ended && ends > 0.0, "{ends} {ended}");
}

#[tokio::test]
async fn half_written_and_mismatching_files_are_refused_and_the_old_pair_stays() {
    let [old, new] = [TestCertificate::of(&[HOST]), TestCertificate::of(&[HOST])];
    let folder = TempDir::new().unwrap();
    let listener = listener(&folder, &[&old], "");
    let site = Upstream::start().await;
    let with_tls = |setup: &mut ProcessSetup| setup.sections = listener.clone();
    let process = Process::with(&site.url(), with_tls).await;
    let address = process.addresses()[1];
    let client = TlsClient::new(HOST, &[&old, &new]);
    let cert = folder.path().join("0.pem");

    let half = &new.cert[..new.cert.len() / 2];
    for (number, content) in [half, "", new.cert.as_str()].into_iter().enumerate() {
        fs::write(&cert, content).unwrap();
        let words = "certificate refused, the old one stays";
        process.says_times(words, number + 1).await;
        assert!(
            client.open(address).await.unwrap().shows(&old),
            "{content:?}"
        );
    }
    fs::remove_file(&cert).unwrap();
    process
        .says_times("certificate refused, the old one stays", 4)
        .await;
    assert!(client.open(address).await.unwrap().shows(&old));
    assert!(
        process.report().contains("is not the key of"),
        "{}",
        process.report()
    );

    new.write(folder.path(), "0");
    process.says("certificate loaded again").await;
    assert!(client.open(address).await.unwrap().shows(&new));
}

#[tokio::test]
async fn a_reload_keeps_certificates_in_use_and_takes_other_ones() {
    let [old, new] = [TestCertificate::of(&[HOST]), TestCertificate::of(&[HOST])];
    let folder = TempDir::new().unwrap();
    let first = listener(&folder, &[&old], "");
    let (cert, key) = new.write(folder.path(), "new");
    let second = format!(
        "[[server.listeners]]\naddress = \"127.0.0.1:0\"\ntls = {{ cert = \"{}\", key = \"{}\" }}\n",
        cert.display(),
        key.display()
    );
    let site = Upstream::start().await;
    let process = Process::with(&site.url(), |setup| setup.sections = first).await;
    let address = process.addresses()[1];
    let client = TlsClient::new(HOST, &[&old, &new]);
    let mut before = client.open(address).await.unwrap();
    assert_eq!(before.get("/").await.status, 200);

    process.configure(&site.url(), |setup| setup.sections = second);
    process.signal("HUP");
    process.says("configuration reloaded").await;

    assert_eq!(before.get("/").await.status, 200);
    assert!(client.open(address).await.unwrap().shows(&new));
    assert_eq!(exchange(process.address(), get("/")).await.status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_handshake_costs_nothing() {
    let certificate = TestCertificate::of(&[HOST]);
    let secure = Secure::with(&[&certificate], "", "").await;
    for _ in 0..40 {
        Talk::saying(secure.address(), [0x16, 3, 1, 2, 0])
            .await
            .reset();
    }

    let client = TlsClient::new(HOST, &[&certificate]);
    let served = tokio::time::timeout(Duration::from_secs(5), client.open(secure.address()));
    let mut connection = served.await.expect("places are lost").unwrap();

    assert_eq!(connection.get("/open").await.status, 200);
    eventually("all are counted", async || {
        let failed = "result=\"failed\"";
        secure.metric("wxgate_tls_handshakes_total", failed).await == 40.0
    })
    .await;
}
