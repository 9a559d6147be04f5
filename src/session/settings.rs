//! How sessions behave.

use std::time::Duration;

/// How sessions behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where a session is.
    pub mode: Mode,
    /// `__Host-wxgate`, or `wxgate` where `public_url` is loopback http.
    pub cookie: String,
    /// Whether the cookie says `Secure`.
    pub secure: bool,
    /// Bound into every sealed cookie, so that staging's cookie is nothing in production: the public origin.
    pub site: String,
    /// How long a session may stay unused.
    pub idle_timeout: Duration,
    /// How long a session may live at all.
    pub max_lifetime: Duration,
    /// Whether all apps' sessions with one unionid belong to one person; else each app has people of its own.
    pub joins_apps: bool,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Sealed into the cookie; nothing is stored.
    Cookie,
    /// A record in the store; the cookie names it.
    Store {
        /// The most sessions of one person; the oldest one ends for a new one.
        most_per_person: u32,
    },
}
