#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::{Duration, Instant};

use http::Method;
use proptest::prelude::{prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};

use super::list::{Id, Ids, Source};
use super::policy::{Because, Decision, Need, Reason};
use super::{
    Auth, HostPattern, OnDeny, PathPattern, Question, Route, RouteId, Routes, Rule, Settings,
    Unauthenticated, Verdict, explain, same_requests,
};
use crate::clock::from_unix_seconds;
use crate::message::{Browser, Host};
use crate::target::{EncodedSeparator, EncodedSeparators, Refusal, Target};
use crate::wechat::{OpenId, Scope};

fn host(name: &str) -> Host {
    Host::from_canonical(name)
}

fn host_pattern(text: &str) -> HostPattern {
    match text.strip_prefix('*') {
        Some("") => HostPattern::Any,
        Some(suffix) => HostPattern::Below(suffix.to_owned()),
        None => HostPattern::Exact(host(text)),
    }
}

/// `=/a` is exact, `/a` a prefix, `/a*` a glob.
fn path_pattern(text: &str) -> PathPattern {
    match text.strip_prefix('=') {
        Some(path) => PathPattern::Exact(path.to_owned()),
        None if text.contains('*') => PathPattern::Glob(text.to_owned()),
        None => PathPattern::Prefix(text.to_owned()),
    }
}

fn methods(text: &str) -> Vec<Method> {
    text.split_whitespace()
        .map(|method| method.parse().unwrap())
        .collect()
}

/// Named like its patterns: `www.example.com /a GET POST`.
fn route(host: &str, path: &str, methods_text: &str, auth: Auth) -> Route {
    Route {
        name: format!("{host} {path} {methods_text}")
            .trim_end()
            .to_owned(),
        line: 1,
        host: host_pattern(host),
        path: path_pattern(path),
        methods: methods(methods_text),
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

/// One route per line.
fn routes(lines: &[&str]) -> Vec<Route> {
    let parse = |line: &&str| {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        route(word(), word(), word(), Auth::Base)
    };
    lines.iter().map(parse).collect()
}

fn find<'r>(routes: &'r Routes, method: &str, name: &str, target: &str) -> Option<&'r str> {
    let target = Target::parse(target).unwrap();
    let method = method.parse().unwrap();
    let (id, route) = routes.find(&host(name), &target, &method)?;
    assert_eq!(routes.routes[id.0].name, route.name);
    Some(&route.name)
}

#[test]
fn patterns_match_whole_segments_and_case() {
    let table: [(&str, &[&str], &[&str]); 18] = [
        ("/", &["/", "/a", "/a/b", "/ADMIN"], &[]),
        (
            "/api",
            &["/api", "/api/", "/api/x", "/api/x/y"],
            &["/apix", "/API", "/", "/ap", "/x/api", "/api;x", "/api.x"],
        ),
        ("/api/", &["/api", "/api/", "/api/x"], &["/apix"]),
        (
            "=/pay/notify",
            &["/pay/notify"],
            &["/pay/notify/", "/pay/notify/x", "/pay", "/pay/Notify"],
        ),
        ("=/", &["/"], &["/a"]),
        (
            "/static/**",
            &["/static", "/static/", "/static/x", "/static/x/y.js"],
            &["/staticx", "/", "/x/static/"],
        ),
        ("/**", &["/", "/a", "/a/b"], &[]),
        (
            "/img/*",
            &["/img/a", "/img/", "/img/a.png"],
            &["/img", "/img/a/b", "/imgx"],
        ),
        (
            "/img/*.png",
            &["/img/a.png", "/img/.png", "/img/a.b.png", "/img/a.png.png"],
            &["/img/a/b.png", "/img/a.png/x", "/img/a.pngx"],
        ),
        (
            "/a/*/c",
            &["/a/b/c", "/a//c"],
            &["/a/c", "/a/b/b/c", "/a/b/cx"],
        ),
        (
            "/a/**/c",
            &["/a/c", "/a/b/c", "/a/b/b/c", "/a/c/c"],
            &["/a/xc", "/ac", "/a/b/cx", "/a", "/a/"],
        ),
        ("/**/c", &["/c", "/b/c", "/a/b/c"], &["/xc", "/c/x", "/"]),
        ("/a/**/**/c", &["/a/c", "/a/b/c"], &["/ac"]),
        ("/a/**/*", &["/a/", "/a/b", "/a/b/c"], &["/a", "/ab"]),
        (
            "/v*/x",
            &["/v1/x", "/v/x", "/v2beta/x"],
            &["/v1/y/x", "/x", "/w/v1/x"],
        ),
        (
            "/a**z",
            &["/az", "/a/b/z", "/abcz"],
            &["/a", "/a/b/zy", "/za"],
        ),
        ("/*a*b*", &["/ab", "/xaxbx", "/aab"], &["/ba", "/a/b"]),
        ("/你*", &["/你", "/你好"], &["/好", "/"]),
    ];
    for (pattern, inside, outside) in table {
        for path in inside {
            assert!(path_pattern(pattern).matches(path), "{pattern} {path}");
        }
        for path in outside {
            assert!(!path_pattern(pattern).matches(path), "{pattern} {path}");
        }
    }
}

