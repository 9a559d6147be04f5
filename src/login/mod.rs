//! Getting to know somebody: the endpoints under the reserved prefix.
//!
//! A request that may not pass comes to [`Login::start`]; the rest are addresses of ours. What to do is decided by plain
//! functions (`method`, `opening`, `judge`, `guard`); what carries it out is beside them.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, Method};

use self::cookie::AttemptsCookie;
use self::exchange::Exchange;
use self::open::Links;
use self::redeem::Redeemer;
use self::scan::{ScanCookie, Tickets};
use crate::clock::Clock;
use crate::drain::Drain;
use crate::identity::Identity;
use crate::limit::Limits;
use crate::message::{Answer, Request, RequestInfo, Site};
use crate::observe::{IdentityMask, Metrics};
use crate::pages::Pages;
use crate::route::Rule;
use crate::route::policy::Need;
use crate::seal::{Sealer, is_proof};
use crate::session::{Session, Sessions};
use crate::store::{self, Store};
use crate::target::Target;
use crate::wechat::{self, AccessTokens, App};

mod address;
mod answer;
mod api;
mod attempt;
mod callback;
mod cookie;
mod ending;
mod endpoint;
mod enter;
mod exchange;
mod finish;
mod guard;
mod jsapi;
mod judge;
mod logout;
mod me;
mod method;
mod open;
mod opening;
mod outcome;
mod profile;
mod push;
mod query;
mod redeem;
mod relay;
mod scan;
mod send;
mod settings;
mod start;
mod way_back;
mod website;

pub use api::{Call, challenge_token};
pub use endpoint::Endpoint;
pub use relay::RelaySettings;
pub use scan::{FollowConsent, MobileBrowser, ScanConfirm, ScanCounts, TicketId};
pub use settings::{DesktopTab, MiniProgramLink, Settings, SnapshotUser, UserinfoPrompt};

/// What a login works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Talks to WeChat.
    pub wechat: wechat::Client,
    /// Gets app-wide tokens and tickets.
    pub tokens: AccessTokens,
    /// Starts and ends sessions.
    pub sessions: Arc<Sessions>,
    /// What people are called.
    pub identity: Arc<Identity>,
    /// Seals attempts and forms.
    pub sealer: Arc<Sealer>,
    /// Remembers used codes and their outcomes.
    pub store: Store,
    /// Shows pages.
    pub pages: Arc<Pages>,
    /// Limits logins and callbacks.
    pub limits: Arc<Limits>,
    /// Counts logins.
    pub metrics: Arc<Metrics>,
    /// Where we are.
    pub site: Arc<Site>,
    /// The time.
    pub clock: Clock,
    /// How ids of people appear on pages.
    pub mask: IdentityMask,
    /// Tells requests that are held open when the process stops.
    pub drain: Arc<Drain>,
}

/// Why login cannot answer. Everything a visitor can cause is an [`Answer`], not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store did not answer: nobody gets in, nobody is lost.
    #[error("login needs the store")]
    Store(#[from] store::Error),
    /// The client's body cannot be read.
    #[error("form cannot be read")]
    Body(#[from] crate::message::BodyError),
}

/// Everything about logging in.
#[derive(Debug)]
pub struct Login {
    settings: Settings,
    parts: Parts,
    attempts: AttemptsCookie,
    exchange: Exchange,
    tickets: Tickets,
    scan_cookie: ScanCookie,
    links: Links,
}

/// One request as login sees it.
#[derive(Clone, Copy, Debug)]
struct Visit<'r> {
    info: &'r RequestInfo,
    headers: &'r HeaderMap,
    session: Option<&'r Session>,
    now: SystemTime,
}

impl Login {
    /// Whether a proof for this purpose is of somebody who knows the AppSecret of one of our apps.
    pub fn accepts_proof(&self, proof: &str, purpose: &str, now: SystemTime) -> bool {
        let mut apps = self.parts.wechat.apps().iter();
        apps.any(|app| is_proof(proof, &app.secret, purpose, now))
    }

    /// With these parts.
    pub fn new(settings: Settings, parts: Parts) -> Self {
        let attempts = AttemptsCookie::new(
            settings.secure_cookies,
            settings.attempt_ttl,
            &parts.site,
            Arc::clone(&parts.sealer),
        );
        let exchange = Exchange::new(Redeemer {
            wechat: parts.wechat.clone(),
            store: parts.store.clone(),
            sealer: Arc::clone(&parts.sealer),
            clock: parts.clock.clone(),
            metrics: Arc::clone(&parts.metrics),
        });
        let tickets = Tickets::new(
            parts.store.clone(),
            Arc::clone(&parts.sealer),
            settings.scan_ttl,
        );
        Self {
            scan_cookie: ScanCookie::new(settings.secure_cookies),
            links: Links::default(),
            settings,
            parts,
            attempts,
            exchange,
            tickets,
        }
    }

