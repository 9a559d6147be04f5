//! One try to log in, and the ring of five that a browser carries around in a sealed cookie.
//!
//! Nothing is stored on our side before somebody has logged in: ten thousand visitors who begin and never come back cost no
//! memory. Each tab has an attempt of its own and returns to its own page.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use crate::clock::{from_unix_seconds, unix_seconds};
use crate::route::policy::Because;
use crate::wechat::Scope;

/// Random characters of a [`State`], before the round: 142 bits.
pub(super) const RANDOM_LENGTH: usize = 24;

/// Attempts a browser may have open at once; the oldest is forgotten first.
const MOST_ATTEMPTS: usize = 5;

/// Longest target that is kept. A longer one loses its query, then everything.
const LONGEST_TARGET: usize = 1500;

/// Most bytes of a ring before sealing. Sealed they stay under 2.8 KiB, so that this cookie and a full session cookie
/// together fit the 8 KiB that nginx allows for one header line.
const MOST_BYTES: usize = 2048;

/// Difference between the clocks of two nodes that is not worth a new login.
const LEEWAY: Duration = Duration::from_secs(60);

/// The `state` that goes to WeChat and comes back: 24 random characters `[A-Za-z0-9]` and one digit, the round.
///
/// The round is in here because a browser that keeps no cookie must not go round for ever, and the address is all that
/// comes back from it. It needs no protection: who forges it gets a page with a button instead of a login, or one round more.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct State(String);

impl State {
    /// `random` is fresh text of [`RANDOM_LENGTH`] characters; `round` counts from 1 and ends at 9.
    pub(super) fn new(random: &str, round: u8) -> Self {
        Self(format!("{random}{}", round.clamp(1, 9)))
    }

    /// A state of this form; `None` for anything that we cannot have made.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == RANDOM_LENGTH + 1
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && matches!(text.as_bytes().last(), Some(b'1'..=b'9'));
        fits.then(|| Self(text.to_owned()))
    }

    /// The how-many-th visit to WeChat in one chain this is; the first is 1.
    pub(super) fn round(&self) -> u8 {
        self.0.bytes().last().map_or(1, |digit| digit - b'0')
    }

    /// As it goes to WeChat.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Names the attempt in logs without giving it away: 12 hex digits of a hash.
    pub(super) fn log_name(&self) -> String {
        let hash = digest(&SHA256, self.0.as_bytes());
        HEXLOWER.encode(hash.as_ref().get(..6).unwrap_or_default())
    }
}

// A state is half of what finishes a login, so it stays out of logs.
impl fmt::Debug for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "State(…, round {})", self.round())
    }
}

/// One try to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Names it.
    pub(super) state: State,
    /// Path and query where the visitor wants to go, on `host`.
    pub(super) target: String,
    /// The host it began on; the callback must arrive there too.
    pub(super) host: String,
    /// The app asked; a code of another app is never exchanged for it.
    pub(super) app: String,
    /// The scope asked for.
    pub(super) scope: Scope,
    /// Why a login was needed.
    pub(super) because: Because,
    /// Whether the target's route demands the login; `false` where the visitor or a script went to `login?to=`.
    pub(super) required: bool,
    /// When it began, in whole seconds.
    pub(super) started: SystemTime,
    /// When it led to a session.
    pub(super) completed: Option<SystemTime>,
}

impl Attempt {
    /// Whether it is too old to be finished.
    pub(super) fn is_expired(&self, now: SystemTime, ttl: Duration) -> bool {
        self.started.checked_add(ttl).is_none_or(|end| now >= end)
    }

    /// Whether it begins later than now: the clock went back, or another node's clock is ahead.
    pub(super) fn is_from_the_future(&self, now: SystemTime) -> bool {
        now.checked_add(LEEWAY)
            .is_some_and(|limit| self.started > limit)
    }

    fn stored(&self) -> Stored {
        (
            self.state.as_str().to_owned(),
            self.target.clone(),
            self.host.clone(),
            self.app.clone(),
            match self.scope {
                Scope::Base => 0,
                Scope::Userinfo => 1,
            },
            match self.because {
                Because::NoSession => 0,
                Because::Scope => 1,
                Because::Age => 2,
                Because::Unionid => 3,
            },
            self.required,
            unix_seconds(self.started),
            self.completed.map(unix_seconds),
        )
    }

    fn from_stored(stored: Stored) -> Option<Self> {
        let (state, target, host, app, scope, because, required, started, completed) = stored;
        Some(Self {
            state: State::parse(&state)?,
            target,
            host,
            app,
            scope: match scope {
                0 => Scope::Base,
                1 => Scope::Userinfo,
                _ => return None,
            },
            because: match because {
                0 => Because::NoSession,
                1 => Because::Scope,
                2 => Because::Age,
                3 => Because::Unionid,
                _ => return None,
            },
            required,
            started: from_unix_seconds(started),
            completed: completed.map(from_unix_seconds),
        })
    }
}

