//! An allowed request on its way to the application, and the answer on its way back.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE, TRAILER, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, Version};

use super::body::AnswerBody;
use super::journal::{Answered, Journal};
use super::scrub::LOGOUT_HEADER;
use super::spans;
use super::visitor::Visitor;
use super::{Asked, Error, Gateway};
use crate::message::{Request, TrailerFilter};
use crate::observe::{RouteMetrics, SpanKind, TRACEPARENT};
use crate::proxy::{Additions, EndSignal, Forwarding, Origin};
use crate::route::{Route, RouteId, Rule};
use crate::session::{Carrier, Session, Sessions};

impl Gateway {
    /// Sends the request on, with the visitor's identity where there is one.
    pub(super) async fn forward(
        &self,
        mut request: Request,
        (id, route): (RouteId, &Route),
        visitor: Option<Arc<Visitor>>,
        asked: &Asked<'_>,
        journal: &mut Journal,
    ) -> Result<Response<AnswerBody>, Error> {
        let forwarding = self.forwarding(id).ok_or(Error::NoUpstream)?;
        if request.body().announces_more_than(forwarding.max_body) {
            return Err(Error::AnnouncedTooLarge);
        }
        self.ready_body(&mut request, forwarding, journal);
        let wanted = self.proxy.wanted(forwarding, request.headers());
        self.parts.sessions.cut_cookies(request.headers_mut());
        let visitor = visitor.as_deref();
        let token = visitor
            .map(|visitor| self.token(visitor, route, asked))
            .transpose()?;
        let origin = self.origin(asked);
        let may_become_tunnel = request.headers().contains_key(UPGRADE);
        let end = may_become_tunnel.then(|| {
            let end = visitor.map(|visitor| self.end_of(visitor, &route.rule, asked));
            counted(end, &self.facts(id).metrics)
        });
        let trace = asked.info.trace.as_ref();
        let mut span = trace.and_then(|trace| trace.span("upstream", SpanKind::Client));
        let traceparent = trace.map(|trace| match &span {
            Some(span) => (TRACEPARENT, span.traceparent()),
            None => (TRACEPARENT, trace.traceparent()),
        });
        let interim = asked.peer.interim.as_deref();
        let interim = interim.map(|interim| |status, headers: &_| interim.send(status, headers));
        let additions = Additions {
            origin: &origin,
            headers: visitor.map_or(&[], |visitor| &visitor.headers),
            more: token,
            private: &self.private_names,
            wanted,
            end: end.as_ref().map(|end| end as _),
            interim: interim.as_ref().map(|send| send as _),
            traceparent,
            span: span.as_ref(),
        };
        let target = asked.info.target.to_path_and_query();
        let forwarded = self
            .proxy
            .forward(forwarding, request, &target, additions)
            .await;
        if let Some(span) = &mut span {
            spans::describe_upstream(span, self.upstream_name(forwarding), forwarded.as_ref());
        }
        let forwarded = forwarded?;
        drop(span);
        let mut response = forwarded.response;
        journal.upstream = Some(Answered {
            upstream: Arc::clone(self.upstream_name(forwarding)),
            server: forwarded.server,
            status: response.status(),
            waited: forwarded.waited,
        });
        self.ready_answer(response.headers_mut(), visitor, asked)
            .await?;
        let headers = response.headers_mut();
        if let Some(cookie) = forwarded.affinity
            && !may_be_shared(headers)
        {
            headers.append(SET_COOKIE, cookie);
        }
        let end = visitor
            .filter(|_| is_event_stream(response.headers()))
            .map(|visitor| self.end_of(visitor, &route.rule, asked)());
        Ok(response.map(|body| AnswerBody::upstream(body, end)))
    }

    /// The signed token by which the route's application knows the visitor.
    pub(super) fn token(
        &self,
        visitor: &Visitor,
        route: &Route,
        asked: &Asked<'_>,
    ) -> Result<(HeaderName, HeaderValue), Error> {
        let audience = route.audience.as_deref();
        let audience = audience.unwrap_or(asked.info.host.as_str());
        self.visitors
            .token(visitor, audience, &self.parts, asked.now)
    }

    fn ready_body(&self, request: &mut Request, forwarding: &Forwarding, journal: &mut Journal) {
        if request.body().is_empty() {
            return;
        }
        // Over HTTP/2 trailers come without being announced.
        let may_have_trailers =
            request.version() == Version::HTTP_2 || request.headers().contains_key(TRAILER);
        let body = request.body_mut();
        body.set_limit(forwarding.max_body);
        journal.bytes_in = Some(body.count());
        if may_have_trailers {
            let scrub = Arc::clone(&self.scrub);
            let filter: TrailerFilter = Arc::new(move |name| scrub.allows_trailer(name));
            body.forward_trailers(filter);
        }
    }

