//! Reads values of the file with their places; every mistake becomes a problem, none ends the reading.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::code::Code;
use super::overrides::Overlay;
use super::place::Place;
use super::problem::Problem;
use super::show::Shown;
use super::surroundings::{self, Surroundings};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node<'n, 'i> {
    pub(super) value: &'n DeValue<'i>,
    pub(super) place: Place,
}

/// Something that can stand behind a key.
pub(super) trait FileValue: Sized {
    /// Completes "must be …".
    const WANTS: &'static str;
    /// Whether it is a table, which an array holds as `[[name]]`.
    const IS_TABLE: bool = false;

    /// Reads it. `None` means that it is broken and that a problem says so.
    fn read(node: &Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self>;

    /// Describes it for editors.
    fn schema() -> Json;

    /// As `config show` prints it.
    fn show(&self) -> Shown;
}

/// Where a text came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Written in the file.
    Plain,
    /// Named by `env:`, `file:` or `cred:`, or itself an environment variable.
    Referred,
}

/// What reading a file collects.
#[derive(Debug)]
pub(super) struct Reader<'r> {
    pub(super) surroundings: &'r Surroundings,
    /// The whole file, and the overrides behind it.
    pub(super) document: &'r str,
    /// Where the overrides begin.
    overrides_start: usize,
    /// Relative paths begin here.
    pub(super) folder: PathBuf,
    /// Everybody on the machine can read the file.
    pub(super) is_exposed: bool,
    pub(super) problems: Vec<Problem>,
    /// Where plain-text secrets stand.
    pub(super) secrets: Vec<Range<usize>>,
    /// What each key names whose text lies elsewhere: `env:NAME`, `file:/path` or `cred:NAME`.
    pub(super) references: BTreeMap<String, String>,
}

impl<'r> Reader<'r> {
    pub(super) fn new(
        overlay: &'r Overlay,
        source: &Path,
        is_exposed: bool,
        surroundings: &'r Surroundings,
    ) -> Self {
        Self {
            surroundings,
            document: &overlay.text,
            overrides_start: overlay.start,
            folder: source.parent().map(Path::to_path_buf).unwrap_or_default(),
            is_exposed,
            problems: Vec::new(),
            secrets: Vec::new(),
            references: BTreeMap::new(),
        }
    }

    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Reads text, following `env:`, `file:` and `cred:`.
    pub(super) fn text(&mut self, node: &Node<'_, '_>, wants: &str) -> Option<(String, Origin)> {
        let DeValue::String(text) = node.value else {
            self.wrong_type(node, wants);
            return None;
        };
        let referred = if let Some(name) = text.strip_prefix("env:") {
            self.variable(name, &node.place)
        } else if let Some(path) = text.strip_prefix("file:") {
            self.file(path, &node.place)
        } else if let Some(name) = text.strip_prefix("cred:") {
            self.credential(name, &node.place)
        } else {
            let is_override = node.place.span.start >= self.overrides_start;
            let origin = match is_override {
                true => Origin::Referred,
                false => Origin::Plain,
            };
            return Some((text.clone().into_owned(), origin));
        };
        match referred {
            Ok(found) => {
                let key = node.place.key.clone();
                self.references.insert(key, text.clone().into_owned());
                Some((found, Origin::Referred))
            }
            Err(problem) => {
                self.report(problem);
                None
            }
        }
    }

    fn variable(&self, name: &str, place: &Place) -> Result<String, Problem> {
        let problem = |what: &str| {
            let what = format!("names the environment variable `{name}`, which is {what}");
            Problem::new(Code::NoVariable, place, what)
        };
        match self.surroundings.variable(name) {
            None => Err(problem("not set")),
            Some(value) if value.is_empty() => Err(problem("empty")),
            Some(value) => Ok(value),
        }
    }

    fn credential(&self, name: &str, place: &Place) -> Result<String, Problem> {
        let folder = self.variable("CREDENTIALS_DIRECTORY", place)?;
        if name.is_empty() || name.contains('/') || name.contains("..") {
            let what = "must name one credential, without `/`";
            return Err(Problem::new(Code::BadText, place, what));
        }
        self.file(&format!("{folder}/{name}"), place)
    }

    /// The content of a file without one trailing newline.
    fn file(&self, path: &str, place: &Place) -> Result<String, Problem> {
        let path = self.surroundings.locate(&self.folder, path);
        let unreadable = |reason: String| {
            Problem::new(
                Code::UnreadableFile,
                place,
                format!("cannot be read from {reason}"),
            )
        };
        let bytes = std::fs::read(&path)
            .map_err(|error| unreadable(surroundings::explain(&path, &error)))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| unreadable(format!("`{}`: not UTF-8", path.display())))?;
        let text = text
            .strip_suffix("\r\n")
            .or_else(|| text.strip_suffix('\n'))
            .unwrap_or(&text);
        if text.is_empty() {
            return Err(unreadable(format!("`{}`: empty", path.display())));
        }
        Ok(text.to_owned())
    }

    /// Says what belongs here and what stands here instead.
    pub(super) fn wrong_type(&mut self, node: &Node<'_, '_>, wants: &str) {
        let found = kind_of(node.value);
        let what = format!("must be {wants}, not {found}");
        self.report(Problem::new(Code::WrongType, &node.place, what));
    }
}

impl<'n, 'i> Node<'n, 'i> {
    /// The table; anything else is a problem.
    pub(super) fn table(&self, reader: &mut Reader<'_>, wants: &str) -> Option<&'n DeTable<'i>> {
        if let DeValue::Table(table) = self.value {
            Some(table)
        } else {
            reader.wrong_type(self, wants);
            None
        }
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
