//! A proxy in front that `trusted_proxies` does not name: all its visitors count as one, and share one rate limit.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::message::Present;

/// Finds it by what it says of its visitors, and tells the operator once.
#[derive(Debug, Default)]
pub(super) struct UnnamedProxy {
    was_told: AtomicBool,
}

impl UnnamedProxy {
    /// Looks at a request of a peer that is not trusted. Only a near one counts: anybody else may write the header himself.
    pub(super) fn look_at(&self, peer: IpAddr, present: Present) {
        let is_news = present.forwarded && is_near(peer) && !self.was_told.load(Ordering::Relaxed);
        // Of many at once, one tells.
        if is_news && !self.was_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                peer = %peer,
                "a proxy says who its visitors are and is not in server.trusted_proxies: all of them count as one, and share one rate limit"
            );
        }
    }
}

/// On this machine, or in a network of its own.
fn is_near(peer: IpAddr) -> bool {
    match peer {
        IpAddr::V4(peer) => peer.is_loopback() || peer.is_private() || peer.is_link_local(),
        IpAddr::V6(peer) => {
            peer.is_loopback() || peer.is_unique_local() || peer.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_peer_that_names_a_visitor_is_a_proxy() {
        for (peer, says, expected) in [
            ("127.0.0.1", true, true),
            ("172.18.0.1", true, true),
            ("::1", true, true),
            ("fd00::1", true, true),
            ("203.0.113.9", true, false),
            ("2001:db8::1", true, false),
            ("127.0.0.1", false, false),
        ] {
            let proxy = UnnamedProxy::default();
            let present = Present {
                forwarded: says,
                ..Present::default()
            };

            proxy.look_at(peer.parse().unwrap(), present);

            let was_told = proxy.was_told.load(Ordering::Relaxed);
            assert_eq!(was_told, expected, "{peer} {says}");
        }
    }
}
