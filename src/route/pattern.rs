//! Host and path patterns: what they match, and in which form they are compared.

use http::Method;

use super::{HostPattern, PathPattern, Route};
use crate::message::Host;

impl HostPattern {
    /// Whether a host belongs to it.
    pub fn matches(&self, host: &Host) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Below(suffix) => host
                .as_str()
                .strip_suffix(suffix.as_str())
                .is_some_and(|label| !label.is_empty()),
            Self::Any => true,
        }
    }
}

impl PathPattern {
    /// Whether a decoded path belongs to it. Case-sensitive; takes time proportional to the length of the path.
    pub fn matches(&self, path: &str) -> bool {
        Matcher::new(self).matches(path)
    }

    /// As the operator wrote it.
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) | Self::Glob(text) => text,
        }
    }

    /// The literal text that every matching path begins with; the longer one wins. A glob counts up to its first `*`, and
    /// `/static/**` counts like the prefix `/static` that it means.
    pub fn literal(&self) -> String {
        Matcher::new(self).literal().to_owned()
    }
}

/// Whether two routes tie: the same hosts, the same paths and methods in common, so that nothing but chance could choose.
///
/// `/member`, `/member/` and the glob `/member/**` are the same paths. A route with methods and one without never tie.
pub fn same_requests(a: &Route, b: &Route) -> bool {
    a.host == b.host
        && Matcher::new(&a.path) == Matcher::new(&b.path)
        && a.methods.is_empty() == b.methods.is_empty()
        && (a.methods.is_empty()
            || a.methods.iter().any(|method| serves(&b.methods, method))
            || b.methods.iter().any(|method| serves(&a.methods, method)))
}

/// Whether a route with these methods serves a request. Methods are as written, except that GET also serves HEAD: a HEAD
/// request tells the same as its GET, so it needs the same protection.
pub(super) fn serves(methods: &[Method], method: &Method) -> bool {
    methods.is_empty()
        || methods.contains(method)
        || (*method == Method::HEAD && methods.contains(&Method::GET))
}

/// A path pattern ready for matching; two that match the same way are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matcher {
    Exact(String),
    /// Without a slash at the end; empty for `/`.
    Prefix(String),
    Glob(Glob),
}

impl Matcher {
    pub(super) fn new(pattern: &PathPattern) -> Self {
        match pattern {
            PathPattern::Exact(path) => Self::Exact(path.clone()),
            PathPattern::Prefix(path) => Self::Prefix(path.trim_end_matches('/').to_owned()),
            PathPattern::Glob(text) => Glob::parse(text),
        }
    }

    /// The literal that every matching path begins with.
    pub(super) fn literal(&self) -> &str {
        match self {
            Self::Exact(literal) | Self::Prefix(literal) => literal,
            Self::Glob(glob) => &glob.literal,
        }
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            // PERF: of a prefix of no bytes, as `/` is, nothing needs to be compared.
            Self::Prefix(prefix) if prefix.is_empty() => path.is_empty() || path.starts_with('/'),
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Glob(glob) => glob.matches(path),
        }
    }
}

/// A pattern with stars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    /// Everything before the first star; every matching path begins with it.
    literal: String,
    /// Where in the path `elements` begin to match: the end of the literal, or the slash before it.
    start: usize,
    elements: Vec<Element>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Byte(u8),
    /// `*`: any bytes but `/`, also none.
    InSegment,
    /// `**`: any bytes, also none.
    Across,
    /// The `/**` of `/**/` and of the end: nothing, or whole segments.
    Segments,
}

impl Glob {
    /// A glob without stars is an exact path, and `/static/**` is the prefix `/static`.
    fn parse(text: &str) -> Matcher {
        let Some(star) = text.find('*') else {
            return Matcher::Exact(text.to_owned());
        };
        let mut elements = parse_elements(text);
        let is_literal = |element: &Element| matches!(element, Element::Byte(_));
        let start = elements
            .iter()
            .take_while(|element| is_literal(element))
            .count();
        if elements[start..] == [Element::Segments] {
            return Matcher::Prefix(text[..start].to_owned());
        }
        Matcher::Glob(Self {
            literal: text[..star].to_owned(),
            start,
            elements: elements.split_off(start),
        })
    }

    fn matches(&self, path: &str) -> bool {
        path.starts_with(&self.literal)
            && Attempt::default().run(&self.elements, &path.as_bytes()[self.start..])
    }
}

fn parse_elements(text: &str) -> Vec<Element> {
    let mut elements = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first != b'*' {
            elements.push(Element::Byte(*first));
            rest = after;
            continue;
        }
        let stars = rest.iter().take_while(|byte| **byte == b'*').count();
        rest = &rest[stars..];
        let after_slash = elements.last() == Some(&Element::Byte(b'/'));
        if stars == 1 {
            elements.push(Element::InSegment);
        } else if after_slash && matches!(rest, [] | [b'/', ..]) {
            elements.pop();
            if elements.last() != Some(&Element::Segments) {
                elements.push(Element::Segments);
            }
        } else {
            elements.push(Element::Across);
        }
    }
    elements
}

/// One run of a glob over a path.
///
/// When something does not fit, only the latest star takes more: whatever an earlier one could reach by taking more, the latest
/// can reach as well. When a `*` runs into the end of its segment, the `**` before it goes on in the next segment, because
/// every later start in this one would run into the same end. So the time is at most proportional to path times pattern.
#[derive(Default)]
struct Attempt {
    at: Position,
    /// After the latest `*`, if it came after the latest `**`.
    in_segment: Option<Position>,
    /// After the latest `**`.
    across: Option<Position>,
}

/// A place in the elements and one in the path.
#[derive(Clone, Copy, Default)]
struct Position {
    element: usize,
    byte: usize,
}

impl Attempt {
    fn run(mut self, elements: &[Element], path: &[u8]) -> bool {
        loop {
            let fits = match elements.get(self.at.element) {
                None if self.at.byte == path.len() => return true,
                None => false,
                Some(element) => self.take(*element, path),
            };
            if !fits && !self.retry(path) {
                return false;
            }
        }
    }

    /// Goes one element on, if it fits here.
    fn take(&mut self, element: Element, path: &[u8]) -> bool {
        let here = path.get(self.at.byte).copied();
        match element {
            Element::Byte(byte) if here == Some(byte) => {
                self.at.byte += 1;
                self.at.element += 1;
            }
            Element::Segments if !matches!(here, None | Some(b'/')) => return false,
            Element::Byte(_) => return false,
            Element::InSegment => {
                self.at.element += 1;
                self.in_segment = Some(self.at);
            }
            Element::Across | Element::Segments => {
                self.at.element += 1;
                (self.across, self.in_segment) = (Some(self.at), None);
            }
        }
        true
    }

    /// Lets the latest star take more, if it can.
    fn retry(&mut self, path: &[u8]) -> bool {
        let mut step = 1;
        if let Some(star) = &mut self.in_segment {
            if !matches!(path.get(star.byte), None | Some(b'/')) {
                star.byte += 1;
                self.at = *star;
                return true;
            }
            step = match self.across.and_then(|star| bytes_to_slash(path, star.byte)) {
                None => return false,
                Some(bytes) => bytes + 1,
            };
        }
        let Some(star) = &mut self.across else {
            return false;
        };
        star.byte += step;
        self.at = *star;
        self.in_segment = None;
        star.byte <= path.len()
    }
}

/// How many bytes there are from here to the next `/`.
fn bytes_to_slash(path: &[u8], from: usize) -> Option<usize> {
    path[from..].iter().position(|byte| *byte == b'/')
}
