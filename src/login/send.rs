//! Beginning a login: to WeChat, or to the page that must come first.

use std::time::Duration;

use http::header::SET_COOKIE;
use http::{HeaderValue, StatusCode};

use super::address::fragment_key;
use super::attempt::{Attempt, RANDOM_LENGTH, State};
use super::cookie::Kept;
use super::ending::label;
use super::guard::{self, Evidence};
use super::method::{Method, Offer};
use super::opening::{self, Opening};
use super::query::LoginQuery;
use super::scan::ScanQuery;
use super::{Login, MobileBrowser, UserinfoPrompt, Visit, method};
use crate::clock::{from_unix_seconds, unix_seconds};
use crate::limit::Action;
use crate::message::Answer;
use crate::pages::{Cause, Page};
use crate::route::Unauthenticated;
use crate::route::policy::Because;
use crate::seal::random_text;
use crate::wechat::{App, Scope};

/// A login that shall begin.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    /// Where the visitor wants to go: path and query on the host asked.
    pub(super) target: String,
    /// At least this scope.
    pub(super) scope: Scope,
    /// Why.
    pub(super) because: Because,
    /// The route's `max_age`, where that is why.
    pub(super) max_age: Option<Duration>,
    /// Whether the target's route demands it.
    pub(super) required: bool,
    /// Whether the visitor has seen the purpose page and pressed its button.
    pub(super) clicked: bool,
    /// Whether the address in the browser is the target, so that its `#...` is there to be saved.
    pub(super) is_at_target: bool,
    /// Visits to WeChat before this one in the same chain.
    pub(super) rounds: u8,
}

impl Intent {
    /// The link that begins this login from a page.
    pub(super) fn query(&self) -> LoginQuery {
        LoginQuery {
            scope: self.scope,
            max_age: self.max_age,
            required: self.required,
            ..LoginQuery::to(&self.target)
        }
    }
}

impl Login {
    /// Begins a login in the way that fits request and browser.
    pub(super) fn open(
        &self,
        intent: &Intent,
        unauthenticated: Unauthenticated,
        kept: Kept,
        visit: &Visit<'_>,
    ) -> Answer {
        let info = visit.info;
        let app = self.service_account();
        let method = self.way(visit);
        let address = || {
            let origin = self.parts.site.origin(&info.host);
            match intent.is_at_target {
                true => format!("{origin}{}", intent.target),
                // Somewhere else the target alone might not ask for a login.
                false => format!("{origin}{}", self.link(&intent.query())),
            }
        };
        match opening::decide(unauthenticated, &info.method, info.load, method) {
            Opening::Unauthorized => self.login_required(intent, visit),
            Opening::BreakOut => {
                let page = Page::BreakOut { address: address() };
                self.page(StatusCode::OK, "login-break-out", &page, visit)
            }
            Opening::Elsewhere(needs) => {
                let page = Page::WrongClient {
                    needs,
                    address: address(),
                    open_url: self.open_url(&intent.query(), visit),
                };
                self.page(StatusCode::UNAUTHORIZED, "login-elsewhere", &page, visit)
            }
            Opening::QrPage => {
                let query = ScanQuery::fresh(intent.query());
                let page = self.parts.site.endpoint_path(&query.link());
                self.go("login-page", &page, visit)
            }
            Opening::NotSetUp => self.not_set_up(visit),
            Opening::Wechat => match app {
                Some(app) => self.lead_to_wechat(app, intent, kept, visit),
                None => self.not_set_up(visit),
            },
        }
    }

    /// The login that fits the visitor's browser.
    pub(super) fn way(&self, visit: &Visit<'_>) -> Method {
        let offer = Offer {
            has_app: self.service_account().is_some(),
            has_desktop: !self.settings.desktop.is_empty(),
            scans_in_phones: self.settings.mobile_browser == MobileBrowser::Scan,
        };
        method::choose(visit.info.browser, offer)
    }

    pub(super) fn not_set_up(&self, visit: &Visit<'_>) -> Answer {
        tracing::error!(
            request.id = visit.info.id.as_str(),
            "no app is configured for this browser"
        );
        self.not_finished(Cause::LoginSetup, None, visit)
    }

