//! `config.toml`: broken files and the report each must give, the example, the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value as Json;
use tempfile::TempDir;
use wxgate::config::{
    Code, Config, Document, Language, Problems, Severity, Surroundings, ValueOrigin, schema,
};

use crate::support::{TestCertificate, wxgate};

const MINIMAL: &str = include_str!("configs/minimal.toml");
const EXAMPLE: &str = include_str!("../config.toml.example");

/// A machine with the variables and files that the test files name.
struct Machine {
    root: TempDir,
}

impl Machine {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let machine = Self { root };
        machine.write("run/secrets/wechat_main", "s3cret-of-main\n");
        machine.write(
            "etc/wxgate/lists/staff.txt",
            "# staff\nopenid:abc # Alice\nunionid:def\n",
        );
        let issued = rcgen::generate_simple_self_signed(["wxgate.example".to_owned()]).unwrap();
        machine.write("etc/wxgate/tls/client.crt", &issued.cert.pem());
        let names = ["www.example.com"];
        let (good, other) = (TestCertificate::of(&names), TestCertificate::of(&names));
        machine.write("etc/wxgate/tls/fullchain.pem", &good.cert);
        machine.write("etc/wxgate/tls/privkey.pem", &good.key);
        machine.write("etc/wxgate/tls/other.key", &other.key);
        let folder = machine.root.path().join("etc/wxgate/tls");
        TestCertificate::ending_in(&names, -2).write(&folder, "expired");
        TestCertificate::ending_in(&names, 20).write(&folder, "ending");
        machine
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn surroundings(&self) -> Surroundings {
        let credentials = "/run/secrets".to_owned();
        Surroundings::new(
            move |name| match name {
                "NOT_THERE" => None,
                "EMPTY" => Some(String::new()),
                "WX_PUSH_KEY" => Some("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG".to_owned()),
                "CREDENTIALS_DIRECTORY" => Some(credentials.clone()),
                _ => Some("s3cret-from-environment".to_owned()),
            },
            self.root.path(),
        )
    }

    fn parse(&self, text: &str) -> Result<(Config, Problems), Problems> {
        Config::parse(
            text,
            Path::new("/etc/wxgate/config.toml"),
            &self.surroundings(),
        )
    }

    fn load(&self, text: &str) -> Config {
        self.parse(text)
            .unwrap_or_else(|problems| panic!("{problems}"))
            .0
    }

    fn problems(&self, text: &str) -> Problems {
        match self.parse(text) {
            Ok((_, warnings)) => warnings,
            Err(problems) => problems,
        }
    }
}

fn broken_files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs/broken");
    let files: BTreeMap<String, String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    assert!(files.len() > 10, "only {} broken files", files.len());
    files
}

/// What `#! E104 some.key` at the end of lines announces: line, code, key.
fn announced(text: &str) -> BTreeSet<(usize, String, String)> {
    let mut announced = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        for mark in line.split("#!").skip(1) {
            let (code, key) = mark.trim().split_once(' ').unwrap();
            announced.insert((number + 1, code.to_owned(), key.to_owned()));
        }
    }
    assert!(!announced.is_empty());
    announced
}

/// What a report says: line, code, and the key that its message begins with.
fn reported(problems: &Problems) -> BTreeSet<(usize, String, String)> {
    problems
        .entries()
        .map(|entry| {
            let key = entry.message.split('`').nth(1).unwrap_or_default();
            (entry.line.unwrap(), entry.code.to_owned(), key.to_owned())
        })
        .collect()
}

#[test]
fn a_file_in_another_character_set_is_refused_with_its_line() {
    let machine = Machine::new();
    let path = machine.root.path().join("gbk.toml");
    // "网站" in GBK.
    fs::write(&path, b"version = 1\n# \xcd\xf8\xd5\xbe\n").unwrap();

    let report = Document::read(&path).unwrap_err().render(false);

    assert!(report.contains("is not UTF-8 (line 2)"), "{report}");
    assert!(report.contains("save it as UTF-8"), "{report}");
}

