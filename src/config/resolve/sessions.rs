//! `[sessions]` and `[store]`.

use super::state_file;
use crate::config::code::Code;
use crate::config::file::{File, SessionMode, StoreKind};
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::values::{Item, Keys, Sensitive};
use crate::identity::SubjectForm;
use crate::message::{Scheme, Site};
use crate::secret::Secret;
use crate::{seal, session, store};

/// Fewer bytes than this can be guessed or do not fill the key.
pub(super) const SHORTEST_KEY: usize = 32;

pub(super) fn settings(
    file: &File,
    site: Option<&Site>,
    reader: &mut Reader<'_>,
) -> Option<session::Settings> {
    let sessions = &file.sessions.value;
    let (idle, whole) = (&sessions.idle_timeout, &sessions.max_lifetime);
    if idle.value.0 > whole.value.0 && !idle.is_broken && !whole.is_broken {
        let what = "is longer than `sessions.max_lifetime`";
        let problem = Problem::new(Code::TimesContradict, &idle.place, what);
        let hint =
            "shorten `idle_timeout`, or set a longer `max_lifetime` (7d when it is not given)";
        reader.report(problem.also(&whole.place, "max_lifetime").hint(hint));
    }
    let site = site?;
    let secure = site.scheme == Scheme::Https;
    Some(session::Settings {
        mode: match sessions.mode.value {
            SessionMode::Cookie => session::Mode::Cookie,
            SessionMode::Store => session::Mode::Store {
                most_per_person: sessions.max_per_user.value.0,
            },
        },
        joins_apps: file.identity.value.subject.value != SubjectForm::OpenId,
        cookie: cookie(file, secure, reader),
        secure,
        site: site.origin(&site.public_host),
        idle_timeout: idle.value.0,
        max_lifetime: whole.value.0,
    })
}

/// Browsers refuse `__Host-` without `Secure`, and without the prefix another host of the domain could plant the cookie.
fn cookie(file: &File, secure: bool, reader: &mut Reader<'_>) -> String {
    let cookie = &file.sessions.value.cookie;
    if !cookie.is_given && !secure {
        return "wxgate".to_owned();
    }
    let name = &cookie.value;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let bare = name.strip_prefix("__Host-").unwrap_or(name);
    let what = if bare.is_empty() || !name.bytes().all(is_token) {
        Some("must be letters, digits, `_` and `-`")
    } else if secure && !name.starts_with("__Host-") {
        Some("must begin with `__Host-`")
    } else if !secure && name.starts_with("__") {
        Some("must not begin with `__` where `server.public_url` is http: browsers would refuse it")
    } else {
        None
    };
    if let Some(what) = what {
        reader.report(Problem::new(Code::BadCookieName, &cookie.place, what));
    }
    name.clone()
}

pub(super) fn keys(file: &File, reader: &mut Reader<'_>) -> seal::KeySource {
    let sessions = &file.sessions.value;
    match &sessions.keys.value {
        Keys::Given(keys) => seal::KeySource::Given(long_enough(keys, reader)),
        Keys::Automatic => seal::KeySource::Automatic {
            file: state_file(file, "session-keys.json", reader),
            rotate_every: sessions.rotate_every.value.0,
            keep: sessions
                .max_lifetime
                .value
                .0
                .max(file.login.value.attempt_ttl.value.0),
        },
    }
}

/// The secrets; one that is too short is a problem.
pub(super) fn long_enough(
    keys: &[Item<Sensitive>],
    reader: &mut Reader<'_>,
) -> Vec<Secret<String>> {
    for key in keys {
        let length = key.value.0.reveal().len();
        if length < SHORTEST_KEY {
            let what = format!("has {length} bytes: at least {SHORTEST_KEY} are needed");
            let hint = "make one with: wxgate keygen";
            reader.report(Problem::new(Code::BadKey, &key.place, what).hint(hint));
        }
    }
    keys.iter().map(|key| key.value.0.clone()).collect()
}

pub(super) fn store(file: &File, reader: &Reader<'_>) -> store::Settings {
    match file.store.value.kind.value {
        StoreKind::Embedded => store::Settings::Embedded {
            file: state_file(file, "wxgate.redb", reader),
        },
        StoreKind::Memory => store::Settings::Memory,
    }
}
