//! `mini-program/login` and `app/login`: a code for a token.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ask::Found;
use super::open_data::OpenData;
use super::renew::TokenBody;
use super::{Refusal, read};
use crate::login::ending::{Ending, label};
use crate::login::{Error, Login, Visit};
use crate::message::{self, Answer, RequestBody};
use crate::session::Session;
use crate::wechat::{self, App, AppKind, Code, Scope, SessionKey};

/// Whose code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `wx.login` of a mini program.
    MiniProgram,
    /// WeChat's SDK in an app for phones.
    MobileApp,
}

/// What a client sends.
#[derive(Deserialize)]
struct CodeBody {
    code: String,
    /// Which app, where several are configured.
    #[serde(default)]
    app: Option<String>,
    /// Asks for a ticket as well: where its web-view shall arrive.
    #[serde(default)]
    to: Option<String>,
    /// Data of WeChat's client, to be checked with this login's key. Mini programs only.
    #[serde(flatten)]
    open_data: OpenData,
}

/// What it gets. The names are part of the product: fields may be added, none changes.
#[derive(Serialize)]
struct LoggedIn<'a> {
    #[serde(flatten)]
    token: TokenBody<'a>,
    /// What the application will be told as `sub`.
    subject: &'a str,
    app: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Map<String, Value>>,
}

impl Kind {
    fn app_kind(self) -> AppKind {
        match self {
            Self::MiniProgram => AppKind::MiniProgram,
            Self::MobileApp => AppKind::MobileApp,
        }
    }
}

impl Login {
    /// Answers `mini-program/login` and `app/login`.
    ///
    /// When the client goes away, the code is lost and the client gets another one from WeChat.
    pub(super) async fn log_in_by_code(
        &self,
        kind: Kind,
        body: RequestBody,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        let asked = match read::<CodeBody>(visit.headers, body).await? {
            Ok(asked) => asked,
            Err(refusal) => return Ok(self.refuse(&refusal, visit)),
        };
        match self.try_code(kind, asked, visit).await? {
            Ok(answer) => Ok(answer),
            Err(refusal) => Ok(self.refuse(&refusal, visit)),
        }
    }

    async fn try_code(
        &self,
        kind: Kind,
        asked: CodeBody,
        visit: &Visit<'_>,
    ) -> Result<Result<Answer, Refusal>, Error> {
        let app = match self.app_of(kind, asked.app.as_deref()) {
            Ok(app) => app,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let destination = match asked.to.as_deref().map(|to| self.ticket_target(to, visit)) {
            None => None,
            Some(Ok(destination)) => Some(destination),
            Some(Err(refusal)) => return Ok(Err(refusal)),
        };
        let Some(code) = Code::parse(&asked.code) else {
            return Ok(Err(Refusal::malformed("malformed_code")));
        };
        let trace = visit.info.trace.as_ref();
        let name = app.name.as_str();
        self.parts
            .metrics
            .login_started(name, label(app.kind, Scope::Base));
        let asked_wechat = self.ask_wechat(kind, app, &code, trace).await;
        self.record_code_login(app, asked_wechat.as_ref().err(), visit);
        let Found { new, session_key } = match asked_wechat {
            Ok(found) => found,
            Err(error) => return Ok(Err(Refusal::of(&error))),
        };
        let name = self.parts.identity.name(&new.person, visit.now).await?;
        let Some(subject) = name.subject else {
            // Who this is cannot be said without a unionid, and it never becomes somebody else later.
            let refusal = Refusal::new(StatusCode::FORBIDDEN, "unionid_missing", "config");
            return Ok(Err(refusal));
        };
        let data = match open(&asked.open_data, session_key.as_ref(), app, visit) {
            Ok(data) => data,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (session, token) = self.parts.sessions.start_token(new, visit.now).await?;
        self.parts.metrics.session_created(app.name.as_str());
        self.keep_session_key(&session, session_key.as_ref(), visit)
            .await?;
        let ticket_url = match destination {
            None => None,
            Some(destination) => Some(self.make_ticket(&token, &destination).await?),
        };
        let answer = LoggedIn {
            token: TokenBody::new(&token, visit.now),
            subject: &subject,
            app: app.name.as_str(),
            ticket_url,
            data,
        };
        Ok(Ok(message::json(StatusCode::OK, "code-login", &answer)))
    }

    /// The app that was named, or the only one of its kind.
    fn app_of(&self, kind: Kind, name: Option<&str>) -> Result<&App, Refusal> {
        let mut apps = self.parts.wechat.apps_of_kind(kind.app_kind());
        let app = match name {
            Some(name) => apps.find(|app| app.name.as_str() == name),
            None => match (apps.next(), apps.next()) {
                (Some(_), Some(_)) => return Err(Refusal::malformed("app_needed")),
                (first, _) => first,
            },
        };
        app.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "unknown_app", "config"))
    }

    fn record_code_login(&self, app: &App, failed: Option<&wechat::Error>, visit: &Visit<'_>) {
        let result = match failed.map(wechat::Error::reaction) {
            None => "ok",
            Some(wechat::Reaction::Restart | wechat::Reaction::CodeUsed) => "code_used",
            Some(wechat::Reaction::Visitor) => "denied",
            Some(wechat::Reaction::Later | wechat::Reaction::Operator) => "wechat_error",
        };
        let (request_id, name) = (visit.info.id.as_str(), app.name.as_str());
        let ending = Ending {
            app,
            scope: Scope::Base,
            result,
            started: Some(visit.now),
            request_id: &visit.info.id,
            state: None,
            refusal: failed,
        };
        ending.record(&self.parts.metrics, self.parts.clock.now());
        if let Some(error) = failed {
            // The text names errcode and WeChat's request id, and never a code or a key.
            let source: &dyn std::error::Error = error;
            match error.reaction() {
                wechat::Reaction::Operator => tracing::error!(
                    request.id = request_id,
                    app = name,
                    error = source,
                    "WeChat refuses the app: nobody can log in until its settings are right"
                ),
                _ => tracing::warn!(
                    request.id = request_id,
                    app = name,
                    error = source,
                    "login failed at WeChat"
                ),
            }
        }
    }

    async fn keep_session_key(
        &self,
        session: &Session,
        session_key: Option<&SessionKey>,
        visit: &Visit<'_>,
    ) -> Result<(), Error> {
        let Some(session_key) = session_key else {
            return Ok(());
        };
        let ends_at = self.parts.sessions.ends_at(session);
        let lifetime = ends_at.duration_since(visit.now).unwrap_or_default();
        self.session_keys()
            .keep(session, session_key, lifetime)
            .await?;
        Ok(())
    }
}

/// What came along with the code; `None` when nothing did.
fn open(
    data: &OpenData,
    session_key: Option<&SessionKey>,
    app: &App,
    visit: &Visit<'_>,
) -> Result<Option<Map<String, Value>>, Refusal> {
    if data.is_empty() {
        return Ok(None);
    }
    let session_key = session_key.ok_or_else(|| Refusal::malformed("no_session_key"))?;
    data.open(session_key, &app.id, visit.now).map(Some)
}
