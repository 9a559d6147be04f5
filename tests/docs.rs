//! The READMEs and `security.md`: what they say exists, loads and is the same in both languages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wxgate::config::{Code, Config, Surroundings};
use wxgate::pages::{Cause, Page};

use crate::support::{TestCertificate, wxgate};

const ENGLISH: &str = include_str!("../README.md");
const CHINESE: &str = include_str!("../README.zh-CN.md");
const QUIRKS: &str = include_str!("../src/docs/quirks.md");
const SECURITY: &str = include_str!("../src/docs/security.md");
const RELIABILITY: &str = include_str!("../src/docs/reliability.md");

/// Headings of the two READMEs; an empty first half stands for a section that only readers in China need.
const HEADINGS: &[(&str, &str)] = &[
    ("# wxgate", "# wxgate"),
    ("## Try it in one minute", "## 一分钟试用"),
    ("", "### 不依赖境外网站"),
    ("## What it does", "## 它做什么"),
    ("## Put it in front of your site", "## 放到你的网站前面"),
    ("", "### 域名备案与 https"),
    ("", "### 用测试号走一遍"),
    (
        "## Read the user in your application",
        "## 在应用里取得用户",
    ),
    ("## Choose the policy per path", "## 按路径选择策略"),
    ("## Visitors outside WeChat", "## 微信之外的访客"),
    ("## Run it", "## 运行"),
    ("## Operate it", "## 运维"),
    ("## Security", "## 安全"),
    ("## Compared with other ways", "## 与其他做法比较"),
    ("## Questions by error code", "## 按错误码查问题"),
    ("## Build, test, contribute", "## 构建、测试、参与"),
];

#[test]
fn both_readmes_have_the_same_sections() {
    let english: Vec<_> = HEADINGS
        .iter()
        .map(|pair| pair.0)
        .filter(|text| !text.is_empty())
        .collect();
    let chinese: Vec<_> = HEADINGS.iter().map(|pair| pair.1).collect();

    assert_eq!(headings(ENGLISH), english);
    assert_eq!(headings(CHINESE), chinese);
}

#[test]
fn both_readmes_show_the_same_code_and_tables_of_the_same_size() {
    let code = |text| -> Vec<(String, Vec<String>)> {
        // Drawings are translated, code is not.
        let snippets = snippets(text)
            .into_iter()
            .filter(|snippet| snippet.language != "text");
        snippets
            .map(|snippet| (snippet.language.to_owned(), without_comments(&snippet)))
            .collect()
    };
    assert!(code(ENGLISH).len() > 5);
    assert_eq!(code(CHINESE), code(ENGLISH));

    let rows = |text: &str| prose(text).filter(|line| line.starts_with('|')).count();
    assert!(rows(ENGLISH) > 30);
    assert_eq!(rows(CHINESE), rows(ENGLISH));
}

#[test]
fn every_configuration_in_the_documents_loads() {
    let root = TempDir::new().unwrap();
    let authority = rcgen::generate_simple_self_signed(["app.inside".to_owned()]).unwrap();
    for (path, text) in [
        ("run/secrets/wechat_main", "s3cret"),
        ("etc/wxgate/staff.txt", "openid:abc\n"),
        ("etc/wxgate/tls/inside.pem", &authority.cert.pem()),
    ] {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let certificate = TestCertificate::of(&["www.example.com"]);
    let folder = root.path().join("etc/wxgate/tls");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("fullchain.pem"), &certificate.cert).unwrap();
    fs::write(folder.join("privkey.pem"), &certificate.key).unwrap();
    let secret = |name: &str| {
        // EncodingAESKey has 43 letters.
        let length = if name == "WX_PUSH_KEY" { 43 } else { 48 };
        Some("s3cret".repeat(8)[..length].to_owned())
    };
    let surroundings = Surroundings::new(secret, root.path());
    let source = root.path().join("etc/wxgate/config.toml");
    let mut loaded = 0;
    for (name, text) in documents() {
        for snippet in snippets(&text) {
            if snippet.language == "toml" {
                let whole = whole_configuration(snippet.text);
                if let Err(problems) = Config::parse(&whole, &source, &surroundings) {
                    panic!("{name}\n{whole}\n{problems}");
                }
                loaded += 1;
            }
        }
    }
    let container = fs::read_to_string(root_of_project().join("docker/config.toml")).unwrap();
    let (_, problems) = Config::parse(&container, &source, &surroundings).unwrap();
    assert_eq!(problems.iter().count(), 0, "{problems}");
    assert!(loaded >= 8, "only {loaded} configurations found");
}

