#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::{Duration, SystemTime};

use clap::Parser;
use http::Method;

use super::{ExplainArgs, Facts, split_url};
use crate::message::{Host, Scheme, Site};
use crate::route::list::{Id, Ids, Source};
use crate::route::report::{self, NotAnAddress, Outcome, Report, Table, printable};
use crate::route::{
    Auth, Client, HostPattern, OnDeny, PathPattern, Route, Routes, Rule, Settings, Unauthenticated,
};
use crate::target::EncodedSeparators;

fn site() -> Site {
    let host = Host::from_canonical("www.example.com");
    Site {
        scheme: Scheme::Https,
        public_host: host.clone(),
        port: None,
        path_prefix: "/_wxgate".to_owned(),
        hosts: vec![host, Host::from_canonical("m.example.com")],
        wildcard_hosts: Vec::new(),
    }
}

fn route(name: &str, line: usize, path: PathPattern, auth: Auth) -> Route {
    Route {
        name: name.to_owned(),
        line,
        host: HostPattern::Any,
        path,
        methods: Vec::new(),
        rule: Rule {
            auth,
            unauthenticated: Unauthenticated::Auto,
            cors_origins: Vec::new(),
            require_unionid: false,
            max_age: None,
            clients: Vec::new(),
            allow: None,
            deny: None,
            allow_ips: Vec::new(),
            on_deny: OnDeny::Page,
        },
        audience: None,
        allow_encoded: EncodedSeparators::default(),
    }
}

/// The routes of the full example, more or less.
fn example() -> Routes {
    let mut admin = route(
        "admin",
        93,
        PathPattern::Prefix("/admin".to_owned()),
        Auth::Base,
    );
    admin.host = HostPattern::Exact(Host::from_canonical("www.example.com"));
    admin.rule.max_age = Some(Duration::from_secs(1800));
    admin.rule.clients = vec![Client::Wechat];
    admin.rule.allow = Some(
        Ids::open(vec![Source::Given(vec![
            Id::parse("openid:alice").unwrap(),
        ])])
        .unwrap(),
    );
    let mut notify = route(
        "支付通知",
        70,
        PathPattern::Exact("/pay/notify".to_owned()),
        Auth::Public,
    );
    notify.methods = vec![Method::POST];
    notify.rule.allow_ips = vec!["203.0.113.0/24".parse().unwrap()];
    Routes::new(Settings {
        routes: vec![
            route(
                "everything-else",
                120,
                PathPattern::Prefix("/".to_owned()),
                Auth::Optional,
            ),
            admin,
            route(
                "assets",
                60,
                PathPattern::Glob("/static/**".to_owned()),
                Auth::Public,
            ),
            notify,
            route(
                "closed",
                130,
                PathPattern::Prefix("/closed".to_owned()),
                Auth::Deny,
            ),
        ],
    })
}

fn facts<'f>(site: &'f Site, routes: &'f Routes) -> Facts<'f> {
    Facts {
        source: "config.toml".to_owned(),
        site,
        routes,
        subject_needs_unionid: false,
        verification_files: vec!["MP_verify_x.txt"],
        upstreams: vec!["legacy", "legacy", "files", "legacy", "legacy"],
    }
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: ExplainArgs,
}

fn args(words: &[&str]) -> ExplainArgs {
    Line::try_parse_from([&["explain"], words].concat())
        .unwrap()
        .args
}

