//! One user over all apps: which openids and unionids are one person, for `identity.subject = "user"`.
//!
//! The store can write what is not there and nothing else at once, so everything is built on that: a link from an openid or
//! a unionid to a user is written once, and so is the note that a user was merged into another one. An id of a user begins
//! with its age, and younger users are merged into older ones: so notes never lead in a circle, whoever writes them at
//! the same time. No openid and no unionid is in the store, only hashes.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rand;
use data_encoding::{BASE32HEX_NOPAD, HEXLOWER};

use super::Person;
use crate::store::{self, Store};

/// Users outlive every session.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);
/// The most users that can have been merged into one directly; a person has as many apps at most.
const MOST_FORMER: usize = 32;
/// The most ids of old that are told.
const MOST_TOLD: usize = 32;
/// The longest way from a merged user to the present one.
const MOST_STEPS: usize = 64;

/// Finds and joins users.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    store: Store,
}

/// A person over all apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// 26 characters `[0-9a-v]`, the same for all apps once a unionid has joined them.
    pub(super) id: String,
    /// Ids that the person had before users were merged.
    pub(super) former: Vec<String>,
    /// Whether this lookup merged two users: what was told about either before is out of date.
    pub(super) has_merged: bool,
}

impl Directory {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    /// The user that a person is; a new one at the first login. A unionid that is known by now joins.
    ///
    /// Of many first logins at once all get the same user. Dropping the future may leave a link undone, which the next
    /// lookup makes.
    pub(super) async fn user(
        &self,
        person: &Person,
        now: SystemTime,
    ) -> Result<User, store::Error> {
        let openid = key(&["openid", person.app_id.as_str(), person.openid.as_str()]);
        let unionid = person.unionid.as_ref();
        let unionid = unionid.map(|unionid| key(&["unionid", unionid.as_str()]));
        // The unionid first: of first logins on two apps both must want the same user.
        let links: Vec<&String> = unionid.iter().chain([&openid]).collect();
        let (mut id, mut is_known) = match self.first_known(&links).await? {
            Some(id) => (self.present(id).await?, true),
            None => (new_id(now), false),
        };
        let mut has_merged = false;
        for link in links {
            let linked = self.link(link, &id).await?;
            let linked = self.present(linked).await?;
            if linked != id && is_known {
                id = self.merge(id, linked).await?;
                has_merged = true;
            } else {
                // An id that nobody has heard of is dropped where somebody was faster.
                id = linked;
            }
            is_known = true;
        }
        Ok(User {
            former: self.former(&id).await?,
            id,
            has_merged,
        })
    }

