//! Where a visitor may be sent after a login.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;

use super::TicketId;
use super::attempt::fit_target;
use crate::message::{Host, Site};
use crate::target::{Target, return_address};

/// A checked place to go to on one of our hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// Another host of ours; `None` is the host asked.
    pub(super) host: Option<Host>,
    /// Path and query: canonical, short enough to be kept, never one of our own endpoints.
    pub(super) target: String,
}

impl Destination {
    /// Judges an address that came from outside. What is not ours becomes `/`.
    pub(super) fn judge(text: &str, site: &Site) -> Self {
        let is_ours = |host: &str| site.host(host).is_some();
        let Some((host, target)) = return_address(text, is_ours) else {
            return Self {
                host: None,
                target: "/".to_owned(),
            };
        };
        // The gateway would answer 400 to what it cannot parse, and escapes could hide one of our own endpoints.
        let target = match Target::parse(&target) {
            Ok(target) => tidy(target.as_str(), &site.path_prefix).to_owned(),
            Err(_) => "/".to_owned(),
        };
        Self {
            host: host.and_then(|host| site.host(&host)),
            target,
        }
    }
}

/// A canonical target as a place to return to: short enough to be kept, and not one of our own endpoints, where a login
/// could end in a logout or in another login.
pub(super) fn tidy<'t>(target: &'t str, path_prefix: &str) -> &'t str {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let rest = path
        .strip_prefix(path_prefix)
        .filter(|rest| rest.is_empty() || rest.starts_with(['/', ';']));
    match rest {
        None => fit_target(target),
        // Only asks, and a phone that scanned a code must come back to it.
        Some(rest) if is_ticket(rest) && path == target => target,
        Some(_) => "/",
    }
}

fn is_ticket(rest: &str) -> bool {
    let id = rest.strip_prefix("/x/");
    id.is_some_and(|id| TicketId::parse(id).is_some())
}

/// The part of a `Referer` after our origin; `None` when it is of another origin.
pub(super) fn path_within<'r>(origin: &str, referer: &'r str) -> Option<&'r str> {
    match referer.strip_prefix(origin)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

/// Names a target in `sessionStorage` while `#...` waits there.
///
/// Made from the target and not from the attempt: so it stays the same over the purpose page and over a second round.
pub(super) fn fragment_key(host: &str, target: &str) -> String {
    let hash = digest(&SHA256, format!("{host}{target}").as_bytes());
    BASE64URL_NOPAD.encode(&hash.as_ref()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_endpoints_are_no_place_to_return_to() {
        let long_query = format!("/orders?q={}", "x".repeat(1500));
        let long_path = format!("/{}", "x".repeat(1500));
        let table = [
            ("/orders?id=1", "/orders?id=1"),
            ("/", "/"),
            ("/_wxgate", "/"),
            ("/_wxgate?x", "/"),
            ("/_wxgate/logout", "/"),
            ("/_wxgate;x/logout", "/"),
            ("/_wxgate/login?to=/_wxgate/logout", "/"),
            ("/_wxgatex/logout", "/_wxgatex/logout"),
            ("/a?to=/_wxgate/logout", "/a?to=/_wxgate/logout"),
            (long_query.as_str(), "/orders"),
            (long_path.as_str(), "/"),
        ];
        for (target, expected) in table {
            assert_eq!(tidy(target, "/_wxgate"), expected, "{target}");
        }
    }

    #[test]
    fn only_a_referer_of_the_same_origin_counts() {
        let table = [
            ("https://www.example.com/a?b=1", Some("/a?b=1")),
            ("https://www.example.com", Some("/")),
            ("https://www.example.com.evil.example/a", None),
            ("https://www.example.com:8443/a", None),
            ("https://www.example.com@evil.example/a", None),
            ("http://www.example.com/a", None),
            ("", None),
        ];
        for (referer, expected) in table {
            let path = path_within("https://www.example.com", referer);
            assert_eq!(path, expected, "{referer}");
        }
    }

    #[test]
    fn each_target_has_a_fragment_of_its_own() {
        let key = fragment_key("www.example.com", "/a");
        assert_eq!(key.len(), 22);
        assert_eq!(key, fragment_key("www.example.com", "/a"));
        assert_ne!(key, fragment_key("www.example.com", "/b"));
        assert_ne!(key, fragment_key("m.example.com", "/a"));
    }
}
