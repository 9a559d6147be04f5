//! Keys that take one of a few words.

use crate::config::code::Code;
use crate::config::problem::Problem;
use crate::config::read::{Node, Reader};
use crate::config::suggest::choice;
use crate::config::table::not_available;

/// The words of one key.
#[derive(Debug)]
pub(in crate::config) struct Alphabet<T: 'static> {
    /// Words that work.
    pub(in crate::config) words: &'static [(&'static str, T)],
    /// Words of the format that cannot be served yet.
    pub(in crate::config) later: &'static [&'static str],
}

impl<T: Copy + PartialEq> Alphabet<T> {
    pub(in crate::config) fn read(
        &self,
        node: &Node<'_, '_>,
        reader: &mut Reader<'_>,
    ) -> Option<T> {
        let known = self.words.iter().map(|(word, _)| *word);
        let all = known.chain(self.later.iter().copied());
        let (text, _) = reader.text(node, "a word in quotation marks")?;
        if let Some((_, value)) = self.words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let problem = if self.later.contains(&text.as_str()) {
            let available: Vec<_> = self.words.iter().map(|(word, _)| *word).collect();
            let hint = format!("available: `{}`", available.join("`, `"));
            let mut problem = not_available(&node.place, &hint);
            problem.message = format!("`{}` = \"{text}\" is not available yet", node.place.key);
            problem
        } else {
            let what = format!("does not know the word \"{text}\"");
            Problem::new(Code::UnknownWord, &node.place, what).maybe_hint(choice(&text, all))
        };
        reader.report(problem);
        None
    }

    pub(in crate::config) fn word(&self, value: T) -> &'static str {
        let mut words = self.words.iter();
        words
            .find(|(_, known)| *known == value)
            .map_or("", |(word, _)| *word)
    }
}

/// Gives an enum its words in the file: `words! { Enum { "word" = Variant } later { "word" } }`.
macro_rules! words {
    ($type:ty { $($word:literal = $variant:ident),* $(,)? } $(later { $($later:literal),* $(,)? })?) => {
        impl $crate::config::read::FileValue for $type {
            const WANTS: &'static str = "a word in quotation marks";

            fn read(
                node: &$crate::config::read::Node<'_, '_>,
                reader: &mut $crate::config::read::Reader<'_>,
            ) -> Option<Self> {
                words!(@alphabet $($word = $variant),* ; $($($later),*)?).read(node, reader)
            }

            fn schema() -> serde_json::Value {
                serde_json::json!({
                    "anyOf": [
                        { "enum": [$($word,)* $($($later,)*)?] },
                        { "type": "string", "pattern": "^(env|file|cred):" },
                    ]
                })
            }

            fn show(&self) -> $crate::config::show::Shown {
                let alphabet = words!(@alphabet $($word = $variant),* ; $($($later),*)?);
                $crate::config::show::Shown::text(alphabet.word(*self))
            }
        }
    };
    (@alphabet $($word:literal = $variant:ident),* ; $($later:literal),*) => {
        $crate::config::values::Alphabet::<Self> {
            words: &[$(($word, Self::$variant)),*],
            later: &[$($later),*],
        }
    };
}

pub(in crate::config) use words;
