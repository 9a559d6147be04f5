//! Rules and decisions in words.

use crate::message::Browser;
use crate::route::list::{Ids, Source};
use crate::route::policy::{Because, Need, Reason};
use crate::route::{OnDeny, Question, Rule, Unauthenticated, Verdict};
use crate::wechat::Scope;

/// What the rule asks for, and where the visitor asked about stands on its lists.
pub(super) fn rule_lines(rule: &Rule, question: &Question) -> String {
    let mut text = format!("auth       {}", rule.auth.as_str());
    if rule.require_unionid {
        text.push_str(", require unionid");
    }
    if let Some(age) = rule.max_age {
        text.push_str(&format!(", max_age {}s", age.as_secs()));
    }
    text.push_str(
        match question.openid.is_some() || question.unionid.is_some() {
            true => "   (assumed: logged in just now)\n",
            false => "   (assumed: no session)\n",
        },
    );
    for (word, ids) in [("allow", &rule.allow), ("deny", &rule.deny)] {
        if let Some(ids) = ids {
            text.push_str(&format!(
                "{word:<10} {} ids ({})\n",
                ids.len(),
                sources(ids)
            ));
        }
    }
    if !rule.clients.is_empty() {
        let fits = rule
            .clients
            .iter()
            .any(|client| client.matches(question.browser));
        let word = if fits {
            "is one of them"
        } else {
            "is none of them"
        };
        text.push_str(&format!(
            "clients    {:?}: {} {word}\n",
            rule.clients,
            question.browser.label()
        ));
    }
    if !rule.allow_ips.is_empty() {
        let nets: Vec<String> = rule.allow_ips.iter().map(ToString::to_string).collect();
        let from = match question.address {
            Some(address) => address.to_string(),
            None => "one of them (assumed; give --ip)".to_owned(),
        };
        text.push_str(&format!("allow_ips  {}: from {from}\n", nets.join(", ")));
    }
    text
}

/// Files by name; ids of people stay out of the output.
fn sources(ids: &Ids) -> String {
    let name = |source: &Source| match source {
        Source::File(file) => file.display().to_string(),
        Source::Given(_) => "in the configuration".to_owned(),
    };
    let names: Vec<String> = ids.sources().iter().map(name).collect();
    names.join(", ")
}

pub(super) fn login(need: Need, unauthenticated: Unauthenticated, browser: Browser) -> String {
    let login = match (browser, need.scope) {
        (Browser::Desktop, _) => "login page with a QR code, as `login.desktop` says (P1)",
        (Browser::Phone, _) => "page that leads to WeChat, as `login.mobile_browser` says (P2)",
        (Browser::WeCom | Browser::Bot, _) => "page that says to open it in WeChat (P7)",
        (_, Scope::Base) => "silent login (snsapi_base)",
        (_, Scope::Userinfo) => "login with profile (snsapi_userinfo)",
    };
    let because = match need.because {
        Because::NoSession => "there is no session",
        Because::Scope => "the session has no profile scope",
        Because::Age => "the login is older than max_age",
        Because::Unionid => "the unionid is not known yet",
    };
    let how = match unauthenticated {
        Unauthenticated::Auto => "page loads are sent to log in, the rest gets 401",
        Unauthenticated::Redirect => "GET and HEAD are sent to log in, the rest gets 401",
        Unauthenticated::Status => "401 with the login address",
    };
    format!("{login}, because {because}: {how}; the upstream is not contacted")
}

pub(super) fn refusal(reason: Reason, on_deny: OnDeny) -> String {
    let shown = match on_deny {
        OnDeny::Page => "403 page \"denied\" (P8)",
        OnDeny::Forbidden => "403",
        OnDeny::NotFound => "404",
    };
    let because = match reason {
        Reason::Route => "the route denies everybody",
        Reason::Address => "the address is not on allow_ips",
        Reason::DenyList => "this person is on the deny list",
        Reason::AllowList => "this person is not on the allow list",
        Reason::Client => "the route wants another client",
        Reason::Unionid => "the unionid stays unknown",
    };
    format!("{shown}, because {because}; the upstream is not contacted")
}

pub(super) fn result(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Selected => "selected",
        Verdict::LessStrict => "less strict reading",
        Verdict::NotStricter => "neither reading is stricter",
        Verdict::LessSpecificHost => "less specific host",
        Verdict::NotExact => "not exact",
        Verdict::ShorterPath => "shorter path",
        Verdict::AnyMethod => "names no methods",
        Verdict::LaterPattern => "later pattern",
        Verdict::HostDiffers => "host differs",
        Verdict::PathDiffers => "path differs",
        Verdict::MethodDiffers => "method differs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_the_one_that_the_browser_gets() {
        let need = Need {
            scope: Scope::Base,
            because: Because::NoSession,
        };
        for (browser, expected) in [
            (Browser::WechatAndroid, "silent login (snsapi_base), "),
            (Browser::MiniProgram, "silent login (snsapi_base), "),
            (Browser::Desktop, "login page with a QR code, "),
            (Browser::Phone, "page that leads to WeChat, "),
            (Browser::WeCom, "page that says to open it in WeChat "),
        ] {
            let words = login(need, Unauthenticated::Auto, browser);
            assert!(words.starts_with(expected), "{browser:?}: {words}");
        }
    }
}
