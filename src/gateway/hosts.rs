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
        let name = Host::name_in(text).ok_or(Error::BadRequest("host-header"))?;
        self.served(&name).ok_or(Error::UnknownHost)
    }

    /// [`Site::host`], with exact names found at a cost that does not grow with their number.
    fn served(&self, name: &str) -> Option<Host> {
        let exact = self.by_name.get(name).cloned();
        exact.or_else(|| self.site.host(name))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::message::Scheme;

    #[test]
    fn hosts_are_served_in_every_spelling_and_no_others() {
        let site = Site {
            scheme: Scheme::Https,
            public_host: Host::from_canonical("www.example.com"),
            port: Some(8443),
            path_prefix: "/_wxgate".to_owned(),
            hosts: ["www.example.com", "[2001:db8::1]"]
                .map(Host::from_canonical)
                .to_vec(),
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
        for text in ["[2001:db8::1]", "[2001:DB8:0::1]:8443"] {
            assert_eq!(hosts.named(text).unwrap().as_str(), "[2001:db8::1]");
        }
        for text in ["www.example.org:8443", "[2001:db8::2]"] {
            let unknown = hosts.named(text);
            assert!(matches!(unknown, Err(Error::UnknownHost)), "{text}");
        }
    }
}
