//! What the benchmark and the training both need: a wxgate that runs, and a visitor who is logged in.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use http::header::{COOKIE, HOST, LOCATION, SET_COOKIE, USER_AGENT};
use wxgate::simulator::Simulator;

/// WeChat's browser on a phone.
pub(crate) const AGENT: &str = "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.188 Mobile Safari/537.36 XWEB/1260079 MMWEBSDK/20240501 MicroMessenger/8.0.50.2701 WeChat/arm64 Weixin NetType/WIFI Language/zh_CN ABI/arm64";

const APP_ID: &str = "wx0123456789abcdef";
const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A simulator that knows the app of [`config_of`].
pub(crate) async fn start_simulator() -> anyhow::Result<Simulator> {
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into()).await?;
    simulator.add_app(APP_ID, SECRET, &[]);
    Ok(simulator)
}

/// The part of a configuration that no measurement changes. Its last section is `[server]`, so that keys of it can follow.
pub(crate) fn config_of(folder: &Path, simulator: &Simulator) -> anyhow::Result<String> {
    let url = simulator.url();
    Ok(format!(
        "version = 1\nstate_dir = \"{state}\"\n\
         [wechat.main]\nkind = \"service-account\"\napp_id = \"{APP_ID}\"\nsecret = \"env:BENCH_SECRET\"\n\
         [wechat_api]\nbase_url = \"{url}\"\nopen_url = \"{url}\"\n\
         [access_log]\noutput = \"{log}\"\n\
         [admin]\nlisten = \"{admin}\"\n\
         [server]\n",
        state = folder.join("state").display(),
        log = folder.join("access.log").display(),
        admin = free_port()?,
    ))
}

/// Starts wxgate with this configuration in the folder and waits until it listens there. `command` is the program, with what
/// stands before it.
pub(crate) fn start_wxgate(
    mut command: Command,
    folder: &Path,
    config: &str,
    address: SocketAddr,
) -> anyhow::Result<Running> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join("config.toml");
    std::fs::write(&file, config)?;
    let child = command
        .args(["run", "--allow-simulator", "-c"])
        .arg(&file)
        .env("BENCH_SECRET", SECRET)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
    let mut running = Running(child);
    running.listens(address)?;
    Ok(running)
}

/// A process that ends with this value.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Waits until it listens there.
    pub(crate) fn listens(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.0.try_wait()? {
                bail!("the program for {address} does not start: {status}");
            }
            ensure!(Instant::now() < until, "nobody listens at {address}");
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Asks it to end, as an operator does, and waits for that.
    pub(crate) fn end(&mut self) -> anyhow::Result<ExitStatus> {
        // SIGTERM lets nginx end its worker and wxgate finish its work; a killed process would do neither.
        Command::new("kill").arg(self.0.id().to_string()).status()?;
        Ok(self.0.wait()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A process that was waited for has no id any more that could be somebody else's.
        if let Ok(None) = self.0.try_wait() {
            let _ = self.end();
        }
    }
}

/// Logs in as a visitor in WeChat would; the `Cookie` header afterwards, padded to a usual size with a cookie of the site.
/// Whoever asks for `public_url` is led to `address` instead.
pub(crate) async fn log_in(address: SocketAddr, public_url: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let host = public_url.split("//").nth(1).unwrap_or_default();
    let mut url = format!("{public_url}/");
    let mut cookies: Vec<String> = Vec::new();
    for _ in 0..6 {
        let request = match url.strip_prefix(public_url) {
            Some(target) => client
                .get(format!("http://{address}{target}"))
                .header(HOST, host)
                .header(COOKIE, cookies.join("; ")),
            None => client.get(&url),
        };
        let request = request
            .header(USER_AGENT, AGENT)
            .header("accept", "text/html");
        let answer = request.send().await?;
        if url.starts_with(public_url) {
            for cookie in answer.headers().get_all(SET_COOKIE) {
                let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
                cookies.push(pair.to_owned());
            }
        }
        match answer.headers().get(LOCATION) {
            Some(location) => url = reqwest::Url::parse(&url)?.join(location.to_str()?)?.into(),
            None => break,
        }
    }
    let session = cookies
        .iter()
        .rfind(|cookie| cookie.starts_with("wxgate=") || cookie.starts_with("__Host-wxgate="))
        .context("no session cookie")?;
    Ok(format!("{session}; site={}", "s".repeat(64)))
}

pub(crate) fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
