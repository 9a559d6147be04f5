//! The secret that binds tickets to the browser that drew them.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::seal::random_text;

/// Characters `[A-Za-z0-9]`: 190 bits.
const LENGTH: usize = 32;

/// Lives in one browser's cookie and nowhere else. One serves all tabs of a browser.
#[derive(Clone)]
pub(in crate::login) struct BrowserSecret(String);

impl BrowserSecret {
    /// A new one.
    pub(super) fn random() -> Self {
        Self(random_text(LENGTH))
    }

    /// A secret of this form; `None` for anything that we cannot have made.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_owned()))
    }

    /// For the cookie.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// What may be stored of it.
    pub(super) fn holder(&self) -> Holder {
        // A secret of 190 random bits needs no salt and no slow hash.
        Holder(BASE64URL_NOPAD.encode(digest(&SHA256, self.0.as_bytes()).as_ref()))
    }
}

impl fmt::Debug for BrowserSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BrowserSecret(…)")
    }
}

/// The hash of a [`BrowserSecret`]: says who may collect, and collects nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_is_the_holder() {
        let secret = BrowserSecret::random();

        assert_eq!(
            BrowserSecret::parse(secret.reveal()).map(|same| same.holder()),
            Some(secret.holder())
        );
        assert_ne!(BrowserSecret::random().holder(), secret.holder());
        assert!(BrowserSecret::parse("short").is_none());
        assert!(!format!("{secret:?}{:?}", secret.holder()).contains(secret.reveal()));
    }
}
