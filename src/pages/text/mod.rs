//! Every text we show, in every language: a [`Phrase`] that lacks one does not compile.

mod account;
mod cause;
mod client;
mod confirm;
mod first_run;
pub(super) mod follow;
mod hint;
mod page;
mod scan;

pub(super) use confirm::SECONDS_LEFT;
pub(super) use hint::hint;
pub(super) use page::{WAIT_MINUTES, WAIT_SECONDS, words};
pub(super) use scan::{tab, told};

use super::Language;

/// One text in all languages. `{name}` stands for something that [`Phrase::fill`] puts in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phrase {
    zh_cn: &'static str,
    zh_tw: &'static str,
    en: &'static str,
}

/// A text and the name under which templates know it.
pub(super) type Word = (&'static str, Phrase);

const fn phrase(zh_cn: &'static str, zh_tw: &'static str, en: &'static str) -> Phrase {
    Phrase { zh_cn, zh_tw, en }
}

impl Phrase {
    /// The text as it was written.
    pub(super) fn text(&self, language: Language) -> &'static str {
        match language {
            Language::ZhCn => self.zh_cn,
            Language::ZhTw => self.zh_tw,
            Language::En => self.en,
        }
    }

    /// The text with its placeholders filled, in one pass: what is put in is never read as a placeholder.
    pub(super) fn fill(&self, language: Language, values: &[(&str, &str)]) -> String {
        let mut rest = self.text(language);
        let mut filled = String::with_capacity(rest.len() + 32);
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let known = after.split_once('}').and_then(|(name, after)| {
                let value = values.iter().find(|(known, _)| *known == name)?;
                Some((value.1, after))
            });
            match known {
                Some((value, after)) => {
                    filled.push_str(value);
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::pages::{Cause, gallery};

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
            .collect()
    }

    fn every_phrase() -> Vec<Phrase> {
        let pages = gallery().into_iter().flat_map(|(_, page)| words(&page));
        let mut phrases: Vec<Phrase> = pages.map(|(_, phrase)| phrase).collect();
        phrases.extend(Cause::ALL.map(hint));
        phrases.extend([WAIT_SECONDS, WAIT_MINUTES, SECONDS_LEFT]);
        phrases.extend([follow::ASK, follow::LOGGED_IN, follow::UNKNOWN_DEVICE]);
        phrases
    }

    #[test]
    fn every_language_has_the_same_placeholders() {
        let phrases = every_phrase();
        assert!(phrases.len() > 100, "only {} phrases", phrases.len());
        for phrase in phrases {
            let expected = placeholders(phrase.en);
            assert_eq!(placeholders(phrase.zh_cn), expected, "{phrase:?}");
            assert_eq!(placeholders(phrase.zh_tw), expected, "{phrase:?}");
        }
    }

    /// Catches a text pasted into the wrong column.
    #[test]
    fn every_text_is_in_its_own_script() {
        const ONLY_SIMPLIFIED: &str = "请这录网络账号维护务开关复别试传线";
        const ONLY_TRADITIONAL: &str = "請這錄網絡賬號維護務開關復別試傳線";
        let chinese = |letter: char| ('\u{3400}'..='\u{9fff}').contains(&letter);
        let holds = |text: &str, set: &str| text.chars().any(|letter| set.contains(letter));
        let simplified: String = only_in(ONLY_SIMPLIFIED, ONLY_TRADITIONAL);
        let traditional: String = only_in(ONLY_TRADITIONAL, ONLY_SIMPLIFIED);
        for phrase in every_phrase() {
            assert!(phrase.zh_cn.chars().any(chinese), "{phrase:?}");
            assert!(phrase.zh_tw.chars().any(chinese), "{phrase:?}");
            assert!(!holds(phrase.zh_cn, &traditional), "{phrase:?}");
            assert!(!holds(phrase.zh_tw, &simplified), "{phrase:?}");
            assert!(!phrase.en.trim().is_empty());
        }
    }

    fn only_in(set: &str, other: &str) -> String {
        set.chars()
            .filter(|letter| !other.contains(*letter))
            .collect()
    }

    #[test]
    fn a_value_is_never_read_as_a_placeholder() {
        let text = phrase("{a}", "{a}", "{a} and {b}, {unknown} {");
        let filled = text.fill(Language::En, &[("a", "{b}"), ("b", "two")]);
        assert_eq!(filled, "{b} and two, {unknown} {");
    }
}
