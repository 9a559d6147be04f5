//! The real program, as an operator runs it.

use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Whoever takes longer to start or to stop never does.
const PATIENCE: Duration = Duration::from_secs(20);

/// `wxgate run` with everything it says; killed when dropped.
pub(crate) struct Binary {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Binary {
    /// Starts it with this configuration and waits until it is ready.
    pub(crate) async fn start(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, config).unwrap();
        // It holds a secret.
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let output = |name: &str| Stdio::from(File::create(folder.path().join(name)).unwrap());
        // Where a file may not grow, the program shall see an error and not a signal.
        let mut child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_wxgate"))
            .args(["run", "--allow-simulator", "--config"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        let errors = folder.path().join("stderr");
        let said = loop {
            let said = fs::read_to_string(&errors).unwrap();
            if said.contains("ready in ") {
                break said;
            }
            assert_eq!(child.try_wait().unwrap(), None, "{said}");
            assert!(Instant::now() < deadline, "not ready: {said}");
            sleep(Duration::from_millis(10)).await;
        };
        let address = |start: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(start));
            line.unwrap().parse().unwrap()
        };
        Self {
            address: address("listening on "),
            admin: address("health and metrics on "),
            child,
            folder,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Its configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it has ended")
    }

    /// Ends it by SIGTERM; standard output and standard error.
    pub(crate) async fn stop(mut self) -> (String, String) {
        let id = self.id().to_string();
        let killed = Command::new("kill").arg(&id).status().await.unwrap();
        assert!(killed.success());
        timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        (self.said("stdout"), self.said("stderr"))
    }

    /// The lines in JSON that it has said on standard error so far.
    pub(crate) fn events(&self) -> Vec<serde_json::Value> {
        let said = self.said("stderr");
        // The last one may be half written.
        said.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    fn said(&self, name: &str) -> String {
        let path: PathBuf = Path::new(self.folder.path()).join(name);
        fs::read_to_string(path).unwrap()
    }
}
