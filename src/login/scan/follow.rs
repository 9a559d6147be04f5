//! The account's own code: whoever reads it follows the account, and WeChat pushes the event to us. An event says who read the
//! code and is no consent, so the account answers with a link to the page that asks, unless the operator wants it otherwise.

use super::FollowConsent;
use super::device::Device;
use super::ticket::{FollowCode, Ticket, TicketId};
use super::tickets::{Answered, Seen};
use crate::identity::Person;
use crate::login::outcome::Found;
use crate::login::query::LoginQuery;
use crate::login::{Login, Visit};
use crate::message::{Answer, Host};
use crate::pages::{Cause, FollowMessage, Language, ScanEnding};
use crate::session;
use crate::store;
use crate::wechat::{self, App, OpenId, Reaction, Scope};

/// The word for this way to log in, in metrics and log.
pub(super) const LABEL: &str = "follow";

/// Somebody read a code of one of the operator's accounts.
#[derive(Clone, Copy, Debug)]
pub(in crate::login) struct ScannedScene<'e> {
    /// The account.
    pub(in crate::login) app: &'e App,
    /// Who read it.
    pub(in crate::login) openid: &'e OpenId,
    /// What the code holds.
    pub(in crate::login) scene: &'e str,
    /// WeChat's name of the code.
    pub(in crate::login) ticket: &'e str,
}

impl Login {
    /// Puts a ticket into a code of the account, in which WeChat shows and pushes it. The error says why there is none.
    pub(super) async fn with_follow_code(&self, ticket: Ticket) -> Result<Ticket, wechat::Error> {
        let Some(app) = self.service_account() else {
            return Ok(ticket);
        };
        let (scene, lifetime) = (ticket.id.as_str(), self.settings.scan_ttl);
        let code = self.parts.tokens.scene_code(app, scene, lifetime).await?;
        let ticket = Ticket {
            follow: Some(FollowCode {
                app: app.name.as_str().to_owned(),
                ticket: code.ticket,
                url: code.url,
            }),
            ..ticket
        };
        let written = self.tickets.write(ticket).await;
        written.map_err(wechat::Error::Store)
    }

    /// The same for a ticket that took another one's place: it needs a code of its own, or it is of no use.
    pub(super) async fn with_renewed_code(&self, seen: Seen, visit: &Visit<'_>) -> Seen {
        match seen {
            Seen::Renewed(ticket) if ticket.follow.is_some() => {
                match self.with_follow_code(ticket).await {
                    Ok(ticket) => Seen::Renewed(ticket),
                    Err(error) => {
                        self.note_no_code(&error, visit);
                        Seen::Expired
                    }
                }
            }
            seen => seen,
        }
    }

    /// For the operator: quota, permission and address list are his.
    pub(super) fn note_no_code(&self, error: &wechat::Error, visit: &Visit<'_>) {
        let app = self.service_account().map(|app| app.name.as_str());
        let source: &dyn std::error::Error = error;
        let request_id = visit.info.id.as_str();
        if error.reaction() == Reaction::Operator || error.code().is_some() {
            tracing::error!(
                request.id = request_id,
                app,
                error = source,
                "WeChat makes no code for the follow tab: only verified service accounts have them, and calls need a listed address"
            );
        } else {
            tracing::warn!(
                request.id = request_id,
                app,
                error = source,
                "no code for the follow tab"
            );
        }
    }

    /// P6, where there is no other way to log in.
    pub(super) fn no_follow_code(
        &self,
        error: &wechat::Error,
        query: &LoginQuery,
        visit: &Visit<'_>,
    ) -> Answer {
        let cause = match (error, error.reaction()) {
            (wechat::Error::Store(_), _) => Cause::StoreTrouble,
            (wechat::Error::Timeout(_), _) => Cause::WechatTimeout,
            (_, Reaction::Operator) => Cause::LoginSetup,
            (_, Reaction::Later | Reaction::Restart | Reaction::Visitor | Reaction::CodeUsed) => {
                Cause::WechatTrouble
            }
        };
        let retry = (cause != Cause::LoginSetup).then(|| query.clone());
        self.not_finished(cause, retry, visit)
    }