#[test]
fn each_broken_file_gives_exactly_the_problems_that_it_announces() {
    let machine = Machine::new();
    let mut wrong = Vec::new();
    for (file, text) in broken_files() {
        let problems = machine.problems(&text);
        let (reported, announced) = (reported(&problems), announced(&text));
        if reported != announced || problems.iter().count() != announced.len() {
            let missing: Vec<_> = announced.difference(&reported).collect();
            let invented: Vec<_> = reported.difference(&announced).collect();
            wrong.push(format!(
                "{file}\nmissing {missing:#?}\ninvented {invented:#?}\n{problems}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_code_is_made_by_some_test() {
    let machine = Machine::new();
    let mut seen: BTreeSet<Code> = broken_files()
        .values()
        .flat_map(|text| {
            machine
                .problems(text)
                .iter()
                .map(|problem| problem.code)
                .collect::<Vec<_>>()
        })
        .collect();
    seen.insert(unreadable_config().iter().next().unwrap().code);
    seen.insert(exposed_secret().iter().next().unwrap().code);

    let all: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    let missing: Vec<_> = all.difference(&seen).map(|code| code.as_str()).collect();
    assert!(missing.is_empty(), "no test makes {missing:?}");
}

fn unreadable_config() -> Problems {
    Config::load(Path::new("/not/there.toml")).unwrap_err()
}

fn exposed_secret() -> Problems {
    let machine = Machine::new();
    let text = MINIMAL.replace("env:WXGATE_MAIN_SECRET", "topsecretvalue");
    let path = machine.write("config.toml", &text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    Config::load(&path).unwrap_err()
}

#[test]
fn a_plain_secret_is_an_error_only_where_others_can_read_the_file() {
    assert_eq!(exposed_secret().count(Severity::Error), 1);

    let machine = Machine::new();
    let text = MINIMAL.replace("env:WXGATE_MAIN_SECRET", "topsecretvalue");
    let path = machine.write("config.toml", &text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let (_, warnings) = Config::load(&path).unwrap();
    assert_eq!(
        reported(&warnings),
        BTreeSet::from([(10, "W301".to_owned(), "wechat.main.secret".to_owned())])
    );
}

#[test]
fn no_report_shows_a_secret() {
    let machine = Machine::new();
    let quotes = MINIMAL.replace("\"env:WXGATE_MAIN_SECRET\"", "“topsecretvalue”");
    let table = MINIMAL.replace("[wechat.main]", "[wechat.main");
    let table = table.replace("env:WXGATE_MAIN_SECRET", "topsecretvalue");
    let mut texts: Vec<String> = broken_files().into_values().collect();
    texts.extend([quotes, table]);
    for text in texts {
        let problems = machine.problems(&text);
        assert!(!problems.is_empty());
        let json = serde_json::to_string(&problems.entries().collect::<Vec<_>>()).unwrap();
        for report in [problems.render(false), problems.render(true), json] {
            assert!(!report.contains("topsecretvalue"), "{report}");
            assert!(!report.contains("20011"), "{report}");
        }
    }
    assert!(!exposed_secret().to_string().contains("topsecretvalue"));
}

#[test]
fn a_report_shows_line_caret_and_hint() {
    let machine = Machine::new();
    let text = MINIMAL.replace(
        "auth     = \"base\"",
        "auth     = \"bsae\"\nupstraem = \"x\"",
    );
    let problems = machine.problems(&text);
    let expected = "\
error[E301]: `routes[0].auth` does not know the word \"bsae\"
  --> /etc/wxgate/config.toml:15:12
   |
15 | auth     = \"bsae\"
   |            ^^^^^^ did you mean `base`?
   |

error[E104]: `routes[0].upstraem` is not a known key
  --> /etc/wxgate/config.toml:16:1
   |
16 | upstraem = \"x\"
   | ^^^^^^^^ did you mean `upstream`?
   |";
    // The value of an unknown key may be a secret.
    let expected = expected.replace("upstraem = \"x\"", "upstraem = ***");
    let trimmed: Vec<_> = expected
        .lines()
        .map(str::trim_end)
        .filter(|line| *line != "   |")
        .collect();
    let report = problems.render(false);
    let lines: Vec<_> = report
        .lines()
        .map(str::trim_end)
        .filter(|line| *line != "   |")
        .collect();
    assert_eq!(lines, trimmed, "{report}");
    assert_eq!(problems.summary(Language::English), "2 errors");
}

#[test]
fn a_tie_shows_both_routes() {
    let machine = Machine::new();
    let text = format!(
        "{MINIMAL}\n[[routes]]\npath_glob = \"/**\"\nupstream = \"http://127.0.0.1:8081\"\n"
    );
    let report = machine.problems(&text).render(false);
    assert!(
        report.contains("E203") && report.contains("this one"),
        "{report}"
    );
}

#[test]
fn an_unreadable_secret_says_who_tried_and_with_which_mode() {
    let machine = Machine::new();
    fs::create_dir(machine.root.path().join("folder")).unwrap();
    let text = MINIMAL.replace("env:WXGATE_MAIN_SECRET", "file:/folder");
    let report = machine.problems(&text).to_string();
    assert!(
        report.contains("mode 0755") && report.contains("we are uid "),
        "{report}"
    );
}

#[test]
fn references_may_name_variables_files_and_credentials() {
    let machine = Machine::new();
    for (reference, secret) in [
        ("env:ANY", "s3cret-from-environment"),
        ("file:/run/secrets/wechat_main", "s3cret-of-main"),
        ("cred:wechat_main", "s3cret-of-main"),
    ] {
        let config = machine.load(&MINIMAL.replace("env:WXGATE_MAIN_SECRET", reference));
        assert_eq!(config.wechat.apps[0].secret.reveal(), secret);
    }
    let config = machine.load(
        &MINIMAL
            .replace("\"wx0123456789abcdef\"", "\"file:id\"")
            .replace("file:id", "file:/run/id")
            .replace("/run/id", {
                machine.write("run/id", "wx1");
                "/run/id"
            }),
    );
    assert_eq!(config.wechat.apps[0].id.as_str(), "wx1");
}

#[test]
fn the_minimal_file_loads_with_only_a_variable_given() {
    let machine = Machine::new();
    let without_listen = MINIMAL.replace("listen     = \"127.0.0.1:9500\"", "");
    assert_eq!(without_listen.matches("9500").count(), 0);
    let listeners = machine.load(&without_listen).listeners;
    let (config, warnings) = machine.parse(MINIMAL).unwrap();
    assert_eq!(listeners, config.listeners, "the default");
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(config.login.inside_wechat.unwrap().as_str(), "main");
    assert_eq!(config.sessions.cookie, "__Host-wxgate");
    assert_eq!(config.jwt.issuer, "https://www.example.com");
    assert_eq!(config.proxy.upstreams[0].name, "http://127.0.0.1:8080");
    assert!(!config.uses_simulator);
}

#[test]
fn the_full_file_has_no_problem_but_parts_that_are_not_available_yet() {
    let machine = Machine::new();
    let problems = machine.problems(include_str!("configs/full.toml"));
    let codes: BTreeSet<_> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, BTreeSet::from([Code::NotAvailable]), "{problems}");
}

#[test]
fn a_collectors_address_without_a_path_gets_the_usual_one() {
    let machine = Machine::new();
    let with = |url: &str| format!("{MINIMAL}\n[tracing]\notlp_endpoint = \"{url}\"\n");
    for (given, endpoint) in [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        (
            "https://trace.example/a/b?c=d",
            "https://trace.example/a/b?c=d",
        ),
    ] {
        let trace = machine.load(&with(given)).observe.trace.unwrap();
        assert_eq!((trace.endpoint.as_str(), trace.sample), (endpoint, 0.05));
    }
    assert!(machine.load(MINIMAL).observe.trace.is_none());
    let problems = machine.problems(&with("http://127.0.0.1:4318/#x"));
    let found: Vec<_> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(found, [Code::BadUrl], "{problems}");
}

#[test]
fn loopback_http_takes_a_plain_cookie() {
    let machine = Machine::new();
    let text = MINIMAL.replace("https://www.example.com", "http://localhost:9500");
    let config = machine.load(&text);
    assert_eq!(
        (config.sessions.cookie.as_str(), config.sessions.secure),
        ("wxgate", false)
    );
    assert!(!config.login.secure_cookies);
    assert_eq!(config.gateway.site.port, Some(9500));
}

#[test]
fn a_loopback_wechat_is_a_simulator() {
    let machine = Machine::new();
    let text = format!(
        "{MINIMAL}\n[wechat_api]\nbase_url = \"http://127.0.0.1:9510/\"\nopen_url = \"http://127.0.0.1:9510\"\n"
    );
    let config = machine.load(&text);
    assert!(config.uses_simulator);
    assert_eq!(config.wechat.base_url, "http://127.0.0.1:9510");
}

#[test]
fn hosts_come_from_url_extra_hosts_and_routes() {
    let machine = Machine::new();
    let text = MINIMAL.replace(
        "[wechat.main]",
        "extra_hosts = [\"M.example.com.\"]\n[wechat.main]",
    );
    let text = format!(
        "{text}\n[[routes]]\nhost = \"*.shop.example\"\npath = \"/\"\nupstream = \"http://127.0.0.1:8080/\"\n"
    );
    let config = machine.load(&text);
    let hosts: Vec<_> = config
        .gateway
        .site
        .hosts
        .iter()
        .map(|host| host.as_str())
        .collect();
    assert_eq!(hosts, ["www.example.com", "m.example.com"]);
    assert_eq!(config.gateway.site.wildcard_hosts, [".shop.example"]);
    assert_eq!(
        config.proxy.upstreams.len(),
        1,
        "equal URLs share an upstream"
    );
}

#[test]
fn presets_repeat_the_subject_under_known_names() {
    let machine = Machine::new();
    for (preset, subject, nickname) in [
        ("none", "", ""),
        ("remote-user", "remote-user x-remote-user", ""),
        (
            "x-forwarded-user",
            "x-forwarded-user",
            "x-forwarded-preferred-username",
        ),
        (
            "x-auth-request",
            "x-auth-request-user",
            "x-auth-request-preferred-username",
        ),
    ] {
        let config = machine.load(&format!(
            "{MINIMAL}\n[identity_headers]\npreset = \"{preset}\"\n"
        ));
        let headers = config.identity.headers.unwrap();
        let joined = |names: &[http::HeaderName]| {
            names
                .iter()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            (
                joined(&headers.subject_aliases).as_str(),
                joined(&headers.nickname_aliases).as_str()
            ),
            (subject, nickname)
        );
    }
}

/// Everything a configuration says; not from which bytes it was read.
fn described(mut config: Config) -> String {
    config.fingerprint.clear();
    format!("{config:?}")
}

#[test]
fn the_example_loads_and_every_value_not_marked_is_the_default() {
    let machine = Machine::new();
    let whole = described(machine.load(EXAMPLE));
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let mut compared = 0;
    for (number, line) in lines.iter().enumerate() {
        let is_value =
            line.starts_with(|letter: char| letter.is_ascii_lowercase()) && line.contains('=');
        if !is_value || line.contains("(example)") {
            continue;
        }
        let mut without = lines.clone();
        without[number] = "";
        let config = machine.parse(&without.join("\n"));
        let (config, _) = config.unwrap_or_else(|problems| panic!("without `{line}`:\n{problems}"));
        assert_eq!(described(config), whole, "not the default: {line}");
        compared += 1;
    }
    assert!(compared > 70, "only {compared} defaults were compared");
}

#[test]
fn what_the_example_shows_as_not_available_yet_is_described_so() {
    let machine = Machine::new();
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("#: ") {
            Some(rest) if rest.starts_with("not available") => "\n".to_owned(),
            Some(rest) => format!("{rest}\n"),
            None => format!("{line}\n"),
        })
        .collect();
    let problems = machine.problems(&uncommented);
    let codes: BTreeSet<_> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, BTreeSet::from([Code::NotAvailable]), "{problems}");
}

#[test]
fn every_key_stands_in_the_example() {
    let text: String = EXAMPLE
        .lines()
        .map(|line| format!("{}\n", line.trim_start_matches("#: ")))
        .collect();
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if line.starts_with('[') {
            current = line
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap()
                .to_owned();
        }
        let section = sections.entry(current.clone()).or_default();
        section.push_str(line);
        section.push('\n');
    }
    let mut found = 0;
    for (path, key) in keys("", &schema()) {
        let section = sections.iter().filter(|(name, _)| in_section(name, &path));
        let is_there = section.into_iter().any(|(name, text)| {
            let is_heading = sections
                .keys()
                .any(|other| in_section(other, &join(&path, &key)));
            let assigned = format!("{key} =");
            let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = name;
            is_heading || squeezed.contains(&assigned)
        });
        assert!(is_there, "`{}` is not in the example", join(&path, &key));
        found += 1;
    }
    assert!(found > 120, "only {found} keys");
}

/// Whether a heading is the section of a path, or the nearest one above it (its inline tables).
fn in_section(heading: &str, path: &str) -> bool {
    let mut heading = heading.split('.');
    let mut path = path.split('.');
    loop {
        match (heading.next(), path.next()) {
            (None, _) | (Some(""), _) => return true,
            (Some(_), None) => return false,
            (Some(name), Some(part)) if part == "*" || part == name => {}
            (Some(_), Some(_)) => return false,
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Every key of a schema with the path of its table; `*` stands for names of the operator.
fn keys(path: &str, schema: &Json) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        found.push((path.to_owned(), key.clone()));
        found.extend(keys(&join(path, key), below));
    }
    for choice in schema["anyOf"].as_array().into_iter().flatten() {
        found.extend(keys(path, choice));
    }
    if schema["items"].is_object() {
        found.extend(keys(path, &schema["items"]));
    }
    if schema["additionalProperties"].is_object() {
        found.extend(keys(&join(path, "*"), &schema["additionalProperties"]));
    }
    found
}

#[test]
fn every_key_of_the_schema_is_described() {
    fn walk(path: &str, schema: &Json, count: &mut usize) {
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            assert!(
                !below["description"].as_str().unwrap_or("").is_empty(),
                "{path}.{key}"
            );
            *count += 1;
            walk(&join(path, key), below, count);
        }
    }
    let mut count = 0;
    walk("", &schema(), &mut count);
    assert!(count > 70, "{count}");
    assert_eq!(
        schema()["properties"]["sessions"]["properties"]["idle_timeout"]["default"],
        "12h"
    );
}

#[test]
fn the_error_page_explains_every_code_once_in_both_languages() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/errors.md"))
        .unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| E") || line.starts_with("| W"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let documented: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(documented, known);
    let is_chinese = |text: &str| {
        text.chars()
            .any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter))
    };
    for row in rows {
        assert!(
            row.len() == 3 && !row[1].is_empty() && is_chinese(row[2]),
            "{row:?}"
        );
    }
}