#[test]
fn every_command_in_the_readmes_exists_and_every_command_is_in_them() {
    let (english, chinese) = (commands(ENGLISH), commands(CHINESE));
    assert!(english.len() >= 15, "only {} commands found", english.len());
    assert_eq!(english, chinese);

    let mut named = BTreeSet::new();
    for command in &english {
        named.insert(leaf_of(command));
    }
    assert_eq!(named, all_leaves(&[]));
}

#[test]
fn every_link_leads_to_something_in_the_repository() {
    let mut followed = 0;
    for (name, text) in documents() {
        let folder = root_of_project().join(&name).parent().unwrap().to_owned();
        for line in prose(&text) {
            for link in links(line) {
                if !link.starts_with("https://") {
                    assert!(folder.join(link).is_file(), "{name}: {link} is not there");
                    followed += 1;
                }
            }
        }
    }
    assert!(followed >= 20, "only {followed} links found");
}

#[test]
fn snippets_for_applications_are_those_of_the_examples() {
    let examples = [
        ("php", "examples/php/index.php"),
        ("js", "examples/node/app.mjs"),
        ("python", "examples/python/app.py"),
        ("java", "examples/java/App.java"),
    ];
    for (language, path) in examples {
        let example = dense(&fs::read_to_string(root_of_project().join(path)).unwrap());
        let snippet = snippets(ENGLISH)
            .into_iter()
            .find(|snippet| snippet.language == language)
            .unwrap_or_else(|| panic!("no snippet of {language}"));
        let lines = without_comments(&snippet);
        // PHP: whole statements out of a longer text. The others: one piece.
        let pieces = if language == "php" {
            lines
        } else {
            vec![lines.concat()]
        };
        assert!(!pieces.is_empty());
        for piece in pieces {
            assert!(example.contains(&dense(&piece)), "{path} has no {piece}");
        }
    }
}

#[test]
fn codes_and_metrics_in_the_readmes_exist() {
    let snapshot = Page::Snapshot.code();
    let causes: BTreeSet<&str> = Cause::ALL
        .iter()
        .map(|cause| cause.code())
        .chain(snapshot)
        .collect();
    let problems: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    // Families without a series are not on the page of metrics, so the names are looked up where they are given.
    let metrics: String = rust_files()
        .into_iter()
        .filter(|(path, _)| path.starts_with("src/observe/metrics"))
        .map(|(_, text)| text)
        .collect();
    for text in [ENGLISH, CHINESE] {
        let (mut codes, mut families) = (0, 0);
        for word in words(text) {
            if word.starts_with("WXG-") && word.len() > 4 {
                assert!(causes.contains(word), "{word}");
                codes += 1;
            } else if is_problem_code(word) {
                assert!(problems.contains(word), "{word}");
                codes += 1;
            } else if word.starts_with("wxgate_") {
                let family = word
                    .trim_start_matches("wxgate_")
                    .trim_end_matches("_total");
                assert!(metrics.contains(&format!("\"{family}\"")), "{word}");
                families += 1;
            }
        }
        assert!(
            codes >= 6 && families >= 5,
            "{codes} codes, {families} families"
        );
    }
}

#[test]
fn every_defence_names_code_and_a_test_that_exists() {
    let tables = SECURITY
        .split_once("## What an attacker can try")
        .unwrap()
        .1;
    let sources = rust_files();
    assert!(sources.len() > 100, "only {} sources found", sources.len());
    let mut defences = 0;
    for row in prose(tables).filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [_, _, code, tests] = cells.as_slice() else {
            panic!("{row}")
        };
        if code.trim() == "Code" {
            continue;
        }
        let (code, tests) = (code_spans(code), code_spans(tests));
        assert!(!code.is_empty() && !tests.is_empty(), "{row}");
        for path in &code {
            assert!(
                root_of_project().join(path).is_file(),
                "{path} is not there"
            );
        }
        for test in tests {
            let found = sources.iter().any(|(path, text)| {
                let is_near = path.starts_with("tests/")
                    || code.iter().any(|code| module(code) == module(path));
                is_near && text.contains(&format!("fn {test}("))
            });
            assert!(found, "no test {test} near {code:?}");
        }
        defences += 1;
    }
    assert!(defences > 40, "only {defences} defences found");
}

