//! Values written as text: durations, sizes, addresses, names.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, Method};
use serde_json::{Value as Json, json};

use crate::config::code::Code;
use crate::config::problem::Problem;
use crate::config::read::{FileValue, Node, Reader};
use crate::config::show::Shown;

/// A value that is parsed from text. The text may be named by `env:`, `file:` or `cred:`.
pub(in crate::config) trait TextValue: Sized {
    /// Completes "must be …".
    const WANTS: &'static str;
    /// The kind of problem a bad text is.
    const CODE: Code;

    /// Parses it.
    fn parse(text: &str) -> Option<Self>;

    /// As people write it.
    fn write(&self) -> String;
}

impl<T: TextValue> FileValue for T {
    const WANTS: &'static str = T::WANTS;

    fn read(node: &Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let (text, _) = reader.text(node, T::WANTS)?;
        let value = T::parse(&text);
        if value.is_none() {
            if text.contains('@') {
                // It may be a URL with a password.
                reader.secrets.push(node.place.span.clone());
            }
            let hint = text
                .chars()
                .any(char::is_control)
                .then(|| ESCAPES.to_owned());
            let what = format!("must be {}", T::WANTS);
            reader.report(Problem::new(T::CODE, &node.place, what).maybe_hint(hint));
        }
        value
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }

    fn show(&self) -> Shown {
        Shown::text(self.write())
    }
}

impl TextValue for String {
    const WANTS: &'static str = "text without control characters";
    const CODE: Code = Code::BadText;

    fn parse(text: &str) -> Option<Self> {
        (!text.chars().any(char::is_control)).then(|| text.to_owned())
    }

    fn write(&self) -> String {
        self.clone()
    }
}

/// How control characters get into a text that shows none.
const ESCAPES: &str = "in \"…\" a backslash begins an escape: write '…' or two backslashes";

/// Units of time, the longest first, with their milliseconds.
const TIMES: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("ms", 1),
    ("s", 1_000),
];

/// Ten years: far from what clocks can add, far above what anybody means.
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

impl TextValue for Duration {
    const WANTS: &'static str = "a time such as \"30s\", \"15m\", \"12h\" or \"7d\", at most 3650d";
    const CODE: Code = Code::BadDuration;

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = number_and_unit(text)?;
        let (_, milliseconds) = TIMES.iter().find(|(known, _)| *known == unit)?;
        let duration = Self::from_millis(number.checked_mul(*milliseconds)?);
        (duration <= LONGEST).then_some(duration)
    }

    fn write(&self) -> String {
        let whole = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        if whole == 0 {
            return "0s".to_owned();
        }
        let fits = |(_, unit): &&(&str, u64)| whole.is_multiple_of(*unit);
        let by_length = TIMES.iter().filter(|(name, _)| *name != "ms");
        let (name, unit) = by_length.into_iter().find(fits).unwrap_or(&("ms", 1));
        format!("{}{name}", whole / unit)
    }
}

/// A time that must not be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(in crate::config) struct Positive(pub(in crate::config) Duration);

impl TextValue for Positive {
    const WANTS: &'static str =
        "a time above zero such as \"30s\", \"15m\", \"12h\" or \"7d\", at most 3650d";
    const CODE: Code = Code::BadDuration;

    fn parse(text: &str) -> Option<Self> {
        let duration = Duration::parse(text)?;
        (!duration.is_zero()).then_some(Self(duration))
    }

    fn write(&self) -> String {
        self.0.write()
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Size(pub(in crate::config) u64);

/// Units of size, the largest first.
const SIZES: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl TextValue for Size {
    const WANTS: &'static str = "a size above zero such as \"64KiB\" or \"10MiB\"";
    const CODE: Code = Code::BadSize;

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = number_and_unit(text)?;
        let (_, bytes) = SIZES.iter().find(|(known, _)| *known == unit)?;
        number
            .checked_mul(*bytes)
            .filter(|bytes| *bytes > 0)
            .map(Self)
    }

    fn write(&self) -> String {
        let fits = |(_, unit): &&(&str, u64)| self.0.is_multiple_of(*unit);
        let (name, unit) = SIZES.iter().find(fits).unwrap_or(&("B", 1));
        format!("{}{name}", self.0 / unit)
    }
}

/// `64KiB` as 64 and `KiB`; digits only, at most one blank between.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    Some((number.parse().ok()?, unit))
}

/// A path of the file system, as written; relative ones count from the file's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct FilePath(pub(in crate::config) String);

impl FilePath {
    /// Where it is, without following anything.
    pub(in crate::config) fn resolve(&self, reader: &Reader<'_>) -> PathBuf {
        reader.surroundings.locate(&reader.folder, &self.0)
    }
}

impl FileValue for FilePath {
    const WANTS: &'static str = "a path";

    fn read(node: &Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let (text, _) = reader.text(node, Self::WANTS)?;
        if text.is_empty() || text.contains('\0') {
            let what = "must be a path";
            reader.report(Problem::new(Code::BadText, &node.place, what));
            return None;
        }
        if text.chars().any(char::is_control) {
            let what = "holds a control character";
            reader.report(Problem::new(Code::ControlCharacter, &node.place, what).hint(ESCAPES));
        }
        Some(Self(text))
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }

    fn show(&self) -> Shown {
        Shown::text(&self.0)
    }
}

/// `#rrggbb`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Accent(pub(in crate::config) String);

impl TextValue for Accent {
    const WANTS: &'static str = "a colour such as \"#07c160\"";
    const CODE: Code = Code::BadText;

    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        let fits = digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        fits.then(|| Self(text.to_ascii_lowercase()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl TextValue for HeaderName {
    const WANTS: &'static str = "a header name such as \"X-Name\"";
    const CODE: Code = Code::BadHeader;

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl TextValue for Method {
    const WANTS: &'static str = "a method in capitals such as \"GET\"";
    const CODE: Code = Code::BadText;

    fn parse(text: &str) -> Option<Self> {
        let is_upper = text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        is_upper.then(|| text.parse().ok()).flatten()
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_come_back_as_written() {
        for text in ["30s", "15m", "12h", "7d", "500ms", "0s", "90s", "3650d"] {
            assert_eq!(Duration::parse(text).unwrap().write(), text);
        }
        for bad in [
            "",
            "30",
            "s",
            "-1s",
            "1.5h",
            "1h30m",
            "30 seconds",
            "3651d",
            "99999999999999999999s",
            "１s",
        ] {
            assert_eq!(Duration::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Positive::parse("0s"), None);
    }

    #[test]
    fn sizes_are_binary_and_never_zero() {
        for (text, bytes) in [
            ("1B", 1),
            ("64KiB", 65_536),
            ("10MiB", 10_485_760),
            ("2 GiB", 2_147_483_648),
        ] {
            assert_eq!(Size::parse(text), Some(Size(bytes)), "{text}");
        }
        for bad in [
            "0B",
            "0KiB",
            "64",
            "64KB",
            "64kib",
            "99999999999999999GiB",
            "KiB",
        ] {
            assert_eq!(Size::parse(bad), None, "{bad:?}");
        }
    }
}
