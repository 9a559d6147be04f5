//! Says which route a request gets, how every other one lost, and what would be decided.

use std::net::IpAddr;
use std::time::SystemTime;

use http::Method;

use super::pattern::{self, Matcher};
use super::policy::{self, Decision, Visitor};
use super::{Auth, HostPattern, Route, RouteId, Routes, Rule};
use crate::identity::Person;
use crate::message::{Browser, Host};
use crate::session::{self, Session};
use crate::target::{Refusal, Target};
use crate::wechat::{AppId, AppName, OpenId, Scope, UnionId};

/// A request that is only asked about.
#[derive(Clone, Debug)]
pub struct Question {
    /// A served host, canonical.
    pub host: Host,
    /// Path and query as on a request line.
    pub path_and_query: String,
    /// The method.
    pub method: Method,
    /// What asks.
    pub browser: Browser,
    /// From where; `None`: from an address that the route allows.
    pub address: Option<IpAddr>,
    /// Who is logged in, if anybody: just now, and with the scope that the route asks for.
    pub openid: Option<OpenId>,
    /// See `openid`; one of them is enough.
    pub unionid: Option<UnionId>,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The path that was judged, decoded.
    pub path: String,
    /// The other reading of it, where there are `;` parameters.
    pub path_without_parameters: Option<String>,
    /// Every route in matching order, those that match first.
    pub standings: Vec<Standing>,
    /// The route; `None` means 404.
    pub selected: Option<RouteId>,
    /// Whether the selected route allows every encoded separator in the path; if not: 400.
    pub escapes_allowed: bool,
    /// What the selected route's rule says, if the request gets that far.
    pub decision: Option<Decision>,
}

/// How one route did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub route: RouteId,
    /// Its place among those that match, from 1; `None` where it does not match.
    pub rank: Option<usize>,
    /// Why it won or lost.
    pub verdict: Verdict,
}

/// Why a route won or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one.
    Selected,
    /// It matches one reading of the `;` parameters, but the route of the other reading is stricter.
    LessStrict,
    /// It matches one reading of the `;` parameters; of the two routes neither is stricter in everything, so there is none.
    NotStricter,
    /// It matches, but its host is less specific.
    LessSpecificHost,
    /// It matches, but the other one names exactly this path.
    NotExact,
    /// It matches, but its literal is shorter.
    ShorterPath,
    /// It matches, but the other one names methods.
    AnyMethod,
    /// It matches and is even in all that; the pattern's form, length and text decided.
    LaterPattern,
    /// Another host.
    HostDiffers,
    /// Another path.
    PathDiffers,
    /// Another method.
    MethodDiffers,
}

/// Judges a request that nobody made. The route is the one that [`Routes::find`] finds.
pub fn explain(
    routes: &Routes,
    question: &Question,
    subject_needs_unionid: bool,
    now: SystemTime,
) -> Result<Explanation, Refusal> {
    let target = Target::parse(&question.path_and_query)?;
    let found = routes.find(&question.host, &target, &question.method);
    let mut explanation = Explanation {
        path: target.decoded_path().into_owned(),
        path_without_parameters: target.path_without_parameters().map(str::to_owned),
        standings: Vec::new(),
        selected: found.map(|(id, _)| id),
        escapes_allowed: true,
        decision: None,
    };
    explanation.standings = standings(routes, question, &explanation);
    if let Some((_, route)) = found {
        explanation.escapes_allowed = target.encoded_separators().within(route.allow_encoded);
        if explanation.escapes_allowed {
            let decision = decide(&route.rule, question, subject_needs_unionid, now);
            explanation.decision = Some(decision);
        }
    }
    Ok(explanation)
}

fn decide(
    rule: &Rule,
    question: &Question,
    subject_needs_unionid: bool,
    now: SystemTime,
) -> Decision {
    let allowed = rule.allow_ips.first().map(ipnet::IpNet::network);
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let session = assumed_session(rule, question, now);
    let visitor = Visitor {
        session: session.as_ref(),
        address: question.address.or(allowed).unwrap_or(loopback),
        browser: question.browser,
    };
    policy::decide_for(rule, &visitor, subject_needs_unionid, now)
}

