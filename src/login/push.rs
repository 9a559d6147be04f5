//! What WeChat pushes to us: the check of the address, people who take their consent back, and people who read a code of ours.

use std::time::Duration;

use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderValue, Method, StatusCode};

use super::scan::ScannedScene;
use super::{Error, Login, Visit};
use crate::clock::unix_seconds;
use crate::message::{self, Answer, RequestBody};
use crate::seal::random_text;
use crate::store;
use crate::wechat::{App, AppId, Change, Event, OpenId, PushKeys, PushMessage, PushQuery, UnionId};

/// Real messages have under 2 KiB.
const LONGEST_BODY: u64 = 64 * 1024;

/// WeChat waits five seconds, then sends it again.
const PATIENCE: Duration = Duration::from_secs(4);

/// Letters of the nonce of a sealed reply.
const NONCE_LENGTH: usize = 16;

/// How long a push is remembered: longer than it counts as fresh, on either side of our clock.
const REMEMBER: Duration = Duration::from_secs(900);

impl Login {
    /// Answers `push/<app>`.
    pub(super) async fn push(
        &self,
        app: &str,
        body: RequestBody,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        let app = self.parts.wechat.app(app);
        let Some((app, keys)) = app.and_then(|app| Some((app, app.push.as_ref()?))) else {
            return Ok(message::empty(StatusCode::NOT_FOUND, "unknown-app"));
        };
        let query = visit.info.target.query().unwrap_or_default();
        // Before the body is read: nobody but WeChat may make us take one.
        let query = match PushQuery::check(query, keys, visit.now) {
            Ok(query) => query,
            Err(error) => return Ok(refuse(StatusCode::FORBIDDEN, &error, app, visit)),
        };
        if visit.info.method != Method::POST {
            return Ok(match query.echo() {
                Some(echo) => plain("push-echo", echo.to_owned()),
                None => message::empty(StatusCode::BAD_REQUEST, "push-refused"),
            });
        }
        let body = body.collect(LONGEST_BODY).await?;
        let taken = self.take_push(&query, &body, app, keys, visit);
        match tokio::time::timeout(PATIENCE, taken).await {
            Ok(taken) => Ok(taken?),
            Err(_) => {
                tracing::error!(app = app.name.as_str(), "push was not dealt with in time");
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Ok(message::empty(status, "push-late"))
            }
        }
    }

    async fn take_push(
        &self,
        query: &PushQuery,
        body: &[u8],
        app: &App,
        keys: &PushKeys,
        visit: &Visit<'_>,
    ) -> Result<Answer, store::Error> {
        let pushed = match query.open(body, keys, &app.id) {
            Ok(pushed) => pushed,
            Err(error) => return Ok(refuse(StatusCode::BAD_REQUEST, &error, app, visit)),
        };
        let names = [query.name(), pushed.name.clone()];
        let names = names.map(|name| format!("push:{}:{name}", app.id.as_str()));
        let [of_query, of_message] = &names;
        let (earlier, is_again) = (
            self.parts.store.get(of_query).await?,
            self.parts.store.get(of_message).await?.is_some(),
        );
        // SECURITY: the signature of a plain message says nothing about the message, so one signature is good for one message.
        if earlier.is_some_and(|earlier| earlier != pushed.name.as_bytes()) {
            return Ok(success("push-again"));
        }
        let answer = match &pushed.event {
            Event::Scanned {
                openid,
                scene,
                ticket,
            } => {
                // WeChat asks again when our answer got lost, and must hear it then.
                let scanned = ScannedScene {
                    app,
                    openid,
                    scene,
                    ticket,
                };
                let text = self.scene_scanned(scanned, visit).await?;
                text.map(|text| reply(&pushed, openid, &text, app, keys, visit))
            }
            Event::Changed { .. } | Event::Other if is_again => {
                return Ok(success("push-again"));
            }
            Event::Changed {
                change,
                app: other,
                openid,
                unionid,
            } => {
                let app = self.changed_app(app, other.as_ref());
                self.follow_change(*change, app, openid.as_ref(), unionid.as_ref(), visit)
                    .await?;
                None
            }
            Event::Other => None,
        };
        // Only now: what could not be done is done when WeChat sends it again.
        self.remember_push(&names, &pushed.name).await?;
        Ok(answer.unwrap_or_else(|| success("push")))
    }

