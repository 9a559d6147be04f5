//! Requests of the doctor's own: to the public address as a visitor's browser sends them, and to this machine.

use std::error::Error;
use std::net::SocketAddr;
use std::time::SystemTime;

use anyhow::Context;
use reqwest::header::{DATE, HOST, HeaderMap};
use reqwest::redirect::Policy;

use super::PATIENCE;
use crate::message::{Host, Site};
use crate::wechat;

/// Longest body that is compared.
const LONGEST: usize = 64 * 1024;

/// An answer, as far as the doctor looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Trusts the same authorities as the gateway, and follows nothing.
pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    let tls = wechat::tls_config().context("TLS")?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("wxgate-doctor/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(PATIENCE)
        .timeout(PATIENCE)
        .build()
        .context("cannot set up an HTTP client")
}

/// Asks a host of ours by its public name.
pub(super) async fn ask_publicly(
    http: &reqwest::Client,
    site: &Site,
    host: &Host,
    path: &str,
    headers: HeaderMap,
) -> Result<Seen, String> {
    let url = format!("{}{path}", site.origin(host));
    see(http.get(url).headers(headers)).await
}

/// Asks the gateway on this machine, as a proxy before it does.
pub(super) async fn ask_here(
    http: &reqwest::Client,
    address: SocketAddr,
    host: &Host,
    path: &str,
) -> Result<Seen, String> {
    let url = format!("http://{address}{path}");
    see(http.get(url).header(HOST, host.as_str())).await
}

/// WeChat's clock, by the head of any answer of its.
pub(super) async fn date_of(http: &reqwest::Client, url: &str) -> Option<SystemTime> {
    let answer = http.get(url).send().await.ok()?;
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    parse_date(date)
}

/// `Thu, 26 Nov 2026 09:00:00 GMT`
pub(super) fn parse_date(text: &str) -> Option<SystemTime> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(SystemTime::from(time.timestamp()))
}

async fn see(request: reqwest::RequestBuilder) -> Result<Seen, String> {
    let mut answer = request.send().await.map_err(|error| reason(&error))?;
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| reason(&error))? {
        body.extend_from_slice(&piece);
        if body.len() > LONGEST {
            break;
        }
    }
    Ok(Seen { status, body })
}

/// The innermost cause, which names what went wrong.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
