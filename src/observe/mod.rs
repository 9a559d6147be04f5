//! Logging set-up, masking of people's ids, metrics, access log, traces.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::secret::Secret;

mod access_log;
mod chain;
mod failures;
mod metrics;
mod trace;

pub use access_log::{AccessLog, AccessRecord, LoggedRoute, LoggedVisitor};
pub use access_log::{LineShape, Output, QueryDetail, write_address};
pub use chain::Chain;
pub use failures::{LoginFailure, WechatFailure};
pub use metrics::{
    ListenerMetrics, Metrics, RouteMetrics, StoreMetrics, StoreOperation, UpstreamMetrics,
    method_label,
};
pub use trace::{
    AttributeValue, Attributes, OpenSpan, Parent, SetupError, SpanKind, TRACEPARENT, TRACESTATE,
    Trace, TraceSettings, Tracer,
};

/// Libraries whose lines can hold URLs with secrets, header values or keys below `warn`. Each name covers everything that
/// begins with it.
const CAPPED_LIBRARIES: &[&str] = &["hyper", "reqwest", "rustls", "h2", "tower", "mio", "tokio"];

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Level,
    /// Text or JSON.
    pub format: Format,
    /// How ids of people appear; whoever starts the program makes an [`IdentityMask`] of it.
    pub identity: IdentityMode,
    /// `None` switches the access log off.
    pub access_log: Option<AccessLogSettings>,
    /// `None` switches tracing off.
    pub trace: Option<TraceSettings>,
}

/// Text or JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Format {
    /// Whether lines are for people, where `terminal` says if there is one at the other end.
    fn is_text(self, terminal: bool) -> bool {
        match self {
            Self::Auto => terminal,
            Self::Text => true,
            Self::Json => false,
        }
    }
}

/// How ids of people are to appear, as the operator chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityMode {
    /// The first two and the last two characters.
    Masked,
    /// An HMAC with the key in this file, which is made on first start.
    Hash {
        /// The file (mode 0600).
        key_file: PathBuf,
    },
    /// As they are.
    Full,
}

/// How openid and unionid appear in logs.
#[derive(Clone, Debug)]
pub enum IdentityMask {
    /// The first two and the last two characters.
    Masked,
    /// An HMAC with a key of the installation, so that support can find a person again.
    Hash(Secret<String>),
    /// As they are.
    Full,
}

/// Where the access log goes, and what it looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLogSettings {
    /// Standard output or a file.
    pub output: Output,
    /// What a line looks like.
    pub shape: LineShape,
    /// Share of the requests on public routes without an error that are written, from 0 to 1.
    pub sample: f64,
    /// How much of the query is shown.
    pub query: QueryDetail,
}

impl IdentityMask {
    /// Reads or makes the key of the installation, where the mode needs one. Blocking file access.
    pub fn open(mode: &IdentityMode) -> io::Result<Self> {
        match mode {
            IdentityMode::Masked => Ok(Self::Masked),
            IdentityMode::Full => Ok(Self::Full),
            IdentityMode::Hash { key_file } => mask_key(key_file).map(Self::Hash),
        }
    }

    /// The id as it may appear in a log or on a page.
    ///
    /// A hash is 16 hex digits. Ids of less than 12 characters are masked whole: too little would be hidden.
    pub fn apply(&self, id: &str) -> String {
        match self {
            Self::Masked => mask(id),
            Self::Hash(key) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, key.reveal().as_bytes());
                let tag = hmac::sign(&key, id.as_bytes());
                data_encoding::HEXLOWER.encode(&tag.as_ref()[..8])
            }
            Self::Full => id.to_owned(),
        }
    }
}

fn mask_key(file: &Path) -> io::Result<Secret<String>> {
    let made = || -> io::Result<Secret<String>> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(io::Error::other)?;
        let key = data_encoding::HEXLOWER.encode(&key);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut created = options.open(file)?;
        created.write_all(key.as_bytes())?;
        created.sync_all()?;
        Ok(Secret::new(key))
    };
    match fs::read_to_string(file) {
        Ok(key) if key.len() >= 32 => Ok(Secret::new(key)),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "`{}` is damaged: remove it to make a new key",
                file.display()
            ),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => made(),
        Err(error) => Err(error),
    }
}