#[test]
fn shown_values_are_effective_and_hide_secrets() {
    let machine = Machine::new();
    let text = format!("{MINIMAL}\n[admin]\ntoken = \"topsecretvalue\"\n");
    let document = Document::new(text, Path::new("/etc/wxgate/config.toml"));
    let (shown, _) = document.show(&machine.surroundings()).unwrap();
    let lines = shown.to_lines();
    for line in [
        "login.inside_wechat = \"main\"",
        "jwt.issuer = \"https://www.example.com\"",
        "wechat.main.secret = \"***\"",
        "admin.token = \"***\"",
        "sessions.idle_timeout = \"12h\"",
        "routes[0].auth = \"base\"",
        "server.max_body = \"64MiB\"",
    ] {
        assert!(
            lines.iter().any(|shown| shown == line),
            "{line} is not in {lines:#?}"
        );
    }
    assert_eq!(shown.to_json()["server"]["listen"], "127.0.0.1:9500");
}

/// Surroundings with these environment variables in place of keys.
fn overridden(machine: &Machine, variables: &[(&str, &str)]) -> Surroundings {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    machine.surroundings().with_overrides(variables)
}

#[test]
fn environment_variables_stand_in_for_keys() {
    let machine = Machine::new();
    let file = Path::new("/etc/wxgate/config.toml");
    let text = format!(
        "{MINIMAL}\n[sessions]\nidle_timeout = \"1h\"\n[wechat.my-shop]\nkind = \"service-account\"\napp_id = \"wx00000000000000bb\"\nsecret = \"file:/run/secrets/wechat_main\"\n"
    );
    let surroundings = overridden(
        &machine,
        &[
            ("WXGATE__SERVER__LISTEN", "127.0.0.1:9000"),
            ("WXGATE__SERVER__MAX_HEADERS", "50"),
            ("WXGATE__SERVER__EXTRA_HOSTS", "[\"m.example.com\"]"),
            ("WXGATE__SESSIONS__IDLE_TIMEOUT", "2h"),
            ("WXGATE__WECHAT__MY_SHOP__SECRET", "s3cret-of-shop"),
            ("WXGATE__LOGIN__INSIDE_WECHAT", "main"),
            ("WXGATE__JWT__ALG", "\"EdDSA\""),
            ("WXGATE__LOGIN__KEEP_FRAGMENT", "true"),
            ("WXGATE_MAIN_SECRET", "not ours"),
        ],
    );

    let document = Document::new(text, file);
    let (config, _) = document
        .check(&surroundings)
        .unwrap_or_else(|problems| panic!("{problems}"));
    let (shown, origins) = document.show(&surroundings).unwrap();

    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:9000");
    assert_eq!(config.listeners[0].max_headers, 50);
    assert_eq!(config.sessions.idle_timeout.as_secs(), 7200);
    let lines = shown.to_lines();
    for line in [
        "jwt.alg = \"EdDSA\"",
        "login.keep_fragment = true",
        "server.extra_hosts = [\"m.example.com\"]",
        "wechat.my-shop.secret = \"***\"",
    ] {
        assert!(
            lines.iter().any(|shown| shown == line),
            "{line}: {lines:#?}"
        );
    }
    let variable = |name: &str| ValueOrigin::Variable(name.to_owned());
    assert_eq!(
        *origins.of_key("wechat.my-shop.secret"),
        variable("WXGATE__WECHAT__MY_SHOP__SECRET")
    );
    assert_eq!(
        *origins.of_key("sessions.idle_timeout"),
        variable("WXGATE__SESSIONS__IDLE_TIMEOUT")
    );
    assert_eq!(
        *origins.of_key("sessions.max_lifetime"),
        ValueOrigin::Default
    );
    let line = MINIMAL
        .lines()
        .position(|line| line.starts_with("public_url"))
        .unwrap();
    assert_eq!(
        *origins.of_key("server.public_url"),
        ValueOrigin::File(file.to_owned(), line + 1)
    );
}

