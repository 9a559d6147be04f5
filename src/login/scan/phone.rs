//! `x/<id>`: what a phone shows whose visitor scanned a code.

use http::{Method, StatusCode};

use super::ScanConfirm;
use super::ticket::{Ticket, TicketId};
use crate::clock::unix_seconds;
use crate::login::guard;
use crate::login::send::Intent;
use crate::login::{Error, Login, Visit};
use crate::message::{self, Answer, Load};
use crate::pages::{ConfirmScan, NeededClient, Page, ScanEnding};
use crate::route::Unauthenticated;
use crate::route::policy::Because;
use crate::seal::Purpose;
use crate::session::Session;

/// What is sealed into the proof that a form is ours; ticket and session are in the context.
const FORM_PROOF: &[u8] = b"scan";

impl Login {
    /// Answers `GET x/<id>`: by itself it does nothing but log the phone in. Only then the page asks, and only a POST answers.
    pub(in crate::login) async fn scanned(
        &self,
        id: &TicketId,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        // Re-fetchers and previews are nobody.
        if visit.info.method == Method::HEAD {
            return Ok(message::empty(StatusCode::NO_CONTENT, "scan-head"));
        }
        if visit.info.load == Load::Prefetch {
            return Ok(message::empty(
                StatusCode::SERVICE_UNAVAILABLE,
                "scan-prefetch",
            ));
        }
        if !visit.info.browser.is_wechat() {
            return Ok(self.scanned_elsewhere(id, visit));
        }
        let host = visit.info.host.as_str();
        let Some(ticket) = self.tickets.find(id, host, visit.now).await? else {
            return Ok(self.scan_ended(ScanEnding::Expired, visit));
        };
        match self.confirmer(&ticket, visit) {
            Ok(session) => self.ask(&ticket, session, visit).await,
            Err(because) => Ok(self.identify(&ticket, because, visit)),
        }
    }

    /// The session that may speak for the phone: begun after the code was drawn, so that it belongs to whoever holds the phone
    /// now, and with the profile where that is needed. Otherwise why it does not do.
    pub(super) fn confirmer<'v>(
        &self,
        ticket: &Ticket,
        visit: &Visit<'v>,
    ) -> Result<&'v Session, Because> {
        let session = visit.session.ok_or(Because::NoSession)?;
        if session.scope < ticket.scope() {
            return Err(Because::Scope);
        }
        if unix_seconds(session.started_at) < ticket.drawn {
            return Err(Because::Age);
        }
        Ok(session)
    }

    fn identify(&self, ticket: &Ticket, because: Because, visit: &Visit<'_>) -> Answer {
        let target = self.parts.site.endpoint_path(&ticket.id.link());
        let kept = self.attempts.read(visit.headers);
        let host = visit.info.host.as_str();
        let intent = Intent {
            rounds: guard::rounds_before(kept.ring(), host, &target, None, visit.now),
            target,
            scope: ticket.scope(),
            because,
            max_age: None,
            required: true,
            clicked: false,
            is_at_target: false,
        };
        self.open(&intent, Unauthenticated::Auto, kept, visit)
    }

    async fn ask(
        &self,
        ticket: &Ticket,
        session: &Session,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        if let Some(ending) = self.refusal(ticket, session).await? {
            return Ok(self.scan_ended(ending, visit));
        }
        let device = &ticket.wish.device;
        let known = |text: &String| (!text.is_empty()).then(|| text.clone());
        let page = Page::ConfirmScan(ConfirmScan {
            browser: known(&device.browser),
            system: known(&device.system),
            network: device.network.clone(),
            seconds: self.tickets.time_left(ticket, visit.now).as_secs().max(1),
            numbers: match self.settings.scan_confirm {
                ScanConfirm::MatchNumber => ticket.numbers.offered.to_vec(),
                ScanConfirm::Button => Vec::new(),
            },
            action_url: self.parts.site.endpoint_path(&ticket.id.link()),
            form_token: self.scan_token(ticket, session),
        });
        Ok(self.page(StatusCode::OK, "scan-confirm", &page, visit))
    }

    /// Why this person may not answer this ticket; the first one who asks may.
    pub(super) async fn refusal(
        &self,
        ticket: &Ticket,
        session: &Session,
    ) -> Result<Option<ScanEnding>, Error> {
        let person = &session.person;
        if self.tickets.is_reported(ticket, person).await? {
            return Ok(Some(ScanEnding::Reported));
        }
        if self.tickets.guesses(person).await? {
            return Ok(Some(ScanEnding::Limited));
        }
        let is_first = self.tickets.claim(ticket, person).await?;
        Ok((!is_first).then_some(ScanEnding::Taken))
    }

    /// A camera or a browser opened the code: only WeChat can say who it is.
    fn scanned_elsewhere(&self, id: &TicketId, visit: &Visit<'_>) -> Answer {
        let page = Page::WrongClient {
            needs: NeededClient::Wechat,
            address: self.parts.site.endpoint(&visit.info.host, &id.link()),
            open_url: None,
        };
        self.page(StatusCode::UNAUTHORIZED, "login-elsewhere", &page, visit)
    }

    pub(super) fn scan_ended(&self, ending: ScanEnding, visit: &Visit<'_>) -> Answer {
        let status = match ending {
            ScanEnding::Approved | ScanEnding::Denied | ScanEnding::NotMe => StatusCode::OK,
            ScanEnding::Expired => StatusCode::GONE,
            ScanEnding::Taken => StatusCode::CONFLICT,
            ScanEnding::Limited => StatusCode::TOO_MANY_REQUESTS,
            ScanEnding::WrongNumber | ScanEnding::Reported | ScanEnding::Forged => {
                StatusCode::FORBIDDEN
            }
        };
        self.page(status, "scan-ended", &Page::ScanEnded { ending }, visit)
    }

    /// Proves that a form came from our page; good for this ticket and this session only.
    fn scan_token(&self, ticket: &Ticket, session: &Session) -> String {
        let context = form_context(ticket, session);
        self.parts.sealer.seal(Purpose::Form, &context, FORM_PROOF)
    }

    pub(super) fn is_scan_token(&self, token: &str, ticket: &Ticket, session: &Session) -> bool {
        let context = form_context(ticket, session);
        let proof = self.parts.sealer.open(Purpose::Form, &context, token);
        proof.is_some_and(|proof| proof == FORM_PROOF)
    }
}

fn form_context(ticket: &Ticket, session: &Session) -> String {
    format!("scan {} {}", ticket.id.as_str(), session.id)
}
