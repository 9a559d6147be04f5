//! Programs that run to their end: the real binary, interpreters, tools of the system.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A busy machine may take long to start an interpreter.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A file of the project.
pub(crate) fn project(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// The real binary, away from any configuration of this machine.
pub(crate) fn wxgate(arguments: &[&str], folder: &Path) -> Command {
    of_ours(
        Command::new(env!("CARGO_BIN_EXE_wxgate")),
        arguments,
        folder,
    )
}

/// The same as a process that did this in a shell before.
pub(crate) fn wxgate_after(shell: &str, arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{shell}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_wxgate"));
    of_ours(command, arguments, folder)
}

fn of_ours(mut command: Command, arguments: &[&str], folder: &Path) -> Command {
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("WXGATE_CONFIG")
        .env("WXGATE_LANG", "en")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// What a command of ours said, and its exit code.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Runs it to its end.
    pub(crate) async fn of(mut command: Command) -> Self {
        let output = timeout(PATIENCE, command.output()).await;
        output.expect("it does not end").unwrap().into()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("ended by a signal"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a command of ours in this folder to its end.
pub(crate) async fn run(folder: &Path, arguments: &[&str]) -> Ran {
    Ran::of(wxgate(arguments, folder)).await
}

/// The Python that has the packages of `tests/requirements.txt`.
pub(crate) fn python() -> Command {
    Command::new(std::env::var_os("WXGATE_TEST_PYTHON").unwrap_or_else(|| "python3".into()))
}

/// Starts a program whose outputs are read here; it is killed when dropped.
#[track_caller]
pub(crate) fn spawn(command: &mut Command, input: Stdio) -> Child {
    command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("{error}: {command:?}\nrun tests/run, which installs it"),
    }
}

/// Runs an interpreter to its end and returns what it printed. A program or package that is missing fails the test.
pub(crate) async fn run_tool(mut command: Command, input: &str) -> String {
    let mut child = spawn(&mut command, Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    let (written, output) = tokio::join!(
        async {
            let written = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
            written
        },
        timeout(PATIENCE, child.wait_with_output()),
    );
    let output = output.expect("it does not end").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {errors}\nif something is missing: run tests/run, which installs it"
    );
    written.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Debian's nginx with these `server` blocks; writes into the folder only.
pub(crate) fn nginx(servers: &str, folder: &Path) -> Command {
    let path = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {path}/{kind};\n"))
        .concat();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{servers}}}\n"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-p").arg(folder).arg("-c").arg(file);
    command
}

/// An address for a program that must be told one before it listens.
///
/// Every other test asks the system for a port and could get this one before the program does. So it is taken from below
/// the range that the system gives out, at a place that differs each time.
pub(crate) fn free_address() -> SocketAddr {
    loop {
        let given = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = 20_000 + given.local_addr().unwrap().port() % 10_000;
        if let Ok(free) = TcpListener::bind(("127.0.0.1", port)) {
            return free.local_addr().unwrap();
        }
    }
}
