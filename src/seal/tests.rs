#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const SECRET: &str = "an operator's secret of 32 bytes";

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn ephemeral() -> Sealer {
    Sealer::open_ring(KeySource::Ephemeral, start()).unwrap()
}

fn with_keys(keys: &[&str]) -> Result<Sealer, Error> {
    let keys = keys.iter().map(|key| Secret::new((*key).to_owned()));
    Sealer::open_ring(KeySource::Given(keys.collect()), start())
}

/// Rotates every 30 days, keeps retired secrets for 7.
fn automatic(file: &Path, now: SystemTime) -> Result<Sealer, Error> {
    let source = KeySource::Automatic {
        file: file.to_owned(),
        rotate_every: 30 * DAY,
        keep: 7 * DAY,
    };
    Sealer::open_ring(source, now)
}

#[test]
fn what_is_sealed_opens_and_is_different_each_time() {
    let sealer = ephemeral();
    for plain in [&b""[..], b"x", &[0; 3000]] {
        let sealed = sealer.seal(Purpose::Session, "c", plain);

        assert_eq!(
            sealer.open(Purpose::Session, "c", &sealed).as_deref(),
            Some(plain)
        );
        assert_ne!(sealer.seal(Purpose::Session, "c", plain), sealed);
        let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        assert!(sealed.chars().all(is_allowed), "{sealed}");
    }
}

#[test]
fn no_changed_bit_opens() {
    let sealer = ephemeral();
    let sealed = sealer.seal(Purpose::Session, "cookie", &[7; 200]);

    for place in 0..sealed.len() {
        for bit in 0..8 {
            let mut bytes = sealed.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            assert_eq!(
                sealer.open(Purpose::Session, "cookie", &text),
                None,
                "{place} {bit}"
            );
        }
    }
}

#[test]
fn no_changed_bit_of_the_bytes_opens() {
    let sealer = ephemeral();
    let sealed = sealer.seal(Purpose::Session, "cookie", &[7; 200]);
    let bytes = data_encoding::BASE64URL_NOPAD
        .decode(sealed.as_bytes())
        .unwrap();

    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[place] ^= 1 << bit;
            let text = data_encoding::BASE64URL_NOPAD.encode(&bytes);
            assert_eq!(
                sealer.open(Purpose::Session, "cookie", &text),
                None,
                "{place} {bit}"
            );
        }
    }
}

#[test]
fn no_cut_extended_or_mixed_text_opens() {
    let sealer = ephemeral();
    let one = sealer.seal(Purpose::Session, "c", &[1; 100]);
    let two = sealer.seal(Purpose::Session, "c", &[2; 100]);
    let mut forged: Vec<String> = (0..one.len())
        .map(|length| one[..length].to_owned())
        .collect();
    forged.extend((1..one.len()).map(|place| one[place..].to_owned()));
    forged.extend((1..one.len()).map(|place| format!("{}{}", &one[..place], &two[place..])));
    for tail in [
        "A", "AA", "AAA", "AAAA", "=", "==", " ", "\0", ".", "%3D", &one,
    ] {
        forged.push(format!("{one}{tail}"));
        forged.push(format!("{tail}{one}"));
    }
    forged.extend([
        one.to_lowercase(),
        format!("\"{one}\""),
        "微".repeat(50),
        "A".repeat(100_000),
    ]);

    for text in forged.iter().filter(|text| **text != one && **text != two) {
        assert_eq!(sealer.open(Purpose::Session, "c", text), None, "{text}");
    }
}

#[test]
fn another_purpose_context_or_key_opens_nothing() {
    let sealer = ephemeral();
    let sealed = sealer.seal(Purpose::Session, "a", b"x");

    for (purpose, context) in [
        (Purpose::Attempts, "a"),
        (Purpose::Form, "a"),
        (Purpose::Session, "b"),
        (Purpose::Session, ""),
        (Purpose::Session, "aa"),
    ] {
        assert_eq!(
            sealer.open(purpose, context, &sealed),
            None,
            "{purpose:?} {context}"
        );
    }
    assert_eq!(ephemeral().open(Purpose::Session, "a", &sealed), None);
}

