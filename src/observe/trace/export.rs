//! The queue of spans, and the task that sends them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus_client::metrics::counter::Counter;
use reqwest::redirect::Policy;
use reqwest::retry;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::span::Span;
use super::wire;
use crate::observe::Metrics;

/// So many spans may wait; what comes then is dropped.
const MOST_WAITING: usize = 4096;

/// So many go in one request.
const BATCH: usize = 512;

/// How long spans may wait for others to go along.
const GATHERING: Duration = Duration::from_secs(1);

/// How long a request may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before what failed is sent again, each time.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Statuses after which the same may be sent again: <https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes>.
const BUSY: [StatusCode; 4] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

/// The longest answer that is read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The provider of TLS offers too little.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// Takes spans that have ended; never waits.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<Span>,
    dropped: Counter,
}

/// Knows the task that sends.
#[derive(Debug)]
pub(super) struct Exporter {
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Queue {
    pub(super) fn add(&self, span: Span) {
        if self.sender.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

impl Exporter {
    /// Starts the task. It ends with [`close`](Self::close), or when it was dropped and so was every queue.
    pub(super) fn start(endpoint: &str, metrics: &Metrics) -> Result<(Queue, Self), SetupError> {
        let (sender, spans) = mpsc::channel(MOST_WAITING);
        let (closing, is_closing) = watch::channel(false);
        let sending = Sending {
            client: client()?,
            endpoint: endpoint.into(),
            instance: super::random_instance(),
            exported: metrics.trace_spans_exported(),
            failed: metrics.trace_spans_dropped("export"),
            rejected: metrics.trace_spans_dropped("rejected"),
            closing: is_closing,
            is_failing: false,
        };
        let task = tokio::spawn(run(sending, spans));
        let queue = Queue {
            sender,
            dropped: metrics.trace_spans_dropped("full"),
        };
        let exporter = Self {
            closing,
            task: Mutex::new(Some(task)),
        };
        Ok((queue, exporter))
    }

    pub(super) async fn close(&self) {
        self.closing.send_replace(true);
        let task = {
            let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            task.take()
        };
        if let Some(task) = task {
            // It panicked, or everything was sent.
            let _ = task.await;
        }
    }
}

/// Sends what comes, in batches, until it is told to close or nobody can add anything; then what is left.
async fn run(mut sending: Sending, mut spans: mpsc::Receiver<Span>) {
    let mut batch = Vec::new();
    loop {
        let count = tokio::select! {
            count = spans.recv_many(&mut batch, BATCH) => count,
            () = closed(&sending.closing) => 0,
        };
        if count == 0 {
            break;
        }
        if batch.len() < BATCH {
            tokio::select! {
                () = sleep(GATHERING) => {}
                () = closed(&sending.closing) => {}
            }
            take_waiting(&mut spans, &mut batch);
        }
        sending.send(std::mem::take(&mut batch)).await;
    }
    spans.close();
    loop {
        take_waiting(&mut spans, &mut batch);
        if batch.is_empty() {
            return;
        }
        sending.send(std::mem::take(&mut batch)).await;
    }
}

/// Ready when the exporter is told to close; never where it was forgotten, because then its queue ends.
async fn closed(closing: &watch::Receiver<bool>) {
    let mut closing = closing.clone();
    if closing.wait_for(|is_closing| *is_closing).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn take_waiting(spans: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) {
    while batch.len() < BATCH
        && let Ok(span) = spans.try_recv()
    {
        batch.push(span);
    }
}

/// What the task sends with.
struct Sending {
    client: reqwest::Client,
    endpoint: String,
    instance: String,
    closing: watch::Receiver<bool>,
    exported: Counter,
    failed: Counter,
    rejected: Counter,
    /// Whether the last batch was lost; so that trouble is logged once and not with each batch.
    is_failing: bool,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// Nobody answered, or not in time.
    #[error("the collector does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// It is too busy.
    #[error("the collector is busy: {0}")]
    Busy(StatusCode),
    /// It will never take it.
    #[error("the collector answered {0}")]
    Refused(StatusCode),
}

impl Sending {
    /// Sends one batch, again where that may help and the exporter is not closing; counts what became of it.
    async fn send(&mut self, spans: Vec<Span>) {
        let count = spans.len() as u64;
        let body = Bytes::from(wire::request(spans, &self.instance));
        let mut pauses = PAUSES.into_iter();
        let refusal = loop {
            match self.post(body.clone()).await {
                Ok(rejected) => {
                    let rejected = rejected.min(count);
                    self.rejected.inc_by(rejected);
                    self.exported.inc_by(count - rejected);
                    if self.is_failing {
                        tracing::info!("spans are exported again");
                    }
                    self.is_failing = false;
                    return;
                }
                Err(refusal) => {
                    let pause = pauses.next().filter(|_| refusal.is_passing());
                    let Some(pause) = pause else { break refusal };
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = closed(&self.closing) => break refusal,
                    }
                }
            }
        };
        self.failed.inc_by(count);
        if !self.is_failing {
            let error: &dyn std::error::Error = &refusal;
            tracing::warn!(error, "spans are lost: the collector does not take them");
        }
        self.is_failing = true;
    }

    /// How many spans the collector did not want.
    async fn post(&self, body: Bytes) -> Result<u64, Refusal> {
        // SECURITY: some collectors have a token in the address.
        let unreachable = |error: reqwest::Error| Refusal::Unreachable(error.without_url());
        let request = self.client.post(&self.endpoint);
        let request = request.header(CONTENT_TYPE, "application/x-protobuf");
        let mut answer = request.body(body).send().await.map_err(unreachable)?;
        match answer.status() {
            status if status.is_success() => {}
            status if BUSY.contains(&status) => return Err(Refusal::Busy(status)),
            status => return Err(Refusal::Refused(status)),
        }
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if text.len() + chunk.len() > LONGEST_ANSWER {
                break;
            }
            text.extend_from_slice(&chunk);
        }
        Ok(wire::rejected(&text))
    }
}

impl Refusal {
    /// Whether sending again may help.
    fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Busy(_) => true,
            Self::Refused(_) => false,
        }
    }
}

/// Talks to the collector alone: with the built-in roots and those of the system, and never somewhere else than it was told.
fn client() -> Result<reqwest::Client, SetupError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(SetupError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("wxgate/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .retry(retry::never())
        .timeout(PATIENCE)
        .build()
        .map_err(SetupError::Client)
}
