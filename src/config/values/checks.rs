//! What a health check asks for, and which answers are good.

use std::ops::RangeInclusive;

use http::uri::PathAndQuery;

use super::TextValue;
use crate::config::code::Code;

/// Path and query of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Request(pub(in crate::config) PathAndQuery);

impl TextValue for Request {
    const WANTS: &'static str = "a path such as \"/health\", with its query if it has one";
    const CODE: Code = Code::BadPath;

    fn parse(text: &str) -> Option<Self> {
        let is_plain = text.starts_with('/')
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && !text.contains('#');
        is_plain.then(|| text.parse().ok().map(Self)).flatten()
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

/// Statuses and ranges of them, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Statuses(pub(in crate::config) Vec<RangeInclusive<u16>>);

impl TextValue for Statuses {
    const WANTS: &'static str =
        "statuses from 200 to 599 such as \"200\", \"200-399\" or \"200,204\"";
    const CODE: Code = Code::BadText;

    fn parse(text: &str) -> Option<Self> {
        let ranges = text.split(',').map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (status(first)?, status(last)?);
            (first <= last).then_some(first..=last)
        });
        ranges.collect::<Option<_>>().map(Self)
    }

    fn write(&self) -> String {
        let written = self
            .0
            .iter()
            .map(|range| match (range.start(), range.end()) {
                (first, last) if first == last => first.to_string(),
                (first, last) => format!("{first}-{last}"),
            });
        written.collect::<Vec<_>>().join(",")
    }
}

fn status(text: &str) -> Option<u16> {
    let text = text.trim();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let status = text.parse().ok().filter(|_| is_number)?;
    (200..=599).contains(&status).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_numbers_and_ranges() {
        for good in ["200", "200-399", "200,204", "200-299,401"] {
            let parsed = Statuses::parse(good).map(|statuses| statuses.write());
            assert_eq!(parsed.as_deref(), Some(good));
        }
        for bad in ["", "199", "600", "2xx", "399-200", "200,", "+200", "-200"] {
            assert_eq!(Statuses::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_check_asks_for_a_plain_path() {
        assert!(Request::parse("/health?deep=1").is_some());
        for bad in ["", "health", "/a b", "/a#b", "http://a/", "/\u{e9}"] {
            assert_eq!(Request::parse(bad), None, "{bad:?}");
        }
    }
}
