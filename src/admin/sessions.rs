//! Sessions for people who must know: list, inspect, end.

use std::time::SystemTime;

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::control::{Control, done, failed};
use super::operator::Operator;
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

/// Who is meant.
enum Whose<'q> {
    Session(&'q str),
    Openid(&'q App, &'q str),
    Unionid(&'q str),
}

impl Control {
    /// `GET /sessions`, all or those of one openid.
    pub(super) async fn list_sessions(&self, query: &Query<'_>) -> Answer {
        if !self.sessions.are_listed() {
            let why = "`sessions.mode` is \"cookie\": nothing is kept per visitor, so nothing can be listed. Ending works";
            return failed(StatusCode::CONFLICT, why);
        }
        let now = self.clock.now();
        let found = match self.whose(query) {
            Err(answer) => return *answer,
            Ok(None) => {
                let limit = query.value("limit").and_then(|limit| limit.parse().ok());
                let limit = limit.unwrap_or(LISTED).min(MOST_LISTED);
                self.sessions.list(limit, now).await
            }
            Ok(Some(Whose::Openid(app, openid))) => match person(app, openid) {
                Some(person) => self.sessions.list_of(&person, now).await,
                None => return failed(StatusCode::BAD_REQUEST, "this is no openid"),
            },
            Ok(Some(Whose::Session(sid))) => {
                let found = self.sessions.inspect(sid, now).await;
                found.map(|session| session.into_iter().collect())
            }
            Ok(Some(Whose::Unionid(_))) => {
                let why = "sessions are listed by `openid` and `app`, not by unionid";
                return failed(StatusCode::BAD_REQUEST, why);
            }
        };
        match found {
            Ok(sessions) => {
                let sessions: Vec<_> = sessions.iter().map(|one| self.describe(one)).collect();
                done(&json!({ "sessions": sessions }))
            }
            Err(error) => store_failed(&error),
        }
    }

    /// `POST /sessions/revoke`. The answer comes when no restart can bring the session back.
    pub(super) async fn revoke_sessions(
        &self,
        query: &Query<'_>,
        operator: &Operator<'_>,
    ) -> Answer {
        let whose = match self.whose(query) {
            Err(answer) => return *answer,
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
            Err(error) => store_failed(&error),
        }
    }

    /// Who is meant; `None` where the query names nobody.
    fn whose<'q>(&'q self, query: &'q Query<'_>) -> Result<Option<Whose<'q>>, Box<Answer>> {
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
        let why = "an openid belongs to one app: name it with `app`";
        app.map(|app| Some(Whose::Openid(app, openid)))
            .ok_or_else(|| Box::new(failed(StatusCode::BAD_REQUEST, why)))
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

fn store_failed(error: &store::Error) -> Answer {
    let source: &dyn std::error::Error = error;
    tracing::error!(error = source, "order of an operator needs the store");
    failed(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
}