#[test]
fn a_glob_without_stars_is_an_exact_path() {
    let plain = PathPattern::Glob("/a".to_owned());
    assert!(plain.matches("/a"));
    assert!(!plain.matches("/a/b"));
}

#[test]
fn a_host_below_needs_a_label_of_its_own() {
    let table = [
        ("*.example.com", "a.example.com", true),
        ("*.example.com", "a.b.example.com", true),
        ("*.example.com", "example.com", false),
        ("*.example.com", ".example.com", false),
        ("*.example.com", "evilexample.com", false),
        ("*.example.com", "a.example.com.evil.example", false),
        ("www.example.com", "www.example.com", true),
        ("www.example.com", "m.example.com", false),
        ("*", "anything.example", true),
    ];
    for (pattern, name, matches) in table {
        assert_eq!(
            host_pattern(pattern).matches(&host(name)),
            matches,
            "{pattern} {name}"
        );
        let routes = Routes::new(Settings {
            routes: routes(&[&format!("{pattern} /")]),
        });
        assert_eq!(
            find(&routes, "GET", name, "/").is_some(),
            matches,
            "{pattern} {name}"
        );
    }
}

#[test]
fn the_most_specific_route_wins_whatever_the_order_in_the_file() {
    let mut list = routes(&[
        "* /",
        "* /api",
        "* /api POST PUT",
        "* /api/v1",
        "* =/api/v1/login",
        "* /api/*/public",
        "* /static/**",
        "* /static/app*.js",
        "* /static/app",
        "*.example.com /",
        "*.shop.example.com /a",
        "*.shop.example.com =/b",
        "www.example.com /admin",
        "www.example.com =/api/x",
        "www.example.com =/api/x POST",
    ]);
    let table = [
        ("GET", "other.example", "/", Some("* /")),
        ("GET", "other.example", "/apix", Some("* /")),
        ("GET", "other.example", "/api", Some("* /api")),
        ("DELETE", "other.example", "/api/v2", Some("* /api")),
        ("POST", "other.example", "/api/v2", Some("* /api POST PUT")),
        ("POST", "other.example", "/api/v1/x", Some("* /api/v1")),
        (
            "GET",
            "other.example",
            "/api/v1/login",
            Some("* =/api/v1/login"),
        ),
        (
            "GET",
            "other.example",
            "/api/v2/public",
            Some("* /api/*/public"),
        ),
        (
            "POST",
            "other.example",
            "/api/v2/public",
            Some("* /api/*/public"),
        ),
        ("GET", "other.example", "/api/v1/public", Some("* /api/v1")),
        ("GET", "other.example", "/static", Some("* /static/**")),
        ("GET", "other.example", "/static/x/y", Some("* /static/**")),
        (
            "GET",
            "other.example",
            "/static/app7.js",
            Some("* /static/app*.js"),
        ),
        (
            "GET",
            "other.example",
            "/static/app.js",
            Some("* /static/app*.js"),
        ),
        (
            "GET",
            "other.example",
            "/static/app/x",
            Some("* /static/app"),
        ),
        (
            "GET",
            "other.example",
            "/static/apple",
            Some("* /static/**"),
        ),
        ("GET", "a.example.com", "/api", Some("*.example.com /")),
        (
            "GET",
            "x.shop.example.com",
            "/a/b",
            Some("*.shop.example.com /a"),
        ),
        (
            "GET",
            "x.shop.example.com",
            "/b",
            Some("*.shop.example.com =/b"),
        ),
        ("GET", "x.shop.example.com", "/b/", Some("*.example.com /")),
        ("GET", "shop.example.com", "/a", Some("*.example.com /")),
        (
            "GET",
            "www.example.com",
            "/admin/users?x=/api",
            Some("www.example.com /admin"),
        ),
        ("GET", "www.example.com", "/adminx", Some("*.example.com /")),
        (
            "GET",
            "www.example.com",
            "/api/x",
            Some("www.example.com =/api/x"),
        ),
        (
            "POST",
            "www.example.com",
            "/api/x",
            Some("www.example.com =/api/x POST"),
        ),
    ];
    for _ in 0..list.len() {
        list.rotate_left(1);
        let routes = Routes::new(Settings {
            routes: list.clone(),
        });
        for (method, name, target, expected) in table {
            assert_eq!(
                find(&routes, method, name, target),
                expected,
                "{method} {name} {target}"
            );
        }
    }
}

