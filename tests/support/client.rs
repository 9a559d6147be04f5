//! A client without cookies: a mini program's `wx.request`, or an app for phones.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use super::{Reply, TestGateway, exchange};

/// A mini program that tests register.
pub(crate) const MINI_ID: &str = "wx00000000000000aa";
/// An app for phones that tests register.
pub(crate) const MOBILE_ID: &str = "wx00000000000000bb";
const SECRET: &str = "00112233445566778899aabbccddeeff";

/// The two as sections of a configuration.
pub(crate) fn client_apps() -> String {
    format!(
        r#"
        [wechat.mini]
        kind = "mini-program"
        app_id = "{MINI_ID}"
        secret = "{SECRET}"

        [wechat.phone]
        kind = "mobile-app"
        app_id = "{MOBILE_ID}"
        secret = "{SECRET}"
        "#
    )
}

/// A client of one gateway.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    host: String,
    /// Shown with every request.
    pub(crate) token: Option<String>,
}

impl TestGateway {
    /// A client that is nobody yet; the simulator knows both apps and the person from now on.
    pub(crate) fn client(&self, person: &str) -> Client {
        use wxgate::simulator::AppKind;

        let simulator = self.simulator();
        if simulator.person(person).is_none() {
            simulator.add_person(person);
        }
        simulator.add_app_of_kind(AppKind::MiniProgram, MINI_ID, SECRET, &[]);
        simulator.add_app_of_kind(AppKind::MobileApp, MOBILE_ID, SECRET, &[]);
        let host = self.public_url().split("//").nth(1).unwrap().to_owned();
        Client {
            address: self.address(),
            host,
            token: None,
        }
    }

    /// The client of a mini program whose person is logged in.
    pub(crate) async fn mini_program(&self, person: &str) -> Client {
        let mut client = self.client(person);
        let code = self.simulator().client_code(MINI_ID, person).unwrap();
        let body = json!({ "code": code });
        let reply = client.post("/_wxgate/mini-program/login", &body).await;
        client.keep_token(&reply);
        client
    }
}

impl Client {
    /// From now on shows the token of this answer.
    #[track_caller]
    pub(crate) fn keep_token(&mut self, reply: &Reply) {
        let token = reply.json()["token"].as_str().map(str::to_owned);
        assert!(token.is_some(), "{}", reply.text());
        self.token = token;
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        let headers = [("content-type", "application/json")];
        self.send(Method::POST, path, &headers, &body.to_string())
            .await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header(
                "user-agent",
                "Mozilla/5.0 MicroMessenger/8.0.50 MiniProgramEnv/android",
            );
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::from(Bytes::copy_from_slice(body.as_bytes()));
        exchange(self.address, request.body(body).unwrap()).await
    }
}
