//! One person behind several openids: subject forms; plain headers for upstreams.

use std::time::SystemTime;

use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::store::{self, Store};
use crate::wechat::{AppId, AppName, OpenId, UnionId};

use directory::Directory;

mod directory;
#[cfg(test)]
mod tests;

/// All but the unreserved characters of RFC 3986: `decodeURIComponent`, `rawurldecode` and `unquote` give the text back.
const TEXT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What stays as it is in an address; what is not ASCII never does.
const ADDRESS: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');

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
    /// `wechat:user:<id>`: a user of ours for each person, over all apps that one unionid joins.
    User,
}

/// What a person is called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The `sub`; `None` when the form needs a unionid that is not known.
    pub subject: Option<String>,
    /// Subjects that the same person had before two users became one; applications join what they kept under them.
    pub former: Vec<String>,
    /// Two users became one just now: names from before are out of date.
    pub has_changed: bool,
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
    directory: Directory,
}

impl Identity {
    /// With these names; the store knows the users of [`SubjectForm::User`].
    pub fn new(settings: Settings, store: Store) -> Self {
        Self {
            settings,
            directory: Directory::new(store),
        }
    }

    /// What the person is called. Asks the store for [`SubjectForm::User`] only; a person seen for the first time becomes a user.
    pub async fn name(&self, person: &Person, now: SystemTime) -> Result<Name, store::Error> {
        let subject = match self.settings.subject {
            SubjectForm::User => {
                let user = self.directory.user(person, now).await?;
                let subject = |id: &String| format!("wechat:user:{id}");
                return Ok(Name {
                    subject: Some(subject(&user.id)),
                    former: user.former.iter().map(subject).collect(),
                    has_changed: user.has_merged,
                });
            }
            SubjectForm::OpenId => Some(by_openid(person)),
            SubjectForm::UnionId => by_unionid(person),
        };
        Ok(Name {
            subject,
            former: Vec::new(),
            has_changed: false,
        })
    }

    /// Every plain header, empty where a fact is not known; free text percent-encoded. Empty list when switched off.
    ///
    /// The same names in the same order as [`header_names`](Self::header_names). No value can end a header. Values are marked
    /// as sensitive, so that `{:?}` hides them.
    pub fn headers(
        &self,
        person: &Person,
        scope: &str,
        subject: Option<&str>,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let Some(names) = &self.settings.headers else {
            return Vec::new();
        };
        let profile = person.profile.as_ref();
        let nickname = profile.map_or("", |profile| profile.nickname.as_str());
        let avatar = profile.map_or("", |profile| profile.avatar.as_str());
        let unionid = person.unionid.as_ref().map_or("", UnionId::as_str);
        let subject = value(subject.unwrap_or_default());
        let nickname = value(&utf8_percent_encode(nickname, TEXT).to_string());
        let avatar = value(&utf8_percent_encode(avatar, ADDRESS).to_string());

        let mut headers = vec![
            (names.openid.clone(), value(person.openid.as_str())),
            (names.unionid.clone(), value(unionid)),
            (names.appid.clone(), value(person.app_id.as_str())),
            (names.subject.clone(), subject.clone()),
            (names.scope.clone(), value(scope)),
            (names.nickname.clone(), nickname.clone()),
            (names.avatar.clone(), avatar),
        ];
        let aliases = |names: &[HeaderName], value: &HeaderValue| {
            let pairs = names.iter().map(|name| (name.clone(), value.clone()));
            pairs.collect::<Vec<_>>()
        };
        headers.extend(aliases(&names.subject_aliases, &subject));
        headers.extend(aliases(&names.nickname_aliases, &nickname));
        headers
    }

    /// The names that may be injected.
    pub fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.settings.headers.iter().flat_map(HeaderNames::all)
    }
}

fn by_openid(person: &Person) -> String {
    let (app_id, openid) = (person.app_id.as_str(), person.openid.as_str());
    format!("wechat:{app_id}:{openid}")
}

fn by_unionid(person: &Person) -> Option<String> {
    let unionid = person.unionid.as_ref()?.as_str();
    Some(format!("wechat:union:{unionid}"))
}

/// What cannot stand in a header becomes nothing: an application sees an unknown fact, never half of one.
fn value(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}
