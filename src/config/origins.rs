//! Where each effective value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::overrides::Overlay;
use super::place::Place;
use super::problem::locate;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueOrigin {
    /// The file, in this line.
    File(PathBuf, usize),
    /// This environment variable.
    Variable(String),
    /// Nobody gave it.
    Default,
}

/// The places of everything that was given, by the key that `config show` prints.
#[derive(Clone, Debug)]
pub struct Origins(BTreeMap<String, ValueOrigin>);

impl fmt::Display for ValueOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file, line) => write!(formatter, "{}:{line}", file.display()),
            Self::Variable(name) => write!(formatter, "env {name}"),
            Self::Default => formatter.write_str("default"),
        }
    }
}

impl Origins {
    pub(super) fn of(root: &DeTable<'_>, source: &Path, overlay: &Overlay) -> Self {
        let mut origins = Self(BTreeMap::new());
        let origin = |place: &Place| {
            let start = place.span.start;
            if start < overlay.start {
                let (line, _) = locate(&overlay.text, start);
                return ValueOrigin::File(source.to_path_buf(), line);
            }
            let before = overlay.text.get(..start).unwrap_or_default();
            let line = before.rsplit('\n').next().unwrap_or_default();
            let name = line.split([' ', '=']).next().unwrap_or_default();
            ValueOrigin::Variable(name.to_owned())
        };
        origins.add_table(root, &Place::root(), &origin);
        origins
    }

    /// Where the value of a key like `server.listen` or `routes[0].path` came from.
    pub fn of_key(&self, key: &str) -> &ValueOrigin {
        self.0.get(key).unwrap_or(&ValueOrigin::Default)
    }

    fn add_table(
        &mut self,
        table: &DeTable<'_>,
        place: &Place,
        origin: &impl Fn(&Place) -> ValueOrigin,
    ) {
        for (key, value) in table {
            let place = place.key(key.get_ref(), value.span());
            self.add(value.get_ref(), &place, origin);
        }
    }

    fn add(&mut self, value: &DeValue<'_>, place: &Place, origin: &impl Fn(&Place) -> ValueOrigin) {
        match value {
            DeValue::Table(table) => self.add_table(table, place, origin),
            DeValue::Array(elements) => {
                self.0.insert(place.key.clone(), origin(place));
                for (position, element) in elements.iter().enumerate() {
                    let place = place.element(position, element.span());
                    self.add(element.get_ref(), &place, origin);
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {
                self.0.insert(place.key.clone(), origin(place));
            }
        }
    }
}
