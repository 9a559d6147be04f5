//! The arrows between modules: each has a row, rows only point down, and sources use only what their row allows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A module and what it may use, top to bottom. Changing a row is a design decision: say why in the commit and in
/// `src/docs/architecture.md`.
const TABLE: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "admin",
            "app",
            "config",
            "demo",
            "doctor",
            "listen",
            "route",
            "wechat",
            "jwt",
            "seal",
            "message",
            "identity",
            "session",
            "target",
            "observe",
            "simulator",
            "secret",
            "clock",
            "proxy",
            "store",
        ],
    ),
    (
        "demo",
        &[
            "app",
            "config",
            "simulator",
            "pages",
            "message",
            "clock",
            "target",
        ],
    ),
    (
        "app",
        &[
            "doctor", "config", "gateway", "admin", "listen", "drain", "observe", "store", "clock",
            "login", "route", "session", "identity", "jwt", "proxy", "pages", "limit", "wechat",
            "seal", "message",
        ],
    ),
    (
        "doctor",
        &[
            "config", "listen", "wechat", "observe", "clock", "message", "proxy", "seal", "store",
        ],
    ),
    (
        "config",
        &[
            "admin", "gateway", "listen", "login", "route", "proxy", "session", "identity", "jwt",
            "limit", "pages", "wechat", "observe", "store", "seal", "secret", "message", "target",
        ],
    ),
    (
        "admin",
        &[
            "identity", "session", "jwt", "wechat", "observe", "store", "message", "clock",
            "secret",
        ],
    ),
    (
        "gateway",
        &[
            "listen", "login", "route", "session", "identity", "jwt", "proxy", "pages", "limit",
            "observe", "store", "target", "message", "clock", "wechat", "seal",
        ],
    ),
    (
        "login",
        &[
            "route", "session", "identity", "wechat", "pages", "limit", "store", "seal", "observe",
            "target", "message", "clock", "drain", "secret",
        ],
    ),
    (
        "route",
        &[
            "session", "identity", "wechat", "message", "target", "clock",
        ],
    ),
    (
        "session",
        &[
            "identity", "wechat", "store", "seal", "observe", "message", "clock", "secret",
        ],
    ),
    ("identity", &["wechat", "store"]),
    ("wechat", &["store", "seal", "observe", "clock", "secret"]),
    ("simulator", &["listen", "message", "clock", "drain"]),
    ("listen", &["message", "drain", "observe"]),
    ("proxy", &["observe", "message", "target", "drain", "clock"]),
    ("pages", &["seal", "message", "target"]),
    ("jwt", &["clock", "secret"]),
    ("limit", &["clock"]),
    ("store", &["clock", "secret", "observe"]),
    ("seal", &["secret", "clock"]),
    ("message", &["observe", "target"]),
    ("observe", &["secret"]),
    ("target", &[]),
    ("drain", &[]),
    ("clock", &[]),
    ("secret", &[]),
];

#[test]
fn sources_use_only_what_their_row_allows() {
    let sources = sources();
    assert!(
        sources.len() > 40,
        "found only {} source files",
        sources.len()
    );

    assert_eq!(violations(&sources), Vec::<String>::new());
}

#[test]
fn rows_only_point_down_and_every_module_has_one() {
    let place: BTreeMap<&str, usize> = TABLE
        .iter()
        .enumerate()
        .map(|(at, row)| (row.0, at))
        .collect();
    for (at, (module, uses)) in TABLE.iter().enumerate() {
        for used in *uses {
            assert!(place[used] > at, "{module} → {used} points up");
        }
    }
    let modules: Vec<String> = sources().into_iter().map(|source| source.module).collect();
    for module in modules {
        assert!(place.contains_key(module.as_str()), "{module} has no row");
    }
}

#[test]
fn a_planted_violation_is_found() {
    let planted = Source {
        module: "proxy".to_owned(),
        path: PathBuf::from("src/proxy/planted.rs"),
        text: "use crate::{message, session::Session};\nfn f() { crate::wechat::call() }\n"
            .to_owned(),
    };

    let found = violations(&[planted]);

    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("proxy → session") && found[1].contains("proxy → wechat"));
}

struct Source {
    module: String,
    path: PathBuf,
    text: String,
}

/// Every source below a module; `lib.rs` and `main.rs` only declare.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(&root).unwrap();
            let module = inside
                .components()
                .next()
                .unwrap()
                .as_os_str()
                .to_str()
                .unwrap();
            let module = module.trim_end_matches(".rs").to_owned();
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            if is_rust && module != "lib" && module != "main" {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(Source { module, path, text });
            }
        }
    }
    found
}

fn violations(sources: &[Source]) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let mut found = Vec::new();
    for source in sources {
        for used in used_modules(&source.text) {
            let fits =
                used == source.module || allowed[source.module.as_str()].contains(&used.as_str());
            if !fits {
                let place = source.path.display();
                found.push(format!("{} → {used} in {place}", source.module));
            }
        }
    }
    found
}

/// The modules after `crate::`, also those in braces, outside comments.
fn used_modules(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut used = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => used.extend(names_in_braces(list)),
            None => used.push(leading_word(rest)),
        }
    }
    used
}

fn names_in_braces(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut name_starts) = (0, Vec::new(), true);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => name_starts = true,
            letter if name_starts && depth == 0 && !letter.is_whitespace() => {
                names.push(leading_word(&list[at..]));
                name_starts = false;
            }
            _ => {}
        }
    }
    names
}

fn leading_word(text: &str) -> String {
    text.chars()
        .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
        .collect()
}
