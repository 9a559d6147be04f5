//! Simulator, sample site and gateway in one process: the whole loop on one machine, with no account anywhere.
//!
//! [`Demo::start`] is the newcomer's first minute. `site` is the unmodified application behind the gateway, `received`
//! remembers what reached it, `gateway` starts the real gateway from a configuration text like anybody's.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Response};
use serde_json::json;

use crate::simulator::{self, AppKind, Extra, Simulator};

mod gallery;
mod gateway;
mod received;
mod site;

use self::gallery::Gallery;
use self::gateway::{Gateway, PushSecrets, Wiring};
use self::received::Received;
use self::site::SampleSite;

/// The appid of the demo's service account.
pub const APP_ID: &str = "wx0123456789abcdef";

/// The appid of the demo's website app.
pub const SITE_ID: &str = "wxfedcba9876543210";

/// The appid of the demo's mini program.
pub const MINI_ID: &str = "wx00000000000000aa";

/// The appid of the demo's app for phones.
pub const MOBILE_ID: &str = "wx00000000000000bb";

/// What the gateway calls each of them.
const APPS: [(&str, &str); 4] = [
    ("main", APP_ID),
    ("site", SITE_ID),
    ("mini", MINI_ID),
    ("mobile", MOBILE_ID),
];

/// What the demo starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the gateway listens; loopback only, port 0 takes a free one.
    pub gateway: SocketAddr,
    /// Where the simulator listens; loopback only, port 0 takes a free one.
    pub simulator: SocketAddr,
    /// Put the gateway in front of this site instead of the sample.
    pub upstream: Option<String>,
}

/// A running demo. [`stop`](Self::stop) ends it in order; dropping it ends it at once.
#[derive(Debug)]
pub struct Demo {
    /// The site behind the gateway: `http://127.0.0.1:9500`.
    pub gateway_url: String,
    /// The start page with the simulated phone.
    pub phone_url: String,
    /// What the application receives.
    pub debug_url: String,
    gateway: Gateway,
    simulator: Simulator,
    _site: SampleSite,
}

impl Demo {
    /// Starts all three. Fails when an address is taken or not on loopback. Cancelling leaves nothing behind.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let gateway_address = reserve(options.gateway)
            .with_context(|| format!("cannot listen on {}", options.gateway))?;
        let gateway_url = format!("http://{gateway_address}");
        let received = Arc::new(Received::default());
        let site = SampleSite::start(Arc::clone(&received), &gateway_url)
            .await
            .context("cannot start the sample site")?;
        let simulator = simulator::Options {
            site: Some(gateway_url.clone()),
            extra: Some(pages(received, gateway_url.clone(), Gallery::new()?)),
            ..simulator::Options::default()
        };
        let simulator = Simulator::start_with_options(options.simulator, simulator)
            .await
            .with_context(|| format!("cannot start the simulator on {}", options.simulator))?;
        let secret = gateway::random_secret()?;
        let push = PushSecrets::random()?;
        for (name, appid) in APPS {
            let address = format!("{gateway_url}/_wxgate/push/{name}");
            simulator.push_to(&address, push.account(appid));
        }
        simulator.add_app(APP_ID, &secret, &[&gateway_address.ip().to_string()]);
        let callback = gateway_address.ip().to_string();
        simulator.add_app_of_kind(AppKind::Website, SITE_ID, &secret, &[&callback]);
        simulator.add_app_of_kind(AppKind::MiniProgram, MINI_ID, &secret, &[]);
        simulator.add_app_of_kind(AppKind::MobileApp, MOBILE_ID, &secret, &[]);
        // Then the person has one subject from the first, silent login on.
        simulator.set_base_has_unionid(true);
        let wiring = Wiring {
            address: gateway_address,
            wechat: simulator.url(),
            secret,
            push,
            upstream: options.upstream.unwrap_or_else(|| site.url()),
        };
        Ok(Self {
            phone_url: format!("{}/demo", simulator.url()),
            debug_url: format!("{gateway_url}/debug"),
            gateway: Gateway::start(&wiring).await?,
            gateway_url,
            simulator,
            _site: site,
        })
    }

    /// The simulator, to script faults and to count logins.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// What to tell people when it runs: whole lines.
    pub fn banner(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let Self {
            gateway_url,
            phone_url,
            debug_url,
            ..
        } = self;
        format!(
            "wxgate {version} demo - everything is simulated, loopback only, nothing leaves this machine\n\
             \n\
             \x20 1  start here: all scenes    {phone_url}\n\
             \x20 2  site behind the gateway   {gateway_url}/\n\
             \x20 3  what the app receives     {debug_url}\n\
             \n\
             Open 1 and follow the steps. Open 2 in this browser: it is a computer, and logs in by a code that a phone scans.\n\
             Press Ctrl-C to stop.\n"
        )
    }

    /// Ends the gateway in order, then the rest.
    pub async fn stop(self) {
        self.gateway.stop().await;
    }
}

/// Finds the port before anything listens: the address goes into the configuration of the gateway and of the phone.
///
/// The socket is closed again, so another program could take the port in between; the gateway's start then fails.
fn reserve(address: SocketAddr) -> anyhow::Result<SocketAddr> {
    anyhow::ensure!(
        address.ip().is_loopback(),
        "the demo listens on loopback addresses only"
    );
    Ok(TcpListener::bind(address)?.local_addr()?)
}

/// The demo's own pages, served by the simulator beside the phone.
fn pages(received: Arc<Received>, site: String, gallery: Gallery) -> Extra {
    Arc::new(move |request: &Parts| match request.uri.path() {
        "/demo" => Some(file("text/html; charset=utf-8", include_str!("demo.html"))),
        "/demo/demo.js" => Some(file(
            "text/javascript; charset=utf-8",
            include_str!("demo.js"),
        )),
        "/demo/scenes.js" => Some(file(
            "text/javascript; charset=utf-8",
            include_str!("scenes.js"),
        )),
        "/demo/demo.css" => Some(file("text/css; charset=utf-8", include_str!("demo.css"))),
        "/demo/received" => {
            let answer = json!({
                "site": site,
                "account": APP_ID,
                "jwks": format!("{site}/_wxgate/jwks"),
                "latest": received.latest(),
                "person": received.person(),
            });
            Some(file("application/json", answer.to_string()))
        }
        _ => gallery.answer(request),
    })
}

fn file(content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests;
