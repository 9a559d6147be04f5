//! The command line, with the real binary: what it prints where, and its exit codes. `check` is in `config.rs`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use url::Url;

use crate::support::{
    Browser, Program, Ran, TestGateway, Upstream, agents, exchange, project, wxgate,
};

const ROUTES: &str = r#"
version = 1
[server]
public_url = "https://www.example.com"
[wechat.main]
kind = "service-account"
app_id = "wx0123456789abcdef"
secret = "very-secret-secret"
[admin]
token = "topsecrettoken"
[[routes]]
name = "site"
path = "/"
auth = "base"
upstream = "http://127.0.0.1:8080"
[[routes]]
name = "assets"
path = "/static"
auth = "public"
upstream = "http://127.0.0.1:8080"
[[routes]]
name = "internal"
path = "/internal"
auth = "deny"
"#;

/// A folder with a `config.toml`.
fn folder(config: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, config).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

async fn run(folder: &TempDir, arguments: &[&str]) -> Ran {
    crate::support::run(folder.path(), arguments).await
}

async fn get(address: SocketAddr, host: &str, path: &str) -> StatusCode {
    let request = Request::get(path).header("host", host);
    let request = request.body(Full::new(Bytes::new())).unwrap();
    exchange(address, request).await.status
}

// --- Usage -----------------------------------------------------------------------------------

#[tokio::test]
async fn what_keeps_it_from_starting_is_told_with_the_next_step() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let table: [(&str, &str, &str, &str); 4] = [
        (&taken, "state", "stdout", "ss -ltnp"),
        ("192.0.2.1:0", "state", "stdout", "ip address"),
        (
            "127.0.0.1:0",
            "config.toml",
            "stdout",
            "`state_dir` must be a folder",
        ),
        (
            "127.0.0.1:0",
            "state",
            "no/folder/access.log",
            "make the folder",
        ),
    ];
    for (listen, state, log, step) in table {
        let folder = folder("");
        let place = folder.path().display();
        let log = match log {
            "stdout" => log.to_owned(),
            path => format!("{place}/{path}"),
        };
        let config = format!(
            "version = 1\nstate_dir = \"{place}/{state}\"\n[access_log]\noutput = \"{log}\"\n{}",
            ROUTES
                .replace("version = 1\n", "")
                .replace(
                    "[wechat.main]",
                    &format!("listen = \"{listen}\"\n[wechat.main]")
                )
                .replace("[admin]", "[admin]\nlisten = \"127.0.0.1:0\"")
        );
        fs::write(folder.path().join("config.toml"), config).unwrap();

        let ran = run(&folder, &["run", "--config", "config.toml"]).await;

        assert_eq!(ran.code, 1, "{}", ran.err);
        let (error, next) = ran.err.split_once("\ntry: ").unwrap_or((&ran.err, ""));
        assert!(error.contains("error: cannot "), "{error}");
        assert!(next.contains(step), "{}", ran.err);
    }
}

#[tokio::test]
async fn version_and_help_are_results() {
    let folder = TempDir::new().unwrap();
    let version = env!("CARGO_PKG_VERSION");

    for arguments in [
        &["version"][..],
        &["--version"],
        &["healthcheck", "--version"],
    ] {
        let ran = run(&folder, arguments).await;
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
        assert!(ran.out.contains(version), "{arguments:?}: {}", ran.out);
    }
    let ran = run(&folder, &["version", "--json"]).await;
    assert_eq!(ran.json()["version"], version);
    for arguments in [
        &["--help"][..],
        &["healthcheck", "--help"],
        &["help", "run"],
    ] {
        let ran = run(&folder, arguments).await;
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
        assert!(ran.out.contains("Usage: wxgate"), "{}", ran.out);
    }
}

#[tokio::test]
async fn wrong_usage_is_2_but_never_for_healthcheck() {
    let folder = TempDir::new().unwrap();
    for (arguments, code) in [
        (&["check", "--bogus"][..], 2),
        (&["bogus"], 2),
        (&[], 2),
        (&["routes", "explain"], 2),
        (&["keygen", "jwt", "--alg", "none"], 2),
        (&["healthcheck", "--bogus"], 1),
        (&["healthcheck", "extra"], 1),
        (&["--bogus", "healthcheck"], 1),
        (&["--color", "sometimes", "healthcheck"], 1),
        (&["healthcheck", "--config"], 1),
    ] {
        let ran = run(&folder, arguments).await;
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?}");
        assert!(
            ran.err.contains("--help") || ran.err.contains("Usage"),
            "{arguments:?}: {}",
            ran.err
        );
    }
}

#[tokio::test]
async fn without_a_configuration_every_command_says_what_to_try() {
    let folder = TempDir::new().unwrap();
    for arguments in [
        &["run"][..],
        &["check"],
        &["config", "show"],
        &["routes", "list"],
        &["healthcheck"],
    ] {
        let ran = run(&folder, arguments).await;
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{arguments:?}");
        assert!(
            ran.err.contains("no configuration file") && ran.err.contains("try: wxgate demo"),
            "{}",
            ran.err
        );
    }
    let ran = run(&folder, &["check", "--config", "not/there.toml"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("not/there.toml"), "{}", ran.err);
}

#[tokio::test]
async fn configuration_is_named_by_flag_or_variable_before_the_default() {
    let folder = folder(ROUTES);
    fs::write(folder.path().join("other.toml"), "version = 9\n").unwrap();

    assert_eq!(run(&folder, &["check"]).await.code, 0);
    assert_eq!(run(&folder, &["check", "-c", "other.toml"]).await.code, 1);
    assert_eq!(run(&folder, &["-c", "other.toml", "check"]).await.code, 1);
    let mut command = wxgate(&["check"], folder.path());
    command.env("WXGATE_CONFIG", "other.toml");
    let ran = Ran::of(command).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("other.toml"), "{}", ran.err);
}

