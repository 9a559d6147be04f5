//! The real program, as an operator runs it.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use super::tools::wxgate_after;
use super::{APP_ID, APP_SECRET, KeepAlive, Program, Reply, eventually};

/// What a test changes about the configuration and the command line.
pub(crate) struct ProcessSetup {
    /// Where it listens.
    pub(crate) listen: String,
    /// Lines of `[server]` beside the necessary ones.
    pub(crate) server: String,
    /// Whole sections.
    pub(crate) sections: String,
    /// Arguments of `run`.
    pub(crate) arguments: &'static [&'static str],
    /// The most file descriptors it may have.
    pub(crate) descriptors: Option<u32>,
    /// Environment variables beside the necessary ones.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Default for ProcessSetup {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            server: String::new(),
            sections: String::new(),
            arguments: &[],
            descriptors: None,
            variables: Vec::new(),
        }
    }
}

impl ProcessSetup {
    /// The configuration of a gateway in front of this site, everything public, whose state is in this folder.
    pub(crate) fn config(&self, site: &str, folder: &Path) -> String {
        let Self {
            listen,
            server,
            sections,
            ..
        } = self;
        let state = folder.join("state");
        let state = state.display();
        format!(
            r#"
            version = 1
            state_dir = "{state}"

            [server]
            public_url = "https://www.example.test"
            listen = "{listen}"
            {server}

            [wechat.main]
            kind = "service-account"
            app_id = "{APP_ID}"
            secret = "env:WXGATE_TEST_SECRET"

            [admin]
            listen = "127.0.0.1:0"

            [access_log]
            enabled = false
            {sections}

            [[routes]]
            name = "all"
            path = "/"
            auth = "public"
            upstream = "{site}"
            "#
        )
    }

    /// `wxgate run` with the configuration in this folder.
    fn command(&self, folder: &Path) -> Command {
        // Where a file may not grow, the program shall see an error and not a signal.
        let mut shell = "trap '' XFSZ".to_owned();
        if let Some(most) = self.descriptors {
            shell.push_str(&format!("; ulimit -n {most}"));
        }
        let config = folder.join("config.toml");
        let mut command = wxgate_after(&shell, &["run", "--config"], folder);
        command
            .arg(config)
            .args(self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("WXGATE_TEST_SECRET", APP_SECRET);
        command
    }
}

/// A running `wxgate run`; killed when dropped.
pub(crate) struct Process {
    program: Program,
    folder: TempDir,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Process {
    /// In front of this site, everything public.
    pub(crate) async fn start(site: &str) -> Self {
        Self::with(site, |_| ()).await
    }

    /// With a changed setup.
    pub(crate) async fn with(site: &str, change: impl FnOnce(&mut ProcessSetup)) -> Self {
        let mut setup = ProcessSetup::default();
        change(&mut setup);
        let folder = TempDir::new().unwrap();
        let config = setup.config(site, folder.path());
        Self::run(folder, &config, &setup).await
    }

    /// With any configuration, at a simulator.
    pub(crate) async fn configured(config: &str) -> Self {
        let setup = ProcessSetup {
            arguments: &["--allow-simulator"],
            ..ProcessSetup::default()
        };
        Self::run(TempDir::new().unwrap(), config, &setup).await
    }

    async fn run(folder: TempDir, config: &str, setup: &ProcessSetup) -> Self {
        let path = folder.path().join("config.toml");
        fs::write(&path, config).unwrap();
        // It may hold a secret.
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let program = Program::start(setup.command(folder.path()));
        program.says("ready in ", 1).await;
        let report = program.errors();
        Self {
            program,
            folder,
            address: announced(&report, "listening on ")[0],
            admin: announced(&report, "health and metrics on ")[0],
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where each public listener listens.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        announced(&self.report(), "listening on ")
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Replaces the configuration.
    pub(crate) fn configure(&self, site: &str, change: impl FnOnce(&mut ProcessSetup)) {
        let mut setup = ProcessSetup::default();
        change(&mut setup);
        self.write_config(&setup.config(site, self.folder.path()));
    }

    /// Replaces the configuration with any text.
    pub(crate) fn write_config(&self, text: &str) {
        fs::write(self.config_path(), text).unwrap();
    }

    /// The configuration as it is now.
    pub(crate) fn config(&self) -> String {
        fs::read_to_string(self.config_path()).unwrap()
    }

    pub(crate) fn remove_config(&self) {
        fs::remove_file(self.config_path()).unwrap();
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.state_path("config.toml")
    }

    /// A file beside the configuration.
    pub(crate) fn state_path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Where the configuration is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn id(&self) -> u32 {
        self.program.id()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        self.program.signal(name);
    }

    /// What it has said so far, on standard error.
    pub(crate) fn report(&self) -> String {
        self.program.errors()
    }

    /// The lines in JSON that it has said so far.
    pub(crate) async fn events(&self) -> Vec<serde_json::Value> {
        // What is in the pipe already is taken while others have their turn.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let report = self.report();
        let lines = report.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits until it says this, perhaps before it ends.
    pub(crate) async fn says(&self, words: &str) {
        self.program.says(words, 1).await;
    }

    /// Waits until it has said this so many times.
    pub(crate) async fn says_times(&self, words: &str, times: usize) {
        self.program.says(words, times).await;
    }

    /// Waits until it takes no more connections.
    pub(crate) async fn refuses(&self) {
        eventually("connections are refused", async || {
            tokio::net::TcpStream::connect(self.address).await.is_err()
        })
        .await;
    }

    /// Waits for its end.
    pub(crate) async fn exit_code(&mut self) -> i32 {
        self.program.exit_code().await
    }

    /// Ends it by SIGTERM; standard output and standard error.
    pub(crate) async fn stop(mut self) -> (String, String) {
        self.signal("TERM");
        self.exit_code().await;
        (self.program.output(), self.report())
    }

    /// Ends it as `kill -9` does.
    pub(crate) async fn kill(self) {
        self.program.kill().await;
    }

    /// One answer of the admin listener.
    pub(crate) async fn admin(&self, path: &str) -> Reply {
        KeepAlive::open(self.admin).await.get(path).await
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> String {
        let metrics = self.admin("/metrics").await;
        let line = metrics.text().lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(' ')?;
            Some(value.to_owned())
        });
        line.unwrap_or_else(|| panic!("no {name}: {}", metrics.text()))
    }

    /// Waits until readiness is answered with this status.
    pub(crate) async fn is_ready_with(&self, status: u16) {
        eventually("readiness", async || {
            self.admin("/readyz").await.status == status
        })
        .await;
    }

    /// The most memory it ever used, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kilobytes.parse::<u64>().unwrap() * 1024
    }
}

/// Every address that the report announces with these words.
fn announced(report: &str, words: &str) -> Vec<SocketAddr> {
    let lines = report.lines();
    let found = lines.filter_map(|line| line.strip_prefix(words));
    found.map(|address| address.parse().unwrap()).collect()
}
