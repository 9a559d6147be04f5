//! `mini-program/check`: what WeChat's client signed or encrypted for us, checked with the login's key.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Refusal, by_token, read};
use crate::login::{Error, Login, Visit};
use crate::message::{self, Answer, RequestBody};
use crate::seal::{Purpose, Sealer};
use crate::session::Session;
use crate::store::{self, Store};
use crate::wechat::{AppId, SessionKey};

/// Data as `wx.getUserInfo` and its kin hand it to a mini program, under WeChat's own names.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct OpenData {
    raw_data: Option<String>,
    signature: Option<String>,
    encrypted_data: Option<String>,
    iv: Option<String>,
}

/// What was found good.
#[derive(Serialize)]
struct Checked {
    /// The decrypted fields; empty where only a signature was checked.
    data: Map<String, Value>,
}

impl OpenData {
    /// Whether there is nothing to check.
    pub(super) fn is_empty(&self) -> bool {
        let fields = [
            &self.raw_data,
            &self.signature,
            &self.encrypted_data,
            &self.iv,
        ];
        fields.into_iter().all(Option::is_none)
    }

    /// The decrypted fields, when everything that is there is genuine.
    pub(super) fn open(
        &self,
        key: &SessionKey,
        app_id: &AppId,
        now: SystemTime,
    ) -> Result<Map<String, Value>, Refusal> {
        let incomplete = || Refusal::malformed("incomplete_data");
        // The key that it was made with may have been replaced by a newer `wx.login`.
        let refused = || Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "not_genuine", "restart");
        match (&self.raw_data, &self.signature) {
            (None, None) => {}
            (Some(raw_data), Some(signature)) => key
                .check_signature(raw_data, signature)
                .map_err(|_| refused())?,
            (Some(_), None) | (None, Some(_)) => return Err(incomplete()),
        }
        match (&self.encrypted_data, &self.iv) {
            (None, None) => Ok(Map::new()),
            (Some(encrypted), Some(iv)) => key
                .decrypt(encrypted, iv, app_id, now)
                .map_err(|_| refused()),
            (Some(_), None) | (None, Some(_)) => Err(incomplete()),
        }
    }
}

/// The keys of mini program logins: in the store, sealed, one per session.
#[derive(Clone, Debug)]
pub(super) struct SessionKeys {
    store: Store,
    sealer: Arc<Sealer>,
}

impl SessionKeys {
    /// Keeps a login's key as long as its session can last.
    pub(super) async fn keep(
        &self,
        session: &Session,
        key: &SessionKey,
        lifetime: Duration,
    ) -> Result<(), store::Error> {
        let name = name(session);
        let sealed = self
            .sealer
            .seal(Purpose::Record, &name, key.reveal().as_bytes());
        self.store.put(&name, sealed.as_bytes(), lifetime).await
    }

    /// The key of a session's login; `None` for a session of another kind.
    async fn of(&self, session: &Session) -> Result<Option<SessionKey>, store::Error> {
        let name = name(session);
        let kept = self.store.get(&name).await?;
        Ok(kept.and_then(|sealed| self.open(&name, &sealed)))
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Option<SessionKey> {
        let sealed = std::str::from_utf8(sealed).ok()?;
        let key = self.sealer.open(Purpose::Record, name, sealed)?;
        SessionKey::parse(std::str::from_utf8(&key).ok()?)
    }
}

fn name(session: &Session) -> String {
    format!("session-key:{}", session.sid())
}

impl Login {
    pub(super) fn session_keys(&self) -> SessionKeys {
        SessionKeys {
            store: self.parts.store.clone(),
            sealer: Arc::clone(&self.parts.sealer),
        }
    }

    /// Answers `mini-program/check`.
    pub(super) async fn check_open_data(
        &self,
        body: RequestBody,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        let session = match by_token(visit) {
            Ok(session) => session,
            Err(refusal) => return Ok(self.refuse(&refusal, visit)),
        };
        let data = match read::<OpenData>(visit.headers, body).await? {
            Ok(data) if data.is_empty() => Err(Refusal::malformed("incomplete_data")),
            other => other,
        };
        let data = match data {
            Ok(data) => data,
            Err(refusal) => return Ok(self.refuse(&refusal, visit)),
        };
        let Some(key) = self.session_keys().of(session).await? else {
            return Ok(self.refuse(&Refusal::malformed("no_session_key"), visit));
        };
        Ok(match data.open(&key, &session.person.app_id, visit.now) {
            Ok(data) => message::json(StatusCode::OK, "data-checked", &Checked { data }),
            Err(refusal) => self.refuse(&refusal, visit),
        })
    }
}
