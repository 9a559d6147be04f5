//! The command line: its types, dispatch, exit codes.
//!
//! Exit codes: 0 done, or "yes"; 1 failed, or "no"; 2 wrong usage. Results go to stdout, the rest to stderr.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program prints"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::{Code, Language};

/// Prints a line of the result. Where nobody reads any more, as behind `| head`, that is no failure.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}

mod check;
mod doctor;
mod healthcheck;
mod init;
mod jwt;
mod keys;
mod lists;
mod next_step;
mod remote;
mod routes;
mod serve;
mod service;
mod sim;

/// Stands below the list of commands.
const FIRST_STEPS: &str = "First steps:
  wxgate demo      the whole loop on this machine, without an account
  wxgate init      a small configuration, by a few questions
  wxgate check     every problem of a configuration in one run
  wxgate run       serve
  wxgate doctor    what WeChat, the proxy before and the application behind say

Every problem has a code with an explanation: wxgate help E104";

/// Put WeChat login in front of any website without changing it.
#[derive(Debug, Parser)]
#[command(name = "wxgate", version, propagate_version = true, after_help = FIRST_STEPS)]
struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
struct Global {
    /// Configuration file [default: ./config.toml, then /etc/wxgate/config.toml]
    #[arg(short, long, global = true, env = "WXGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Use colour: auto, always or never
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
    /// Language of problem reports: en or zh-CN [default: by the locale]
    #[arg(long, global = true, env = "WXGATE_LANG", value_name = "LANGUAGE")]
    lang: Option<String>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first configuration by asking five questions
    Init(init::InitArgs),
    /// Serve in the foreground
    Run(serve::RunArgs),
    /// Check a configuration file and report every problem
    #[command(visible_alias = "validate")]
    Check(check::CheckArgs),
    /// Show the whole loop on this machine: simulated WeChat, sample site and gateway
    Demo(serve::DemoArgs),
    /// Run only the simulated WeChat, to test applications against
    Sim(sim::SimArgs),
    /// Look for what is wrong with the set-up: at WeChat, on the way here, behind us
    Doctor(doctor::DoctorArgs),
    /// List routes in matching order, or explain which one a URL gets
    #[command(subcommand)]
    Routes(routes::RoutesCommand),
    /// Make a key
    Keygen(keys::KeygenArgs),
    /// Look into a token, verify it, or let the next key sign
    #[command(subcommand)]
    Jwt(jwt::JwtCommand),
    /// Show the effective configuration, or its JSON Schema
    #[command(subcommand)]
    Config(check::ConfigCommand),
    /// Load the configuration of the running gateway again
    Reload,
    /// Show what the running gateway serves, and how it fares
    Status,
    /// Take the running gateway out of the load balancer: readiness says no, everything is served as before
    Drain,
    /// List, inspect or end sessions of the running gateway
    #[command(subcommand)]
    Session(remote::SessionCommand),
    /// Show, extend or shorten the lists of people that routes allow or deny
    #[command(subcommand)]
    List(lists::ListCommand),
    /// Print a completion script for a shell
    Completion {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Ask a running gateway whether it is well: exit code 0 or 1, for containers
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print the version
    Version,
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    if let Some(code) = code_asked_for() {
        return explain(code);
    }
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return misunderstood(&error),
    };
    let global = &line.global;
    let result = match line.command {
        Command::Init(args) => init::init(args, global),
        Command::Run(args) => serve::run(args, global),
        Command::Check(args) => check::check(args, global),
        Command::Demo(args) => serve::demo(args, global),
        Command::Sim(args) => sim::sim(args, global),
        Command::Doctor(args) => doctor::doctor(args, global),
        Command::Routes(command) => routes::routes(command, global),
        Command::Keygen(args) => keys::keygen(args, global),
        Command::Jwt(command) => jwt::jwt(command, global),
        Command::Config(command) => check::config(command, global),
        Command::Reload => remote::reload(global),
        Command::Status => remote::status(global),
        Command::Drain => remote::drain(global),
        Command::Session(command) => remote::session(command, global),
        Command::List(command) => lists::lists(command, global),
        Command::Completion { shell } => {
            let mut command = CommandLine::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "wxgate", &mut script);
            say!("{}", String::from_utf8_lossy(&script).trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Healthcheck(args) => healthcheck::healthcheck(args, global),
        Command::Version => {
            version(global);
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The code in `wxgate help E104`.
fn code_asked_for() -> Option<Code> {
    let mut words = std::env::args().skip(1);
    let (help, name) = (words.next()?, words.next()?);
    (help == "help").then(|| Code::named(&name)).flatten()
}

/// What a problem code means, in both languages.
fn explain(code: Code) -> ExitCode {
    say!("{}", code.as_str());
    for language in [Language::English, Language::Chinese] {
        say!("  {}", code.meaning(language));
    }
    ExitCode::SUCCESS
}

/// Prints help, version or what is wrong with the words of the command line.
fn misunderstood(error: &clap::Error) -> ExitCode {
    // Where it cannot be printed, nobody reads it.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    if std::env::args().nth(1).is_some_and(|word| word == "help") {
        eprintln!("Codes of problems have an explanation as well: wxgate help E104");
    }
    // Docker reserves 2 for itself, so `healthcheck` must not return it, whatever else is on the line.
    let is_healthcheck = std::env::args_os().any(|word| word == "healthcheck");
    ExitCode::from(if is_healthcheck { 1 } else { 2 })
}

impl Global {
    /// The language of reports: as asked for, else as the locale says.
    fn language(&self) -> Language {
        let locale = || {
            ["LC_ALL", "LC_MESSAGES", "LANG"]
                .into_iter()
                .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        };
        let name = self.lang.clone().or_else(locale);
        Language::of_locale(name.as_deref().unwrap_or_default())
    }

    /// The configuration file that was named, or the first default that exists.
    fn config_path(&self) -> anyhow::Result<PathBuf> {
        const DEFAULTS: [&str; 2] = ["config.toml", "/etc/wxgate/config.toml"];
        if let Some(path) = &self.config {
            return Ok(path.clone());
        }
        DEFAULTS
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
            .ok_or_else(|| {
                anyhow::anyhow!(
                    "no configuration file: neither {} exists\ntry: wxgate demo, wxgate init, or name one with --config",
                    DEFAULTS.join(" nor ")
                )
            })
    }
}

fn version(global: &Global) {
    let version = env!("CARGO_PKG_VERSION");
    if global.json {
        say!(
            "{}",
            serde_json::json!({ "name": "wxgate", "version": version })
        );
    } else {
        say!("wxgate {version}");
    }
}
