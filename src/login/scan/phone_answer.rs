//! `POST x/<id>`: what the person says.

use url::form_urlencoded::parse;

use super::ScanConfirm;
use super::ticket::{Ticket, TicketId};
use super::tickets::Answered;
use crate::limit::Action;
use crate::login::outcome::Found;
use crate::login::{Error, Login, Visit};
use crate::message::{Answer, RequestBody};
use crate::pages::ScanEnding;
use crate::session::Session;

/// The form has two short fields.
const LONGEST_FORM: u64 = 4 * 1024;

/// What the person pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pressed {
    /// A number.
    Number(String),
    /// "Log in".
    Allow,
    /// "Cancel".
    Deny,
    /// "This was not me".
    NotMe,
}

/// The fields of the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Form {
    pressed: Option<Pressed>,
    form_token: String,
}

impl Form {
    /// Reads a form body; unknown fields do not matter, of several buttons the last one counts.
    fn read(text: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, value) in parse(text) {
            match (name.as_ref(), value.as_ref()) {
                ("number", number) => form.pressed = Some(Pressed::Number(number.to_owned())),
                ("answer", "allow") => form.pressed = Some(Pressed::Allow),
                ("answer", "deny") => form.pressed = Some(Pressed::Deny),
                ("answer", "not-me") => form.pressed = Some(Pressed::NotMe),
                ("form_token", token) => token.clone_into(&mut form.form_token),
                _ => {}
            }
        }
        form
    }
}

impl Login {
    /// Answers `POST x/<id>`.
    pub(in crate::login) async fn scan_answered(
        &self,
        id: &TicketId,
        body: RequestBody,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        if let Some(answer) = self.over_limit(Action::Callback, visit) {
            return Ok(answer);
        }
        let form = Form::read(&body.collect(LONGEST_FORM).await?);
        let host = visit.info.host.as_str();
        let Some(ticket) = self.tickets.find(id, host, visit.now).await? else {
            return Ok(self.scan_ended(ScanEnding::Expired, visit));
        };
        let Ok(session) = self.confirmer(&ticket, visit) else {
            return Ok(self.scan_ended(ScanEnding::Forged, visit));
        };
        if !self.is_scan_token(&form.form_token, &ticket, session) {
            return Ok(self.scan_ended(ScanEnding::Forged, visit));
        }
        let ending = match self.refusal(&ticket, session).await? {
            Some(refusal) => refusal,
            None => match form.pressed {
                Some(pressed) => self.take_down(&ticket, session, &pressed).await?,
                None => ScanEnding::Forged,
            },
        };
        self.note(ending, &ticket, session, visit);
        Ok(self.scan_ended(ending, visit))
    }

    /// A wrong number ends the ticket: who guesses has one try out of three.
    async fn take_down(
        &self,
        ticket: &Ticket,
        session: &Session,
        pressed: &Pressed,
    ) -> Result<ScanEnding, Error> {
        let ending = match (self.settings.scan_confirm, pressed) {
            (_, Pressed::Deny) => ScanEnding::Denied,
            (_, Pressed::NotMe) => ScanEnding::NotMe,
            (ScanConfirm::MatchNumber, Pressed::Number(chosen)) => {
                match ticket.numbers.is_right(chosen) {
                    true => ScanEnding::Approved,
                    false => ScanEnding::WrongNumber,
                }
            }
            (ScanConfirm::Button, Pressed::Allow) => ScanEnding::Approved,
            (ScanConfirm::MatchNumber, Pressed::Allow)
            | (ScanConfirm::Button, Pressed::Number(_)) => ScanEnding::Forged,
        };
        let person = &session.person;
        let answered = match ending {
            ScanEnding::Approved => yes(session),
            ScanEnding::WrongNumber => {
                self.tickets.count_wrong_number(person).await?;
                Answered::No
            }
            ScanEnding::NotMe => {
                self.tickets.report(ticket, person).await?;
                Answered::No
            }
            ScanEnding::Denied => Answered::No,
            ScanEnding::Forged
            | ScanEnding::Expired
            | ScanEnding::Taken
            | ScanEnding::Limited
            | ScanEnding::Reported => return Ok(ending),
        };
        let is_first = self.tickets.answer(ticket, answered).await?;
        Ok(match is_first {
            true => ending,
            false => ScanEnding::Expired,
        })
    }

    /// For the operator: who asked from where, and what came of it.
    fn note(&self, ending: ScanEnding, ticket: &Ticket, session: &Session, visit: &Visit<'_>) {
        let result = match ending {
            ScanEnding::Approved => "ok",
            ScanEnding::Denied => "cancelled",
            ScanEnding::Expired => "expired",
            ScanEnding::NotMe
            | ScanEnding::WrongNumber
            | ScanEnding::Taken
            | ScanEnding::Limited
            | ScanEnding::Reported
            | ScanEnding::Forged => "denied",
        };
        let app = session.person.app.as_str();
        let took = Some(ticket.age(visit.now));
        let metrics = &self.parts.metrics;
        metrics.login_finished(app, ticket.label(), result, took);
        let account = self.parts.mask.apply(session.person.openid.as_str());
        tracing::info!(
            event = "scan",
            request.id = visit.info.id.as_str(),
            app,
            result,
            ending = ending.word(),
            account,
            from.network = ticket.wish.device.network,
            "a phone answered"
        );
    }
}

/// What the session knows of its person.
fn yes(session: &Session) -> Answered {
    let person = &session.person;
    Answered::Yes {
        app: person.app.as_str().to_owned(),
        found: Found {
            openid: person.openid.clone(),
            unionid: person.unionid.clone(),
            scope: session.scope,
            profile: person.profile.clone(),
            // Whatever ends this session ends the other one too.
            at: session.started_at,
            // The phone's session keeps its own.
            refresh_token: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_one_thing() {
        let table: [(&str, Option<Pressed>); 7] = [
            ("number=42", Some(Pressed::Number("42".to_owned()))),
            ("answer=allow", Some(Pressed::Allow)),
            ("answer=deny", Some(Pressed::Deny)),
            ("answer=not-me", Some(Pressed::NotMe)),
            (
                "answer=allow&number=1",
                Some(Pressed::Number("1".to_owned())),
            ),
            ("answer=else", None),
            ("", None),
        ];
        for (text, pressed) in table {
            let text = format!("form_token=abc&{text}");
            let expected = Form {
                pressed,
                form_token: "abc".to_owned(),
            };
            assert_eq!(Form::read(text.as_bytes()), expected, "{text}");
        }
    }
}
