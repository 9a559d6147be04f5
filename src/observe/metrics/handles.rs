//! Handles of one route and of one upstream: resolved once, then only atomics.

use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::histogram::Histogram;
use super::upstreams::Holder;
use super::{Counters, Histograms, Labels, ListenerMetrics, label};

/// Kinds of answer (listener, method and status) that a route resolves only once; further kinds cost a look-up each time.
const ANSWER_SLOTS: usize = 32;
/// Kinds of decision that a route resolves only once.
const DECISION_SLOTS: usize = 16;
/// Statuses of one upstream server that are resolved only once.
const STATUS_SLOTS: usize = 16;

/// The handles of one route.
///
/// Label values are the route's name, the method (those of RFC 9110 and `PATCH`, else `other`) and the status number (100
/// to 599, else `other`), so that clients cannot add series.
#[derive(Debug)]
pub struct RouteMetrics {
    pub(super) name: String,
    pub(super) requests: Counters,
    pub(super) durations: Histograms,
    pub(super) decisions: Counters,
    pub(super) request_sizes: Histogram,
    pub(super) response_sizes: Histogram,
    pub(super) websockets: Gauge,
    pub(super) answers_seen: Slots<(usize, Word, u16), (Counter, Histogram), ANSWER_SLOTS>,
    pub(super) decisions_seen: Slots<(Word, Word), Counter, DECISION_SLOTS>,
}

impl RouteMetrics {
    /// The last byte of the answer was sent, or the client went away. `duration` counts from the request's head;
    /// bytes are those of bodies.
    pub fn request_finished(
        &self,
        listener: &ListenerMetrics,
        method: &Method,
        status: StatusCode,
        duration: Duration,
        bytes_in: u64,
        bytes_out: u64,
    ) {
        let method = method_label(method);
        self.answers_seen.with(
            (listener.number(), Word(method), status.as_u16()),
            || self.resolve_answer(listener.name(), method, status),
            |(requests, durations)| {
                requests.inc();
                durations.observe_duration(duration);
            },
        );
        self.request_sizes.observe(bytes_in);
        self.response_sizes.observe(bytes_out);
    }

    /// What was decided about a request and why; both words are from closed sets.
    pub fn decision(&self, decision: &'static str, reason: &'static str) {
        self.decisions_seen.with(
            (Word(decision), Word(reason)),
            || {
                self.decisions.get_or_create_owned(&vec![
                    label("route", &self.name),
                    ("decision", decision.into()),
                    ("reason", reason.into()),
                ])
            },
            |counter| {
                counter.inc();
            },
        );
    }

    /// A tunnel was opened.
    pub fn websocket_opened(&self) {
        self.websockets.inc();
    }

    /// A tunnel ended.
    pub fn websocket_closed(&self) {
        self.websockets.dec();
    }

    fn resolve_answer(
        &self,
        listener: &str,
        method: &'static str,
        status: StatusCode,
    ) -> (Counter, Histogram) {
        let route = label("route", &self.name);
        let requests = self.requests.get_or_create_owned(&vec![
            label("listener", listener),
            route.clone(),
            ("method", method.into()),
            ("code", code_label(status)),
        ]);
        let durations = self.durations.get_or_create_owned(&vec![
            route,
            ("method", method.into()),
            ("code_class", code_class(status).into()),
        ]);
        (requests, durations)
    }
}

/// The handles of one server of an upstream.
#[derive(Debug)]
pub struct UpstreamMetrics {
    pub(super) name: String,
    pub(super) server: String,
    pub(super) requests: Counters,
    pub(super) errors: Counters,
    pub(super) durations: Histogram,
    pub(super) holder: Holder,
    pub(super) probes: Counters,
    pub(super) statuses_seen: Slots<u16, Counter, STATUS_SLOTS>,
}

impl UpstreamMetrics {
    /// The head of an answer arrived, `duration` after the request began to be sent.
    pub fn request_finished(&self, status: StatusCode, duration: Duration) {
        self.statuses_seen.with(
            status.as_u16(),
            || {
                self.requests.get_or_create_owned(&vec![
                    label("upstream", &self.name),
                    label("server", &self.server),
                    ("code", code_label(status)),
                ])
            },
            |counter| {
                counter.inc();
            },
        );
        self.durations.observe_duration(duration);
    }

    /// No answer: `kind` is `connect`, `tls`, `timeout`, `reset` or `protocol`.
    pub fn failed(&self, kind: &'static str) {
        let labels = vec![label("upstream", &self.name), ("kind", kind.into())];
        self.errors.get_or_create_owned(&labels).inc();
    }

    /// A health check was answered, well or not.
    pub fn probed(&self, is_good: bool) {
        let result = if is_good { "ok" } else { "failed" };
        let labels = vec![
            label("upstream", &self.name),
            label("server", &self.server),
            ("result", result.into()),
        ];
        self.probes.get_or_create_owned(&labels).inc();
    }

    /// Whether requests are sent to this server.
    pub fn set_healthy(&self, healthy: bool) {
        self.holder.set_healthy(healthy);
    }
}

/// A word of a closed set, known by the place where it is kept.
///
/// PERF: comparing their texts took 1.3 % of a request's processor time, because a call for a few bytes is seldom foreseen. A word
/// that the compiler keeps twice takes two slots, whose handles count together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word(&'static str);

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

/// Remembers the first `N` handles it was asked for. Reading is a scan over a few keys without any lock.
#[derive(Debug)]
pub(super) struct Slots<K, V, const N: usize>([OnceLock<(K, V)>; N]);

impl<K, V, const N: usize> Default for Slots<K, V, N> {
    fn default() -> Self {
        Self([const { OnceLock::new() }; N])
    }
}

impl<K: PartialEq + Copy, V, const N: usize> Slots<K, V, N> {
    /// Calls `act` with the handle of `key`, which `resolve` makes where it is new, or where no slot is free.
    fn with(&self, key: K, resolve: impl Fn() -> V, act: impl FnOnce(&V)) {
        for slot in &self.0 {
            let (kept, value) = slot.get_or_init(|| (key, resolve()));
            if *kept == key {
                return act(value);
            }
        }
        act(&resolve());
    }
}

/// The method as it is counted: those of RFC 9110 and `PATCH`, else `other`.
pub fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

fn code_label(status: StatusCode) -> std::borrow::Cow<'static, str> {
    match status.as_u16() {
        100..=599 => status.as_u16().to_string().into(),
        _ => "other".into(),
    }
}

fn code_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    }
}

/// The labels of one route alone.
pub(super) fn route_labels(name: &str) -> Labels {
    vec![label("route", name)]
}
