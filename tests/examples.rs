//! The applications in `examples/`, behind a real gateway: they greet whom the token names, and nobody else.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::process::Command;

use crate::support::{
    APP_ID, Program, Reply, TestGateway, exchange, free_address, project, python,
};

/// A gateway in front of an application that is yet to start.
async fn gateway_before(application: SocketAddr) -> TestGateway {
    TestGateway::with(|setup| {
        // Applications fetch the key set past the visitors' host.
        setup.server = "extra_hosts = [\"127.0.0.1\"]".to_owned();
        setup.routes = format!(
            "[[routes]]\npath = \"/\"\nauth = \"base\"\nupstream = \"http://{application}\"\n\
             [[routes]]\npath = \"/echo\"\nauth = \"base\"\nupstream = \"UPSTREAM\""
        );
    })
    .await
}

fn with_environment(mut command: Command, gateway: &TestGateway, address: SocketAddr) -> Command {
    command
        .env("WXGATE_ISSUER", gateway.public_url())
        .env("WXGATE_AUDIENCE", "www.example.test")
        .env(
            "WXGATE_JWKS_URL",
            format!("http://{}/_wxgate/jwks", gateway.address()),
        )
        .env(
            "WXGATE_JWKS_CACHE",
            gateway.state_dir().join("jwks-cache.json"),
        )
        .env("PORT", address.port().to_string());
    command
}

/// Asks the application itself, past the gateway.
async fn ask(application: SocketAddr, token: Option<&str>) -> Reply {
    let mut request = Request::get("/").header("host", "www.example.test");
    if let Some(token) = token {
        request = request.header("x-wxgate-jwt-assertion", token);
    }
    let request = request.body(Full::new(Bytes::new())).unwrap();
    exchange(application, request).await
}

async fn assert_trusts_only_the_token(command: Command, address: SocketAddr, gateway: TestGateway) {
    let command = with_environment(command, &gateway, address);
    let _application = Program::start(command).listening(address).await;
    let mut alice = gateway.browser_in_wechat("alice");

    let visit = alice.get("/").await;

    visit.assert_ok();
    let openid = gateway.simulator().person("alice").unwrap().openid(APP_ID);
    assert_eq!(visit.text().trim(), format!("Hello {openid}"));

    alice.get("/echo").await.assert_ok();
    let token = gateway
        .upstream()
        .last()
        .header("x-wxgate-jwt-assertion")
        .to_owned();
    assert_eq!(ask(address, Some(&token)).await.status, StatusCode::OK);
    let (signed, _) = token.rsplit_once('.').unwrap();
    let (head, signature) = (
        signed.split('.').next().unwrap(),
        token.rsplit('.').next().unwrap(),
    );
    let forged = [
        format!("{signed}.{}", "A".repeat(86)),
        format!("{head}.eyJvcGVuaWQiOiJvRm9yZ2VkIn0.{signature}"),
        format!("{signed}."),
        "forged".to_owned(),
    ];
    for token in forged
        .iter()
        .map(|token| Some(token.as_str()))
        .chain([None])
    {
        let reply = ask(address, token).await;
        assert_eq!(
            reply.status,
            StatusCode::UNAUTHORIZED,
            "{token:?}: {}",
            reply.text()
        );
        assert!(!reply.text().contains("Hello"));
    }
}

#[tokio::test]
async fn python_application_trusts_only_the_token() {
    let address = free_address();
    let mut command = python();
    command.arg(project("examples/python/app.py"));
    assert_trusts_only_the_token(command, address, gateway_before(address).await).await;
}

#[tokio::test]
async fn node_application_trusts_only_the_token() {
    let address = free_address();
    let mut command = Command::new("node");
    command.arg(project("examples/node/app.mjs"));
    assert_trusts_only_the_token(command, address, gateway_before(address).await).await;
}

#[tokio::test]
async fn php_application_trusts_only_the_token() {
    let address = free_address();
    let mut command = Command::new("php");
    command
        .args(["-S", &address.to_string()])
        .arg(project("examples/php/index.php"));
    assert_trusts_only_the_token(command, address, gateway_before(address).await).await;
}

#[tokio::test]
async fn java_application_trusts_only_the_token() {
    let address = free_address();
    let mut command = Command::new("java");
    command.arg(project("examples/java/App.java"));
    assert_trusts_only_the_token(command, address, gateway_before(address).await).await;
}
