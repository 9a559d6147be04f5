//! `routes list`, `routes explain`.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context;
use http::Method;

use super::Global;
use crate::config::Config;
use crate::identity::SubjectForm;
use crate::message::{Browser, Host, Site};
use crate::route::{Question, Routes};
use crate::wechat::{OpenId, UnionId};

mod explain;
mod list;
mod table;
mod words;

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

/// What the output needs of a configuration.
struct Facts<'c> {
    /// The file, as it appears in `file:line`.
    source: String,
    site: &'c Site,
    routes: &'c Routes,
    subject_needs_unionid: bool,
    verification_files: Vec<&'c str>,
    /// Names of upstreams, by route.
    upstreams: Vec<&'c str>,
}

pub(super) fn routes(command: RoutesCommand, global: &Global) -> anyhow::Result<ExitCode> {
    let config = load(global)?;
    let routes = Routes::new(config.routes.clone());
    let facts = Facts::new(&config, &routes);
    eprintln!("config: {}", facts.source);
    match command {
        RoutesCommand::List if global.json => print_json(&list::json(&facts))?,
        RoutesCommand::List => print!("{}", list::text(&facts)),
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
    let report = explain::Report::new(args, facts, SystemTime::now())?;
    if json {
        print_json(&report.json())?;
    } else {
        print!("{}", report.text());
    }
    match args.expect {
        Some(expected) if expected != report.outcome() => {
            let (expected, outcome) = (expected.word(), report.outcome().word());
            eprintln!("error: expected `{expected}`, got `{outcome}`");
            Ok(ExitCode::FAILURE)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

impl<'c> Facts<'c> {
    fn new(config: &'c Config, routes: &'c Routes) -> Self {
        let name = |index: usize| {
            config
                .proxy
                .upstreams
                .get(index)
                .map(|one| one.name.as_str())
        };
        let forwarding = config.gateway.forwarding.iter();
        Self {
            source: config.source.display().to_string(),
            site: &config.gateway.site,
            routes,
            subject_needs_unionid: config.identity.subject == SubjectForm::UnionId,
            verification_files: {
                let files = config.gateway.verification_files.iter();
                files.map(|(name, _)| name.as_str()).collect()
            },
            upstreams: forwarding
                .map(|one| one.as_ref().and_then(|one| name(one.upstream.0)))
                .map(|name| name.unwrap_or("none"))
                .collect(),
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

/// Host and target as a browser would send them, without touching the path: what is odd about it is the question.
fn split_url(url: &str, site: &Site) -> anyhow::Result<(Host, String)> {
    // The fragment stays in the browser.
    let url = url.split('#').next().unwrap_or_default();
    if url.starts_with('/') {
        return Ok((site.public_host.clone(), url.to_owned()));
    }
    let (scheme, rest) = url
        .split_once("://")
        .context("the address begins neither with `/` nor with `https://`")?;
    anyhow::ensure!(
        scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http"),
        "the scheme is neither `https` nor `http`: {scheme}"
    );
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok((canonical_host(authority), format!("{slash}{target}")))
}

/// Lower-case, without port and one trailing dot.
fn canonical_host(authority: &str) -> Host {
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    Host::from_canonical(&name.to_ascii_lowercase())
}

fn openid(text: &str) -> Result<OpenId, String> {
    let id = text.strip_prefix("openid:").unwrap_or(text);
    OpenId::parse(id).ok_or_else(|| "letters, digits, `-` and `_` only".to_owned())
}

fn unionid(text: &str) -> Result<UnionId, String> {
    let id = text.strip_prefix("unionid:").unwrap_or(text);
    UnionId::parse(id).ok_or_else(|| "letters, digits, `-` and `_` only".to_owned())
}
