//! One person behind several openids: subject forms; plain headers for upstreams.

use std::time::SystemTime;

use http::{HeaderName, HeaderValue};

use crate::wechat::{AppId, AppName, OpenId, UnionId};

/// A person as a login found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The app that logged the person in.
    pub app: AppName,
    /// WeChat's id of that app.
    pub app_id: AppId,
    /// Keys the person together with `app_id`.
    pub openid: OpenId,
    /// Attached when seen; never from a snapshot page.
    pub unionid: Option<UnionId>,
    /// Nickname and avatar, after `snsapi_userinfo`.
    pub profile: Option<Profile>,
}

/// What WeChat shows of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Free text.
    pub nickname: String,
    /// An address, or empty.
    pub avatar: String,
    /// When WeChat said so.
    pub fetched_at: SystemTime,
}

/// The form of `sub`. It never changes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectForm {
    /// `wechat:<appid>:<openid>`
    OpenId,
    /// `wechat:union:<unionid>`; without a unionid there is no subject.
    UnionId,
}

/// Names of the plain headers; `None` switches all off.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The form of `sub`.
    pub subject: SubjectForm,
    /// The plain headers.
    pub headers: Option<HeaderNames>,
}

/// One name per fact; several names where a preset repeats the subject under names that applications know.
#[derive(Clone, Debug)]
pub struct HeaderNames {
    /// `X-Wechat-Openid`
    pub openid: HeaderName,
    /// `X-Wechat-Unionid`
    pub unionid: HeaderName,
    /// `X-Wechat-Appid`
    pub appid: HeaderName,
    /// `X-Wechat-Subject`
    pub subject: HeaderName,
    /// `X-Wechat-Scope`
    pub scope: HeaderName,
    /// `X-Wechat-Nickname`
    pub nickname: HeaderName,
    /// `X-Wechat-Avatar`
    pub avatar: HeaderName,
    /// From the preset: they carry the subject as well.
    pub subject_aliases: Vec<HeaderName>,
    /// From the preset: they carry the percent-encoded nickname as well.
    pub nickname_aliases: Vec<HeaderName>,
}

impl HeaderNames {
    /// Every name, for the scrub.
    pub fn all(&self) -> impl Iterator<Item = &HeaderName> {
        [
            &self.openid,
            &self.unionid,
            &self.appid,
            &self.subject,
            &self.scope,
            &self.nickname,
            &self.avatar,
        ]
        .into_iter()
        .chain(&self.subject_aliases)
        .chain(&self.nickname_aliases)
    }
}

/// Tells applications who a person is.
#[derive(Clone, Debug)]
pub struct Identity {
    settings: Settings,
}

impl Identity {
    /// With these names.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// The person's `sub`; `None` when the form needs a unionid that is not known.
    pub fn subject(&self, _person: &Person) -> Option<String> {
        todo!()
    }

    /// Every plain header, empty where a fact is not known; free text percent-encoded. Empty list when switched off.
    pub fn headers(&self, _person: &Person, _scope: &str) -> Vec<(HeaderName, HeaderValue)> {
        todo!()
    }

    /// The names that may be injected.
    pub fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.settings.headers.iter().flat_map(HeaderNames::all)
    }
}
