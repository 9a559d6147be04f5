//! Tables of the file, described once: the struct, its reading, its defaults and its schema come from one text.

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::code::Code;
use super::place::Place;
use super::problem::Problem;
use super::read::{FileValue, Node, Reader};
use super::show::Shown;
use super::suggest::choice;

/// What is known about one key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Its documentation, as in the source.
    pub(super) about: &'static str,
    /// In TOML.
    pub(super) default: Option<&'static str>,
    pub(super) is_required: bool,
    /// Only the default can be given yet.
    pub(super) is_later: bool,
    pub(super) schema: fn() -> Json,
}

/// A key with a default: it always has a value.
#[derive(Clone, Debug)]
pub(super) struct Set<T> {
    pub(super) value: T,
    pub(super) place: Place,
    pub(super) is_given: bool,
    /// Given, but broken; the value is the default and proves nothing.
    pub(super) is_broken: bool,
}

/// A key without a default.
#[derive(Clone, Debug)]
pub(super) struct Optional<T> {
    pub(super) value: Option<T>,
    pub(super) place: Place,
    /// Given, whether broken or not.
    pub(super) is_given: bool,
}

impl<T> Optional<T> {
    /// Given, but broken: a problem says so already.
    pub(super) fn is_broken(&self) -> bool {
        self.is_given && self.value.is_none()
    }
}

/// The two kinds of key, for the macro.
pub(super) trait Field {
    fn read(key: &Key, table: &Entries<'_, '_, '_>, reader: &mut Reader<'_>) -> Self;
    fn show(&self) -> Shown;
}

/// The entries of one table.
#[derive(Debug)]
pub(super) struct Entries<'t, 'n, 'i> {
    pub(super) table: &'n DeTable<'i>,
    pub(super) place: &'t Place,
}

impl<'n, 'i> Entries<'_, 'n, 'i> {
    fn find(&self, name: &str) -> Option<Node<'n, 'i>> {
        let (_, value) = self.table.iter().find(|(key, _)| key.get_ref() == name)?;
        Some(Node {
            value: value.get_ref(),
            place: self.place.key(name, value.span()),
        })
    }

    /// Reports each key that the description does not know.
    pub(super) fn refuse_unknown(&self, keys: &[Key], reader: &mut Reader<'_>) {
        let names = keys.iter().map(|key| key.name);
        for (key, value) in self.table {
            let name = key.get_ref().as_ref();
            if names.clone().any(|known| known == name) {
                continue;
            }
            let is_section =
                self.place.key.is_empty() && matches!(value.get_ref(), DeValue::Table(_));
            let (code, what) = if is_section {
                (Code::UnknownSection, "is not a section of this file")
            } else {
                (Code::UnknownKey, "is not a known key")
            };
            let place = self.place.key(name, key.span());
            if value.span().start >= key.span().end {
                // A misspelt key may hold a secret.
                reader.secrets.push(value.span());
            }
            let hint = choice(name, names.clone());
            reader.report(Problem::new(code, &place, what).maybe_hint(hint));
        }
    }
}

impl<T: FileValue> Field for Set<T> {
    fn read(key: &Key, entries: &Entries<'_, '_, '_>, reader: &mut Reader<'_>) -> Self {
        let Some(node) = entries.find(key.name) else {
            let place = entries.place.key(key.name, entries.place.span.clone());
            return Self {
                value: default(key, &place, reader),
                place,
                is_given: false,
                is_broken: false,
            };
        };
        let place = node.place.clone();
        let read = T::read(&node, reader);
        let is_broken = read.is_none();
        let value = match read {
            Some(value) if !key.is_later => value,
            Some(value) => {
                let default = default::<T>(key, &place, reader);
                if value.show() != default.show() {
                    reader.report(not_available(&place, "leave it out"));
                }
                default
            }
            None => default(key, &place, reader),
        };
        Self {
            value,
            place,
            is_given: true,
            is_broken,
        }
    }

    fn show(&self) -> Shown {
        self.value.show()
    }
}

/// What to write for a key that every file has.
fn how_to_begin(key: &str) -> Option<String> {
    (key == "version")
        .then(|| "begin the file with version = 1, or let `wxgate init` write one".to_owned())
}