#[test]
fn a_wrong_variable_is_reported_where_it_stands_and_no_secret_is_shown() {
    let machine = Machine::new();
    let surroundings = overridden(
        &machine,
        &[
            ("WXGATE__SERVER__LISTEN", "everywhere"),
            ("WXGATE__SERVER__LISTENN", "x"),
            ("WXGATE__JWT__KEYS", "topsecret-key-in-the-wrong-form"),
        ],
    );

    let file = Path::new("config.toml");
    let problems = Config::parse(MINIMAL, file, &surroundings).unwrap_err();

    let entries: Vec<_> = problems
        .entries()
        .map(|entry| (entry.code, entry.file.clone(), entry.line, entry.column))
        .collect();
    let environment = || "environment".to_owned();
    assert_eq!(
        entries,
        [
            ("E105", environment(), Some(1), Some(21)),
            ("E304", environment(), Some(2), Some(26)),
            ("E104", environment(), Some(3), Some(1)),
        ]
    );
    let report = problems.render(false);
    assert!(
        report.contains("WXGATE__SERVER__LISTEN = \"everywhere\""),
        "{report}"
    );
    assert!(report.contains("did you mean `listen`?"), "{report}");
    assert!(!report.contains("topsecret"), "{report}");
}

#[test]
fn a_chinese_report_adds_the_meaning_of_each_code() {
    let machine = Machine::new();
    let problems = machine.problems(&format!("{MINIMAL}\n[sesions]\n"));

    let report = problems.render_in(Language::Chinese, false);

    assert!(report.contains("错误[E103]"), "{report}");
    assert!(
        report.contains("说明: 没有这个配置节，请检查拼写。"),
        "{report}"
    );
    assert_eq!(problems.summary(Language::Chinese), "1 个错误");
}