    /// Makes the signal that ends a tunnel or an event stream: the session was revoked or has reached its absolute end, or
    /// a list now refuses its person.
    fn end_of(
        &self,
        visitor: &Visitor,
        rule: &Rule,
        asked: &Asked<'_>,
    ) -> impl Fn() -> EndSignal + use<> {
        let sessions = Arc::clone(&self.parts.sessions);
        let (session, rule) = (visitor.session.clone(), rule.clone());
        let lifetime = sessions.ends_at(&session).duration_since(asked.now);
        let lifetime = lifetime.unwrap_or_default();
        move || {
            let (sessions, session, rule) = (Arc::clone(&sessions), session.clone(), rule.clone());
            Box::pin(async move {
                let unwelcome = unwelcome(&sessions, &session, &rule);
                let _ = tokio::time::timeout(lifetime, unwelcome).await;
            })
        }
    }

    fn origin(&self, asked: &Asked<'_>) -> Origin {
        let peer = asked.peer.address.ip();
        Origin {
            client: asked.info.client,
            trusted_peer: self.inspector.trusts(peer).then_some(peer),
            scheme: self.settings.site.scheme,
            request_id: asked.info.id.clone(),
            request_id_header: self.settings.request_id_header.clone(),
        }
    }

    /// Takes out of the answer what only we may say, ends the session if the application wants it, renews the cookie.
    async fn ready_answer(
        &self,
        headers: &mut HeaderMap,
        visitor: Option<&Visitor>,
        asked: &Asked<'_>,
    ) -> Result<(), Error> {
        let wants_logout = headers
            .remove(LOGOUT_HEADER)
            .is_some_and(|value| value == "1");
        self.scrub.cookies(headers);
        let Some(visitor) = visitor else {
            return Ok(());
        };
        if wants_logout {
            let sessions = &self.parts.sessions;
            sessions.revoke(&visitor.session, asked.now).await?;
            self.parts.metrics.session_ended("application");
            if visitor.session.carrier == Carrier::Cookie {
                headers.append(SET_COOKIE, sessions.removal());
                headers.append(SET_COOKIE, self.login.forget_attempts());
            }
        } else if !may_be_shared(headers)
            && let Some(cookie) = visitor.renewed_cookie(&self.parts, asked.now).await?
        {
            headers.append(SET_COOKIE, sensitive(cookie));
        }
        Ok(())
    }
}

/// The signal of one tunnel, which counts as open as long as somebody waits for it. Without an `end` it never comes.
fn counted(
    end: Option<impl Fn() -> EndSignal>,
    metrics: &Arc<RouteMetrics>,
) -> impl Fn() -> EndSignal {
    let metrics = Arc::clone(metrics);
    move || {
        let open = OpenTunnel::new(&metrics);
        let end = end.as_ref().map(|end| end());
        Box::pin(async move {
            match end {
                Some(end) => end.await,
                None => std::future::pending().await,
            }
            drop(open);
        })
    }
}

/// Counts a tunnel until it is dropped.
struct OpenTunnel(Arc<RouteMetrics>);

impl OpenTunnel {
    fn new(metrics: &Arc<RouteMetrics>) -> Self {
        metrics.websocket_opened();
        Self(Arc::clone(metrics))
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.websocket_closed();
    }
}

/// Whether the answer is made to go on after the visitor has logged out.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// Whether a cache between us and visitors may keep the answer: then no session may go along.
fn may_be_shared(headers: &HeaderMap) -> bool {
    headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let value = value.to_str().unwrap_or("public").to_ascii_lowercase();
        value.contains("public") || value.contains("s-maxage")
    })
}

/// How often lists are asked again while somebody is connected.
const LISTS_AGAIN: Duration = Duration::from_millis(250);

/// Waits until the session is revoked or a list refuses its person. A store that cannot say ends it as well.
async fn unwelcome(sessions: &Sessions, session: &Session, rule: &Rule) {
    let patience = if rule.has_lists() {
        LISTS_AGAIN
    } else {
        Duration::MAX
    };
    let mut revocations = sessions.watch_revocations();
    // First asked after the watch has begun: the session may have ended since the request was let through.
    while matches!(sessions.is_revoked(session).await, Ok(false)) {
        loop {
            if rule.lists_refuse(&session.person) {
                return;
            }
            match tokio::time::timeout(patience, revocations.changed()).await {
                Ok(Ok(())) => break,
                Ok(Err(_)) => return,
                Err(_) => {}
            }
        }
    }
}

pub(super) fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
