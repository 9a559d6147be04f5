//! Hides secrets in the text that reports quote.

use std::ops::Range;

/// The text with every byte of the given spans replaced by `*`, so that all places stay the same.
///
/// Where the text could not be parsed nobody knows which values are secrets: then the letters of every value whose line
/// speaks of a secret, a token or a key are hidden too.
pub(super) fn mask(text: &str, secrets: &[Range<usize>], unparsed: bool) -> String {
    let mut masked: Vec<u8> = text.bytes().collect();
    for span in secrets {
        if let Some(bytes) = masked.get_mut(span.clone()) {
            bytes.fill(b'*');
        }
    }
    if unparsed {
        mask_suspects(text, &mut masked);
    }
    String::from_utf8(masked).unwrap_or_default()
}

fn mask_suspects(text: &str, masked: &mut [u8]) {
    let mut start = 0;
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let from = match value_start(line) {
            Some((name_is_suspect, value)) => {
                inside = name_is_suspect;
                value
            }
            None => 0,
        };
        if inside {
            for (offset, letter) in line.char_indices().filter(|(offset, _)| *offset >= from) {
                let bytes = start + offset..start + offset + letter.len_utf8();
                if letter.is_alphanumeric()
                    && let Some(bytes) = masked.get_mut(bytes)
                {
                    bytes.fill(b'*');
                }
            }
        }
        start += line.len();
    }
}

/// For a line that begins something new: whether it speaks of secrets, and where its value begins. A line that goes on with
/// an array or a long string gives `None`.
fn value_start(line: &str) -> Option<(bool, usize)> {
    let trimmed = line.trim_start();
    if trimmed.starts_with('[') {
        return Some((false, 0));
    }
    let (name, _) = trimmed.split_once('=')?;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "_-. ".contains(letter);
    if !name.chars().all(is_name) {
        return None;
    }
    let suspect = ["secret", "token", "key", "url"]
        .iter()
        .any(|word| trimmed.contains(word));
    let value = line.len() - trimmed.len() + name.len() + 1;
    Some((suspect, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_may_be_secrets_are_hidden_where_nothing_could_be_parsed() {
        let text = "secret = “a1”\nkeys = [\n  \"b2==\",\n]\nname = \"c3\"\n";

        let masked = mask(text, &[], true);

        assert!(!masked.contains("a1") && !masked.contains("b2"), "{masked}");
        assert!(masked.contains("c3"), "{masked}");
        assert!(masked.contains('“'), "the quotation mark is the problem");
        assert_eq!(masked.len(), text.len());
    }

    #[test]
    fn known_spans_are_hidden_byte_for_byte() {
        let secret = 4..10;
        let masked = mask("a = 秘密\nb", std::slice::from_ref(&secret), false);
        assert_eq!(masked, "a = ******\nb");
    }
}
