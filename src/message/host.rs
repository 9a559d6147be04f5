//! Names of hosts, as clients write them and as we compare them.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// A canonical host name: lower-case, no port, no trailing dot, an address of IPv6 in brackets. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host(Arc<str>);

impl Host {
    /// Wraps a name that is canonical already.
    pub fn from_canonical(name: &str) -> Self {
        Self(name.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The canonical name in a `Host` field, or in the same place of an address; `None` where there is none.
    pub fn name_in(text: &str) -> Option<Cow<'_, str>> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            let address = address.parse::<Ipv6Addr>().ok().filter(|_| is_port)?;
            return Some(Cow::Owned(format!("[{address}]")));
        }
        let (name, port) = text
            .split_once(':')
            .map_or((text, None), |(name, port)| (name, Some(port)));
        if !port.is_none_or(is_port) {
            return None;
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if name.is_empty() || !name.bytes().all(allowed) {
            return None;
        }
        Some(match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(name.to_ascii_lowercase()),
            false => Cow::Borrowed(name),
        })
    }
}

fn is_port(text: &str) -> bool {
    // `parse` alone would take a sign.
    text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_case_port_and_trailing_dot() {
        let table = [
            ("www.example.com", Some("www.example.com")),
            ("www.example.com:8080", Some("www.example.com")),
            ("www.example.com.", Some("www.example.com")),
            ("WWW.Example.com.:1", Some("www.example.com")),
            ("[::1]:9500", Some("[::1]")),
            ("[2001:DB8:0::1]", Some("[2001:db8::1]")),
            ("", None),
            (".", None),
            ("a/b", None),
            ("a@b", None),
            ("a b", None),
            ("a:b", None),
            ("a:0", None),
            ("a:", None),
            ("a:70000", None),
            ("a:+80", None),
            ("::1", None),
            ("[", None),
            ("[::1%25eth0]", None),
            ("[::1", None),
            ("[::1]9500", None),
            ("a..", Some("a.")),
        ];
        for (text, host) in table {
            assert_eq!(Host::name_in(text).as_deref(), host, "{text:?}");
        }
    }
}
