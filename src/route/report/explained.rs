//! What a request would get, and why.

use std::time::SystemTime;

use http::Method;
use serde_json::json;

use super::table::{Table, printable};
use super::words::{login, refusal, result, rule_lines};
use super::{Facts, listing};
use crate::message::Host;
use crate::route::policy::Decision;
use crate::route::{Explanation, Question, Route, RouteId, explain};

/// What becomes of a request, ready to be printed.
#[derive(Debug)]
pub struct Report<'f> {
    facts: &'f Facts<'f>,
    question: Question,
    ending: Ending,
}

/// Where a request ends.
#[derive(Debug)]
enum Ending {
    /// No route serves the host.
    UnknownHost,
    /// The target has two readings; says why.
    Refused(String),
    /// One of our own endpoints, or a verification file.
    Own(&'static str),
    /// The routes were asked.
    Routed(Explanation),
}

impl<'f> Report<'f> {
    /// Judges a request that nobody made.
    pub fn new(question: Question, facts: &'f Facts<'f>, now: SystemTime) -> Self {
        Self {
            ending: end(&question, facts, now),
            question,
            facts,
        }
    }

    /// The outcome in one word.
    pub fn outcome(&self) -> Outcome {
        match &self.ending {
            Ending::UnknownHost | Ending::Refused(_) => Outcome::Deny,
            Ending::Own(_) => Outcome::Allow,
            Ending::Routed(explanation) => match explanation.decision {
                Some(Decision::Allow { .. }) => Outcome::Allow,
                Some(Decision::LogIn(_)) => Outcome::Login,
                Some(Decision::Refuse(_)) | None => Outcome::Deny,
            },
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let method = self.question.method.as_str();
        let host = self.question.host.as_str();
        let mut text = match &self.ending {
            Ending::Routed(explanation) => {
                let path = printable(&explanation.path);
                let note = match self.question.path_and_query.contains('?') {
                    true => "        (the query is never matched)",
                    false => "",
                };
                format!("request    {method} {host} {path}{note}\n") + &self.routed(explanation)
            }
            Ending::UnknownHost | Ending::Refused(_) | Ending::Own(_) => {
                let asked = printable(&self.question.path_and_query);
                format!("request    {method} {host} {asked}\n")
            }
        };
        text.push_str(&format!("answer     {}\n", self.answer()));
        text
    }

    /// For machines.
    pub fn json(&self) -> serde_json::Value {
        let mut document = json!({
            "request": {
                "method": self.question.method.as_str(),
                "host": self.question.host.as_str(),
            },
            "outcome": self.outcome().word(),
            "answer": self.answer(),
        });
        if let Ending::Routed(explanation) = &self.ending {
            document["request"]["path"] = json!(explanation.path);
            document["request"]["path_without_parameters"] =
                json!(explanation.path_without_parameters);
            let selected = explanation.selected.and_then(|id| self.route(id));
            document["selected"] = json!(selected.map(listing::describe));
            let standings = explanation.standings.iter().filter_map(|standing| {
                let mut entry = listing::describe(self.route(standing.route)?);
                entry["rank"] = json!(standing.rank);
                entry["result"] = json!(result(standing.verdict));
                Some(entry)
            });
            document["routes"] = json!(standings.collect::<Vec<_>>());
        }
        document
    }

    fn route(&self, wanted: RouteId) -> Option<&'f Route> {
        let mut routes = self.facts.routes.in_order();
        routes.find_map(|(id, route)| (id == wanted).then_some(route))
    }

    fn routed(&self, explanation: &Explanation) -> String {
        let mut text = String::new();
        if let Some(path) = &explanation.path_without_parameters {
            let path = printable(path);
            text.push_str(&format!(
                "also read  {path}        (without `;` parameters; the stricter route wins)\n"
            ));
        }
        let selected = explanation.selected.and_then(|id| self.route(id));
        text.push_str(&match selected {
            Some(route) => self.selected(route),
            None => "selected   none\n".to_owned(),
        });
        text.push('\n');
        text.push_str(&self.standings(explanation));
        text.push('\n');
        if let Some(route) = selected {
            text.push_str(&rule_lines(&route.rule, &self.question));
        }
        text
    }

