//! Traces: what was done for one request, over all programs that take part, sent to a collector by OTLP.
//!
//! A [`Trace`] goes along with a request; where tracing is off there is none, and nothing else happens. Spans that have ended
//! wait in a bounded queue for a task of its own, so a collector that is slow or gone never holds up a request: what does not fit
//! is dropped and counted.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use tokio::time::Instant;

mod context;
mod export;
mod span;
mod wire;

pub use context::{Parent, TRACEPARENT, TRACESTATE};
pub use export::SetupError;
pub use span::{AttributeValue, Attributes, OpenSpan, SpanKind};

use super::Metrics;
use context::{SpanId, TraceId, traceparent};
use export::{Exporter, Queue};
use span::Span;

/// Where spans go, and how many.
#[derive(Clone, PartialEq)]
pub struct TraceSettings {
    /// The whole address that spans are posted to.
    pub endpoint: String,
    /// The share of traces that begin here and are recorded, from 0 to 1. A trace that goes on from a trusted proxy is recorded where
    /// the proxy records it.
    pub sample: f64,
}

// SECURITY: some collectors have a token in the address.
impl fmt::Debug for TraceSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TraceSettings")
            .field("sample", &self.sample)
            .finish_non_exhaustive()
    }
}

/// Begins traces.
#[derive(Debug)]
pub struct Tracer {
    sample: f64,
    queue: Queue,
    exporter: Exporter,
}

/// The trace that a request belongs to; cheap to clone.
#[derive(Clone, Debug)]
pub struct Trace(Arc<Inner>);

/// What all handles of a trace share.
#[derive(Debug)]
struct Inner {
    id: TraceId,
    /// Our answer to the request.
    root: SpanId,
    /// Whoever asked, where that is part of the trace.
    parent: Option<SpanId>,
    is_recorded: bool,
    text: String,
    /// When the request came, on both clocks.
    received: SystemTime,
    began: Instant,
    queue: Queue,
}

impl Tracer {
    /// Begins to export. Needs a Tokio runtime; fails only when TLS cannot be set up.
    pub fn start(settings: &TraceSettings, metrics: &Metrics) -> Result<Self, SetupError> {
        let (queue, exporter) = Exporter::start(&settings.endpoint, metrics)?;
        Ok(Self {
            sample: settings.sample,
            queue,
            exporter,
        })
    }

    /// The trace of a request that came at `received`: goes on from `parent`, which only a trusted proxy may name, or begins here.
    pub fn begin(&self, parent: Option<Parent>, received: SystemTime) -> Trace {
        let id = parent.map_or_else(random_trace_id, |parent| parent.trace);
        Trace(Arc::new(Inner {
            root: random_span_id(),
            parent: parent.map(|parent| parent.span),
            is_recorded: match parent {
                Some(parent) => parent.is_sampled,
                None => is_sampled(id, self.sample),
            },
            text: format!("{id:?}"),
            id,
            received,
            began: Instant::now(),
            queue: self.queue.clone(),
        }))
    }

    /// Sends what is left, once, and ends the export. Spans that end later are dropped. Cancelling loses what was not sent.
    pub async fn close(&self) {
        self.exporter.close().await;
    }
}

impl Trace {
    /// 32 hex digits.
    pub fn id(&self) -> &str {
        &self.0.text
    }

    /// Whether it goes on from the one who asked.
    pub fn is_continued(&self) -> bool {
        self.0.parent.is_some()
    }

    /// A span for a part of the answer; it begins now. `None` where the trace is not recorded.
    pub fn span(&self, name: &'static str, kind: SpanKind) -> Option<OpenSpan> {
        self.0
            .is_recorded
            .then(|| OpenSpan::begin(self, self.0.root, name, kind))
    }

    /// The `traceparent` of what is sent without a span of its own.
    pub fn traceparent(&self) -> HeaderValue {
        traceparent(self.0.id, self.0.root, self.0.is_recorded)
    }

