//! The way back, carried by the callback's own address.
//!
//! Two tabs that begin at once each get a cookie, and the browser keeps the one that came last: the other tab's attempt is
//! lost, and with it where it wanted to go. So the target also travels in `redirect_uri`, sealed, because a target may hold
//! what is nobody else's business. It only says where to go; who may log in is still decided by the attempt in the cookie.

use super::query::only;
use super::{Login, Visit};
use crate::message::Host;
use crate::seal::Purpose;
use crate::wechat::App;

/// The parameter's name.
const PARAMETER: &str = "back";

/// Longer targets do not travel: the address would grow too long for some web-views.
const LONGEST_TARGET: usize = 512;

impl Login {
    /// Where WeChat sends the browser back to.
    pub(super) fn callback_address(&self, app: &App, target: &str, host: &Host) -> String {
        let name = app.name.as_str();
        let callback = format!("callback/{name}");
        let address = self.parts.site.endpoint(host, &callback);
        if target == "/" || target.len() > LONGEST_TARGET {
            return address;
        }
        let sealed = self
            .parts
            .sealer
            .seal(Purpose::Attempts, &context(host), target.as_bytes());
        format!("{address}?{PARAMETER}={sealed}")
    }

    /// The target that the address of a callback carries; `/` where there is none of ours.
    pub(super) fn way_back(&self, visit: &Visit<'_>) -> String {
        let query = visit.info.target.query().unwrap_or_default();
        only(query, PARAMETER)
            .and_then(|sealed| {
                let context = context(&visit.info.host);
                self.parts.sealer.open(Purpose::Attempts, &context, sealed)
            })
            .and_then(|target| String::from_utf8(target).ok())
            .unwrap_or_else(|| "/".to_owned())
    }
}

/// A way back is for one host, and is nothing where an attempts cookie is expected.
fn context(host: &Host) -> String {
    format!("way back\n{}", host.as_str())
}
