//! "Did you mean": the nearest of the words that would have been right.

/// A hint that names the nearest candidate, when one is near enough to be a slip of the fingers.
pub(super) fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&lower, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min()
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// [`did_you_mean`], or else the whole choice.
pub(super) fn choice<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
) -> Option<String> {
    did_you_mean(word, candidates.clone()).or_else(|| {
        let all: Vec<_> = candidates
            .into_iter()
            .map(|word| format!("`{word}`"))
            .collect();
        match all.as_slice() {
            [] => None,
            [only] => Some(format!("known here: {only}")),
            [.., _] => Some(format!("known here: {}", all.join(", "))),
        }
    })
}

/// How many letters must be inserted, removed, replaced, or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, letter) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != other);
            let mut best = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let is_swap =
                row > 0 && column > 0 && left[row - 1] == *other && right[column - 1] == *letter;
            if is_swap {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let words = ["upstream", "path", "public"];
        for (word, expected) in [
            ("upstraem", Some("did you mean `upstream`?")),
            ("pubic", Some("did you mean `public`?")),
            ("Path", Some("did you mean `path`?")),
            ("zebra", None),
        ] {
            assert_eq!(did_you_mean(word, words).as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn a_swap_of_neighbours_counts_once() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("abcd", "abdc"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
