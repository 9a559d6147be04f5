//! Rate limits by client address: how often a thing may be done in a window.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

#[cfg(test)]
mod tests;

/// Buckets lie in so many parts, each with a lock of its own.
const SHARDS: usize = 64;
/// The most buckets in one part: 102,400 in all, about 5 MiB.
const MOST_PER_SHARD: usize = 1600;
/// So many go when a part is full of buckets that are still filling up.
const EVICTED_AT_ONCE: usize = 200;

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

impl Action {
    /// The key of `[rate_limit]`, which names the rule in metrics as well.
    pub fn rule(self) -> &'static str {
        match self {
            Self::LoginStart => "login_start",
            Self::Callback => "callback",
            Self::CodeApi => "code_api",
            Self::ScanPoll => "scan_poll",
            Self::JsConfig => "js_config",
        }
    }
}

/// So many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many may come at once, and per window.
    pub limit: u32,
    /// How long it takes to get them all back.
    pub window: Duration,
    /// What has a bucket of its own.
    pub per: Per,
}

/// What has a bucket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// A client's address.
    Address,
    /// A QR code; only for [`Action::ScanPoll`].
    Ticket,
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

impl Settings {
    fn rate(&self, action: Action) -> Option<Rate> {
        match action {
            Action::LoginStart => self.login_start,
            Action::Callback => self.callback,
            Action::CodeApi => self.code_api,
            Action::ScanPoll => self.scan_poll,
            Action::JsConfig => self.js_config,
        }
    }
}

/// Too often; come back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How long until the next one is let through, rounded up to whole seconds.
    pub retry_after: Duration,
}

/// The buckets of all actions and clients; memory is bounded whatever clients do.
///
/// A bucket is one number, the moment at which it will be full again (the generic cell rate algorithm of ATM networks). When
/// there are too many, full ones are forgotten, which changes nothing; then those that are nearest to being full, so that
/// a flood from many addresses does not set its worst senders free.
#[derive(Debug)]
pub struct Limits {
    settings: ArcSwap<Settings>,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

/// When each bucket will be full again, in microseconds since 1970.
type Shard = HashMap<Bucket, u64>;

/// Whose bucket, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Bucket {
    action: Action,
    owner: Owner,
}

/// Who is taken for one client, or what for one ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    /// One address.
    V4(u32),
    /// A /64: what one subscriber gets at least, and chooses addresses from at will.
    V6(u64),
    /// A ticket, hashed with a key of this process.
    Ticket(u64),
}

impl Limits {
    /// Full buckets.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Spends one token. IPv6 clients share a bucket per /64; IPv4 addresses in IPv6 form count as IPv4.
    pub fn admit(&self, action: Action, client: IpAddr, now: SystemTime) -> Result<(), TooMany> {
        match self.settings.load().rate(action) {
            Some(rate) => self.take(action, network(client), rate, now),
            None => Ok(()),
        }
    }

    /// The same for something that a ticket is asked about; the rate says whether ticket or client pays.
    pub fn admit_ticket(
        &self,
        action: Action,
        ticket: &str,
        client: IpAddr,
        now: SystemTime,
    ) -> Result<(), TooMany> {
        let Some(rate) = self.settings.load().rate(action) else {
            return Ok(());
        };
        let owner = match rate.per {
            Per::Address => network(client),
            Per::Ticket => Owner::Ticket(self.hasher.hash_one(ticket)),
        };
        self.take(action, owner, rate, now)
    }

    fn take(
        &self,
        action: Action,
        owner: Owner,
        rate: Rate,
        now: SystemTime,
    ) -> Result<(), TooMany> {
        let now = microseconds(now.duration_since(UNIX_EPOCH).unwrap_or_default());
        let bucket = Bucket { action, owner };
        let mut shard = self
            .shard(&bucket)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= MOST_PER_SHARD && !shard.contains_key(&bucket) {
            make_room(&mut shard, now);
        }
        spend(shard.entry(bucket).or_insert(now), rate, now)
    }

    /// New rates, the spent tokens kept: a reload must not refill a flooder's bucket.
    pub fn reconfigure(&self, settings: Settings) {
        self.settings.store(settings.into());
    }

    fn shard(&self, bucket: &Bucket) -> &Mutex<Shard> {
        let hash = self.hasher.hash_one(bucket);
        // The remainder is less than the number of parts, which fits.
        let place = usize::try_from(hash % SHARDS as u64).unwrap_or_default();
        &self.shards[place]
    }
}

/// Takes a token out of the bucket that will be full at `full_at`.
fn spend(full_at: &mut u64, rate: Rate, now: u64) -> Result<(), TooMany> {
    let window = microseconds(rate.window);
    let per_token = window / u64::from(rate.limit.max(1));
    // Never emptier than empty: after the clock was set back or the window was made shorter the wait would be endless.
    *full_at = (*full_at).clamp(now, now.saturating_add(window));
    let next = full_at.saturating_add(per_token);
    let ahead = next - now;
    if ahead > window {
        let seconds = (ahead - window).div_ceil(1_000_000).max(1);
        return Err(TooMany {
            retry_after: Duration::from_secs(seconds),
        });
    }
    *full_at = next;
    Ok(())
}

/// Forgets full buckets, or else those that will be full first.
fn make_room(shard: &mut Shard, now: u64) {
    shard.retain(|_, full_at| *full_at > now);
    if shard.len() < MOST_PER_SHARD {
        return;
    }
    let mut times: Vec<u64> = shard.values().copied().collect();
    let (_, latest, _) = times.select_nth_unstable(EVICTED_AT_ONCE - 1);
    let latest = *latest;
    // Many may be full at the same moment; the bound on how many go keeps the worst of them.
    let mut left = EVICTED_AT_ONCE;
    shard.retain(|_, full_at| {
        let goes = *full_at <= latest && left > 0;
        left -= usize::from(goes);
        !goes
    });
}

fn network(client: IpAddr) -> Owner {
    match client.to_canonical() {
        IpAddr::V4(address) => Owner::V4(address.to_bits()),
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, ..] = address.octets();
            Owner::V6(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
        }
    }
}

fn microseconds(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