// --- check, config ---------------------------------------------------------------------------

#[tokio::test]
async fn broken_configuration_is_reported_and_never_served() {
    let folder = folder(&ROUTES.replace("\"base\"", "\"bsae\""));

    for arguments in [&["check"][..], &["validate"], &["run"], &["config", "show"]] {
        let ran = run(&folder, arguments).await;
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert!(
            ran.err.contains("did you mean `base`?"),
            "{arguments:?}: {}",
            ran.err
        );
        assert!(!ran.err.contains('\u{1b}'), "colour in a pipe");
        assert_eq!(ran.out, "", "{arguments:?}");
    }
    let coloured = run(&folder, &["check", "--color", "always"]).await;
    assert!(coloured.err.contains('\u{1b}'));
    let json = run(&folder, &["validate", "--json"]).await;
    assert_eq!((json.code, &json.json()["errors"]), (1, &Json::from(1)));
    let routes = run(&folder, &["routes", "list"]).await;
    assert_eq!(routes.code, 1);
    assert!(routes.err.contains("try: wxgate check"), "{}", routes.err);
}

#[tokio::test]
async fn shown_values_name_their_origin() {
    let folder = folder(ROUTES);
    let mut command = wxgate(&["config", "show", "--origin"], folder.path());
    command.env("WXGATE__LOG__LEVEL", "debug");
    let ran = Ran::of(command).await;

    assert_eq!(ran.code, 0, "{}", ran.err);
    let line = |start: &str| ran.out.lines().find(|line| line.starts_with(start));
    assert_eq!(
        line("log.level"),
        Some("log.level = \"debug\"    # env WXGATE__LOG__LEVEL")
    );
    assert_eq!(
        line("log.identity"),
        Some("log.identity = \"masked\"    # default")
    );
    assert!(
        line("version").unwrap().contains("# config.toml:"),
        "{}",
        ran.out
    );

    let mut command = wxgate(&["config", "show", "--origin", "--json"], folder.path());
    command.env("WXGATE__LOG__LEVEL", "debug");
    let shown = Ran::of(command).await.json();
    let level = shown
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["key"] == "log.level");
    assert_eq!(level.unwrap()["origin"], "env WXGATE__LOG__LEVEL");
}

#[tokio::test]
async fn reports_and_codes_are_explained_in_chinese_too() {
    let folder = folder("versoin = 1\n");
    let chinese = run(&folder, &["check", "--lang", "zh-CN"]).await;
    assert_eq!(chinese.code, 1);
    assert!(chinese.err.contains("错误[E104]"), "{}", chinese.err);
    assert!(chinese.err.contains("没有启动任何服务"), "{}", chinese.err);

    let explained = run(&folder, &["help", "e104"]).await;
    assert_eq!(explained.code, 0);
    assert!(explained.out.starts_with("E104\n"), "{}", explained.out);
    assert!(
        explained.out.contains("此处没有这个键"),
        "{}",
        explained.out
    );
    assert!(run(&folder, &["help"]).await.out.contains("healthcheck"));
}

#[tokio::test]
async fn good_configuration_is_summed_up() {
    let folder = folder(ROUTES);

    let ran = run(&folder, &["validate"]).await;

    assert_eq!(ran.code, 0);
    assert!(
        ran.out.contains("1 public, 1 base, 1 deny") && ran.out.ends_with("ok\n"),
        "{}",
        ran.out
    );
    let json = run(&folder, &["check", "--json"]).await.json();
    assert_eq!(json["errors"], 0);
    assert_eq!(json["summary"]["routes"]["base"], 1);
    // Secrets in the file are a warning, which only `--strict` minds.
    assert!(json["warnings"].as_u64().unwrap() > 0);
    assert_eq!(run(&folder, &["check", "--strict"]).await.code, 1);
}

#[tokio::test]
async fn no_secret_of_the_configuration_is_ever_printed() {
    let folder = folder(ROUTES);
    let broken = format!("{ROUTES}\nauth = 5\nsecret = \"very-secret-secret\"\n");
    fs::write(folder.path().join("broken.toml"), broken).unwrap();
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["check"],
        &["check", "--json"],
        &["check", "-c", "broken.toml"],
        &["check", "-c", "broken.toml", "--json"],
        &["routes", "list"],
        &["healthcheck"],
    ] {
        let ran = run(&folder, arguments).await;
        let all = format!("{}{}", ran.out, ran.err);
        assert!(
            !all.contains("very-secret") && !all.contains("topsecret"),
            "{all}"
        );
    }
    let shown = run(&folder, &["config", "show"]).await;
    assert_eq!(shown.code, 0);
    for line in [
        "wechat.main.secret = \"***\"",
        "admin.token = \"***\"",
        "jwt.ttl = \"5m\"",
    ] {
        assert!(
            shown.out.lines().any(|shown| shown == line),
            "{}",
            shown.out
        );
    }
}

