//! Arrays, and tables whose keys the operator chooses.

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use crate::config::code::Code;
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::read::{FileValue, Node, Reader};
use crate::config::show::Shown;

/// An element of an array and where it stands.
#[derive(Clone, Debug)]
pub(in crate::config) struct Item<T> {
    pub(in crate::config) value: T,
    pub(in crate::config) place: Place,
}

impl<T: FileValue> FileValue for Vec<Item<T>> {
    const WANTS: &'static str = if T::IS_TABLE {
        "a list of tables"
    } else {
        "a list in `[ ]`"
    };

    fn read(node: &Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(elements) = node.value else {
            if T::IS_TABLE && matches!(node.value, DeValue::Table(_)) {
                let key = &node.place.key;
                let what = "is a list: its heading has two brackets on each side";
                let hint = format!("write `[[{key}]]` instead of `[{key}]`");
                reader.report(Problem::new(Code::SingleTable, &node.place, what).hint(hint));
            } else {
                reader.wrong_type(node, Self::WANTS);
            }
            return None;
        };
        let mut is_whole = true;
        let mut items = Self::new();
        for (position, element) in elements.iter().enumerate() {
            let node = Node {
                value: element.get_ref(),
                place: place_of_element(&node.place, position, element.get_ref(), element.span()),
            };
            match T::read(&node, reader) {
                Some(value) => items.push(Item {
                    value,
                    place: node.place,
                }),
                None => is_whole = false,
            }
        }
        is_whole.then_some(items)
    }

    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }

    fn show(&self) -> Shown {
        Shown::List(self.iter().map(|item| item.value.show()).collect())
    }
}

/// Elements that have a name are called by it, the others by their position.
fn place_of_element(
    list: &Place,
    position: usize,
    element: &DeValue<'_>,
    span: std::ops::Range<usize>,
) -> Place {
    let name = match element {
        DeValue::Table(table) => table.get("name").map(|name| name.get_ref()),
        _ => None,
    };
    match name {
        Some(DeValue::String(name)) => list.key(name, span),
        _ => list.element(position, span),
    }
}

/// A table whose keys are names that the operator chooses, sorted by name.
#[derive(Clone, Debug)]
pub(in crate::config) struct Named<T> {
    pub(in crate::config) entries: Vec<(String, Item<T>)>,
    /// Names whose values are broken; they count as known.
    pub(in crate::config) broken: Vec<String>,
}

impl<T> Named<T> {
    /// Every name in the file, whether its value is broken or not.
    pub(in crate::config) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let whole = self.entries.iter().map(|(name, _)| name.as_str());
        whole.chain(self.broken.iter().map(String::as_str))
    }
}

impl<T: FileValue> FileValue for Named<T> {
    const WANTS: &'static str = "a table";

    fn read(node: &Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let table = node.table(reader, Self::WANTS)?;
        let mut named = Self {
            entries: Vec::new(),
            broken: Vec::new(),
        };
        for (key, value) in table {
            let name = key.get_ref().clone().into_owned();
            let node = Node {
                value: value.get_ref(),
                place: node.place.key(&name, value.span()),
            };
            match T::read(&node, reader) {
                Some(value) => {
                    let place = node.place;
                    named.entries.push((name, Item { value, place }));
                }
                None => named.broken.push(name),
            }
        }
        Some(named)
    }

    fn schema() -> Json {
        json!({ "type": "object", "additionalProperties": T::schema() })
    }

    fn show(&self) -> Shown {
        let entries = self.entries.iter();
        Shown::Table(
            entries
                .map(|(name, item)| (name.clone(), item.value.show()))
                .collect(),
        )
    }
}