#[test]
fn every_test_that_reliability_names_exists() {
    let mut found = 0;
    for word in RELIABILITY.lines().flat_map(code_spans) {
        let Some((file, test)) = word.split_once("::") else {
            continue;
        };
        let path = root_of_project().join(format!("tests/{file}.rs"));
        let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("no {}", path.display()));
        assert!(text.contains(&format!("fn {test}(")), "{word}");
        found += 1;
    }
    assert!(found > 15, "only {found} tests named");
}

#[test]
fn every_later_quirk_names_a_test_that_exists_or_says_why_there_is_none() {
    let sources = rust_files();
    let rows: Vec<&str> = prose(QUIRKS)
        .filter(|line| line.starts_with("| Q1") || line.starts_with("| Q2"))
        .collect();
    let numbers: Vec<String> = rows
        .iter()
        .filter_map(|row| row.split([' ', ':']).nth(1))
        .map(str::to_owned)
        .collect();
    let expected: Vec<String> = (14..=27).map(|number| format!("Q{number}")).collect();
    assert_eq!(numbers, expected);
    for row in rows {
        let answer = row.trim_matches('|').split(" | ").last().unwrap();
        let tests = code_spans(answer)
            .into_iter()
            .filter(|span| span.contains('_'));
        let mut named = 0;
        for test in tests {
            let found = sources
                .iter()
                .any(|(_, text)| text.contains(&format!("fn {test}(")));
            assert!(found, "no test {test}");
            named += 1;
        }
        assert!(named > 0 || answer.contains("nothing to test"), "{row}");
    }
}

/// One fenced block.
struct Snippet<'t> {
    language: &'t str,
    text: &'t str,
}

fn root_of_project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The READMEs and every document beside the code.
fn documents() -> Vec<(String, String)> {
    let mut names = vec![
        "README.md".to_owned(),
        "README.zh-CN.md".to_owned(),
        "CHANGELOG.md".to_owned(),
    ];
    for entry in fs::read_dir(root_of_project().join("src/docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("src/docs/{name}"));
        }
    }
    assert!(names.len() >= 6, "only {names:?}");
    let read = |name: String| {
        let text = fs::read_to_string(root_of_project().join(&name)).unwrap();
        (name, text)
    };
    names.into_iter().map(read).collect()
}

/// Every Rust file below `src` and `tests`, by its path in the project.
fn rust_files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ["src", "tests"]
        .map(|name| root_of_project().join(name))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root_of_project()).unwrap();
                found.push((
                    name.to_str().unwrap().to_owned(),
                    fs::read_to_string(&path).unwrap(),
                ));
            }
        }
    }
    found
}

/// `src/proxy/hop.rs` is of the module `proxy`.
fn module(path: &str) -> Option<&str> {
    path.strip_prefix("src/")?.split(['/', '.']).next()
}

/// Fenced blocks in order.
fn snippets(text: &str) -> Vec<Snippet<'_>> {
    let mut parts = text.split("\n```");
    parts.next();
    let (mut found, mut is_inside) = (Vec::new(), true);
    for part in parts {
        if is_inside {
            let (language, text) = part.split_once('\n').unwrap();
            found.push(Snippet { language, text });
        }
        is_inside = !is_inside;
    }
    found
}

/// Lines outside fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    text.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        is_inside ^= is_fence;
        !is_inside && !is_fence
    })
}

fn headings(text: &str) -> Vec<&str> {
    prose(text).filter(|line| line.starts_with('#')).collect()
}

/// Lines without comments and without what they end with; empty ones are gone.
fn without_comments(snippet: &Snippet<'_>) -> Vec<String> {
    let mark = match snippet.language {
        "js" | "java" | "go" | "php" => "//",
        _ => "#",
    };
    let code = |line: &str| match line.find(&format!(" {mark}")) {
        _ if line.trim_start().starts_with(mark) => String::new(),
        Some(end) => line[..end].trim_end().to_owned(),
        None => line.trim_end().to_owned(),
    };
    snippet
        .text
        .lines()
        .map(code)
        .filter(|line| !line.is_empty())
        .collect()
}

