//! TOML's own errors as problems, and what may be trusted of a text that has some.

use toml::de::Error;

use super::code::Code;
use super::problem::{Problem, locate};

/// One problem per error of the parser; what it says twice of one place is said once.
pub(super) fn problems(text: &str, errors: &[Error]) -> Vec<Problem> {
    let mut problems: Vec<_> = errors.iter().map(|error| problem(text, error)).collect();
    problems.dedup_by(|one, other| one.span == other.span && one.message == other.message);
    problems
}

fn problem(text: &str, error: &Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let line = line_at(text, span.start);
    let key = key_at(text, span.start);
    let quotes = ['“', '”', '‘', '’', '「', '」', '『', '』', '＂'];
    if line.contains(quotes) && !error.message().contains("duplicate") {
        let message = format!("{}: these are Chinese quotation marks", subject(line));
        return Problem::of_text(Code::ChineseQuotes, span, &key, message)
            .hint("write the plain quotation mark \" on both sides");
    }
    let wide = ['，', '＝', '［', '］', '【', '】', '｛', '｝', '：'];
    let around = text.get(span.start..).unwrap_or_default();
    if around.starts_with(wide) {
        let message = format!("{}: this is a Chinese punctuation mark", subject(line));
        return Problem::of_text(Code::Syntax, span, &key, message)
            .hint("write the plain one: , = [ ] { } :");
    }
    let message = format!("{}: {}", subject(line), error.message());
    let problem = Problem::of_text(Code::Syntax, span, &key, message);
    if error.message().contains("duplicate key") {
        problem.hint("each key and each section may stand in the file once")
    } else if error.message().contains("string values must be quoted") {
        problem.hint("write text as \"text\"")
    } else {
        problem
    }
}

/// What the line speaks of: its key or heading.
fn subject(line: &str) -> String {
    let line = line.split('#').next().unwrap_or_default().trim();
    let name = match line.split_once('=') {
        Some((name, _)) => name.trim(),
        None if line.starts_with('[') => line,
        None => "syntax",
    };
    // Only what looks like a name: the rest of a broken line may hold a secret.
    let is_name = |letter: char| letter.is_alphanumeric() || "_-.[]".contains(letter);
    if !name.is_empty() && name.len() <= 64 && name.chars().all(is_name) {
        format!("`{name}`")
    } else {
        "`syntax`".to_owned()
    }
}

/// The key that the line at an offset speaks of, as far as headings and names of a broken text can be believed.
fn key_at(text: &str, offset: usize) -> String {
    let line = line_at(text, offset);
    if let Some(section) = heading(line) {
        return section.to_owned();
    }
    let before = text.get(..offset).unwrap_or(text);
    let section = before.lines().rev().find_map(heading);
    let name = line.split_once('=').map(|(name, _)| name.trim());
    let parts: Vec<&str> = section.into_iter().chain(name).collect();
    parts.join(".")
}

/// The section that begins with this line, however the heading ends.
fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix('[')?.trim_start_matches('[');
    rest.split([']', '#']).next().map(str::trim)
}

/// Whether a heading of this section stands in the text.
pub(super) fn has_heading(text: &str, section: &str) -> bool {
    text.lines().filter_map(heading).any(|name| name == section)
}

fn line_at(text: &str, offset: usize) -> &str {
    let offset = offset.min(text.len());
    let start = text
        .get(..offset)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |end| end + 1);
    let rest = text.get(start..).unwrap_or_default();
    rest.lines().next().unwrap_or_default()
}

/// Keeps the problems that a broken text cannot have invented: unknown keys and wrong types on lines of their own, before the
/// first heading or long string that is broken.
pub(super) fn trustworthy(text: &str, errors: &[Error], found: Vec<Problem>) -> Vec<Problem> {
    let broken_lines: Vec<usize> = errors
        .iter()
        .filter_map(|error| error.span())
        .map(|span| locate(text, span.start).0)
        .collect();
    let misleads = |error: &&Error| {
        let start = error.span().map_or(0, |span| span.start);
        let message = error.message();
        line_at(text, start).trim_start().starts_with('[')
            || message.contains("multi-line")
            || message.contains("unclosed")
    };
    // What is unclosed began somewhere before the place where the parser noticed.
    let horizon = if errors.iter().any(|error| misleads(&error)) {
        broken_lines.iter().min().copied().unwrap_or(0)
    } else {
        usize::MAX
    };
    let stands_alone = |problem: &Problem| {
        let span = problem.span.clone().unwrap_or(0..0);
        let line = locate(text, span.start).0;
        line < horizon && !broken_lines.contains(&line) && problem.code != Code::MissingKey
    };
    found.into_iter().filter(stands_alone).collect()
}
