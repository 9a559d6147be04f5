//! Problems for people: the source line, a caret, a hint.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::code::Severity;
use super::language::Language;
use super::problem::{Problem, Problems, Side};

pub(super) fn render(problems: &Problems, language: Language, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    problems
        .iter()
        .map(|problem| renderer.render(&[group(problems, problem, language)]))
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn group<'p>(problems: &'p Problems, problem: &'p Problem, language: Language) -> Group<'p> {
    let level = match (problem.severity(), language) {
        (Severity::Error, Language::English) => Level::ERROR,
        (Severity::Error, Language::Chinese) => Level::ERROR.with_name("错误"),
        (Severity::Warning, Language::English) => Level::WARNING,
        (Severity::Warning, Language::Chinese) => Level::WARNING.with_name("警告"),
    };
    let mut group = level
        .primary_title(problem.message.as_str())
        .id(problem.code.as_str())
        .elements(snippets(problems, problem));
    if let Some(hint) = problem.hint.as_deref().filter(|hint| !is_short(hint)) {
        group = group.element(Level::HELP.message(hint));
    }
    if language == Language::Chinese {
        let meaning = problem.code.meaning(language);
        group = group.element(Level::NOTE.with_name("说明").message(meaning));
    }
    group
}

/// The place itself, then other places that stand in another text than it.
fn snippets<'p>(problems: &'p Problems, problem: &'p Problem) -> Vec<Snippet<'p, Annotation<'p>>> {
    let Some(span) = &problem.span else {
        return Vec::new();
    };
    let side = problems.side(span.start);
    let label = problem.hint.as_deref().filter(|hint| is_short(hint));
    let primary = AnnotationKind::Primary
        .span(visible(&side, span))
        .label(label);
    let (beside, elsewhere): (Vec<_>, Vec<_>) = problem
        .others
        .iter()
        .map(|(span, label)| (problems.side(span.start), span, label))
        .partition(|(other, _, _)| other.start == side.start);
    let context = |(side, span, label): (Side<'p>, &'p Range<usize>, &'p String)| {
        AnnotationKind::Context
            .span(visible(&side, span))
            .label(label.as_str())
    };
    let first = snippet(&side).annotation(primary);
    let first = first.annotations(beside.into_iter().map(context));
    let others = elsewhere
        .into_iter()
        .map(|other| snippet(&other.0).annotation(context(other)));
    std::iter::once(first).chain(others).collect()
}

fn snippet<'p>(side: &Side<'p>) -> Snippet<'p, Annotation<'p>> {
    Snippet::source(side.text).path(side.name.clone())
}

/// Hints that fit behind the caret.
fn is_short(hint: &str) -> bool {
    hint.starts_with("did you mean")
}

/// A span that ends in the line in which it begins, inside the text.
fn visible(side: &Side<'_>, span: &Range<usize>) -> Range<usize> {
    let span = side.span(span);
    let start = span.start.min(side.text.len());
    let line_end = side
        .text
        .get(start..)
        .and_then(|rest| rest.find('\n'))
        .map_or(side.text.len(), |length| start + length);
    start..span.end.clamp(start, line_end)
}
