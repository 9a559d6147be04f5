//! People of the simulated WeChat. All of a person's ids follow from the name, so they are the same in each run.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;

/// Somebody who has a WeChat account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// What tests and the phone page call them; also the value of the `sim_person` cookie.
    pub name: String,
    /// What other people see: any text.
    pub nickname: String,
}

impl Person {
    /// Who the person is for one app: 28 characters, as WeChat's.
    pub fn openid(&self, appid: &str) -> String {
        format!("o{}", fold(&["openid", appid, &self.name], 27))
    }

    /// Who the person is for all apps of the operator: 28 characters.
    pub fn unionid(&self) -> String {
        format!("o6_bm{}", fold(&["unionid", &self.name], 23))
    }

    /// The address of the picture: http and a size at the end, as WeChat gives it. Nothing is served there.
    pub fn avatar(&self) -> String {
        let id = fold(&["avatar", &self.name], 32);
        format!("http://thirdwx.qlogo.cn/mmopen/vi_32/{id}/132")
    }

    /// The stranger that a snapshot page shows in place of the person; `salt` makes each one another.
    pub(super) fn behind_snapshot(&self, salt: &str) -> Self {
        Self {
            name: format!("snapshot of {} {salt}", self.name),
            nickname: "微信用户".to_owned(),
        }
    }
}

/// The first characters of a hash over all parts.
fn fold(parts: &[&str], length: usize) -> String {
    let mut text = BASE64URL_NOPAD.encode(digest(&SHA256, parts.join("\n").as_bytes()).as_ref());
    text.truncate(length);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_between_people_and_apps_but_not_between_runs() {
        let person = |name: &str| Person {
            name: name.to_owned(),
            nickname: String::new(),
        };
        let (alice, bob) = (person("alice"), person("bob"));

        assert_eq!(alice.openid("wx1"), person("alice").openid("wx1"));
        assert_ne!(alice.openid("wx1"), alice.openid("wx2"));
        assert_ne!(alice.openid("wx1"), bob.openid("wx1"));
        assert_ne!(alice.unionid(), bob.unionid());
        assert_eq!((alice.openid("wx1").len(), alice.unionid().len()), (28, 28));
    }
}