#[test]
fn the_list_in_order_does_not_depend_on_the_order_in_the_file() {
    let lines = [
        "a.example /x POST",
        "a.example /x",
        "a.example /",
        "b.example =/y",
        "*.shop.example /",
        "*.example /",
        "* =/a/b",
        "* /a/b/c",
        "* /a/b/*",
        "* /a/b POST",
        "* /a/b",
        "* /a",
        "* /",
    ];
    let mut list = routes(&lines);
    for _ in 0..list.len() {
        list.rotate_left(1);
        let routes = Routes::new(Settings {
            routes: list.clone(),
        });
        let names: Vec<_> = routes
            .in_order()
            .map(|(_, route)| route.name.as_str())
            .collect();
        assert_eq!(names, lines);
        for (id, route) in routes.in_order() {
            assert_eq!(list[id.0].name, route.name);
        }
    }
}

#[test]
fn nothing_found_is_nothing() {
    let empty = Routes::new(Settings { routes: Vec::new() });
    assert_eq!(find(&empty, "GET", "www.example.com", "/"), None);

    let routes = Routes::new(Settings {
        routes: routes(&["www.example.com /a POST", "www.example.com =/b", "* /a/b/c"]),
    });
    for (method, name, target) in [
        ("GET", "www.example.com", "/"),
        ("GET", "www.example.com", "/a"),
        ("post", "www.example.com", "/a"),
        ("POST", "m.example.com", "/a"),
        ("GET", "www.example.com", "/b/"),
        ("GET", "www.example.com", "/a/b"),
    ] {
        assert_eq!(
            find(&routes, method, name, target),
            None,
            "{method} {name} {target}"
        );
    }
}

#[test]
fn a_route_for_get_also_serves_head() {
    let routes = Routes::new(Settings {
        routes: routes(&["* /a GET", "* /b POST", "* /"]),
    });
    assert_eq!(find(&routes, "HEAD", "x", "/a"), Some("* /a GET"));
    assert_eq!(find(&routes, "HEAD", "x", "/b"), Some("* /"));
    assert_eq!(find(&routes, "OPTIONS", "x", "/a"), Some("* /"));
}

