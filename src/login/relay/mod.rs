//! One callback domain for many hosts: visitors of listed hosts are identified at the public host and handed back.
//!
//! 1. The visitor's own host remembers the attempt in its cookie and sends the browser to `relay?start_token=` at the public host.
//! 2. The public host has an attempt and a cookie of its own, sends the browser to WeChat, and exchanges the code.
//! 3. It leaves who it is in the store, sealed, under a one-time ticket, and sends the browser to `relay?ticket=` at the first host.
//! 4. There the ticket is worth something only to the browser whose cookie holds the attempt that began it.
//!
//! What travels is a hash of the attempt's state, as in PKCE (RFC 7636): a stolen ticket, start token or address logs nobody
//! in. Neither code nor openid nor session is ever handed over.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, State};
use super::callback::retry;
use super::cookie::Kept;
use super::query::only;
use super::{Error, Login, Visit};
use crate::message::{self, Answer, Host, Load};
use crate::pages::{Cause, Page};
use crate::seal::Purpose;

mod begin;
mod end;
mod hand_over;

/// Which hosts let the public host identify their visitors.
#[derive(Clone, Debug, Default)]
pub struct RelaySettings {
    /// Exact hosts.
    pub hosts: Vec<Host>,
    /// Suffixes with the dot, of hosts written `*.example.com`.
    pub wildcard_hosts: Vec<String>,
    /// How long a hand-over is valid.
    pub ticket_ttl: Duration,
}

impl RelaySettings {
    /// Whether a host is listed.
    pub fn covers(&self, host: &str) -> bool {
        let is_below = |suffix: &String| {
            host.strip_suffix(suffix.as_str())
                .is_some_and(|rest| !rest.is_empty())
        };
        self.hosts.iter().any(|listed| listed.as_str() == host)
            || self.wildcard_hosts.iter().any(is_below)
    }
}

/// Where a visitor came from, and what its attempt is called without giving it away.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Origin {
    host: String,
    challenge: String,
}

/// A hash of an attempt's state: whoever knows it cannot finish the attempt.
fn challenge_of(state: &State) -> String {
    let text = format!("wxgate relay\n{}", state.as_str());
    BASE64URL_NOPAD.encode(digest(&SHA256, text.as_bytes()).as_ref())
}

impl Login {
    /// Answers `relay`.
    pub(super) async fn relay(&self, visit: &Visit<'_>) -> Result<Answer, Error> {
        // Nobody is looking, so nothing is used up.
        if visit.info.method == Method::HEAD {
            return Ok(message::empty(StatusCode::NO_CONTENT, "relay-head"));
        }
        if visit.info.load == Load::Prefetch {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Ok(message::empty(status, "relay-prefetch"));
        }
        let query = visit.info.target.query().unwrap_or_default();
        let kept = self.attempts.read(visit.headers);
        if let Some(token) = only(query, "start_token") {
            return Ok(self.relay_begin(token, kept, visit));
        }
        if let Some(challenge) = only(query, "again") {
            return Ok(self.relay_again(challenge, &kept, visit));
        }
        match only(query, "ticket") {
            Some(ticket) => self.relay_end(ticket, &kept, visit).await,
            None => Ok(self.relay_refused(visit)),
        }
    }

    /// Another round, with the attempt that this browser began here.
    fn relay_again(&self, challenge: &str, kept: &Kept, visit: &Visit<'_>) -> Answer {
        match self.relayed_attempt(challenge, kept, visit) {
            Some(attempt) => self.begin_again(Some(attempt), attempt.state.round(), kept, visit),
            None => self.relay_unknown(visit),
        }
    }

    /// The attempt that was begun in this browser on this host.
    fn relayed_attempt<'k>(
        &self,
        challenge: &str,
        kept: &'k Kept,
        visit: &Visit<'_>,
    ) -> Option<&'k Attempt> {
        kept.ring()?.iter().find(|attempt| {
            attempt.host == visit.info.host.as_str() && challenge_of(&attempt.state) == challenge
        })
    }

    /// Back to where the visitor began, for another round.
    fn back_to(&self, origin: &Origin, visit: &Visit<'_>) -> Answer {
        match self.again_address(origin) {
            Some(address) => self.go("relay-again", &address, visit),
            None => self.relay_refused(visit),
        }
    }

    /// The address of another round; `None` for a host that is not listed any more.
    fn again_address(&self, origin: &Origin) -> Option<String> {
        let host = self.relayed_host(&origin.host)?;
        let rest = format!("relay?again={}", origin.challenge);
        Some(self.parts.site.endpoint(&host, &rest))
    }

    /// A host that may use the relay.
    fn relayed_host(&self, host: &str) -> Option<Host> {
        let host = self.parts.site.host(host)?;
        let is_public = host == self.parts.site.public_host;
        (!is_public && self.settings.relay.covers(host.as_str())).then_some(host)
    }

    /// The browser did not begin here, or long ago.
    fn relay_unknown(&self, visit: &Visit<'_>) -> Answer {
        self.not_finished(Cause::LoginState, Some(retry(None, "/")), visit)
    }

    fn relay_refused(&self, visit: &Visit<'_>) -> Answer {
        let page = Page::Refused {
            cause: Cause::BadRequest,
            retry_after: None,
        };
        self.page(StatusCode::FORBIDDEN, "relay-refused", &page, visit)
    }

    fn seal_relay(&self, context: &str, value: &impl Serialize) -> String {
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        let sealer = &self.parts.sealer;
        sealer.seal(Purpose::Attempts, context, &bytes)
    }

    fn open_relay<T: serde::de::DeserializeOwned>(&self, context: &str, text: &str) -> Option<T> {
        let sealer = &self.parts.sealer;
        let bytes = sealer.open(Purpose::Attempts, context, text)?;
        serde_json::from_slice(&bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::attempt::tests::state;

    #[test]
    fn only_listed_hosts_are_covered() {
        let relay = RelaySettings {
            hosts: vec![Host::from_canonical("shop.example.com")],
            wildcard_hosts: vec![".sites.example.com".to_owned()],
            ticket_ttl: Duration::from_secs(30),
        };
        for (host, expected) in [
            ("shop.example.com", true),
            ("a.sites.example.com", true),
            ("a.b.sites.example.com", true),
            ("sites.example.com", false),
            (".sites.example.com", false),
            ("www.example.com", false),
            ("xshop.example.com", false),
            ("shop.example.com.evil.example", false),
        ] {
            assert_eq!(relay.covers(host), expected, "{host}");
        }
    }

    #[test]
    fn a_challenge_names_one_state_and_does_not_show_it() {
        let challenge = challenge_of(&state('a', 1));
        assert_eq!(challenge.len(), 43);
        assert_eq!(challenge, challenge_of(&state('a', 1)));
        assert_ne!(challenge, challenge_of(&state('a', 2)));
        assert!(!challenge.contains("aaaa"));
    }
}
