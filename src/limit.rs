//! Rate limits by client address: how often a thing may be done in a window.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A login begins.
    LoginStart,
    /// WeChat sends a visitor back.
    Callback,
    /// A mini program or app hands in a code.
    CodeApi,
    /// A page asks whether its QR code was confirmed.
    ScanPoll,
    /// A page asks for a JS-SDK signature.
    JsConfig,
}

/// So many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many may come at once, and per window.
    pub limit: u32,
    /// How long it takes to get them all back.
    pub window: Duration,
}

/// One rate per action; `None` switches one off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// See [`Action::LoginStart`].
    pub login_start: Option<Rate>,
    /// See [`Action::Callback`].
    pub callback: Option<Rate>,
    /// See [`Action::CodeApi`].
    pub code_api: Option<Rate>,
    /// See [`Action::ScanPoll`].
    pub scan_poll: Option<Rate>,
    /// See [`Action::JsConfig`].
    pub js_config: Option<Rate>,
}

/// Too often; come back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How long until the next one is let through, rounded up to whole seconds.
    pub retry_after: Duration,
}

/// The buckets of all actions and clients; memory is bounded whatever clients do.
#[derive(Debug)]
pub struct Limits {}

impl Limits {
    /// Full buckets.
    pub fn new(_settings: Settings) -> Self {
        todo!()
    }

    /// Spends one token. IPv6 clients share a bucket per /64.
    pub fn admit(&self, _action: Action, _client: IpAddr, _now: SystemTime) -> Result<(), TooMany> {
        todo!()
    }

    /// New rates, the spent tokens kept: a reload must not refill a flooder's bucket.
    pub fn reconfigure(&self, _settings: Settings) {
        todo!()
    }
}