#[test]
fn the_first_given_key_seals_and_all_open() {
    let other = "another secret that is long enough";
    let old = with_keys(&[SECRET]).unwrap();
    let new = with_keys(&[other, SECRET]).unwrap();

    let from_old = old.seal(Purpose::Form, "c", b"old");
    let from_new = new.seal(Purpose::Form, "c", b"new");

    assert_eq!(
        new.open(Purpose::Form, "c", &from_old).as_deref(),
        Some(&b"old"[..])
    );
    assert_eq!(old.open(Purpose::Form, "c", &from_new), None);
    let same = with_keys(&[other]).unwrap();
    assert_eq!(
        same.open(Purpose::Form, "c", &from_new).as_deref(),
        Some(&b"new"[..])
    );
    assert!(!new.rotate(start() + 1000 * DAY).unwrap());
}

#[test]
fn given_keys_that_are_short_or_missing_are_refused() {
    let short = with_keys(&[SECRET, &SECRET[1..]]).unwrap_err();

    assert_eq!(
        short.to_string(),
        "key 2 has 31 bytes, at least 32 are needed"
    );
    assert!(matches!(with_keys(&[]), Err(Error::NoKeys)));
}

#[test]
fn a_sealed_text_of_the_first_version_still_opens() {
    let sealer = with_keys(&[SECRET]).unwrap();
    let sealed = "AS1Q783sXVDJba_VBd1aLbVUVZ_Y05j0wzmUSD0NoZXrOJ7Ap1YgtU9M7Ng";

    // Made by the first release: an update must not log anybody out.
    let plain = sealer.open(Purpose::Session, "c", sealed);
    assert_eq!(plain.as_deref(), Some(&b"still there"[..]));
}

#[test]
fn automatic_keys_survive_a_restart_in_a_file_of_their_owner() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state/session-keys.json");
    let sealed = automatic(&file, start())
        .unwrap()
        .seal(Purpose::Session, "c", b"x");

    let again = automatic(&file, start() + DAY).unwrap();

    assert_eq!(
        again.open(Purpose::Session, "c", &sealed).as_deref(),
        Some(&b"x"[..])
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_key_file_that_others_may_read_is_narrowed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    automatic(&file, start()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();

    automatic(&file, start()).unwrap();

    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_retired_key_opens_as_long_as_it_is_kept_and_not_longer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let sealer = automatic(&file, start()).unwrap();
    let sealed = sealer.seal(Purpose::Session, "c", b"x");
    let opens = |sealer: &Sealer| sealer.open(Purpose::Session, "c", &sealed).is_some();

    assert!(!sealer.rotate(start() + 29 * DAY).unwrap());
    assert!(sealer.rotate(start() + 30 * DAY).unwrap());
    assert!(opens(&sealer));
    let newer = sealer.seal(Purpose::Session, "c", b"x");
    assert_ne!(sealed[..7], newer[..7], "another key id");

    assert!(!sealer.rotate(start() + 36 * DAY).unwrap());
    assert!(opens(&sealer));
    assert!(sealer.rotate(start() + 37 * DAY).unwrap());
    assert!(!opens(&sealer));
    assert!(sealer.open(Purpose::Session, "c", &newer).is_some());
    assert!(!opens(&automatic(&file, start() + 37 * DAY).unwrap()));
}

#[test]
fn a_restart_after_a_long_stop_rotates_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let sealed = automatic(&file, start())
        .unwrap()
        .seal(Purpose::Session, "c", b"x");

    let sealer = automatic(&file, start() + 100 * DAY).unwrap();

    // The old key retires only now: what it sealed last may still be needed.
    assert!(sealer.open(Purpose::Session, "c", &sealed).is_some());
    assert!(sealer.rotate(start() + 107 * DAY).unwrap());
    assert!(sealer.open(Purpose::Session, "c", &sealed).is_none());
}