fn run(machine: &Machine, arguments: &[&str]) -> Output {
    let mut command = wxgate(arguments, machine.root.path());
    command.env("WXGATE_MAIN_SECRET", "s3cret");
    command.as_std_mut().output().unwrap()
}

#[test]
fn check_says_what_it_read_and_writes_nothing() {
    let machine = Machine::new();
    let state = machine.root.path().join("state");
    let text = MINIMAL.replace(
        "version = 1",
        &format!("version = 1\nstate_dir = \"{}\"", state.display()),
    );
    // The address is taken: whoever opened a socket would notice.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = text.replace("127.0.0.1:9500", &taken.local_addr().unwrap().to_string());
    machine.write("config.toml", &text);
    let before = fs::read_dir(machine.root.path()).unwrap().count();

    let output = run(&machine, &["check"]);

    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.starts_with("config: config.toml (sha256 "),
        "{errors}"
    );
    let summary = String::from_utf8(output.stdout).unwrap();
    assert!(
        summary.contains("apps       main (wx0123...cdef)\nroutes     1 base\nok\n"),
        "{summary}"
    );
    assert_eq!(fs::read_dir(machine.root.path()).unwrap().count(), before);
    assert!(!state.exists());
}

#[test]
fn check_fails_on_errors_and_on_warnings_only_when_strict() {
    let machine = Machine::new();
    let warning = MINIMAL.replace(
        "[wechat.main]",
        "trusted_proxies = [\"0.0.0.0/0\"]\n[wechat.main]",
    );
    let error = warning.replace("\"base\"", "\"bsae\"");
    for (text, arguments, code, line) in [
        (&warning, vec!["check"], 0, "0 errors, 1 warning."),
        (
            &warning,
            vec!["validate", "--strict"],
            1,
            "0 errors, 1 warning.",
        ),
        (
            &error,
            vec!["check"],
            1,
            "1 error, 1 warning. Nothing was started.",
        ),
    ] {
        machine.write("config.toml", text);
        let output = run(&machine, &arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(line), "{errors}");
    }
}