/// An attempt as JSON array: state, target, host, app, scope, because, required, started, completed.
type Stored = (
    String,
    String,
    String,
    String,
    u8,
    u8,
    bool,
    u64,
    Option<u64>,
);

/// The attempts of one browser, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ring(Vec<Attempt>);

impl Ring {
    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for anything else.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let stored: Vec<Stored> = serde_json::from_slice(bytes).ok()?;
        let attempts: Option<Vec<Attempt>> = stored.into_iter().map(Attempt::from_stored).collect();
        attempts.map(Self)
    }

    /// The ring as bytes, ready to be sealed.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let stored: Vec<Stored> = self.0.iter().map(Attempt::stored).collect();
        // Text and numbers always have a JSON form; an empty ring would cost one more login, no more.
        serde_json::to_vec(&stored).unwrap_or_else(|_| b"[]".to_vec())
    }

    /// Adds one and forgets the oldest until number and size fit.
    pub(super) fn push(&mut self, attempt: Attempt) {
        self.0.push(attempt);
        while self.0.len() > MOST_ATTEMPTS || (self.0.len() > 1 && self.is_too_large()) {
            self.0.remove(0);
        }
        if self.is_too_large()
            && let Some(last) = self.0.last_mut()
        {
            "/".clone_into(&mut last.target);
        }
    }

    /// Every attempt, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Attempt> {
        self.0.iter()
    }

    /// The attempt with this state.
    pub(super) fn find(&self, state: &State) -> Option<&Attempt> {
        self.0.iter().find(|attempt| attempt.state == *state)
    }

    /// Marks an attempt as done. It stays, so that a second callback for it ends well.
    pub(super) fn complete(&mut self, state: &State, now: SystemTime) {
        if let Some(attempt) = self.0.iter_mut().find(|attempt| attempt.state == *state) {
            attempt.completed = Some(now);
        }
    }

    /// Forgets logins that worked, so that the next one begins a new chain.
    pub(super) fn forget_completed(&mut self) {
        self.0.retain(|attempt| attempt.completed.is_none());
    }

    /// The latest login to this target that worked less than `window` ago.
    ///
    /// Needing another one so soon is what a loop looks like from here.
    pub(super) fn just_completed(
        &self,
        host: &str,
        target: &str,
        now: SystemTime,
        window: Duration,
    ) -> Option<&Attempt> {
        self.0.iter().rev().find(|attempt| {
            attempt.host == host
                && attempt.target == target
                && attempt.completed.is_some_and(|completed| {
                    // A completion in the future is as fresh as it gets.
                    now.duration_since(completed).is_ok_and(|ago| ago < window) || completed > now
                })
        })
    }

    /// Whether any attempt begins later than now.
    pub(super) fn is_from_the_future(&self, now: SystemTime) -> bool {
        self.0.iter().any(|attempt| attempt.is_from_the_future(now))
    }

    fn is_too_large(&self) -> bool {
        self.to_bytes().len() > MOST_BYTES
    }
}

