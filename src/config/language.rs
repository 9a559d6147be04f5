//! In which language reports are.

use super::code::Code;

/// The list of codes with their meaning in both languages.
const MEANINGS: &str = include_str!("../docs/errors.md");

/// A language of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The language of keys and messages.
    English,
    /// The meaning of each code in simplified Chinese beside the message.
    Chinese,
}

impl Language {
    /// By the name of a locale, such as `zh_CN.UTF-8`; English for every other than Chinese.
    pub fn of_locale(locale: &str) -> Self {
        let language = locale.split(['_', '-', '.', '@']).next();
        match language {
            Some(language) if language.eq_ignore_ascii_case("zh") => Self::Chinese,
            _ => Self::English,
        }
    }
}

impl Code {
    /// The code of this name, like `E104`, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let is_named = |code: &&Self| code.as_str().eq_ignore_ascii_case(name);
        Self::ALL.iter().find(is_named).copied()
    }

    /// What the code means and what to do about it, in one sentence.
    pub fn meaning(self, language: Language) -> &'static str {
        let column = match language {
            Language::English => 2,
            Language::Chinese => 3,
        };
        let start = format!("| {} |", self.as_str());
        let row = MEANINGS.lines().find(|line| line.starts_with(&start));
        row.and_then(|row| row.split('|').nth(column))
            .unwrap_or_default()
            .trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_meaning_in_both_languages() {
        for code in Code::ALL {
            assert_eq!(Code::named(&code.as_str().to_lowercase()), Some(*code));
            let english = code.meaning(Language::English);
            let chinese = code.meaning(Language::Chinese);
            assert!(english.ends_with('.') && english.is_ascii(), "{english}");
            assert!(chinese.ends_with('。'), "{code:?} {chinese}");
        }
    }

    #[test]
    fn a_locale_tells_the_language() {
        for (locale, language) in [
            ("zh_CN.UTF-8", Language::Chinese),
            ("zh-CN", Language::Chinese),
            ("ZH", Language::Chinese),
            ("en_US.UTF-8", Language::English),
            ("C.UTF-8", Language::English),
            ("", Language::English),
        ] {
            assert_eq!(Language::of_locale(locale), language, "{locale}");
        }
    }
}
