//! An allowed request on its way to the application, and the answer on its way back.

use std::sync::Arc;
use std::time::Duration;

use http::header::SET_COOKIE;
use http::{HeaderMap, Response, Version, request};

use super::answer::Told;
use super::body::AnswerBody;
use super::journal::{Answered, Journal};
use super::spans;
use super::visitor::Visitor;
use super::{Asked, Error, Gateway, Judged};
use crate::message::{Present, RequestBody, TrailerFilter};
use crate::observe::RouteMetrics;
use crate::proxy::{Additions, EndSignal, Forwarded, Forwarding, IdentityFields, Origin};
use crate::route::policy::Decision;
use crate::route::{Route, Rule};
use crate::session::{Session, Sessions};

impl Gateway {
    /// Sends the request on, with the visitor's identity where there is one.
    pub(super) async fn forward(
        &self,
        (parts, body): (&mut request::Parts, &mut RequestBody),
        judged: &mut Judged<'_>,
        asked: &Asked<'_>,
        journal: &mut Journal,
    ) -> Result<Response<AnswerBody>, Error> {
        let (id, route) = (judged.id, judged.route);
        let Some(forwarding) = self.forwarding(id) else {
            return Err(Error::NoUpstream);
        };
        if body.announces_more_than(forwarding.max_body) {
            return Err(Error::AnnouncedTooLarge);
        }
        self.ready_body((parts.version, asked.present), body, forwarding, journal);
        let wanted = self.proxy.wanted(forwarding, &parts.headers);
        self.cut_cookies(judged, asked.present, &mut parts.headers);
        let carries_identity = judged.decision == Decision::Allow { identity: true };
        let visitor = judged.visitor.as_deref().filter(|_| carries_identity);
        let identity = visitor
            .map(|visitor| self.identity(visitor, route, asked))
            .transpose()?;
        let origin = self.origin(asked);
        let end = asked.present.upgrade.then(|| {
            let end = visitor.map(|visitor| self.end_of(visitor, &route.rule, asked));
            // PERF: boxed, because it is large and only few requests have one.
            Box::new(counted(end, &self.facts(id).metrics))
        });
        let trace = asked.info.trace.as_ref();
        let (span, traceparent) = trace.map_or((None, None), spans::begin_upstream);
        let interim = asked.peer.interim.as_deref();
        let interim = interim.map(|interim| |status, headers: &_| interim.send(status, headers));
        let additions = Additions {
            origin: &origin,
            present: asked.present,
            identity: identity.as_deref(),
            private: &self.private_names,
            wanted,
            end: end.as_deref().map(|end| end as _),
            interim: interim.as_ref().map(|send| send as _),
            traceparent,
            span: span.as_ref(),
        };
        let target = asked.info.target.as_path_and_query();
        let sending = (self.proxy).forward(forwarding, (parts, body), target, &additions);
        let forwarded = sending.await;
        if let Some(span) = span {
            let name = self.upstream_name(forwarding);
            spans::end_upstream(span, &name, forwarded.as_ref());
        }
        let forwarded = forwarded?;
        journal.upstream = Some(Answered {
            upstream: self.upstream_name(forwarding),
            server: Arc::clone(&forwarded.server),
            status: forwarded.response.status(),
            waited: forwarded.waited,
        });
        self.pass_back(forwarded, (visitor, route), asked).await
    }

    /// Makes the application's answer one for this visitor.
    async fn pass_back(
        &self,
        forwarded: Forwarded,
        (visitor, route): (Option<&Visitor>, &Route),
        asked: &Asked<'_>,
    ) -> Result<Response<AnswerBody>, Error> {
        let mut response = forwarded.response;
        let told = Told::by(response.headers());
        self.ready_answer(response.headers_mut(), &told, visitor, asked)
            .await?;
        if let Some(cookie) = forwarded.affinity
            && !told.may_be_shared
        {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        let end = visitor
            .filter(|_| told.is_event_stream)
            .map(|visitor| self.end_of(visitor, &route.rule, asked)());
        Ok(response.map(|body| AnswerBody::upstream(body, end)))
    }

    /// What the route's application learns about the visitor.
    pub(super) fn identity(
        &self,
        visitor: &Visitor,
        route: &Route,
        asked: &Asked<'_>,
    ) -> Result<Arc<IdentityFields>, Error> {
        let audience = route.audience.as_deref();
        let audience = audience.unwrap_or(asked.info.host.as_str());
        self.visitors
            .identity(visitor, audience, &self.parts, asked.now)
    }

    /// Leaves our own cookies out of what the application sees.
    fn cut_cookies(&self, judged: &mut Judged<'_>, present: Present, headers: &mut HeaderMap) {
        match judged.others.take() {
            Some(others) => others.replace(headers),
            None if present.cookies > 0 => self.parts.sessions.cut_cookies(headers),
            None => {}
        }
    }

    fn ready_body(
        &self,
        (version, present): (Version, Present),
        body: &mut RequestBody,
        forwarding: &Forwarding,
        journal: &mut Journal,
    ) {
        if body.is_empty() {
            return;
        }
        // Over HTTP/2 trailers come without being announced.
        let may_have_trailers = version == Version::HTTP_2 || present.trailer;
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
            trusted_peer: asked.peer_is_trusted.then_some(peer),
            scheme: self.settings.site.scheme,
            request_id: asked.info.id.clone(),
            request_id_header: self.settings.request_id_header.clone(),
        }
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