/// A target short enough to be kept: itself, else its path, else `/`.
pub(super) fn fit_target(target: &str) -> &str {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    [target, path]
        .into_iter()
        .find(|candidate| candidate.len() <= LONGEST_TARGET)
        .unwrap_or("/")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
pub(super) mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    /// A state of one repeated letter.
    pub(in crate::login) fn state(letter: char, round: u8) -> State {
        State::new(&letter.to_string().repeat(RANDOM_LENGTH), round)
    }

    /// An attempt of the app `main` on `www.example.com`.
    pub(in crate::login) fn attempt(
        letter: char,
        round: u8,
        target: &str,
        started: u64,
    ) -> Attempt {
        Attempt {
            state: state(letter, round),
            target: target.to_owned(),
            host: "www.example.com".to_owned(),
            app: "main".to_owned(),
            scope: Scope::Base,
            because: Because::NoSession,
            required: true,
            started: from_unix_seconds(started),
            completed: None,
        }
    }

    /// A ring of these, the oldest first.
    pub(in crate::login) fn ring(attempts: impl IntoIterator<Item = Attempt>) -> Ring {
        let mut ring = Ring::default();
        attempts.into_iter().for_each(|attempt| ring.push(attempt));
        ring
    }

    #[test]
    fn a_state_is_of_one_form_only_and_fits_what_wechat_allows() {
        let good = format!("{}2", "aZ09".repeat(6));
        let parsed = State::parse(&good).unwrap();
        assert_eq!((parsed.as_str(), parsed.round()), (good.as_str(), 2));
        assert!((22..=32).contains(&good.len()));
        for bad in [
            String::new(),
            good[1..].to_owned(),
            format!("{good}1"),
            format!("{}0", "a".repeat(24)),
            format!("{}a", "a".repeat(24)),
            format!("{}-1", "a".repeat(23)),
            format!("{}é1", "a".repeat(22)),
            "a".repeat(1000),
        ] {
            assert_eq!(State::parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_round_stays_one_digit() {
        for (round, expected) in [(0, 1), (1, 1), (9, 9), (10, 9), (255, 9)] {
            let state = state('a', round);
            assert_eq!(state.round(), expected);
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
    }

    #[test]
    fn a_state_does_not_get_into_a_log() {
        assert_eq!(format!("{:?}", state('a', 2)), "State(…, round 2)");
        assert!(!format!("{:?}", attempt('a', 1, "/", NOW)).contains("aaa"));
    }

    #[test]
    fn a_ring_comes_back_as_it_was() {
        let becauses = [
            Because::NoSession,
            Because::Scope,
            Because::Age,
            Because::Unionid,
        ];
        let attempts = becauses.into_iter().zip('a'..).map(|(because, letter)| {
            let scope = match because {
                Because::NoSession | Because::Age => Scope::Base,
                Because::Scope | Because::Unionid => Scope::Userinfo,
            };
            Attempt {
                because,
                scope,
                required: because == Because::Age,
                ..attempt(letter, 1, "/a?b=\"c\"&d=%E5%B0%8F", NOW)
            }
        });
        let mut ring = ring(attempts);
        ring.complete(&state('b', 1), from_unix_seconds(NOW + 5));

        let bytes = ring.to_bytes();
        assert_eq!(Ring::from_bytes(&bytes), Some(ring));
        assert_eq!(Ring::from_bytes(b"[]"), Some(Ring::default()));
    }

    #[test]
    fn bytes_that_are_no_ring_are_refused() {
        let bytes = ring([attempt('a', 1, "/", NOW)]).to_bytes();
        for end in 0..bytes.len() {
            assert_eq!(Ring::from_bytes(&bytes[..end]), None, "cut at {end}");
        }
        for bad in [
            r#"[["short","/","h","a",0,0,true,1,null]]"#.to_owned(),
            format!(r#"[["{}1","/","h","a",2,0,true,1,null]]"#, "a".repeat(24)),
            format!(r#"[["{}1","/","h","a",0,4,true,1,null]]"#, "a".repeat(24)),
            format!(r#"[["{}1","/","h","a",0,0,true,-1,null]]"#, "a".repeat(24)),
        ] {
            assert_eq!(Ring::from_bytes(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_sixth_attempt_pushes_out_the_oldest() {
        let ring = ring(('a'..='g').map(|letter| attempt(letter, 1, "/", NOW)));

        let is_there = |letter| ring.find(&state(letter, 1)).is_some();
        assert_eq!(
            ('a'..='g').filter(|l| is_there(*l)).collect::<String>(),
            "cdefg"
        );
    }

    #[test]
    fn a_ring_stays_small_enough_for_a_cookie() {
        let long = format!("/{}", "x".repeat(LONGEST_TARGET - 1));
        let ring = ring(('a'..='e').map(|letter| attempt(letter, 1, &long, NOW)));

        assert!(ring.to_bytes().len() <= MOST_BYTES);
        assert_eq!(ring.find(&state('e', 1)).unwrap().target, long);
        assert_eq!(ring.find(&state('d', 1)), None);
    }

    #[test]
    fn a_target_that_grows_in_the_cookie_is_let_go() {
        // Quotes need an escape each, so a target that was short enough is not.
        let quotes = format!("/{}", "\"".repeat(LONGEST_TARGET - 1));

        let ring = ring([attempt('a', 1, &quotes, NOW)]);

        assert!(ring.to_bytes().len() <= MOST_BYTES);
        assert_eq!(ring.find(&state('a', 1)).unwrap().target, "/");
    }

    #[test]
    fn an_attempt_is_found_only_by_its_whole_state() {
        let ring = ring([attempt('a', 1, "/a", NOW)]);

        assert!(ring.find(&state('a', 1)).is_some());
        assert_eq!(ring.find(&state('a', 2)), None);
        assert_eq!(ring.find(&state('A', 1)), None);
    }

    #[test]
    fn a_completed_attempt_stays_until_it_is_forgotten() {
        let mut ring = ring([attempt('a', 1, "/a", NOW), attempt('b', 1, "/b", NOW)]);
        ring.complete(&state('a', 1), from_unix_seconds(NOW));
        ring.complete(&state('z', 1), from_unix_seconds(NOW));
        assert!(ring.find(&state('a', 1)).is_some());

        ring.forget_completed();

        assert_eq!(ring.find(&state('a', 1)), None);
        assert!(ring.find(&state('b', 1)).is_some());
    }

    #[test]
    fn a_target_that_is_too_long_loses_its_query_and_then_everything() {
        let at_limit = format!("/{}", "x".repeat(1499));
        let long_query = format!("/a?{}", "x".repeat(1500));
        let long_path = format!("/{}?q", "x".repeat(1500));
        let table = [
            ("/a?b=c", "/a?b=c"),
            (at_limit.as_str(), at_limit.as_str()),
            (long_query.as_str(), "/a"),
            (long_path.as_str(), "/"),
        ];
        for (target, expected) in table {
            assert_eq!(fit_target(target), expected);
        }
    }
}
