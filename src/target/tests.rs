#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use http::uri::PathAndQuery;
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};

use super::{EncodedSeparator, EncodedSeparators, Refusal, Target, return_address};

fn parse(text: &str) -> Target {
    Target::parse(text).unwrap_or_else(|refusal| panic!("{text:?}: {refusal}"))
}

/// What is refused, by reason.
const REFUSED: &[(Refusal, &[&str])] = &[
    (
        Refusal::NotAPath,
        &[
            "",
            "*",
            "admin",
            "?x",
            "http:http://a/",
            "https://a/b",
            "\u{feff}/",
            ";/a",
        ],
    ),
    (
        Refusal::ForbiddenByte,
        &[
            "/admin#/public",
            "/a?x#y",
            "/#",
            "/a\\b",
            "/\\evil.example",
            "/..\\admin",
            "/a b",
            "/a\tb",
            "/a\nb",
            "/a\r\nHost: x",
            "/a\0",
            "/a\u{7f}",
            "/é",
            "/a?é",
            "/a?b c",
            "/a?b\\c",
            "/a?b\0",
            "/a?\u{7f}",
            "/<a>",
            "/a`b",
            "/a?<",
            "/a?\"",
            "/a\u{1}",
        ],
    ),
    (
        Refusal::BrokenEscape,
        &[
            "/%", "/%2", "/a%", "/a%4", "/%zz", "/%2g", "/%g2", "/%%32e", "/%u002e", "/%?41",
            "/%+1",
        ],
    ),
    (
        Refusal::NotUtf8,
        &[
            "/%c0%af",
            "/%c0%ae%c0%ae/admin",
            "/%e0%80%af",
            "/%ff",
            "/%80",
            "/%ed%a0%80",
            "/%c4%e3",
            "/%f8%80%80%80%af",
            "/%e4%bd",
            "/%f4%90%80%80",
        ],
    ),
    (
        Refusal::DotSegment,
        &[
            "/.",
            "/..",
            "/./admin",
            "/x/../admin",
            "/public/../admin",
            "/a/.",
            "/a/..",
            "/a/./",
            "/%2e",
            "/%2E%2e/",
            "/.%2e/admin",
            "/%2e./admin",
            "/%252e/",
            "/%252e%252e/admin",
            "/.%252e",
            "/%2e%252E",
            "/%25%32%65/",
            "/%25252e%25252e/a",
            "/%252525252e",
            "/..;/admin",
            "/..;x=1/admin",
            "/.;",
            "/..%3b/admin",
            "/..%253bx/admin",
            "/public;/../admin",
            "/a/%2e%2e;x",
            "/public%2f..%2fadmin",
            "/public%252f..%252fadmin",
            "/..%5cadmin",
            "/a%5c..",
            "/a%255c..%255cb",
            "/..%00",
            "/..%2500",
            "/..%23",
            "/..%3fx",
            "/a;x=%252f..",
            "/%2e%2e%2f",
        ],
    ),
    (
        Refusal::EmptySegment,
        &[
            "//",
            "//admin",
            "//evil.example/",
            "/a//b",
            "/a//",
            "///",
            "//?x",
            "/;x/admin",
            "/%3bx/admin",
            "/a/;/b",
            "/;/;/a",
        ],
    ),
    (
        Refusal::EncodedSeparator,
        &[
            "/a;x=%2fadmin",
            "/a;x=%2Fadmin",
            "/a;%5cadmin",
            "/a%3bx%2fadmin",
        ],
    ),
];

#[test]
fn every_target_with_two_readings_is_refused() {
    for (refusal, texts) in REFUSED {
        for text in *texts {
            assert_eq!(Target::parse(text), Err(*refusal), "{text:?}");
        }
    }
}

#[test]
fn too_long_a_target_is_refused() {
    let longest = format!("/{}", "a".repeat(super::LONGEST - 1));
    assert_eq!(parse(&longest).as_str().len(), super::LONGEST);
    assert_eq!(Target::parse(&format!("{longest}a")), Err(Refusal::TooLong));
}

