//! What became of one request; written to metrics and access log when it is over.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use tokio::time::Instant;

use super::error::Error;
use super::parts::{Gateway, Parts, RouteFacts};
use super::visitor::Visitor;
use crate::message::RequestInfo;
use crate::observe::{AccessRecord, ListenerMetrics, Trace};
use crate::route::policy::Decision;

/// Filled along the request path; dropping it writes it.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) parts: Arc<Parts>,
    pub(super) route: Arc<RouteFacts>,
    listener: Arc<ListenerMetrics>,
    began: Instant,
    received: SystemTime,
    pub(super) info: RequestInfo,
    pub(super) protocol: &'static str,
    pub(super) decision: &'static str,
    pub(super) reason: &'static str,
    pub(super) visitor: Option<Arc<Visitor>>,
    pub(super) status: StatusCode,
    pub(super) bytes_in: Option<Arc<AtomicU64>>,
    pub(super) bytes_out: u64,
    pub(super) upstream: Option<Answered>,
    pub(super) stripped_headers: u32,
    /// The answer's body ended too early.
    pub(super) was_cut: bool,
    /// The same callback was answered before.
    pub(super) is_replay: bool,
    /// Headers that the log shows; `None` where it shows none.
    quoted: Option<Box<Quoted>>,
}

/// Headers of the visitor that stand in a line as they were sent.
#[derive(Debug)]
struct Quoted {
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
}

/// Which server answered, and how.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) upstream: Arc<str>,
    pub(super) server: Arc<str>,
    pub(super) status: StatusCode,
    pub(super) waited: Duration,
}

impl Journal {
    /// For a request that no route was found for yet.
    pub(super) fn begin(
        gateway: &Gateway,
        info: RequestInfo,
        listener: SocketAddr,
        version: Version,
    ) -> Box<Self> {
        let listener = Arc::clone(gateway.parts.listener(listener));
        listener.request_began();
        Box::new(Self {
            parts: Arc::clone(&gateway.parts),
            route: Arc::clone(&gateway.no_route),
            listener,
            began: Instant::now(),
            received: info.received,
            info,
            protocol: match version {
                Version::HTTP_10 => "HTTP/1.0",
                Version::HTTP_2 => "HTTP/2",
                _ => "HTTP/1.1",
            },
            decision: "",
            reason: "",
            visitor: None,
            status: StatusCode::INTERNAL_SERVER_ERROR,
            bytes_in: None,
            bytes_out: 0,
            upstream: None,
            stripped_headers: 0,
            was_cut: false,
            is_replay: false,
            quoted: None,
        })
    }

    /// Keeps the headers that the log shows, if it shows any.
    pub(super) fn quote(&mut self, headers: &HeaderMap) {
        if self.parts.access_log.quotes_headers() {
            self.quoted = Some(Box::new(Quoted {
                referer: headers.get(REFERER).cloned(),
                user_agent: headers.get(USER_AGENT).cloned(),
            }));
        }
    }

    /// From now on everything counts for this route.
    pub(super) fn enter(&mut self, route: &Arc<RouteFacts>) {
        self.route = Arc::clone(route);
    }

    /// What was decided and why.
    pub(super) fn note(&mut self, decision: &Decision) {
        (self.decision, self.reason) = match decision {
            Decision::Allow { identity: true } => ("allowed", ""),
            Decision::Allow { identity: false } if self.route.is_public => ("public", ""),
            Decision::Allow { identity: false } => ("optional_anonymous", ""),
            Decision::LogIn(need) => ("unauthorized", need.because.as_str()),
            Decision::Refuse(reason) => ("denied", reason.as_str()),
        };
    }

    /// Whether a login began, or whoever asks was only told that one is needed.
    pub(super) fn sent_to_login(&mut self, status: StatusCode) {
        if !status.is_client_error() {
            self.decision = "redirected";
        }
    }

    /// Why there was no answer from the application.
    pub(super) fn failed(&mut self, error: &Error) {
        if self.reason.is_empty() {
            self.reason = error.word();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let duration = self.began.elapsed();
        let bytes_in = self
            .bytes_in
            .as_ref()
            .map_or(0, |count| count.load(Ordering::Relaxed));
        self.listener.request_ended();
        self.route.metrics.request_finished(
            &self.listener,
            &self.info.method,
            self.status,
            duration,
            bytes_in,
            self.bytes_out,
        );
        if !self.decision.is_empty() {
            self.route.metrics.decision(self.decision, self.reason);
        }
        self.finish_trace();
        self.write_line(duration, bytes_in);
    }
}

/// The path without the ticket of a web-view, which would log in whoever reads it in time.
pub(super) fn without_ticket<'p>(path: &'p str, path_prefix: &str) -> Cow<'p, str> {
    let ticket = path
        .strip_prefix(path_prefix)
        .and_then(|rest| rest.strip_prefix("/ticket/"));
    match ticket {
        None => Cow::Borrowed(path),
        Some(_) => Cow::Owned(format!("{path_prefix}/ticket/…")),
    }
}

/// A referrer up to the ticket of a web-view, likewise.
fn up_to_ticket<'r>(referer: &'r [u8], path_prefix: &str) -> &'r [u8] {
    let before = format!("{path_prefix}/ticket/");
    let mut places = referer.windows(before.len());
    match places.position(|place| place == before.as_bytes()) {
        None => referer,
        Some(start) => &referer[..start + before.len()],
    }
}

impl Journal {
    fn write_line(&self, duration: Duration, bytes_in: u64) {
        let visitor = self.visitor.as_deref();
        let answered = self.upstream.as_ref();
        let quoted = self.quoted.as_deref();
        let referer = quoted.and_then(|quoted| quoted.referer.as_ref());
        let user_agent = quoted.and_then(|quoted| quoted.user_agent.as_ref());
        self.parts.access_log.record(&AccessRecord {
            received: self.received,
            request_id: self.info.id.as_str(),
            trace_id: self.info.trace.as_ref().map(Trace::id),
            listener: self.listener.name(),
            client_ip: self.info.client,
            client: self.info.browser.label(),
            method: self.info.method.as_str(),
            scheme: self.parts.site.scheme.as_str(),
            host: self.info.host.as_str(),
            path: &without_ticket(self.info.target.path(), &self.parts.site.path_prefix),
            query: self.info.target.query(),
            protocol: self.protocol,
            route: &self.route.logged,
            decision: self.decision,
            reason: if self.was_cut { "cut" } else { self.reason },
            visitor: visitor.map(|visitor| &visitor.logged),
            status: self.status.as_u16(),
            bytes_in,
            bytes_out: self.bytes_out,
            duration,
            upstream: answered.map(|answered| &*answered.upstream),
            upstream_server: answered.map(|answered| &*answered.server),
            upstream_status: answered.map(|answered| answered.status.as_u16()),
            upstream_duration: answered.map(|answered| answered.waited),
            replay: self.is_replay,
            stripped_headers: self.stripped_headers,
            referer: referer
                .map(|referer| up_to_ticket(referer.as_bytes(), &self.parts.site.path_prefix)),
            user_agent: user_agent.map(HeaderValue::as_bytes),
        });
    }
}