    /// The answer was sent, or its client is gone. `describe` is asked only where the trace is recorded: name, attributes, whether
    /// the answer is a failure of ours.
    pub fn finish(&self, describe: impl FnOnce() -> (String, Attributes, bool)) {
        if !self.0.is_recorded {
            return;
        }
        let (name, attributes, has_failed) = describe();
        self.0.queue.add(Span {
            trace: self.0.id,
            id: self.0.root,
            parent: self.0.parent,
            name: name.into(),
            kind: SpanKind::Server,
            began: self.0.received,
            ended: self.time_of(Instant::now()),
            attributes,
            has_failed,
        });
    }

    /// The time of day at an instant: the spans of a trace never contradict each other, even when the clock is set meanwhile.
    fn time_of(&self, instant: Instant) -> SystemTime {
        self.0.received + instant.saturating_duration_since(self.0.began)
    }
}

/// Whether a trace that begins here is recorded. By its id, so that programs with the same share choose the same ones.
fn is_sampled(id: TraceId, share: f64) -> bool {
    let [.., a, b, c, d] = id.0;
    // Two to the power of 32: as exact as a share needs to be.
    f64::from(u32::from_be_bytes([a, b, c, d])) < share * 4_294_967_296.0
}

fn random_trace_id() -> TraceId {
    TraceId(random())
}

fn random_span_id() -> SpanId {
    SpanId(random())
}

/// Tells this process from others that send spans to the same collector.
fn random_instance() -> String {
    data_encoding::HEXLOWER.encode(&random::<16>())
}

/// Random bytes that are not all zero. Without random bytes ids meet, which spoils a trace and nothing else.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    if bytes == [0; N] {
        bytes = [1; N];
    }
    bytes
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    /// To where nobody listens.
    fn tracer(sample: f64, metrics: &Metrics) -> Tracer {
        let settings = TraceSettings {
            endpoint: "http://127.0.0.1:1/v1/traces".to_owned(),
            sample,
        };
        Tracer::start(&settings, metrics).unwrap()
    }

    fn parent(is_sampled: bool) -> Parent {
        Parent {
            trace: TraceId([7; 16]),
            span: SpanId([9; 8]),
            is_sampled,
        }
    }

    #[test]
    fn so_many_traces_are_recorded_as_the_share_says() {
        for (share, least, most) in [
            (0.0, 0, 0),
            (0.05, 300, 700),
            (0.5, 4_700, 5_300),
            (1.0, 10_000, 10_000),
        ] {
            let sampled = (0..10_000).filter(|_| is_sampled(random_trace_id(), share));
            let count = sampled.count();
            assert!((least..=most).contains(&count), "{share}: {count}");
        }
    }

    #[tokio::test]
    async fn a_trace_that_goes_on_is_recorded_where_the_one_before_records_it() {
        let metrics = Metrics::new();
        for (sample, is_sampled) in [(0.0, true), (1.0, false)] {
            let trace = tracer(sample, &metrics).begin(Some(parent(is_sampled)), SystemTime::now());

            assert_eq!(trace.id(), "07".repeat(16));
            assert_eq!(trace.span("x", SpanKind::Client).is_some(), is_sampled);
            let sent = trace.traceparent();
            let flags = if is_sampled { "-01" } else { "-00" };
            assert!(sent.to_str().unwrap().ends_with(flags), "{sent:?}");
        }
    }

    #[tokio::test]
    async fn spans_that_nobody_takes_are_dropped_and_counted() {
        let metrics = Metrics::new();
        let tracer = tracer(1.0, &metrics);
        // No task runs between these: the queue can only fill.
        for _ in 0..5_000 {
            let trace = tracer.begin(None, SystemTime::now());
            drop(trace.span("x", SpanKind::Internal));
        }

        assert_eq!(metrics.trace_spans_dropped("full").get(), 5_000 - 4_096);
        tracer.close().await;
        assert_eq!(metrics.trace_spans_dropped("export").get(), 4_096);
        assert_eq!(metrics.trace_spans_exported().get(), 0);
    }
}
