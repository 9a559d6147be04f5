//! `routes list`, `routes explain`.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::SystemTime;

use http::Method;

use super::Global;
use crate::config::Config;
use crate::message::{Browser, Site};
use crate::route::report::{self, Facts, Report, split_url};
use crate::route::{Question, Routes};
use crate::wechat::{OpenId, UnionId};

#[cfg(test)]
mod tests;

/// Commands below `routes`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum RoutesCommand {
    /// Print the routes in matching order
    List,
    /// Say which route a URL gets, why, and what would happen
    Explain(ExplainArgs),
}

/// Arguments of `routes explain`.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// Address as a visitor types it, or only its path on the public host
    url: String,
    /// Method of the request
    #[arg(long, default_value = "GET")]
    method: Method,
    /// Who is logged in, as one app knows them
    #[arg(long, value_name = "ID", value_parser = openid)]
    openid: Option<OpenId>,
    /// Who is logged in, as all apps know them
    #[arg(long, value_name = "ID", value_parser = unionid)]
    unionid: Option<UnionId>,
    /// What asks
    #[arg(long, value_enum, default_value_t = Agent::Wechat, value_name = "KIND")]
    ua: Agent,
    /// Address of the visitor [default: one that the route allows]
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
    /// Exit with 1 unless this is the outcome
    #[arg(long, value_enum, value_name = "OUTCOME")]
    expect: Option<Outcome>,
}

/// Kinds of browser by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Agent {
    /// The WeChat app
    Wechat,
    /// A browser on a computer
    Desktop,
    /// A browser on a phone
    Phone,
    /// The web-view of a mini program
    MiniProgram,
    /// WeCom
    #[value(name = "wecom")]
    WeCom,
}

/// What comes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Outcome {
    /// It reaches the application
    Allow,
    /// The visitor is asked to log in
    Login,
    /// It is refused
    Deny,
}

pub(super) fn routes(command: RoutesCommand, global: &Global) -> anyhow::Result<ExitCode> {
    let config = load(global)?;
    let routes = Routes::new(config.routes.clone());
    let facts = config.report_facts(&routes);
    eprintln!("config: {}", facts.source);
    match command {
        RoutesCommand::List if global.json => print_json(&report::json(&facts))?,
        RoutesCommand::List => say!("{}", report::text(&facts).trim_end()),
        RoutesCommand::Explain(args) => return explain_url(&args, &facts, global.json),
    }
    Ok(ExitCode::SUCCESS)
}

fn load(global: &Global) -> anyhow::Result<Config> {
    let path = global.config_path()?;
    // The report itself is the business of `check`.
    let loaded = Config::load(&path).map(|(config, _warnings)| config);
    loaded.map_err(|_| {
        let path = path.display();
        anyhow::anyhow!("`{path}` has problems\ntry: wxgate check --config {path}")
    })
}

fn explain_url(args: &ExplainArgs, facts: &Facts<'_>, json: bool) -> anyhow::Result<ExitCode> {
    let question = args.question(facts.site)?;
    let report = Report::new(question, facts, SystemTime::now());
    if json {
        print_json(&report.json())?;
    } else {
        say!("{}", report.text().trim_end());
    }
    match args.expect {
        Some(expected) if expected.word() != report.outcome().word() => {
            let (expected, outcome) = (expected.word(), report.outcome().word());
            eprintln!("error: expected `{expected}`, got `{outcome}`");
            Ok(ExitCode::FAILURE)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Login => "login",
            Self::Deny => "deny",
        }
    }
}

impl ExplainArgs {
    /// The question behind the words; the host is canonical but perhaps not ours.
    fn question(&self, site: &Site) -> anyhow::Result<Question> {
        let (host, path_and_query) = split_url(&self.url, site)?;
        Ok(Question {
            host,
            path_and_query,
            method: self.method.clone(),
            browser: self.ua.browser(),
            address: self.ip,
            openid: self.openid.clone(),
            unionid: self.unionid.clone(),
        })
    }
}

impl Agent {
    fn browser(self) -> Browser {
        match self {
            Self::Wechat => Browser::WechatAndroid,
            Self::Desktop => Browser::Desktop,
            Self::Phone => Browser::Phone,
            Self::MiniProgram => Browser::MiniProgram,
            Self::WeCom => Browser::WeCom,
        }
    }
}

fn openid(text: &str) -> Result<OpenId, String> {
    let id = text.strip_prefix("openid:").unwrap_or(text);
    OpenId::parse(id).ok_or_else(|| "letters, digits, `-` and `_` only".to_owned())
}

fn unionid(text: &str) -> Result<UnionId, String> {
    let id = text.strip_prefix("unionid:").unwrap_or(text);
    UnionId::parse(id).ok_or_else(|| "letters, digits, `-` and `_` only".to_owned())
}