#[tokio::test]
async fn schema_names_every_key_of_the_example() {
    let folder = TempDir::new().unwrap();
    let schema = run(&folder, &["config", "schema"]).await.json();
    let example: toml::Table = fs::read_to_string(project("config.toml.example"))
        .unwrap()
        .parse()
        .unwrap();
    let mut names = 0;

    assert_described(
        &serde_json::to_value(&example).unwrap(),
        &schema,
        &schema,
        "",
        &mut names,
    );

    assert!(names > 100, "only {names} keys");
}

/// Every name of the value stands among the properties of its schema, or the schema takes any name there.
fn assert_described(value: &Json, schema: &Json, root: &Json, path: &str, names: &mut usize) {
    match value {
        Json::Object(members) => {
            for (name, member) in members {
                let path = format!("{path}.{name}");
                let found = property(schema, root, name);
                let found = found.unwrap_or_else(|| panic!("{path} is not in the schema"));
                *names += 1;
                assert_described(member, found, root, &path, names);
            }
        }
        Json::Array(items) => {
            if let Some(item) = alternatives(schema, root)
                .into_iter()
                .find_map(|one| one.get("items"))
            {
                for one in items {
                    assert_described(one, item, root, path, names);
                }
            }
        }
        _ => {}
    }
}

fn property<'s>(schema: &'s Json, root: &'s Json, name: &str) -> Option<&'s Json> {
    let schemas = alternatives(schema, root);
    let named = schemas
        .iter()
        .find_map(|one| one.get("properties")?.get(name));
    named.or_else(|| {
        let any = schemas
            .iter()
            .find_map(|one| one.get("additionalProperties"));
        any.filter(|any| **any != Json::Bool(false))
    })
}

/// The schema itself, what it refers to, and what it may be instead.
fn alternatives<'s>(schema: &'s Json, root: &'s Json) -> Vec<&'s Json> {
    let mut all = vec![schema];
    if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
        let target = root.pointer(reference.trim_start_matches('#'));
        all.extend(alternatives(
            target.expect("a reference leads nowhere"),
            root,
        ));
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        for one in schema
            .get(word)
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
        {
            all.extend(alternatives(one, root));
        }
    }
    all
}

// --- routes ----------------------------------------------------------------------------------

#[tokio::test]
async fn routes_are_listed_in_matching_order() {
    let folder = folder(ROUTES);

    let text = run(&folder, &["routes", "list"]).await;
    let json = run(&folder, &["routes", "list", "--json"]).await;

    assert_eq!((text.code, json.code), (0, 0));
    let position = |name: &str| text.out.find(name).unwrap();
    assert!(position("internal") < position("site") && position("assets") < position("site"));
    let document = json.json().to_string();
    for name in ["internal", "assets", "site"] {
        assert!(document.contains(&format!("\"{name}\"")), "{document}");
    }
}

#[tokio::test]
async fn an_explanation_answers_yes_or_no_by_its_exit_code() {
    let folder = folder(ROUTES);
    for (url, more, outcome) in [
        ("/static/a.css?x=1", &[][..], "allow"),
        ("https://www.example.com/orders", &[], "login"),
        ("/orders", &["--openid", "o6_abc"], "allow"),
        ("/internal/x", &["--openid", "o6_abc"], "deny"),
        ("https://elsewhere.test/", &[], "deny"),
        ("/a/../internal", &[], "deny"),
        ("/_wxgate/jwks", &[], "allow"),
    ] {
        for expected in ["allow", "login", "deny"] {
            let arguments = [&["routes", "explain", url, "--expect", expected], more].concat();
            let ran = run(&folder, &arguments).await;
            let code = i32::from(expected != outcome);
            assert_eq!(ran.code, code, "{url} {expected}: {}{}", ran.out, ran.err);
            assert!(ran.out.contains("answer "), "{}", ran.out);
        }
        let arguments = [&["routes", "explain", url, "--json"], more].concat();
        let ran = run(&folder, &arguments).await;
        assert_eq!(
            (ran.code, &ran.json()["outcome"]),
            (0, &Json::from(outcome))
        );
        assert!(!ran.out.contains("o6_abc") && !ran.err.contains("o6_abc"));
    }
}

// --- keygen, jwt -----------------------------------------------------------------------------

#[tokio::test]
async fn keys_go_to_a_private_file_that_is_never_overwritten() {
    let folder = TempDir::new().unwrap();
    for (kind, more) in [
        ("jwt", &[][..]),
        ("jwt", &["--alg", "EdDSA"]),
        ("jwt", &["--alg", "RS256"]),
        ("jwt", &["--alg", "HS256"]),
        ("cookie", &[]),
        ("admin-token", &[]),
    ] {
        let name = format!("{kind}{}", more.concat());
        let arguments = [&["keygen", kind, "--out", &name], more].concat();

        let first = run(&folder, &arguments).await;
        let path = folder.path().join(&name);
        let key = fs::read_to_string(&path).unwrap();
        let second = run(&folder, &arguments).await;

        assert_eq!(
            (first.code, second.code),
            (0, 1),
            "{name}: {}{}",
            first.err,
            second.err
        );
        assert!(second.err.contains("never overwritten"), "{}", second.err);
        assert_eq!(fs::read_to_string(&path).unwrap(), key);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        assert!(key.len() > 40, "{name}");
        assert!(!first.out.contains(key.trim()) && !first.err.contains(key.trim()));
    }
}

