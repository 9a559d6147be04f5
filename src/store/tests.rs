//! One suite for all kinds of store, then what only a file can do.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

struct Fixture {
    store: Store,
    clock: Clock,
    /// Removed with the fixture; `None` where there is no file.
    _folder: Option<TempDir>,
}

/// An empty store of each kind.
fn every_kind() -> Vec<Fixture> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let fixture = |settings: Settings, folder| {
        let clock = Clock::adjustable();
        Fixture {
            store: Store::open(&settings, clock.clone()).unwrap(),
            clock,
            _folder: folder,
        }
    };
    vec![
        fixture(Settings::Memory, None),
        fixture(Settings::Embedded { file }, Some(folder)),
    ]
}

fn open_file(file: &Path) -> Result<Store, Error> {
    let file = file.to_owned();
    Store::open(&Settings::Embedded { file }, Clock::system())
}

#[tokio::test]
async fn a_value_is_read_back_replaced_and_gone_when_its_time_is_over() {
    for Fixture { store, clock, .. } in every_kind() {
        assert_eq!(store.get("a").await.unwrap(), None);
        store.put("a", b"one", MINUTE).await.unwrap();
        store.put("a", b"two", 2 * MINUTE).await.unwrap();

        clock.advance(MINUTE);
        assert_eq!(store.get("a").await.unwrap().as_deref(), Some(&b"two"[..]));

        clock.advance(MINUTE);
        assert_eq!(store.get("a").await.unwrap(), None, "{store:?}");
        assert_eq!(store.take("a").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_lifetime_of_nothing_writes_nothing_and_one_of_ever_lasts() {
    for Fixture { store, clock, .. } in every_kind() {
        store.put("none", b"x", Duration::ZERO).await.unwrap();
        store.put("ever", b"x", Duration::MAX).await.unwrap();

        clock.advance(1_000_000 * MINUTE);
        assert_eq!(store.get("none").await.unwrap(), None);
        assert_eq!(store.get("ever").await.unwrap().as_deref(), Some(&b"x"[..]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_new_values_at_once_exactly_one_wins() {
    for Fixture { store, .. } in every_kind() {
        let attempts: Vec<_> = (0..100u8)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let won = store.put_new("code", &[number], MINUTE).await.unwrap();
                    won.then_some(number)
                })
            })
            .collect();

        let mut winners = Vec::new();
        for attempt in attempts {
            winners.extend(attempt.await.unwrap());
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(store.get("code").await.unwrap(), Some(winners));
    }
}

#[tokio::test]
async fn a_new_value_may_follow_an_expired_or_taken_one() {
    for Fixture { store, clock, .. } in every_kind() {
        assert!(store.put_new("a", b"1", MINUTE).await.unwrap());
        assert!(!store.put_new("a", b"2", MINUTE).await.unwrap());
        clock.advance(MINUTE);
        assert!(store.put_new("a", b"3", MINUTE).await.unwrap());
        assert_eq!(store.take("a").await.unwrap().as_deref(), Some(&b"3"[..]));
        assert!(store.put_new("a", b"4", MINUTE).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_takers_at_once_exactly_one_gets_the_value() {
    for Fixture { store, .. } in every_kind() {
        store.put("ticket", b"x", MINUTE).await.unwrap();
        let takers: Vec<_> = (0..100)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.take("ticket").await.unwrap() })
            })
            .collect();

        let mut taken = Vec::new();
        for taker in takers {
            taken.extend(taker.await.unwrap());
        }
        assert_eq!(taken, [b"x".to_vec()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_counter_counts_each_call_and_expires_from_its_beginning() {
    for Fixture { store, clock, .. } in every_kind() {
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.increment("n", MINUTE).await.unwrap() })
            })
            .collect();
        let mut counts = Vec::new();
        for call in calls {
            counts.push(call.await.unwrap());
        }
        counts.sort_unstable();
        assert_eq!(counts, (1..=100).collect::<Vec<u64>>());

        clock.advance(MINUTE / 2);
        assert_eq!(store.increment("n", MINUTE).await.unwrap(), 101);
        clock.advance(MINUTE / 2);
        assert_eq!(store.increment("n", MINUTE).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_value_that_is_no_counter_counts_as_nothing() {
    for Fixture { store, .. } in every_kind() {
        store.put("n", b"text", MINUTE).await.unwrap();
        assert_eq!(store.increment("n", MINUTE).await.unwrap(), 1);
        store
            .put("n", &u64::MAX.to_be_bytes(), MINUTE)
            .await
            .unwrap();
        assert_eq!(store.increment("n", MINUTE).await.unwrap(), u64::MAX);
    }
}

#[tokio::test]
async fn odd_keys_and_big_values_are_kept_apart_and_whole() {
    let long = "k".repeat(5000);
    let keys = [
        "",
        "a",
        "a\0",
        "a\0b",
        "A",
        "微信",
        "a:b",
        "../x",
        "\u{10ffff}",
        &long,
    ];
    for Fixture { store, .. } in every_kind() {
        let values: Vec<Vec<u8>> = (0..keys.len())
            .map(|place| vec![u8::try_from(place).unwrap(); place * 200_000])
            .collect();
        for (key, value) in keys.iter().zip(&values) {
            store.put(key, value, MINUTE).await.unwrap();
        }

        for (key, value) in keys.iter().zip(&values) {
            assert!(
                store.get(key).await.unwrap().as_ref() == Some(value),
                "{key:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_sweep_removes_all_that_expired_and_nothing_else() {
    for Fixture { store, clock, .. } in every_kind() {
        let writing = (0..2500).map(|number| {
            let store = store.clone();
            async move {
                let lifetime = if number % 2 == 0 { MINUTE } else { 2 * MINUTE };
                store
                    .put(&format!("k{number}"), b"x", lifetime)
                    .await
                    .unwrap();
            }
        });
        futures_util::future::join_all(writing).await;

        clock.advance(MINUTE);
        assert_eq!(store.sweep(clock.now()).await.unwrap(), 1250);
        assert_eq!(store.sweep(clock.now()).await.unwrap(), 0);
        assert!(store.get("k1").await.unwrap().is_some());
        clock.advance(MINUTE);
        assert_eq!(store.sweep(clock.now()).await.unwrap(), 1250);
    }
}

#[tokio::test]
async fn a_value_written_again_is_not_swept_at_its_old_time() {
    for Fixture { store, clock, .. } in every_kind() {
        store.put("a", b"x", MINUTE).await.unwrap();
        store.put("a", b"y", 3 * MINUTE).await.unwrap();

        clock.advance(2 * MINUTE);
        assert_eq!(store.sweep(clock.now()).await.unwrap(), 0);
        assert_eq!(store.get("a").await.unwrap().as_deref(), Some(&b"y"[..]));
        store.check().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_keeps_its_values_when_closed_and_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/folder/store.redb");
    let store = open_file(&file).unwrap();
    store.put("a", b"x", MINUTE).await.unwrap();
    store.increment("n", MINUTE).await.unwrap();
    drop(store);

    let store = open_file(&file).unwrap();

    assert_eq!(store.get("a").await.unwrap().as_deref(), Some(&b"x"[..]));
    assert_eq!(store.increment("n", MINUTE).await.unwrap(), 2);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn what_was_answered_is_on_disk_as_a_killed_process_would_leave_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let store = open_file(&file).unwrap();
    for number in 0..20 {
        let key = format!("k{number}");
        store.put(&key, b"x", MINUTE).await.unwrap();
        assert!(store.put_new("code", &[1], MINUTE).await.unwrap() == (number == 0));
        assert_eq!(store.increment("n", MINUTE).await.unwrap(), number + 1);
        let copy = folder.path().join(format!("copy{number}"));
        fs::copy(&file, &copy).unwrap();

        let killed = open_file(&copy).unwrap();
        assert!(killed.get(&key).await.unwrap().is_some(), "{key}");
        assert!(killed.get("code").await.unwrap().is_some());
        assert_eq!(killed.increment("n", MINUTE).await.unwrap(), number + 2);
    }
    store.take("code").await.unwrap();
    let copy = folder.path().join("copy");
    fs::copy(&file, &copy).unwrap();
    assert_eq!(open_file(&copy).unwrap().get("code").await.unwrap(), None);
}

#[tokio::test]
async fn a_file_in_use_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let _store = open_file(&file).unwrap();

    let error = open_file(&file).unwrap_err();

    assert!(matches!(error, Error::InUse { .. }), "{error:?}");
    assert!(error.to_string().ends_with("is in use by another process"));
}

#[tokio::test]
async fn damage_is_an_error_or_harmless_but_never_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let store = open_file(&file).unwrap();
    for number in 0..50 {
        store
            .put(&format!("k{number}"), &[7; 300], MINUTE)
            .await
            .unwrap();
    }
    drop(store);
    let sound = fs::read(&file).unwrap();
    let mut damaged: Vec<Vec<u8>> = [1, 100, 4096, sound.len() / 2, sound.len() - 1]
        .map(|length| sound[..length].to_vec())
        .into();
    damaged.push(vec![0; 8192]);
    damaged.push(b"not a store at all".repeat(1000));
    for place in (0..sound.len().min(40_000)).step_by(397) {
        let mut bytes = sound.clone();
        bytes[place] ^= 0xff;
        damaged.push(bytes);
    }

    let mut refused = 0;
    for bytes in damaged {
        fs::write(&file, &bytes).unwrap();
        let Ok(store) = open_file(&file) else {
            refused += 1;
            continue;
        };
        for number in 0..50 {
            if let Ok(Some(value)) = store.get(&format!("k{number}")).await {
                assert_eq!(value, [7; 300]);
            }
        }
        let _ = store.put("new", b"x", MINUTE).await;
        let _ = store.sweep(Clock::system().now() + 2 * MINUTE).await;
    }
    assert!(refused >= 7, "{refused}");
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_an_error_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let blocker = folder.path().join("blocker");
    fs::write(&blocker, "").unwrap();

    let error = open_file(&blocker.join("store.redb")).unwrap_err();

    assert!(matches!(error, Error::File { .. }), "{error:?}");
    assert!(error.to_string().contains("blocker/store.redb"));
}

#[tokio::test]
async fn keys_are_found_by_their_beginning_as_long_as_they_live() {
    for Fixture { store, clock, .. } in every_kind() {
        for (key, lifetime) in [
            ("a:1", MINUTE),
            ("a:2", 2 * MINUTE),
            ("ab", MINUTE),
            ("b:1", MINUTE),
        ] {
            store.put(key, b"x", lifetime).await.unwrap();
        }

        let mut found = store.keys("a:", 10).await.unwrap();
        found.sort();
        assert_eq!(found, ["a:1", "a:2"]);
        assert_eq!(store.keys("a:", 1).await.unwrap().len(), 1);
        assert_eq!(store.keys("c", 10).await.unwrap(), Vec::<String>::new());

        clock.advance(MINUTE);
        assert_eq!(store.keys("a:", 10).await.unwrap(), ["a:2"]);
    }
}