#[test]
fn routes_judge_the_decoded_path_and_never_the_query() {
    let routes = Routes::new(Settings {
        routes: routes(&["* /", "* /商品", "* /admin", "* =/a,b"]),
    });
    let table = [
        ("/%e5%95%86%e5%93%81/1", "* /商品"),
        ("/%61dmin", "* /admin"),
        ("/admin?/", "* /admin"),
        ("/?/admin", "* /"),
        ("/a%2cb", "* =/a,b"),
        ("/%2561dmin", "* /"),
        ("/admin%2fx", "* /admin"),
    ];
    for (target, expected) in table {
        assert_eq!(
            find(&routes, "GET", "x", target),
            Some(expected),
            "{target}"
        );
    }
}

#[test]
fn with_parameters_the_stricter_reading_wins() {
    let with = |path: &str, auth| route("*", path, "", auth);
    let routes = Routes::new(Settings {
        routes: vec![
            with("/", Auth::Base),
            with("/admin", Auth::Userinfo),
            with("=/login.do", Auth::Public),
            with("/public", Auth::Public),
            with("/static/*.js", Auth::Public),
            with("/closed", Auth::Deny),
            with("/same", Auth::Base),
        ],
    });
    let table = [
        ("/admin/x;y", "* /admin"),
        ("/admin;x=1", "* /admin"),
        ("/admin;x/y", "* /admin"),
        ("/admin%3bx", "* /admin"),
        ("/closed;x", "* /closed"),
        // Servers that keep parameters see another path, so public it is not.
        ("/login.do;jsessionid=1", "* /"),
        ("/public;/x", "* /"),
        ("/static/x;.js", "* /"),
        ("/public/x;y", "* /public"),
        // Even: parameters kept.
        ("/same;x", "* /"),
    ];
    for (target, expected) in table {
        assert_eq!(
            find(&routes, "GET", "x", target),
            Some(expected),
            "{target}"
        );
    }
}

#[test]
fn a_list_of_one_reading_cannot_be_avoided_by_the_other() {
    let staff = Ids::open(vec![Source::Given(vec![
        Id::parse("openid:alice").unwrap(),
    ])])
    .unwrap();
    let mut admin = route("*", "/admin", "", Auth::Base);
    admin.rule.allow = Some(staff);
    let mut everything = route("*", "/", "", Auth::Base);
    let open = Routes::new(Settings {
        routes: vec![everything.clone(), admin.clone()],
    });
    assert_eq!(find(&open, "GET", "x", "/admin;x"), Some("* /admin"));

    // The one wants an address, the other a person: nothing satisfies both, so there is no route.
    everything.rule.allow_ips = vec!["192.0.2.0/24".parse().unwrap()];
    let crossed = Routes::new(Settings {
        routes: vec![everything, admin],
    });
    assert_eq!(find(&crossed, "GET", "x", "/admin;x"), None);
    assert_eq!(find(&crossed, "GET", "x", "/admin/;x"), Some("* /admin"));
}

#[test]
fn where_one_reading_has_no_route_there_is_none() {
    let routes = Routes::new(Settings {
        routes: routes(&["* /a"]),
    });
    assert_eq!(find(&routes, "GET", "x", "/a;x"), None);
    assert_eq!(find(&routes, "GET", "x", "/a/b;x"), Some("* /a"));
}

