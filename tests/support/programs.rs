//! Programs beside this process: the real binary, interpreters, sites in other languages.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

/// A busy machine may take long to start an interpreter.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file of the project.
pub(crate) fn project(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// The real binary, away from any configuration of this machine.
pub(crate) fn wxgate(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wxgate"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("WXGATE_CONFIG")
        .env("WXGATE_LANG", "en");
    command
}

/// The Python that has the packages of `tests/requirements.txt`.
pub(crate) fn python() -> Command {
    Command::new(std::env::var_os("WXGATE_TEST_PYTHON").unwrap_or_else(|| "python3".into()))
}

/// Runs an interpreter to its end and returns what it printed. A program or package that is missing fails the test.
pub(crate) async fn run_tool(mut command: Command, input: &str) -> String {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("{error}: {command:?}\nrun tests/run, which installs it"),
    };
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

/// A running program; killed when dropped.
pub(crate) struct Program {
    child: Child,
    lines: UnboundedReceiver<String>,
    printed: Vec<String>,
}

impl Program {
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{error}: {command:?}\nrun tests/run, which installs it"),
        };
        let (sender, lines) = unbounded_channel();
        copy_lines(child.stdout.take().unwrap(), sender.clone());
        copy_lines(child.stderr.take().unwrap(), sender);
        Self {
            child,
            lines,
            printed: Vec::new(),
        }
    }

    /// The next line, on either output, with these words in it.
    pub(crate) async fn line(&mut self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(Some(line)) = tokio::time::timeout_at(deadline, self.lines.recv()).await {
            self.printed.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
        panic!("no line with {words:?} in {:#?}", self.printed)
    }

    /// What follows these words on a line.
    pub(crate) async fn word_after(&mut self, words: &str) -> String {
        let line = self.line(words).await;
        let (_, rest) = line.split_once(words).unwrap();
        rest.split_whitespace().next().unwrap().to_owned()
    }

    /// Everything it printed so far, as far as it was read.
    pub(crate) fn printed(&self) -> String {
        self.printed.join("\n")
    }

    /// Waits until somebody accepts connections there.
    pub(crate) async fn listening(mut self, address: SocketAddr) -> Self {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                while let Some(line) = self.lines.recv().await {
                    self.printed.push(line);
                }
                panic!(
                    "ended with {status}: {:#?}\nif something is missing: run tests/run, which installs it",
                    self.printed
                );
            }
            assert!(Instant::now() < deadline, "nobody listens on {address}");
            sleep(Duration::from_millis(20)).await;
        }
        self
    }

    /// Sends SIGTERM and waits for the end; returns the rest of what it printed as well.
    pub(crate) async fn terminate(mut self) -> (ExitStatus, String) {
        let id = self.child.id().expect("it ended before");
        let mut kill = Command::new("sh");
        kill.args(["-c", &format!("kill -TERM {id}")]);
        assert!(kill.status().await.unwrap().success());
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.expect("it does not stop").unwrap();
        while let Some(line) = self.lines.recv().await {
            self.printed.push(line);
        }
        (status, self.printed())
    }
}

fn copy_lines(output: impl AsyncRead + Unpin + Send + 'static, sender: UnboundedSender<String>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            // Nobody reads on when the test has ended.
            let _ = sender.send(line);
        }
    });
}
