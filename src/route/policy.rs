//! `decide(rule, session, request)`: allow, log in, refuse. Plain values in and out.

use std::time::SystemTime;

use crate::message::RequestInfo;
use crate::route::Rule;
use crate::session::Session;
use crate::wechat::Scope;

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Forward; with identity where there is a session and the route wants it.
    Allow {
        /// Whether identity goes along.
        identity: bool,
    },
    /// A login is needed first.
    LogIn(Need),
    /// No, whoever it is.
    Refuse(Reason),
}

/// What the login must bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// At least this scope.
    pub scope: Scope,
    /// Why the session there is, if any, does not do.
    pub because: Because,
}

/// Why a login is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// There is no session.
    NoSession,
    /// The session has only `snsapi_base`.
    Scope,
    /// The login is older than `max_age`.
    Age,
    /// The unionid is not known yet.
    Unionid,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The route says `deny`.
    Route,
    /// The address is not on `allow_ips`.
    Address,
    /// The person is on a deny list.
    DenyList,
    /// There is an allow list and the person is not on it.
    AllowList,
    /// The route wants another client.
    Client,
    /// The unionid stays unknown after a login with profile scope.
    Unionid,
}

/// Decides. `subject_needs_unionid` is true where `identity.subject = "unionid"`.
pub fn decide(
    _rule: &Rule,
    _session: Option<&Session>,
    _info: &RequestInfo,
    _subject_needs_unionid: bool,
    _now: SystemTime,
) -> Decision {
    todo!()
}
