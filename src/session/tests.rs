#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::{Duration, UNIX_EPOCH};

use http::header::COOKIE;

use super::*;
use crate::clock::Clock;
use crate::identity::{Person, Profile};
use crate::seal::{KeySource, Purpose};
use crate::wechat::{AppId, AppName, OpenId, Scope, UnionId};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn settings() -> Settings {
    Settings {
        cookie: "__Host-wxgate".to_owned(),
        secure: true,
        site: "https://www.example.com".to_owned(),
        idle_timeout: 12 * HOUR,
        max_lifetime: 7 * DAY,
        mode: Mode::Cookie,
        joins_apps: false,
    }
}

fn sealer() -> Arc<Sealer> {
    Arc::new(Sealer::open_ring(KeySource::Ephemeral, now()).unwrap())
}

fn store() -> Store {
    Store::open(&store::Settings::Memory, Clock::system()).unwrap()
}

fn sessions() -> Sessions {
    Sessions::new(settings(), sealer(), store())
}

fn person(openid: &str) -> Person {
    Person {
        app: AppName::parse("main").unwrap(),
        app_id: AppId::parse("wx0123456789abcdef").unwrap(),
        openid: OpenId::parse(openid).unwrap(),
        unionid: None,
        profile: None,
    }
}

fn login(openid: &str) -> NewSession {
    NewSession {
        person: person(openid),
        scope: Scope::Base,
        method: Method::ServiceAccount,
        refresh_token: None,
    }
}

fn with_profile(nickname: &str, avatar: &str) -> NewSession {
    let mut new = login("alice");
    new.scope = Scope::Userinfo;
    new.person.profile = Some(Profile {
        nickname: nickname.to_owned(),
        avatar: avatar.to_owned(),
        fetched_at: now(),
    });
    new
}

/// The value that a browser would send back.
fn value(cookie: &SetCookie) -> String {
    let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
    pair.split_once('=').unwrap().1.to_owned()
}

fn max_age(cookie: &SetCookie) -> u64 {
    let (_, rest) = cookie.to_str().unwrap().split_once("Max-Age=").unwrap();
    rest.split(';').next().unwrap().parse().unwrap()
}

async fn is_valid(sessions: &Sessions, value: &str, now: SystemTime) -> bool {
    sessions.load(value, now).await.unwrap().is_some()
}

#[tokio::test]
async fn a_started_session_is_loaded_as_it_is() {
    let sessions = sessions();
    let mut new = with_profile("微信\r\n🙂", "https://thirdwx.qlogo.cn/0");
    new.person.unionid = UnionId::parse("u-1");

    let (session, cookie) = sessions.start(new, now()).await.unwrap();

    assert_eq!(
        sessions.load(&value(&cookie), now()).await.unwrap(),
        Some(session.clone())
    );
    assert_eq!(session.id.len(), 22);
    assert_eq!(max_age(&cookie), 12 * 3600);
    let text = cookie.to_str().unwrap();
    assert!(text.starts_with("__Host-wxgate="), "{text}");
    assert!(
        text.contains("; HttpOnly; SameSite=Lax; Secure; Path=/"),
        "{text}"
    );
    assert!(!text.contains("Domain"), "{text}");
}

#[tokio::test]
async fn each_login_gets_an_id_of_its_own() {
    let sessions = sessions();

    let (one, _) = sessions.start(login("alice"), now()).await.unwrap();
    let (two, _) = sessions.start(login("alice"), now()).await.unwrap();

    assert_ne!(one.id, two.id);
    assert_ne!(one.sid(), two.sid());
    assert_eq!(one.sid().len(), 32);
    assert!(one.sid().starts_with(&one.log_name()));
    assert_eq!(one.log_name().len(), 8);
}