#[tokio::test]
async fn made_keys_are_what_the_configuration_takes() {
    let folder = folder(ROUTES);
    for (kind, file) in [
        ("jwt", "jwt.pem"),
        ("cookie", "cookie"),
        ("admin-token", "admin"),
    ] {
        assert_eq!(run(&folder, &["keygen", kind, "--out", file]).await.code, 0);
    }
    let at = folder.path().display();
    let config = ROUTES.replace("\"topsecrettoken\"", &format!("\"file:{at}/admin\""))
        + &format!(
            "[jwt]\nkeys = [\"file:{at}/jwt.pem\"]\n[sessions]\nkeys = [\"file:{at}/cookie\"]\n"
        );
    fs::write(folder.path().join("config.toml"), config).unwrap();

    let ran = run(&folder, &["check"]).await;

    assert_eq!(ran.code, 0, "{}", ran.err);
    let printed = run(&folder, &["keygen", "jwt", "--json"]).await.json();
    assert_eq!(printed["alg"], "ES256");
    assert_eq!(printed["kid"].as_str().unwrap().len(), 43);
    assert!(printed["key"].as_str().unwrap().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_token_of_the_gateway_can_be_inspected_and_verified() {
    let gateway = TestGateway::with(|setup| {
        // The command fetches the key set past the visitors' host.
        setup.server = "extra_hosts = [\"127.0.0.1\"]".to_owned();
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let token = gateway
        .upstream()
        .last()
        .header("x-wxgate-jwt-assertion")
        .to_owned();
    let folder = TempDir::new().unwrap();
    let jwks = format!("http://{}/_wxgate/jwks", gateway.address());
    let verify = async |token: &str, more: &[&str]| {
        let arguments = [&["jwt", "verify", token, "--jwks", &jwks, "--json"], more].concat();
        let ran = run(&folder, &arguments).await;
        (ran.code, ran.json())
    };

    let inspected = run(&folder, &["jwt", "inspect", &token, "--json"]).await;
    assert_eq!(inspected.code, 0);
    assert!(inspected.err.contains("NOT VERIFIED"));
    assert_eq!(inspected.json()["claims"]["aud"], "www.example.test");

    let (code, report) = verify(&token, &[]).await;
    assert_eq!((code, &report["valid"]), (0, &Json::from(true)), "{report}");
    assert_eq!(report["claims"], inspected.json()["claims"]);
    let parties = [
        "--issuer",
        gateway.public_url(),
        "--audience",
        "www.example.test",
    ];
    assert_eq!(verify(&token, &parties).await.0, 0);
    assert_eq!(
        verify(&token, &["--issuer", "https://evil.test"]).await.0,
        1
    );
    assert_eq!(verify(&token, &["--audience", "evil.test"]).await.0, 1);
    let (signed, _) = token.rsplit_once('.').unwrap();
    let (code, report) = verify(&format!("{signed}.{}", "A".repeat(86)), &[]).await;
    assert_eq!((code, &report["valid"]), (1, &Json::from(false)));

    let ran = run(&folder, &["jwt", "inspect", "no.token"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    let ran = run(
        &folder,
        &["jwt", "verify", &token, "--jwks", "not-there.json"],
    )
    .await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("not-there.json"), "{}", ran.err);
}

// --- run, healthcheck ------------------------------------------------------------------------

fn served(upstream: &Upstream, wechat: &str) -> String {
    format!(
        r#"
version = 1
state_dir = "state"
[server]
public_url = "https://www.example.test"
listen = "127.0.0.1:0"
{wechat}
[[routes]]
path = "/"
auth = "base"
upstream = "{}"
"#,
        upstream.url()
    )
}

const ACCOUNT: &str = "[wechat.main]\nkind = \"service-account\"\napp_id = \"wx0123456789abcdef\"\nsecret = \"s3cret\"\n";

#[tokio::test]
async fn healthcheck_asks_the_admin_listener() {
    let upstream = Upstream::start().await;
    let admin = crate::support::free_address();
    let account = format!("{ACCOUNT}[admin]\nlisten = \"{admin}\"\n");
    let folder = folder(&served(&upstream, &account));
    let down = run(&folder, &["healthcheck"]).await;
    assert_eq!((down.code, down.out.as_str()), (1, ""), "{}", down.err);

    let mut gateway = Program::start(wxgate(&["run"], folder.path()));
    gateway.line("ready in").await;

    for (arguments, endpoint) in [
        (&["healthcheck"][..], "/healthz"),
        (&["healthcheck", "--ready"], "/readyz"),
    ] {
        let ran = run(&folder, arguments).await;
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        assert_eq!(ran.out, format!("{endpoint}: 200\n"));
    }
    let json = run(&folder, &["healthcheck", "--json"]).await.json();
    assert_eq!(json["status"], 200);
    let (status, printed) = gateway.terminate().await;
    assert!(status.success(), "{printed}");
    assert_eq!(run(&folder, &["healthcheck"]).await.code, 1);
}

#[tokio::test]
async fn a_running_gateway_is_asked_while_its_file_is_being_edited() {
    let upstream = Upstream::start().await;
    let admin = crate::support::free_address();
    let account = format!("{ACCOUNT}[admin]\nlisten = \"{admin}\"\n");
    let good = served(&upstream, &account);
    let folder = folder(&good);
    let mut gateway = Program::start(wxgate(&["run"], folder.path()));
    gateway.line("ready in").await;
    let edits = [
        // The shell of the person who asks has none of the service's secrets.
        good.replace("\"s3cret\"", "\"env:WXGATE_NOT_HERE\""),
        good.replace("\"/\"", "\"no-path\""),
        good.replace("auth = \"base\"", "auth = "),
    ];
    for edited in edits {
        fs::write(folder.path().join("config.toml"), &edited).unwrap();
        assert_eq!(run(&folder, &["check"]).await.code, 1, "{edited}");

        for arguments in [&["healthcheck"][..], &["status"]] {
            let ran = run(&folder, arguments).await;
            assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        }
        let reload = run(&folder, &["reload"]).await;
        assert_eq!(reload.code, 1, "{}", reload.out);
    }
    gateway.terminate().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_admin_section_is_told_to_whoever_asks() {
    let cases = [
        ("[admin]\nlisten = 9502", "admin.listen"),
        (
            "[admin]\ntoken = \"env:WXGATE_NOT_HERE\"",
            "WXGATE_NOT_HERE",
        ),
        // What TOML cannot read must not be taken for the default.
        ("[admin]\nlisten = 127.0.0.1:9503", "`listen`"),
        ("[admin]\nlisten = ", "`listen`"),
        ("[admin\nlisten = \"127.0.0.1:9503\"", "`[admin`"),
        (
            "[pages]\nsite_name = \"\"\"Shop\n[admin]\nlisten = \"127.0.0.1:9503\"",
            "multi-line",
        ),
    ];
    for (line, named) in cases {
        let upstream = Upstream::start().await;
        let folder = folder(&served(&upstream, &format!("{ACCOUNT}{line}\n")));

        for arguments in [&["healthcheck"][..], &["status"], &["reload"]] {
            let ran = run(&folder, arguments).await;

            assert_eq!(ran.code, 1, "{line}: {}", ran.out);
            assert!(ran.err.contains(named), "{line}: {}", ran.err);
            assert!(!ran.err.contains("E401"), "{line}: {}", ran.err);
        }
    }
}

#[tokio::test]
async fn healthcheck_says_no_when_there_is_nobody_to_ask() {
    let upstream = Upstream::start().await;
    let account = format!("{ACCOUNT}[admin]\nlisten = \"none\"\n");
    let folder = folder(&served(&upstream, &account));

    let ran = run(&folder, &["healthcheck"]).await;

    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("admin.listen"), "{}", ran.err);
}

#[tokio::test]
async fn run_says_in_ten_lines_what_it_serves() {
    let upstream = Upstream::start().await;
    let account = format!("{ACCOUNT}[admin]\nlisten = \"127.0.0.1:0\"\n");
    let folder = folder(&served(&upstream, &account));

    let mut gateway = Program::start(wxgate(&["run"], folder.path()));
    let address: SocketAddr = gateway.word_after("listening on ").await.parse().unwrap();
    gateway.line("ready in").await;

    let printed = gateway.printed();
    let start = printed.split("wxgate ").last().unwrap();
    assert!(start.lines().count() <= 10, "{printed}");
    assert!(
        start.contains("main (wx0123...cdef)") && !printed.contains("s3cret"),
        "{printed}"
    );
    assert_eq!(
        get(address, "www.example.test", "/_wxgate/jwks").await,
        StatusCode::OK
    );
    assert_eq!(
        get(address, "other.test", "/").await,
        StatusCode::MISDIRECTED_REQUEST
    );
}

// --- demo, sim -------------------------------------------------------------------------------

#[tokio::test]
async fn demo_shows_three_addresses_that_answer_and_stops_when_told() {
    let folder = TempDir::new().unwrap();
    let arguments = [
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--simulator",
        "127.0.0.1:0",
    ];
    let mut demo = Program::start(wxgate(&arguments, folder.path()));
    demo.line("Ctrl-C").await;
    let printed = demo.printed();
    let urls: Vec<Url> = printed
        .split_whitespace()
        .filter(|word| word.starts_with("http://"))
        .map(|word| word.parse().unwrap())
        .collect();
    assert_eq!(urls.len(), 3, "{printed}");

    for url in &urls {
        let host = format!("127.0.0.1:{}", url.port().unwrap());
        let status = get(host.parse().unwrap(), &host, url.path()).await;
        assert_eq!(status, StatusCode::OK, "{url}");
    }

    let (status, printed) = demo.terminate().await;
    assert!(status.success(), "{printed}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn demo_and_simulator_stay_on_this_machine() {
    let folder = TempDir::new().unwrap();
    for arguments in [
        &[
            "demo",
            "--listen",
            "0.0.0.0:0",
            "--simulator",
            "127.0.0.1:0",
        ][..],
        &[
            "demo",
            "--listen",
            "127.0.0.1:0",
            "--simulator",
            "0.0.0.0:0",
        ],
        &["sim", "--listen", "0.0.0.0:0"],
    ] {
        let ran = run(&folder, arguments).await;
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert!(ran.err.contains("loopback"), "{}", ran.err);
    }
}

/// What stands between the two comments of the simulator's output.
async fn snippet(simulator: &mut Program) -> String {
    simulator.line("# Serve with").await;
    let printed = simulator.printed();
    let (_, rest) = printed.split_once("# In the configuration").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("# Serve with").unwrap().0.to_owned()
}

#[tokio::test]
async fn a_gateway_configured_as_the_simulator_says_logs_people_in() {
    for arguments in [
        &["sim", "--listen", "127.0.0.1:0"][..],
        &[
            "sim",
            "--listen",
            "127.0.0.1:0",
            "--app",
            "wxaaaa:one-secret",
            "--app",
            "wxbbbb:two_secret",
            "--app",
            "wxcccc:three:mini-program",
        ],
    ] {
        let upstream = Upstream::start().await;
        let elsewhere = TempDir::new().unwrap();
        let mut simulator = Program::start(wxgate(arguments, elsewhere.path()));
        let snippet = snippet(&mut simulator).await;
        let tables: toml::Table = snippet.parse().unwrap();
        let url: Url = tables["wechat_api"]["base_url"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let wechat = format!("{snippet}\n[admin]\nlisten = \"none\"\n");
        let folder = folder(&served(&upstream, &wechat));

        // Whoever can reach it can be anybody, so serving it must be meant.
        let refused = run(&folder, &["run"]).await;
        assert_eq!(refused.code, 1);
        assert!(refused.err.contains("--allow-simulator"), "{}", refused.err);

        let mut gateway = Program::start(wxgate(&["run", "--allow-simulator"], folder.path()));
        let address = gateway.word_after("listening on ").await.parse().unwrap();
        let simulator_address = format!("127.0.0.1:{}", url.port().unwrap())
            .parse()
            .unwrap();
        let mut alice = Browser::between(
            (address, simulator_address),
            "https://www.example.test",
            agents::WECHAT_ANDROID,
            "alice",
        );
        alice.get("/orders").await.assert_ok();

        let seen = upstream.last();
        assert_eq!(
            seen.header("x-wechat-appid"),
            tables["wechat"]["main"]["app_id"].as_str().unwrap()
        );
        assert!(!seen.header("x-wechat-openid").is_empty());
        if tables["wechat"].get("mini").is_some() {
            log_in_a_mini_program(address, simulator_address).await;
        }
        let (status, printed) = gateway.terminate().await;
        assert!(status.success(), "{printed}");
        let (status, printed) = simulator.terminate().await;
        assert!(status.success(), "{printed}");
    }
}

/// Gets a `wx.login` code from the simulator and hands it in.
async fn log_in_a_mini_program(gateway: SocketAddr, simulator: SocketAddr) {
    let post = async |address, host: &str, path: &str, body: Json| {
        let request = Request::post(path)
            .header("host", host)
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes().into());
        exchange(address, request.unwrap()).await
    };
    let asked = json!({ "app_id": "wxcccc", "person": "alice" });
    let reply = post(simulator, "127.0.0.1", "/sim/code", asked).await;
    let code = json!({ "code": reply.json()["code"] });
    let login = "/_wxgate/mini-program/login";

    let reply = post(gateway, "www.example.test", login, code).await;

    assert_eq!(reply.json()["app"], "mini", "{}", reply.text());
    let nobody = json!({ "app_id": "wxcccc", "person": "nobody" });
    let reply = post(simulator, "127.0.0.1", "/sim/code", nobody).await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn the_simulator_prints_one_json_document_and_refuses_odd_apps() {
    let folder = TempDir::new().unwrap();
    let arguments = [
        "sim",
        "--json",
        "--listen",
        "127.0.0.1:0",
        "--app",
        "wxaaaa:s1",
    ];
    let mut simulator = Program::start(wxgate(&arguments, folder.path()));
    let line = simulator.line("{").await;
    let document: Json = serde_json::from_str(&line).unwrap();
    assert_eq!(document["apps"][0]["app_id"], "wxaaaa");
    assert!(
        document["url"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:")
    );
    drop(simulator);

    for app in [
        "wxaaaa",
        ":s1",
        "wxaaaa:",
        "wx-aaaa:s1",
        "wxaaaa:env:HOME",
        "wxaaaa:a\"b",
        "wxaaaa:a b",
        "wxaaaa:s1:website",
        "wxaaaa:s1:mini-program:x",
    ] {
        let ran = run(&folder, &["sim", "--app", app]).await;
        assert_eq!(ran.code, 2, "{app}");
        assert!(
            ran.err.contains("an appid, a colon and a secret"),
            "{}",
            ran.err
        );
    }
}

// --- A first configuration -------------------------------------------------------------------

const ANSWERS: [&str; 10] = [
    "--public-url",
    "https://shop.example.com",
    "--upstream",
    "http://127.0.0.1:8080",
    "--app-id",
    "wx0123456789abcdef",
    "--secret",
    "env:SHOP_SECRET",
    "--auth",
    "optional",
];

/// `init` with these arguments, and what is said to it.
async fn init(folder: &TempDir, arguments: &[&str], input: &str) -> Ran {
    let mut command = wxgate(&["init"], folder.path());
    command.args(arguments);
    let file = folder.path().join("input");
    fs::write(&file, input).unwrap();
    command.stdin(fs::File::open(file).unwrap());
    Ran::of(command).await
}

#[tokio::test]
async fn a_first_configuration_passes_the_check_and_routes_as_it_was_asked() {
    let folder = TempDir::new().unwrap();

    let ran = init(&folder, &ANSWERS, "").await;

    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("wrote config.toml"), "{}", ran.out);
    assert!(ran.out.contains("env:SHOP_SECRET"), "{}", ran.out);
    assert!(
        ran.out.contains("(网页授权域名) shop.example.com"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("[verification_files] of config.toml"),
        "{}",
        ran.out
    );
    let mut command = wxgate(&["check", "--strict"], folder.path());
    command.env("SHOP_SECRET", "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    let checked = Ran::of(command).await;
    assert_eq!(checked.code, 0, "{}", checked.err);
    assert!(checked.out.contains("1 optional"), "{}", checked.out);
}

#[tokio::test]
async fn what_is_not_given_is_asked_for_one_answer_a_line() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "0f1e2d3c4b5a69788796a5b4c3d2e1f0\n").unwrap();
    let input = format!(
        "https://shop.example.com\n\nwx0123456789abcdef\nfile:{}\n\n",
        secret.display()
    );

    let ran = init(&folder, &["--json", "-c", "first.toml"], &input).await;

    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err
            .contains("Where is the site? [http://127.0.0.1:8080]")
    );
    assert_eq!(ran.json()["file"], "first.toml");
    assert_eq!(ran.json()["secret_is_missing"], false);
    let checked = run(&folder, &["check", "-c", "first.toml"]).await;
    assert_eq!(checked.code, 0, "{}", checked.err);
    assert!(checked.out.contains("1 base"), "{}", checked.out);
}

#[tokio::test]
async fn a_configuration_that_is_there_is_never_overwritten() {
    let folder = folder("version = 1 # mine\n");

    let ran = init(&folder, &ANSWERS, "").await;

    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("stays as it is"), "{}", ran.err);
    let text = fs::read_to_string(folder.path().join("config.toml")).unwrap();
    assert_eq!(text, "version = 1 # mine\n");
}

#[tokio::test]
async fn bad_and_missing_answers_write_nothing_and_name_the_option() {
    let table = [
        ("--public-url", "shop.example.com"),
        ("--public-url", "https://shop.example.com/path"),
        ("--public-url", "http://shop.example.com"),
        ("--upstream", "127.0.0.1:8080"),
        ("--app-id", "gh_0123"),
        ("--secret", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
        ("--auth", "everybody"),
        ("--app-id", "wx\"\n[server]"),
    ];
    for (option, bad) in table {
        let folder = TempDir::new().unwrap();
        let mut arguments = ANSWERS.to_vec();
        let place = arguments.iter().position(|one| *one == option).unwrap();
        arguments[place + 1] = bad;

        let ran = init(&folder, &arguments, "").await;

        assert_eq!(ran.code, 1, "{option} {bad}");
        assert!(
            !folder.path().join("config.toml").exists(),
            "{option} {bad}"
        );
        let named = ran.err.contains(option) || ran.err.contains("server.public_url");
        assert!(named && !ran.err.contains("0f1e2d3c"), "{}", ran.err);
    }
    let folder = TempDir::new().unwrap();
    let ran = init(&folder, &["--no-input"], "https://shop.example.com\n").await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("try: --public-url"), "{}", ran.err);
    assert!(!folder.path().join("config.toml").exists());
}

// --- Lists -----------------------------------------------------------------------------------

/// Two lists: one in a file, one in the configuration.
fn folder_with_lists() -> TempDir {
    let folder = folder(&format!(
        "{ROUTES}\n[lists.staff]\nfile = \"staff.txt\"\n[lists.banned]\nids = [\"openid:banned1\"]\n"
    ));
    fs::write(
        folder.path().join("staff.txt"),
        "# staff\nopenid:alice # Alice\n",
    )
    .unwrap();
    folder
}

fn staff(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("staff.txt")).unwrap()
}

#[tokio::test]
async fn a_list_is_changed_in_a_shell_without_the_secrets_of_the_service() {
    let folder = folder_with_lists();
    let config = folder.path().join("config.toml");
    let good = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        good.replace("secret = \"", "secret = \"env:WXGATE_NOT_HERE_"),
    )
    .unwrap();
    assert_eq!(run(&folder, &["check"]).await.code, 1);

    let ran = run(&folder, &["list", "add", "staff", "openid:bob"]).await;

    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(staff(&folder).contains("openid:bob"));
}

#[tokio::test]
async fn what_is_wrong_with_lists_is_told_before_one_is_changed() {
    for broken in [
        "[lists.more]\nfile = 5\n",
        "[lists.more]\nids = [\"bob\"]\n",
        "[lists.more]\n",
    ] {
        let folder = folder_with_lists();
        let config = folder.path().join("config.toml");
        let good = fs::read_to_string(&config).unwrap();
        fs::write(&config, good + broken).unwrap();

        let ran = run(&folder, &["list", "add", "staff", "openid:bob"]).await;

        assert_eq!(ran.code, 1, "{broken}: {}", ran.out);
        assert!(ran.err.contains("lists.more"), "{broken}: {}", ran.err);
        assert!(!staff(&folder).contains("openid:bob"), "{broken}");
    }
}

#[tokio::test]
async fn people_are_added_to_a_list_and_removed_from_it() {
    let folder = folder_with_lists();

    let ran = run(
        &folder,
        &[
            "list",
            "add",
            "staff",
            "openid:bob",
            "unionid:u1",
            "--note",
            "new",
        ],
    )
    .await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("2 added to `staff`: 3 ids"), "{}", ran.out);
    assert_eq!(
        staff(&folder),
        "# staff\nopenid:alice # Alice\nopenid:bob  # new\nunionid:u1  # new\n"
    );

    let again = run(&folder, &["list", "add", "staff", "openid:bob", "--json"]).await;
    assert_eq!((again.code, again.json()["added"].as_u64()), (0, Some(0)));

    let ran = run(
        &folder,
        &["list", "remove", "staff", "openid:alice", "openid:nobody"],
    )
    .await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.contains("1 not in `staff`\n1 removed"),
        "{}",
        ran.out
    );
    let shown = run(&folder, &["list", "show", "staff"]).await;
    assert_eq!(shown.out, "openid:bob\nunionid:u1\n");

    let nobody = run(&folder, &["list", "remove", "staff", "openid:nobody"]).await;
    assert_eq!(nobody.code, 1, "the answer is no");
}

#[tokio::test]
async fn lists_are_shown_with_their_size_and_place() {
    let folder = folder_with_lists();

    let ran = run(&folder, &["list", "show"]).await;

    assert!(
        ran.out.contains("banned   1 ids   in the configuration"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("staff   1 ids   "), "{}", ran.out);
    let json = run(&folder, &["list", "show", "banned", "--json"])
        .await
        .json();
    assert_eq!(json["ids"], json!(["openid:banned1"]));
    assert_eq!(json["file"], Json::Null);
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_with_the_next_step_and_without_the_id() {
    let folder = folder_with_lists();
    let before = staff(&folder);
    for (arguments, words) in [
        (
            ["add", "banned", "openid:mallory"],
            "stands in the configuration itself",
        ),
        (
            ["add", "stuff", "openid:mallory"],
            "lists are banned, staff",
        ),
        (
            ["add", "staff", "mallory"],
            "id 1 is neither openid:... nor unionid:...",
        ),
        (
            ["remove", "banned", "openid:mallory"],
            "stands in the configuration itself",
        ),
    ] {
        let ran = run(&folder, &[&["list"][..], &arguments].concat()).await;
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
        assert!(!ran.err.contains("mallory"), "{}", ran.err);
    }
    let usage = run(&folder, &["list", "add", "staff"]).await;
    assert_eq!(usage.code, 2);
    assert_eq!(staff(&folder), before);
}

/// What `program` says about a script of ours.
async fn shell(program: &str, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).env("LC_ALL", "C.UTF-8");
    let ran = Ran::of(command).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{program}");
    ran.out
}

#[tokio::test]
async fn completion_works_in_the_shells_themselves() {
    let folder = TempDir::new().unwrap();
    let mut scripts = Vec::new();
    for name in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&folder, &["completion", name]).await;
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{name}");
        assert!(ran.out.contains("wxgate") && ran.out.contains("healthcheck"));
        let path = folder.path().join(name);
        fs::write(&path, ran.out).unwrap();
        scripts.push(path.display().to_string());
    }

    let words = "COMP_WORDS=(wxgate session ''); COMP_CWORD=2; _wxgate wxgate '' session";
    let source = format!("source {}; {words}; echo \"${{COMPREPLY[@]}}\"", scripts[0]);
    let offered = shell("bash", &["-c", &source]).await;
    assert!(offered.contains("list inspect revoke"), "{offered}");

    // zsh completes at a terminal only; here it reads the script and finds what it defines.
    let source = format!(
        "autoload -U compinit; compinit -D; source {}; functions _wxgate_commands",
        scripts[1]
    );
    let defined = shell("zsh", &["-f", "-c", &source]).await;
    assert!(defined.contains("'healthcheck:"), "{defined}");

    let source = format!("source {}; complete -C 'wxgate session '", scripts[2]);
    let offered = shell("fish", &["--no-config", "-c", &source]).await;
    for word in ["list\t", "inspect\t", "revoke\t"] {
        assert!(offered.contains(word), "{word}: {offered}");
    }
}

#[tokio::test]
async fn whoever_stops_reading_is_no_failure() {
    let folder = folder(ROUTES);
    for words in [
        "completion bash",
        "config schema",
        "routes list",
        "check",
        "help",
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let words: Vec<_> = words.split(' ').collect();
        let mut command = wxgate(&words, folder.path());
        command.stdout(writer).stderr(Stdio::piped());
        let ran: Ran = command
            .spawn()
            .unwrap()
            .wait_with_output()
            .await
            .unwrap()
            .into();

        assert!(!ran.err.contains("panicked"), "{words:?}: {}", ran.err);
        assert_eq!(ran.code, 0, "{words:?}: {}", ran.err);
    }
}
