//! Codes and tokens with their expiry. The time and the switches are arguments.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;

use super::faults::Switches;
use super::person::Person;

/// How long a code can be exchanged; WeChat's page for service accounts says five minutes.
pub(super) const CODE_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How long an access token works: `expires_in`.
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(7200);

/// How long a refresh token works; WeChat's page for service accounts says 30 days.
const REFRESH_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The same on WeChat's page for apps on phones: 180 days, and none is renewed.
const LONG_REFRESH_LIFETIME: Duration = Duration::from_secs(180 * 24 * 3600);

/// How long what expired is remembered, to tell "expired" and "used" from "unknown".
const MEMORY: Duration = Duration::from_secs(3600);

/// An error number of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) i64);

/// Who let which app know how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) appid: String,
    pub(super) person: Person,
    pub(super) wants_profile: bool,
    pub(super) is_snapshot: bool,
}

/// A token and what the API says beside it.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) access_token: String,
    pub(super) refresh_token: String,
    pub(super) grant: Grant,
    /// Whether this answer may name the unionid.
    pub(super) knows_unionid: bool,
}

#[derive(Debug)]
struct Code {
    grant: Grant,
    expires: SystemTime,
    is_used: bool,
}

#[derive(Debug)]
struct Token {
    grant: Grant,
    expires: SystemTime,
}

#[derive(Debug)]
struct RefreshToken {
    access_token: String,
    grant: Grant,
    expires: SystemTime,
}

/// Everything that was handed out.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    codes: HashMap<String, Code>,
    tokens: HashMap<String, Token>,
    refresh_tokens: HashMap<String, RefreshToken>,
    /// App and person, where the person once granted the profile.
    consents: HashSet<(String, String)>,
}

impl Tokens {
    pub(super) fn has_consented(&self, appid: &str, person: &str) -> bool {
        self.consents
            .contains(&(appid.to_owned(), person.to_owned()))
    }

    /// A new code.
    pub(super) fn mint(
        &mut self,
        appid: &str,
        person: &Person,
        wants_profile: bool,
        now: SystemTime,
        switches: Switches,
    ) -> String {
        self.codes.retain(|_, code| code.expires + MEMORY > now);
        let code = random_word();
        if wants_profile && !switches.snapshot {
            self.consents
                .insert((appid.to_owned(), person.name.clone()));
        }
        let grant = Grant {
            appid: appid.to_owned(),
            person: match switches.snapshot {
                true => person.behind_snapshot(&code),
                false => person.clone(),
            },
            wants_profile,
            is_snapshot: switches.snapshot,
        };
        let lifetime = match switches.expired_codes {
            true => Duration::ZERO,
            false => CODE_LIFETIME,
        };
        let entry = Code {
            grant,
            expires: now + lifetime,
            is_used: switches.used_codes,
        };
        self.codes.insert(code.clone(), entry);
        code
    }

    /// Trades a code for a token, once.
    pub(super) fn exchange(
        &mut self,
        appid: &str,
        code: &str,
        now: SystemTime,
        switches: Switches,
    ) -> Result<Issued, Refusal> {
        let entry = self
            .codes
            .get_mut(code)
            .filter(|entry| entry.grant.appid == appid)
            .ok_or(Refusal(40029))?;
        if entry.is_used {
            return Err(Refusal(40163));
        }
        if entry.expires <= now {
            return Err(Refusal(42003));
        }
        entry.is_used = true;
        let grant = entry.grant.clone();
        let lifetime = match switches.long_refresh {
            true => LONG_REFRESH_LIFETIME,
            false => REFRESH_LIFETIME,
        };
        Ok(self.issue(grant, lifetime, now))
    }

    /// `lifetime` is that of the refresh token.
    fn issue(&mut self, grant: Grant, lifetime: Duration, now: SystemTime) -> Issued {
        self.tokens.retain(|_, token| token.expires + MEMORY > now);
        self.refresh_tokens
            .retain(|_, token| token.expires + MEMORY > now);
        let (access_token, refresh_token) = (random_token(), random_token());
        let token = Token {
            grant: grant.clone(),
            expires: now + TOKEN_LIFETIME,
        };
        self.tokens.insert(access_token.clone(), token);
        let refresh = RefreshToken {
            access_token: access_token.clone(),
            grant: grant.clone(),
            expires: now + lifetime,
        };
        self.refresh_tokens.insert(refresh_token.clone(), refresh);
        let knows_unionid =
            grant.wants_profile || self.has_consented(&grant.appid, &grant.person.name);
        Issued {
            access_token,
            refresh_token,
            grant,
            knows_unionid,
        }
    }

    /// Extends a token that is still good, or gives a new one; a refresh token works until it expires.
    pub(super) fn refresh(
        &mut self,
        appid: &str,
        refresh_token: &str,
        now: SystemTime,
    ) -> Result<Issued, Refusal> {
        let entry = self
            .refresh_tokens
            .get_mut(refresh_token)
            .filter(|entry| entry.grant.appid == appid)
            .ok_or(Refusal(40030))?;
        if entry.expires <= now {
            return Err(Refusal(42002));
        }
        let still_good = self
            .tokens
            .get(&entry.access_token)
            .is_some_and(|token| token.expires > now);
        if !still_good {
            entry.access_token = random_token();
        }
        let (access_token, grant) = (entry.access_token.clone(), entry.grant.clone());
        let token = Token {
            grant: grant.clone(),
            expires: now + TOKEN_LIFETIME,
        };
        self.tokens.insert(access_token.clone(), token);
        Ok(Issued {
            access_token,
            refresh_token: refresh_token.to_owned(),
            knows_unionid: grant.wants_profile,
            grant,
        })
    }

    /// Who a token speaks for, when it belongs to that openid.
    pub(super) fn check(
        &self,
        access_token: &str,
        openid: &str,
        now: SystemTime,
    ) -> Result<&Grant, Refusal> {
        let token = self.tokens.get(access_token).ok_or(Refusal(40014))?;
        if token.expires <= now {
            return Err(Refusal(42001));
        }
        let grant = &token.grant;
        match grant.person.openid(&grant.appid) == openid {
            true => Ok(grant),
            false => Err(Refusal(40003)),
        }
    }
}

/// 32 characters that nobody can guess.
pub(super) fn random_word() -> String {
    HEXLOWER.encode(&random::<16>())
}

/// As long as the tokens of WeChat get.
pub(super) fn random_token() -> String {
    format!("68_{}", HEXLOWER.encode(&random::<48>()))
}

#[expect(
    clippy::expect_used,
    reason = "the system's random source does not fail once the library is initialised"
)]
pub(super) fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    bytes
}