#[test]
fn a_refusal_is_told_in_words_of_its_own() {
    let texts = [
        Refusal::NotAPath,
        Refusal::TooLong,
        Refusal::ForbiddenByte,
        Refusal::BrokenEscape,
        Refusal::NotUtf8,
        Refusal::DotSegment,
        Refusal::EmptySegment,
        Refusal::EncodedSeparator,
    ]
    .map(|refusal| refusal.to_string());
    let different: std::collections::HashSet<_> = texts.iter().collect();
    assert_eq!(different.len(), texts.len());
}

#[test]
fn escapes_of_unreserved_characters_are_decoded_and_the_others_raised() {
    // As given, as sent upstream, as judged.
    let table = [
        ("/", "/", "/"),
        ("/a/", "/a/", "/a/"),
        ("/ADMIN", "/ADMIN", "/ADMIN"),
        ("/%61dmin", "/admin", "/admin"),
        ("/%41%5a%7a%30%2d%5f%7e", "/AZz0-_~", "/AZz0-_~"),
        ("/a%2eb", "/a.b", "/a.b"),
        ("/%2e%2e%2e", "/...", "/..."),
        ("/.well-known/x", "/.well-known/x", "/.well-known/x"),
        ("/a..b/..c", "/a..b/..c", "/a..b/..c"),
        ("/%e4%bd%a0", "/%E4%BD%A0", "/你"),
        ("/%20x", "/%20x", "/ x"),
        ("/a%26b%3Dc", "/a%26b%3Dc", "/a&b=c"),
        ("/100%25", "/100%25", "/100%"),
        ("/%2541", "/%2541", "/%41"),
        ("/a%252fb", "/a%252fb", "/a%2fb"),
        (
            "/a\"{b}|^[]'!$&()*+,:@=",
            "/a\"{b}|^[]'!$&()*+,:@=",
            "/a\"{b}|^[]'!$&()*+,:@=",
        ),
        ("/%0a", "/%0A", "/\n"),
    ];
    for (given, upstream, judged) in table {
        let target = parse(given);
        assert_eq!(target.path(), upstream, "{given}");
        assert_eq!(target.as_str(), upstream, "{given}");
        assert_eq!(target.decoded_path(), judged, "{given}");
        assert_eq!(target.path_without_parameters(), None, "{given}");
    }
}

#[test]
fn the_query_goes_upstream_byte_for_byte() {
    let table = [
        ("/a", None),
        ("/a?", Some("")),
        ("/a?x=1", Some("x=1")),
        ("/a?x=%61&y=%zz&z=%", Some("x=%61&y=%zz&z=%")),
        (
            "/a?to=/../x//y&u=%2e%2E%2f",
            Some("to=/../x//y&u=%2e%2E%2f"),
        ),
        ("/a??;.`{}|^", Some("?;.`{}|^")),
    ];
    for (text, query) in table {
        assert_eq!(parse(text).query(), query, "{text}");
        assert_eq!(parse(text).as_str(), text);
        assert_eq!(parse(text).decoded_path(), "/a");
    }
    assert_eq!(parse("/%61?x=%61").as_str(), "/a?x=%61");
}

#[test]
fn parameters_are_cut_for_the_second_reading() {
    let table = [
        ("/admin;x=1", "/admin;x=1", "/admin"),
        ("/a;x/b;y;z/c", "/a;x/b;y;z/c", "/a/b/c"),
        ("/admin%3bx", "/admin;x", "/admin"),
        ("/;jsessionid=1", "/;jsessionid=1", "/"),
        ("/a/;x", "/a/;x", "/a/"),
        ("/a;", "/a;", "/a"),
        ("/%61;%e4%bd%a0", "/a;你", "/a"),
    ];
    for (text, kept, cut) in table {
        assert_eq!(parse(text).decoded_path(), kept, "{text}");
        assert_eq!(parse(text).path_without_parameters(), Some(cut), "{text}");
    }
}

