//! What is allowed: find the route for host, path and method; say why.
//!
//! Routes are ranked, whatever their order in the file: exact host before `*.host` (the longer one first) before any host; then
//! exact path; then the longer literal, where a glob counts up to its first `*`; then routes with methods before those without.
//! What is still even is settled by the pattern: glob before prefix, longer before shorter, then by text and name. The first
//! route in this order that matches host, path and method is the one. Paths are case-sensitive; query and fragment never matter.

use std::time::Duration;

use http::Method;
use ipnet::IpNet;

use crate::message::{Browser, Host};
use crate::target::EncodedSeparators;

mod explain;
mod index;
pub mod list;
mod lookup;
mod pattern;
pub mod policy;
pub mod report;

#[cfg(test)]
mod tests;

pub use explain::{Explanation, Question, Standing, Verdict, explain};
pub use lookup::Routes;
pub use pattern::same_requests;

/// Every route; the order of the file has no meaning.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Every route.
    pub routes: Vec<Route>,
}

/// A route's place in [`Settings::routes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteId(pub usize);

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// The operator's name, or the pattern; appears in logs and metrics.
    pub name: String,
    /// Where in the file it begins, for `routes explain`.
    pub line: usize,
    /// Which hosts.
    pub host: HostPattern,
    /// Which paths.
    pub path: PathPattern,
    /// Which methods; empty means any.
    pub methods: Vec<Method>,
    /// Who may pass.
    pub rule: Rule,
    /// The JWT's `aud`; default: the host of the request.
    pub audience: Option<String>,
    /// Encoded separators that the application needs.
    pub allow_encoded: EncodedSeparators,
}

/// Which hosts a route serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This host.
    Exact(Host),
    /// `*.example.com`, kept as `.example.com`: every name below, not the name itself.
    Below(String),
    /// Every host served.
    Any,
}

/// Which paths a route serves. Literals are kept decoded, like [`Target::decoded_path`](crate::target::Target::decoded_path).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// Only this path.
    Exact(String),
    /// This path and everything below it, by whole segments: `/api` and `/api/x`, not `/apix`. `/api/` is the same as `/api`.
    Prefix(String),
    /// `*` inside a segment, `**` across segments.
    Glob(String),
}

/// Who may pass.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The level.
    pub auth: Auth,
    /// How to answer without a session.
    pub unauthenticated: Unauthenticated,
    /// Origins that may read our 401.
    pub cors_origins: Vec<String>,
    /// `require = ["unionid"]`
    pub require_unionid: bool,
    /// Log in again when the login is older.
    pub max_age: Option<Duration>,
    /// Which clients; empty means any.
    pub clients: Vec<Client>,
    /// Nobody else; `None` means everybody.
    pub allow: Option<list::Ids>,
    /// These never; wins over `allow`.
    pub deny: Option<list::Ids>,
    /// From these addresses only; empty means any.
    pub allow_ips: Vec<IpNet>,
    /// What the refused see.
    pub on_deny: OnDeny,
}

/// Levels of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Everybody, without identity.
    Public,
    /// Everybody, with identity when there is one.
    Optional,
    /// A session.
    Base,
    /// A session with profile scope.
    Userinfo,
    /// Nobody.
    Deny,
}

impl Auth {
    /// The configuration's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Optional => "optional",
            Self::Base => "base",
            Self::Userinfo => "userinfo",
            Self::Deny => "deny",
        }
    }
}

/// How to answer without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthenticated {
    /// Redirect page loads, 401 for the rest.
    Auto,
    /// Redirect every GET and HEAD that is no prefetch.
    Redirect,
    /// Always 401.
    Status,
}

/// Kinds of client a route may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Any WeChat browser.
    Wechat,
    /// A mini program's web-view.
    MiniProgram,
    /// A desktop browser.
    Desktop,
    /// A phone browser outside WeChat.
    Phone,
}

impl Client {
    /// Whether a browser is one.
    pub fn matches(self, browser: Browser) -> bool {
        match self {
            Self::Wechat => browser.is_wechat(),
            Self::MiniProgram => browser == Browser::MiniProgram,
            Self::Desktop => matches!(browser, Browser::Desktop | Browser::WechatDesktop),
            Self::Phone => browser == Browser::Phone,
        }
    }
}

/// What the refused see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDeny {
    /// Page P8 with 403.
    Page,
    /// 403 without a page.
    Forbidden,
    /// 404, as if nothing were there.
    NotFound,
}
