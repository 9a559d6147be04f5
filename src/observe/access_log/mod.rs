//! One line per request.
//!
//! A line is formatted where the request ends and appended to a buffer; a thread of its own writes the buffer in batches.
//! A request never waits for a disk or a pipe.

use std::io::{self, IsTerminal};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use super::{AccessLogSettings, Format, Metrics};

mod combined;
mod json;
mod numbers;
mod prepared;
mod query;
#[cfg(test)]
mod tests;
mod text;
mod writer;

use writer::Writer;

pub use numbers::write_address;
pub use prepared::{LoggedRoute, LoggedVisitor};

/// Room for a usual line, so that formatting it takes one allocation.
const LINE_BYTES: usize = 768;
/// The longest path and query that a line shows.
const LONGEST_TARGET: usize = 2048;

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, opened again on SIGUSR1.
    File(PathBuf),
}

/// How much of the query is shown. `code`, `state`, `ticket` and tokens never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryDetail {
    /// Nothing.
    None,
    /// Only the names.
    Keys,
    /// Names and values.
    Full,
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineShape {
    /// As the log of the program itself.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
    /// For tools that read the logs of web servers.
    Combined,
}

/// Everything one line says. `None` and empty text are left out.
#[derive(Clone, Debug)]
pub struct AccessRecord<'a> {
    /// When the head of the request was complete.
    pub received: SystemTime,
    /// Names the request: printable ASCII without quotes and backslash.
    pub request_id: &'a str,
    /// Names the trace that the request belongs to.
    pub trace_id: Option<&'a str>,
    /// The listener's name or address.
    pub listener: &'a str,
    /// The visitor's address.
    pub client_ip: IpAddr,
    /// What kind of browser, like `wechat-android`.
    pub client: &'a str,
    /// The method: a token, so no character of it needs an escape.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The host asked for.
    pub host: &'a str,
    /// The path as it was judged.
    pub path: &'a str,
    /// The raw query without `?`; what of it is shown is the log's decision.
    pub query: Option<&'a str>,
    /// Like `HTTP/1.1`.
    pub protocol: &'a str,
    /// The route's name and level.
    pub route: &'a LoggedRoute,
    /// What was decided.
    pub decision: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Who asked, where somebody was logged in.
    pub visitor: Option<&'a LoggedVisitor>,
    /// What the client got.
    pub status: u16,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// From the request's head to the end of the answer.
    pub duration: Duration,
    /// The upstream's name.
    pub upstream: Option<&'a str>,
    /// `host:port` of the server that answered.
    pub upstream_server: Option<&'a str>,
    /// What the upstream said.
    pub upstream_status: Option<u16>,
    /// How long the head of the upstream's answer took.
    pub upstream_duration: Option<Duration>,
    /// A callback that came again.
    pub replay: bool,
    /// How many headers were dropped because only we may set them.
    pub stripped_headers: u32,
    /// Where the visitor came from, as sent. Only where [`AccessLog::quotes_headers`].
    pub referer: Option<&'a [u8]>,
    /// The visitor's browser, as sent. Likewise.
    pub user_agent: Option<&'a [u8]>,
}

/// The log: lines are handed to a thread of its own, in order, and dropped (counted) when it cannot keep up.
///
/// Dropping it writes what is left, for two seconds at most.
#[derive(Debug)]
pub struct AccessLog {
    /// `None` where the log is switched off.
    active: Option<Active>,
}

#[derive(Debug)]
struct Active {
    writer: Writer,
    /// Never [`LineShape::Auto`].
    shape: LineShape,
    query: QueryDetail,
    /// Share of the lines of public routes that are written.
    sample: f64,
    /// How many such lines there could have been.
    sampled: AtomicU32,
}

impl AccessLog {
    /// Opens the output and starts the thread. `None` gives a log that takes lines and writes nothing. Blocking file access.
    pub fn start(
        settings: Option<AccessLogSettings>,
        format: Format,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let Some(settings) = settings else {
            return Ok(Self { active: None });
        };
        let terminal = settings.output == Output::Stdout && io::stdout().is_terminal();
        let writer = Writer::start(settings.output, metrics)?;
        let shape = match settings.shape {
            LineShape::Auto if format.is_text(terminal) => LineShape::Text,
            LineShape::Auto => LineShape::Json,
            shape => shape,
        };
        Ok(Self {
            active: Some(Active {
                writer,
                shape,
                query: settings.query,
                sample: settings.sample,
                sampled: AtomicU32::new(0),
            }),
        })
    }

    /// Whether lines show headers of the visitor.
    pub fn quotes_headers(&self) -> bool {
        let shape = self.active.as_ref().map(|active| active.shape);
        shape == Some(LineShape::Combined)
    }

    /// Takes one line. Never waits for the output.
    pub fn record(&self, record: &AccessRecord<'_>) {
        let Some(active) = &self.active else { return };
        if active.leaves_out(record) {
            return;
        }
        let mut line = Vec::with_capacity(LINE_BYTES);
        match active.shape {
            LineShape::Combined => combined::write(&mut line, record, active.query),
            LineShape::Text => text::write(&mut line, record, active.query),
            LineShape::Json | LineShape::Auto => json::write(&mut line, record, active.query),
        }
        active.writer.append(&line);
    }

    /// Opens the file again, after somebody moved it away. Where that fails, the old file stays in use. Blocking file access.
    pub fn reopen(&self) -> io::Result<()> {
        match &self.active {
            Some(active) => active.writer.reopen(),
            None => Ok(()),
        }
    }

    /// Writes what is left and ends the thread; waits two seconds at most. Lines taken later are lost.
    pub fn close(&self) {
        if let Some(active) = &self.active {
            active.writer.close();
        }
    }
}

impl Active {
    /// Whether this is one of those that the operator wants only a share of: public, and nothing went wrong. The others stand
    /// evenly between those that are written.
    fn leaves_out(&self, record: &AccessRecord<'_>) -> bool {
        if self.sample >= 1.0 || record.decision != "public" || record.status >= 400 {
            return false;
        }
        let before = f64::from(self.sampled.fetch_add(1, Ordering::Relaxed));
        (before * self.sample).floor() >= ((before + 1.0) * self.sample).floor()
    }
}

/// At most [`LONGEST_TARGET`] bytes of a text, cut between characters; says whether something is missing.
fn shorten(text: &str) -> (&str, bool) {
    if text.len() <= LONGEST_TARGET {
        return (text, false);
    }
    let mut end = LONGEST_TARGET;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (&text[..end], true)
}