/// A login made just now by the person asked about, with the scope that the route asks for.
fn assumed_session(rule: &Rule, question: &Question, now: SystemTime) -> Option<Session> {
    if question.openid.is_none() && question.unionid.is_none() {
        return None;
    }
    let unknown = "unknown";
    let person = Person {
        app: AppName::parse(unknown)?,
        app_id: AppId::parse(unknown)?,
        openid: question.openid.clone().or_else(|| OpenId::parse(unknown))?,
        unionid: question.unionid.clone(),
        profile: None,
    };
    let scope = match rule.auth {
        Auth::Userinfo => Scope::Userinfo,
        Auth::Public | Auth::Optional | Auth::Base | Auth::Deny => Scope::Base,
    };
    Some(Session {
        id: unknown.to_owned(),
        person,
        scope,
        method: session::Method::ServiceAccount,
        started_at: now,
        renewed_at: now,
        carrier: session::Carrier::Cookie,
    })
}

/// Looks at every route in turn, without the index that requests use.
fn standings(routes: &Routes, question: &Question, explanation: &Explanation) -> Vec<Standing> {
    let paths = Paths {
        kept: &explanation.path,
        cut: explanation.path_without_parameters.as_deref(),
    };
    let judged = routes.in_order().map(|(id, route)| {
        let matcher = &routes.matchers[id.0];
        (id, mismatch(route, matcher, question, &paths))
    });
    let (lost, matching): (Vec<_>, Vec<_>) = judged.partition(|(_, mismatch)| mismatch.is_some());
    let first = |path: &str| {
        let mut ids = matching.iter().map(|(id, _)| *id);
        ids.find(|id| routes.matchers[id.0].matches(path))
    };
    let winners = [first(paths.kept), paths.cut.and_then(first)];
    let ranked = matching
        .iter()
        .enumerate()
        .map(|(index, (id, _))| Standing {
            route: *id,
            rank: Some(index + 1),
            verdict: verdict(routes, *id, explanation.selected, winners),
        });
    let unranked = lost.iter().filter_map(|(id, mismatch)| {
        Some(Standing {
            route: *id,
            rank: None,
            verdict: (*mismatch)?,
        })
    });
    ranked.chain(unranked).collect()
}

/// The one or two readings of a path.
struct Paths<'p> {
    kept: &'p str,
    cut: Option<&'p str>,
}

fn mismatch(
    route: &Route,
    matcher: &Matcher,
    question: &Question,
    paths: &Paths<'_>,
) -> Option<Verdict> {
    let path_fits =
        matcher.matches(paths.kept) || paths.cut.is_some_and(|path| matcher.matches(path));
    if !route.host.matches(&question.host) {
        Some(Verdict::HostDiffers)
    } else if !path_fits {
        Some(Verdict::PathDiffers)
    } else if !pattern::serves(&route.methods, &question.method) {
        Some(Verdict::MethodDiffers)
    } else {
        None
    }
}

/// Why a matching route won or lost; `winners` are the first ones for each reading of the path.
fn verdict(
    routes: &Routes,
    id: RouteId,
    selected: Option<RouteId>,
    winners: [Option<RouteId>; 2],
) -> Verdict {
    if selected == Some(id) {
        return Verdict::Selected;
    }
    if winners.contains(&Some(id)) {
        return match selected {
            Some(_) => Verdict::LessStrict,
            None => Verdict::NotStricter,
        };
    }
    let ([Some(winner), _] | [_, Some(winner)]) = winners else {
        return Verdict::LaterPattern;
    };
    let (route, other) = (&routes.routes[id.0], &routes.routes[winner.0]);
    let (matcher, others) = (&routes.matchers[id.0], &routes.matchers[winner.0]);
    let is_exact = |matcher: &Matcher| matches!(matcher, Matcher::Exact(_));
    if host_length(&route.host) != host_length(&other.host) {
        Verdict::LessSpecificHost
    } else if is_exact(others) && !is_exact(matcher) {
        Verdict::NotExact
    } else if matcher.literal().len() < others.literal().len() {
        Verdict::ShorterPath
    } else if route.methods.is_empty() && !other.methods.is_empty() {
        Verdict::AnyMethod
    } else {
        Verdict::LaterPattern
    }
}

/// Of patterns that match the same host, the more specific one has the greater length; an exact name is longest.
fn host_length(host: &HostPattern) -> usize {
    match host {
        HostPattern::Exact(_) => usize::MAX,
        HostPattern::Below(suffix) => suffix.len(),
        HostPattern::Any => 0,
    }
}
