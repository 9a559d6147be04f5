//! What became of one request; written to metrics and access log when it is over.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use tokio::time::Instant;

use super::error::Error;
use super::parts::{Gateway, Parts, RouteFacts};
use super::visitor::Visitor;
use crate::message::RequestInfo;
use crate::observe::{AccessRecord, ListenerMetrics, Trace};
use crate::route::policy::Decision;

/// One request: what is known about it, and its journal; dropping it writes it.
///
/// PERF: what is known lies beside the journal and not in a copy of its own, so that the one can be read while the other is filled.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) parts: Arc<Parts>,
    listener: Arc<ListenerMetrics>,
    began: Instant,
    pub(super) info: RequestInfo,
    pub(super) protocol: &'static str,
    /// Headers that the log shows; `None` where it shows none.
    quoted: Option<Box<Quoted>>,
    pub(super) journal: Journal,
}

/// What became of a request; filled along its path.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) route: Arc<RouteFacts>,
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

impl Entry {
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
            listener,
            began: Instant::now(),
            info,
            protocol: match version {
                Version::HTTP_10 => "HTTP/1.0",
                Version::HTTP_2 => "HTTP/2",
                _ => "HTTP/1.1",
            },
            quoted: None,
            journal: Journal {
                route: Arc::clone(&gateway.no_route),
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
            },
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
}

impl Journal {
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

impl Drop for Entry {
    fn drop(&mut self) {
        let duration = self.began.elapsed();
        let journal = &self.journal;
        let bytes_in = journal
            .bytes_in
            .as_ref()
            .map_or(0, |count| count.load(Ordering::Relaxed));
        self.listener.request_ended();
        journal.route.metrics.request_finished(
            &self.listener,
            &self.info.method,
            journal.status,
            duration,
            bytes_in,
            journal.bytes_out,
        );
        if !journal.decision.is_empty() {
            journal
                .route
                .metrics
                .decision(journal.decision, journal.reason);
        }
        self.finish_trace();
        self.write_line(duration, bytes_in);
    }
}

/// What of our paths ends in a ticket: that of a web-view logs in whoever reads it in time, that of a code lets a reader answer for
/// whoever scanned it.
const TICKETS: [&str; 2] = ["/ticket/", "/x/"];

/// The path without a ticket.
pub(super) fn without_ticket<'p>(path: &'p str, path_prefix: &str) -> Cow<'p, str> {
    let own = path.strip_prefix(path_prefix);
    let ticket = own.and_then(|own| TICKETS.into_iter().find(|start| own.starts_with(start)));
    match ticket {
        None => Cow::Borrowed(path),
        Some(start) => Cow::Owned(format!("{path_prefix}{start}…")),
    }
}

/// A referrer up to a ticket.
fn up_to_ticket<'r>(referer: &'r [u8], path_prefix: &str) -> &'r [u8] {
    let ends = TICKETS.into_iter().filter_map(|start| {
        let before = format!("{path_prefix}{start}");
        let mut places = referer.windows(before.len());
        let place = places.position(|place| place == before.as_bytes())?;
        Some(place + before.len())
    });
    ends.min().map_or(referer, |end| &referer[..end])
}

impl Entry {
    fn write_line(&self, duration: Duration, bytes_in: u64) {
        let (info, journal) = (&self.info, &self.journal);
        let visitor = journal.visitor.as_deref();
        let answered = journal.upstream.as_ref();
        let quoted = self.quoted.as_deref();
        let referer = quoted.and_then(|quoted| quoted.referer.as_ref());
        let user_agent = quoted.and_then(|quoted| quoted.user_agent.as_ref());
        self.parts.access_log.record(&AccessRecord {
            received: info.received,
            request_id: info.id.as_str(),
            trace_id: info.trace.as_ref().map(Trace::id),
            listener: self.listener.name(),
            client_ip: info.client,
            client: info.browser.label(),
            method: info.method.as_str(),
            scheme: self.parts.site.scheme.as_str(),
            host: info.host.as_str(),
            path: &without_ticket(info.target.path(), &self.parts.site.path_prefix),
            query: info.target.query(),
            protocol: self.protocol,
            route: &journal.route.logged,
            decision: journal.decision,
            reason: if journal.was_cut {
                "cut"
            } else {
                journal.reason
            },
            visitor: visitor.map(|visitor| &visitor.logged),
            status: journal.status.as_u16(),
            bytes_in,
            bytes_out: journal.bytes_out,
            duration,
            upstream: answered.map(|answered| &*answered.upstream),
            upstream_server: answered.map(|answered| &*answered.server),
            upstream_status: answered.map(|answered| answered.status.as_u16()),
            upstream_duration: answered.map(|answered| answered.waited),
            replay: journal.is_replay,
            stripped_headers: journal.stripped_headers,
            referer: referer
                .map(|referer| up_to_ticket(referer.as_bytes(), &self.parts.site.path_prefix)),
            user_agent: user_agent.map(HeaderValue::as_bytes),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_referrer_ends_before_its_first_ticket() {
        for (referer, shown) in [
            ("https://a.example/orders", "https://a.example/orders"),
            ("https://a.example/p/x/secret", "https://a.example/p/x/"),
            (
                "https://a.example/p/ticket/secret?p=1",
                "https://a.example/p/ticket/",
            ),
            (
                "https://a.example/p/x/secret?from=/p/ticket/secret",
                "https://a.example/p/x/",
            ),
        ] {
            let cut = up_to_ticket(referer.as_bytes(), "/p");
            assert_eq!(cut, shown.as_bytes(), "{referer}");
        }
    }
}
