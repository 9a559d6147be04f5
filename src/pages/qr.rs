//! An address as a QR code that a page can draw inline.

use std::fmt::Write;

use fast_qr::{ECL, Module, QRBuilder};
use serde::Serialize;

/// What version 15 (77 modules a side) holds at 15 % redundancy. Bigger codes weigh too much and are read badly from a screen.
const LONGEST_ROBUST: usize = 412;

/// What version 15 holds at 7 %: a screen is neither dirty nor torn, so bigger modules help more than redundancy.
const LONGEST: usize = 520;

/// A QR code, to be drawn as a stroked `<path>` one unit wide, moved down by half a unit, with four units of quiet zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QrCode {
    /// Modules on each side, without the quiet zone.
    size: usize,
    /// SVG path data: a line for each horizontal run of dark modules.
    path: String,
}

impl QrCode {
    /// Encodes text; `None` when it is empty or longer than 520 bytes.
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > LONGEST {
            return None;
        }
        let level = if text.len() <= LONGEST_ROBUST {
            ECL::M
        } else {
            ECL::L
        };
        let code = QRBuilder::new(text).ecl(level).build().ok()?;
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

fn draw_row(path: &mut String, modules: &[Module], row: usize) {
    // Writing to a String cannot fail.
    let _ = write!(path, "M0 {row}");
    for run in modules.chunk_by(|left, right| left.value() == right.value()) {
        let length = run.len();
        let _ = if run.first().is_some_and(|module| module.value()) {
            write!(path, "h{length}")
        } else {
            write!(path, "m{length} 0")
        };
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    /// Draws the path back into rows of modules.
    fn modules(code: &QrCode) -> Vec<Vec<bool>> {
        let mut rows = vec![vec![false; code.size]; code.size];
        for line in code.path.split('M').skip(1) {
            let start = line.find(['h', 'm']).unwrap();
            let row: usize = line[..start].strip_prefix("0 ").unwrap().parse().unwrap();
            let mut column = 0;
            let steps = line[start..]
                .replace(" 0", "")
                .replace('h', " h")
                .replace('m', " m");
            for step in steps.split_ascii_whitespace() {
                let (kind, length) = step.split_at(1);
                let end = column + length.parse::<usize>().unwrap();
                rows[row][column..end].fill(kind == "h");
                column = end;
            }
            assert_eq!(column, code.size);
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
        for length in [0, 521, 5000] {
            assert_eq!(QrCode::new(&"x".repeat(length)), None, "{length}");
        }
        for length in [1, 412, 413, 520] {
            let code = QrCode::new(&"x".repeat(length)).unwrap();
            assert!(
                code.size <= 77 && code.path.len() < 12_000,
                "{length}: {}",
                code.path.len()
            );
        }
    }
}
