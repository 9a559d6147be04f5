//! An address as a QR code that a page can draw inline.

use std::fmt::Write;

use fast_qr::{ECL, QRBuilder, Version};
use serde::Serialize;

/// Longer addresses make codes that phones read badly from a screen and that weigh too much.
const LARGEST: Version = Version::V15;

/// A QR code, to be drawn as `<path d="…">` in a square of `size` units with the quiet zone around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct QrCode {
    /// Modules on each side, without the quiet zone.
    size: usize,
    /// SVG path data: one rectangle for each horizontal run of dark modules.
    path: String,
}

impl QrCode {
    /// Encodes text; `None` when it is empty or longer than about 500 bytes.
    pub(super) fn new(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let build = |level: ECL| QRBuilder::new(text).ecl(level).build().ok();
        // A screen is neither dirty nor torn: where the text is long, bigger modules help more than redundancy.
        let fits = |code: &fast_qr::QRCode| code.size <= side(LARGEST);
        let code = build(ECL::M)
            .filter(fits)
            .or_else(|| build(ECL::L).filter(fits))?;
        let mut path = String::new();
        for row in 0..code.size {
            draw_row(&mut path, &code[row], row);
        }
        Some(Self {
            size: code.size,
            path,
        })
    }
}

fn side(version: Version) -> usize {
    17 + 4 * (version as usize + 1)
}

fn draw_row(path: &mut String, modules: &[fast_qr::Module], row: usize) {
    let mut column = 0;
    for run in modules.chunk_by(|left, right| left.value() == right.value()) {
        let length = run.len();
        if run.first().is_some_and(|module| module.value()) {
            // Writing to a String cannot fail.
            let _ = write!(path, "M{column} {row}h{length}v1h-{length}z");
        }
        column += length;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    /// Draws the path back into rows of modules.
    fn modules(code: &QrCode) -> Vec<Vec<bool>> {
        let mut rows = vec![vec![false; code.size]; code.size];
        for run in code.path.split('z').filter(|run| !run.is_empty()) {
            let (start, rest) = run.strip_prefix('M').unwrap().split_once('h').unwrap();
            let (column, row) = start.split_once(' ').unwrap();
            let length: usize = rest.split_once('v').unwrap().0.parse().unwrap();
            let column: usize = column.parse().unwrap();
            for module in &mut rows[row.parse::<usize>().unwrap()][column..column + length] {
                *module = true;
            }
        }
        rows
    }

    #[test]
    fn the_path_draws_every_module_of_the_code() {
        let text = "https://shop.example.com/orders?id=3";
        let drawn = modules(&QrCode::new(text).unwrap());
        let code = QRBuilder::new(text).ecl(ECL::M).build().unwrap();

        for (row, line) in drawn.iter().enumerate() {
            let expected: Vec<bool> = code[row].iter().map(|module| module.value()).collect();
            assert_eq!(*line, expected, "row {row}");
        }
    }

    #[test]
    fn the_three_finder_patterns_are_there() {
        let rows = modules(&QrCode::new("https://shop.example.com/").unwrap());
        let last = rows.len() - 7;

        for (row, column) in [(0, 0), (0, last), (last, 0)] {
            assert!(rows[row][column..column + 7].iter().all(|dark| *dark));
            assert!(!rows[row + 1][column + 1] && rows[row + 3][column + 3]);
        }
    }

    #[test]
    fn what_does_not_fit_gives_no_code() {
        assert_eq!(QrCode::new(""), None);
        assert_eq!(QrCode::new(&"x".repeat(600)), None);
        assert_eq!(QrCode::new(&"x".repeat(5000)), None);
        let largest = QrCode::new(&"x".repeat(500)).unwrap();
        assert!(largest.size <= 77 && largest.path.len() < 20_000);
    }
}