fn ask<T>(words: &[&str], read: impl FnOnce(&Report<'_>) -> T) -> T {
    let (site, routes) = (site(), example());
    let facts = facts(&site, &routes);
    let question = args(words).question(&site).unwrap();
    read(&Report::new(question, &facts, SystemTime::UNIX_EPOCH))
}

#[test]
fn the_explanation_reads_like_this() {
    let words = [
        "https://www.example.com/admin/users?x=1",
        "--openid",
        "o6_bmL2M",
    ];
    assert_eq!(
        ask(&words, |report| report.text()),
        r#"request    GET www.example.com /admin/users        (the query is never matched)
selected   "admin"        config.toml:93        host www.example.com, path "/admin" (6 characters)

  rank  route            host             path           methods  result
  1     admin            www.example.com  /admin         any      selected
  2     everything-else  any              /              any      less specific host
  -     支付通知         any              = /pay/notify  POST     path differs
  -     assets           any              /static/**     any      path differs
  -     closed           any              /closed        any      path differs

auth       base, max_age 1800s   (assumed: logged in just now)
allow      1 ids (in the configuration)
clients    [Wechat]: wechat-android is one of them
answer     403 page "denied" (P8), because this person is not on the allow list; the upstream is not contacted
"#
    );
}

#[test]
fn each_question_has_its_outcome_and_answer() {
    let table: [(&[&str], Outcome, &str); 17] = [
        (
            &["/"],
            Outcome::Allow,
            "forwarded to `legacy` without identity",
        ),
        (
            &["/", "--openid", "bob"],
            Outcome::Allow,
            "forwarded to `legacy` with identity",
        ),
        (
            &["/", "--unionid", "unionid:u-bob"],
            Outcome::Allow,
            "forwarded to `legacy` with identity",
        ),
        (
            &["/static/a.js"],
            Outcome::Allow,
            "forwarded to `files` without identity",
        ),
        (
            &["/admin"],
            Outcome::Login,
            "silent login (snsapi_base), because there is no session",
        ),
        (
            &["/admin", "--openid", "openid:alice"],
            Outcome::Allow,
            "forwarded to `legacy` with identity",
        ),
        (
            &["/admin", "--openid", "alice", "--ua", "desktop"],
            Outcome::Deny,
            "403 page \"denied\" (P8), because the route wants another client",
        ),
        (
            &["/pay/notify", "--method", "POST"],
            Outcome::Allow,
            "forwarded to `legacy` without identity",
        ),
        (
            &["/pay/notify", "--method", "POST", "--ip", "192.0.2.1"],
            Outcome::Deny,
            "403 page \"denied\" (P8), because the address is not on allow_ips",
        ),
        (
            &["/closed/x"],
            Outcome::Deny,
            "403 page \"denied\" (P8), because the route denies everybody",
        ),
        (
            &["https://evil.example/"],
            Outcome::Deny,
            "421: no route serves this host",
        ),
        (
            &["/admin/../x"],
            Outcome::Deny,
            "400: target holds a dot segment",
        ),
        (
            &["/a%2fb"],
            Outcome::Deny,
            "400: target holds an encoded separator",
        ),
        (
            &["/_wxgate/me"],
            Outcome::Allow,
            "wxgate itself: an endpoint",
        ),
        (
            &["/%5fwxgate;x/me"],
            Outcome::Allow,
            "wxgate itself: an endpoint",
        ),
        (
            &["/MP_verify_x.txt"],
            Outcome::Allow,
            "wxgate itself: a verification file",
        ),
        (
            &["/MP_verify_x.txt", "--method", "POST"],
            Outcome::Allow,
            "forwarded to `legacy` without identity",
        ),
    ];
    for (words, outcome, answer) in table {
        let text = ask(words, |report| {
            assert_eq!(report.outcome(), outcome, "{words:?}");
            report.text()
        });
        let last = text.lines().last().unwrap();
        assert!(
            last.starts_with(&format!("answer     {answer}")),
            "{words:?}: {last}"
        );
    }
}

#[test]
fn parameters_show_both_readings() {
    let text = ask(&["/admin;x=1"], |report| report.text());
    assert!(
        text.contains("GET www.example.com /admin;x=1\nalso read  /admin "),
        "{text}"
    );
    assert!(text.contains("selected   \"admin\""), "{text}");
}

#[test]
fn no_openid_is_printed() {
    for words in [
        ["/admin", "--openid", "o6_secretid"],
        ["/admin", "--unionid", "o6_secretid"],
    ] {
        let (text, json) = ask(&words, |report| (report.text(), report.json().to_string()));
        assert!(!text.contains("o6_secretid") && !json.contains("o6_secretid"));
        assert!(!text.contains("alice") && !json.contains("alice"));
    }
}

#[test]
fn the_json_form_says_the_same() {
    let document = ask(&["/admin/%E4%BD%A0"], |report| report.json());
    assert_eq!(document["request"]["path"], "/admin/你");
    assert_eq!(document["outcome"], "login");
    assert_eq!(document["selected"]["name"], "admin");
    assert_eq!(document["selected"]["line"], 93);
    assert_eq!(document["routes"][0]["result"], "selected");
    assert_eq!(document["routes"][4]["rank"], serde_json::Value::Null);
    let refused = ask(&["/.."], |report| report.json());
    assert_eq!(refused["outcome"], "deny");
    assert_eq!(refused["answer"], "400: target holds a dot segment");
}

#[test]
fn the_list_is_in_matching_order_and_aligned() {
    let (site, routes) = (site(), example());
    let facts = facts(&site, &routes);
    assert_eq!(
        report::text(&facts),
        "\
#  route            host             path           methods  auth      upstream  line
1  admin            www.example.com  /admin         any      base      legacy    93
2  支付通知         any              = /pay/notify  POST     public    legacy    70
3  assets           any              /static/**     any      public    files     60
4  closed           any              /closed        any      deny      legacy    130
5  everything-else  any              /              any      optional  legacy    120
"
    );
    let document = report::json(&facts);
    let names = document["routes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|route| route["name"].as_str().unwrap());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["admin", "支付通知", "assets", "closed", "everything-else"]
    );
    assert_eq!(document["routes"][1]["path_kind"], "path_exact");
    assert_eq!(document["routes"][2]["upstream"], "files");
}

#[test]
fn addresses_are_split_as_browsers_do_but_paths_stay_as_written() {
    let site = site();
    let table = [
        ("/a/../b?c#d", "www.example.com", "/a/../b?c"),
        ("https://M.Example.com./a", "m.example.com", "/a"),
        ("http://m.example.com:8080", "m.example.com", "/"),
        ("https://m.example.com?x", "m.example.com", "/?x"),
        ("https://m.example.com//a\\b", "m.example.com", "//a\\b"),
        ("https://[::1]:9500/x", "[::1]", "/x"),
        ("https://[::1]/x", "[::1]", "/x"),
    ];
    for (url, host, target) in table {
        let split = split_url(url, &site).unwrap();
        assert_eq!(
            split,
            (Host::from_canonical(host), target.to_owned()),
            "{url}"
        );
    }
    for (bad, reason) in [
        ("", NotAnAddress::Beginning),
        ("admin", NotAnAddress::Beginning),
        ("www.example.com/a", NotAnAddress::Beginning),
        (
            "ftp://www.example.com/",
            NotAnAddress::Scheme("ftp".to_owned()),
        ),
        ("http://[", NotAnAddress::Host("[".to_owned())),
        ("https:///a", NotAnAddress::Host(String::new())),
        ("https://a@b/", NotAnAddress::Host("a@b".to_owned())),
        ("https://a:x/", NotAnAddress::Host("a:x".to_owned())),
    ] {
        assert_eq!(split_url(bad, &site), Err(reason), "{bad}");
    }
}

#[test]
fn a_wrong_id_is_wrong_usage() {
    for words in [
        ["/", "--openid", "a b"],
        ["/", "--unionid", "openid:x"],
        ["/", "--ua", "netscape"],
        ["/", "--expect", "maybe"],
    ] {
        let line = [&["explain"], &words[..]].concat();
        assert_eq!(
            Line::try_parse_from(line).err().unwrap().exit_code(),
            2,
            "{words:?}"
        );
    }
}

#[test]
fn nothing_printed_can_move_the_cursor() {
    assert_eq!(printable("/a\u{1b}[2J\n你"), "/a\\u{1b}[2J\\u{a}你");
    assert_eq!(printable("/a\u{202e}b"), "/a\\u{202e}b");
    let mut table = Table::new(["a", "b"]);
    table.push(["x\ty".to_owned(), String::new()]);
    assert_eq!(table.text(1), " a        b\n x\\u{9}y\n");
}
