//! The older text format, for tools that do not know OpenMetrics.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

/// Turns an OpenMetrics page into text format 0.0.4: families carry the names of their series, and there are neither units
/// nor an end mark.
pub(super) fn from_openmetrics(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    let mut help = "";
    for line in page.lines() {
        if line.starts_with("# HELP ") {
            help = line;
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.rsplit_once(' ').unwrap_or((typed, "untyped"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                _ => ("", kind),
            };
            let words = help.strip_prefix("# HELP ").unwrap_or_default();
            let words = words.strip_prefix(name).unwrap_or_default();
            text.push_str(&format!(
                "# HELP {name}{suffix}{words}\n# TYPE {name}{suffix} {kind}\n"
            ));
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_get_the_names_of_their_series() {
        let page = "# HELP a Requests.\n# TYPE a counter\na_total{x=\"y\"} 1\n\
                    # HELP b_seconds Time.\n# TYPE b_seconds histogram\n# UNIT b_seconds seconds\nb_seconds_count 2\n\
                    # HELP c Build.\n# TYPE c info\nc_info{v=\"1\"} 1\n# EOF\n";

        assert_eq!(
            from_openmetrics(page),
            "# HELP a_total Requests.\n# TYPE a_total counter\na_total{x=\"y\"} 1\n\
             # HELP b_seconds Time.\n# TYPE b_seconds histogram\nb_seconds_count 2\n\
             # HELP c_info Build.\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n"
        );
    }
}
