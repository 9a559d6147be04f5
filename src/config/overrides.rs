//! Environment variables that stand in for keys of the file: `WXGATE__SERVER__LISTEN=127.0.0.1:9000`.
//!
//! They are written behind the file as lines of a text of their own, so that each of their values has a place, and every
//! report can quote it like a line of the file.

use std::ops::Range;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// What the names of all of them begin with; `__` stands for the dot between two names.
const PREFIX: &str = "WXGATE__";

/// How reports call the text of the overrides.
pub(super) const SOURCE: &str = "environment";

/// The file, and what stands behind it.
#[derive(Clone, Debug)]
pub(super) struct Overlay {
    /// The file, a line end, then one line for each override.
    pub(super) text: String,
    /// Where the overrides begin; the end of the text where there are none.
    pub(super) start: usize,
    /// The overrides where they stand in `text`, and blanks instead of the file.
    lines: String,
}

impl Overlay {
    /// Puts each variable that is an override behind the file, in the order of their names.
    pub(super) fn new(file: &str, variables: &[(String, String)]) -> Self {
        let mut variables: Vec<_> = variables
            .iter()
            .filter(|(name, _)| is_override(name))
            .collect();
        variables.sort();
        let mut text = file.to_owned();
        if !variables.is_empty() {
            text.push('\n');
        }
        let start = text.len();
        for (name, value) in variables {
            text.push_str(&format!("{name} = {}\n", in_toml(value)));
        }
        let mut lines = " ".repeat(start);
        lines.push_str(text.get(start..).unwrap_or_default());
        Self { text, start, lines }
    }

    /// Puts the values of the overrides into the file's root table.
    pub(super) fn apply<'i>(&'i self, root: &mut DeTable<'i>) {
        let (overrides, _) = DeTable::parse_recoverable(&self.lines);
        for (name, value) in overrides.into_inner() {
            let path: Vec<String> = name
                .get_ref()
                .get(PREFIX.len()..)
                .unwrap_or_default()
                .split("__")
                .map(str::to_ascii_lowercase)
                .collect();
            insert(root, &path, name.span(), value);
        }
    }
}

/// Whether a variable has such a name. Anything else with our prefix is nothing we could report a place for.
fn is_override(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    name.strip_prefix(PREFIX)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_letter))
}

/// Numbers, `true`, `false`, arrays and quoted text as they are; everything else is text.
fn in_toml(value: &str) -> String {
    let is_quoted = value.starts_with('"') || value.starts_with('\'');
    let parsed = DeValue::parse(value).ok();
    let is_kept = parsed.is_some_and(|parsed| match parsed.get_ref() {
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Array(_) => true,
        DeValue::String(_) => is_quoted,
        DeValue::Datetime(_) | DeValue::Table(_) => false,
    });
    if is_kept && !value.contains('\n') {
        value.to_owned()
    } else {
        // TOML's escapes are those of JSON and more.
        Json::String(value.to_owned()).to_string()
    }
}

/// Sets a value below a table. Names on the way are those of the file where they are the same but for case and `-`; an array
/// of tables is entered by the `name` of an element.
fn insert<'i>(
    table: &mut DeTable<'i>,
    path: &[String],
    place: Range<usize>,
    value: Spanned<DeValue<'i>>,
) {
    let Some((name, rest)) = path.split_first() else {
        return;
    };
    let known = table.keys().find(|key| is_same(key.get_ref(), name));
    let key = match known {
        Some(key) => key.clone(),
        None => Spanned::new(place.clone(), DeString::Owned(name.clone())),
    };
    if rest.is_empty() {
        // Removed first, so that the key stands where the value does.
        table.remove(&key);
        let key = Spanned::new(place, key.into_inner());
        table.insert(key, value);
        return;
    }
    let entry = table
        .entry(key)
        .or_insert_with(|| Spanned::new(place.clone(), DeValue::Table(DeTable::new())));
    if let DeValue::Array(elements) = entry.get_mut()
        && let [element, below @ ..] = rest
    {
        let named = elements
            .iter_mut()
            .filter_map(|element| match element.get_mut() {
                DeValue::Table(table) => Some(table),
                _ => None,
            })
            .find(|table| has_name(table, element));
        if let Some(named) = named {
            return insert(named, below, place, value);
        }
    }
    if !matches!(entry.get_ref(), DeValue::Table(_)) {
        *entry = Spanned::new(place.clone(), DeValue::Table(DeTable::new()));
    }
    if let DeValue::Table(below) = entry.get_mut() {
        insert(below, rest, place, value);
    }
}

fn has_name(table: &DeTable<'_>, wanted: &str) -> bool {
    table.iter().any(|(key, value)| {
        key.get_ref() == "name"
            && matches!(value.get_ref(), DeValue::String(name) if is_same(name, wanted))
    })
}

/// Names of variables have neither lower case nor `-`.
fn is_same(name: &str, wanted: &str) -> bool {
    let fold = |byte: u8| match byte {
        b'-' => b'_',
        other => other.to_ascii_lowercase(),
    };
    name.bytes().map(fold).eq(wanted.bytes().map(fold))
}
