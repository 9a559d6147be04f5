//! The plain headers by which a site learns who the visitor is.

use http::Method;
use percent_encoding::percent_decode_str;
use wxgate::simulator::Person;

use crate::support::{APP_ID, Browser, IDENTITY, Seen, TestGateway};

const TOKEN: &str = IDENTITY[0];

/// What a client would send to be somebody else, in spellings that application servers read as one.
const FORGED: [(&str, &str); 8] = [
    ("x-wechat-openid", "oForged"),
    ("x_wechat_openid", "oForged"),
    ("X.Wechat.Subject", "forged"),
    ("x-wechat-anything-else", "forged"),
    ("x-wxgate-jwt-assertion", "forged"),
    ("x_wxgate_jwt_assertion", "forged"),
    ("x-wechat-nickname", "forged"),
    ("x-wechat-unionid", "forged"),
];

/// Each plain header in the order of [`IDENTITY`]; a missing or doubled one fails the test.
#[track_caller]
fn plain(seen: &Seen) -> [String; 7] {
    let [_, plain @ ..] = IDENTITY;
    plain.map(|name| {
        assert!(seen.headers.contains_key(name), "no {name}");
        seen.header(name).to_owned()
    })
}

#[track_caller]
fn assert_carries_no_identity(seen: &Seen) {
    for name in seen.headers.keys() {
        let name = name.as_str().replace(['_', '.'], "-");
        assert!(
            !name.starts_with("x-wechat-") && !name.starts_with("x-wxgate-"),
            "{name}"
        );
    }
    let values = seen.headers.values();
    for value in values {
        assert!(!value.to_str().unwrap().to_lowercase().contains("forged"));
    }
}

/// Logs in with profile, through the purpose page and its button.
async fn log_in_with_profile(browser: &mut Browser) {
    let purpose = browser.get("/member").await;
    browser.press_action(&purpose).await.assert_ok();
}

fn alice(gateway: &TestGateway) -> Person {
    gateway.simulator().person("alice").unwrap()
}

#[tokio::test]
async fn base_routes_get_every_header_and_unknown_facts_are_empty() {
    let gateway = TestGateway::start().await;
    gateway.simulator().set_has_unionid(false);
    let mut browser = gateway.browser_in_wechat("alice");

    browser.get("/orders").await.assert_ok();

    let openid = alice(&gateway).openid(APP_ID);
    let subject = format!("wechat:{APP_ID}:{openid}");
    let expected = [&openid, "", APP_ID, &subject, "snsapi_base", "", ""];
    assert_eq!(plain(&gateway.upstream().last()), expected);
    assert!(!gateway.upstream().last().header(TOKEN).is_empty());
}

#[tokio::test]
async fn userinfo_routes_get_the_profile_and_keep_it_for_other_routes() {
    let gateway = TestGateway::start().await;
    let mut browser = gateway.browser_in_wechat("alice");

    log_in_with_profile(&mut browser).await;

    let person = alice(&gateway);
    let openid = person.openid(APP_ID);
    let [
        seen_openid,
        unionid,
        appid,
        subject,
        scope,
        nickname,
        avatar,
    ] = plain(&gateway.upstream().last());
    assert_eq!((seen_openid, appid.as_str()), (openid.clone(), APP_ID));
    assert_eq!(unionid, person.unionid());
    assert_eq!(subject, format!("wechat:{APP_ID}:{openid}"));
    assert_eq!(scope, "snsapi_userinfo");
    assert_eq!(decoded(&nickname), person.nickname);
    assert!(avatar.ends_with("/132"), "{avatar}");
    let first = plain(&gateway.upstream().last());
    for path in ["/orders", "/maybe", "/member/2"] {
        browser.get(path).await.assert_ok();
        assert_eq!(plain(&gateway.upstream().last()), first, "{path}");
    }
}

