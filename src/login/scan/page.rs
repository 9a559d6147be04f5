//! The page with the QR code, in the browser that wants to be logged in.

use http::header::{SET_COOKIE, USER_AGENT};
use http::{Method, StatusCode};

use super::device::Device;
use super::query::ScanQuery;
use super::secret::BrowserSecret;
use super::ticket::{Ticket, Wish};
use super::tickets::{Collected, Seen};
use crate::identity::Person;
use crate::limit::Action;
use crate::login::address::Destination;
use crate::login::enter::still_needed;
use crate::login::method::Method as Way;
use crate::login::query::LoginQuery;
use crate::login::scan::ScanConfirm;
use crate::login::{DesktopTab, Error, Login, Visit};
use crate::message::{self, Answer, Browser, Load, agent_text};
use crate::pages::{LogIn, LogInMethod, LogInPane, LogInTab, Page, ScanState};
use crate::session::{NewSession, SetCookie};
use crate::wechat::Scope;

/// The word for this way to log in, in metrics and log.
pub(super) const LABEL: &str = "scan";

impl Login {
    /// Answers `scan`. Dropping the future may lose a login that was confirmed; the visitor scans again.
    pub(in crate::login) async fn scan(&self, visit: &Visit<'_>) -> Result<Answer, Error> {
        // Nobody is looking: nothing is drawn and nothing collected.
        if visit.info.method == Method::HEAD {
            return Ok(message::empty(StatusCode::NO_CONTENT, "scan-head"));
        }
        if visit.info.load == Load::Prefetch {
            return Ok(message::empty(
                StatusCode::SERVICE_UNAVAILABLE,
                "scan-prefetch",
            ));
        }
        let asked = ScanQuery::read(visit.info.target.query().unwrap_or_default());
        let destination = Destination::judge(&asked.login.to, &self.parts.site);
        let is_here = destination.host.is_none_or(|host| host == visit.info.host);
        if !is_here || self.way(visit) != Way::QrPage {
            // `login` knows the way from everywhere.
            return Ok(self.go("login-other-way", &self.link(&asked.login), visit));
        }
        let query = ScanQuery {
            login: LoginQuery {
                to: destination.target,
                ..asked.login
            },
            ..asked
        };
        let LoginQuery { scope, max_age, .. } = query.login;
        let needed = still_needed(visit.session, scope, max_age, visit.now);
        let Some(because) = needed else {
            return Ok(self.go("login-not-needed", &query.login.to, visit));
        };
        match self.open_tab(&query, visit) {
            DesktopTab::Scan | DesktopTab::Follow => self.show_code(query, visit).await,
            DesktopTab::Website(app) => {
                let tabs = self.tabs(&query, visit);
                Ok(self.show_website(&app, &query.login, because, tabs, visit))
            }
        }
    }

    /// The tab that the query names; the first one where it names none of ours. A phone has only one.
    fn open_tab(&self, query: &ScanQuery, visit: &Visit<'_>) -> DesktopTab {
        let offered = self.offered(visit);
        let named = |tab: &&DesktopTab| query.tab.as_deref() == Some(tab.name());
        let tab = offered.iter().find(named).or_else(|| offered.first());
        tab.cloned().unwrap_or(DesktopTab::Scan)
    }

    fn offered(&self, visit: &Visit<'_>) -> &[DesktopTab] {
        match visit.info.browser {
            Browser::Phone => &[DesktopTab::Scan],
            _ => &self.settings.desktop,
        }
    }

    /// Links to every tab.
    fn tabs(&self, query: &ScanQuery, visit: &Visit<'_>) -> Vec<LogInTab> {
        let open = self.open_tab(query, visit);
        let link = |tab: &DesktopTab| {
            let chosen = ScanQuery {
                tab: Some(tab.name().to_owned()),
                ..ScanQuery::fresh(query.login.clone())
            };
            LogInTab {
                method: match tab {
                    DesktopTab::Scan => LogInMethod::Scan,
                    DesktopTab::Follow => LogInMethod::Follow,
                    DesktopTab::Website(_) => LogInMethod::Website,
                },
                url: self.parts.site.endpoint_path(&chosen.link()),
                is_open: *tab == open,
            }
        };
        self.offered(visit).iter().map(link).collect()
    }

    async fn show_code(&self, query: ScanQuery, visit: &Visit<'_>) -> Result<Answer, Error> {
        let secret = self.scan_cookie.read(visit.headers);
        let seen = match (&query.id, &secret) {
            (None, _) => return self.draw(query, secret, visit).await,
            // A browser that keeps no cookie would get a code with each look, and none would ever work.
            (Some(_), None) => Seen::Expired,
            (Some(id), Some(secret)) => {
                let host = visit.info.host.as_str();
                let seen = self.tickets.look(id, secret, host, visit.now).await?;
                self.with_renewed_code(seen, visit).await
            }
        };
        Ok(match seen {
            Seen::Collected(collected) => match self.collect(&collected, visit).await? {
                Some(cookie) => {
                    let target = &collected.ticket.wish.target;
                    let mut answer = self.go("login-finished", target, visit);
                    answer.headers_mut().append(SET_COOKIE, cookie);
                    answer
                }
                None => self.code_page(&query, ScanState::Expired, None, visit),
            },
            Seen::Waiting(ticket) | Seen::Renewed(ticket) => {
                self.code_page(&query, ScanState::Waiting, Some(&ticket), visit)
            }
            Seen::Scanned(ticket) => {
                let state = ScanState::Scanned {
                    number: self.number(&ticket),
                };
                self.code_page(&query, state, Some(&ticket), visit)
            }
            Seen::Denied => self.code_page(&query, ScanState::Denied, None, visit),
            Seen::Expired => self.code_page(&query, ScanState::Expired, None, visit),
        })
    }

