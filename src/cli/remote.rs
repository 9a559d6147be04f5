//! `reload`, `status`, `drain`, `session`: orders to a running gateway, through its admin listener.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;
use tokio::net::TcpStream;
use url::form_urlencoded::Serializer;

use super::Global;
use crate::secret::Secret;

/// Longer than a reload may take at the other end.
const PATIENCE: Duration = Duration::from_secs(35);

/// The longest answer: ten thousand sessions.
const LONGEST: usize = 16 * 1024 * 1024;

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

/// What the admin listener answered.
struct Reply {
    status: StatusCode,
    body: Json,
}

/// Prints an answer; one that is no success is an error and says why.
fn print(
    global: &Global,
    reply: &Reply,
    text: impl FnOnce(&Json) -> String,
) -> anyhow::Result<ExitCode> {
    if global.json {
        println!("{}", reply.body);
    }
    if reply.status.is_success() {
        if !global.json {
            println!("{}", text(&reply.body));
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

fn order(global: &Global, method: Method, target: &str) -> anyhow::Result<Reply> {
    let path = global.config_path()?;
    let Some(config) = super::check::load(&path, global) else {
        bail!("the admin listener's address is not known without the configuration");
    };
    let Some(address) = config.admin.listen else {
        bail!("`admin.listen` is \"none\", so there is nobody to ask");
    };
    let token = config.admin.token.as_ref();
    super::serve::runtime()?.block_on(async {
        let asked = ask(super::serve::reachable(address), method, target, token);
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        asked.context("no answer in time")?.with_context(|| {
            format!("no gateway answers on {address}\ntry: wxgate run, or name its configuration with --config")
        })
    })
}

async fn ask(
    address: SocketAddr,
    method: Method,
    target: &str,
    token: Option<&Secret<String>>,
) -> anyhow::Result<Reply> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, address.to_string())
        .header("x-wxgate-admin", "1");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        Ok::<_, anyhow::Error>(Reply {
            status,
            body: serde_json::from_slice(&body).unwrap_or(Json::Null),
        })
    };
    tokio::pin!(exchange);
    tokio::select! {
        reply = &mut exchange => reply,
        ended = connection => {
            ended?;
            exchange.await
        }
    }
}

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
fn summary(status: &Json) -> String {
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
    for upstream in each(status, "upstreams") {
        for server in each(upstream, "servers") {
            let health = match server["healthy"] == true {
                true => "ok",
                false => "fail",
            };
            lines.push(format!(
                "upstream   {}   {}   {health}   {} answers",
                word(upstream, "name"),
                word(server, "name"),
                word(server, "answers")
            ));
        }
    }
    lines.join("\n")
}

/// One session a line.
fn sessions(answer: &Json) -> String {
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
