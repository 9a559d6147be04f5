//! `reload`, `status`, `drain`, `session`, `jwt rotate`: orders to a running gateway, through its admin listener.

use std::process::ExitCode;

use http::{Method, StatusCode};
use serde_json::Value as Json;
use url::form_urlencoded::Serializer;

use super::Global;

mod call;
mod words;

use call::{Reply, order};
use words::{sessions, summary};

/// Arguments of `session list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only those of this openid
    #[arg(long)]
    openid: Option<String>,
    /// The app that knows the openid; not needed where there is one app
    #[arg(long, requires = "openid")]
    app: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

/// Arguments of `session revoke`.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct RevokeArgs {
    /// One session: the claim `sid` of its token
    #[arg(long, value_name = "SID", required_unless_present_any = ["openid", "unionid"])]
    id: Option<String>,
    /// Every session of this openid
    #[arg(long, conflicts_with = "id")]
    openid: Option<String>,
    /// The app that knows the openid; not needed where there is one app
    #[arg(long, requires = "openid")]
    app: Option<String>,
    /// Every session of this unionid, at every app
    #[arg(long, conflicts_with_all = ["id", "openid"])]
    unionid: Option<String>,
}

/// Commands below `session`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum SessionCommand {
    /// List sessions; only where `sessions.mode` is "store"
    List(ListArgs),
    /// Show one session; only where `sessions.mode` is "store"
    Inspect {
        /// The claim `sid` of its token
        sid: String,
    },
    /// End sessions at once, in either mode
    Revoke(RevokeArgs),
}

/// Takes the configuration file as it is now.
pub(super) fn reload(global: &Global) -> anyhow::Result<ExitCode> {
    let answer = order(global, Method::POST, "/reload")?;
    print(global, &answer, |_| "reloaded".to_owned())
}

/// Takes the node out of the load balancer: readiness says no from now on, and everything is served as before.
pub(super) fn drain(global: &Global) -> anyhow::Result<ExitCode> {
    let answer = order(global, Method::POST, "/drain")?;
    print(global, &answer, |_| {
        "draining: /readyz says no; stop the process when no requests come any more".to_owned()
    })
}

/// Lets the next key sign.
pub(super) fn rotate_key(forgets_previous: bool, global: &Global) -> anyhow::Result<ExitCode> {
    let query = if forgets_previous {
        "?forget_previous=1"
    } else {
        ""
    };
    let answer = order(global, Method::POST, &format!("/jwt/rotate{query}"))?;
    print(global, &answer, |body| {
        format!(
            "`{}` signs from now on",
            body["kid"].as_str().unwrap_or_default()
        )
    })
}

/// What a running gateway serves, and how it fares.
pub(super) fn status(global: &Global) -> anyhow::Result<ExitCode> {
    let answer = order(global, Method::GET, "/status.json")?;
    print(global, &answer, summary)
}

pub(super) fn session(command: SessionCommand, global: &Global) -> anyhow::Result<ExitCode> {
    let target = |path: &str, pairs: &[(&str, Option<String>)]| {
        let mut query = Serializer::new(String::new());
        for (name, value) in pairs {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        format!("{path}?{}", query.finish())
    };
    match command {
        SessionCommand::List(args) => {
            let pairs = [
                ("openid", args.openid),
                ("app", args.app),
                ("limit", Some(args.limit.to_string())),
            ];
            let answer = order(global, Method::GET, &target("/sessions", &pairs))?;
            print(global, &answer, sessions)
        }
        SessionCommand::Inspect { sid } => {
            let target = target("/sessions", &[("sid", Some(sid))]);
            let answer = order(global, Method::GET, &target)?;
            let is_known = answer.body["sessions"] != Json::Array(Vec::new());
            let code = print(global, &answer, sessions)?;
            Ok(if is_known { code } else { ExitCode::FAILURE })
        }
        SessionCommand::Revoke(args) => {
            let pairs = [
                ("sid", args.id),
                ("openid", args.openid),
                ("app", args.app),
                ("unionid", args.unionid),
            ];
            let answer = order(global, Method::POST, &target("/sessions/revoke", &pairs))?;
            print(global, &answer, |_| "revoked".to_owned())
        }
    }
}

/// Prints an answer; one that is no success is an error and says why.
fn print(
    global: &Global,
    reply: &Reply,
    text: impl FnOnce(&Json) -> String,
) -> anyhow::Result<ExitCode> {
    if global.json {
        say!("{}", reply.body);
    }
    if reply.status.is_success() {
        if !global.json {
            say!("{}", text(&reply.body));
        }
        return Ok(ExitCode::SUCCESS);
    }
    match reply.body["error"].as_str() {
        Some(why) => eprintln!("error: {why}"),
        None if reply.status == StatusCode::UNAUTHORIZED => {
            eprintln!("error: the token is wrong\ntry: the `admin.token` of the running gateway");
        }
        None => eprintln!("error: the admin listener answered {}", reply.status),
    }
    Ok(ExitCode::FAILURE)
}