#[test]
fn ties_are_known_and_nothing_else_is_called_one() {
    let table = [
        ("* /member", "* /member/", true),
        ("* /member", "* /member/**", true),
        ("* /", "* /**", true),
        ("* /a/**", "* /a/**/**", true),
        ("* =/a", "* =/a", true),
        ("* /a GET", "* /a GET POST", true),
        ("* /a GET", "* /a HEAD", true),
        ("* /a HEAD", "* /a GET", true),
        ("*.example.com /a", "*.example.com /a", true),
        ("* /a*b", "* /a*b", true),
        ("* /a", "* /a GET", false),
        ("* /a GET", "* /a POST", false),
        ("* /a", "* =/a", false),
        ("* =/a", "* =/a/", false),
        ("* /a", "* /A", false),
        ("* /a", "* /a/*", false),
        ("* /a", "www.example.com /a", false),
        ("*.example.com /a", "*.a.example.com /a", false),
    ];
    for (a, b, ties) in table {
        let pair = routes(&[a, b]);
        assert_eq!(same_requests(&pair[0], &pair[1]), ties, "{a} and {b}");
        assert_eq!(same_requests(&pair[1], &pair[0]), ties, "{b} and {a}");
    }
}

#[test]
fn literals_count_up_to_the_first_star() {
    for (pattern, literal) in [
        ("/", ""),
        ("/api/", "/api"),
        ("=/a/", "/a/"),
        ("/static/**", "/static"),
        ("/a/*/b", "/a/"),
        ("/a/**/b", "/a/"),
        ("/img/a*.png", "/img/a"),
        ("/**x", "/"),
    ] {
        assert_eq!(path_pattern(pattern).literal(), literal, "{pattern}");
    }
}

#[test]
fn hostile_globs_and_paths_take_time_in_proportion() {
    let long = "a".repeat(60_000);
    let slashed = "/a".repeat(30_000);
    let table = [
        ("/*a*a*a*a*a*a*a*a*b", format!("/{long}")),
        ("/**a*a*a*a*a*a*b", format!("/{long}")),
        ("/**a**a**a**a**a**b", format!("/{long}")),
        ("/**/a/**/a/**/a/**/a/**/b", slashed.clone()),
        ("/**/*a*a*a/*a*/b", slashed.clone()),
        ("/**aaaaaaaaaaaaaaaab", format!("/{long}")),
        ("/**a*/**a*/**a*b", slashed + &long),
    ];
    let begun = Instant::now();
    for (pattern, path) in table {
        assert!(!path_pattern(pattern).matches(&path), "{pattern}");
    }
    // Quadratic time would be minutes.
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

/// The meaning of a glob, spelled out; exponential.
fn glob_matches_naively(pattern: &str, path: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("/**") {
        let rest = rest.trim_start_matches('*');
        if rest.is_empty() || rest.starts_with('/') {
            let skips = std::iter::once(path).chain(
                path.starts_with('/')
                    .then_some(())
                    .into_iter()
                    .flat_map(|()| {
                        path.char_indices()
                            .skip(1)
                            .map(|(index, _)| &path[index..])
                            .chain([""])
                    }),
            );
            return skips
                .into_iter()
                .any(|after| glob_matches_naively(rest, after));
        }
    }
    let stars = pattern.len() - pattern.trim_start_matches('*').len();
    if stars > 0 {
        let rest = &pattern[stars..];
        let reach = match stars {
            1 => path.find('/').unwrap_or(path.len()),
            _ => path.len(),
        };
        return (0..=reach).any(|skipped| glob_matches_naively(rest, &path[skipped..]));
    }
    match (pattern.chars().next(), path.chars().next()) {
        (None, None) => true,
        (Some(a), Some(b)) if a == b => glob_matches_naively(&pattern[1..], &path[1..]),
        _ => false,
    }
}

/// The documented order, spelled out: every route is looked at.
fn find_naively(routes: &[Route], name: &Host, path: &str, method: &Method) -> Option<usize> {
    let host_rank = |route: &Route| match &route.host {
        HostPattern::Exact(_) => usize::MAX,
        HostPattern::Below(suffix) => suffix.len(),
        HostPattern::Any => 0,
    };
    let host_matches = |route: &Route| match &route.host {
        HostPattern::Exact(exact) => exact == name,
        HostPattern::Below(suffix) => {
            name.as_str().len() > suffix.len() && name.as_str().ends_with(suffix)
        }
        HostPattern::Any => true,
    };
    let path_matches = |route: &Route| match &route.path {
        PathPattern::Exact(exact) => exact == path,
        PathPattern::Prefix(prefix) => {
            let prefix: Vec<&str> = prefix
                .split('/')
                .filter(|segment| !segment.is_empty())
                .collect();
            let segments: Vec<&str> = path.split('/').skip(1).collect();
            segments.starts_with(&prefix)
        }
        PathPattern::Glob(glob) => glob_matches_naively(glob, path),
    };
    let method_matches = |route: &Route| {
        let mut methods = route.methods.iter();
        route.methods.is_empty()
            || methods.any(|own| own == method || (own == "GET" && method == "HEAD"))
    };
    let literal = |route: &Route| match &route.path {
        PathPattern::Exact(text) => text.len(),
        PathPattern::Prefix(text) => text.trim_end_matches('/').len(),
        PathPattern::Glob(text) => {
            let literal = text.split('*').next().unwrap();
            let is_prefix = text[literal.len()..]
                .split('/')
                .all(|part| part.len() > 1 && part.trim_matches('*').is_empty());
            if is_prefix {
                literal.trim_end_matches('/').len()
            } else {
                literal.len()
            }
        }
    };
    let rank = |route: &Route| {
        let exact = matches!(route.path, PathPattern::Exact(_));
        (
            host_rank(route),
            exact,
            literal(route),
            !route.methods.is_empty(),
        )
    };
    let fits = |route: &Route| host_matches(route) && path_matches(route) && method_matches(route);
    let best = routes.iter().filter(|route| fits(route)).map(rank).max()?;
    let mut ids = (0..routes.len()).filter(|id| fits(&routes[*id]) && rank(&routes[*id]) == best);
    let first = ids.next()?;
    // Even by the documented order: any of them is right, as long as it is always the same; `usize::MAX` says so.
    Some(if ids.next().is_some() {
        usize::MAX
    } else {
        first
    })
}

fn some_path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "aab", "abc", ""]);
    prop::collection::vec(segment, 1..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// As a configuration holds paths.
fn without_empty_segments(path: &str) -> String {
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    format!("/{}", segments.join("/"))
}

fn some_glob() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec!["a", "b", "ab", "/", "/", "*", "*", "**", "/**"]);
    prop::collection::vec(piece, 0..8).prop_map(|pieces| {
        let mut glob = format!("/{}", pieces.concat());
        while glob.contains("//") {
            glob = glob.replace("//", "/");
        }
        glob
    })
}

