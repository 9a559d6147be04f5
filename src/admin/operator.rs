//! Who gives an order, for the log.

use std::net::IpAddr;

use http::HeaderMap;

use super::orders::ORDER_HEADER;

/// Longer names are cut.
const LONGEST_NAME: usize = 64;

/// Whoever asks on one of the operator's paths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator<'r> {
    /// Where the request came from.
    pub(super) peer: IpAddr,
    /// What let it in: `token`, `password` (the token, given by a browser) or `loopback`.
    pub(super) admitted_by: &'static str,
    /// Who it says it is; nobody checks that.
    pub(super) name: &'r str,
}

impl<'r> Operator<'r> {
    pub(super) fn new(peer: IpAddr, admitted_by: &'static str, headers: &'r HeaderMap) -> Self {
        Self {
            peer: peer.to_canonical(),
            admitted_by,
            name: name(headers),
        }
    }

    /// Notes an order; `detail` is empty where there is none, and never names a person.
    pub(super) fn ordered(&self, what: &'static str, detail: &str) {
        tracing::info!(
            event = "admin",
            what,
            detail,
            peer = %self.peer,
            admitted_by = self.admitted_by,
            operator = self.name,
            "order of an operator"
        );
    }

    /// Notes an order that was not carried out, because whoever gave it may not.
    pub(super) fn refused(&self, path: &'static str, why: &'static str) {
        tracing::warn!(
            event = "admin",
            what = "refused",
            detail = path,
            why,
            peer = %self.peer,
            operator = self.name,
            "order refused"
        );
    }
}

/// The command line says who runs it instead of `1`. Anything that could break a line of the log means nobody.
fn name(headers: &HeaderMap) -> &str {
    let value = headers
        .get(ORDER_HEADER)
        .and_then(|value| value.to_str().ok());
    let name = value.filter(|name| *name != "1").unwrap_or_default();
    match name.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => name.get(..LONGEST_NAME).unwrap_or(name),
        false => "",
    }
}
