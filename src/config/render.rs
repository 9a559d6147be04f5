//! Problems for people: the source line, a caret, a hint.

use std::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::code::Severity;
use super::problem::Problem;

pub(super) fn render(source: &Path, text: &str, problems: &[Problem], color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let path = source.display().to_string();
    problems
        .iter()
        .map(|problem| renderer.render(&[group(&path, text, problem)]))
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn group<'p>(path: &'p str, text: &'p str, problem: &'p Problem) -> Group<'p> {
    let level = match problem.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(problem.message.as_str())
        .id(problem.code.as_str())
        .elements(snippet(path, text, problem));
    if let Some(hint) = problem.hint.as_deref().filter(|hint| !is_short(hint)) {
        group = group.element(Level::HELP.message(hint));
    }
    group
}

fn snippet<'p>(
    path: &'p str,
    text: &'p str,
    problem: &'p Problem,
) -> Option<Snippet<'p, annotate_snippets::Annotation<'p>>> {
    let span = visible(text, problem.span.clone()?);
    let label = problem.hint.as_deref().filter(|hint| is_short(hint));
    let primary = AnnotationKind::Primary.span(span).label(label);
    let others = problem.others.iter().map(|(span, label)| {
        AnnotationKind::Context
            .span(visible(text, span.clone()))
            .label(label.as_str())
    });
    let annotations = std::iter::once(primary).chain(others);
    Some(Snippet::source(text).path(path).annotations(annotations))
}

/// Hints that fit behind the caret.
fn is_short(hint: &str) -> bool {
    hint.starts_with("did you mean")
}

/// A span that ends in the line in which it begins, inside the text.
fn visible(text: &str, span: Range<usize>) -> Range<usize> {
    let start = span.start.min(text.len());
    let line_end = text
        .get(start..)
        .and_then(|rest| rest.find('\n'))
        .map_or(text.len(), |length| start + length);
    start..span.end.clamp(start, line_end)
}