fn some_route() -> impl Strategy<Value = Route> {
    let host = prop::sample::select(vec![
        "*",
        "*",
        "a.example",
        "b.example",
        "*.example",
        "*.b.example",
    ]);
    let path = prop_oneof![
        some_path().prop_map(|path| PathPattern::Exact(without_empty_segments(&path))),
        some_path().prop_map(|path| PathPattern::Prefix(without_empty_segments(&path))),
        some_glob()
            .prop_filter("a glob has a star", |text| text.contains('*'))
            .prop_map(PathPattern::Glob),
        Just(PathPattern::Prefix("/".to_owned())),
    ];
    let methods = prop::sample::select(vec!["", "", "GET", "POST", "GET POST", "HEAD"]);
    (host, path, methods).prop_map(|(host, path, methods)| Route {
        path,
        ..route(host, "/", methods, Auth::Base)
    })
}

proptest! {
    #[test]
    fn globs_match_what_they_say(pattern in some_glob(), path in some_path()) {
        prop_assert_eq!(PathPattern::Glob(pattern.clone()).matches(&path), glob_matches_naively(&pattern, &path));
    }

    #[test]
    fn a_match_begins_with_the_literal(pattern in some_glob(), path in some_path()) {
        let glob = PathPattern::Glob(pattern);
        if glob.matches(&path) {
            prop_assert!(path.starts_with(&glob.literal()));
        }
    }

    #[test]
    fn the_index_finds_what_the_documented_order_says(
        list in prop::collection::vec(some_route(), 0..24),
        name in prop::sample::select(vec!["a.example", "b.example", "x.b.example", "example", "c.test"]),
        path in some_path(),
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "PUT"]),
        turn in 0_usize..24,
    ) {
        let Ok(target) = Target::parse(&path) else { return Ok(()) };
        let (name, method) = (host(name), method.parse().unwrap());
        let found = |list: &[Route]| {
            let routes = Routes::new(Settings { routes: list.to_vec() });
            routes.find(&name, &target, &method).map(|(id, _)| id.0)
        };
        let expected = find_naively(&list, &name, &path, &method);
        if expected != Some(usize::MAX) {
            prop_assert_eq!(found(&list), expected);
        }

        // Wherever the routes stand in the file, the same one is found, or its equal in every word.
        let mut turned = list.clone();
        turned.rotate_left(turn.min(list.len()));
        let words = |list: &[Route], id: Option<usize>| id.map(|id| (list[id].host.clone(), list[id].path.clone(), list[id].methods.is_empty()));
        prop_assert_eq!(words(&turned, found(&turned)), words(&list, found(&list)));
    }

    #[test]
    fn explain_selects_what_find_finds(
        list in prop::collection::vec(some_route(), 0..12),
        path in some_path(),
        parameter in prop::sample::select(vec!["", ";x", "/b;x"]),
    ) {
        let text = path + parameter;
        let Ok(target) = Target::parse(&text) else { return Ok(()) };
        let routes = Routes::new(Settings { routes: list });
        let asked = question("b.example", &text);
        let explanation = explain(&routes, &asked, false, from_unix_seconds(0)).unwrap();
        let found = routes.find(&asked.host, &target, &asked.method).map(|(id, _)| id);
        prop_assert_eq!(explanation.selected, found);
        prop_assert_eq!(explanation.standings.len(), routes.routes.len());
        let selected = explanation.standings.iter().filter(|standing| standing.verdict == Verdict::Selected);
        prop_assert_eq!(selected.map(|standing| standing.route).collect::<Vec<_>>(), found.into_iter().collect::<Vec<_>>());
        if let (Some(id), "") = (found, parameter) {
            prop_assert_eq!(explanation.standings[0].route, id);
            prop_assert_eq!(explanation.standings[0].rank, Some(1));
        }
    }
}