fn mask(id: &str) -> String {
    let letters: Vec<char> = id.chars().collect();
    match letters.as_slice() {
        [a, b, middle @ .., y, z] if middle.len() >= 8 => format!("{a}{b}…{y}{z}"),
        _ => "…".to_owned(),
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// Somebody set it up before, in this process.
    #[error("logging is set up already")]
    AlreadySet(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends everything that is logged to standard error from now on, for the whole process.
///
/// Libraries that see URLs and headers never say more than warnings, whatever the level: those would hold secrets.
pub fn start_logging(settings: &Settings) -> Result<LogLevel, LoggingError> {
    let terminal = io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = if settings.format.is_text(terminal) {
        let colors = terminal && std::env::var_os("NO_COLOR").is_none();
        lines.with_ansi(colors).boxed()
    } else {
        lines.json().flatten_event(true).with_ansi(false).boxed()
    };
    let (filter, level) = reload::Layer::new(allowed(settings.level));
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()?;
    Ok(LogLevel(level))
}

/// Changes how much is logged, while the program runs.
#[derive(Clone, Debug)]
pub struct LogLevel(reload::Handle<Targets, Registry>);

impl LogLevel {
    /// From now on lines up to this level are logged.
    pub fn change(&self, level: Level) {
        // Fails only when logging itself is gone.
        let _ = self.0.reload(allowed(level));
    }
}

/// What may be logged at a level.
fn allowed(level: Level) -> Targets {
    // Levels compare the other way round: `TRACE` is the greatest.
    let capped = level.min(Level::WARN);
    Targets::new()
        .with_default(LevelFilter::from_level(level))
        .with_targets(CAPPED_LIBRARIES.iter().map(|library| (*library, capped)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn masked_ids_show_four_characters_at_most() {
        for (id, shown) in [
            ("o6_bmasdasdsad6_2sgVt7hMZOPfL", "o6…fL"),
            ("123456789012", "12…12"),
            ("12345678901", "…"),
            ("", "…"),
        ] {
            assert_eq!(IdentityMask::Masked.apply(id), shown);
        }
    }

    #[test]
    fn hashed_ids_depend_on_the_key_and_stay_the_same() {
        let mask = |key: &str| IdentityMask::Hash(Secret::new(key.to_owned()));

        let hashed = mask("one").apply("o6_bmasdasdsad6");

        assert_eq!(hashed.len(), 16);
        assert_eq!(mask("one").apply("o6_bmasdasdsad6"), hashed);
        assert_ne!(mask("two").apply("o6_bmasdasdsad6"), hashed);
    }

    #[test]
    fn libraries_that_see_secrets_say_only_warnings_even_at_trace() {
        let filter = allowed(Level::TRACE);

        assert!(filter.would_enable("wxgate::login", &Level::TRACE));
        for library in [
            "hyper::proto",
            "hyper_util::client",
            "reqwest::connect",
            "rustls::conn",
            "h2::frame",
        ] {
            assert!(!filter.would_enable(library, &Level::INFO), "{library}");
            assert!(filter.would_enable(library, &Level::WARN), "{library}");
        }
        assert!(!allowed(Level::ERROR).would_enable("hyper::proto", &Level::WARN));
    }

    #[test]
    fn automatic_format_is_text_only_on_a_terminal() {
        assert!(Format::Auto.is_text(true));
        assert!(!Format::Auto.is_text(false));
        assert!(Format::Text.is_text(false));
        assert!(!Format::Json.is_text(true));
    }

    #[test]
    fn logging_is_set_up_once_in_a_process() {
        let settings = Settings {
            level: Level::ERROR,
            format: Format::Json,
            identity: IdentityMode::Masked,
            access_log: None,
            trace: None,
        };

        let _ = start_logging(&settings);

        let error = start_logging(&settings).unwrap_err();
        assert_eq!(error.to_string(), "logging is set up already");
    }
}