#[test]
fn check_prints_one_json_document() {
    let machine = Machine::new();
    machine.write("config.toml", &MINIMAL.replace("\"base\"", "\"bsae\""));

    let output = run(&machine, &["check", "--json"]);

    assert_eq!(output.status.code(), Some(1));
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    let problem = &report["problems"][0];
    let expected = serde_json::json!({
        "code": "E301", "severity": "error", "file": "config.toml",
        "line": 15, "column": 12, "end_line": 15, "end_column": 18,
        "message": "`routes[0].auth` does not know the word \"bsae\"",
        "hint": "did you mean `base`?",
    });
    assert_eq!(*problem, expected);
    assert_eq!(report["errors"], 1);
}

#[test]
fn config_show_and_schema_print_to_stdout() {
    let machine = Machine::new();
    machine.write("config.toml", MINIMAL);
    let shown = run(&machine, &["config", "show", "--json"]);
    let shown: Json = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["wechat"]["main"]["secret"], "***");

    let printed = run(&machine, &["config", "schema"]);
    assert_eq!(
        serde_json::from_slice::<Json>(&printed.stdout).unwrap(),
        schema()
    );
}

#[test]
fn crlf_line_ends_and_a_byte_order_mark_change_nothing() {
    let machine = Machine::new();
    let plain = described(machine.load(MINIMAL));
    let windows = format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n"));
    assert_eq!(described(machine.load(&windows)), plain);
}

