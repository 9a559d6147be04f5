//! `sim`: the simulated WeChat by itself.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;

use super::Global;
use super::serve::{Ending, until_end};
use crate::simulator::{AppKind, Simulator};
use crate::wechat::AppId;

/// Arguments of `sim`.
#[derive(Debug, clap::Args)]
pub(super) struct SimArgs {
    /// Where to listen; loopback only, port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9510", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// An app that it knows; may be given more than once. KIND: service-account, mini-program or mobile-app
    #[arg(long = "app", value_name = "APPID:SECRET[:KIND]", value_parser = sim_app, default_value = DEFAULT_APP)]
    apps: Vec<SimApp>,
}

/// What it knows when nobody says otherwise. No secret: everybody can log in as everybody there.
const DEFAULT_APP: &str = "wx0123456789abcdef:0123456789abcdef0123456789abcdef";

/// An app of the simulated WeChat.
#[derive(Clone, Debug, serde::Serialize)]
struct SimApp {
    app_id: String,
    secret: String,
    #[serde(skip)]
    kind: Kind,
}

/// A kind of app that can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    /// As the gateway's configuration calls it.
    word: &'static str,
    /// What the first app of the kind is called there.
    name: &'static str,
    simulated: AppKind,
}

const KINDS: [Kind; 3] = [
    Kind {
        word: "service-account",
        name: "main",
        simulated: AppKind::ServiceAccount,
    },
    Kind {
        word: "mini-program",
        name: "mini",
        simulated: AppKind::MiniProgram,
    },
    Kind {
        word: "mobile-app",
        name: "phone",
        simulated: AppKind::MobileApp,
    },
];

/// Runs the simulator until a signal comes.
pub(super) fn sim(args: SimArgs, global: &Global) -> anyhow::Result<ExitCode> {
    until_end(async {
        let simulator = Simulator::start(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}", args.listen))?;
        for app in &args.apps {
            simulator.add_app_of_kind(app.kind.simulated, &app.app_id, &app.secret, &[]);
        }
        let url = simulator.url();
        if global.json {
            say!("{}", serde_json::json!({ "url": url, "apps": args.apps }));
        } else {
            print!("{}", sim_banner(&url, &args.apps));
        }
        std::io::stdout().flush()?;
        Ending::listen()?.next().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// `APPID:SECRET` or `APPID:SECRET:KIND`, in letters and digits that need no quoting anywhere.
fn sim_app(text: &str) -> Result<SimApp, String> {
    let is_plain = |text: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !text.is_empty() && text.bytes().all(is_allowed)
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (app_id, secret, kind) = match *parts.as_slice() {
        [app_id, secret] => (app_id, secret, KINDS.first()),
        [app_id, secret, word] => (app_id, secret, KINDS.iter().find(|kind| kind.word == word)),
        _ => ("", "", None),
    };
    match kind {
        Some(kind) if AppId::parse(app_id).is_some() && is_plain(secret) => Ok(SimApp {
            app_id: app_id.to_owned(),
            secret: secret.to_owned(),
            kind: *kind,
        }),
        _ => Err("an appid, a colon and a secret; letters, digits, `-` and `_` only; then maybe a colon and a kind".to_owned()),
    }
}

/// What to tell people. Between the two comments stands what a configuration needs.
fn sim_banner(url: &str, apps: &[SimApp]) -> String {
    let mut sections = String::new();
    for (number, app) in (1..).zip(apps) {
        let SimApp {
            app_id,
            secret,
            kind,
        } = app;
        let is_first = apps.iter().position(|other| other.kind == *kind) == Some(number - 1);
        let name = match is_first {
            true => kind.name.to_owned(),
            false => format!("app{number}"),
        };
        let kind = kind.word;
        sections.push_str(&format!(
            "[wechat.{name}]\nkind = \"{kind}\"\napp_id = \"{app_id}\"\nsecret = \"{secret}\"\n\n"
        ));
    }
    let accounts = apps.iter().filter(|app| app.kind.name == "main");
    if accounts.count() > 1 {
        sections.push_str("[login]\ninside_wechat = \"main\"\n\n");
    }
    format!(
        "wxgate sim: a simulated WeChat, loopback only. Its phone: {url}/phone\n\n\
         # In the configuration of the gateway:\n\n\
         {sections}[wechat_api]\nbase_url = \"{url}\"\nopen_url = \"{url}\"\n\n\
         # Serve with: wxgate run --allow-simulator\n\
         Press Ctrl-C to stop.\n"
    )
}
