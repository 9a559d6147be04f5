//! The real program, as an operator runs it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Child;

use super::{KeepAlive, Reply, eventually};

/// What a test changes about the configuration and the command line.
#[derive(Default)]
pub(crate) struct ProcessSetup {
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

/// A running `wxgate run`; killed when dropped.
pub(crate) struct Process {
    child: Child,
    report: Arc<Mutex<String>>,
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
        let path = folder.path().join("config.toml");
        std::fs::write(&path, config(&folder, site, &setup)).unwrap();
        let mut child = command(&setup)
            .arg("run")
            .args(setup.arguments)
            .arg("--config")
            .arg(&path)
            .spawn()
            .unwrap();
        let report = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::clone(&report);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = log.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut process = Self {
            child,
            report,
            folder,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        process.says("ready in").await;
        process.address = process.announced("listening on ");
        process.admin = process.announced("health and metrics on ");
        process
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where each public listener listens.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let report = self.report();
        let lines = report.lines();
        let found = lines.filter_map(|line| line.strip_prefix("listening on "));
        found.map(|address| address.parse().unwrap()).collect()
    }

    /// Replaces the configuration.
    pub(crate) fn configure(&self, site: &str, change: impl FnOnce(&mut ProcessSetup)) {
        let mut setup = ProcessSetup::default();
        change(&mut setup);
        self.write_config(&config(&self.folder, site, &setup));
    }

    /// Replaces the configuration with any text.
    pub(crate) fn write_config(&self, text: &str) {
        std::fs::write(self.config_path(), text).unwrap();
    }

    /// The configuration as it is now.
    pub(crate) fn config(&self) -> String {
        std::fs::read_to_string(self.config_path()).unwrap()
    }

    pub(crate) fn remove_config(&self) {
        std::fs::remove_file(self.config_path()).unwrap();
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// A file beside the configuration.
    pub(crate) fn state_path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {id}")])
            .status();
        assert!(sent.unwrap().success());
    }

    fn id(&self) -> u32 {
        self.child.id().expect("the process has ended")
    }

    /// What it has said so far, on standard error.
    pub(crate) fn report(&self) -> String {
        self.report.lock().unwrap().clone()
    }

    /// Waits until it says this.
    pub(crate) async fn says(&mut self, words: &str) {
        self.says_times(words, 1).await;
    }

    /// Waits until it has said this so many times.
    pub(crate) async fn says_times(&mut self, words: &str, times: usize) {
        for _ in 0..2000 {
            if self.report().matches(words).count() >= times {
                return;
            }
            assert_eq!(self.child.try_wait().unwrap(), None, "{}", self.report());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never said `{words}`: {}", self.report());
    }

    /// Waits until it has said this before it ended.
    pub(crate) async fn says_finally(&self, words: &str) {
        eventually(words, async || self.report().contains(words)).await;
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
        let ended = tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("still running: {}", self.report()));
        let status = status.unwrap();
        status.code().unwrap_or_else(|| panic!("{status}"))
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
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    fn announced(&self, before: &str) -> SocketAddr {
        let report = self.report();
        let address = report.lines().find_map(|line| line.strip_prefix(before));
        address
            .unwrap_or_else(|| panic!("{report}"))
            .parse()
            .unwrap()
    }
}

/// Runs the program with the arguments of [`Command`] until it ends: exit code, standard output, standard error.
pub(crate) async fn run_to_end(arguments: &[&str]) -> (i32, String, String) {
    let mut child = command(&ProcessSetup::default())
        .args(arguments)
        .spawn()
        .unwrap();
    let (mut output, mut errors) = (String::new(), String::new());
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (read_output, read_errors) = tokio::join!(
        stdout.read_to_string(&mut output),
        stderr.read_to_string(&mut errors)
    );
    read_output.unwrap();
    read_errors.unwrap();
    let status = child.wait().await.unwrap();
    (status.code().unwrap(), output, errors)
}

fn command(setup: &ProcessSetup) -> tokio::process::Command {
    let program = env!("CARGO_BIN_EXE_wxgate");
    let mut command = match setup.descriptors {
        None => tokio::process::Command::new(program),
        Some(most) => {
            let mut shell = tokio::process::Command::new("sh");
            shell.args([
                "-c",
                &format!("ulimit -n {most}; exec \"$0\" \"$@\""),
                program,
            ]);
            shell
        }
    };
    command
        .envs(setup.variables.iter().map(|(name, value)| (name, value)))
        .env("WXGATE_TEST_SECRET", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn config(folder: &TempDir, site: &str, setup: &ProcessSetup) -> String {
    let ProcessSetup {
        server, sections, ..
    } = setup;
    let state = folder.path().join("state");
    let state = state.display();
    format!(
        r#"
        version = 1
        state_dir = "{state}"

        [server]
        public_url = "https://www.example.test"
        listen = "127.0.0.1:0"
        {server}

        [wechat.main]
        kind = "service-account"
        app_id = "wx0123456789abcdef"
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