impl<T: FileValue> Field for Optional<T> {
    fn read(key: &Key, entries: &Entries<'_, '_, '_>, reader: &mut Reader<'_>) -> Self {
        let Some(node) = entries.find(key.name) else {
            let place = entries.place.key(key.name, entries.place.span.clone());
            if key.is_required {
                let problem = Problem::new(Code::MissingKey, &place, "must be given");
                reader.report(problem.maybe_hint(how_to_begin(key.name)));
            }
            return Self {
                value: None,
                place,
                // A missing key is reported here, so that nobody reports what follows from it.
                is_given: key.is_required,
            };
        };
        let place = node.place.clone();
        let mut value = T::read(&node, reader);
        if key.is_later && value.take().is_some() {
            reader.report(not_available(&place, "leave it out"));
        }
        Self {
            value,
            place,
            is_given: true,
        }
    }

    fn show(&self) -> Shown {
        self.value.as_ref().map_or(Shown::Absent, T::show)
    }
}

/// A part of the format that this version cannot serve yet.
pub(super) fn not_available(place: &Place, hint: &str) -> Problem {
    Problem::new(Code::NotAvailable, place, "is not available yet").hint(hint)
}

/// The value that an absent key has.
#[expect(clippy::expect_used, reason = "a test reads the default of every key")]
fn default<T: FileValue>(key: &Key, place: &Place, reader: &mut Reader<'_>) -> T {
    let text = key.default.unwrap_or_default();
    let value = DeValue::parse(text).expect("defaults are TOML");
    let node = Node {
        value: value.get_ref(),
        place: place.clone(),
    };
    T::read(&node, reader).expect("defaults are valid")
}

/// Describes a table of the file: each key with its documentation, type, default and marks.
///
/// `key: Type = default;` always has a value, `key: Type;` may have none. Marks: `required`, `later`.
macro_rules! table {
    (
        $(#[doc = $about:literal])*
        $name:ident {
            $($(#[doc = $doc:literal])* $key:ident: $type:ty $(= $default:tt)? $(, $mark:ident)?;)*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        #[allow(dead_code, reason = "keys that are not available yet are read and checked only")]
        pub(in crate::config) struct $name {
            /// Where the table begins.
            pub(in crate::config) place: $crate::config::place::Place,
            $(
                $(#[doc = $doc])*
                pub(in crate::config) $key: table!(@field $type $(, $default)?),
            )*
        }

        impl $name {
            /// Every key, in the order of the example.
            pub(in crate::config) const KEYS: &'static [$crate::config::table::Key] =
                &[$(table!(@key $key, $type, [$($doc),*], [$($default)?], [$($mark)?])),*];
        }

        impl $crate::config::read::FileValue for $name {
            const WANTS: &'static str = "a table";
            const IS_TABLE: bool = true;

            fn read(
                node: &$crate::config::read::Node<'_, '_>,
                reader: &mut $crate::config::read::Reader<'_>,
            ) -> Option<Self> {
                let table = node.table(reader, Self::WANTS)?;
                let entries = $crate::config::table::Entries { table, place: &node.place };
                entries.refuse_unknown(Self::KEYS, reader);
                Some(Self {
                    $($key: $crate::config::table::Field::read(
                        &const { table!(@key $key, $type, [$($doc),*], [$($default)?], [$($mark)?]) },
                        &entries,
                        reader,
                    ),)*
                    place: node.place.clone(),
                })
            }

            fn schema() -> serde_json::Value {
                $crate::config::schema::of_table(concat!($($about, "\n"),*), Self::KEYS)
            }

            fn show(&self) -> $crate::config::show::Shown {
                $crate::config::show::Shown::Table(vec![
                    $((
                        stringify!($key).to_owned(),
                        $crate::config::table::Field::show(&self.$key),
                    ),)*
                ])
            }
        }
    };
    (@field $type:ty) => { $crate::config::table::Optional<$type> };
    (@field $type:ty, $default:tt) => { $crate::config::table::Set<$type> };
    (@key $key:ident, $type:ty, [$($doc:literal),*], [$($default:tt)?], [$($mark:ident)?]) => {
        $crate::config::table::Key {
            name: stringify!($key),
            about: concat!($($doc, "\n"),*),
            default: table!(@default $($default)?),
            is_required: table!(@required $($mark)?),
            is_later: table!(@later $($mark)?),
            schema: <$type as $crate::config::read::FileValue>::schema,
        }
    };
    (@default) => { None };
    (@default $default:tt) => { Some(stringify!($default)) };
    (@required required) => { true };
    (@required $($other:ident)?) => { false };
    (@later later) => { true };
    (@later $($other:ident)?) => { false };
}

pub(super) use table;