#[test]
fn a_clock_set_back_neither_rotates_nor_forgets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let sealer = automatic(&file, start()).unwrap();
    let sealed = sealer.seal(Purpose::Session, "c", b"x");
    sealer.rotate(start() + 30 * DAY).unwrap();

    assert!(!sealer.rotate(start() - 1000 * DAY).unwrap());
    assert!(sealer.open(Purpose::Session, "c", &sealed).is_some());
}

#[test]
fn a_rotation_that_cannot_be_written_keeps_the_ring() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("state");
    let file = inner.join("keys.json");
    let sealer = automatic(&file, start()).unwrap();
    let sealed = sealer.seal(Purpose::Session, "c", b"x");
    // A file where the folder was: writing fails whoever we are.
    fs::remove_dir_all(&inner).unwrap();
    fs::write(&inner, "").unwrap();

    let error = sealer.rotate(start() + 30 * DAY).unwrap_err();

    assert!(matches!(error, Error::File { .. }), "{error:?}");
    assert_eq!(sealer.seal(Purpose::Session, "c", b"x")[..6], sealed[..6]);
}

#[test]
fn a_damaged_key_file_is_refused_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let secret = "A".repeat(43);
    let short = "A".repeat(42);
    for text in [
        String::new(),
        "{}".to_owned(),
        "\u{0}\u{ff}".to_owned(),
        r#"{"version":1,"keys":[]}"#.to_owned(),
        format!(r#"{{"version":2,"keys":[{{"secret":"{secret}","created_at":1}}]}}"#),
        format!(r#"{{"version":1,"keys":[{{"secret":"{short}","created_at":1}}]}}"#),
        format!(r#"{{"version":1,"keys":[{{"secret":"{secret}","created_at":-1}}]}}"#),
        format!(r#"{{"version":1,"keys":[{{"secret":"{secret}"}}]}}"#),
    ] {
        fs::write(&file, &text).unwrap();
        let error = automatic(&file, start()).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{text}: {error:?}");
        assert!(!error.to_string().contains(&short));
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(matches!(
        automatic(&file, start()),
        Err(Error::Damaged { .. })
    ));
    fs::write(
        &file,
        format!(r#"{{"version":1,"keys":[{{"secret":"{secret}","created_at":1}}]}}"#),
    )
    .unwrap();
    automatic(&file, start()).unwrap();
}

#[test]
fn nothing_fails_while_keys_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let source = KeySource::Automatic {
        file: folder.path().join("keys.json"),
        rotate_every: 30 * DAY,
        keep: 1000 * DAY,
    };
    let sealer = Sealer::open_ring(source, start()).unwrap();

    std::thread::scope(|scope| {
        let users = [(); 3].map(|()| {
            scope.spawn(|| {
                (0..2000).all(|_| {
                    let sealed = sealer.seal(Purpose::Form, "c", b"x");
                    sealer.open(Purpose::Form, "c", &sealed).is_some()
                })
            })
        });
        for month in 1..=10 {
            assert!(sealer.rotate(start() + month * 30 * DAY).unwrap());
        }
        for user in users {
            assert!(user.join().unwrap());
        }
    });
}

#[test]
fn debug_output_shows_no_secret() {
    let sealer = with_keys(&[SECRET]).unwrap();

    assert!(!format!("{sealer:?}").contains("operator"));
}

#[test]
fn random_text_has_its_length_and_every_letter_is_about_as_likely() {
    for length in [0, 1, 22, 63, 64, 65, 1000] {
        assert_eq!(random_text(length).len(), length);
    }
    let text = random_text(62_000);
    let mut counts = std::collections::HashMap::new();
    for letter in text.chars() {
        *counts.entry(letter).or_insert(0) += 1;
    }

    assert_eq!(counts.len(), 62);
    // 1,000 expected each, standard deviation 31: eight of them never happen by chance.
    assert!(
        counts.values().all(|count| (750..1250).contains(count)),
        "{counts:?}"
    );
    assert_ne!(random_text(22), random_text(22));
}
