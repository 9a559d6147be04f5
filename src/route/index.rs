//! Finds the candidates for a path without looking at every route.

use std::collections::HashMap;

use super::RouteId;
use super::pattern::Matcher;

/// The routes of one host pattern by path.
///
/// Exact paths are in a hash table. The literals of all other patterns are in a radix tree: a walk along the path ends at the
/// longest literal that it begins with, and the shorter ones are found from there upwards. Both take time in proportion to the
/// path, however many routes there are.
#[derive(Debug, Default)]
pub(super) struct PathIndex {
    exact: HashMap<Box<str>, Vec<RouteId>>,
    /// The root first; empty when there are only exact paths.
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    /// What the path must go on with to get here from the node above.
    label: Box<[u8]>,
    /// The routes whose literal ends here, in matching order.
    routes: Vec<RouteId>,
    /// The nearest node above that has routes.
    above: Option<usize>,
    /// By the first byte of their label, sorted.
    below: Vec<(u8, usize)>,
}

impl PathIndex {
    /// Takes the routes in matching order.
    pub(super) fn new<'m>(routes: impl IntoIterator<Item = (RouteId, &'m Matcher)>) -> Self {
        let mut index = Self::default();
        let mut literals: Vec<(&[u8], RouteId)> = Vec::new();
        for (id, matcher) in routes {
            match matcher {
                Matcher::Exact(path) => {
                    let path = path.as_str().into();
                    index.exact.entry(path).or_default().push(id);
                }
                Matcher::Prefix(_) | Matcher::Glob(_) => {
                    literals.push((matcher.literal().as_bytes(), id));
                }
            }
        }
        // Stable: routes with the same literal stay in matching order.
        literals.sort_by_key(|(literal, _)| *literal);
        if !literals.is_empty() {
            index.add(&literals, 0, None);
        }
        index
    }

    /// Adds a node for literals that have their first `depth` bytes in common.
    fn add(&mut self, literals: &[(&[u8], RouteId)], depth: usize, above: Option<usize>) -> usize {
        let end = depth + shared_bytes(literals, depth);
        let label = literals
            .first()
            .map_or_else(Box::default, |(literal, _)| literal[depth..end].into());
        let ends_here = literals.partition_point(|(literal, _)| literal.len() == end);
        let (here, longer) = literals.split_at(ends_here);
        let place = self.nodes.len();
        self.nodes.push(Node {
            label,
            routes: here.iter().map(|(_, id)| *id).collect(),
            above,
            below: Vec::new(),
        });
        let above = if here.is_empty() { above } else { Some(place) };
        for group in longer.chunk_by(|(a, _), (b, _)| a[end] == b[end]) {
            let below = self.add(group, end, above);
            self.nodes[place].below.push((group[0].0[end], below));
        }
        place
    }

    /// The first route in matching order that serves the path; `serves` checks the rest of the pattern.
    pub(super) fn find(&self, path: &str, serves: impl Fn(RouteId) -> bool) -> Option<RouteId> {
        let first = |ids: &[RouteId]| ids.iter().copied().find(|id| serves(*id));
        let exact = self.exact.get(path).and_then(|ids| first(ids));
        if exact.is_some() {
            return exact;
        }
        let mut next = self.deepest(path.as_bytes());
        while let Some(place) = next {
            let node = &self.nodes[place];
            let found = first(&node.routes);
            if found.is_some() {
                return found;
            }
            next = node.above;
        }
        None
    }

    /// The last node on the way along the path.
    fn deepest(&self, path: &[u8]) -> Option<usize> {
        let mut rest = after(path, &self.nodes.first()?.label)?;
        let mut place = 0;
        while let Some(first) = rest.first() {
            let below = &self.nodes[place].below;
            let Ok(found) = below.binary_search_by_key(first, |(byte, _)| *byte) else {
                break;
            };
            let next = below[found].1;
            let Some(below) = after(rest, &self.nodes[next].label) else {
                break;
            };
            (place, rest) = (next, below);
        }
        Some(place)
    }
}

/// What stands behind a label.
///
/// PERF: most labels on the way of most requests are empty or one slash, which needs no call.
fn after<'p>(path: &'p [u8], label: &[u8]) -> Option<&'p [u8]> {
    match (label, path) {
        ([], _) => Some(path),
        ([only], [first, rest @ ..]) => (only == first).then_some(rest),
        _ => path.strip_prefix(label),
    }
}

/// How many bytes after `depth` all of the sorted literals share.
fn shared_bytes(literals: &[(&[u8], RouteId)], depth: usize) -> usize {
    let (Some((first, _)), Some((last, _))) = (literals.first(), literals.last()) else {
        return 0;
    };
    let pairs = first[depth..].iter().zip(&last[depth..]);
    pairs.take_while(|(a, b)| a == b).count()
}