#[tokio::test]
async fn a_session_ends_after_idle_time_and_at_its_absolute_end() {
    let sessions = sessions();
    let (session, cookie) = sessions.start(login("alice"), now()).await.unwrap();
    let value_at_start = value(&cookie);
    assert_eq!(sessions.expires_at(&session), now() + 12 * HOUR);
    assert!(is_valid(&sessions, &value_at_start, now() + 12 * HOUR - SECOND).await);
    assert!(!is_valid(&sessions, &value_at_start, now() + 12 * HOUR).await);

    // Used all the time, it still ends after a week.
    let (mut session, _) = sessions.start(login("alice"), now()).await.unwrap();
    let mut time = now();
    let mut last = None;
    while time < now() + 7 * DAY - 6 * HOUR {
        time += 6 * HOUR;
        let cookie = sessions.renew(&session, time).await.unwrap().unwrap();
        session = sessions.load(&value(&cookie), time).await.unwrap().unwrap();
        last = Some(cookie);
    }
    let last = last.unwrap();
    assert_eq!(sessions.expires_at(&session), now() + 7 * DAY);
    assert_eq!(max_age(&last), 6 * 3600);
    assert!(is_valid(&sessions, &value(&last), now() + 7 * DAY - SECOND).await);
    assert!(!is_valid(&sessions, &value(&last), now() + 7 * DAY).await);
    assert_eq!(
        sessions.renew(&session, now() + 7 * DAY).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn the_cookie_is_written_again_at_most_each_minute_and_keeps_the_session() {
    let sessions = sessions();
    let (session, _) = sessions.start(with_profile("n", "a"), now()).await.unwrap();

    assert_eq!(
        sessions.renew(&session, now() + 59 * SECOND).await.unwrap(),
        None
    );
    let cookie = sessions
        .renew(&session, now() + MINUTE)
        .await
        .unwrap()
        .unwrap();

    let renewed = sessions
        .load(&value(&cookie), now() + MINUTE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        renewed,
        Session {
            renewed_at: now() + MINUTE,
            ..session
        }
    );
    assert_eq!(
        sessions
            .renew(&renewed, now() + 119 * SECOND)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        sessions.renew(&renewed, now() + 13 * HOUR).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_clock_that_is_set_back_revives_nothing() {
    let sessions = sessions();
    let (_, cookie) = sessions.start(login("alice"), now()).await.unwrap();
    let expired = value(&cookie);
    assert!(!is_valid(&sessions, &expired, now() + 12 * HOUR).await);

    assert!(!is_valid(&sessions, &expired, now() + 11 * HOUR).await);

    // Whoever logs in meanwhile is logged in, before and after the clock has caught up.
    let (_, cookie) = sessions
        .start(login("bob"), now() + 11 * HOUR)
        .await
        .unwrap();
    assert!(is_valid(&sessions, &value(&cookie), now() + 11 * HOUR).await);
    assert!(is_valid(&sessions, &value(&cookie), now() + 13 * HOUR).await);
}

#[tokio::test]
async fn a_session_from_the_future_is_refused_beyond_a_minute() {
    let sealer = sealer();
    let fast = Sessions::new(settings(), Arc::clone(&sealer), store());
    let right = Sessions::new(settings(), sealer, store());

    for (ahead, expected) in [(0, true), (60, true), (61, false), (3600, false)] {
        let (_, cookie) = fast
            .start(login("alice"), now() + ahead * SECOND)
            .await
            .unwrap();
        assert_eq!(
            is_valid(&right, &value(&cookie), now()).await,
            expected,
            "{ahead}"
        );
    }
}

#[tokio::test]
async fn a_session_of_another_site_cookie_or_purpose_is_nothing() {
    let sealer = sealer();
    let with = |change: fn(&mut Settings)| {
        let mut settings = settings();
        change(&mut settings);
        Sessions::new(settings, Arc::clone(&sealer), store())
    };
    let ours = with(|_| {});
    let (_, cookie) = ours.start(login("alice"), now()).await.unwrap();
    let ours_value = value(&cookie);
    assert!(is_valid(&with(|_| {}), &ours_value, now()).await);

    for other in [
        with(|settings| settings.site = "https://staging.example.com".to_owned()),
        with(|settings| settings.site = "http://www.example.com".to_owned()),
        with(|settings| settings.cookie = "wxgate".to_owned()),
        with(|settings| {
            settings.cookie = "__Host-wxgate\nhttps".to_owned();
            settings.site = "//www.example.com".to_owned();
        }),
        sessions(),
    ] {
        assert!(
            !is_valid(&other, &ours_value, now()).await,
            "{:?}",
            other.settings
        );
    }
    let plain = sealer
        .open(Purpose::Session, &ours.context, &ours_value)
        .unwrap();
    for purpose in [Purpose::Attempts, Purpose::Form] {
        let moved = sealer.seal(purpose, &ours.context, &plain);
        assert!(!is_valid(&ours, &moved, now()).await, "{purpose:?}");
    }
    let right = sealer.seal(Purpose::Session, &ours.context, &plain);
    assert!(is_valid(&ours, &right, now()).await);
}

#[tokio::test]
async fn every_tampered_cookie_means_not_logged_in() {
    let sessions = sessions();
    let (_, cookie) = sessions.start(login("alice"), now()).await.unwrap();
    let sound = value(&cookie);

    for place in 0..sound.len() {
        for bit in 0..7 {
            let mut bytes = sound.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            let text = String::from_utf8(bytes).unwrap();
            assert!(!is_valid(&sessions, &text, now()).await, "{place} {bit}");
        }
        assert!(
            !is_valid(&sessions, &sound[..place], now()).await,
            "{place}"
        );
    }
    for text in [
        "",
        "=",
        "null",
        "undefined",
        "\"\"",
        "微信",
        &format!("{sound}A"),
        &format!("\"{sound}\""),
        &"A".repeat(70_000),
    ] {
        assert!(!is_valid(&sessions, text, now()).await, "{text}");
    }
}

#[tokio::test]
async fn a_sealed_record_that_does_not_fit_is_nothing() {
    let sessions = sessions();
    let (_, cookie) = sessions.start(login("alice"), now()).await.unwrap();
    let plain = sessions
        .sealer
        .open(Purpose::Session, &sessions.context, &value(&cookie))
        .unwrap();

    for bytes in [
        &[][..],
        &plain[..plain.len() - 1],
        &[&plain[..], &[0]].concat(),
    ] {
        let text = sessions
            .sealer
            .seal(Purpose::Session, &sessions.context, bytes);
        assert!(!is_valid(&sessions, &text, now()).await);
    }
}

#[tokio::test]
async fn logging_out_ends_one_session_on_every_cookie_it_ever_had() {
    let sessions = sessions();
    let (session, first) = sessions.start(login("alice"), now()).await.unwrap();
    let second = sessions
        .renew(&session, now() + MINUTE)
        .await
        .unwrap()
        .unwrap();
    let (_, other) = sessions.start(login("alice"), now()).await.unwrap();
    let before = sessions.revocations();
    let mut watch = sessions.watch_revocations();

    sessions.revoke(&session, now() + MINUTE).await.unwrap();

    assert_ne!(sessions.revocations(), before);
    assert!(watch.has_changed().unwrap());
    assert_eq!(*watch.borrow_and_update(), sessions.revocations());
    let later = now() + 2 * MINUTE;
    assert!(!is_valid(&sessions, &value(&first), later).await);
    assert!(!is_valid(&sessions, &value(&second), later).await);
    assert!(is_valid(&sessions, &value(&other), later).await);
}

#[tokio::test]
async fn logging_out_everywhere_ends_what_began_before_and_nobody_elses() {
    let sessions = sessions();
    let (_, phone) = sessions.start(login("alice"), now()).await.unwrap();
    let (_, desktop) = sessions
        .start(login("alice"), now() + MINUTE)
        .await
        .unwrap();
    let (_, bob) = sessions.start(login("bob"), now()).await.unwrap();
    let mut elsewhere = login("alice");
    elsewhere.person.app_id = AppId::parse("wx9").unwrap();
    let (_, elsewhere) = sessions.start(elsewhere, now()).await.unwrap();

    sessions
        .revoke_person(&person("alice"), now() + 2 * MINUTE)
        .await
        .unwrap();
    let (_, again) = sessions
        .start(login("alice"), now() + 3 * MINUTE)
        .await
        .unwrap();

    let later = now() + 4 * MINUTE;
    for (cookie, expected) in [
        (phone, false),
        (desktop, false),
        (bob, true),
        (elsewhere, true),
        (again, true),
    ] {
        assert_eq!(
            is_valid(&sessions, &value(&cookie), later).await,
            expected,
            "{cookie:?}"
        );
    }
}

#[tokio::test]
async fn a_later_logout_with_an_earlier_time_undoes_nothing() {
    let store = store();
    let sealer = sealer();
    let node = || Sessions::new(settings(), Arc::clone(&sealer), store.clone());
    let (right, slow) = (node(), node());
    let (_, cookie) = right.start(login("alice"), now()).await.unwrap();

    right.revoke_person(&person("alice"), now()).await.unwrap();
    slow.revoke_person(&person("alice"), now() - HOUR)
        .await
        .unwrap();

    assert!(!is_valid(&right, &value(&cookie), now()).await);
}

#[tokio::test]
async fn a_reload_shares_what_was_revoked_before_and_after() {
    let sealer = sealer();
    let old = Sessions::new(settings(), Arc::clone(&sealer), store());
    let mut longer = settings();
    longer.max_lifetime = 30 * DAY;
    let new = old.reconfigured(longer, sealer);
    let mut watch = old.watch_revocations();
    let (session, cookie) = old.start(login("alice"), now()).await.unwrap();

    new.revoke(&session, now()).await.unwrap();

    assert!(watch.has_changed().unwrap());
    assert_eq!(*watch.borrow_and_update(), new.revocations());
    assert_eq!(old.revocations(), new.revocations());
    assert!(!is_valid(&old, &value(&cookie), now()).await);
}

#[tokio::test]
async fn a_logout_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let kept = store::Settings::Embedded {
        file: folder.path().join("store.redb"),
    };
    let sealer = sealer();
    let open = || {
        let store = Store::open(&kept, Clock::system()).unwrap();
        Sessions::new(settings(), Arc::clone(&sealer), store)
    };
    let sessions = open();
    let time = SystemTime::now();
    let (session, one) = sessions.start(login("alice"), time).await.unwrap();
    let (_, two) = sessions.start(login("bob"), time).await.unwrap();
    sessions.revoke(&session, time).await.unwrap();
    sessions.revoke_person(&person("bob"), time).await.unwrap();
    drop(sessions);

    let sessions = open();

    assert!(!is_valid(&sessions, &value(&one), time).await);
    assert!(!is_valid(&sessions, &value(&two), time).await);
}

#[tokio::test]
async fn a_longer_lifetime_configured_later_does_not_bring_back_a_logged_out_session() {
    let clock = Clock::adjustable();
    let store = Store::open(&store::Settings::Memory, clock.clone()).unwrap();
    let sealer = sealer();
    let short = Sessions::new(settings(), Arc::clone(&sealer), store.clone());
    let start = clock.now();
    let (session, cookie) = short.start(login("alice"), start).await.unwrap();
    short.revoke(&session, start).await.unwrap();

    clock.advance(9 * DAY);
    let mut longer = settings();
    longer.idle_timeout = 30 * DAY;
    longer.max_lifetime = 30 * DAY;
    let longer = Sessions::new(longer, sealer, store);

    assert!(!is_valid(&longer, &value(&cookie), clock.now()).await);
}

#[tokio::test]
async fn what_does_not_fit_into_a_cookie_is_left_out_avatar_first() {
    let sessions = sessions();
    let profile = |session: &Session| session.person.profile.clone();
    for (nickname, avatar, left) in [
        (100, 500, Some((100, 500))),
        (100, 4000, Some((100, 0))),
        (100, 100_000, Some((100, 0))),
        (4000, 100, None),
        (100_000, 0, None),
    ] {
        let new = with_profile(&"n".repeat(nickname), &"a".repeat(avatar));

        let (session, cookie) = sessions.start(new, now()).await.unwrap();

        assert!(cookie.len() <= 4096, "{nickname} {avatar}");
        let lengths =
            profile(&session).map(|profile| (profile.nickname.len(), profile.avatar.len()));
        assert_eq!(lengths, left, "{nickname} {avatar}");
        assert_eq!(
            sessions.load(&value(&cookie), now()).await.unwrap(),
            Some(session)
        );
    }
}

#[tokio::test]
async fn a_planted_cookie_beside_ours_does_not_log_out() {
    let sessions = sessions();
    let (session, cookie) = sessions.start(login("alice"), now()).await.unwrap();
    let mut headers = HeaderMap::new();
    let text = format!("__Host-wxgate=junk; a=1; __Host-wxgate={}", value(&cookie));
    headers.insert(COOKIE, text.parse().unwrap());

    let mut found = None;
    for value in sessions.cookie_values(&headers) {
        found = found.or(sessions.load(value, now()).await.unwrap());
    }
    assert_eq!(found, Some(session));
    assert_eq!(sessions.cookie_value(&headers), Some("junk"));

    sessions.cut_cookies(&mut headers);
    assert_eq!(headers[COOKIE], "a=1");
}

#[tokio::test]
async fn notes_in_the_store_hold_no_id_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let kept = store::Settings::Embedded { file: file.clone() };
    let store = Store::open(&kept, Clock::system()).unwrap();
    let sessions = Sessions::new(settings(), sealer(), store);
    let (session, _) = sessions
        .start(login("alice_of_the_test"), now())
        .await
        .unwrap();

    sessions.revoke(&session, now()).await.unwrap();
    sessions
        .revoke_person(&session.person, now())
        .await
        .unwrap();

    let content = std::fs::read(&file).unwrap();
    let holds = |text: &str| {
        content
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(holds("revoked:") && holds("before:"));
    assert!(!holds("alice_of_the_test") && !holds(&session.id));
}

#[tokio::test]
async fn removing_the_cookie_names_it_with_the_same_attributes() {
    assert_eq!(
        sessions().removal(),
        "__Host-wxgate=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    );
}

fn kept(store: Store, most_per_person: u32) -> Sessions {
    let settings = Settings {
        mode: Mode::Store { most_per_person },
        ..settings()
    };
    Sessions::new(settings, sealer(), store)
}

#[tokio::test]
async fn token_and_cookie_of_one_session_are_nothing_in_each_others_place() {
    for sessions in [sessions(), kept(store(), 20)] {
        let (browser, cookie) = sessions.start(login("alice"), now()).await.unwrap();
        let (client, token) = sessions.start_token(login("bob"), now()).await.unwrap();
        let (cookie, token) = (value(&cookie), token.text.reveal().clone());

        let by_token = sessions.load_token(&token, now()).await.unwrap().unwrap();
        assert_eq!(by_token.carrier, Carrier::Token);
        assert_eq!(by_token, client);
        let by_cookie = sessions.load(&cookie, now()).await.unwrap().unwrap();
        assert_eq!(by_cookie.carrier, Carrier::Cookie);
        assert_eq!(by_cookie, browser);

        let bare = token.strip_prefix("wxg_").unwrap();
        for text in [&token, bare] {
            assert_eq!(sessions.load(text, now()).await.unwrap(), None);
        }
        for text in [cookie.clone(), format!("wxg_{cookie}"), bare.to_owned()] {
            assert_eq!(sessions.load_token(&text, now()).await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn a_renewed_token_lives_longer_and_the_old_one_as_long_as_before() {
    for sessions in [sessions(), kept(store(), 20)] {
        let (session, first) = sessions.start_token(login("alice"), now()).await.unwrap();
        assert_eq!(first.expires_at, now() + 12 * HOUR);

        let second = sessions
            .renew_token(&session, now() + HOUR)
            .await
            .unwrap()
            .unwrap();

        assert_eq!(second.expires_at, now() + 13 * HOUR);
        let later = now() + 12 * HOUR + MINUTE;
        let loaded = sessions
            .load_token(second.text.reveal(), later)
            .await
            .unwrap();
        assert_eq!(loaded.unwrap().sid(), session.sid());
        sessions.revoke(&session, later).await.unwrap();
        let loaded = sessions
            .load_token(second.text.reveal(), later)
            .await
            .unwrap();
        assert_eq!(loaded, None);
    }
}

#[tokio::test]
async fn a_browser_that_shares_the_session_of_a_token_ends_with_it() {
    for sessions in [sessions(), kept(store(), 20)] {
        let (session, token) = sessions.start_token(login("alice"), now()).await.unwrap();
        let cookie = sessions
            .share_with_browser(&session, now())
            .await
            .unwrap()
            .unwrap();
        let shared = sessions
            .load(&value(&cookie), now())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (shared.sid(), shared.carrier),
            (session.sid(), Carrier::Cookie)
        );

        sessions.revoke(&shared, now()).await.unwrap();

        let loaded = sessions
            .load_token(token.text.reveal(), now())
            .await
            .unwrap();
        assert_eq!(loaded, None);
        assert_eq!(
            sessions.share_with_browser(&session, now()).await.unwrap(),
            None
        );
    }
}

#[tokio::test]
async fn a_kept_session_is_loaded_as_it_is_and_its_cookie_says_nothing() {
    let sessions = kept(store(), 20);
    let mut new = with_profile(&"名".repeat(2000), "https://thirdwx.qlogo.cn/0");
    new.refresh_token = Some(Secret::new("68_refresh".to_owned()));

    let (session, cookie) = sessions.start(new, now()).await.unwrap();

    assert!(cookie.len() < 250, "{}", cookie.len());
    let loaded = sessions.load(&value(&cookie), now()).await.unwrap();
    assert_eq!(loaded, Some(session));
    assert!(!is_valid(&sessions, &value(&cookie), now() + 12 * HOUR).await);
}

#[tokio::test]
async fn a_kept_session_slides_along_in_the_store() {
    let sessions = kept(store(), 20);
    let (session, first) = sessions.start(login("alice"), now()).await.unwrap();

    assert_eq!(
        sessions.renew(&session, now() + 59 * SECOND).await.unwrap(),
        None
    );
    let renewed = sessions
        .renew(&session, now() + HOUR)
        .await
        .unwrap()
        .unwrap();

    // The cookie only names the session, so the old one knows of the renewal as well.
    for (time, expected) in [(now() + 12 * HOUR, true), (now() + 13 * HOUR, false)] {
        for cookie in [&first, &renewed] {
            assert_eq!(is_valid(&sessions, &value(cookie), time).await, expected);
        }
    }
}

#[tokio::test]
async fn cookies_of_the_other_mode_are_over() {
    let (sealer, store) = (sealer(), store());
    let sealed = Sessions::new(settings(), Arc::clone(&sealer), store.clone());
    let mode = Mode::Store { most_per_person: 3 };
    let kept = sealed.reconfigured(Settings { mode, ..settings() }, sealer);
    let (_, one) = sealed.start(login("alice"), now()).await.unwrap();
    let (_, two) = kept.start(login("alice"), now()).await.unwrap();

    assert!(!is_valid(&kept, &value(&one), now()).await);
    assert!(!is_valid(&sealed, &value(&two), now()).await);
}

#[tokio::test]
async fn kept_sessions_are_listed_found_and_ended_by_name() {
    let sessions = kept(store(), 20);
    let (phone, _) = sessions.start(login("alice"), now()).await.unwrap();
    let (desktop, cookie) = sessions
        .start(login("alice"), now() + SECOND)
        .await
        .unwrap();
    let (bob, _) = sessions
        .start(login("bob"), now() + 2 * SECOND)
        .await
        .unwrap();
    let time = now() + MINUTE;

    let alices = sessions.list_of(&person("alice"), time).await.unwrap();
    assert_eq!(alices, [phone.clone(), desktop.clone()]);
    let all = sessions.list(100, time).await.unwrap();
    assert_eq!(all, [phone.clone(), desktop.clone(), bob.clone()]);
    assert_eq!(sessions.list(2, time).await.unwrap().len(), 2);
    assert_eq!(
        sessions.inspect(&bob.sid(), time).await.unwrap(),
        Some(bob.clone())
    );
    assert_eq!(sessions.inspect("nobody", time).await.unwrap(), None);

    let epoch = sessions.revocations();
    assert!(sessions.revoke_by_sid(&desktop.sid(), time).await.unwrap());
    assert!(!sessions.revoke_by_sid("../etc", time).await.unwrap());

    assert!(sessions.revocations() > epoch);
    assert!(!is_valid(&sessions, &value(&cookie), time).await);
    assert_eq!(
        sessions.list_of(&person("alice"), time).await.unwrap(),
        [phone]
    );
    sessions
        .revoke_openid("wx0123456789abcdef", "bob", time)
        .await
        .unwrap();
    assert_eq!(sessions.inspect(&bob.sid(), time).await.unwrap(), None);
    assert_eq!(
        sessions
            .list_of(&person("alice"), now() + 12 * HOUR)
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn one_login_too_many_ends_the_oldest_session() {
    let sessions = kept(store(), 2);
    let mut cookies = Vec::new();
    for second in 0..4 {
        let (_, cookie) = sessions
            .start(login("alice"), now() + second * SECOND)
            .await
            .unwrap();
        cookies.push(value(&cookie));
    }
    let (_, bob) = sessions.start(login("bob"), now()).await.unwrap();

    let time = now() + MINUTE;
    let valid = [false, false, true, true];
    for (cookie, expected) in cookies.iter().zip(valid) {
        assert_eq!(is_valid(&sessions, cookie, time).await, expected);
    }
    assert!(is_valid(&sessions, &value(&bob), time).await);
}

#[tokio::test]
async fn a_person_of_several_apps_is_one_where_unionids_join_them() {
    let joined = |joins_apps| {
        let settings = Settings {
            mode: Mode::Store { most_per_person: 5 },
            joins_apps,
            ..settings()
        };
        Sessions::new(settings, sealer(), store())
    };
    for joins_apps in [false, true] {
        let sessions = joined(joins_apps);
        let mut here = login("alice");
        here.person.unionid = UnionId::parse("u-1");
        let mut there = here.clone();
        there.person.app_id = AppId::parse("wx00000000000000aa").unwrap();
        let (session, _) = sessions.start(here, now()).await.unwrap();
        let (_, elsewhere) = sessions.start(there, now()).await.unwrap();

        let listed = sessions.list_of(&session.person, now()).await.unwrap();
        assert_eq!(listed.len(), if joins_apps { 2 } else { 1 });
        sessions
            .revoke_person(&session.person, now() + SECOND)
            .await
            .unwrap();

        let survives = is_valid(&sessions, &value(&elsewhere), now() + SECOND).await;
        assert_eq!(survives, !joins_apps);
        sessions
            .revoke_unionid("u-1", now() + SECOND)
            .await
            .unwrap();
        assert!(!is_valid(&sessions, &value(&elsewhere), now() + SECOND).await);
    }
}

#[tokio::test]
async fn the_store_learns_nothing_about_people_from_kept_sessions() {
    let store = store();
    let sessions = kept(store.clone(), 20);
    let mut new = with_profile("爱丽丝的昵称", "https://thirdwx.qlogo.cn/avatar");
    new.person.openid = OpenId::parse("alice_of_the_test").unwrap();
    new.refresh_token = Some(Secret::new("68_refresh_of_the_test".to_owned()));
    sessions.start(new, now()).await.unwrap();

    let keys = store.keys("", 100).await.unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let value = store.get(&key).await.unwrap().unwrap();
        let kept = format!("{key} {}", String::from_utf8_lossy(&value));
        for secret in ["of_the_test", "爱丽丝", "qlogo"] {
            assert!(!kept.contains(secret), "{kept}");
        }
    }
}