    /// Codes that are good now, so many at most. Reads many keys: not for requests.
    pub async fn scan_counts(&self, most: usize) -> Result<ScanCounts, store::Error> {
        self.tickets.count(most).await
    }

    /// Which of our endpoints a target names.
    ///
    /// Only exact names count; the gateway answers 404 to everything else below the prefix.
    pub fn endpoint(&self, target: &Target) -> Option<Endpoint> {
        Endpoint::named(&self.parts.site.path_prefix, target.path())
    }

    /// Answers one of our endpoints. `session` is the visitor's valid session, if any.
    ///
    /// When the client goes away, an exchange that has begun still ends, and its outcome waits for the client's return.
    pub async fn serve(
        &self,
        endpoint: Endpoint,
        request: Request,
        info: &RequestInfo,
        session: Option<&Session>,
    ) -> Result<Answer, Error> {
        let (head, body) = request.into_parts();
        let visit = Visit {
            info,
            headers: &head.headers,
            session,
            now: self.parts.clock.now(),
        };
        if !endpoint.allows(&info.method) {
            return Ok(answer::finish(self.method_not_allowed(&endpoint, &visit)));
        }
        let answer = match endpoint {
            Endpoint::Callback(app) => self.callback(&app, &visit).await,
            Endpoint::Login => self.enter(&visit),
            Endpoint::Open => self.open_in_wechat(&visit).await,
            Endpoint::Logout => self.logout(body, &visit).await?,
            Endpoint::Me => self.me(&visit).await?,
            Endpoint::JsConfig => self.js_config(&visit).await,
            Endpoint::JsShare => self.js_share(&visit),
            Endpoint::Scan => self.scan(&visit).await?,
            Endpoint::ScanStatus => self.scan_status(&visit).await?,
            Endpoint::Scanned(id) => match info.method {
                Method::POST => self.scan_answered(&id, body, &visit).await?,
                _ => self.scanned(&id, &visit).await?,
            },
            Endpoint::Push(app) => self.push(&app, body, &visit).await?,
            Endpoint::Relay => self.relay(&visit).await?,
            Endpoint::Api(call) => self.answer_call(call, body, &visit).await?,
            Endpoint::Ticket(id) => self.enter_by_ticket(&id, &visit).await?,
        };
        Ok(answer::finish(answer))
    }

    /// Answers a request that needs a login first: redirect, page, or 401.
    pub fn start(
        &self,
        need: Need,
        rule: &Rule,
        info: &RequestInfo,
        headers: &HeaderMap,
    ) -> Answer {
        let visit = self.visit_of_nobody(info, headers);
        answer::finish(self.answer_to_need(need, rule, &visit))
    }

    /// The same for a front proxy that sends the visitor on by itself: always 401, with the place to log in at.
    ///
    /// `X-Wxgate-Response` is `login-redirect` where the visitor waits for a page, so that a redirect is fit, and
    /// `login-required` where not. The login begins when the place is visited: a front proxy may drop cookies of this answer.
    pub fn point(
        &self,
        need: Need,
        rule: &Rule,
        info: &RequestInfo,
        headers: &HeaderMap,
    ) -> Answer {
        let visit = self.visit_of_nobody(info, headers);
        answer::finish(self.point_to_login(need, rule, &visit))
    }

    /// A request by somebody whose session, if any, does not count.
    fn visit_of_nobody<'v>(&self, info: &'v RequestInfo, headers: &'v HeaderMap) -> Visit<'v> {
        Visit {
            info,
            headers,
            session: None,
            now: self.parts.clock.now(),
        }
    }

    /// A `Set-Cookie` for whoever was logged out: a callback that is asked for again must not log in by itself, and the next
    /// login begins a new chain.
    pub fn forget_attempts(&self) -> HeaderValue {
        self.attempts.removal()
    }

    /// Where app-wide tokens come from.
    pub fn access_tokens(&self) -> &AccessTokens {
        &self.parts.tokens
    }

    /// The service account for the WeChat browser.
    fn service_account(&self) -> Option<&App> {
        let name = self.settings.inside_wechat.as_ref()?;
        self.parts.wechat.app(name.as_str())
    }
}
