//! Requests as parts of traces: where a trace begins, and what its spans say.
//!
//! SECURITY: spans leave the machine. They say what the access log says of the request, without the query, addresses of visitors
//! and who they are.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::journal::{Entry, Journal, without_ticket};
use crate::observe::{
    Attributes, OpenSpan, Parent, SpanKind, TRACEPARENT, TRACESTATE, Trace, Tracer, method_label,
};
use crate::proxy::{self, Forwarded};

/// The trace of a request. Only a trusted proxy may say to which one it belongs: a visitor who could would choose what is recorded,
/// and put requests into traces of others.
pub(super) fn begin(
    tracer: &Tracer,
    headers: &mut HeaderMap,
    peer_is_trusted: bool,
    now: SystemTime,
) -> Trace {
    let parent = Parent::of(headers).filter(|_| peer_is_trusted);
    let trace = tracer.begin(parent, now);
    if !trace.is_continued() {
        headers.remove(TRACESTATE);
    }
    trace
}

/// The span of a request's way to the application, where the trace is recorded, and the field by which the application's own
/// spans join.
pub(super) fn begin_upstream(
    trace: &Trace,
) -> (Option<OpenSpan>, Option<(HeaderName, HeaderValue)>) {
    let span = trace.span("upstream", SpanKind::Client);
    let traceparent = match &span {
        Some(span) => span.traceparent(),
        None => trace.traceparent(),
    };
    (span, Some((TRACEPARENT, traceparent)))
}

/// What became of a request on its way to the application.
pub(super) fn end_upstream(
    mut span: OpenSpan,
    upstream: &str,
    outcome: Result<&Forwarded, &proxy::Error>,
) {
    span.note("wxgate.upstream", upstream.to_owned());
    let forwarded = match outcome {
        Ok(forwarded) => forwarded,
        Err(proxy::Error::RequestBody(_)) => return span.fail("body"),
        Err(_) => return span.fail("upstream"),
    };
    let server = &*forwarded.server;
    span.note("wxgate.upstream_server", server.to_owned());
    if forwarded.attempts > 1 {
        let again = i64::from(forwarded.attempts - 1);
        span.note("http.request.resend_count", again);
    }
    let status = forwarded.response.status();
    span.note("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail("5xx");
    }
}

impl Entry {
    /// Ends the trace's own span.
    pub(super) fn finish_trace(&self) {
        if let Some(trace) = &self.info.trace {
            trace.finish(|| self.describe());
        }
    }

    fn describe(&self) -> (String, Attributes, bool) {
        let (info, journal) = (&self.info, &self.journal);
        let method = method_text(&info.method);
        let path = without_ticket(info.target.path(), &self.parts.site.path_prefix);
        let version = self.protocol.trim_start_matches("HTTP/");
        let has_failed = journal.status.is_server_error() || journal.was_cut;
        let name = format!("{method} {}", journal.route.logged.name());
        let mut attributes: Attributes = vec![
            ("http.request.method", method.into()),
            (
                "http.response.status_code",
                i64::from(journal.status.as_u16()).into(),
            ),
            ("network.protocol.version", version.into()),
            ("server.address", info.host.as_str().to_owned().into()),
            ("url.path", path.into_owned().into()),
            ("url.scheme", self.parts.site.scheme.as_str().into()),
            ("wxgate.request_id", info.id.as_str().to_owned().into()),
            (
                "wxgate.route",
                journal.route.logged.name().to_owned().into(),
            ),
        ];
        for (name, word) in [
            ("wxgate.decision", journal.decision),
            ("wxgate.reason", journal.reason),
        ] {
            if !word.is_empty() {
                attributes.push((name, word.into()));
            }
        }
        if has_failed {
            let why = if journal.was_cut { "cut" } else { "5xx" };
            attributes.push(("error.type", why.into()));
        }
        (name, attributes, has_failed)
    }
}

impl Journal {
    /// What was decided and why.
    pub(super) fn describe_decision(&self, span: &mut OpenSpan) {
        span.note("wxgate.route", self.route.logged.name().to_owned());
        span.note("wxgate.decision", self.decision);
        if !self.reason.is_empty() {
            span.note("wxgate.reason", self.reason);
        }
    }
}

/// Any token is a method; those that nobody knows have one name, as OpenTelemetry's conventions want.
fn method_text(method: &Method) -> &'static str {
    match method_label(method) {
        "other" => "_OTHER",
        known => known,
    }
}
