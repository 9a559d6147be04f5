//! The number to match: shown in one browser, chosen on the phone.

use serde::{Deserialize, Serialize};

use crate::seal::random_text;

/// The smallest number; two digits, so that none is written in two ways.
const SMALLEST: usize = 10;

/// How many numbers there are.
const CHOICES: usize = 90;

/// Three numbers, one of them right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Numbers {
    /// All different, in the order in which the phone shows them.
    pub(super) offered: [u8; 3],
    /// The one that the other browser shows.
    pub(super) right: u8,
}

impl Numbers {
    /// Three different ones from 10 to 99; each is as likely to be right.
    pub(super) fn random() -> Self {
        let mut offered = [0; 3];
        for place in 0..offered.len() {
            while offered[place] == 0 || offered[..place].contains(&offered[place]) {
                // Both are below 100.
                offered[place] = u8::try_from(SMALLEST + below(CHOICES)).unwrap_or(u8::MAX);
            }
        }
        Self {
            offered,
            right: offered[below(3)],
        }
    }

    /// Whether the phone chose the right one.
    pub(super) fn is_right(&self, chosen: &str) -> bool {
        chosen == self.right.to_string()
    }
}

/// An unbiased number below `limit`, which is at most 1000.
fn below(limit: usize) -> usize {
    const LETTERS: usize = 62;
    const RANGE: usize = LETTERS * LETTERS;
    let place = |letter: u8| match letter {
        b'A'..=b'Z' => usize::from(letter - b'A'),
        b'a'..=b'z' => usize::from(letter - b'a') + 26,
        _ => usize::from(letter.saturating_sub(b'0')) + 52,
    };
    // Values from here on would make small numbers more likely.
    let first_unfair = RANGE - RANGE % limit;
    loop {
        let text = random_text(2);
        let value = text
            .bytes()
            .fold(0, |value, letter| value * LETTERS + place(letter));
        if value < first_unfair {
            return value % limit;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn three_different_numbers_of_two_digits_and_one_is_right() {
        for _ in 0..500 {
            let Numbers { offered, right } = Numbers::random();
            let [first, second, third] = offered;
            assert!(first != second && second != third && first != third);
            assert!(offered.iter().all(|number| (10..=99).contains(number)));
            assert!(offered.contains(&right));
        }
    }

    #[test]
    fn every_place_is_right_about_as_often() {
        let mut places = BTreeMap::new();
        for _ in 0..3000 {
            let Numbers { offered, right } = Numbers::random();
            let place = offered.iter().position(|number| *number == right);
            *places.entry(place).or_insert(0) += 1;
        }
        // Five standard deviations.
        assert_eq!(places.len(), 3);
        assert!(
            places.values().all(|count| (870..=1130).contains(count)),
            "{places:?}"
        );
    }

    #[test]
    fn only_the_number_itself_is_right() {
        let numbers = Numbers {
            offered: [42, 17, 58],
            right: 17,
        };
        assert!(numbers.is_right("17"));
        for wrong in ["", "42", "58", "017", "17 ", "+17", "1"] {
            assert!(!numbers.is_right(wrong), "{wrong}");
        }
    }
}
