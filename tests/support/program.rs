//! A program that goes on running beside this process: the real binary, or a site in another language.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::tools::{PATIENCE, spawn};

/// Killed when dropped.
pub(crate) struct Program {
    child: Child,
    said: watch::Receiver<Vec<Line>>,
    /// How many lines [`Self::line`] has passed.
    read: usize,
}

/// A line that the program printed.
struct Line {
    output: Output,
    text: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Output {
    Standard,
    Error,
}

impl Program {
    #[track_caller]
    pub(crate) fn start(command: Command) -> Self {
        Self::start_with(Stdio::null(), command)
    }

    /// With something to read on standard input.
    #[track_caller]
    pub(crate) fn start_with(input: Stdio, mut command: Command) -> Self {
        let mut child = spawn(&mut command, input);
        let (sender, said) = watch::channel(Vec::new());
        let (output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        tokio::spawn(note_lines(Output::Standard, output, sender.clone()));
        tokio::spawn(note_lines(Output::Error, errors, sender));
        Self {
            child,
            said,
            read: 0,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it has ended")
    }

    /// The next line, on either output, with these words in it.
    pub(crate) async fn line(&mut self, words: &str) -> String {
        let mut read = self.read;
        let has_line = |said: &Vec<Line>| {
            let found = said[read..]
                .iter()
                .position(|line| line.text.contains(words));
            found.inspect(|index| read += index + 1).is_some()
        };
        // An error means that it has ended.
        let is_found = timeout(PATIENCE, self.said.wait_for(has_line)).await;
        let is_found = is_found.is_ok_and(|found| found.is_ok());
        assert!(is_found, "no line with `{words}`: {}", self.printed());
        self.read = read;
        self.said.borrow()[read - 1].text.clone()
    }

    /// What follows these words on a line.
    pub(crate) async fn word_after(&mut self, words: &str) -> String {
        let line = self.line(words).await;
        let (_, rest) = line.split_once(words).unwrap();
        rest.split_whitespace().next().unwrap().to_owned()
    }

    /// Waits until it has said this so many times on standard error, perhaps before it ended.
    pub(crate) async fn says(&self, words: &str, times: usize) {
        let is_enough = |said: &Vec<Line>| {
            let errors = said.iter().filter(|line| line.output == Output::Error);
            let counts = errors.map(|line| line.text.matches(words).count());
            counts.sum::<usize>() >= times
        };
        let mut said = self.said.clone();
        let is_said = timeout(PATIENCE, said.wait_for(is_enough)).await;
        let is_said = is_said.is_ok_and(|said| said.is_ok());
        assert!(is_said, "`{words}` not said: {}", self.errors());
    }

    /// Everything it has printed so far, on both outputs.
    pub(crate) fn printed(&self) -> String {
        self.lines(|_| true)
    }

    /// What it has printed so far on standard output.
    pub(crate) fn output(&self) -> String {
        self.lines(|output| output == Output::Standard)
    }

    /// What it has printed so far on standard error.
    pub(crate) fn errors(&self) -> String {
        self.lines(|output| output == Output::Error)
    }

    fn lines(&self, is_wanted: fn(Output) -> bool) -> String {
        let said = self.said.borrow();
        let wanted = said.iter().filter(|line| is_wanted(line.output));
        wanted.flat_map(|line| [line.text.as_str(), "\n"]).collect()
    }

    /// Waits until somebody accepts connections there.
    pub(crate) async fn listening(mut self, address: SocketAddr) -> Self {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!(
                    "ended with {status}: {}\nif something is missing: run tests/run, which installs it",
                    self.printed()
                );
            }
            assert!(Instant::now() < deadline, "nobody listens on {address}");
            sleep(std::time::Duration::from_millis(20)).await;
        }
        self
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        let sent = std::process::Command::new("sh")
            .args(["-c", &kill])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end, and for its last word.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("still running: {}", self.printed()));
        // There is nobody left to say anything when this fails.
        let _ = timeout(PATIENCE, self.said.wait_for(|_| false)).await;
        status.unwrap()
    }

    /// The same for a program that must end by itself.
    pub(crate) async fn exit_code(&mut self) -> i32 {
        let status = self.ended().await;
        status.code().unwrap_or_else(|| panic!("{status}"))
    }

    /// Sends SIGTERM and waits for the end; everything it printed.
    pub(crate) async fn terminate(mut self) -> (ExitStatus, String) {
        self.signal("TERM");
        (self.ended().await, self.printed())
    }

    /// Ends it as `kill -9` does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

async fn note_lines(
    output: Output,
    printed: impl AsyncRead + Unpin,
    said: watch::Sender<Vec<Line>>,
) {
    let mut lines = BufReader::new(printed).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        said.send_modify(|said| said.push(Line { output, text }));
    }
}
