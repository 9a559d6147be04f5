//! The one place that sends a request: deadline, retry, metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::retry;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use crate::observe::{Metrics, OpenSpan, SpanKind, Trace};

use super::answer::{parse, read};
use super::{App, Error, Settings, TokenServer};

/// How often a call is sent at most.
const TRIES: usize = 3;

/// WeChat's code for "busy, try again".
const BUSY: i64 = -1;

/// Sends requests to WeChat's API host.
pub(super) struct Caller {
    http: reqwest::Client,
    /// The same without the proxy.
    direct: reqwest::Client,
    base_url: String,
    timeout: Duration,
    metrics: Arc<Metrics>,
}

// The HTTP client's own output would show the proxy's address, password included.
impl fmt::Debug for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Caller")
            .field("base_url", &self.base_url)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What to call.
pub(super) struct Call<'a> {
    /// On whose behalf; for the metric.
    pub(super) app: &'a App,
    /// Its name in the metric.
    pub(super) endpoint: &'static str,
    /// Begins with a slash.
    pub(super) path: &'static str,
    /// In the order in which it is sent.
    pub(super) query: &'a [(&'static str, &'a str)],
    /// When the answer must be there, every retry included.
    pub(super) deadline: Instant,
    /// The trace that the call is a part of.
    pub(super) trace: Option<&'a Trace>,
}

impl Caller {
    /// Builds the HTTP client.
    pub(super) fn new(settings: &Settings, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let builder = builder(settings)?;
        let builder = match &settings.proxy {
            Some(address) => builder.proxy(reqwest::Proxy::all(address).map_err(setup)?),
            None => builder,
        };
        Ok(Self {
            http: builder.build().map_err(setup)?,
            direct: self::builder(settings)?.build().map_err(setup)?,
            base_url: settings.base_url.clone(),
            timeout: settings.timeout,
            metrics,
        })
    }

    /// How long the calls of one login may take in all.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a GET and parses the answer, all before the call's deadline.
    ///
    /// It is sent again, at most twice, when WeChat says that it was busy or when nothing was sent.
    pub(super) async fn send<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Error> {
        self.send_with(call, None).await
    }

    /// The same as a POST with a JSON body.
    pub(super) async fn send_json<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        body: &Value,
    ) -> Result<T, Error> {
        self.send_with(call, Some(body)).await
    }

    async fn send_with<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        let mut tries = 1;
        loop {
            let error = match self.send_once(&call, body).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = pause();
            let left = call.deadline.saturating_duration_since(Instant::now());
            if !may_send_again(&error, tries, pause < left) {
                return Err(error);
            }
            sleep(pause).await;
            tries += 1;
        }
    }

    async fn send_once<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let span = call
            .trace
            .and_then(|trace| trace.span("wechat", SpanKind::Client));
        let result = match timeout_at(call.deadline, self.fetch(call, body)).await {
            Ok(fetched) => fetched.and_then(|body| parse(&body)),
            Err(_) => Err(Error::Timeout(self.timeout)),
        };
        self.count(call.app, call.endpoint, &result, started);
        if let Some(span) = span {
            describe(span, call, result.as_ref().err());
        }
        result
    }

    async fn fetch(&self, call: &Call<'_>, body: Option<&Value>) -> Result<Vec<u8>, Error> {
        let url = format!("{}{}", self.base_url, call.path);
        let request = match body {
            None => self.http.get(url),
            Some(body) => self.http.post(url).json(body),
        };
        read(request.query(call.query)).await
    }

    /// Asks a token server of the operator, which answers as WeChat does. Never through the proxy: it is for WeChat only.
    pub(super) async fn ask_token_server<T: DeserializeOwned>(
        &self,
        app: &App,
        server: &TokenServer,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let request = self.direct.get(&server.url);
        let request = match &server.bearer {
            None => request,
            Some(bearer) => request.bearer_auth(bearer.reveal()),
        };
        let result = match timeout_at(started + self.timeout, read(request)).await {
            Ok(fetched) => fetched.and_then(|body| parse(&body)),
            Err(_) => Err(Error::Timeout(self.timeout)),
        };
        self.count(app, "token_server", &result, started);
        result
    }

    fn count<T>(
        &self,
        app: &App,
        endpoint: &'static str,
        result: &Result<T, Error>,
        started: Instant,
    ) {
        let (label, code) = match result {
            Ok(_) => ("ok", None),
            Err(error) => label(error),
        };
        let took = started.elapsed();
        self.metrics
            .wechat_call(app.name.as_str(), endpoint, label, code, took);
    }
}