fn question(name: &str, path_and_query: &str) -> Question {
    Question {
        host: host(name),
        path_and_query: path_and_query.to_owned(),
        method: Method::GET,
        browser: Browser::WechatIos,
        address: None,
        openid: None,
        unionid: None,
    }
}

#[test]
fn explain_says_how_every_route_won_or_lost() {
    let list = routes(&[
        "www.example.com =/admin/users",
        "www.example.com /admin/*",
        "www.example.com /admin GET",
        "www.example.com /admin",
        "www.example.com /admin POST",
        "www.example.com /",
        "m.example.com /admin",
        "*.example.com =/admin/users",
        "* /member",
        "* /",
    ]);
    let routes = Routes::new(Settings { routes: list });
    let told = |target: &str| -> Vec<(&str, Option<usize>, Verdict)> {
        let explanation = explain(
            &routes,
            &question("www.example.com", target),
            false,
            from_unix_seconds(0),
        )
        .unwrap();
        let standings = explanation.standings.iter();
        standings
            .map(|standing| {
                (
                    routes.routes[standing.route.0].name.as_str(),
                    standing.rank,
                    standing.verdict,
                )
            })
            .collect()
    };
    assert_eq!(
        told("/admin/users?x=1"),
        [
            ("www.example.com =/admin/users", Some(1), Verdict::Selected),
            ("www.example.com /admin/*", Some(2), Verdict::NotExact),
            ("www.example.com /admin GET", Some(3), Verdict::NotExact),
            ("www.example.com /admin", Some(4), Verdict::NotExact),
            ("www.example.com /", Some(5), Verdict::NotExact),
            (
                "*.example.com =/admin/users",
                Some(6),
                Verdict::LessSpecificHost
            ),
            ("* /", Some(7), Verdict::LessSpecificHost),
            ("m.example.com /admin", None, Verdict::HostDiffers),
            ("www.example.com /admin POST", None, Verdict::MethodDiffers),
            ("* /member", None, Verdict::PathDiffers),
        ]
    );
    assert_eq!(
        told("/admin")[..3],
        [
            ("www.example.com /admin GET", Some(1), Verdict::Selected),
            ("www.example.com /admin", Some(2), Verdict::AnyMethod),
            ("www.example.com /", Some(3), Verdict::ShorterPath),
        ]
    );
}

