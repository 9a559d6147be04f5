//! The decision about a request: which route, who asks, and whether that may pass.

use std::sync::Arc;

use http::HeaderMap;

use super::journal::Journal;
use super::recall::Recognised;
use super::visitor::Visitor;
use super::{Asked, Error, Gateway};
use crate::message::RequestInfo;
use crate::observe::SpanKind;
use crate::route::policy::{self, Decision};
use crate::route::{Auth, Route, RouteId};
use crate::session::OtherCookies;
use crate::target::Refusal;

/// What was decided about a request, and everything that follows from it.
#[derive(Debug)]
pub(super) struct Judged<'g> {
    pub(super) id: RouteId,
    pub(super) route: &'g Route,
    pub(super) visitor: Option<Arc<Visitor>>,
    /// What goes on in the place of the only `Cookie` field; `None` where nobody knows yet.
    pub(super) others: Option<OtherCookies>,
    pub(super) decision: Decision,
}

impl Gateway {
    /// The decision about a request: which route, who asks, and whether that may pass. The same for whoever asks.
    pub(super) async fn judge(
        &self,
        headers: &HeaderMap,
        asked: &Asked<'_>,
        journal: &mut Journal,
    ) -> Result<Judged<'_>, Error> {
        let (id, route) = self.route(asked.info)?;
        journal.enter(self.facts(id));
        let trace = asked.info.trace.as_ref();
        let span = trace.and_then(|trace| trace.span("auth", SpanKind::Internal));
        let recognised = match route.rule.auth {
            Auth::Public | Auth::Deny => None,
            Auth::Optional | Auth::Base | Auth::Userinfo => {
                self.visitor(headers, asked, journal).await?
            }
        };
        let (visitor, others) = match recognised {
            Some(recognised) => (Some(recognised.visitor), recognised.others),
            None => (None, None),
        };
        let session = visitor.as_deref().map(|visitor| &visitor.session);
        let needs_unionid = self.subject_needs_unionid;
        let decision = policy::decide(&route.rule, session, asked.info, needs_unionid, asked.now);
        journal.note(&decision);
        if let Some(mut span) = span {
            journal.describe_decision(&mut span);
        }
        Ok(Judged {
            id,
            route,
            visitor,
            others,
            decision,
        })
    }

    /// The route, and that the target has nothing that this route forbids.
    fn route(&self, info: &RequestInfo) -> Result<(RouteId, &Route), Error> {
        let found = self.routes.find(&info.host, &info.target, &info.method);
        let Some((id, route)) = found else {
            return Err(Error::NotFound);
        };
        if info.target.encoded_separators().within(route.allow_encoded) {
            Ok((id, route))
        } else {
            Err(Error::Target(Refusal::EncodedSeparator))
        }
    }

    /// Who is asking; `None` when nobody is logged in.
    pub(super) async fn visitor(
        &self,
        headers: &HeaderMap,
        asked: &Asked<'_>,
        journal: &mut Journal,
    ) -> Result<Option<Recognised>, Error> {
        let (visitors, parts, now) = (&self.visitors, &self.parts, asked.now);
        let recognised = match asked.token {
            None => visitors.find(headers, asked.present, parts, now).await?,
            Some(token) => {
                let visitor = visitors.find_token(token.as_str(), parts, now).await?;
                visitor.map(Recognised::by)
            }
        };
        if let Some(Recognised { visitor, .. }) = &recognised {
            if visitor.wants_profile(parts, now) {
                self.login.refresh_profile(&visitor.session);
            }
            journal.visitor = Some(Arc::clone(visitor));
        }
        Ok(recognised)
    }
}