    fn selected(&self, route: &Route) -> String {
        let literal = route.path.literal().chars().count().max(1);
        let plural = if literal == 1 { "" } else { "s" };
        let path = format!(
            "{} {:?} ({literal} character{plural})",
            listing::path_kind(&route.path),
            route.path.text()
        );
        format!(
            "selected   {:?}        {}:{}        host {}, {path}\n",
            route.name,
            self.facts.source,
            route.line,
            listing::host(&route.host),
        )
    }

    fn standings(&self, explanation: &Explanation) -> String {
        let mut table = Table::new(["rank", "route", "host", "path", "methods", "result"]);
        for standing in &explanation.standings {
            if let Some(route) = self.route(standing.route) {
                table.push([
                    standing
                        .rank
                        .map_or_else(|| "-".to_owned(), |rank| rank.to_string()),
                    route.name.clone(),
                    listing::host(&route.host),
                    listing::path(&route.path),
                    listing::methods(&route.methods),
                    result(standing.verdict).to_owned(),
                ]);
            }
        }
        table.text(2)
    }

    fn answer(&self) -> String {
        match &self.ending {
            Ending::UnknownHost => "421: no route serves this host".to_owned(),
            Ending::Refused(why) => format!("400: {why}"),
            Ending::Own(what) => format!("wxgate itself: {what}"),
            Ending::Routed(explanation) => self.answer_of_route(explanation),
        }
    }

    fn answer_of_route(&self, explanation: &Explanation) -> String {
        let Some((id, route)) = explanation
            .selected
            .and_then(|id| Some((id, self.route(id)?)))
        else {
            return "404: no route for this request".to_owned();
        };
        if !explanation.escapes_allowed {
            return "400: target holds an encoded separator that `allow_encoded` of the route does not name".to_owned();
        }
        let upstream = self.facts.upstream(id);
        match explanation.decision {
            Some(Decision::Allow { identity: true }) => {
                format!("forwarded to `{upstream}` with identity")
            }
            Some(Decision::Allow { identity: false }) => {
                format!("forwarded to `{upstream}` without identity")
            }
            Some(Decision::LogIn(need)) => {
                login(need, route.rule.unauthenticated, self.question.browser)
            }
            Some(Decision::Refuse(reason)) => refusal(reason, route.rule.on_deny),
            None => "none".to_owned(),
        }
    }
}

fn end(question: &Question, facts: &Facts<'_>, now: SystemTime) -> Ending {
    if !is_served(&question.host, facts) {
        return Ending::UnknownHost;
    }
    match explain(facts.routes, question, facts.subject_needs_unionid, now) {
        Err(refusal) => Ending::Refused(refusal.to_string()),
        Ok(explanation) => match own(&question.method, &explanation, facts) {
            Some(what) => Ending::Own(what),
            None => Ending::Routed(explanation),
        },
    }
}

fn is_served(host: &Host, facts: &Facts<'_>) -> bool {
    facts.site.host(host.as_str()).is_some()
}

/// What never reaches the routes.
fn own(method: &Method, explanation: &Explanation, facts: &Facts<'_>) -> Option<&'static str> {
    let below = |path: &str| {
        path.strip_prefix(facts.site.path_prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let file = explanation.path.strip_prefix('/').unwrap_or_default();
    let without = explanation.path_without_parameters.as_deref();
    if below(&explanation.path) || without.is_some_and(below) {
        Some("an endpoint of its own; no route can take it")
    } else if is_read && facts.verification_files.contains(&file) {
        Some("a verification file, before any login")
    } else {
        None
    }
}

/// What comes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It reaches the application.
    Allow,
    /// The visitor is asked to log in.
    Login,
    /// It is refused.
    Deny,
}

impl Outcome {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Login => "login",
            Self::Deny => "deny",
        }
    }
}

impl Facts<'_> {
    /// The name of a route's upstream.
    pub(super) fn upstream(&self, route: RouteId) -> &str {
        self.upstreams.get(route.0).copied().unwrap_or_default()
    }
}
