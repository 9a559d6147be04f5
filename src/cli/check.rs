//! `check`, `config show`, `config schema`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::{Color, Global};
use crate::config::{
    self, AdminAccess, Config, Document, Language, Problems, Severity, Surroundings,
};
use crate::route::list::Source;
use crate::route::{Auth, Route};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// Count warnings as failure
    #[arg(long)]
    strict: bool,
}

/// Commands below `config`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every key with its effective value; secrets are hidden
    Show(ShowArgs),
    /// Print the JSON Schema of the file, for editors
    Schema,
}

/// Arguments of `config show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// Say where each value came from: a line of the file, an environment variable, or the default
    #[arg(long)]
    origin: bool,
}

pub(super) fn check(args: CheckArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let Some(document) = read(global)? else {
        return Ok(ExitCode::FAILURE);
    };
    let (config, problems) = match document.check(&Surroundings::of_process()) {
        Ok((config, warnings)) => (Some(config), warnings),
        Err(problems) => (None, problems),
    };
    if global.json {
        print_json(&document, config.as_ref(), &problems);
    } else {
        print_problems(&problems, global);
        if let Some(config) = &config {
            say!("{}ok", summary(config));
        }
    }
    let is_good = config.is_some() && !(args.strict && problems.count(Severity::Warning) > 0);
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub(super) fn config(command: ConfigCommand, global: &Global) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Schema => {
            say!("{}", serde_json::to_string_pretty(&config::schema())?);
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Show(args) => show(args, global),
    }
}

fn show(args: ShowArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let Some(document) = read(global)? else {
        return Ok(ExitCode::FAILURE);
    };
    match document.show(&Surroundings::of_process()) {
        Ok((shown, origins)) => {
            match (args.origin, global.json) {
                (false, true) => say!("{}", serde_json::to_string_pretty(&shown.to_json())?),
                (false, false) => say!("{}", shown.to_lines().join("\n")),
                (true, true) => {
                    let entries = shown.to_pairs().into_iter().map(|(key, value)| {
                        let origin = origins.of_key(&key).to_string();
                        json!({ "key": key, "value": value, "origin": origin })
                    });
                    let entries: Vec<_> = entries.collect();
                    say!("{}", serde_json::to_string_pretty(&entries)?);
                }
                (true, false) => {
                    for (key, value) in shown.to_pairs() {
                        say!("{key} = {value}    # {}", origins.of_key(&key));
                    }
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            report(&problems, global);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// A configuration to work with; warnings are printed. `None` when it has problems, which were reported.
pub(super) fn load(path: &Path, global: &Global) -> Option<Config> {
    load_or_report(path, global).ok()
}

/// The same; problems are given back, too.
pub(super) fn load_or_report(path: &Path, global: &Global) -> Result<Config, Box<Problems>> {
    match Config::load(path) {
        Ok((config, warnings)) => {
            print_problems(&warnings, global);
            Ok(config)
        }
        Err(problems) => {
            report(&problems, global);
            Err(Box::new(problems))
        }
    }
}

/// How to reach the running gateway, though something else in its file may be wrong. `None` when `[admin]` itself is, which was reported.
pub(super) fn admin_access(path: &Path, global: &Global) -> Option<AdminAccess> {
    let document =
        Document::read(path).and_then(|file| file.admin_access(&Surroundings::of_process()));
    document.map_err(|problems| report(&problems, global)).ok()
}

/// The named lists, likewise.
pub(super) fn lists(path: &Path, global: &Global) -> Option<BTreeMap<String, Vec<Source>>> {
    let document = Document::read(path).and_then(|file| file.lists(&Surroundings::of_process()));
    document.map_err(|problems| report(&problems, global)).ok()
}

/// Reads the file and says on stderr which one it is. `None` when it cannot be read, which was reported.
fn read(global: &Global) -> anyhow::Result<Option<Document>> {
    let path = global.config_path()?;
    match Document::read(&path) {
        Ok(document) => {
            let fingerprint = document.fingerprint();
            eprintln!("config: {} (sha256 {fingerprint}...)", path.display());
            Ok(Some(document))
        }
        Err(problems) => {
            report(&problems, global);
            Ok(None)
        }
    }
}

fn report(problems: &Problems, global: &Global) {
    if global.json {
        say!("{}", problems_json(problems));
    } else {
        print_problems(problems, global);
    }
}

/// Every problem and how many there are; to stderr, where all reports go.
fn print_problems(problems: &Problems, global: &Global) {
    if problems.is_empty() {
        return;
    }
    let color = match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            std::io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    };
    let language = global.language();
    eprintln!("{}\n", problems.render_in(language, color));
    let summary = problems.summary(language);
    let nothing_started = problems.count(Severity::Error) > 0;
    match (language, nothing_started) {
        (Language::English, true) => eprintln!("{summary}. Nothing was started."),
        (Language::English, false) => eprintln!("{summary}."),
        (Language::Chinese, true) => eprintln!("{summary}。没有启动任何服务。"),
        (Language::Chinese, false) => eprintln!("{summary}。"),
    }
}

fn problems_json(problems: &Problems) -> serde_json::Value {
    json!({
        "problems": problems.entries().collect::<Vec<_>>(),
        "errors": problems.count(Severity::Error),
        "warnings": problems.count(Severity::Warning),
    })
}

fn print_json(document: &Document, config: Option<&Config>, problems: &Problems) {
    let mut report = problems_json(problems);
    report["sha256"] = json!(document.fingerprint());
    if let Some(config) = config {
        let addresses = config.listeners.iter().map(|one| one.address.to_string());
        let apps = config
            .wechat
            .apps
            .iter()
            .map(|app| json!({ "name": app.name.as_str(), "app_id": masked(app.id.as_str()) }));
        let routes = by_policy(&config.routes.routes);
        let routes = routes.map(|(policy, count)| (policy.to_owned(), json!(count)));
        report["summary"] = json!({
            "listeners": addresses.collect::<Vec<_>>(),
            "apps": apps.collect::<Vec<_>>(),
            "routes": routes.into_iter().collect::<serde_json::Map<_, _>>(),
        });
    }
    say!("{report}");
}

/// What a configuration amounts to, in three lines.
pub(super) fn summary(config: &Config) -> String {
    let listeners = config.listeners.iter().map(|one| one.address.to_string());
    let apps = config.wechat.apps.iter().map(|app| {
        let id = masked(app.id.as_str());
        format!("{} ({id})", app.name.as_str())
    });
    let routes = by_policy(&config.routes.routes)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(policy, count)| format!("{count} {policy}"));
    format!(
        "listeners  {}\napps       {}\nroutes     {}\n",
        joined(listeners),
        joined(apps),
        joined(routes)
    )
}

fn joined(words: impl Iterator<Item = String>) -> String {
    let words: Vec<_> = words.collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

/// `wx0123...cdef`
fn masked(id: &str) -> String {
    match (
        id.get(..6),
        id.len().checked_sub(4).and_then(|end| id.get(end..)),
    ) {
        (Some(front), Some(back)) if id.len() > 10 => format!("{front}...{back}"),
        _ => "...".to_owned(),
    }
}

/// How many routes have each policy.
fn by_policy(routes: &[Route]) -> [(&'static str, usize); 5] {
    [
        ("public", Auth::Public),
        ("optional", Auth::Optional),
        ("base", Auth::Base),
        ("userinfo", Auth::Userinfo),
        ("deny", Auth::Deny),
    ]
    .map(|(word, auth)| {
        let with_auth = |route: &&Route| route.rule.auth == auth;
        (word, routes.iter().filter(with_auth).count())
    })
}
