//! Getting to know somebody: the endpoints under the reserved prefix.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::clock::Clock;
use crate::limit::Limits;
use crate::message::{Answer, Request, RequestInfo, Site};
use crate::observe::Metrics;
use crate::pages::Pages;
use crate::route::Rule;
use crate::route::policy::Need;
use crate::seal::Sealer;
use crate::session::{Session, Sessions};
use crate::store::{self, Store};
use crate::target::Target;
use crate::wechat::{self, AppName};

/// How visitors log in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The service account used in the WeChat browser.
    pub inside_wechat: Option<AppName>,
    /// Show P3 before `snsapi_userinfo`, or go straight on.
    pub userinfo_prompt: UserinfoPrompt,
    /// `zh_CN`, `zh_TW` or `en`.
    pub userinfo_language: String,
    /// What a snapshot page's virtual person gets.
    pub snapshot_user: SnapshotUser,
    /// Save and restore `#...` around the login.
    pub keep_fragment: bool,
    /// How long an attempt may take.
    pub attempt_ttl: Duration,
    /// Whether the attempts cookie says `Secure` and is called `__Host-…`.
    pub secure_cookies: bool,
}

/// Before `snsapi_userinfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserinfoPrompt {
    /// Our purpose page with a button.
    Button,
    /// Straight on; WeChat may show snapshot pages.
    Auto,
}

/// What a snapshot page's virtual person gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotUser {
    /// Page P9.
    Refuse,
    /// The site without identity where the route is `optional` or `public`, else P9.
    Anonymous,
}

/// What a login works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Talks to WeChat.
    pub wechat: wechat::Client,
    /// Starts and ends sessions.
    pub sessions: Arc<Sessions>,
    /// Seals attempts and forms.
    pub sealer: Arc<Sealer>,
    /// Remembers used codes and their outcomes.
    pub store: Store,
    /// Shows pages.
    pub pages: Arc<Pages>,
    /// Limits logins and callbacks.
    pub limits: Arc<Limits>,
    /// Counts logins.
    pub metrics: Arc<Metrics>,
    /// Where we are.
    pub site: Arc<Site>,
    /// The time.
    pub clock: Clock,
}

/// One of our own paths that login answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `callback/<app>`
    Callback(String),
    /// `login`
    Login,
    /// `logout`
    Logout,
    /// `me`
    Me,
}

/// Why login cannot answer. Everything a visitor can cause is an [`Answer`], not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store did not answer: nobody gets in, nobody is lost.
    #[error("login needs the store")]
    Store(#[from] store::Error),
    /// The client's body cannot be read.
    #[error("form cannot be read")]
    Body(#[from] crate::message::BodyError),
}

/// Everything about logging in.
#[derive(Debug)]
pub struct Login {}

impl Login {
    /// With these parts.
    pub fn new(_settings: Settings, _parts: Parts) -> Self {
        todo!()
    }

    /// Which of our endpoints a target names.
    pub fn endpoint(&self, _target: &Target) -> Option<Endpoint> {
        todo!()
    }

    /// Answers one of our endpoints. `session` is the visitor's valid session, if any.
    #[expect(clippy::unused_async, reason = "written below the interface")]
    pub async fn serve(
        &self,
        _endpoint: Endpoint,
        _request: Request,
        _info: &RequestInfo,
        _session: Option<&Session>,
    ) -> Result<Answer, Error> {
        todo!()
    }

    /// Answers a request that needs a login first: redirect, page, or 401.
    pub fn start(
        &self,
        _need: Need,
        _rule: &Rule,
        _info: &RequestInfo,
        _headers: &HeaderMap,
    ) -> Answer {
        todo!()
    }
}
