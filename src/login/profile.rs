//! Nickname and avatar, kept fresh in the background and never by asking the visitor again.

use std::sync::Arc;

use tracing::Instrument;

use super::Login;
use crate::clock::Clock;
use crate::identity::Profile;
use crate::secret::Secret;
use crate::session::{Session, Sessions};
use crate::store;
use crate::wechat::{self, Reaction};

/// What a refresh works with.
struct Refresh {
    wechat: wechat::Client,
    sessions: Arc<Sessions>,
    clock: Clock,
    language: String,
    session: Session,
}

impl Login {
    /// Fetches a session's profile again, in a task of its own that ends by the deadlines of its calls, or when the process stops.
    /// Of many at once one does it.
    pub fn refresh_profile(&self, session: &Session) {
        let refresh = Refresh {
            wechat: self.parts.wechat.clone(),
            sessions: Arc::clone(&self.parts.sessions),
            clock: self.parts.clock.clone(),
            language: self.settings.userinfo_language.clone(),
            session: session.clone(),
        };
        let mut guard = self.parts.drain.guard();
        let task = async move {
            tokio::select! {
                outcome = refresh.run() => {
                    if let Err(error) = outcome {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(error, "a profile was not refreshed");
                    }
                }
                () = guard.stopping() => {}
            }
        };
        drop(tokio::spawn(task.in_current_span()));
    }
}

fn note(app: &str, error: &wechat::Error) {
    let error: &dyn std::error::Error = error;
    tracing::info!(app, error, "WeChat did not refresh a profile");
}

impl Refresh {
    async fn run(&self) -> Result<(), store::Error> {
        let Some(token) = self.sessions.lease_refresh_token(&self.session).await? else {
            return Ok(());
        };
        let app = self.session.person.app.as_str();
        let fetched = self.fetch(&token).await;
        let now = self.clock.now();
        match fetched {
            Ok((profile, next)) => {
                self.sessions
                    .put_profile(&self.session, profile, next, now)
                    .await
            }
            Err(error) => {
                note(app, &error);
                match error.reaction() {
                    // Whichever lifetime WeChat's pages mean: it is over, or the visitor withdrew the consent.
                    Reaction::Restart | Reaction::Visitor | Reaction::CodeUsed => {
                        self.sessions.forget_refresh_token(&self.session, now).await
                    }
                    Reaction::Later | Reaction::Operator => Ok(()),
                }
            }
        }
    }

    async fn fetch(
        &self,
        token: &Secret<String>,
    ) -> Result<(Profile, Option<Secret<String>>), wechat::Error> {
        let person = &self.session.person;
        let app = self.wechat.app(person.app.as_str());
        let app = app.filter(|app| app.id == person.app_id);
        let app = app.ok_or(wechat::Error::OtherPerson)?;
        let grant = self.wechat.refresh(app, token).await?;
        if grant.openid != person.openid || grant.is_snapshot {
            return Err(wechat::Error::OtherPerson);
        }
        let user = self.wechat.user_info(app, &grant, &self.language).await?;
        let profile = Profile {
            nickname: user.nickname,
            avatar: user.avatar,
            fetched_at: self.clock.now(),
        };
        Ok((profile, grant.refresh_token))
    }
}