    async fn draw(
        &self,
        mut query: ScanQuery,
        secret: Option<BrowserSecret>,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        if let Some(answer) = self.over_limit(Action::LoginStart, visit) {
            return Ok(answer);
        }
        let secret = secret.unwrap_or_else(BrowserSecret::random);
        let agent = agent_text(visit.headers.get(USER_AGENT));
        let wish = Wish {
            host: visit.info.host.as_str().to_owned(),
            target: query.login.to.clone(),
            wants_profile: query.login.scope == Scope::Userinfo,
            device: Device::of(&agent, visit.info.client),
            language: self.language(visit).tag().to_owned(),
        };
        let ticket = self.tickets.draw(wish, &secret, visit.now).await?;
        let ticket = match self.open_tab(&query, visit) {
            DesktopTab::Follow => match self.with_follow_code(ticket.clone()).await {
                Ok(ticket) => ticket,
                Err(error) => {
                    self.note_no_code(&error, visit);
                    if !self.offered(visit).contains(&DesktopTab::Scan) {
                        return Ok(self.no_follow_code(&error, &query.login, visit));
                    }
                    // The visitor need not wait for the account: our own code does the same.
                    query.tab = Some(DesktopTab::Scan.name().to_owned());
                    ticket
                }
            },
            DesktopTab::Scan | DesktopTab::Website(_) => ticket,
        };
        if let Some(app) = self.service_account() {
            let (app, label) = (app.name.as_str(), ticket.label());
            self.parts.metrics.login_started(app, label);
        }
        let mut answer = self.code_page(&query, ScanState::Waiting, Some(&ticket), visit);
        let cookie = self.scan_cookie.write(&secret);
        answer.headers_mut().append(SET_COOKIE, cookie);
        Ok(answer)
    }

    fn code_page(
        &self,
        query: &ScanQuery,
        state: ScanState,
        ticket: Option<&Ticket>,
        visit: &Visit<'_>,
    ) -> Answer {
        let site = &self.parts.site;
        let fresh = ScanQuery {
            id: None,
            ..query.clone()
        };
        let page_url = ticket.map(|ticket| {
            let shown = ScanQuery {
                id: Some(ticket.id.clone()),
                ..fresh.clone()
            };
            site.endpoint_path(&shown.link())
        });
        let drawn = ticket.map(|ticket| self.drawn(ticket, visit));
        let (code, address) = match drawn {
            Some((code, address)) => (Some(code), address),
            None => (None, None),
        };
        let page = Page::LogIn(LogIn {
            in_phone: visit.info.browser == Browser::Phone,
            tabs: self.tabs(query, visit),
            pane: LogInPane::Scan {
                follows: self.open_tab(query, visit) == DesktopTab::Follow,
                code,
                address,
                state,
                status_url: ticket.map(|ticket| self.status_url(ticket)),
                page_url,
                fresh_url: site.endpoint_path(&fresh.link()),
            },
        });
        self.page(StatusCode::OK, "login-page", &page, visit)
    }

    /// What the code holds, and the address of the phone's page where the code is that.
    pub(super) fn drawn(&self, ticket: &Ticket, visit: &Visit<'_>) -> (String, Option<String>) {
        match &ticket.follow {
            Some(code) => (code.url.clone(), None),
            None => {
                let link = ticket.id.link();
                let address = self.parts.site.endpoint(&visit.info.host, &link);
                (address.clone(), Some(address))
            }
        }
    }

    /// The path where a script asks for news.
    pub(super) fn status_url(&self, ticket: &Ticket) -> String {
        let rest = format!("scan/status?id={}", ticket.id.as_str());
        self.parts.site.endpoint_path(&rest)
    }

    /// What the browser shows as soon as its code was scanned; never before, so that no picture of the code holds it.
    pub(super) fn number(&self, ticket: &Ticket) -> Option<u8> {
        match self.settings.scan_confirm {
            ScanConfirm::MatchNumber => Some(ticket.numbers.right),
            ScanConfirm::Button => None,
        }
    }

    /// Starts the session of a confirmed ticket; `None` when its app is configured no more.
    pub(super) async fn collect(
        &self,
        collected: &Collected,
        visit: &Visit<'_>,
    ) -> Result<Option<SetCookie>, Error> {
        let Collected { app, found, ticket } = collected;
        let Some(app) = self.parts.wechat.app(app) else {
            return Ok(None);
        };
        let new = NewSession {
            person: Person {
                app: app.name.clone(),
                app_id: app.id.clone(),
                openid: found.openid.clone(),
                unionid: found.unionid.clone(),
                profile: found.profile.clone(),
            },
            scope: found.scope,
            method: ticket.method(),
            refresh_token: None,
        };
        tracing::info!(
            event = "scan",
            request.id = visit.info.id.as_str(),
            app = app.name.as_str(),
            result = "collected",
            "a browser was logged in by a phone"
        );
        Ok(Some(self.begin_session(new, found.at, visit).await?))
    }
}