#[test]
fn no_cut_and_no_missing_letter_makes_the_reader_panic() {
    let machine = Machine::new();
    for text in [MINIMAL, include_str!("configs/broken/safety.toml")] {
        for (position, letter) in text.char_indices() {
            let (before, after) = text.split_at(position);
            for broken in [
                before.to_owned(),
                format!("{before}{}", &after[letter.len_utf8()..]),
            ] {
                machine.problems(&broken).render(false);
            }
        }
    }
}

#[test]
fn shared_keys_must_be_long_and_private_keys_must_be_private_keys() {
    let machine = Machine::new();
    for (jwt, expected) in [
        (
            "alg = \"HS256\"\nkeys = [\"file:/short\"]",
            Some(Code::BadKey),
        ),
        ("alg = \"HS256\"\nkeys = [\"file:/long\"]", None),
        ("keys = [\"file:/long\"]", Some(Code::BadKey)),
        ("keys = [\"file:/private.pem\"]", None),
        ("keys = []", Some(Code::BadKey)),
    ] {
        machine.write("short", &"x".repeat(31));
        machine.write("long", &"x".repeat(32));
        machine.write(
            "private.pem",
            "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        );
        let problems = machine.problems(&format!("{MINIMAL}\n[jwt]\n{jwt}\n"));
        let first = problems.iter().next().map(|problem| problem.code);
        assert_eq!(first, expected, "{jwt}\n{problems}");
    }
}

#[test]
fn a_refusing_route_needs_no_upstream_of_its_own() {
    let machine = Machine::new();
    let deny = "[[routes]]\npath = \"/internal\"\nauth = \"deny\"\n";
    let config = machine.load(&format!("{MINIMAL}\n{deny}"));
    assert!(config.gateway.forwarding[1].is_none());

    let only_deny = format!("{}{deny}", MINIMAL.split("[[routes]]").next().unwrap());
    assert!(machine.load(&only_deny).proxy.upstreams.is_empty());
}
