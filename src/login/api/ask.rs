//! What WeChat says about a code of a mini program or an app.

use super::Kind;
use crate::identity::{Person, Profile};
use crate::login::Login;
use crate::observe::Trace;
use crate::session::{Method, NewSession};
use crate::wechat::{self, App, Code, Scope, SessionKey};

/// Whom a code led to.
pub(super) struct Found {
    pub(super) new: NewSession,
    pub(super) session_key: Option<SessionKey>,
}

impl Login {
    /// Trades a code for a person. Dropping the future loses the code.
    pub(super) async fn ask_wechat(
        &self,
        kind: Kind,
        app: &App,
        code: &Code,
        trace: Option<&Trace>,
    ) -> Result<Found, wechat::Error> {
        let wechat = self.parts.wechat.traced(trace);
        match kind {
            Kind::MiniProgram => {
                let grant = wechat.code_to_session(app, code).await?;
                Ok(Found {
                    new: NewSession {
                        person: Person {
                            app: app.name.clone(),
                            app_id: app.id.clone(),
                            openid: grant.openid,
                            unionid: grant.unionid,
                            profile: None,
                        },
                        // A mini program is told no nickname.
                        scope: Scope::Base,
                        method: Method::MiniProgram,
                        refresh_token: None,
                    },
                    session_key: Some(grant.session_key),
                })
            }
            Kind::MobileApp => self.ask_about_app_user(&wechat, app, code).await,
        }
    }

    async fn ask_about_app_user(
        &self,
        wechat: &wechat::Client,
        app: &App,
        code: &Code,
    ) -> Result<Found, wechat::Error> {
        let grant = wechat.exchange(app, code).await?;
        let mut unionid = grant.unionid.clone();
        let mut profile = None;
        if grant.scope == Scope::Userinfo {
            let language = &self.settings.userinfo_language;
            let user = wechat.user_info(app, &grant, language).await?;
            unionid = unionid.or(user.unionid);
            profile = Some(Profile {
                nickname: user.nickname,
                avatar: user.avatar,
                fetched_at: self.parts.clock.now(),
            });
        }
        Ok(Found {
            new: NewSession {
                person: Person {
                    app: app.name.clone(),
                    app_id: app.id.clone(),
                    openid: grant.openid.clone(),
                    unionid,
                    profile,
                },
                scope: grant.scope,
                method: Method::MobileApp,
                refresh_token: grant.refresh_token,
            },
            session_key: None,
        })
    }
}
