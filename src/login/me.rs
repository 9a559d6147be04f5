//! Who is logged in.

use std::time::SystemTime;

use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use super::answer::wants_json;
use super::query::LoginQuery;
use super::start::login_required_answer;
use super::{Error, Login, Visit};
use crate::clock::unix_seconds;
use crate::message::{self, Answer};
use crate::pages::{OtherSession, Page};
use crate::session::Session;

/// `me` as JSON. The names are part of the product: fields may be added, none changes.
#[derive(Serialize)]
struct Account<'a> {
    authenticated: bool,
    app: &'a str,
    /// Masked: scripts of the site learn who it is from the application.
    account: &'a str,
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<&'a str>,
    since: &'a str,
    until: &'a str,
    /// The person's others, where sessions are in the store.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sessions: Vec<Other<'a>>,
}

/// One of the person's other sessions. `session` ends it: `POST logout` with `session=…`.
#[derive(Serialize)]
struct Other<'a> {
    session: &'a str,
    app: &'a str,
    since: &'a str,
    used: &'a str,
}

impl<'a> Other<'a> {
    fn of(other: &'a OtherSession) -> Self {
        Self {
            session: &other.sid,
            app: &other.app,
            since: &other.since,
            used: &other.used,
        }
    }
}

impl Login {
    /// Answers `me`: a page, or JSON where nothing else is asked for.
    pub(super) async fn me(&self, visit: &Visit<'_>) -> Result<Answer, Error> {
        match visit.session {
            Some(session) => {
                let others = self.other_sessions(session, visit).await?;
                Ok(self.show_account(session, others, visit))
            }
            None => Ok(self.show_nobody(visit)),
        }
    }

    /// The person's other sessions; nobody knows them in cookie mode.
    async fn other_sessions(
        &self,
        session: &Session,
        visit: &Visit<'_>,
    ) -> Result<Vec<OtherSession>, Error> {
        let all = self.parts.sessions.list_of(&session.person, visit.now);
        let others = all.await?;
        let others = others.iter().filter(|other| other.id != session.id);
        let shown = others.map(|other| OtherSession {
            sid: other.sid(),
            app: other.person.app.as_str().to_owned(),
            since: rfc_3339(other.started_at),
            used: rfc_3339(other.renewed_at),
        });
        Ok(shown.collect())
    }

    fn show_account(
        &self,
        session: &Session,
        others: Vec<OtherSession>,
        visit: &Visit<'_>,
    ) -> Answer {
        let person = &session.person;
        let account = self.parts.mask.apply(person.openid.as_str());
        let since = rfc_3339(session.started_at);
        let until = rfc_3339(self.parts.sessions.expires_at(session));
        let nickname = person.profile.as_ref().map(|profile| &profile.nickname);
        if wants_json(visit.headers) {
            let body = Account {
                authenticated: true,
                app: person.app.as_str(),
                account: &account,
                scope: session.scope.as_str(),
                nickname: nickname.map(String::as_str),
                since: &since,
                until: &until,
                sessions: others.iter().map(Other::of).collect(),
            };
            return message::json(StatusCode::OK, "account", &body);
        }
        let page = Page::Account {
            account,
            nickname: nickname.cloned(),
            app: person.app.as_str().to_owned(),
            since,
            until,
            others,
            logout_url: self.parts.site.endpoint_path("logout"),
            form_token: self.form_token(session),
        };
        self.page(StatusCode::OK, "account", &page, visit)
    }

    fn show_nobody(&self, visit: &Visit<'_>) -> Answer {
        let link = LoginQuery::to("/").link();
        if wants_json(visit.headers) {
            let login_url = self.parts.site.endpoint(&visit.info.host, &link);
            return login_required_answer(&login_url, "login-required", visit);
        }
        let page = Page::NobodyLoggedIn {
            login_url: self.parts.site.endpoint_path(&link),
        };
        self.page(StatusCode::OK, "account-nobody", &page, visit)
    }
}

/// In UTC and whole seconds, like `2026-01-02T03:04:05Z`. A time that no calendar holds counts as 1970.
pub(super) fn rfc_3339(time: SystemTime) -> String {
    i64::try_from(unix_seconds(time))
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_unix_seconds;

    #[test]
    fn times_are_written_in_utc_and_whole_seconds() {
        let time = from_unix_seconds(1_700_000_000) + std::time::Duration::from_millis(900);
        assert_eq!(rfc_3339(time), "2023-11-14T22:13:20Z");
        assert_eq!(
            rfc_3339(from_unix_seconds(u64::MAX / 4)),
            "1970-01-01T00:00:00Z"
        );
    }

    #[test]
    fn the_fields_of_me_are_what_scripts_rely_on() {
        let account = Account {
            authenticated: true,
            app: "main",
            account: "o6…2M",
            scope: "snsapi_base",
            nickname: None,
            since: "2023-11-14T22:13:20Z",
            until: "2023-11-15T10:13:20Z",
            sessions: Vec::new(),
        };
        let value = serde_json::to_value(account).unwrap_or_default();
        assert_eq!(
            value,
            serde_json::json!({
                "authenticated": true,
                "app": "main",
                "account": "o6…2M",
                "scope": "snsapi_base",
                "since": "2023-11-14T22:13:20Z",
                "until": "2023-11-15T10:13:20Z",
            })
        );
    }
}
