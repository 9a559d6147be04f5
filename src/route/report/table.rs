//! Text in columns, as wide as a terminal shows it.

use unicode_width::UnicodeWidthStr;

/// Rows under a head; columns are padded to their widest cell, where a Chinese character counts two.
#[derive(Debug)]
pub struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// No rows under this head yet.
    pub fn new(head: [&str; COLUMNS]) -> Self {
        Self {
            rows: vec![head.map(str::to_owned)],
        }
    }

    /// Adds a row at the end.
    pub fn push(&mut self, row: [String; COLUMNS]) {
        self.rows.push(row.map(|cell| printable(&cell)));
    }

    /// Every row on a line of its own, indented by so many blanks.
    pub fn text(&self, indent: usize) -> String {
        let width = |column: usize| self.rows.iter().map(|row| row[column].width()).max();
        let widths: Vec<usize> = (0..COLUMNS).filter_map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width - cell.width() + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// The text without anything that could move a terminal's cursor: decoded paths may hold any character.
pub fn printable(text: &str) -> String {
    let shown = |letter: char| match letter {
        // Marks that turn the direction of writing can make a path look like another.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => letter.is_control(),
    };
    text.chars()
        .flat_map(|letter| {
            let escape = shown(letter).then(|| letter.escape_unicode());
            let plain = (!shown(letter)).then_some(letter);
            escape.into_iter().flatten().chain(plain)
        })
        .collect()
}
