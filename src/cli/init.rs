//! `init`: writes a first configuration, from options and from the answers to what they leave open.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;

use super::Global;
use crate::config::{Code, Document, Severity, Surroundings};

mod questions;

use questions::{APP_ID, AUTH, Asker, PUBLIC_URL, SECRET, UPSTREAM, web_url};

/// Arguments of `init`. What is not given is asked for on standard input, one answer a line.
#[derive(Debug, clap::Args)]
pub(super) struct InitArgs {
    /// What visitors type, such as `https://www.example.com`
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Where the site is, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// AppID of the service account
    #[arg(long, value_name = "APPID")]
    app_id: Option<String>,
    /// Where the AppSecret is: env:NAME, file:/path or cred:NAME; never the secret itself
    #[arg(long, value_name = "PLACE")]
    secret: Option<String>,
    /// Who gets in: base (everybody, once WeChat says who it is), userinfo (with nickname and avatar), optional (everybody)
    #[arg(long, value_name = "WORD")]
    auth: Option<String>,
    /// Ask nothing: take the defaults, and fail where there is none
    #[arg(long)]
    no_input: bool,
}

/// Everything the file needs.
struct Answers {
    public_url: String,
    upstream: String,
    app_id: String,
    secret: String,
    auth: String,
}

pub(super) fn init(args: InitArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let path = global.config.clone();
    let path = path.unwrap_or_else(|| PathBuf::from("config.toml"));
    if path.symlink_metadata().is_ok() {
        bail!(
            "`{}` is there already and stays as it is\ntry: another --config",
            path.display()
        );
    }
    let mut asker = Asker::new(!args.no_input);
    let answers = Answers {
        public_url: asker.answer(&PUBLIC_URL, args.public_url)?,
        upstream: asker.answer(&UPSTREAM, args.upstream)?,
        app_id: asker.answer(&APP_ID, args.app_id)?,
        secret: asker.answer(&SECRET, args.secret)?,
        auth: asker.answer(&AUTH, args.auth)?,
    };
    let text = answers.to_toml();
    let document = Document::new(text.clone(), &path);
    let secret_is_missing = match document.check(&Surroundings::of_process()) {
        Ok(_) => false,
        Err(problems) => {
            // The secret may come later; anything else must be right now.
            let errors = problems
                .iter()
                .filter(|one| one.severity() == Severity::Error);
            let mut codes = errors.map(|problem| problem.code);
            if !codes.all(|code| matches!(code, Code::NoVariable | Code::UnreadableFile)) {
                eprintln!("{}", problems.render_in(global.language(), false));
                bail!("nothing was written");
            }
            true
        }
    };
    write_new(&path, &text).with_context(|| format!("`{}` cannot be written", path.display()))?;
    report(&path, &answers, secret_is_missing, global);
    Ok(ExitCode::SUCCESS)
}

impl Answers {
    fn to_toml(&self) -> String {
        let text = |value: &str| toml_text(value);
        // Whoever ends TLS in front of us is on this machine: nobody else reaches a loopback address.
        let proxies = match self.public_url.starts_with("https:") {
            true => {
                "trusted_proxies = [\"127.0.0.1/32\"]   # the web server that ends TLS, on this machine\n"
            }
            false => "",
        };
        format!(
            "# wxgate configuration. Every key is in config.toml.example; after a change: wxgate check, then wxgate reload\n\
             version = 1\n\
             \n\
             [server]\n\
             public_url = {}   # its host must be the callback domain at WeChat\n\
             listen     = \"127.0.0.1:9500\"\n\
             {proxies}\n\
             [wechat.main]\n\
             kind   = \"service-account\"\n\
             app_id = {}\n\
             secret = {}\n\
             \n\
             # The file that WeChat gives you with the callback domain; its content is in its name.\n\
             # [verification_files]\n\
             # \"MP_verify_AbCdEf0123456789.txt\" = \"auto\"\n\
             \n\
             [[routes]]\n\
             name     = \"site\"\n\
             path     = \"/\"\n\
             auth     = {}   # public | optional | base | userinfo | deny\n\
             upstream = {}\n",
            text(&self.public_url),
            text(&self.app_id),
            text(&self.secret),
            text(&self.auth),
            text(&self.upstream),
        )
    }
}

/// A basic string of TOML.
fn toml_text(value: &str) -> String {
    let mut text = String::from("\"");
    for letter in value.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            letter if letter.is_control() => {
                text.push_str(&format!("\\u{:04X}", u32::from(letter)));
            }
            letter => text.push(letter),
        }
    }
    text.push('"');
    text
}

/// Never replaces anything.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// What is done and what comes next.
fn report(path: &Path, answers: &Answers, secret_is_missing: bool, global: &Global) {
    let host = web_url(&answers.public_url).and_then(|url| url.host_str().map(str::to_owned));
    let host = host.unwrap_or_default();
    let config = match &global.config {
        Some(path) => format!(" -c {}", path.display()),
        None => String::new(),
    };
    let mut steps = Vec::new();
    if secret_is_missing {
        steps.push(format!(
            "put the AppSecret where the file looks for it: {}",
            answers.secret
        ));
    }
    steps.push(format!(
        "at mp.weixin.qq.com, ask for the web authorization domain (网页授权域名) {host}, and put the file that it gives you into \
         [verification_files] of {}",
        path.display()
    ));
    steps.push(format!("wxgate run{config}"));
    steps.push(format!(
        "press save at mp.weixin.qq.com: it fetches the file from {}",
        answers.public_url
    ));
    steps.push(format!(
        "wxgate doctor{config}   # asks WeChat and the way here whether everything fits"
    ));
    if global.json {
        let file = path.display().to_string();
        say!(
            "{}",
            json!({ "file": file, "secret_is_missing": secret_is_missing, "next": steps })
        );
        return;
    }
    say!("wrote {}", path.display());
    for (place, step) in steps.iter().enumerate() {
        say!("  {}. {step}", place + 1);
    }
}
