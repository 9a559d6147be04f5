//! `ticket` and `ticket/<id>`: from a token to a browser of the same person, once.
//!
//! A web-view does not share the cookies of the mini program or app that opens it. So the client asks for a ticket and
//! opens its address: the browser gets the session as a cookie and is sent on, without the ticket in its address.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use http::header::SET_COOKIE;
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};
use url::form_urlencoded::{Serializer, parse};

use super::{Refusal, by_token, read};
use crate::limit::Action;
use crate::login::address::Destination;
use crate::login::query::LoginQuery;
use crate::login::{Error, Login, Visit};
use crate::message::{self, Answer, Host, Load, RequestBody};
use crate::pages::Cause;
use crate::seal::{Purpose, random_text};
use crate::session::IssuedToken;

/// Long enough for a web-view to open.
const LIFETIME: Duration = Duration::from_secs(60);
/// Letters of a ticket: 190 bits.
const ID_LENGTH: usize = 32;

/// What a client sends.
#[derive(Deserialize)]
struct TicketBody {
    /// Path and query on this host, or an address on another host of ours.
    to: String,
}

/// What it gets. The names are part of the product: fields may be added, none changes.
#[derive(Serialize)]
struct TicketIssued {
    /// To be opened by the web-view.
    url: String,
    /// Seconds.
    expires_in: u64,
}

impl Login {
    /// Answers `ticket`: a one-time address for a web-view.
    pub(super) async fn issue_ticket(
        &self,
        body: RequestBody,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        let session = match by_token(visit) {
            Ok(session) => session,
            Err(refusal) => return Ok(self.refuse(&refusal, visit)),
        };
        let asked = read::<TicketBody>(visit.headers, body).await?;
        let destination = match asked.and_then(|asked| self.ticket_target(&asked.to, visit)) {
            Ok(destination) => destination,
            Err(refusal) => return Ok(self.refuse(&refusal, visit)),
        };
        // The ticket holds a token of its own, with what is left of the session from now on.
        let Some(token) = self.parts.sessions.renew_token(session, visit.now).await? else {
            return Ok(self.refuse(&Refusal::invalid_token(), visit));
        };
        let body = TicketIssued {
            url: self.make_ticket(&token, &destination).await?,
            expires_in: LIFETIME.as_secs(),
        };
        Ok(message::json(StatusCode::OK, "ticket-issued", &body))
    }

    /// Where a web-view may arrive. A client that asks for something else has a mistake in it and is told so.
    pub(super) fn ticket_target(
        &self,
        to: &str,
        visit: &Visit<'_>,
    ) -> Result<(Host, String), Refusal> {
        let Destination { host, target } = Destination::judge(to, &self.parts.site);
        let path = to.split(['?', '#']).next().unwrap_or_default();
        if target == "/" && host.is_none() && path != "/" {
            return Err(Refusal::malformed("foreign_address"));
        }
        Ok((host.unwrap_or_else(|| visit.info.host.clone()), target))
    }

    /// The address of a new ticket.
    pub(super) async fn make_ticket(
        &self,
        token: &IssuedToken,
        (host, target): &(Host, String),
    ) -> Result<String, Error> {
        let id = random_text(ID_LENGTH);
        let sealed = self.parts.sealer.seal(
            Purpose::Record,
            &context(host, &id),
            token.text.reveal().as_bytes(),
        );
        let store = &self.parts.store;
        store.put(&key(&id), sealed.as_bytes(), LIFETIME).await?;
        let query = Serializer::new(String::new())
            .append_pair("to", target)
            .finish();
        let rest = format!("ticket/{id}?{query}");
        Ok(self.parts.site.endpoint(host, &rest))
    }

    /// Answers `ticket/<id>`.
    ///
    /// A ticket that does not do leads to a login for the same target, or on to it where somebody is logged in already: a
    /// reload and the back button come here as well.
    pub(in crate::login) async fn enter_by_ticket(
        &self,
        id: &str,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        if let Some(answer) = self.over_limit(Action::Callback, visit) {
            return Ok(answer);
        }
        // Nobody is looking: the ticket stays good for the one who is.
        if visit.info.method == Method::HEAD {
            return Ok(message::empty(StatusCode::NO_CONTENT, "ticket-head"));
        }
        if visit.info.load == Load::Prefetch {
            return Ok(message::empty(
                StatusCode::SERVICE_UNAVAILABLE,
                "ticket-prefetch",
            ));
        }
        let target = target_of(visit);
        let target = Destination::judge(&target, &self.parts.site).target;
        // SECURITY: a link on another site could log a visitor in as somebody else.
        if !comes_from_another_site(visit.headers)
            && let Some(cookie) = self.redeem_ticket(id, visit).await?
        {
            let mut answer = self.go("ticket-used", &format!("{target}#"), visit);
            answer.headers_mut().append(SET_COOKIE, cookie);
            return Ok(answer);
        }
        Ok(match visit.session {
            Some(_) => self.go("ticket-not-needed", &format!("{target}#"), visit),
            None => self.not_finished(Cause::LoginState, Some(LoginQuery::to(&target)), visit),
        })
    }

    async fn redeem_ticket(
        &self,
        id: &str,
        visit: &Visit<'_>,
    ) -> Result<Option<http::HeaderValue>, Error> {
        let Some(sealed) = self.parts.store.take(&key(id)).await? else {
            return Ok(None);
        };
        let token = std::str::from_utf8(&sealed).ok().and_then(|sealed| {
            let context = context(&visit.info.host, id);
            self.parts.sealer.open(Purpose::Record, &context, sealed)
        });
        let Some(token) = token.and_then(|token| String::from_utf8(token).ok()) else {
            return Ok(None);
        };
        let sessions = &self.parts.sessions;
        match sessions.load_token(&token, visit.now).await? {
            None => Ok(None),
            Some(session) => Ok(sessions.share_with_browser(&session, visit.now).await?),
        }
    }
}

/// A hash: whoever reads the store has no ticket.
fn key(id: &str) -> String {
    let hash = digest(&SHA256, id.as_bytes());
    format!("ticket:{}", BASE64URL_NOPAD.encode(hash.as_ref()))
}

/// Bound into the seal: on another host the ticket is nothing.
fn context(host: &Host, id: &str) -> String {
    format!("ticket {} {id}", host.as_str())
}

fn target_of(visit: &Visit<'_>) -> String {
    let query = visit.info.target.query().unwrap_or_default();
    let mut targets = parse(query.as_bytes()).filter(|(name, _)| name == "to");
    match (targets.next(), targets.next()) {
        (Some((_, to)), None) => to.into_owned(),
        _ => "/".to_owned(),
    }
}

fn comes_from_another_site(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site" || site == "same-site")
}
