//! The cookie that leads a visitor back to the same server.
//!
//! It names the server by a hash, so that it tells nothing of where servers are, means the same on every node, and survives
//! a change of their order. Nobody gains anything by forging it: each server may answer each visitor.

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderValue};

use super::settings::AffinityCookie;
use crate::message::cookie_values;

/// What such cookies begin with, behind `__Host-` where there is https; `session` cuts all that do from what goes upstream.
const AFFINITY_COOKIE: &str = "wxgate-at-";

/// Digits of a hash: enough to tell servers apart.
const LENGTH: usize = 16;

/// The cookie's value for each server.
#[derive(Debug)]
pub(super) struct Affinity {
    cookie: AffinityCookie,
    values: Vec<String>,
}

impl AffinityCookie {
    /// The cookie of one upstream.
    pub fn of(upstream: &str, is_secure: bool) -> Self {
        let prefix = if is_secure { "__Host-" } else { "" };
        let hash = hash(&[upstream]);
        Self {
            name: format!("{prefix}{AFFINITY_COOKIE}{}", &hash[..8]),
            is_secure,
        }
    }
}

impl Affinity {
    /// `servers` are their names, in order.
    pub(super) fn new<'s>(cookie: &AffinityCookie, servers: impl Iterator<Item = &'s str>) -> Self {
        let value = |server| hash(&[&cookie.name, server]);
        Self {
            cookie: cookie.clone(),
            values: servers.map(value).collect(),
        }
    }

    /// The server that the visitor was sent to before, if it still exists.
    pub(super) fn read(&self, headers: &HeaderMap) -> Option<usize> {
        cookie_values(headers, &self.cookie.name)
            .find_map(|value| self.values.iter().position(|known| known == value))
    }

    /// The `Set-Cookie` that leads back to this server, until the browser is closed.
    pub(super) fn set(&self, server: usize) -> Option<HeaderValue> {
        let AffinityCookie { name, is_secure } = &self.cookie;
        let value = self.values.get(server)?;
        let secure = if *is_secure { "; Secure" } else { "" };
        HeaderValue::try_from(format!(
            "{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}"
        ))
        .ok()
    }
}

fn hash(parts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part.as_bytes());
        context.update(&[0]);
    }
    let mut text = HEXLOWER.encode(context.finish().as_ref());
    text.truncate(LENGTH);
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use http::header::COOKIE;

    use super::*;

    #[test]
    fn a_cookie_leads_back_to_its_server_and_names_it_to_nobody() {
        let cookie = AffinityCookie::of("app", true);
        let affinity = Affinity::new(&cookie, ["10.0.0.5:80", "10.0.0.6:80"].into_iter());
        for server in 0..2 {
            let set = affinity.set(server).unwrap();
            let set = set.to_str().unwrap();
            assert!(set.starts_with("__Host-wxgate-at-"), "{set}");
            assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
            assert!(!set.contains("app") && !set.contains("10.0"), "{set}");
            let pair = set.split(';').next().unwrap();
            let mut headers = HeaderMap::new();
            // Older sites write Chinese names into cookies as they are.
            for beside in ["a=1", "nick=张三"] {
                let cookies = format!("{beside}; {pair}; b=2");
                headers.insert(COOKIE, HeaderValue::try_from(cookies).unwrap());
                assert_eq!(affinity.read(&headers), Some(server), "{beside}");
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, format!("{}=nobody", cookie.name).parse().unwrap());
        assert_eq!(affinity.read(&headers), None);
        assert_eq!(affinity.set(2), None);
    }
}