fn decoded(value: &str) -> String {
    percent_decode_str(value)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

#[tokio::test]
async fn any_nickname_arrives_whole_and_in_one_header() {
    let gateway = TestGateway::start().await;
    for nickname in [
        "爱丽丝",
        "👨‍👩‍👧 \u{1f338}",
        "a\r\nX-Wechat-Openid: oForged\r\n\r\nGET /admin HTTP/1.1",
        "100% \"quoted\" <b>&amp;</b> a+b=c; d,e",
        "\u{202e}reversed\u{0}\u{7f}\u{85}",
        "%E7%88%B1",
        "",
    ] {
        let mut browser = gateway.browser_in_wechat("alice");
        gateway.simulator().set_nickname("alice", nickname);

        log_in_with_profile(&mut browser).await;

        let seen = gateway.upstream().last();
        let [.., value, _] = plain(&seen);
        assert_eq!(decoded(&value), nickname);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%-._~".contains(&byte);
        assert!(value.bytes().all(is_plain), "{value}");
        assert_eq!(
            seen.header("x-wechat-openid"),
            alice(&gateway).openid(APP_ID)
        );
    }
}

#[tokio::test]
async fn optional_routes_carry_identity_only_with_a_session() {
    let gateway = TestGateway::start().await;
    let mut browser = gateway.browser_in_wechat("alice");
    browser.send(Method::GET, "/maybe", &FORGED, "").await;
    assert_carries_no_identity(&gateway.upstream().last());

    browser.get("/orders").await.assert_ok();
    browser.send(Method::GET, "/maybe", &FORGED, "").await;

    let seen = gateway.upstream().last();
    assert_eq!(seen.target, "/maybe");
    assert_eq!(plain(&seen)[0], alice(&gateway).openid(APP_ID));
    assert!(!seen.headers.contains_key("x-wechat-anything-else"));
    assert!(!seen.headers.contains_key("x_wechat_openid"));
}

#[tokio::test]
async fn public_routes_carry_no_identity_even_with_a_session() {
    let gateway = TestGateway::start().await;
    let mut browser = gateway.browser_in_wechat("alice");
    browser.get("/orders").await.assert_ok();

    browser.send(Method::GET, "/open", &FORGED, "").await;

    let seen = gateway.upstream().last();
    assert_eq!(seen.target, "/open");
    assert_carries_no_identity(&seen);
    assert!(!seen.header("cookie").contains("wxgate"));
}

#[tokio::test]
async fn identity_is_gone_after_logout() {
    let gateway = TestGateway::start().await;
    let mut browser = gateway.browser_in_wechat("alice");
    browser.get("/orders").await.assert_ok();
    let cookie = browser.cookie("__Host-wxgate").unwrap().to_owned();
    let origin = [
        ("origin", gateway.public_url()),
        ("sec-fetch-site", "same-origin"),
    ];

    browser
        .send(Method::POST, "/_wxgate/logout", &origin, "")
        .await;
    browser.set_cookie("__Host-wxgate", &cookie);
    browser.get("/maybe").await.assert_ok();

    assert_carries_no_identity(&gateway.upstream().last());
}

#[tokio::test]
async fn plain_headers_can_be_switched_off_and_the_token_stays() {
    let gateway = TestGateway::with(|setup| {
        setup.sections = "[identity_headers]\nenabled = false".to_owned();
    })
    .await;
    let mut browser = gateway.browser_in_wechat("alice");
    browser.get("/orders").await.assert_ok();

    browser.send(Method::GET, "/orders", &FORGED, "").await;

    let seen = gateway.upstream().last();
    assert_eq!(seen.header(TOKEN).split('.').count(), 3);
    let [_, plain @ ..] = IDENTITY;
    for name in plain {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn presets_repeat_the_subject_under_names_that_applications_know() {
    for (preset, subjects, nicknames) in [
        (
            "remote-user",
            &["remote-user", "x-remote-user"][..],
            &[][..],
        ),
        (
            "x-forwarded-user",
            &["x-forwarded-user"],
            &["x-forwarded-preferred-username"],
        ),
        (
            "x-auth-request",
            &["x-auth-request-user"],
            &["x-auth-request-preferred-username"],
        ),
    ] {
        let gateway = TestGateway::with(|setup| {
            setup.sections = format!("[identity_headers]\npreset = \"{preset}\"");
        })
        .await;
        let mut browser = gateway.browser_in_wechat("alice");
        log_in_with_profile(&mut browser).await;
        let forged: Vec<(&str, &str)> = subjects.iter().map(|name| (*name, "forged")).collect();

        browser.send(Method::GET, "/orders", &forged, "").await;

        let seen = gateway.upstream().last();
        let [_, _, _, subject, _, nickname, _] = plain(&seen);
        for name in subjects {
            assert_eq!(seen.header(name), subject, "{preset}");
        }
        for name in nicknames {
            assert_eq!(seen.header(name), nickname, "{preset}");
        }
        // Nobody else may use the names where nobody is logged in.
        browser.send(Method::GET, "/open", &forged, "").await;
        assert_carries_no_identity(&gateway.upstream().last());
    }
}

#[tokio::test]
async fn headers_can_have_other_names_and_clients_cannot_use_those() {
    let gateway = TestGateway::with(|setup| {
        setup.sections =
            "[identity_headers]\nopenid = \"Member-Id\"\n[jwt]\nheader = \"Member-Proof\""
                .to_owned();
    })
    .await;
    let mut browser = gateway.browser_in_wechat("alice");
    browser.get("/orders").await.assert_ok();
    let forged = [
        ("member-id", "oForged"),
        ("member_id", "oForged"),
        ("Member.Proof", "forged"),
        ("x-wechat-openid", "oForged"),
    ];

    for path in ["/orders", "/open"] {
        browser.send(Method::GET, path, &forged, "").await;
        let seen = gateway.upstream().last();
        for name in ["member_id", "member.proof", "x-wechat-openid", TOKEN] {
            assert!(!seen.headers.contains_key(name), "{path} {name}");
        }
        let (id, proof) = (seen.header("member-id"), seen.header("member-proof"));
        let expected = if path == "/orders" {
            alice(&gateway).openid(APP_ID)
        } else {
            String::new()
        };
        assert_eq!(id, expected, "{path}");
        assert_eq!(proof.is_empty(), path == "/open");
    }
}