    fn lead_to_wechat(&self, app: &App, intent: &Intent, kept: Kept, visit: &Visit<'_>) -> Answer {
        let Some(round) = guard::next_round(intent.rounds) else {
            return self.stop_loop(intent, &kept, false, visit);
        };
        let asks_first = intent.scope == Scope::Userinfo
            && self.settings.userinfo_prompt == UserinfoPrompt::Button
            && !intent.clicked;
        if asks_first {
            return self.show_purpose(app, intent, visit);
        }
        if let Some(answer) = self.over_limit(Action::LoginStart, visit) {
            return answer;
        }
        self.send_to_wechat(app, intent, round, kept, visit)
    }

    /// P3: who asks for what. WeChat shows a preview instead of its consent when nobody pressed a button before.
    pub(super) fn show_purpose(&self, app: &App, intent: &Intent, visit: &Visit<'_>) -> Answer {
        if intent.is_at_target && self.settings.keep_fragment {
            // The button's address has no `#...` any more, so it is saved before the page is shown.
            return self.save_fragment(intent, self.link(&intent.query()), visit);
        }
        let continue_url = self.link(&LoginQuery {
            clicked: true,
            ..intent.query()
        });
        // Where the route demands the profile, the link would only lead back here.
        let without_profile_url =
            (!intent.required).then(|| self.link(&LoginQuery::to(&intent.target)));
        let page = Page::Purpose {
            continue_url,
            without_profile_url,
            app: app.name.as_str().to_owned(),
        };
        self.page(StatusCode::OK, "login-purpose", &page, visit)
    }

    fn send_to_wechat(
        &self,
        app: &App,
        intent: &Intent,
        round: u8,
        kept: Kept,
        visit: &Visit<'_>,
    ) -> Answer {
        let (state, cookie) = self.note_attempt(app, intent, round, kept, visit);
        let relay = self.relay_address(app, intent.scope, &state, visit);
        let address = relay.unwrap_or_else(|| {
            let redirect_uri = self.callback_address(app, &intent.target, &visit.info.host);
            let wechat = &self.parts.wechat;
            wechat.authorize_url(app, &redirect_uri, intent.scope, state.as_str())
        });
        let mut answer = if intent.is_at_target && self.settings.keep_fragment {
            self.save_fragment(intent, address, visit)
        } else {
            self.go("login-redirect", &address, visit)
        };
        answer.headers_mut().append(SET_COOKIE, cookie);
        answer
    }

    /// Adds an attempt to those of the browser; what names it, and the `Set-Cookie` that keeps it.
    pub(super) fn note_attempt(
        &self,
        app: &App,
        intent: &Intent,
        round: u8,
        kept: Kept,
        visit: &Visit<'_>,
    ) -> (State, HeaderValue) {
        let state = State::new(&random_text(RANDOM_LENGTH), round);
        let mut ring = kept.into_ring();
        ring.push(Attempt {
            state: state.clone(),
            target: intent.target.clone(),
            host: visit.info.host.as_str().to_owned(),
            app: app.name.as_str().to_owned(),
            scope: intent.scope,
            because: intent.because,
            required: intent.required,
            started: from_unix_seconds(unix_seconds(visit.now)),
            completed: None,
        });
        self.parts
            .metrics
            .login_started(app.name.as_str(), label(app.kind, intent.scope));
        (state, self.attempts.write(&ring))
    }

    fn save_fragment(&self, intent: &Intent, address: String, visit: &Visit<'_>) -> Answer {
        let page = Page::SaveFragment {
            key: fragment_key(visit.info.host.as_str(), &intent.target),
            address,
        };
        self.page(StatusCode::OK, "login-save-fragment", &page, visit)
    }

    /// The end of a chain: a page that names the cause, and one click that begins anew.
    pub(super) fn stop_loop(
        &self,
        intent: &Intent,
        kept: &Kept,
        is_other_host: bool,
        visit: &Visit<'_>,
    ) -> Answer {
        let host = visit.info.host.as_str();
        let cause = guard::diagnose(&Evidence {
            kept,
            because: intent.because,
            has_session_cookie: self.parts.sessions.cookie_value(visit.headers).is_some(),
            is_other_host: is_other_host || guard::is_other_host(visit.headers, host),
            is_plain_http: self.settings.secure_cookies
                && guard::is_plain_http(visit.headers, host),
            now: visit.now,
        });
        self.parts.metrics.login_loop_stopped(cause.code());
        tracing::warn!(
            request.id = visit.info.id.as_str(),
            cause = cause.code(),
            host,
            browser = visit.info.browser.label(),
            "login went round in circles and was stopped"
        );
        let retry = LoginQuery {
            again: true,
            ..intent.query()
        };
        self.not_finished(cause, Some(retry), visit)
    }
}
