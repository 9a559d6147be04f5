//! Numbers of the status page: read off the page of metrics, so that both say the same.

use std::collections::BTreeSet;

/// Every series with its value.
#[derive(Debug)]
pub(super) struct Series<'p>(Vec<(&'p str, &'p str, f64)>);

impl<'p> Series<'p> {
    /// Reads a page in either text format.
    pub(super) fn read(page: &'p str) -> Self {
        let series = |line: &'p str| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            Some((name, labels.trim_end_matches('}'), value.parse().ok()?))
        };
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(series).collect())
    }

    /// The sum of a family's series that have all these labels; 0 where there is none.
    pub(super) fn sum(&self, family: &str, labels: &[(&str, &str)]) -> u64 {
        let of_family = self.0.iter().filter(|(name, _, _)| *name == family);
        let sum: f64 = of_family
            .filter(|(_, found, _)| labels.iter().all(|label| has(found, *label)))
            .map(|(_, _, value)| value)
            .sum();
        // Counters are whole and far smaller than what a float can hold exactly.
        format!("{sum:.0}").parse().unwrap_or(0)
    }

    /// The values of a label among the series of a family, each once.
    pub(super) fn values_of(&self, family: &str, label: &str) -> BTreeSet<String> {
        let start = format!("{label}=\"");
        let of_family = self.0.iter().filter(|(name, _, _)| *name == family);
        let values = of_family.filter_map(|(_, labels, _)| {
            let (_, rest) = labels.split_once(&start)?;
            // Names of routes hold no quotation mark unless escaped; such a route is not found, and counts since the start.
            rest.split('"').next().map(str::to_owned)
        });
        values.collect()
    }

    /// Each series of a family: its labels, to be read by [`label`], and its value.
    pub(super) fn of_family(&self, family: &str) -> impl Iterator<Item = (&'p str, f64)> {
        let of_family = self.0.iter().filter(move |(name, _, _)| *name == family);
        of_family.map(|(_, labels, value)| (*labels, *value))
    }

    /// The value of one series, where it is there.
    pub(super) fn value(&self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found = self.0.iter().find(|(name, found, _)| {
            *name == family && labels.iter().all(|label| has(found, *label))
        });
        found.map(|(_, _, value)| *value)
    }
}

/// The value of a label as it is written; one with a quotation mark ends before it.
pub(super) fn label<'p>(written: &'p str, name: &str) -> &'p str {
    let start = format!("{name}=\"");
    let found = written
        .match_indices(&start)
        .find(|(at, _)| *at == 0 || written[..*at].ends_with(','));
    found
        .and_then(|(at, _)| written[at + start.len()..].split('"').next())
        .unwrap_or_default()
}

/// Whether labels as they are written hold this one.
fn has(written: &str, (name, value): (&str, &str)) -> bool {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    let wanted = format!("{name}=\"{escaped}\"");
    written
        .match_indices(&wanted)
        .any(|(at, _)| at == 0 || written[..at].ends_with(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_whole_labels() {
        let page = "# HELP a_total x\na_total{route=\"x\",code=\"200\"} 3\na_total{xroute=\"x\",code=\"500\"} 4\n\
                    a_total{route=\"a\\\"b\",code=\"200\"} 5\nb 1.5\n";
        let series = Series::read(page);

        assert_eq!(series.sum("a_total", &[("route", "x")]), 3);
        assert_eq!(series.sum("a_total", &[("code", "200")]), 8);
        assert_eq!(series.sum("a_total", &[("route", "a\"b")]), 5);
        assert_eq!(series.sum("nothing", &[]), 0);
        assert_eq!(series.value("b", &[]), Some(1.5));
        assert_eq!(series.value("a_total", &[("route", "y")]), None);
        let routes = series
            .of_family("a_total")
            .map(|(labels, value)| (label(labels, "route"), label(labels, "code"), value));
        assert_eq!(
            routes.take(2).collect::<Vec<_>>(),
            [("x", "200", 3.0), ("", "500", 4.0)]
        );
    }
}
