//! Sessions for people who must know: list, inspect, end.

use std::time::SystemTime;

use http::StatusCode;
use minijinja::context;
use minijinja::value::Serde;
use serde_json::{Value as Json, json};

use super::control::{Control, done, failed};
use super::operator::Operator;
use super::page;
use super::query::Query;
use super::status::timestamp;
use crate::identity::Person;
use crate::message::Answer;
use crate::session::Session;
use crate::store;
use crate::wechat::{App, OpenId, Scope};

/// How many are listed unless more are asked for, and at most.
const LISTED: usize = 100;
const MOST_LISTED: usize = 10_000;

const TEMPLATE: &str = include_str!("sessions.html");

/// Why there is no list.
type Refusal = (StatusCode, String);

/// Who is meant.
enum Whose<'q> {
    Session(&'q str),
    Openid(&'q App, &'q str),
    Unionid(&'q str),
}

impl Control {
    /// `GET /sessions`, all or those of one openid; as a page or as JSON.
    pub(super) async fn list_sessions(&self, query: &Query<'_>, wants_page: bool) -> Answer {
        let found = self.find_sessions(query).await;
        if !wants_page {
            return match found {
                Ok(sessions) => done(&json!({ "sessions": sessions })),
                Err((status, why)) => failed(status, &why),
            };
        }
        let (status, sessions, error) = match found {
            Ok(sessions) => (StatusCode::OK, sessions, None),
            Err((status, why)) => (status, Vec::new(), Some(why)),
        };
        let mut page = page::html(TEMPLATE, context! { sessions => Serde(sessions), error });
        *page.status_mut() = status;
        page
    }

    async fn find_sessions(&self, query: &Query<'_>) -> Result<Vec<Json>, Refusal> {
        let refuse = |status: StatusCode, why: &str| Err((status, why.to_owned()));
        if !self.sessions.are_listed() {
            let why = "`sessions.mode` is \"cookie\": nothing is kept per visitor, so nothing can be listed. Ending works";
            return refuse(StatusCode::CONFLICT, why);
        }
        let now = self.clock.now();
        let found = match self.whose(query) {
            Err(why) => return refuse(StatusCode::BAD_REQUEST, why),
            Ok(None) => {
                let limit = query.value("limit").and_then(|limit| limit.parse().ok());
                let limit = limit.unwrap_or(LISTED).min(MOST_LISTED);
                self.sessions.list(limit, now).await
            }
            Ok(Some(Whose::Openid(app, openid))) => match person(app, openid) {
                Some(person) => self.sessions.list_of(&person, now).await,
                None => return refuse(StatusCode::BAD_REQUEST, "this is no openid"),
            },
            Ok(Some(Whose::Session(sid))) => {
                let found = self.sessions.inspect(sid, now).await;
                found.map(|session| session.into_iter().collect())
            }
            Ok(Some(Whose::Unionid(_))) => {
                let why = "sessions are listed by `openid` and `app`, not by unionid";
                return refuse(StatusCode::BAD_REQUEST, why);
            }
        };
        match found {
            Ok(sessions) => Ok(sessions.iter().map(|one| self.describe(one)).collect()),
            Err(error) => Err(store_failed(&error)),
        }
    }

    /// `POST /sessions/revoke`. The answer comes when no restart can bring the session back.
    pub(super) async fn revoke_sessions(
        &self,
        query: &Query<'_>,
        operator: &Operator<'_>,
    ) -> Answer {
        let whose = match self.whose(query) {
            Err(why) => return failed(StatusCode::BAD_REQUEST, why),
            Ok(None) => {
                let why = "say whose: `sid`, or `openid` and `app`, or `unionid`";
                return failed(StatusCode::BAD_REQUEST, why);
            }
            Ok(Some(whose)) => whose,
        };
        let now = self.clock.now();
        let (what, revoked) = match whose {
            Whose::Session(sid) => match self.sessions.revoke_by_sid(sid, now).await {
                Ok(false) => {
                    let why = "`sid` must be 32 hex digits, as the token's claim `sid`";
                    return failed(StatusCode::BAD_REQUEST, why);
                }
                result => ("session", result.map(drop)),
            },
            Whose::Openid(app, openid) => {
                let app_id = app.id.as_str();
                let revoked = self.sessions.revoke_openid(app_id, openid, now).await;
                ("openid", revoked)
            }
            Whose::Unionid(unionid) => {
                ("unionid", self.sessions.revoke_unionid(unionid, now).await)
            }
        };
        match revoked {
            Ok(()) => {
                operator.ordered("revoke", what);
                done(&json!({ "revoked": what }))
            }
            Err(error) => {
                let (status, why) = store_failed(&error);
                failed(status, &why)
            }
        }
    }

    /// Who is meant; `None` where the query names nobody.
    fn whose<'q>(&'q self, query: &'q Query<'_>) -> Result<Option<Whose<'q>>, &'static str> {
        if let Some(sid) = query.value("sid") {
            return Ok(Some(Whose::Session(sid)));
        }
        if let Some(unionid) = query.value("unionid") {
            return Ok(Some(Whose::Unionid(unionid)));
        }
        let Some(openid) = query.value("openid") else {
            return Ok(None);
        };
        let app = match (query.value("app"), self.apps.as_slice()) {
            (Some(name), apps) => apps.iter().find(|app| app.name.as_str() == name),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        app.map(|app| Some(Whose::Openid(app, openid)))
            .ok_or("an openid belongs to one app: name it with `app`")
    }

    fn describe(&self, session: &Session) -> Json {
        let end: SystemTime = self.sessions.expires_at(session);
        json!({
            "sid": session.sid(),
            "app": session.person.app.as_str(),
            "user": self.mask.apply(session.person.openid.as_str()),
            "method": session.method.as_str(),
            "scope": match session.scope {
                Scope::Base => "base",
                Scope::Userinfo => "userinfo",
            },
            "started": timestamp(session.started_at),
            "renewed": timestamp(session.renewed_at),
            "ends": timestamp(end),
        })
    }
}

fn person(app: &App, openid: &str) -> Option<Person> {
    Some(Person {
        app: app.name.clone(),
        app_id: app.id.clone(),
        openid: OpenId::parse(openid)?,
        unionid: None,
        profile: None,
    })
}

fn store_failed(error: &store::Error) -> Refusal {
    let source: &dyn std::error::Error = error;
    tracing::error!(error = source, "order of an operator needs the store");
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}