#[test]
fn encoded_separators_are_remembered_for_the_route() {
    let none = EncodedSeparators::default();
    let table = [
        ("/a", none),
        ("/a?%2f", none),
        ("/a%252f", none),
        ("/a%2fb", none.with(EncodedSeparator::Slash)),
        ("/a%2Fb", none.with(EncodedSeparator::Slash)),
        ("/a%5cb", none.with(EncodedSeparator::Backslash)),
        ("/a%00", none.with(EncodedSeparator::Nul)),
        ("/a%23", none.with(EncodedSeparator::Hash)),
        (
            "/admin%3f/public",
            none.with(EncodedSeparator::QuestionMark),
        ),
        (
            "/%3f%23",
            none.with(EncodedSeparator::QuestionMark)
                .with(EncodedSeparator::Hash),
        ),
    ];
    for (text, separators) in table {
        assert_eq!(parse(text).encoded_separators(), separators, "{text}");
    }
    assert_eq!(parse("/a%2fb").path(), "/a%2Fb");
    assert_eq!(parse("/a%2fb").decoded_path(), "/a/b");
    assert!(!parse("/a%2fb").encoded_separators().within(none));
    let two = none
        .with(EncodedSeparator::Slash)
        .with(EncodedSeparator::Nul);
    assert!(parse("/a%2fb").encoded_separators().within(two));
    assert!(!parse("/a%5cb").encoded_separators().within(two));
}

#[test]
fn our_own_endpoints_are_known_in_every_spelling() {
    for below in [
        "/_wxgate",
        "/_wxgate/",
        "/_wxgate/me",
        "/%5fwxgate/me",
        "/_wxgate;x/me",
        "/_wxgate;x",
        "/_wxgate%2fme",
    ] {
        assert!(parse(below).is_below("/_wxgate"), "{below}");
    }
    for beside in ["/", "/_wxgatex", "/x/_wxgate", "/_WXGATE/me", "/a?/_wxgate"] {
        assert!(!parse(beside).is_below("/_wxgate"), "{beside}");
    }
}

#[test]
fn a_plain_target_shares_the_memory_of_the_request() {
    let given = PathAndQuery::from_static("/orders/17?x=1");

    let target = Target::from_path_and_query(&given).unwrap();

    assert_eq!(target.as_str().as_ptr(), given.as_str().as_ptr());
    assert_eq!(
        target.as_path_and_query().as_str().as_ptr(),
        given.as_str().as_ptr()
    );
    assert_eq!(target, parse("/orders/17?x=1"));
}

#[test]
fn debug_output_hides_the_query() {
    let shown = format!("{:?}", parse("/callback?code=0a1b2c&state=s3cret"));
    assert!(shown.contains("/callback"));
    assert!(!shown.contains("0a1b2c") && !shown.contains("s3cret"));
}

#[test]
fn deeply_nested_escapes_take_linear_time() {
    // One pass per level would be 16,000 passes over 48 KiB here.
    let text = format!("/{}2e", "%".to_owned() + &"25".repeat(24_000));
    assert_eq!(Target::parse(&text), Err(Refusal::DotSegment));
}

/// Text made of the pieces that attacks are made of.
fn tricky() -> impl Strategy<Value = String> {
    let pieces = [
        "/",
        "/",
        "/",
        ".",
        "..",
        "%2e",
        "%2E",
        "%252e",
        "%25",
        "25",
        "2e",
        "2f",
        "%2f",
        "%5c",
        "\\",
        ";",
        "%3b",
        "x",
        "admin",
        "%61",
        "%e4%bd%a0",
        "%c0%af",
        "%",
        "?",
        "#",
        "%00",
        "%23",
        "%3f",
        "@",
        ":",
        "http:",
        "https://",
        "www.example.com",
        "evil.example",
        "\t",
        "\n",
        " ",
        "&",
        "你",
        "//",
        "[::1]",
        "%09",
        "。",
    ];
    let piece = prop_oneof![
        9 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    let start = prop_oneof![4 => Just("/"), 1 => Just("")];
    (start, prop::collection::vec(piece, 0..12))
        .prop_map(|(start, pieces)| start.to_owned() + &pieces.concat())
}

/// One round of decoding, as a careless program does it: what is no escape stays.
fn decode_carelessly(bytes: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(bytes).collect()
}

fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|byte| matches!(byte, b'/' | b'\\'))
        .map(|segment| segment.split(|byte| *byte == b';').next().unwrap())
        .any(|name| name == b"." || name == b"..")
}

