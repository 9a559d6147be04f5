//! Requests of the doctor's own: to the public address as a visitor's browser sends them, and to this machine.

use std::error::Error;
use std::net::SocketAddr;
use std::time::SystemTime;

use anyhow::Context;
use reqwest::header::{DATE, HOST, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;

use super::PATIENCE;
use crate::listen::{self, reachable};
use crate::message::{Host, Site};
use crate::proxy::{Tls, TlsSettings};

/// Longest body that is compared.
const LONGEST: usize = 64 * 1024;

/// An answer, as far as the doctor looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: u16,
    /// Bytes of its longest header.
    pub(super) longest_header: usize,
    pub(super) body: Vec<u8>,
}

/// Trusts public authorities and those of the system, as a visitor's browser, and follows nothing. Connections to `host` go to
/// the address beside it.
pub(super) fn client(to: Option<(&Host, SocketAddr)>) -> anyhow::Result<reqwest::Client> {
    let tls = Tls::new(TlsSettings::default()).context("TLS")?;
    let builder = reqwest::Client::builder();
    let builder = match to {
        Some((host, address)) => builder.resolve(host.as_str(), address),
        None => builder,
    };
    builder
        .tls_backend_preconfigured(tls.http1_config())
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

/// Asks the gateway on this machine: as a proxy before it does, or as a visitor where it speaks TLS itself.
pub(super) async fn ask_here(
    http: &reqwest::Client,
    listener: &listen::Settings,
    host: &Host,
    path: &str,
) -> Option<Seen> {
    let address = reachable(listener.address);
    if listener.tls.is_none() {
        let request = http.get(format!("http://{address}{path}"));
        return see(request.header(HOST, host.as_str())).await.ok();
    }
    let http = client(Some((host, address))).ok()?;
    let url = format!("https://{}:{}{path}", host.as_str(), address.port());
    see(http.get(url)).await.ok()
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
    let lengths = answer.headers().values().map(HeaderValue::len);
    let longest_header = lengths.max().unwrap_or_default();
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| reason(&error))? {
        body.extend_from_slice(&piece);
        if body.len() > LONGEST {
            break;
        }
    }
    Ok(Seen {
        status,
        longest_header,
        body,
    })
}

/// The innermost cause, which names what went wrong.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
