//! `decide(rule, session, request)`: allow, log in, refuse. Plain values in and out.

use std::net::IpAddr;
use std::time::SystemTime;

use crate::identity::Person;
use crate::message::{Browser, RequestInfo};
use crate::route::{Auth, Client, Rule};
use crate::session::Session;
use crate::wechat::Scope;

#[cfg(test)]
mod tests;

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

impl Because {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSession => "no_session",
            Self::Scope => "scope",
            Self::Age => "age",
            Self::Unionid => "unionid",
        }
    }
}

impl Reason {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Address => "address",
            Self::DenyList => "deny_list",
            Self::AllowList => "allow_list",
            Self::Client => "client",
            Self::Unionid => "unionid",
        }
    }
}

/// Decides. `subject_needs_unionid` is true where `identity.subject = "unionid"`.
///
/// What needs no identity comes first, so that nobody logs in only to be refused: address, client, level `deny`. A person on the deny
/// list is refused before anything is asked of them. Then the level, the unionid, the allow list and the age of the login, in
/// this order: an allow list may name a unionid that only the login with profile scope brings.
///
/// On an `optional` route only the deny list refuses; a session that falls short of the rest goes on without identity.
pub fn decide(
    rule: &Rule,
    session: Option<&Session>,
    info: &RequestInfo,
    subject_needs_unionid: bool,
    now: SystemTime,
) -> Decision {
    let visitor = Visitor {
        session,
        address: info.client,
        browser: info.browser,
    };
    decide_for(rule, &visitor, subject_needs_unionid, now)
}

/// The part of a request that the rules look at.
pub(super) struct Visitor<'s> {
    pub(super) session: Option<&'s Session>,
    pub(super) address: IpAddr,
    pub(super) browser: Browser,
}

pub(super) fn decide_for(
    rule: &Rule,
    visitor: &Visitor<'_>,
    subject_needs_unionid: bool,
    now: SystemTime,
) -> Decision {
    if let Some(reason) = refusal_without_identity(rule, visitor) {
        return Decision::Refuse(reason);
    }
    let with_session = |scope| {
        let needs_unionid = rule.require_unionid || subject_needs_unionid;
        visitor
            .session
            .map(|session| judge_session(rule, session, scope, needs_unionid, now))
    };
    match rule.auth {
        Auth::Deny => Decision::Refuse(Reason::Route),
        Auth::Public => Decision::Allow { identity: false },
        Auth::Optional => match with_session(Scope::Base) {
            Some(decision @ (Decision::Allow { .. } | Decision::Refuse(Reason::DenyList))) => {
                decision
            }
            None | Some(Decision::LogIn(_) | Decision::Refuse(_)) => {
                Decision::Allow { identity: false }
            }
        },
        Auth::Base => with_session(Scope::Base).unwrap_or_else(|| first_login(Scope::Base)),
        Auth::Userinfo => {
            with_session(Scope::Userinfo).unwrap_or_else(|| first_login(Scope::Userinfo))
        }
    }
}

fn first_login(scope: Scope) -> Decision {
    Decision::LogIn(Need {
        scope,
        because: Because::NoSession,
    })
}

fn refusal_without_identity(rule: &Rule, visitor: &Visitor<'_>) -> Option<Reason> {
    // A dual-stack socket shows an IPv4 peer as `::ffff:192.0.2.1`.
    let address = visitor.address.to_canonical();
    let fits = |client: &Client| client.matches(visitor.browser);
    if !rule.allow_ips.is_empty() && !rule.allow_ips.iter().any(|net| net.contains(&address)) {
        Some(Reason::Address)
    } else if !rule.clients.is_empty() && !rule.clients.iter().any(fits) {
        Some(Reason::Client)
    } else {
        None
    }
}

fn judge_session(
    rule: &Rule,
    session: &Session,
    scope: Scope,
    needs_unionid: bool,
    now: SystemTime,
) -> Decision {
    let person = &session.person;
    if is_denied(rule, person) {
        return Decision::Refuse(Reason::DenyList);
    }
    if session.scope < scope {
        return Decision::LogIn(Need {
            scope,
            because: Because::Scope,
        });
    }
    if needs_unionid && person.unionid.is_none() {
        return without_unionid(session.scope);
    }
    if !is_allowed(rule, person) {
        return Decision::Refuse(Reason::AllowList);
    }
    if is_too_old(rule, session, now) {
        return Decision::LogIn(Need {
            scope,
            because: Because::Age,
        });
    }
    Decision::Allow { identity: true }
}

/// The visitor is led through profile scope once; when that did not bring the unionid, nothing will.
fn without_unionid(scope: Scope) -> Decision {
    match scope {
        Scope::Base => Decision::LogIn(Need {
            scope: Scope::Userinfo,
            because: Because::Unionid,
        }),
        Scope::Userinfo => Decision::Refuse(Reason::Unionid),
    }
}

fn is_denied(rule: &Rule, person: &Person) -> bool {
    rule.deny.as_ref().is_some_and(|ids| ids.contains(person))
}

fn is_allowed(rule: &Rule, person: &Person) -> bool {
    rule.allow.as_ref().is_none_or(|ids| ids.contains(person))
}

/// A login that lies in the future, by a clock that was set back, is new.
fn is_too_old(rule: &Rule, session: &Session, now: SystemTime) -> bool {
    let age = now.duration_since(session.started_at).unwrap_or_default();
    rule.max_age.is_some_and(|longest| age > longest)
}

impl Rule {
    /// Whether it has lists, which can change while somebody is connected.
    pub fn has_lists(&self) -> bool {
        self.deny.is_some() || self.allow.is_some()
    }

    /// Whether its lists, as they are now, refuse this person.
    pub fn lists_refuse(&self, person: &Person) -> bool {
        is_denied(self, person) || !is_allowed(self, person)
    }

    /// Whether everybody whom this rule lets pass is also let pass by `other`, as far as the rules themselves tell.
    ///
    /// The level counts first: deny, userinfo, base, optional, public. Restrictions of the looser level count too: a rule with an
    /// allow list is not looser than one with the same level and none.
    pub fn is_as_strict_as(&self, other: &Self) -> bool {
        if self.auth == Auth::Deny || other.auth == Auth::Deny {
            return self.auth == Auth::Deny;
        }
        let names_people = matches!(other.auth, Auth::Optional | Auth::Base | Auth::Userinfo);
        self.auth.strictness() >= other.auth.strictness()
            && (other.allow_ips.is_empty() || self.allow_ips == other.allow_ips)
            && (other.clients.is_empty() || self.clients == other.clients)
            && (!names_people || self.is_as_choosy_as(other))
    }

    /// The part of [`is_as_strict_as`](Self::is_as_strict_as) that needs to know who asks.
    fn is_as_choosy_as(&self, other: &Self) -> bool {
        let age = match (self.max_age, other.max_age) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(others)) => own <= others,
        };
        age && (self.require_unionid || !other.require_unionid)
            && (other.allow.is_none() || self.allow == other.allow)
            && (other.deny.is_none() || self.deny == other.deny)
    }
}

impl Auth {
    fn strictness(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Optional => 1,
            Self::Base => 2,
            Self::Userinfo => 3,
            Self::Deny => 4,
        }
    }
}
