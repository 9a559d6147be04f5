//! Where visitors find us: scheme, hosts and the prefix of our own endpoints, all from the configuration.

use super::Host;

/// The scheme visitors use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Only where `public_url` is a loopback address.
    Http,
    /// Everywhere else.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Our place on the web, never guessed from headers.
#[derive(Clone, Debug)]
pub struct Site {
    /// Scheme of every host.
    pub scheme: Scheme,
    /// Host of `server.public_url`.
    pub public_host: Host,
    /// Port that visitors type; `None` where it is the scheme's own.
    pub port: Option<u16>,
    /// Begins with `/`, does not end with it: `/_wxgate`.
    pub path_prefix: String,
    /// Every exact host served, the public host first.
    pub hosts: Vec<Host>,
    /// Suffixes with the dot (`.example.com`) for hosts written `*.example.com` on routes.
    pub wildcard_hosts: Vec<String>,
}

impl Site {
    /// The served host with this canonical name; `None` when nobody serves it.
    pub fn host(&self, canonical: &str) -> Option<Host> {
        if let Some(host) = self.hosts.iter().find(|host| host.as_str() == canonical) {
            return Some(host.clone());
        }
        let wild = |suffix: &String| {
            canonical
                .strip_suffix(suffix.as_str())
                .is_some_and(|rest| !rest.is_empty())
        };
        self.wildcard_hosts
            .iter()
            .any(wild)
            .then(|| Host::from_canonical(canonical))
    }

    /// `https://host[:port]` as browsers write it.
    pub fn origin(&self, host: &Host) -> String {
        let scheme = self.scheme.as_str();
        match self.port {
            Some(port) => format!("{scheme}://{}:{port}", host.as_str()),
            None => format!("{scheme}://{}", host.as_str()),
        }
    }

    /// The absolute address of one of our endpoints on a host; `rest` has no leading slash.
    pub fn endpoint(&self, host: &Host, rest: &str) -> String {
        format!("{}{}/{rest}", self.origin(host), self.path_prefix)
    }

    /// The path of one of our endpoints; `rest` has no leading slash.
    pub fn endpoint_path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.path_prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site {
            scheme: Scheme::Https,
            public_host: Host::from_canonical("www.example.com"),
            port: None,
            path_prefix: "/_wxgate".to_owned(),
            hosts: vec![Host::from_canonical("www.example.com")],
            wildcard_hosts: vec![".shop.example".to_owned()],
        }
    }

    #[test]
    fn only_listed_hosts_are_served() {
        assert!(site().host("www.example.com").is_some());
        assert!(site().host("a.shop.example").is_some());
        assert!(site().host("shop.example").is_none());
        assert!(site().host(".shop.example").is_none());
        assert!(site().host("evil.example").is_none());
    }

    #[test]
    fn endpoints_are_absolute_on_the_host_asked_for() {
        let site = site();
        let host = site.public_host.clone();
        assert_eq!(
            site.endpoint(&host, "callback/main"),
            "https://www.example.com/_wxgate/callback/main"
        );
    }
}
