//! gRPC through the gateway, with the client and the server of Python's `grpcio`.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::http2::speaking_http2;
use crate::support::{logged_in, project, python, run_tool};

/// The server; ends when dropped.
struct Server {
    url: String,
    said: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Server {
    async fn start() -> Self {
        let mut child = python()
            .arg(project("tests/grpc/server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = next(&mut said).await;
        Self {
            url: format!("h2c://127.0.0.1:{port}"),
            said,
            _child: child,
        }
    }
}

async fn next(said: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = tokio::time::timeout(Duration::from_secs(30), said.next_line()).await;
    let line = line.expect("the server says nothing").unwrap();
    line.expect("is grpcio missing? tests/run installs it")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_call_passes_with_its_metadata_status_and_end() {
    let mut server = Server::start().await;
    let (gateway, address) = speaking_http2(|setup| {
        setup.routes = format!(
            "[[routes]]\nname = \"shop\"\npath = \"/test.Shop\"\nauth = \"base\"\nupstream = \"{}\"\n{}",
            server.url, setup.routes
        );
    })
    .await;
    let browser = logged_in(&gateway, "alice").await;

    let mut client = python();
    client.args([
        &project("tests/grpc/client.py"),
        &address.to_string(),
        &browser.cookie_header(),
    ]);
    let said: Value = serde_json::from_str(&run_tool(client, "").await).unwrap();

    assert_eq!(said["unary"], "HELLO");
    assert_eq!(said["trailers"]["calls-ended"], "1");
    assert_eq!(said["count"], 499_500);
    assert_eq!(said["total"], 499_500);
    assert_eq!(said["talk"], json!(["re: one", "re: two", "re: three"]));
    let failure = &said["fail"];
    assert_eq!(failure[0], "INVALID_ARGUMENT");
    assert_eq!(failure[1], "no such thing");
    assert_eq!(failure[2]["reason"], "not enough of it");
    assert_eq!(said["unknown"][0], "UNIMPLEMENTED");
    assert_eq!(said["late"], "DEADLINE_EXCEEDED");
    // A call is never sent to a login page: 401 means this to every gRPC client.
    assert_eq!(said["stranger"][0], "UNAUTHENTICATED");

    let seen = &said["metadata"];
    let openid = seen["x-wechat-openid"].as_str().unwrap();
    assert!(!openid.is_empty() && openid != "forged", "{seen}");
    let token = seen["x-wxgate-jwt-assertion"].as_str().unwrap();
    assert!(token.len() > 100 && token.split('.').count() == 3, "{seen}");
    assert_eq!(seen.get("cookie"), None, "ours is cut out");

    assert_eq!(said["watched"], json!(["begun", "CANCELLED"]));

    // A deadline, and a call that the client cancels, end on the server too.
    assert_eq!(next(&mut server.said).await, "waiting");
    assert_eq!(next(&mut server.said).await, "cancelled");
    assert_eq!(next(&mut server.said).await, "given up");
}
