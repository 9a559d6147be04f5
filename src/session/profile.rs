//! Profiles that are refreshed as long as a session lives, in store mode only: the refresh token stays on our side.

use std::time::{Duration, SystemTime};

use super::kept::KeptSession;
use super::{Session, Sessions};
use crate::identity::Profile;
use crate::secret::Secret;
use crate::store;
use crate::wechat::Scope;

/// A profile that is older is fetched again. WeChat allows far more, but nobody changes the name so often.
const FRESH_FOR: Duration = Duration::from_secs(86_400);
/// How long nobody else tries after somebody did, whatever came of it.
const LEASE: Duration = Duration::from_secs(600);

impl Sessions {
    /// Whether it is time to fetch the profile again: it is old, or WeChat said that it is void.
    pub fn has_stale_profile(&self, session: &Session, now: SystemTime) -> bool {
        self.kept.is_some()
            && match &session.person.profile {
                Some(profile) => now
                    .duration_since(profile.fetched_at)
                    .is_ok_and(|age| age >= FRESH_FOR),
                None => session.scope == Scope::Userinfo,
            }
    }

    /// What refreshes the session's profile, for one caller on one node at a time; `None` for the others, and where WeChat gave
    /// nothing or takes it no more.
    pub async fn lease_refresh_token(
        &self,
        session: &Session,
    ) -> Result<Option<Secret<String>>, store::Error> {
        let Some(kept) = &self.kept else {
            return Ok(None);
        };
        let found = kept.find(&session.id).await?;
        let Some(token) = found.and_then(|found| found.refresh_token) else {
            return Ok(None);
        };
        let lease = format!("refreshing:{}", session.sid());
        let is_first = self.store.put_new(&lease, &[], LEASE).await?;
        Ok(is_first.then_some(token))
    }

    /// Puts a fresh profile into the session; who is logged in already sees it within a minute.
    pub async fn put_profile(
        &self,
        session: &Session,
        profile: Profile,
        refresh_token: Option<Secret<String>>,
        now: SystemTime,
    ) -> Result<(), store::Error> {
        let change = |kept: &mut KeptSession| {
            kept.record.session.person.profile = Some(profile);
            if refresh_token.is_some() {
                kept.refresh_token = refresh_token;
            }
        };
        self.change_kept(session, change, now).await
    }

    /// WeChat takes the refresh token no more: the profile stays as it is until the next login.
    pub async fn forget_refresh_token(
        &self,
        session: &Session,
        now: SystemTime,
    ) -> Result<(), store::Error> {
        self.change_kept(session, |kept| kept.refresh_token = None, now)
            .await
    }

    /// A session that has ended meanwhile stays ended.
    async fn change_kept(
        &self,
        session: &Session,
        change: impl FnOnce(&mut KeptSession),
        now: SystemTime,
    ) -> Result<(), store::Error> {
        let Some(kept) = &self.kept else {
            return Ok(());
        };
        if let Some(mut found) = kept.find(&session.id).await? {
            change(&mut found);
            let left = self.left(&found.record.session, now);
            kept.write(&found, left).await?;
        }
        Ok(())
    }
}
