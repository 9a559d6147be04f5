//! Under which names a person's sessions are found in the store. No name gives an id of a person away.

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;

use crate::identity::Person;

/// The names of a person: by app and openid, and by unionid where that joins apps and is known. The last one is the widest.
pub(super) fn names(person: &Person, joins_apps: bool) -> Vec<String> {
    let mut names = vec![by_openid(person.app_id.as_str(), person.openid.as_str())];
    let unionid = person.unionid.as_ref().filter(|_| joins_apps);
    names.extend(unionid.map(|unionid| by_unionid(unionid.as_str())));
    names
}

/// The widest name of a person.
pub(super) fn name(person: &Person, joins_apps: bool) -> String {
    names(person, joins_apps).pop().unwrap_or_default()
}

/// The name of whoever has this openid at this app.
pub(super) fn by_openid(app_id: &str, openid: &str) -> String {
    hash(&[app_id, openid])
}

/// The name of whoever has this unionid.
pub(super) fn by_unionid(unionid: &str) -> String {
    hash(&["union", "", unionid])
}

fn hash(texts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    HEXLOWER.encode(context.finish().as_ref())
}