#[test]
fn explain_tells_the_two_readings_apart() {
    let mut office = route("*", "/office", "", Auth::Base);
    office.rule.allow_ips = vec!["192.0.2.0/24".parse().unwrap()];
    let routes = Routes::new(Settings {
        routes: vec![
            route("*", "/", "", Auth::Userinfo),
            route("*", "/public", "", Auth::Public),
            office,
        ],
    });
    let told = |target: &str| {
        let explanation =
            explain(&routes, &question("x", target), false, from_unix_seconds(0)).unwrap();
        let verdict = |id| {
            explanation
                .standings
                .iter()
                .find(|standing| standing.route == RouteId(id))
                .unwrap()
                .verdict
        };
        (explanation.selected, verdict(0), verdict(1), verdict(2))
    };
    assert_eq!(
        told("/public;x"),
        (
            Some(RouteId(0)),
            Verdict::Selected,
            Verdict::LessStrict,
            Verdict::PathDiffers
        )
    );
    assert_eq!(
        told("/office;x"),
        (
            None,
            Verdict::NotStricter,
            Verdict::PathDiffers,
            Verdict::NotStricter
        )
    );
}

#[test]
fn explain_decides_like_a_request() {
    let mut admin = route("*", "/admin", "", Auth::Base);
    admin.rule.allow_ips = vec!["192.0.2.0/24".parse().unwrap()];
    admin.rule.max_age = Some(Duration::from_secs(60));
    admin.rule.allow = Some(
        Ids::open(vec![Source::Given(vec![
            Id::parse("openid:alice").unwrap(),
        ])])
        .unwrap(),
    );
    admin.allow_encoded = EncodedSeparators::default().with(EncodedSeparator::Slash);
    let routes = Routes::new(Settings {
        routes: vec![admin],
    });
    let ask = |path: &str, change: &dyn Fn(&mut Question)| {
        let mut asked = question("x", path);
        change(&mut asked);
        explain(&routes, &asked, false, from_unix_seconds(1_800_000_000)).unwrap()
    };
    let person = |name: &str| OpenId::parse(name);

    let nobody = ask("/admin", &|_| {});
    let need = Need {
        scope: Scope::Base,
        because: Because::NoSession,
    };
    assert_eq!(nobody.decision, Some(Decision::LogIn(need)));
    let alice = ask("/admin%2fx", &|asked| asked.openid = person("alice"));
    assert_eq!(alice.decision, Some(Decision::Allow { identity: true }));
    let bob = ask("/admin", &|asked| asked.openid = person("bob"));
    assert_eq!(bob.decision, Some(Decision::Refuse(Reason::AllowList)));
    let abroad = ask("/admin", &|asked| {
        asked.address = Some([198, 51, 100, 1].into());
    });
    assert_eq!(abroad.decision, Some(Decision::Refuse(Reason::Address)));
    let escaped = ask("/admin/a%5cx", &|_| {});
    assert_eq!((escaped.escapes_allowed, escaped.decision), (false, None));
    let refused = explain(
        &routes,
        &question("x", "/admin/../x"),
        false,
        from_unix_seconds(0),
    );
    assert_eq!(refused, Err(Refusal::DotSegment));
}
