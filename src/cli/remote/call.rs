//! One request to the admin listener of a running gateway.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;
use tokio::net::TcpStream;

use super::super::Global;
use crate::listen::reachable;
use crate::secret::Secret;

/// Longer than a reload may take at the other end.
const PATIENCE: Duration = Duration::from_secs(35);

/// The longest answer: ten thousand sessions.
const LONGEST: usize = 16 * 1024 * 1024;

/// What the admin listener answered.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Json,
}

/// Gives an order, or asks, and waits for the answer.
pub(super) fn order(global: &Global, method: Method, target: &str) -> anyhow::Result<Reply> {
    let path = global.config_path()?;
    let Some(access) = super::super::check::admin_access(&path, global) else {
        bail!("the admin listener's address is not known without the configuration");
    };
    let Some(address) = access.listen else {
        bail!("`admin.listen` is \"none\", so there is nobody to ask");
    };
    let token = access.token.as_ref();
    super::super::serve::runtime()?.block_on(async {
        let asked = ask(reachable(address), method, target, token);
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        asked.context("no answer in time")?.with_context(|| {
            format!("no gateway answers on {address}\ntry: wxgate run, or name its configuration with --config")
        })
    })
}

/// Who runs the command, for the gateway's log: the name behind `sudo`, else the user's, else `1`.
fn who() -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|name| !name.is_empty()));
    let is_plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_graphic());
    name.filter(is_plain).unwrap_or_else(|| "1".to_owned())
}

async fn ask(
    address: SocketAddr,
    method: Method,
    target: &str,
    token: Option<&Secret<String>>,
) -> anyhow::Result<Reply> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, address.to_string())
        .header("x-wxgate-admin", who());
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        Ok::<_, anyhow::Error>(Reply {
            status,
            body: serde_json::from_slice(&body).unwrap_or(Json::Null),
        })
    };
    tokio::pin!(exchange);
    tokio::select! {
        reply = &mut exchange => reply,
        ended = connection => {
            ended?;
            exchange.await
        }
    }
}
