//! One request to one response: the request path on one screen.
//!
//! A straight function, not a stack of layers. It meets the listening side and the upstream side in one place, and it is
//! the only module that knows both who asks and where requests go.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderName, Request, Response, request};
use hyper::body::Incoming;
use ipnet::IpNet;

use crate::listen::Peer;
use crate::message::{Answer, Present, Replayed, RequestBody, RequestInfo, Site, Snapshot};
use crate::proxy::Forwarding;
use crate::route::policy::Decision;

mod answer;
mod bearer;
mod body;
mod endpoints;
mod error;
mod forward;
mod forward_auth;
mod hosts;
mod inspect;
mod journal;
mod judge;
mod parts;
mod recall;
mod request_id;
mod respond;
mod scrub;
mod spans;
mod token;
mod unnamed_proxy;
mod visitor;
mod way;

use bearer::BearerToken;
use error::Error;
use inspect::Inspected;
use journal::{Entry, Journal};
use judge::Judged;

pub use body::AnswerBody;
pub use parts::{Gateway, Parts, Rooms};

/// What the request path needs beyond its parts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where visitors find us.
    pub site: Arc<Site>,
    /// Whose `X-Forwarded-*` we believe.
    pub trusted_proxies: Vec<IpNet>,
    /// Request ids are accepted under this name from trusted proxies and always sent upstream and back.
    pub request_id_header: HeaderName,
    /// How each route forwards, in the order of `route::Settings::routes`; `None` where it is only judged for front proxies.
    pub forwarding: Vec<Option<Forwarding>>,
    /// Served at the root of every host before any login: name without slash, content.
    pub verification_files: Vec<(String, Bytes)>,
    /// The header that carries the JWT, and what stands before it.
    pub jwt_header: HeaderName,
    /// `Bearer ` or nothing.
    pub jwt_prefix: String,
    /// Which optional claims the JWT carries.
    pub claims: Vec<OptionalClaim>,
}

/// Optional claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionalClaim {
    /// `nickname`
    Nickname,
    /// `picture`
    Picture,
    /// `profile_at`
    ProfileAt,
}

/// A request as the request path knows it, and when.
#[derive(Clone, Copy, Debug)]
struct Asked<'a> {
    info: &'a RequestInfo,
    peer: &'a Peer,
    /// Whether the peer may say where requests come from.
    peer_is_trusted: bool,
    now: SystemTime,
    /// Shown instead of a cookie.
    token: Option<&'a BearerToken>,
    /// What the client sent.
    present: Present,
}

impl Gateway {
    /// Answers one request. It cannot fail: every error becomes a response in `respond`.
    ///
    /// Dropping the future means that the client went away; nothing is lost but the answer.
    ///
    /// PERF: what is known before anything has to be waited for is found out outside the future, which would keep the whole
    /// request twice: as it came, and taken apart.
    pub fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = Response<AnswerBody>> + Send {
        let now = self.parts.clock.now();
        let peer_is_trusted = self.inspector.trusts(peer.address.ip());
        let front = self.front_proxy(request.uri().path());
        let from = (&peer, peer_is_trusted);
        let Inspected {
            mut info,
            present,
            refused,
        } = self.inspector.inspect(&request, front, from, now);
        let (mut parts, body) = request.into_parts();
        let mut body = RequestBody::new(body, self.body_patience);
        if let Some(tracer) = &self.parts.tracer {
            let trace = spans::begin(tracer, &mut parts.headers, peer_is_trusted, now);
            info.trace = Some(trace);
        }
        let mut entry = Entry::begin(&self, info, peer.listener, parts.version);
        entry.quote(&parts.headers);
        let token = match present.credentials {
            true => BearerToken::take(&mut parts.headers),
            false => None,
        };
        async move {
            let Entry { info, journal, .. } = &mut *entry;
            let asked = Asked {
                info,
                peer: &peer,
                peer_is_trusted,
                now,
                token: token.as_ref(),
                present,
            };
            let answered = match (refused, front) {
                (None, None) => {
                    let request = (&mut parts, &mut body);
                    self.answer(request, &asked, journal).await
                }
                (None, Some(front)) => {
                    let headers = &parts.headers;
                    // PERF: boxed like everything that few requests need, so that the others do not carry its size around.
                    Box::pin(self.decide_for(front, headers, &asked, journal)).await
                }
                (Some(error), _) => Err(error),
            };
            let response = answered.unwrap_or_else(|error| {
                journal.failed(&error);
                // What chooses language and form of a page is not what is cut on the way to an application.
                let answer = respond::to_answer(&error, info, &parts.headers, &self.parts);
                own(match front {
                    None => answer,
                    Some(front) => front.translate(answer, &error),
                })
            });
            self.finish(response, entry)
        }
    }

