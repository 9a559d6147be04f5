//! Where a Chinese sentence may be cut into lines.
//!
//! Browsers cut between any two characters, so a balanced line ends within a word as often as not.

use minijinja::{HtmlEscape, Value};

/// What ends a clause.
const ENDS: [char; 5] = ['，', '。', '；', '？', '！'];

/// The filter `clauses`: HTML in which each clause is a piece that stays in one line where it fits. A text with one clause, and
/// every text in another script, stays as it is.
pub(super) fn clauses(text: &str) -> Value {
    let clauses: Vec<&str> = text.split_inclusive(ENDS).collect();
    if clauses.len() < 2 {
        return Value::from(text);
    }
    let pieces = clauses
        .iter()
        .map(|clause| format!("<span>{}</span>", HtmlEscape(clause)));
    Value::from_safe_string(pieces.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_clause_is_a_piece_and_nothing_is_html_that_was_not() {
        for (text, expected) in [
            (
                "请回到首页，从那里重新开始。",
                "<span>请回到首页，</span><span>从那里重新开始。</span>",
            ),
            (
                "「<b>」不允許。請登出。",
                "<span>「&lt;b&gt;」不允許。</span><span>請登出。</span>",
            ),
        ] {
            let value = clauses(text);
            assert_eq!(value.to_string(), expected);
            assert!(value.is_safe(), "{text}");
        }
        for text in ["请稍候。", "One moment, please. <b>", ""] {
            let value = clauses(text);
            assert_eq!(value.to_string(), text);
            assert!(!value.is_safe(), "{text} is escaped like any other");
        }
    }
}
