//! TOML's own errors as problems, and what may be trusted of a text that has some.

use toml::de::Error;

use super::code::Code;
use super::problem::{Problem, locate};

/// One problem per error of the parser.
pub(super) fn problems(text: &str, errors: &[Error]) -> Vec<Problem> {
    errors.iter().map(|error| problem(text, error)).collect()
}

fn problem(text: &str, error: &Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let line = line_at(text, span.start);
    let quotes = ['“', '”', '‘', '’', '「', '」', '『', '』', '＂'];
    if line.contains(quotes) && !error.message().contains("duplicate") {
        let message = format!("{}: these are Chinese quotation marks", subject(line));
        return Problem::of_text(Code::ChineseQuotes, span, message)
            .hint("write the plain quotation mark \" on both sides");
    }
    let message = format!("{}: {}", subject(line), error.message());
    let problem = Problem::of_text(Code::Syntax, span, message);
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