    /// Names the request in its answer; the journal ends with the answer.
    fn finish(
        &self,
        mut response: Response<AnswerBody>,
        mut entry: Box<Entry>,
    ) -> Response<AnswerBody> {
        let Entry { info, journal, .. } = &mut *entry;
        response.headers_mut().insert(
            self.settings.request_id_header.clone(),
            info.id.header().clone(),
        );
        journal.status = response.status();
        journal.is_replay = response.extensions().get::<Replayed>().is_some();
        if let Some(snapshot) = response.extensions().get::<Snapshot>() {
            (journal.decision, journal.reason) = ("snapshot", snapshot.as_str());
        }
        response.body_mut().set_entry(entry);
        response
    }

    async fn answer(
        &self,
        (parts, body): (&mut request::Parts, &mut RequestBody),
        asked: &Asked<'_>,
        journal: &mut Journal,
    ) -> Result<Response<AnswerBody>, Error> {
        let info = asked.info;
        let own_path = self.below_prefix(info.target.path());
        if own_path == Some(way::NAME) {
            return Ok(own(self.way(&parts.headers, asked)?));
        }
        let forged = self
            .scrub
            .request(&mut parts.headers, asked.peer_is_trusted);
        if forged.sum() > 0 {
            self.parts.count_forged(forged);
            journal.stripped_headers = forged.sum();
        }
        if let Some(answer) = self.own_endpoint(own_path, &parts.headers, info)? {
            return Ok(own(answer));
        }
        if let Some(endpoint) = self.login_endpoint(info)? {
            let body = std::mem::replace(body, RequestBody::empty());
            let request = Request::from_parts(parts.clone(), body);
            let serving = self.serve_login(endpoint, request, asked, journal);
            return Box::pin(serving).await.map(own);
        }
        let mut judged = self.judge(&parts.headers, asked, journal).await?;
        let (route, visitor) = (judged.route, &judged.visitor);
        match judged.decision {
            Decision::Allow { .. } => {
                self.forward((parts, body), &mut judged, asked, journal)
                    .await
            }
            Decision::LogIn(need) => {
                let (login, headers) = (&self.login, &parts.headers);
                let answer = match asked.token {
                    None => login.start(need, &route.rule, info, headers),
                    Some(_) => login.refuse_token(need, &route.rule, info, headers),
                };
                journal.sent_to_login(answer.status());
                Ok(own(answer))
            }
            Decision::Refuse(reason) => {
                let session = visitor.as_deref().map(|visitor| &visitor.session);
                Err(Error::refused(reason, &route.rule, session))
            }
        }
    }
}

/// An answer of our own, marked as such.
fn own(mut answer: Answer) -> Response<AnswerBody> {
    respond::finish(&mut answer);
    answer.map(AnswerBody::own)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A future is copied as a whole where it is made, and its memory is new for each request.
    #[test]
    fn what_a_request_keeps_while_it_waits_stays_small() {
        fn size_of_future<F: Future>(_: fn(Arc<Gateway>, Request<Incoming>, Peer) -> F) -> usize {
            size_of::<F>()
        }

        let size = size_of_future(Gateway::handle);

        assert!(size <= 4096, "{size} bytes");
    }
}
