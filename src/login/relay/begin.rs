//! From a listed host to the public one, and on to WeChat.

use std::time::Duration;

use http::StatusCode;
use http::header::SET_COOKIE;
use serde::{Deserialize, Serialize};

use super::{Origin, challenge_of};
use crate::clock::{from_unix_seconds, unix_seconds};
use crate::limit::Action;
use crate::login::attempt::{Attempt, RANDOM_LENGTH, State};
use crate::login::cookie::Kept;
use crate::login::{Login, Visit};
use crate::message::Answer;
use crate::pages::{Cause, Page};
use crate::route::policy::Because;
use crate::seal::random_text;
use crate::wechat::{App, AppKind, Scope};

const CONTEXT: &str = "relay start";

/// How long a start token is good: it is followed at once, by a redirect.
const FRESH: Duration = Duration::from_secs(120);

/// What a start token says.
#[derive(Serialize, Deserialize)]
struct Start {
    origin: Origin,
    app: String,
    wants_profile: bool,
    at: u64,
}

impl Login {
    /// Where a visitor of this host begins; `None` where WeChat sends the browser back to the host itself.
    pub(in crate::login) fn relay_address(
        &self,
        app: &App,
        scope: Scope,
        state: &State,
        visit: &Visit<'_>,
    ) -> Option<String> {
        let host = self.relayed_host(visit.info.host.as_str())?;
        let start = Start {
            origin: Origin {
                host: host.as_str().to_owned(),
                challenge: challenge_of(state),
            },
            app: app.name.as_str().to_owned(),
            wants_profile: scope == Scope::Userinfo,
            at: unix_seconds(visit.now),
        };
        let token = self.seal_relay(CONTEXT, &start);
        let site = &self.parts.site;
        let rest = format!("relay?start_token={token}");
        Some(site.endpoint(&site.public_host, &rest))
    }

    /// Sends a visitor of another host to WeChat, with an attempt of our own.
    pub(super) fn relay_begin(&self, token: &str, kept: Kept, visit: &Visit<'_>) -> Answer {
        let site = &self.parts.site;
        let start: Option<Start> = self.open_relay(CONTEXT, token);
        let Some(start) = start.filter(|_| visit.info.host == site.public_host) else {
            return self.relay_refused(visit);
        };
        if self.relayed_host(&start.origin.host).is_none() {
            return self.relay_unlisted(&start.origin.host, visit);
        }
        let began = from_unix_seconds(start.at);
        let age = visit.now.duration_since(began).unwrap_or_default();
        if age > FRESH {
            return self.back_to(&start.origin, visit);
        }
        let Some(app) = self.parts.wechat.app(&start.app) else {
            return self.not_finished(Cause::LoginSetup, None, visit);
        };
        if let Some(answer) = self.over_limit(Action::LoginStart, visit) {
            return answer;
        }
        let scope = match start.wants_profile {
            true => Scope::Userinfo,
            false => Scope::Base,
        };
        let state = State::new(&random_text(RANDOM_LENGTH), 1);
        let mut ring = kept.into_ring();
        ring.push(Attempt {
            state: state.clone(),
            target: "/".to_owned(),
            host: site.public_host.as_str().to_owned(),
            app: app.name.as_str().to_owned(),
            scope,
            because: Because::NoSession,
            required: true,
            started: from_unix_seconds(unix_seconds(visit.now)),
            completed: None,
        });
        let callback = format!(
            "callback/{}?relay_token={}",
            app.name.as_str(),
            self.seal_relay(&back_context(&state), &start.origin)
        );
        let callback = site.endpoint(&site.public_host, &callback);
        let wechat = &self.parts.wechat;
        let address = match app.kind {
            AppKind::Website => {
                wechat.qr_page_url(app, &callback, state.as_str(), self.qr_language(visit))
            }
            AppKind::ServiceAccount | AppKind::MiniProgram | AppKind::MobileApp => {
                wechat.authorize_url(app, &callback, scope, state.as_str())
            }
        };
        let mut answer = self.go("login-redirect", &address, visit);
        let cookie = self.attempts.write(&ring);
        answer.headers_mut().append(SET_COOKIE, cookie);
        answer
    }

    fn relay_unlisted(&self, host: &str, visit: &Visit<'_>) -> Answer {
        tracing::warn!(
            request.id = visit.info.id.as_str(),
            host,
            "a host that is not in relay.hosts sent a visitor"
        );
        let page = Page::Refused {
            cause: Cause::UnknownHost,
            retry_after: None,
        };
        self.page(StatusCode::FORBIDDEN, "relay-unlisted", &page, visit)
    }
}

/// The way back belongs to one attempt of the public host.
pub(super) fn back_context(state: &State) -> String {
    format!("relay back {}", state.as_str())
}