    /// What the account answers to somebody who read a code; `None` for a code that is none of ours.
    ///
    /// The same event again gets the same answer and changes nothing: the first person keeps the ticket, and what was said is said.
    pub(in crate::login) async fn scene_scanned(
        &self,
        scanned: ScannedScene<'_>,
        visit: &Visit<'_>,
    ) -> Result<Option<String>, store::Error> {
        let Some(id) = TicketId::parse(scanned.scene) else {
            return Ok(None);
        };
        let Some(ticket) = self.tickets.find_anywhere(&id).await? else {
            return Ok(None);
        };
        let Some(host) = self.parts.site.host(&ticket.wish.host) else {
            return Ok(None);
        };
        let is_this = |code: &FollowCode| {
            code.app == scanned.app.name.as_str() && code.ticket == scanned.ticket
        };
        if !ticket.follow.as_ref().is_some_and(is_this) {
            tracing::warn!(
                request.id = visit.info.id.as_str(),
                app = scanned.app.name.as_str(),
                "a push names a code that another account, or nobody, shows"
            );
            return Ok(None);
        }
        let person = Person {
            app: scanned.app.name.clone(),
            app_id: scanned.app.id.clone(),
            openid: scanned.openid.clone(),
            unionid: None,
            profile: None,
        };
        let message = self
            .answer_to_follower(&ticket, &person, &host, visit)
            .await?;
        let language = Language::from_tag(&ticket.wish.language).unwrap_or(Language::ZhCn);
        let pages = &self.parts.pages;
        Ok(Some(pages.follow_message(&message, &host, language)))
    }

    async fn answer_to_follower(
        &self,
        ticket: &Ticket,
        person: &Person,
        host: &Host,
        visit: &Visit<'_>,
    ) -> Result<FollowMessage, store::Error> {
        if self.tickets.time_left(ticket, visit.now).is_zero() {
            return Ok(FollowMessage::Ended(ScanEnding::Expired));
        }
        if self.tickets.is_reported(ticket, person).await? {
            return Ok(FollowMessage::Ended(ScanEnding::Reported));
        }
        if self.tickets.guesses(person).await? {
            return Ok(FollowMessage::Ended(ScanEnding::Limited));
        }
        if !self.tickets.claim(ticket, person).await? {
            return Ok(FollowMessage::Ended(ScanEnding::Taken));
        }
        let (site, device) = (&self.parts.site, &ticket.wish.device);
        // An event tells no profile, so that is asked for on the page.
        let is_enough =
            self.settings.follow_consent == FollowConsent::Scan && ticket.scope() == Scope::Base;
        if !is_enough {
            return Ok(FollowMessage::Confirm {
                device: words(device),
                network: device.network.clone(),
                seconds: self.tickets.time_left(ticket, visit.now).as_secs().max(1),
                link: site.endpoint(host, &ticket.id.link()),
            });
        }
        let answered = Answered::Yes {
            app: person.app.as_str().to_owned(),
            found: Found {
                openid: person.openid.clone(),
                unionid: None,
                scope: Scope::Base,
                profile: None,
                at: visit.now,
                refresh_token: None,
            },
        };
        if self.tickets.answer(ticket, answered).await? {
            self.note_scan_login(ticket, person, visit);
        }
        Ok(FollowMessage::LoggedIn {
            device: words(device),
            network: device.network.clone(),
            link: site.endpoint(host, "me"),
        })
    }

    fn note_scan_login(&self, ticket: &Ticket, person: &Person, visit: &Visit<'_>) {
        let app = person.app.as_str();
        let took = Some(ticket.age(visit.now));
        self.parts.metrics.login_finished(app, LABEL, "ok", took);
        tracing::info!(
            event = "scan",
            request.id = visit.info.id.as_str(),
            app,
            result = "ok",
            ending = "follow",
            account = self.parts.mask.apply(person.openid.as_str()),
            from.network = ticket.wish.device.network,
            "a browser is logged in by a read code"
        );
    }
}

impl Ticket {
    /// How a login by it is called in `amr`.
    pub(super) fn method(&self) -> session::Method {
        match self.follow {
            Some(_) => session::Method::Follow,
            None => session::Method::Scan,
        }
    }

    /// The same in metrics and log.
    pub(super) fn label(&self) -> &'static str {
        match self.follow {
            Some(_) => LABEL,
            None => super::page::LABEL,
        }
    }
}

/// `Chrome · Windows`; empty for a browser that nobody knows.
fn words(device: &Device) -> String {
    let known = [device.browser.as_str(), device.system.as_str()];
    let known: Vec<&str> = known.into_iter().filter(|word| !word.is_empty()).collect();
    known.join(" · ")
}