    async fn remember_push(&self, names: &[String; 2], message: &str) -> Result<(), store::Error> {
        for name in names {
            let store = &self.parts.store;
            store.put(name, message.as_bytes(), REMEMBER).await?;
        }
        Ok(())
    }

    /// The app that a change is about; `None` when it is none of ours.
    fn changed_app<'a>(&'a self, app: &'a App, named: Option<&AppId>) -> Option<&'a App> {
        match named {
            None => Some(app),
            Some(id) => self.parts.wechat.apps().iter().find(|app| app.id == *id),
        }
    }

    /// Ends sessions, or takes the profile out of them.
    async fn follow_change(
        &self,
        change: Change,
        app: Option<&App>,
        openid: Option<&OpenId>,
        unionid: Option<&UnionId>,
        visit: &Visit<'_>,
    ) -> Result<(), store::Error> {
        let sessions = &self.parts.sessions;
        let now = visit.now;
        if let (Change::AccountClosed, Some(unionid)) = (change, unionid) {
            sessions.revoke_unionid(unionid.as_str(), now).await?;
        }
        let (Some(app), Some(openid)) = (app, openid) else {
            // WeChat has sent such events without saying whom they are about.
            tracing::warn!(
                request.id = visit.info.id.as_str(),
                change = word(change),
                "WeChat pushed a change of nobody that is known here"
            );
            return Ok(());
        };
        let (app_id, person) = (app.id.as_str(), openid.as_str());
        match change {
            Change::Withdrawn | Change::AccountClosed => {
                sessions.revoke_openid(app_id, person, now).await?;
                self.parts.metrics.session_ended("revoked");
            }
            Change::ProfileChanged => sessions.forget_profile(app_id, person, now).await?,
        }
        tracing::info!(
            request.id = visit.info.id.as_str(),
            app = app.name.as_str(),
            change = word(change),
            user = self.parts.mask.apply(person),
            "WeChat pushed a change of consent"
        );
        Ok(())
    }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Withdrawn => "withdrawn",
        Change::AccountClosed => "account_closed",
        Change::ProfileChanged => "profile_changed",
    }
}

/// A message of the account to the person.
fn reply(
    pushed: &PushMessage,
    openid: &OpenId,
    text: &str,
    app: &App,
    keys: &PushKeys,
    visit: &Visit<'_>,
) -> Answer {
    let now = unix_seconds(visit.now);
    let nonce = random_text(NONCE_LENGTH);
    match pushed.reply(openid, text, keys, &app.id, (&nonce, now)) {
        Some(text) => plain("push-reply", text),
        None => message::empty(StatusCode::INTERNAL_SERVER_ERROR, "push-reply"),
    }
}

/// What WeChat wants to hear when there is nothing to say.
fn success(reason: &'static str) -> Answer {
    plain(reason, "success".to_owned())
}

fn plain(reason: &'static str, text: String) -> Answer {
    let mut answer = message::text(StatusCode::OK, reason, text);
    let no_sniffing = HeaderValue::from_static("nosniff");
    answer
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, no_sniffing);
    answer
}

/// Says nothing to whoever it was; the operator may have entered the wrong token or key.
fn refuse(
    status: StatusCode,
    error: &(dyn std::error::Error + 'static),
    app: &App,
    visit: &Visit<'_>,
) -> Answer {
    tracing::warn!(
        request.id = visit.info.id.as_str(),
        app = app.name.as_str(),
        error,
        "push was refused"
    );
    message::empty(status, "push-refused")
}
