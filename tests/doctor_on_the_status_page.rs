//! The doctor's button on the status page, and the same for programs.

use std::time::Duration;

use serde_json::Value as Json;
use tokio::net::TcpListener;
use wxgate::doctor::examine;

use crate::doctor::Clinic;
use crate::support::{APP_SECRET, Reply, Wire, free_address, open_route};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Any name, and the token as the password.
const PASSWORD: &str = "Authorization: Basic YW55OjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm\r\n";
const PAGE: &str = "Accept: text/html\r\n";
const ORDER: &str = "X-Wxgate-Admin: 1\r\n";

async fn open() -> Clinic {
    Clinic::with(|setup| {
        setup.admin = format!("token = \"{TOKEN}\"");
    })
    .await
}

async fn ask(clinic: &Clinic, method: &str, headers: &[&str]) -> Reply {
    let headers = headers.concat();
    let request = format!("{method} /doctor HTTP/1.1\r\nHost: admin.test:9502\r\n{headers}\r\n");
    Wire::new(clinic.gateway.admin_address()).ask(request).await
}

/// What was looked at, and how it is.
fn findings(report: &Json) -> Vec<(String, String)> {
    let text = |one: &Json, key: &str| one[key].as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|one| (text(one, "what"), text(one, "state")))
        .collect()
}

fn finding(what: &str, state: &str) -> (String, String) {
    (what.to_owned(), state.to_owned())
}

#[tokio::test]
async fn a_program_gets_the_findings_that_the_command_prints() {
    let clinic = open().await;
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");

    let reply = ask(&clinic, "POST", &[ORDER, &bearer]).await;

    assert_eq!(reply.status, 200, "{}", reply.text());
    let report: Json = serde_json::from_str(reply.text()).unwrap();
    let command: Json = serde_json::from_str(&clinic.doctor(&[]).await.text).unwrap();
    assert_eq!(findings(&report), findings(&command));
    assert!(findings(&report).contains(&finding("server.public_url way", "ok")));
    assert_eq!(report["failed"], 0);
    assert!(!reply.text().contains(APP_SECRET) && !reply.text().contains(TOKEN));
}

#[tokio::test]
async fn an_operator_presses_the_button_and_sees_what_to_mend() {
    let nobody = free_address();
    let clinic = Clinic::with(|setup| {
        setup.admin = format!("token = \"{TOKEN}\"");
        setup.routes = open_route(&format!("http://{nobody}"), "");
    })
    .await;
    let door = ask(&clinic, "GET", &[PAGE, PASSWORD]).await;
    assert_eq!(door.status, 200);
    assert!(
        door.text()
            .contains("<form action=\"/doctor\" method=\"post\">")
    );
    assert!(
        !door.text().contains("<table>"),
        "it looked without being asked"
    );

    let origin = "Origin: http://admin.test:9502\r\n";
    let reply = ask(&clinic, "POST", &[PAGE, PASSWORD, origin]).await;

    assert_eq!(reply.status, 200);
    let text = reply.unescaped();
    assert!(text.contains("takes no connection"), "{text}");
    assert!(
        text.contains("start the application, or correct its address"),
        "{text}"
    );
    assert!(!text.contains(APP_SECRET) && !text.contains(TOKEN));
}

#[tokio::test]
async fn nobody_else_makes_it_run() {
    let clinic = open().await;
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let ours = "Origin: http://admin.test:9502\r\n";
    for (method, headers, status) in [
        ("POST", vec![PAGE, ours], 401),
        ("POST", vec![PAGE, PASSWORD], 403),
        ("POST", vec![&*bearer], 403),
        ("POST", vec![PAGE, PASSWORD, "Origin: null\r\n"], 403),
        (
            "POST",
            vec![PAGE, PASSWORD, "Origin: http://evil.test\r\n"],
            403,
        ),
        (
            "POST",
            vec![PAGE, PASSWORD, "Origin: http://admin.test\r\n"],
            403,
        ),
        (
            "POST",
            vec![PAGE, PASSWORD, "Origin: admin.test:9502\r\n"],
            403,
        ),
        ("GET", vec![&*bearer], 405),
        ("PUT", vec![&*bearer, ORDER], 405),
    ] {
        let reply = ask(&clinic, method, &headers).await;
        assert_eq!(
            reply.status,
            status,
            "{method} {headers:?}: {}",
            reply.text()
        );
    }
    assert_eq!(clinic.gateway.simulator().calls(), []);
}

#[tokio::test]
async fn one_looks_while_another_is_told_to_wait() {
    // WeChat takes the connection and says nothing, until we have seen what there is to see.
    let wechat = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = wechat.local_addr().unwrap();
    let clinic = Clinic::with(|setup| setup.api_url = Some(format!("http://{address}"))).await;
    let post = |connection: &'static str| {
        let request =
            format!("POST /doctor HTTP/1.1\r\nHost: localhost\r\n{ORDER}{connection}\r\n");
        let admin = clinic.gateway.admin_address();
        async move { Wire::new(admin).ask(request).await }
    };
    let first = tokio::spawn(post(""));
    let (silent, _) = wechat.accept().await.unwrap();

    let second = post("").await;

    assert_eq!(second.status, 503);
    assert!(second.text().contains("busy with an earlier run"));
    drop((silent, wechat));
    let first = first.await.unwrap();
    assert_eq!(first.status, 200);
    assert!(first.text().contains("\"failed\""), "{}", first.text());
    assert_eq!(post("").await.status, 200);
}

#[tokio::test]
async fn what_was_not_reached_in_time_is_said() {
    let clinic = open().await;
    let config = clinic.gateway.config(&clinic.setup);

    let report = examine(&config, None, Duration::ZERO).await.unwrap().json();

    let last = findings(&report).pop();
    assert_eq!(last, Some(finding("the rest", "skip")));
}
