//! What an account writes in WeChat to somebody who read its code.

use super::log_in::ScanEnding;
use super::text::follow::{ASK, LOGGED_IN, UNKNOWN_DEVICE, ended};
use super::{Language, Pages};
use crate::message::Host;

/// What an account writes to somebody who read its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowMessage {
    /// Whether it was the person.
    Confirm {
        /// The browser that shows the code; empty for one that nobody knows.
        device: String,
        /// The part of its address that names a network.
        network: String,
        /// How long the person has, in seconds.
        seconds: u64,
        /// The page that asks.
        link: String,
    },
    /// The browser is logged in.
    LoggedIn {
        /// The browser that shows the code; empty for one that nobody knows.
        device: String,
        /// The part of its address that names a network.
        network: String,
        /// Where the person can log out everywhere.
        link: String,
    },
    /// Nothing came of it.
    Ended(ScanEnding),
}

impl Pages {
    /// The message as plain text, in this language where the operator offers it. `host` is where the browser is.
    pub fn follow_message(
        &self,
        message: &FollowMessage,
        host: &Host,
        language: Language,
    ) -> String {
        let offered = &self.settings.languages;
        let first = offered.first().copied().unwrap_or(language);
        let language = match offered.contains(&language) {
            true => language,
            false => first,
        };
        let site = self.settings.site_name.as_deref().unwrap_or(host.as_str());
        let or_unknown = |device: &str| match device {
            "" => UNKNOWN_DEVICE.text(language).to_owned(),
            device => device.to_owned(),
        };
        match message {
            FollowMessage::Confirm {
                device,
                network,
                seconds,
                link,
            } => {
                let (device, seconds) = (or_unknown(device), seconds.to_string());
                let values = [
                    ("site", site),
                    ("device", device.as_str()),
                    ("network", network),
                    ("seconds", &seconds),
                    ("link", link),
                ];
                ASK.fill(language, &values)
            }
            FollowMessage::LoggedIn {
                device,
                network,
                link,
            } => {
                let device = or_unknown(device);
                let values = [
                    ("site", site),
                    ("device", device.as_str()),
                    ("network", network),
                    ("link", link),
                ];
                LOGGED_IN.fill(language, &values)
            }
            FollowMessage::Ended(ending) => ended(*ending)
                .map(|phrase| phrase.text(language))
                .join("\n"),
        }
    }
}
