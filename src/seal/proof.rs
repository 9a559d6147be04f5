//! A proof that somebody knows a secret at this moment: for programs of one operator that read the same configuration.

use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};
use data_encoding::BASE64URL_NOPAD;

use crate::clock::{from_unix_seconds, unix_seconds};
use crate::secret::Secret;

/// How far the clocks of the two programs may be apart.
const FRESH: Duration = Duration::from_secs(300);

/// A proof of knowing `secret`, for this purpose only and for five minutes: `[A-Za-z0-9._-]`.
pub fn proof(secret: &Secret<String>, purpose: &str, now: SystemTime) -> String {
    let seconds = unix_seconds(now);
    let tag = sign(&key(secret), message(purpose, seconds).as_bytes());
    format!("{seconds}.{}", BASE64URL_NOPAD.encode(tag.as_ref()))
}

/// Whether a text is such a proof; anything may stand there.
pub fn is_proof(text: &str, secret: &Secret<String>, purpose: &str, now: SystemTime) -> bool {
    let parts = text.split_once('.');
    let Some((seconds, tag)) =
        parts.and_then(|(seconds, tag)| Some((seconds.parse::<u64>().ok()?, tag)))
    else {
        return false;
    };
    let made = from_unix_seconds(seconds);
    let away = now
        .duration_since(made)
        .unwrap_or_else(|early| early.duration());
    let tag = BASE64URL_NOPAD.decode(tag.as_bytes()).unwrap_or_default();
    away <= FRESH && verify(&key(secret), message(purpose, seconds).as_bytes(), &tag).is_ok()
}

fn key(secret: &Secret<String>) -> Key {
    Key::new(HMAC_SHA256, secret.reveal().as_bytes())
}

fn message(purpose: &str, seconds: u64) -> String {
    format!("wxgate proof {purpose} {seconds}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_purpose_and_time_prove_anything() {
        let now = from_unix_seconds(1_800_000_000);
        let secret = |text: &str| Secret::new(text.to_owned());
        let given = proof(&secret("s3cret"), "way", now);
        let later = |seconds| now + Duration::from_secs(seconds);
        let is_good =
            |secret: &Secret<String>, purpose: &str, now| is_proof(&given, secret, purpose, now);

        assert!(is_good(&secret("s3cret"), "way", now));
        assert!(is_good(&secret("s3cret"), "way", later(300)));
        assert!(!is_good(&secret("s3cret"), "way", later(301)));
        assert!(!is_good(
            &secret("s3cret"),
            "way",
            now - Duration::from_secs(301)
        ));
        assert!(!is_good(&secret("other"), "way", now));
        assert!(!is_good(&secret("s3cret"), "else", now));
        let moved = given.replacen("1800000000", "1800000001", 1);
        for wrong in ["", ".", "1800000000.", "x.y", moved.as_str()] {
            assert!(!is_proof(wrong, &secret("s3cret"), "way", now), "{wrong}");
        }
    }
}
