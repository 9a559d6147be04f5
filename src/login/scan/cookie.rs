//! The cookie that holds a browser's secret.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::secret::BrowserSecret;
use crate::login::cookie::{set_cookie, value};

/// Longer than a page with codes goes on by itself.
const KEPT_FOR: Duration = Duration::from_secs(900);

/// Reads and writes the cookie.
#[derive(Clone, Copy, Debug)]
pub(in crate::login) struct ScanCookie {
    name: &'static str,
    is_secure: bool,
}

impl ScanCookie {
    /// `is_secure` is off only on loopback http.
    pub(in crate::login) fn new(is_secure: bool) -> Self {
        let name = match is_secure {
            true => "__Host-wxgate-scan",
            false => "wxgate-scan",
        };
        Self { name, is_secure }
    }

    /// The secret that the request brought.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<BrowserSecret> {
        BrowserSecret::parse(value(headers, self.name)?)
    }

    /// A `Set-Cookie` that keeps the secret for a quarter of an hour.
    pub(super) fn write(self, secret: &BrowserSecret) -> HeaderValue {
        set_cookie(self.name, secret.reveal(), KEPT_FOR, self.is_secure)
    }
}
