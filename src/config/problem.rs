//! A problem: code, place, what is wrong, how to fix it; and the report of all of them.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::code::{Code, Severity};
use super::language::Language;
use super::overrides::{self, Overlay};
use super::place::Place;
use super::{mask, render};

/// One thing wrong with a file. Never holds a secret.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What kind.
    pub code: Code,
    /// What is wrong, in one line; begins with the key.
    pub message: String,
    /// What it is about, like `routes.admin.upstream`; empty when the file itself is the problem.
    key: Box<str>,
    /// How to fix it, if we know.
    pub hint: Option<String>,
    /// Where, in bytes of the file; `None` when the file itself is the problem.
    pub(super) span: Option<Range<usize>>,
    /// Other places that matter, and what they are.
    pub(super) others: Vec<(Range<usize>, String)>,
}

impl Problem {
    /// A problem with the key of a place. `what` goes on after the key's name.
    pub(super) fn new(code: Code, place: &Place, what: impl fmt::Display) -> Self {
        Self {
            code,
            message: format!("`{}` {what}", place.key),
            key: place.key.as_str().into(),
            hint: None,
            span: Some(place.span.clone()),
            others: Vec::new(),
        }
    }

    /// A problem with the text at a span, where this key seems to stand.
    pub(super) fn of_text(code: Code, span: Range<usize>, key: &str, message: String) -> Self {
        Self {
            code,
            message,
            key: key.into(),
            hint: None,
            span: Some(span),
            others: Vec::new(),
        }
    }

    /// A problem with the file as a whole.
    pub(super) fn of_file(code: Code, message: String) -> Self {
        Self {
            code,
            message,
            key: Box::default(),
            hint: None,
            span: None,
            others: Vec::new(),
        }
    }

    /// Whether it is about a key of this section, or about the section.
    pub(super) fn is_in(&self, section: &str) -> bool {
        let rest = self.key.strip_prefix(section);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// How to fix it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// How to fix it, if we know.
    pub(super) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Another place that matters.
    pub(super) fn also(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.others.push((place.span.clone(), label.into()));
        self
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// Everything found in one file, in the order of the file. The text is kept with its secrets masked.
#[derive(Clone, Debug)]
pub struct Problems {
    source: PathBuf,
    text: String,
    /// Where the overrides begin behind the file.
    overrides_start: usize,
    list: Vec<Problem>,
}

/// The form for machines.
#[derive(Debug, Serialize)]
pub struct Entry<'p> {
    /// Like `E104`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// The file as it was named.
    pub file: String,
    /// Counted from 1; `None` when the file itself is the problem.
    pub line: Option<usize>,
    /// Counted from 1, in characters.
    pub column: Option<usize>,
    /// The line of the last character.
    pub end_line: Option<usize>,
    /// One behind the last character.
    pub end_column: Option<usize>,
    /// What is wrong.
    pub message: &'p str,
    /// How to fix it.
    pub hint: Option<&'p str>,
}

impl Problems {
    /// Sorts the problems and masks the secrets at `secrets` in the text.
    pub(super) fn new(
        source: &Path,
        overlay: &Overlay,
        secrets: &[Range<usize>],
        mut list: Vec<Problem>,
    ) -> Self {
        list.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        let unparsed = list
            .iter()
            .any(|problem| matches!(problem.code, Code::Syntax | Code::ChineseQuotes));
        Self {
            source: source.to_path_buf(),
            text: mask::mask(&overlay.text, secrets, unparsed),
            overrides_start: overlay.start,
            list,
        }
    }

    /// Every problem, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many have this severity.
    pub fn count(&self, severity: Severity) -> usize {
        let of_severity = |problem: &&Problem| problem.severity() == severity;
        self.list.iter().filter(of_severity).count()
    }

    /// Line and column of a problem, counted from 1; columns in characters.
    pub fn position(&self, problem: &Problem) -> Option<(usize, usize)> {
        let span = problem.span.as_ref()?;
        let side = self.side(span.start);
        Some(side.locate(span.start))
    }

    /// The text in which a byte stands.
    pub(super) fn side(&self, offset: usize) -> Side<'_> {
        let (name, start) = match offset < self.overrides_start || self.text.is_empty() {
            true => (self.source.display().to_string(), 0),
            false => (overrides::SOURCE.to_owned(), self.overrides_start),
        };
        let end = match start {
            0 => self.overrides_start,
            _ => self.text.len(),
        };
        Side {
            name,
            text: self.text.get(start..end).unwrap_or_default(),
            start,
        }
    }

    /// `2 errors, 1 warning`
    pub fn summary(&self, language: Language) -> String {
        if language == Language::Chinese {
            let errors = format!("{} 个错误", self.count(Severity::Error));
            return match self.count(Severity::Warning) {
                0 => errors,
                warnings => format!("{errors}，{warnings} 个警告"),
            };
        }
        let counted = |severity, word: &str| {
            let count = self.count(severity);
            format!("{count} {word}{}", if count == 1 { "" } else { "s" })
        };
        let errors = counted(Severity::Error, "error");
        match self.count(Severity::Warning) {
            0 => errors,
            _ => format!("{errors}, {}", counted(Severity::Warning, "warning")),
        }
    }

    /// For people, in English: each problem with its line and a caret.
    pub fn render(&self, color: bool) -> String {
        self.render_in(Language::English, color)
    }

    /// For people: each problem with its line and a caret. In Chinese the meaning of each code is added.
    pub fn render_in(&self, language: Language, color: bool) -> String {
        render::render(self, language, color)
    }

    /// For machines.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.list.iter().map(|problem| {
            let span = problem.span.as_ref();
            let side = self.side(span.map_or(0, |span| span.start));
            let start = span.map(|span| side.locate(span.start));
            let end = span.map(|span| side.locate(span.end));
            Entry {
                code: problem.code.as_str(),
                severity: problem.severity(),
                file: side.name,
                line: start.map(|(line, _)| line),
                column: start.map(|(_, column)| column),
                end_line: end.map(|(line, _)| line),
                end_column: end.map(|(_, column)| column),
                message: &problem.message,
                hint: problem.hint.as_deref(),
            }
        })
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// The file, or the environment variables that stand in for keys of it.
#[derive(Debug)]
pub(super) struct Side<'p> {
    pub(super) name: String,
    pub(super) text: &'p str,
    /// Where the text begins among all spans.
    pub(super) start: usize,
}

impl Side<'_> {
    fn locate(&self, offset: usize) -> (usize, usize) {
        locate(self.text, offset.saturating_sub(self.start))
    }

    /// The span in this text.
    pub(super) fn span(&self, span: &Range<usize>) -> Range<usize> {
        span.start.saturating_sub(self.start)..span.end.saturating_sub(self.start)
    }
}

/// Line and column of a byte, counted from 1; columns in characters.
pub(super) fn locate(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = before.matches('\n').count() + 1;
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}
