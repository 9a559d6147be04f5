//! Health, metrics, status and orders on a listener of their own, never on the public one.
//!
//! | path | 200 when |
//! |---|---|
//! | `/healthz` | the process answers |
//! | `/startupz` | the first load is finished |
//! | `/readyz` | started, not draining, store reachable; `?verbose` lists the checks |
//! | `/metrics` | always |
//! | `/token/<app>` | the app's token is shared, and there is one |
//!
//! | `/status`, `/status.json` | always |
//! | `/explain?url=` | the address can be judged |
//! | `/sessions` | sessions are kept in the store |
//! | POST `/doctor` | no other run goes on; GET shows its button |
//! | POST `/sessions/revoke`, `/reload`, `/drain`, `/log-level`, `/jwt/rotate` | the order was carried out |
//!
//! Probes answer 503 otherwise, orders 4xx or 5xx with `{"error": …}`; everything else is 404.
//!
//! A page that an operator has open in a browser must not be able to give orders or to read: an order needs the header
//! `X-Wxgate-Admin`, which no other site can set. The doctor changes nothing, so a form of our own pages may ask for it: `Origin`
//! names them. Where there is no token `Host` must be an address or `localhost`, so that no foreign name can be made to lead here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::header::{ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::message::{self, Answer};
use crate::observe::Metrics;
use crate::secret::Secret;
use crate::wechat::AppName;

mod control;
mod doctor;
mod explain;
mod facts;
mod generation;
mod operator;
mod orders;
mod page;
mod query;
mod readiness;
mod recent;
mod series;
mod sessions;
mod status;
mod token;

#[cfg(test)]
mod tests;

pub use control::{Control, Order, Orders};
pub use doctor::{Doctor, Examining};
pub use explain::{Asked, Explain, Explained};
pub use generation::{
    AppFacts, CertificateFacts, Generation, RouteFacts, ServerFacts, TokenFacts, UpstreamFacts,
    WechatErrorFacts,
};
pub use readiness::{Check, Readiness, STORE_PATIENCE, State};
pub use recent::Recent;
pub use token::TokenShares;

/// What [`Metrics::encode_text`] writes.
const PROMETHEUS_TEXT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What [`Metrics::encode`] writes: <https://prometheus.io/docs/specs/om/open_metrics_spec/#protocol-negotiation>.
const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The admin listener.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Loopback unless there is a token; `None` switches it off.
    pub listen: Option<SocketAddr>,
    /// Asked for as `Authorization: Bearer` where the address is not loopback.
    pub token: Option<Secret<String>>,
    /// Whose app-wide token other systems may read, and the bearer token for it.
    pub token_shares: Vec<(AppName, Secret<String>)>,
}

/// Answers what comes in on the admin listener.
#[derive(Debug)]
pub struct Admin {
    token: Option<Secret<String>>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    token_shares: Option<TokenShares>,
    control: Option<Control>,
}

impl Admin {
    /// With a token, every path but `/healthz` asks for it.
    pub fn new(
        token: Option<Secret<String>>,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
    ) -> Self {
        Self {
            token,
            metrics,
            readiness,
            token_shares: None,
            control: None,
        }
    }

    /// Shows a status page and takes orders.
    pub fn with_control(mut self, control: Control) -> Self {
        self.control = Some(control);
        self
    }

    /// Lets other systems read app-wide tokens.
    pub fn with_token_shares(mut self, shares: TokenShares) -> Self {
        self.token_shares = Some(shares);
        self
    }

    /// Answers one request of `peer`. Waits for the store at most [`STORE_PATIENCE`]. The answer to HEAD has the body that GET would have;
    /// the listener leaves it out.
    pub async fn handle(
        &self,
        method: &Method,
        target: &PathAndQuery,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Answer {
        let asked = orders::Asked {
            method,
            target,
            headers,
            peer,
        };
        let mut answer = self.answer(&asked).await;
        let no_store = HeaderValue::from_static("no-store");
        answer.headers_mut().insert(CACHE_CONTROL, no_store);
        answer
    }

    async fn answer(&self, asked: &orders::Asked<'_>) -> Answer {
        let orders::Asked {
            method,
            target,
            headers,
            ..
        } = *asked;
        if let Some(control) = &self.control
            && let Some(place) = orders::Place::of(target.path())
        {
            return self.operate(control, place, asked).await;
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return method_not_allowed("GET, HEAD");
        }
        if target.path() == "/healthz" {
            return message::text(StatusCode::OK, "admin", "ok\n");
        }
        // With a bearer token of its own: who may read one app's token may do nothing else here, and the reverse.
        if let Some(shares) = &self.token_shares
            && let Some(share) = shares.find(target.path())
        {
            return shares.answer(share, headers).await;
        }
        // Before 404, so that nobody without the token learns what there is.
        if !self.admits(headers) {
            return unauthorized();
        }
        match target.path() {
            "/startupz" => one_check(self.readiness.started()),
            "/readyz" => readiness_answer(&self.readiness.checks().await, is_verbose(target)),
            "/metrics" => self.metrics_answer(headers),
            _ => message::text(StatusCode::NOT_FOUND, "admin-not-found", "not found\n"),
        }
    }

    /// OpenMetrics for whoever asks for it, as Prometheus does; the older form for everybody else.
    fn metrics_answer(&self, headers: &HeaderMap) -> Answer {
        let knows_openmetrics = headers.get_all(ACCEPT).iter().any(|accept| {
            let accept = accept.as_bytes();
            memchr::memmem::find(accept, b"application/openmetrics-text").is_some()
        });
        let (page, kind) = match knows_openmetrics {
            true => (self.metrics.encode(), OPENMETRICS),
            false => (self.metrics.encode_text(), PROMETHEUS_TEXT),
        };
        let mut answer = message::text(StatusCode::OK, "admin", page);
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        answer
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        bearer(headers).is_some_and(|given| is_same(given, token))
    }
}

fn is_same(given: &str, token: &Secret<String>) -> bool {
    verify_slices_are_equal(given.as_bytes(), token.reveal().as_bytes()).is_ok()
}

/// The token of the only `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn is_verbose(target: &PathAndQuery) -> bool {
    let keys = target.query().unwrap_or_default().split('&');
    keys.map(|pair| pair.split('=').next())
        .any(|key| key == Some("verbose"))
}

fn one_check(check: Check) -> Answer {
    readiness_answer(&[check], false)
}

/// Names what fails; all checks, one a line, if asked.
fn readiness_answer(checks: &[Check], verbose: bool) -> Answer {
    let failing = |check: &&Check| check.state != State::Ok;
    let failed: Vec<&str> = checks
        .iter()
        .filter(failing)
        .map(|check| check.name)
        .collect();
    let (status, reason) = if failed.is_empty() {
        (StatusCode::OK, "admin")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not-ready")
    };
    let body = if verbose {
        checks.iter().map(|check| format!("{check}\n")).collect()
    } else if failed.is_empty() {
        "ok\n".to_owned()
    } else {
        format!("fail: {}\n", failed.join(", "))
    };
    message::text(status, reason, body)
}

fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = message::empty(StatusCode::METHOD_NOT_ALLOWED, "admin-method");
    let allowed = HeaderValue::from_static(allowed);
    answer.headers_mut().insert(ALLOW, allowed);
    answer
}

fn unauthorized() -> Answer {
    let mut answer = message::text(StatusCode::UNAUTHORIZED, "admin-token", "token required\n");
    let scheme = HeaderValue::from_static("Bearer");
    answer.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    answer
}
