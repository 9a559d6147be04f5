//! Paths of routes: one form for what means the same, and nothing that no request can have.

use percent_encoding::percent_decode_str;

use crate::config::code::Code;
use crate::config::file::RouteFile;
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::values::Item;
use crate::route::PathPattern;

/// The one pattern of a route; `None` when there is none or it is broken.
pub(super) fn pattern(item: &Item<RouteFile>, reader: &mut Reader<'_>) -> Option<PathPattern> {
    let route = &item.value;
    let keys = [
        ("path", &route.path),
        ("path_exact", &route.path_exact),
        ("path_glob", &route.path_glob),
    ];
    let given: Vec<_> = keys.iter().filter(|(_, key)| key.is_given).collect();
    let (name, key) = match given.as_slice() {
        [one] => **one,
        [] => {
            let what = "needs one of `path`, `path_exact` and `path_glob`";
            let hint = "path = \"/\" stands for the whole host";
            reader.report(Problem::new(Code::PathChoice, &item.place, what).hint(hint));
            return None;
        }
        [(first, one), (second, other), ..] => {
            let what = format!("has `{first}` and `{second}`: only one of them can be");
            let problem = Problem::new(Code::PathChoice, &one.place, "");
            let mut problem = problem.also(&other.place, "and here");
            problem.message = format!("`{}` {what}", item.place.key);
            reader.report(problem);
            return None;
        }
    };
    let text = key.value.as_ref()?;
    let path = decoded(text, &key.place, name == "path_glob", reader)?;
    Some(match name {
        "path_exact" => PathPattern::Exact(path),
        "path_glob" => PathPattern::Glob(path),
        _ => PathPattern::Prefix(without_slash_at_end(path)),
    })
}

/// `/api/` is the same as `/api`.
fn without_slash_at_end(path: String) -> String {
    match path.strip_suffix('/') {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => path,
    }
}

/// A literal to cut off, in the form of a prefix.
pub(super) fn prefix(text: &str, place: &Place, reader: &mut Reader<'_>) -> Option<String> {
    decoded(text, place, false, reader).map(without_slash_at_end)
}

/// The path decoded, as requests are judged.
fn decoded(text: &str, place: &Place, is_glob: bool, reader: &mut Reader<'_>) -> Option<String> {
    match judge(text, is_glob) {
        Ok(path) => Some(path),
        Err((what, hint)) => {
            let problem = Problem::new(Code::BadPath, place, what);
            reader.report(problem.maybe_hint(hint.map(str::to_owned)));
            None
        }
    }
}

type Fault = (&'static str, Option<&'static str>);

fn judge(text: &str, is_glob: bool) -> Result<String, Fault> {
    if !text.starts_with('/') {
        return Err(("must begin with `/`", None));
    }
    if text.contains('?') || text.contains('#') {
        let hint = "the query and the fragment are never matched";
        return Err(("must not hold `?` or `#`", Some(hint)));
    }
    if text.contains('\\') || text.contains(';') {
        return Err(("must not hold `\\` or `;`", None));
    }
    if !is_glob && text.contains('*') {
        let hint = "use path_glob for patterns with `*`";
        return Err(("must not hold `*`", Some(hint)));
    }
    if !has_whole_escapes(text) {
        return Err(("holds a `%` that two hex digits do not follow", None));
    }
    let path = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| ("must be UTF-8 once its escapes are decoded", None))?;
    let literals = text.matches(['/', '*']).count();
    let is_forbidden = |letter: char| letter.is_control() || "\\?#;%".contains(letter);
    if path.chars().any(is_forbidden) || path.matches(['/', '*']).count() != literals {
        let hint = "encoded separators and control characters are refused in every request, or allowed by allow_encoded";
        return Err((
            "holds an escape that means something else when decoded",
            Some(hint),
        ));
    }
    if path.contains("//") {
        return Err((
            "must not hold `//`",
            Some("requests with empty segments are refused"),
        ));
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(("must not hold the segments `.` and `..`", None));
    }
    Ok(path.into_owned())
}

fn has_whole_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_no_request_can_have_are_refused() {
        for bad in [
            "",
            "api",
            "/a?b",
            "/a#b",
            "/a//b",
            "/a/./b",
            "/a/../b",
            "/%2e%2e/b",
            "/a%2fb",
            "/a%5cb",
            "/a%00",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a;b",
            "/a\\b",
            "/a*",
            "/%ff",
            "/%252f",
            "/a\u{7}",
            "/%2a",
        ] {
            assert!(judge(bad, false).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn literals_are_kept_decoded() {
        assert_eq!(judge("/caf%C3%A9", false).as_deref(), Ok("/café"));
        assert_eq!(judge("/中文/a", false).as_deref(), Ok("/中文/a"));
        assert_eq!(judge("/static/**", true).as_deref(), Ok("/static/**"));
        assert_eq!(without_slash_at_end("/a/".to_owned()), "/a");
        assert_eq!(without_slash_at_end("/".to_owned()), "/");
    }
}
