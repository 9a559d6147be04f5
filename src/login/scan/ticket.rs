//! What a QR code stands for.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::device::Device;
use super::numbers::Numbers;
use super::secret::Holder;
use crate::clock::from_unix_seconds;
use crate::seal::random_text;
use crate::wechat::Scope;

/// Characters `[A-Za-z0-9]` of an id: 131 bits, and short enough for the scene of a parametric QR code.
const LENGTH: usize = 22;

/// The public id in a QR code. Whoever has it can offer to log the browser in that drew the code; nobody gets in by it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TicketId(String);

impl TicketId {
    /// A new one.
    pub(super) fn random() -> Self {
        Self(random_text(LENGTH))
    }

    /// An id of this form; `None` for anything that we cannot have made.
    pub(in crate::login) fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_owned()))
    }

    /// As text.
    pub(in crate::login) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the phone's page, to stand behind the prefix of our endpoints.
    pub(in crate::login) fn link(&self) -> String {
        format!("x/{}", self.0)
    }
}

// Within two minutes it is good for an offer, so it stays out of logs.
impl fmt::Debug for TicketId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TicketId(…)")
    }
}

/// What a browser asked for when it drew a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::login) struct Wish {
    /// The host it is on; phone and browser must both be there.
    pub(super) host: String,
    /// Path and query to go to afterwards.
    pub(super) target: String,
    /// Whether nickname and avatar are needed.
    pub(super) wants_profile: bool,
    /// What the phone is told about it.
    pub(super) device: Device,
    /// The language of its page, which the account's messages share.
    pub(super) language: String,
}

/// The code of an account in which a ticket lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::login) struct FollowCode {
    /// The account's name in the configuration.
    pub(super) app: String,
    /// WeChat's name of the code.
    pub(super) ticket: String,
    /// What the picture holds.
    pub(super) url: String,
}

/// A drawn code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::login) struct Ticket {
    /// Its name.
    #[serde(skip, default = "TicketId::random")]
    pub(super) id: TicketId,
    /// Who may collect.
    pub(super) holder: Holder,
    /// What for.
    pub(super) wish: Wish,
    /// The number to choose on the phone, and the others.
    pub(super) numbers: Numbers,
    /// When it was drawn, in seconds since 1970.
    pub(super) drawn: u64,
    /// How many codes the same page drew before it without being asked.
    pub(super) renewals: u8,
    /// Where the code is one of the account's, and not our own.
    pub(super) follow: Option<FollowCode>,
}

impl Ticket {
    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for anything else.
    pub(super) fn from_bytes(id: &TicketId, bytes: &[u8]) -> Option<Self> {
        let ticket: Self = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            id: id.clone(),
            ..ticket
        })
    }

    /// Everything but the id.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Texts and numbers always have a JSON form; bytes that cannot be read count as expired.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The scope the phone must grant.
    pub(super) fn scope(&self) -> Scope {
        match self.wish.wants_profile {
            true => Scope::Userinfo,
            false => Scope::Base,
        }
    }

    /// How old it is; nothing for one from the future.
    pub(super) fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(from_unix_seconds(self.drawn))
            .unwrap_or_default()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
pub(super) mod tests {
    use super::*;
    use crate::login::scan::secret::BrowserSecret;

    pub(in crate::login::scan) fn wish() -> Wish {
        Wish {
            host: "www.example.com".to_owned(),
            target: "/orders?id=\"1\"".to_owned(),
            wants_profile: true,
            device: Device::of("", "203.0.113.7".parse().unwrap()),
            language: "en".to_owned(),
        }
    }

    pub(in crate::login::scan) fn ticket(secret: &BrowserSecret) -> Ticket {
        Ticket {
            id: TicketId::random(),
            holder: secret.holder(),
            wish: wish(),
            numbers: Numbers::random(),
            drawn: 1_700_000_000,
            renewals: 1,
            follow: None,
        }
    }

    #[test]
    fn a_ticket_comes_back_from_the_store_as_it_was() {
        let ticket = ticket(&BrowserSecret::random());

        let bytes = ticket.to_bytes();

        assert_eq!(Ticket::from_bytes(&ticket.id, &bytes).unwrap(), ticket);
        for end in 0..bytes.len() {
            assert_eq!(Ticket::from_bytes(&ticket.id, &bytes[..end]), None);
        }
    }

    #[test]
    fn what_is_stored_holds_neither_the_id_nor_the_secret() {
        let secret = BrowserSecret::random();
        let ticket = ticket(&secret);

        let stored = String::from_utf8(ticket.to_bytes()).unwrap();

        assert!(!stored.contains(ticket.id.as_str()));
        assert!(!stored.contains(secret.reveal()));
        assert!(!format!("{ticket:?}").contains(ticket.id.as_str()));
    }

    #[test]
    fn an_id_is_of_one_form_only() {
        let id = TicketId::random();
        assert_eq!(TicketId::parse(id.as_str()), Some(id.clone()));
        let long = format!("{}a", id.as_str());
        for bad in [
            "",
            &id.as_str()[1..],
            &long,
            "aaaaaaaaaaaaaaaaaaaaa-",
            "../../../../../../../..",
        ] {
            assert_eq!(TicketId::parse(bad), None, "{bad}");
        }
    }
}
