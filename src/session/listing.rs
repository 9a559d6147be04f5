//! Who is logged in, for people who must know: the account page, the command line, the admin listener.

use std::time::SystemTime;

use super::{Session, Sessions, owner, valid};
use crate::identity::Person;
use crate::store;

impl Sessions {
    /// Whether sessions are in the store, so that they can be listed. In cookie mode nobody knows all of them.
    pub fn are_listed(&self) -> bool {
        self.kept.is_some()
    }

    /// Some sessions of anybody, at most so many, oldest login first; empty in cookie mode.
    pub async fn list(&self, most: usize, now: SystemTime) -> Result<Vec<Session>, store::Error> {
        let Some(kept) = &self.kept else {
            return Ok(Vec::new());
        };
        self.only_valid(kept.some(most).await?, now).await
    }

    /// How many records of sessions there are, at most so many; `None` in cookie mode, where nobody can count them. Sessions that
    /// ended with all others of their person count until they expire. Reads many keys: not for requests.
    pub async fn count(&self, most: usize) -> Result<Option<usize>, store::Error> {
        match &self.kept {
            None => Ok(None),
            Some(kept) => kept.count(most).await.map(Some),
        }
    }

    /// Every session of a person, oldest login first; empty in cookie mode.
    pub async fn list_of(
        &self,
        person: &Person,
        now: SystemTime,
    ) -> Result<Vec<Session>, store::Error> {
        let Some(kept) = &self.kept else {
            return Ok(Vec::new());
        };
        let found = kept.of_owner(&self.owner(person)).await?;
        self.only_valid(found, now).await
    }

    /// The session that tokens call `sid`; `None` in cookie mode.
    pub async fn inspect(
        &self,
        sid: &str,
        now: SystemTime,
    ) -> Result<Option<Session>, store::Error> {
        let Some(kept) = &self.kept else {
            return Ok(None);
        };
        let found = kept.read(sid).await?.map(|kept| kept.record.session);
        let mut valid = self.only_valid(found.into_iter().collect(), now).await?;
        Ok(valid.pop())
    }

    async fn only_valid(
        &self,
        found: Vec<Session>,
        now: SystemTime,
    ) -> Result<Vec<Session>, store::Error> {
        let now = self.now(now);
        let mut valid = Vec::with_capacity(found.len());
        for session in found {
            if now < self.expires_at(&session) && !self.is_revoked(&session).await? {
                valid.push(session);
            }
        }
        Ok(valid)
    }

    /// Ends one session. When this returns `Ok`, no restart brings it back.
    pub async fn revoke(&self, session: &Session, now: SystemTime) -> Result<(), store::Error> {
        self.now(now);
        let sid = session.sid();
        self.revocations.revoke(&sid).await?;
        self.forget(&session.person, &sid).await;
        Ok(())
    }

    /// Ends the session that tokens call `sid`, in both modes; `false` for what is no such name. That a session of this
    /// name exists is known in store mode only.
    pub async fn revoke_by_sid(&self, sid: &str, now: SystemTime) -> Result<bool, store::Error> {
        if !valid::is_sid(sid) {
            return Ok(false);
        }
        let found = self.inspect(sid, now).await?;
        self.revocations.revoke(sid).await?;
        if let Some(session) = found {
            self.forget(&session.person, sid).await;
        }
        Ok(true)
    }

    /// Ends every session of the person that began before now.
    pub async fn revoke_person(
        &self,
        person: &Person,
        now: SystemTime,
    ) -> Result<(), store::Error> {
        let now = self.now(now);
        let names = owner::names(person, self.settings.joins_apps);
        self.revocations.revoke_person(&names, now).await
    }

    /// Ends every session of whoever has this openid at this app.
    pub async fn revoke_openid(
        &self,
        app_id: &str,
        openid: &str,
        now: SystemTime,
    ) -> Result<(), store::Error> {
        let now = self.now(now);
        let names = [owner::by_openid(app_id, openid)];
        self.revocations.revoke_person(&names, now).await
    }

    /// Takes nickname and picture out of every session of whoever has this openid, as far as they were fetched before now.
    pub async fn forget_profile(
        &self,
        app_id: &str,
        openid: &str,
        now: SystemTime,
    ) -> Result<(), store::Error> {
        let now = self.now(now);
        let name = owner::by_openid(app_id, openid);
        self.revocations.forget_profile(&name, now).await
    }

    /// Ends every session that knows this unionid, at every app.
    pub async fn revoke_unionid(&self, unionid: &str, now: SystemTime) -> Result<(), store::Error> {
        let now = self.now(now);
        let names = [owner::by_unionid(unionid)];
        self.revocations.revoke_person(&names, now).await
    }

    /// Under which name the sessions of a person are kept.
    pub(super) fn owner(&self, person: &Person) -> String {
        owner::name(person, self.settings.joins_apps)
    }

    /// Frees what a revoked session had. The revocation stands without it, so a failure changes nothing.
    async fn forget(&self, person: &Person, sid: &str) {
        if let Some(kept) = &self.kept {
            let _ = kept.forget(&self.owner(person), sid).await;
        }
    }
}