proptest! {
    #[test]
    fn parsing_never_panics(text in any::<String>()) {
        let _ = Target::parse(&text);
        let _ = return_address(&text, |_| true);
    }

    #[test]
    fn parsing_twice_is_parsing_once(text in tricky()) {
        if let Ok(target) = Target::parse(&text) {
            prop_assert_eq!(Target::parse(target.as_str()), Ok(target));
        }
    }

    #[test]
    fn both_ways_to_parse_agree(text in tricky()) {
        // The `http` crate drops fragments; everything else it accepts must give the same.
        if let (Ok(given), false) = (PathAndQuery::try_from(text.as_str()), text.contains('#')) {
            prop_assert_eq!(Target::from_path_and_query(&given), Target::parse(&text));
        }
    }

    #[test]
    fn no_accepted_path_has_a_dot_segment_however_often_it_is_decoded(text in tricky()) {
        if let Ok(target) = Target::parse(&text) {
            let mut path = target.path().as_bytes().to_vec();
            loop {
                prop_assert!(!has_dot_segment(&path), "{:?}", path);
                let next = decode_carelessly(&path);
                if next == path {
                    break;
                }
                path = next;
            }
            prop_assert!(!target.path().contains("//"));
            if let Some(cut) = target.path_without_parameters() {
                prop_assert!(!cut.contains(';'));
                prop_assert!(!has_dot_segment(cut.as_bytes()));
            }
        }
    }

    #[test]
    fn what_is_judged_is_what_is_sent(text in tricky()) {
        if let Ok(target) = Target::parse(&text) {
            let sent = decode_carelessly(target.path().as_bytes());
            let judged = target.decoded_path();
            prop_assert_eq!(judged.as_bytes(), &sent[..]);
            prop_assert_eq!(decode_carelessly(text.split('?').next().unwrap().as_bytes()), sent);
            prop_assert_eq!(text.split_once('?').map(|(_, query)| query), target.query());
        }
    }

    #[test]
    fn a_return_address_resolves_to_us(text in tricky()) {
        assert_kept_only_when_ours(&text);
    }

    #[test]
    fn a_return_address_with_any_authority_resolves_to_us(
        scheme in "(?i)(https?|ftp|javascript|data)?:?[/\\\\]{0,4}",
        authority in r"[a-z@:.%\\\[\]A-Z0-9_-]{0,12}(www\.example\.com)?[a-z@:.%0-9]{0,6}",
        path in r"([/\\?#][a-z.%/@]{0,8})?",
    ) {
        assert_kept_only_when_ours(&format!("{scheme}{authority}{path}"));
    }
}

fn is_ours(host: &str) -> bool {
    matches!(host, "www.example.com" | "m.example.com:8443")
}

/// Asks a WHATWG parser where a browser would go from one of our pages.
fn assert_kept_only_when_ours(text: &str) {
    let Some((host, path)) = return_address(text, is_ours) else {
        return;
    };
    let base = url::Url::parse("https://www.example.com/").unwrap();
    let there = base
        .join(text)
        .unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let authority = match there.port() {
        None => there.host_str().unwrap().to_owned(),
        Some(port) => format!("{}:{port}", there.host_str().unwrap()),
    };
    assert!(is_ours(&authority), "{text:?} goes to {there}");
    assert!(
        matches!(there.scheme(), "http" | "https"),
        "{text:?} goes to {there}"
    );
    assert!(
        there.username().is_empty() && there.password().is_none(),
        "{text:?}"
    );

    // And so does what we kept, however it is written into `Location`.
    let kept = base.join(&path).unwrap();
    assert_eq!(
        kept.host_str(),
        Some("www.example.com"),
        "{text:?} kept as {path:?}"
    );
    assert!(path.starts_with('/') && !path.starts_with("//"), "{path:?}");
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{path:?}");
    if let Some(host) = host {
        assert_eq!(there.host_str(), Some(host.as_str()), "{text:?}");
    }
    assert_eq!(Target::parse(&path).unwrap().as_str(), path);
}

