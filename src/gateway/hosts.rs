//! The hosts that we serve, by what clients write in `Host`.

use std::collections::HashMap;

use super::Error;
use crate::message::{Host, Site};

/// Finds served hosts.
#[derive(Debug)]
pub(super) struct Hosts {
    /// The public host with its port, as browsers write it.
    public: String,
    by_name: HashMap<String, Host>,
    site: Site,
}

impl Hosts {
    pub(super) fn new(site: &Site) -> Self {
        let name = site.public_host.as_str();
        let public = site
            .port
            .map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let by_name = site.hosts.iter();
        Self {
            public,
            by_name: by_name
                .map(|host| (host.as_str().to_owned(), host.clone()))
                .collect(),
            site: site.clone(),
        }
    }

    /// The served host that a `Host` field names, in any spelling.
    pub(super) fn named(&self, text: &str) -> Result<Host, Error> {
        // PERF: nearly every request says this.
        if text == self.public {
            return Ok(self.site.public_host.clone());
        }
        let name = canonical_host(text).ok_or(Error::BadRequest("host-header"))?;
        let found = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.served(&name.to_ascii_lowercase())
        } else {
            self.served(name)
        };
        found.ok_or(Error::UnknownHost)
    }

    /// [`Site::host`], with exact names found at a cost that does not grow with their number.
    fn served(&self, name: &str) -> Option<Host> {
        let exact = self.by_name.get(name).cloned();
        exact.or_else(|| self.site.host(name))
    }
}

/// A host name without port and one trailing dot; `None` when it is not one.
fn canonical_host(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
        return (is_port && is_address).then_some(address);
    }
    let (name, port) = text
        .split_once(':')
        .map_or((text, None), |(name, port)| (name, Some(port)));
    if !port.is_none_or(is_port) {
        return None;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (!name.is_empty() && name.bytes().all(allowed)).then_some(name)
}

fn is_port(text: &str) -> bool {
    // `parse` alone would take a sign.
    text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::message::Scheme;

    #[test]
    fn hosts_are_compared_without_case_port_and_trailing_dot() {
        let table = [
            ("www.example.com", Some("www.example.com")),
            ("www.example.com:8080", Some("www.example.com")),
            ("www.example.com.", Some("www.example.com")),
            ("[::1]:9500", Some("::1")),
            ("", None),
            (".", None),
            ("a/b", None),
            ("a@b", None),
            ("a b", None),
            ("a:b", None),
            ("a:0", None),
            ("a:70000", None),
            ("a:+80", None),
            ("[::1%25eth0]", None),
            ("[::1", None),
            ("a..", Some("a.")),
        ];
        for (text, host) in table {
            assert_eq!(canonical_host(text), host, "{text:?}");
        }
    }

    #[test]
    fn the_public_host_is_served_in_every_spelling_and_no_other() {
        let site = Site {
            scheme: Scheme::Https,
            public_host: Host::from_canonical("www.example.com"),
            port: Some(8443),
            path_prefix: "/_wxgate".to_owned(),
            hosts: vec![Host::from_canonical("www.example.com")],
            wildcard_hosts: vec![".shop.example".to_owned()],
        };
        let hosts = Hosts::new(&site);

        for text in [
            "www.example.com:8443",
            "www.example.com",
            "WWW.Example.com.:1",
        ] {
            let host = hosts.named(text).unwrap();
            assert_eq!(host.as_str(), "www.example.com", "{text}");
        }
        assert_eq!(
            hosts.named("a.shop.example").unwrap().as_str(),
            "a.shop.example"
        );
        for text in ["www.example.com:8443:1", "www.example.com:", ""] {
            let refused = hosts.named(text);
            assert!(matches!(refused, Err(Error::BadRequest(_))), "{text}");
        }
        let unknown = hosts.named("www.example.org:8443");
        assert!(matches!(unknown, Err(Error::UnknownHost)));
    }
}
