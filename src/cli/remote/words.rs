//! Answers of the admin listener in words.

use serde_json::Value as Json;

fn word<'j>(value: &'j Json, key: &str) -> std::borrow::Cow<'j, str> {
    match &value[key] {
        Json::String(text) => text.as_str().into(),
        Json::Null => "-".into(),
        other => other.to_string().into(),
    }
}

fn each<'j>(value: &'j Json, key: &str) -> impl Iterator<Item = &'j Json> {
    value[key].as_array().into_iter().flatten()
}

/// The status in a few lines.
pub(super) fn summary(status: &Json) -> String {
    let mut lines = state(status);
    for one in each(status, "certificates") {
        lines.push(format!(
            "tls        {}   {}   ends {}, in {} days",
            word(one, "listener"),
            word(one, "subject"),
            word(one, "ends"),
            word(one, "days_left")
        ));
    }
    lines.push(format!(
        "logins     {} started, {} finished, {} failed",
        word(status, "logins_started"),
        word(status, "logins_finished"),
        word(status, "logins_failed")
    ));
    for route in each(status, "routes") {
        lines.push(format!(
            "route      {}   {} {}   {}   {} requests, {} denied",
            word(route, "name"),
            word(route, "host"),
            word(route, "path"),
            word(route, "auth"),
            word(route, "requests"),
            word(route, "denied")
        ));
    }
    lines.extend(each(status, "upstreams").flat_map(servers));
    lines.join("\n")
}

/// Whether it is ready, and with which configuration.
fn state(status: &Json) -> Vec<String> {
    let failing: Vec<_> = each(status, "checks")
        .filter(|check| check["ok"] == false)
        .map(|check| word(check, "name"))
        .collect();
    let ready = match failing.as_slice() {
        [] => "ready".to_owned(),
        failing => format!("not ready: {}", failing.join(", ")),
    };
    let mut lines = vec![
        format!(
            "wxgate {}   up {} s   {ready}",
            word(status, "version"),
            word(status, "uptime_s")
        ),
        format!(
            "config     {} (sha256 {}...), since {}",
            word(status, "file"),
            word(status, "sha256"),
            word(status, "loaded")
        ),
    ];
    if status["last_reload_worked"] == false {
        lines.push("           the last reload failed: see wxgate check".to_owned());
    }
    lines
}

/// One server of an upstream a line.
fn servers(upstream: &Json) -> impl Iterator<Item = String> {
    each(upstream, "servers").map(|server| {
        let health = match server["healthy"] == true {
            true => "ok",
            false => "fail",
        };
        format!(
            "upstream   {}   {}   {health}   {} answers",
            word(upstream, "name"),
            word(server, "name"),
            word(server, "answers")
        )
    })
}

/// One session a line.
pub(super) fn sessions(answer: &Json) -> String {
    let lines: Vec<_> = each(answer, "sessions")
        .map(|one| {
            ["sid", "app", "user", "method", "scope", "started", "ends"]
                .map(|key| word(one, key))
                .join("  ")
        })
        .collect();
    match lines.is_empty() {
        true => "no session".to_owned(),
        false => lines.join("\n"),
    }
}
