//! Effective values in the order of the file.

use serde_json::{Map, Value as Json};

/// A value as `config show` prints it; secrets are `***`.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// Nothing was given and there is no default.
    Absent,
    /// One value.
    Value(Json),
    /// Keys with values.
    Table(Vec<(String, Self)>),
    /// Elements in order.
    List(Vec<Self>),
}

impl Shown {
    /// A value of text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Value(Json::String(text.into()))
    }

    /// As one JSON value; absent keys are left out.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Absent => Json::Null,
            Self::Value(value) => value.clone(),
            Self::Table(entries) => {
                let present = entries.iter().filter(|(_, shown)| *shown != Self::Absent);
                let pairs = present.map(|(key, shown)| (key.clone(), shown.to_json()));
                Json::Object(pairs.collect::<Map<_, _>>())
            }
            Self::List(elements) => Json::Array(elements.iter().map(Self::to_json).collect()),
        }
    }

    /// One line per value: `sessions.idle_timeout = "12h"`.
    pub fn to_lines(&self) -> Vec<String> {
        let pairs = self.to_pairs().into_iter();
        pairs
            .map(|(key, value)| format!("{key} = {value}"))
            .collect()
    }

    /// Every value with its whole key.
    pub fn to_pairs(&self) -> Vec<(String, Json)> {
        let mut pairs = Vec::new();
        self.add_pairs("", &mut pairs);
        pairs
    }

    fn add_pairs(&self, key: &str, pairs: &mut Vec<(String, Json)>) {
        match self {
            Self::Absent => {}
            Self::Value(value) => pairs.push((key.to_owned(), value.clone())),
            Self::Table(entries) => {
                for (name, shown) in entries {
                    let key = if key.is_empty() {
                        name.clone()
                    } else {
                        format!("{key}.{name}")
                    };
                    shown.add_pairs(&key, pairs);
                }
            }
            Self::List(elements) if elements.iter().any(|one| matches!(one, Self::Table(_))) => {
                for (position, shown) in elements.iter().enumerate() {
                    shown.add_pairs(&format!("{key}[{position}]"), pairs);
                }
            }
            Self::List(_) => pairs.push((key.to_owned(), self.to_json())),
        }
    }

    /// Replaces what stands at a dotted key, for defaults that depend on other keys.
    pub(super) fn replace(&mut self, key: &str, value: Self) {
        let (name, rest) = key
            .split_once('.')
            .map_or((key, None), |(name, rest)| (name, Some(rest)));
        let Self::Table(entries) = self else { return };
        let Some((_, shown)) = entries.iter_mut().find(|(entry, _)| entry == name) else {
            return;
        };
        match rest {
            Some(rest) => shown.replace(rest, value),
            None => *shown = value,
        }
    }
}
