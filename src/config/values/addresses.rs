//! Hosts, URLs, addresses and address ranges.

use std::fmt;
use std::net::SocketAddr;

use ipnet::IpNet;
use url::Url;

use super::TextValue;
use crate::config::code::Code;

/// A host name in canonical form, or `*.` and a suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct HostText(pub(in crate::config) String);

impl TextValue for HostText {
    const WANTS: &'static str = "a host name without scheme, port and path";
    const CODE: Code = Code::BadHost;

    fn parse(text: &str) -> Option<Self> {
        let (star, name) = match text.strip_prefix("*.") {
            Some(name) => ("*.", name),
            None => ("", text),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let host = match url::Host::parse(name).ok()? {
            url::Host::Domain(name) if !name.contains('*') && !name.starts_with('.') => name,
            address @ (url::Host::Ipv4(_) | url::Host::Ipv6(_)) if star.is_empty() => {
                address.to_string()
            }
            url::Host::Domain(_) | url::Host::Ipv4(_) | url::Host::Ipv6(_) => return None,
        };
        Some(Self(format!("{star}{host}")))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// `scheme://host[:port]`, http or https.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::config) struct WebUrl(pub(in crate::config) Url);

impl fmt::Debug for WebUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str())
    }
}

impl WebUrl {
    /// Without the slash at the end.
    pub(in crate::config) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether there is more than scheme, host and port.
    pub(in crate::config) fn has_more_than_origin(&self) -> bool {
        self.0.path() != "/" || self.0.query().is_some() || self.0.fragment().is_some()
    }

    /// Whether the host is this machine.
    pub(in crate::config) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Whether the host is an address that the internet does not route.
    pub(in crate::config) fn is_private(&self) -> bool {
        match self.0.host() {
            Some(url::Host::Ipv4(address)) => address.is_private() || address.is_link_local(),
            Some(url::Host::Ipv6(address)) => address.is_unique_local(),
            Some(url::Host::Domain(name)) => !name.contains('.'),
            None => false,
        }
    }
}

impl TextValue for WebUrl {
    const WANTS: &'static str = "a URL such as \"https://www.example.com\", without user name";
    const CODE: Code = Code::BadUrl;

    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        (is_plain && is_web && !text.contains(char::is_whitespace)).then_some(Self(url))
    }

    fn write(&self) -> String {
        let text = self.0.as_str();
        text.strip_suffix('/').unwrap_or(text).to_owned()
    }
}

/// An origin that a browser names in `Origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Origin(pub(in crate::config) String);

impl TextValue for Origin {
    const WANTS: &'static str = "an origin such as \"https://app.example.com\"";
    const CODE: Code = Code::BadUrl;

    fn parse(text: &str) -> Option<Self> {
        let url = WebUrl::parse(text)?;
        (!url.has_more_than_origin()).then(|| Self(url.origin()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// An address range; a lone address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Network(pub(in crate::config) IpNet);

impl TextValue for Network {
    const WANTS: &'static str = "an address range such as \"10.0.0.0/8\"";
    const CODE: Code = Code::BadNetwork;

    fn parse(text: &str) -> Option<Self> {
        let range = text.parse::<IpNet>().ok();
        let range = range.or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from));
        range.map(|range| Self(range.trunc()))
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

impl TextValue for SocketAddr {
    const WANTS: &'static str =
        "an address with a port such as \"127.0.0.1:9500\" or \"[::1]:9500\"";
    const CODE: Code = Code::BadAddress;

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_canonical() {
        for (text, host) in [
            ("WWW.Example.COM.", "www.example.com"),
            ("*.Example.com", "*.example.com"),
            ("例子.测试", "xn--fsqu00a.xn--0zwm56d"),
            ("10.0.0.1", "10.0.0.1"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(
                HostText::parse(text),
                Some(HostText(host.to_owned())),
                "{text}"
            );
        }
        for bad in [
            "",
            "*",
            "*.",
            "a.*.b",
            "http://a",
            "a:80",
            "a/b",
            "a b",
            "*.10.0.0.1",
            "**.a.b",
        ] {
            assert_eq!(HostText::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn urls_hold_no_user_and_know_where_they_lead() {
        for bad in [
            "www.example.com",
            "ftp://a",
            "https://user:pw@a",
            "https://",
            "https://a b",
        ] {
            assert_eq!(WebUrl::parse(bad), None, "{bad:?}");
        }
        for (text, loopback, private) in [
            ("http://localhost:1", true, true),
            ("http://127.0.0.1", true, false),
            ("http://[::1]:1", true, false),
            ("http://10.1.2.3", false, true),
            ("https://example.com", false, false),
        ] {
            let url = WebUrl::parse(text).unwrap();
            assert_eq!(
                (url.is_loopback(), url.is_private()),
                (loopback, private),
                "{text}"
            );
        }
    }

    #[test]
    fn a_lone_address_is_a_range_of_one() {
        assert_eq!(Network::parse("10.0.0.1").unwrap().write(), "10.0.0.1/32");
        assert_eq!(Network::parse("10.1.2.3/8").unwrap().write(), "10.0.0.0/8");
        assert_eq!(Network::parse("::1").unwrap().write(), "::1/128");
        assert_eq!(Network::parse("10.0.0"), None);
    }
}