/// Without white space and without commas before a closing bracket: what formatting cannot change.
fn dense(text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    [")", "]", "}"].iter().fold(text, |text, bracket| {
        text.replace(&format!(",{bracket}"), bracket)
    })
}

/// A snippet with what it leaves out.
fn whole_configuration(snippet: &str) -> String {
    let has = |start: &str| snippet.lines().any(|line| line.starts_with(start));
    let mut text = String::new();
    if !has("version") {
        text.push_str("version = 1\n");
    }
    text.push_str(snippet);
    if !has("[server]") {
        text.push_str("\n[server]\npublic_url = \"https://www.example.com\"\n");
    }
    if !has("[wechat.") {
        text.push_str("\n[wechat.main]\nkind = \"service-account\"\napp_id = \"wx0123456789abcdef\"\nsecret = \"env:SECRET\"\n");
    }
    if !has("[[routes]]") {
        text.push_str("\n[[routes]]\npath = \"/\"\nupstream = \"http://127.0.0.1:8080\"\n");
    }
    text
}

/// Every command line of the program: in shell blocks and in code within text.
fn commands(text: &str) -> Vec<Vec<String>> {
    let blocks = snippets(text)
        .into_iter()
        .filter(|snippet| snippet.language == "sh");
    let lines = blocks.flat_map(|snippet| without_comments(&snippet));
    let spans = prose(text).flat_map(code_spans).map(str::to_owned);
    let mut found = BTreeSet::new();
    for line in lines.chain(spans) {
        let arguments = ["wxgate ", "cargo run --release -- "]
            .iter()
            .find_map(|start| line.strip_prefix(start));
        if let Some(arguments) = arguments {
            found.insert(arguments.split_whitespace().map(str::to_owned).collect());
        }
    }
    found.into_iter().collect()
}

/// Follows the words of a command line down to the command that takes the rest as arguments, and checks its options.
fn leaf_of(command: &[String]) -> Vec<String> {
    let mut leaf: Vec<String> = Vec::new();
    for word in command {
        let below = commands_below(&help(&leaf));
        if below.is_empty() {
            break;
        }
        assert!(
            below.contains(word),
            "`{}` has no command `{word}`",
            leaf.join(" ")
        );
        leaf.push(word.clone());
    }
    let help = help(&leaf);
    assert!(
        commands_below(&help).is_empty(),
        "`{}` is not a whole command",
        leaf.join(" ")
    );
    for option in command.iter().filter(|word| word.starts_with('-')) {
        let known = help.split([' ', ',', '\n', '=']).any(|word| word == option);
        assert!(known, "`{}` has no option {option}", leaf.join(" "));
    }
    leaf
}

/// Every command that has none below it.
fn all_leaves(command: &[String]) -> BTreeSet<Vec<String>> {
    let below = commands_below(&help(command));
    if below.is_empty() {
        return BTreeSet::from([command.to_vec()]);
    }
    below
        .into_iter()
        .flat_map(|name| all_leaves(&[command, &[name]].concat()))
        .collect()
}

fn help(command: &[String]) -> String {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let mut ours = wxgate(&words, Path::new("."));
    let output = ours.arg("--help").as_std_mut().output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names in the section `Commands:` of a help text.
fn commands_below(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    let names = list.lines().take_while(|line| !line.is_empty());
    let names = names.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Code within a line of text.
fn code_spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Where the links and pictures of a line lead.
fn links(line: &str) -> Vec<&str> {
    let starts = line.split("](").skip(1);
    starts.filter_map(|rest| rest.split(')').next()).collect()
}

/// Words of letters, digits, `_` and `-`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let parts =
        text.split(|letter: char| !letter.is_ascii_alphanumeric() && !"_-".contains(letter));
    parts.filter(|word| !word.is_empty())
}

/// `E401`, `W301`
fn is_problem_code(word: &str) -> bool {
    let digits = word.strip_prefix(['E', 'W']).unwrap_or_default();
    digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit())
}