/// What a span says of a call: never what was asked or answered.
fn describe(mut span: OpenSpan, call: &Call<'_>, error: Option<&Error>) {
    span.note("wechat.app", call.app.name.as_str().to_owned());
    span.note("wechat.endpoint", call.endpoint);
    if let Some(error) = error {
        let (kind, code) = label(error);
        if let Some(code) = code {
            span.note("wechat.errcode", code);
        }
        span.fail(kind);
    }
}

/// What both clients have in common.
fn builder(settings: &Settings) -> Result<reqwest::ClientBuilder, Error> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config().map_err(Error::Tls)?)
        .user_agent(concat!("wxgate/", env!("CARGO_PKG_VERSION")))
        // SECURITY: the secret is in the query; it goes to the configured host or nowhere.
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        // A code works once, so only `send` decides what is sent again.
        .retry(retry::never())
        .connect_timeout(settings.connect_timeout)
        // Short, because a connection that WeChat closes while we write costs the visitor the code.
        .pool_idle_timeout(Duration::from_secs(10));
    Ok(builder)
}

/// TLS with the built-in Mozilla roots: images without certificate files work too.
pub(crate) fn tls_config() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// A code works once: after anything but "busy" and "nothing was sent" its outcome is not known.
fn may_send_again(error: &Error, tries: usize, has_time: bool) -> bool {
    if tries >= TRIES || !has_time {
        return false;
    }
    match error {
        Error::Refused { code, .. } => *code == BUSY,
        Error::Unreachable(_) => true,
        Error::Timeout(_)
        | Error::Broken(_)
        | Error::Status(_)
        | Error::TooLong(_)
        | Error::NotJson { .. }
        | Error::Field(_)
        | Error::OtherPerson
        | Error::AddressNotListed { .. }
        | Error::Store(_)
        | Error::Setup(_)
        | Error::Tls(_) => false,
    }
}

/// 100 to 500 ms, so that visitors who met the same trouble do not come back together.
fn pause() -> Duration {
    let mut random = [0; 2];
    // Without random bytes the pause is the shortest one: no reason to fail.
    let _ = aws_lc_rs::rand::fill(&mut random);
    Duration::from_millis(100 + u64::from(u16::from_be_bytes(random)) % 401)
}

fn label(error: &Error) -> (&'static str, Option<i64>) {
    match error {
        Error::Refused { .. } | Error::AddressNotListed { .. } => ("errcode", error.code()),
        Error::Timeout(_) => ("timeout", None),
        Error::Unreachable(_)
        | Error::Broken(_)
        | Error::Status(_)
        | Error::TooLong(_)
        | Error::NotJson { .. }
        | Error::Field(_)
        | Error::OtherPerson
        | Error::Store(_)
        | Error::Setup(_)
        | Error::Tls(_) => ("http", None),
    }
}

// SECURITY: the proxy's address may hold a password.
fn setup(error: reqwest::Error) -> Error {
    Error::Setup(error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_busy_answers_are_sent_again_and_only_in_time() {
        let refused = |code| Error::Refused {
            code,
            reference: String::new(),
        };
        let table = [
            (refused(-1), 1, true, true),
            (refused(-1), 2, true, true),
            (refused(-1), 3, true, false),
            (refused(-1), 1, false, false),
            (refused(45011), 1, true, false),
            (refused(40163), 1, true, false),
            (refused(40029), 1, true, false),
            (Error::Timeout(Duration::from_secs(5)), 1, true, false),
            (Error::Status(500), 1, true, false),
            (Error::Status(429), 1, true, false),
            (Error::TooLong(1), 1, true, false),
            (Error::NotJson { line: 1, column: 1 }, 1, true, false),
            (Error::Field("openid"), 1, true, false),
            (Error::OtherPerson, 1, true, false),
        ];
        for (error, tries, has_time, expected) in table {
            let answer = may_send_again(&error, tries, has_time);
            assert_eq!(answer, expected, "{error} after {tries}");
        }
    }

    #[test]
    fn pauses_stay_in_their_bounds_and_differ() {
        let pauses: std::collections::BTreeSet<_> = (0..200).map(|_| pause()).collect();

        let bounds = Duration::from_millis(100)..=Duration::from_millis(500);
        assert!(pauses.iter().all(|pause| bounds.contains(pause)));
        assert!(pauses.len() > 20, "{}", pauses.len());
    }
}