    async fn first_known(&self, links: &[&String]) -> Result<Option<String>, store::Error> {
        for link in links {
            if let Some(id) = self.read(link).await? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Links to this user, unless there is a link already; where it leads.
    async fn link(&self, link: &str, id: &str) -> Result<String, store::Error> {
        if let Some(linked) = self.read(link).await? {
            return Ok(linked);
        }
        if self.store.put_new(link, id.as_bytes(), FOREVER).await? {
            return Ok(id.to_owned());
        }
        Ok(self.read(link).await?.unwrap_or_else(|| id.to_owned()))
    }

    /// The user that this one was merged into in the end.
    async fn present(&self, mut id: String) -> Result<String, store::Error> {
        for _ in 0..MOST_STEPS {
            match self.read(&merged_key(&id)).await? {
                None => break,
                Some(older) => id = older,
            }
        }
        Ok(id)
    }

    /// Makes one user of two; the older one, which stays.
    async fn merge(&self, one: String, other: String) -> Result<String, store::Error> {
        let (mut old, mut young) = in_order(one, other);
        for _ in 0..MOST_STEPS {
            if old == young {
                break;
            }
            // First the id of old, so that no crash loses it.
            self.remember(&old, &young).await?;
            let note = merged_key(&young);
            if self.store.put_new(&note, old.as_bytes(), FOREVER).await? {
                break;
            }
            // Somebody merged the younger one at the same time, into this one or into a third.
            let Some(third) = self.read(&note).await? else {
                break;
            };
            (old, young) = in_order(old, self.present(third).await?);
        }
        Ok(old)
    }

    /// Notes that this user was another one as well.
    async fn remember(&self, old: &str, young: &str) -> Result<(), store::Error> {
        for number in 0..MOST_FORMER {
            let key = former_key(old, number);
            match self.read(&key).await? {
                Some(known) if known == young => return Ok(()),
                Some(_) => {}
                None if self.store.put_new(&key, young.as_bytes(), FOREVER).await? => return Ok(()),
                // Somebody was faster; maybe with the same id.
                None => {
                    if self.read(&key).await?.as_deref() == Some(young) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Every user that was merged into this one, directly or not.
    async fn former(&self, id: &str) -> Result<Vec<String>, store::Error> {
        let mut found: Vec<String> = Vec::new();
        let mut waiting = VecDeque::from([id.to_owned()]);
        while let Some(user) = waiting.pop_front() {
            for number in 0..MOST_FORMER {
                let Some(former) = self.read(&former_key(&user, number)).await? else {
                    break;
                };
                let is_new = former != id && !found.contains(&former);
                if is_new && found.len() < MOST_TOLD {
                    found.push(former.clone());
                    waiting.push_back(former);
                }
            }
        }
        Ok(found)
    }

    async fn read(&self, key: &str) -> Result<Option<String>, store::Error> {
        let value = self.store.get(key).await?;
        Ok(value.and_then(|value| String::from_utf8(value).ok()))
    }
}

fn in_order(one: String, other: String) -> (String, String) {
    if one <= other {
        (one, other)
    } else {
        (other, one)
    }
}

/// 48 bits of milliseconds since 1970 and 80 random bits, so that the order of texts is the order of age.
#[expect(
    clippy::expect_used,
    reason = "the library's generator fails only where the process cannot go on safely"
)]
fn new_id(now: SystemTime) -> String {
    let age = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut bytes = age.as_millis().to_be_bytes();
    // The upper ten bytes of sixteen are zero for ages to come.
    bytes.rotate_left(10);
    let (_, random) = bytes.split_at_mut(6);
    rand::fill(random).expect("the system gives random bytes");
    BASE32HEX_NOPAD.encode(&bytes).to_ascii_lowercase()
}

fn key(texts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    format!("user:{}", HEXLOWER.encode(context.finish().as_ref()))
}

fn merged_key(id: &str) -> String {
    format!("user-merged:{id}")
}

fn former_key(id: &str, number: usize) -> String {
    format!("user-former:{id}:{number}")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use futures_util::future::join_all;
    use tempfile::TempDir;

    use super::*;
    use crate::wechat::{AppId, AppName, OpenId, UnionId};

    /// Both kinds of store; the folder is removed with the list.
    fn directories() -> (Vec<Directory>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.redb");
        let kinds = [store::Settings::Memory, store::Settings::Embedded { file }];
        let directories = kinds
            .iter()
            .map(|kind| Directory::new(Store::open(kind, Default::default()).unwrap()))
            .collect();
        (directories, folder)
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    fn person(app: &str, openid: &str, unionid: Option<&str>) -> Person {
        Person {
            app: AppName::parse("main").unwrap(),
            app_id: AppId::parse(app).unwrap(),
            openid: OpenId::parse(openid).unwrap(),
            unionid: unionid.map(|unionid| UnionId::parse(unionid).unwrap()),
            profile: None,
        }
    }

    async fn user(directory: &Directory, person: &Person, seconds: u64) -> User {
        let now = now() + Duration::from_secs(seconds);
        directory.user(person, now).await.unwrap()
    }

    #[tokio::test]
    async fn one_unionid_is_one_user_at_every_app() {
        for directory in directories().0 {
            let here = user(&directory, &person("wx1", "o1", Some("u1")), 0).await;
            let there = user(&directory, &person("wx2", "o2", Some("u1")), 1).await;
            let other = user(&directory, &person("wx1", "o3", Some("u2")), 2).await;

            assert_eq!(here, there);
            assert_ne!(here.id, other.id);
            assert_eq!((here.id.len(), here.former.len()), (26, 0));
            assert!(!there.has_merged);
        }
    }

    #[tokio::test]
    async fn without_a_unionid_each_app_has_its_own_users() {
        for directory in directories().0 {
            let here = user(&directory, &person("wx1", "o1", None), 0).await;
            let there = user(&directory, &person("wx2", "o1", None), 1).await;
            let again = user(&directory, &person("wx1", "o1", None), 2).await;

            assert_ne!(here.id, there.id);
            assert_eq!(here, again);
        }
    }

    #[tokio::test]
    async fn a_late_unionid_joins_the_user_that_was_there() {
        for directory in directories().0 {
            let first = user(&directory, &person("wx1", "o1", None), 0).await;
            let late = user(&directory, &person("wx1", "o1", Some("u1")), 1).await;
            let elsewhere = user(&directory, &person("wx2", "o2", Some("u1")), 2).await;

            assert_eq!(first, late);
            assert_eq!(elsewhere, first);
        }
    }

    #[tokio::test]
    async fn two_users_of_one_person_become_the_older_one() {
        for directory in directories().0 {
            let old = user(&directory, &person("wx1", "o1", None), 0).await;
            let young = user(&directory, &person("wx2", "o2", Some("u1")), 1).await;

            let merged = user(&directory, &person("wx1", "o1", Some("u1")), 2).await;

            assert_eq!(merged.id, old.id);
            assert_eq!(merged.former, std::slice::from_ref(&young.id));
            assert!(merged.has_merged);
            for person in [
                person("wx1", "o1", None),
                person("wx2", "o2", None),
                person("wx2", "o2", Some("u1")),
                person("wx3", "o3", Some("u1")),
            ] {
                let found = user(&directory, &person, 3).await;
                assert_eq!((&found.id, &found.former), (&merged.id, &merged.former));
                assert!(!found.has_merged);
            }
        }
    }

    #[tokio::test]
    async fn a_chain_of_merges_tells_every_id_of_old() {
        for directory in directories().0 {
            let mut ids = Vec::new();
            for number in 0..4 {
                let app = format!("wx{number}");
                ids.push(user(&directory, &person(&app, "o", None), number).await.id);
            }
            // The youngest pair first, so that the chain is as long as it can get.
            for (app, unionid) in [
                ("wx3", "u3"),
                ("wx2", "u3"),
                ("wx2", "u2"),
                ("wx1", "u2"),
                ("wx1", "u1"),
                ("wx0", "u1"),
            ] {
                user(&directory, &person(app, "o", Some(unionid)), 9).await;
            }

            let last = user(&directory, &person("wx3", "o", None), 10).await;

            assert_eq!(last.id, ids[0]);
            let mut former = last.former;
            former.sort();
            assert_eq!(former, ids[1..]);
        }
    }

    #[tokio::test]
    async fn a_hundred_first_logins_on_two_apps_make_one_user() {
        for directory in directories().0 {
            let logins = (0..100).map(|number| {
                let (app, openid) = [("wx1", "o1"), ("wx2", "o2")][number % 2];
                let directory = directory.clone();
                tokio::spawn(
                    async move { user(&directory, &person(app, openid, Some("u1")), 0).await },
                )
            });

            let users: Vec<User> = join_all(logins)
                .await
                .into_iter()
                .map(Result::unwrap)
                .collect();

            let last = user(&directory, &person("wx1", "o1", None), 1).await;
            assert_eq!(last.former, Vec::<String>::new());
            assert!(
                users
                    .iter()
                    .all(|user| user.id == last.id && !user.has_merged)
            );
        }
    }

    #[tokio::test]
    async fn merges_at_once_end_at_one_user_and_lose_no_id() {
        for directory in directories().0 {
            let mut ids = Vec::new();
            for number in 0..6 {
                let app = format!("wx{number}");
                ids.push(user(&directory, &person(&app, "o", None), number).await.id);
            }
            let logins = (0..60).map(|number| {
                let directory = directory.clone();
                tokio::spawn(async move {
                    let app = format!("wx{}", number % 6);
                    user(&directory, &person(&app, "o", Some("u1")), 9).await
                })
            });
            for login in join_all(logins).await {
                login.unwrap();
            }

            for number in 0..6 {
                let found = user(&directory, &person(&format!("wx{number}"), "o", None), 10).await;
                assert_eq!(found.id, ids[0]);
                let mut former = found.former;
                former.sort();
                assert_eq!(former, ids[1..]);
            }
        }
    }

    #[tokio::test]
    async fn the_store_learns_no_openid_and_no_unionid() {
        let (directories, _folder) = directories();
        for directory in directories {
            let person = person("wx1", "openid_of_the_test", Some("unionid_of_the_test"));
            user(&directory, &person, 0).await;

            for key in directory.store.keys("", 100).await.unwrap() {
                let value = directory.read(&key).await.unwrap().unwrap();
                assert!(!format!("{key} {value}").contains("of_the_test"), "{key}");
            }
        }
    }

    #[test]
    fn ids_sort_by_age() {
        let ids: Vec<String> = (0..100)
            .map(|milliseconds| new_id(now() + Duration::from_millis(milliseconds)))
            .collect();
        assert!(ids.is_sorted());
    }
}