#[test]
fn return_addresses_of_ours_are_kept() {
    let table = [
        ("/", None, "/"),
        ("/orders?id=1&x=%zz", None, "/orders?id=1&x=%zz"),
        ("/orders#part", None, "/orders"),
        ("  /orders\n", None, "/orders"),
        ("/or\tders", None, "/orders"),
        ("/a\\b", None, "/a/b"),
        ("/%61", None, "/a"),
        (
            "/商品?名=你 好",
            None,
            "/%E5%95%86%E5%93%81?%E5%90%8D=%E4%BD%A0%20%E5%A5%BD",
        ),
        (
            "https://www.example.com/a?b",
            Some("www.example.com"),
            "/a?b",
        ),
        ("HTTPS://WWW.Example.COM", Some("www.example.com"), "/"),
        ("http://www.example.com?x", Some("www.example.com"), "/?x"),
        ("https://www.example.com#x", Some("www.example.com"), "/"),
        (
            "https://www.example.com:443/a",
            Some("www.example.com"),
            "/a",
        ),
        ("http://www.example.com:80/a", Some("www.example.com"), "/a"),
        ("https://www.example.com:/a", Some("www.example.com"), "/a"),
        ("https://m.example.com:8443/a", Some("m.example.com"), "/a"),
        ("https://www.example.com\\a", Some("www.example.com"), "/a"),
        ("ht\ntps://www.example.com/a", Some("www.example.com"), "/a"),
    ];
    for (text, host, path) in table {
        let kept = return_address(text, is_ours);
        assert_eq!(
            kept,
            Some((host.map(str::to_owned), path.to_owned())),
            "{text:?}"
        );
        assert_kept_only_when_ours(text);
    }
}

/// Return addresses that lead elsewhere, or that nobody needs.
const NOT_OURS: &[&str] = &[
    "",
    " ",
    "#",
    "?",
    "orders",
    "./orders",
    "../orders",
    "?x=1",
    "https:",
    "https:/",
    "https://",
    "https:///",
    "http:evil.example",
    "https:www.example.com",
    "https:/www.example.com/",
    "https:///www.example.com/",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "javascript://www.example.com/%0aalert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://www.example.com/",
    "blob:https://www.example.com/x",
    "weixin://dl/business",
    "https://www.example.com.evil.example/",
    "https://evil.example/www.example.com",
    "https://www.example.com@evil.example/",
    "https://www.example.com:x@evil.example/",
    "https://user@www.example.com/",
    "https://@www.example.com/",
    "https://www.example.com%2eevil.example",
    "https://www.example.com%40evil.example",
    "https://www.example.com%00.evil.example",
    "https://www.example.com:8443/",
    "https://www.example.com:80/",
    "http://www.example.com:443/",
    "https://www.example.com:0/",
    "https://www.example.com:99999/",
    "https://www.example.com:+443/",
    "https://www.example.com:443x/",
    "https://www。example。com/",
    "https://www.example.com./",
    "https://xwww.example.com/",
    "https://wwwXexample.com/",
    "https://example.com/",
    "https://[::1]/",
    "https://[www.example.com]/",
    "https://[::1]www.example.com/",
    "https://m.example.com/",
    "https://ⓦww.example.com/",
    "https://www.example.com\u{ad}/",
    "/a/../b",
    "/a/%2e%2e/b",
    "/..;/x",
    "/a//b",
    "/\u{7f}",
    "/a\0b",
    "/x?a\\b",
];

#[test]
fn every_known_spelling_of_an_open_redirect_is_refused() {
    for text in NOT_OURS {
        assert_eq!(return_address(text, is_ours), None, "{text:?}");
    }
    // Whatever leads to `//host` in some browser, with everything in front of it that browsers throw away.
    let blanks = ["", " ", "\t", "\n", "\r", "\u{1}", "\u{0}\u{1f} "];
    let schemes = ["", "https:", "http:", "HTTPS:", "htt\tps:"];
    let slashes = [
        "//",
        "\\\\",
        "/\\",
        "\\/",
        "/\t/",
        "/\n/",
        "/\r\n\\",
        "///",
        "////",
        "\\\\\\",
        "//\t",
        "/ /",
        "/%2f",
        "/%5c",
        "/.//",
        "/;//",
        "/;x/",
        "//;@",
        "//www.example.com@",
        "//www.example.com:443@",
        "//www.example.com\\@",
        "/%09/",
    ];
    let mut tried = 0;
    for blank in blanks {
        for scheme in schemes {
            for slash in slashes {
                for host in [
                    "evil.example",
                    "evil.example/",
                    "evil.example?x",
                    "evil.example#www.example.com",
                    "0x7f.1",
                    "evil。example",
                ] {
                    let text = format!("{blank}{scheme}{slash}{host}");
                    assert_kept_only_when_ours(&text);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 4000);
}
