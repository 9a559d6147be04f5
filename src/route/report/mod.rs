//! Routes, and what a request would get, in words: for the command line and for the status page.

use super::Routes;
use crate::message::{Host, Site};

mod explained;
mod listing;
mod table;
mod words;

pub use explained::{Outcome, Report};
pub use listing::{json, text};
pub use table::{Table, printable};

/// What the output needs of a configuration.
#[derive(Debug)]
pub struct Facts<'c> {
    /// The file, as it appears in `file:line`.
    pub source: String,
    /// Where visitors find us.
    pub site: &'c Site,
    /// Every route.
    pub routes: &'c Routes,
    /// Whether nobody is named without a unionid.
    pub subject_needs_unionid: bool,
    /// Names of files that are served before any login.
    pub verification_files: Vec<&'c str>,
    /// Names of upstreams, by route.
    pub upstreams: Vec<&'c str>,
}

/// Why something is no address of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    /// It is neither a path nor a whole address.
    #[error("the address begins neither with `/` nor with `https://`")]
    Beginning,
    /// It is of another protocol.
    #[error("the scheme is neither `https` nor `http`: {0}")]
    Scheme(String),
    /// Between scheme and path stands something that no `Host` field may hold.
    #[error("no host name, with or without a port: `{0}`")]
    Host(String),
}

/// Host and target as a browser would send them, without touching the path: what is odd about it is the question.
pub fn split_url(url: &str, site: &Site) -> Result<(Host, String), NotAnAddress> {
    // The fragment stays in the browser.
    let url = url.split('#').next().unwrap_or_default();
    if url.starts_with('/') {
        return Ok((site.public_host.clone(), url.to_owned()));
    }
    let (scheme, rest) = url.split_once("://").ok_or(NotAnAddress::Beginning)?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(NotAnAddress::Scheme(scheme.to_owned()));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let slash = if target.starts_with('/') { "" } else { "/" };
    let host = Host::name_in(authority).ok_or_else(|| NotAnAddress::Host(authority.to_owned()))?;
    Ok((Host::from_canonical(&host), format!("{slash}{target}")))
}
