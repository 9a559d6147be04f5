//! Sites of this machine.

use url::Url;

use super::server::is_loopback_name;

/// A site that devices open: scheme and authority, always http on loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SiteOrigin {
    url: Url,
}

impl SiteOrigin {
    /// Takes the origin of an `http` address on loopback; `None` for every other place.
    pub(super) fn parse(address: &str) -> Option<Self> {
        let url = Url::parse(address).ok()?;
        let is_here = url.scheme() == "http" && url.host_str().is_some_and(is_loopback_name);
        let url = Url::parse(&url.origin().ascii_serialization()).ok()?;
        is_here.then_some(Self { url })
    }

    /// `http://127.0.0.1:9500`
    pub(super) fn as_text(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// `127.0.0.1:9500`
    pub(super) fn authority(&self) -> String {
        let port = self.url.port().map(|port| format!(":{port}"));
        format!("{}{}", self.host(), port.unwrap_or_default())
    }

    /// Without port; an IPv6 address keeps its brackets.
    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Where to connect to: a name or address without brackets, and a port.
    pub(super) fn endpoint(&self) -> (String, u16) {
        let host = self.host().trim_matches(['[', ']']).to_owned();
        (host, self.url.port().unwrap_or(80))
    }
}
