//! Spans: what was done for a request, from when to when.

use std::borrow::Cow;
use std::mem;
use std::time::SystemTime;

use http::HeaderValue;
use tokio::time::Instant;

use super::Trace;
use super::context::{SpanId, TraceId, traceparent};

/// What a span is to the programs around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpanKind {
    /// Something that we do by ourselves.
    #[default]
    Internal,
    /// We answer somebody.
    Server,
    /// We ask somebody.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// Text.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(i64),
}

impl From<&'static str> for AttributeValue {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for AttributeValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// Names and values; the names are those of OpenTelemetry's conventions where it has one, else they begin with `wxgate.` or `wechat.`.
pub type Attributes = Vec<(&'static str, AttributeValue)>;

/// One that has ended.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) began: SystemTime,
    pub(super) ended: SystemTime,
    pub(super) attributes: Attributes,
    pub(super) has_failed: bool,
}

/// One that goes on. It ends when it is dropped, whatever became of what it measures.
#[derive(Debug)]
pub struct OpenSpan(Box<Recording>);

#[derive(Debug)]
struct Recording {
    trace: Trace,
    id: SpanId,
    parent: SpanId,
    name: &'static str,
    kind: SpanKind,
    began: Instant,
    attributes: Attributes,
    has_failed: bool,
}

impl OpenSpan {
    pub(super) fn begin(trace: &Trace, parent: SpanId, name: &'static str, kind: SpanKind) -> Self {
        Self(Box::new(Recording {
            trace: trace.clone(),
            id: super::random_span_id(),
            parent,
            name,
            kind,
            began: Instant::now(),
            attributes: Vec::new(),
            has_failed: false,
        }))
    }

    /// A span for a part of what this one measures, which began earlier.
    pub fn child_since(&self, name: &'static str, kind: SpanKind, began: Instant) -> Self {
        let mut child = Self::begin(&self.0.trace, self.0.id, name, kind);
        child.0.began = began;
        child
    }

    /// Adds an attribute. Never a secret, a code, a token, or anybody's id.
    pub fn note(&mut self, name: &'static str, value: impl Into<AttributeValue>) {
        self.0.attributes.push((name, value.into()));
    }

    /// It did not work, and why: a word of a closed set.
    pub fn fail(&mut self, why: &'static str) {
        self.note("error.type", why);
        self.0.has_failed = true;
    }

    /// The `traceparent` of what is sent for this span.
    pub fn traceparent(&self) -> HeaderValue {
        traceparent(self.0.trace.0.id, self.0.id, true)
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        let Recording {
            trace,
            id,
            parent,
            name,
            kind,
            began,
            attributes,
            has_failed,
        } = &mut *self.0;
        trace.0.queue.add(Span {
            trace: trace.0.id,
            id: *id,
            parent: Some(*parent),
            name: Cow::Borrowed(*name),
            kind: *kind,
            began: trace.time_of(*began),
            ended: trace.time_of(Instant::now()),
            attributes: mem::take(attributes),
            has_failed: *has_failed,
        });
    }
}
