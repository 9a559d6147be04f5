//! What the phone is told about the other browser: its kind, its system and a part of its address.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Names of browsers, most special first: every browser says that it is several others too.
const BROWSERS: [(&str, &str); 11] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("MiuiBrowser/", "Mi Browser"),
    ("UCBrowser/", "UC Browser"),
    ("QQBrowser/", "QQ Browser"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// Names of systems, most special first.
const SYSTEMS: [(&str, &str); 8] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("HarmonyOS", "HarmonyOS"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// A browser in words that people know. Its own words are forged easily, so they are only shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Device {
    /// A browser of the list; empty for others.
    pub(super) browser: String,
    /// A system of the list; empty for others.
    pub(super) system: String,
    /// The part of its address that names a network: `203.0.113.*`, `2001:db8:0:1::*`.
    pub(super) network: String,
}

impl Device {
    /// Reads a `User-Agent` value and an address.
    pub(super) fn of(agent: &str, address: IpAddr) -> Self {
        let named = |names: &[(&str, &str)]| {
            let found = names.iter().find(|(token, _)| agent.contains(token));
            found.map_or_else(String::new, |(_, name)| (*name).to_owned())
        };
        Self {
            browser: named(&BROWSERS),
            system: named(&SYSTEMS),
            network: network(address),
        }
    }
}

/// Only a part, because the page may be shown to somebody else than the one who sits at that address.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, third, _] = address.octets();
            format!("{first}.{second}.{third}.*")
        }
        IpAddr::V6(address) => {
            let [first, second, third, fourth, ..] = address.segments();
            format!("{first:x}:{second:x}:{third:x}:{fourth:x}::*")
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn browsers_and_systems_are_told_apart() {
        let table = [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36",
                "Chrome",
                "Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0",
                "Edge",
                "Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
                "Safari",
                "macOS",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox",
                "Linux",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari",
                "iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
                "Chrome",
                "Android",
            ),
            ("<script>alert(1)</script>", "", ""),
            ("", "", ""),
        ];
        for (agent, browser, system) in table {
            let device = Device::of(agent, "192.0.2.1".parse().unwrap());
            assert_eq!(
                (device.browser.as_str(), device.system.as_str()),
                (browser, system),
                "{agent}"
            );
        }
    }

    #[test]
    fn an_address_is_shown_in_part() {
        let table = [
            ("203.0.113.77", "203.0.113.*"),
            ("::ffff:203.0.113.77", "203.0.113.*"),
            ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::*"),
        ];
        for (address, expected) in table {
            assert_eq!(Device::of("", address.parse().unwrap()).network, expected);
        }
    }
}
