//! The simulator as its callers meet it: over HTTP, on loopback.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::server::{self, Body, Closed};
use super::*;

mod devices;
mod limits;
mod scenes;

const APP: &str = "wx0123456789abcdef";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const PHONE: &str =
    "Mozilla/5.0 (Linux; Android 14) Mobile Safari/537.36 MicroMessenger/8.0.50 Language/zh_CN";
const REDIRECT: &str = "https%3A%2F%2Fshop.example%2Fback%3Fx%3D1";

/// A simulator with one app, and a client that follows nothing.
struct Bench {
    simulator: Simulator,
    client: Client,
    clock: Clock,
}

impl Bench {
    async fn start() -> Self {
        let clock = Clock::adjustable();
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let simulator = Simulator::start_with(address, clock.clone()).await.unwrap();
        simulator.add_app(APP, SECRET, &["shop.example"]);
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            simulator,
            client,
            clock,
        }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = self.client.get(format!("{}{path}", self.simulator.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn authorize(&self, query: &str, headers: &[(&str, &str)]) -> Response {
        let mut all = vec![("user-agent", PHONE)];
        all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        all.extend(headers);
        self.get(&format!("/connect/oauth2/authorize?{query}"), &all)
            .await
    }

    /// A fresh code for a person.
    async fn code(&self, person: &str, scope: &str) -> String {
        let headers = [("x-sim-person", person), ("x-sim-consent", "allow")];
        let answer = self.authorize(&query(scope), &headers).await;
        parameter(&location(&answer), "code").unwrap()
    }

    async fn call(&self, path_and_query: &str) -> Value {
        let answer = self.get(path_and_query, &[]).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/plain");
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn exchange(&self, code: &str) -> Value {
        self.call(&exchange_path(APP, SECRET, code)).await
    }

    async fn user_info(&self, token: &Value) -> Value {
        let (token, openid) = (token["access_token"].as_str(), token["openid"].as_str());
        self.call(&format!(
            "/sns/userinfo?access_token={}&openid={}&lang=zh_CN",
            token.unwrap(),
            openid.unwrap()
        ))
        .await
    }
}

fn exchange_path(appid: &str, secret: &str, code: &str) -> String {
    format!(
        "/sns/oauth2/access_token?appid={appid}&secret={secret}&code={code}&grant_type=authorization_code"
    )
}

fn query(scope: &str) -> String {
    format!(
        "appid={APP}&redirect_uri={REDIRECT}&response_type=code&scope={scope}&state=abc123&connect_redirect=1"
    )
}

fn location(answer: &Response) -> String {
    answer.headers()["location"].to_str().unwrap().to_owned()
}

fn page(answer: &Response) -> &str {
    answer.headers()["x-sim-page"].to_str().unwrap()
}

fn parameter(address: &str, name: &str) -> Option<String> {
    let (_, query) = address.split_once('?')?;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(known, _)| *known == name);
    found.next().map(|(_, value)| value.to_owned())
}

#[tokio::test]
async fn base_scope_leads_straight_back_with_code_and_state() {
    let bench = Bench::start().await;

    let answer = bench.authorize(&query("snsapi_base"), &[]).await;

    assert_eq!(answer.status(), StatusCode::FOUND);
    let location = location(&answer);
    let code = parameter(&location, "code").unwrap();
    assert_eq!(
        location,
        format!("https://shop.example/back?x=1&code={code}&state=abc123")
    );
    assert_eq!(bench.simulator.authorizations(), 1);
    assert_eq!(bench.simulator.logins(), 0);
}

#[tokio::test]
async fn authorize_page_is_as_strict_as_the_desktop_client() {
    let bench = Bench::start().await;
    let simulator = &bench.simulator;
    simulator.add_app_of_kind(AppKind::Website, "wxsite", SECRET, &[]);
    simulator.add_app_of_kind(AppKind::SubscriptionAccount, "wxsub", SECRET, &[]);
    let good = query("snsapi_base");
    let with = |from: &str, to: &str| good.replace(from, to);
    let long = format!("state={}", "a".repeat(129));
    let longest = format!("state={}", "a".repeat(128));
    let cases = [
        (good.clone(), "back"),
        (with("&connect_redirect=1", ""), "back"),
        (with("state=abc123", &longest), "back"),
        (with("state=abc123", &long), "long-state"),
        (with("state=abc123", "state=a-b"), "error-10013"),
        (with("state=abc123", "state="), "error-10013"),
        (with("&state=abc123", ""), "blank"),
        (
            with(
                "scope=snsapi_base&state=abc123",
                "state=abc123&scope=snsapi_base",
            ),
            "blank",
        ),
        (
            format!("response_type=code&{}", with("&response_type=code", "")),
            "blank",
        ),
        (with("response_type=code", "response_type=token"), "blank"),
        (format!("{good}&lang=en"), "blank"),
        (format!("{good}&state=again"), "blank"),
        (with(REDIRECT, "https://shop.example/back?x=1&y=2"), "blank"),
        (String::new(), "blank"),
        (with(APP, ""), "error-10012"),
        (with(APP, "wxunknown"), "error-10013"),
        (with(APP, "wxsite"), "error-10016"),
        (with(APP, "wxsub"), "error-10005"),
        (with(REDIRECT, ""), "error-10011"),
        (
            with(REDIRECT, "https%3A%2F%2Fevil.example%2F"),
            "error-10003",
        ),
        (
            with(REDIRECT, "https%3A%2F%2Fshop.example.evil.example%2F"),
            "error-10003",
        ),
        (with(REDIRECT, "shop.example%2Fback"), "error-10003"),
        (with(REDIRECT, "javascript%3Aalert(1)"), "error-10003"),
        (with("snsapi_base", ""), "error-10010"),
        (with("snsapi_base", "snsapi_login"), "error-10005"),
    ];
    for (query, expected) in cases {
        let answer = bench.authorize(&query, &[]).await;
        assert_eq!(page(&answer), expected, "{query}");
        assert_eq!(
            answer.status() == StatusCode::FOUND,
            expected == "back",
            "{query}"
        );
        let is_empty = answer.text().await.unwrap().is_empty();
        assert_eq!(is_empty, matches!(expected, "blank" | "back"), "{query}");
    }
}

#[tokio::test]
async fn only_wechats_own_browser_may_authorize_and_never_in_a_frame() {
    let bench = Bench::start().await;
    let cases = [
        (
            &[("user-agent", "Mozilla/5.0 Chrome/126 Safari/537.36")][..],
            "wrong-client",
        ),
        (
            &[("user-agent", "wxwork/4.1.39 MicroMessenger/7.0.1")],
            "wrong-client",
        ),
        (&[("sec-fetch-dest", "iframe")], "blank"),
        (&[("sec-fetch-dest", "document")], "back"),
        (&[("x-sim-person", "nobody")], "error-10004"),
    ];
    for (headers, expected) in cases {
        let answer = bench.authorize(&query("snsapi_base"), headers).await;
        assert_eq!(page(&answer), expected, "{headers:?}");
    }
}

#[tokio::test]
async fn callback_address_keeps_query_and_gets_a_slash_after_a_bare_host() {
    let bench = Bench::start().await;
    bench.simulator.add_app("wxany", SECRET, &[]);
    for (redirect_uri, expected) in [
        ("https://a.example", "https://a.example/?code=C&state=s"),
        (
            "https://a.example?x=1",
            "https://a.example/?x=1&code=C&state=s",
        ),
        (
            "http://127.0.0.1:1/cb",
            "http://127.0.0.1:1/cb?code=C&state=s",
        ),
        (
            "https://a.example/cb#/r",
            "https://a.example/cb?code=C&state=s#/r",
        ),
    ] {
        let encoded: String =
            url::form_urlencoded::byte_serialize(redirect_uri.as_bytes()).collect();
        let query = format!(
            "appid=wxany&redirect_uri={encoded}&response_type=code&scope=snsapi_base&state=s"
        );
        let location = location(&bench.authorize(&query, &[]).await);
        let code = parameter(&location, "code").unwrap();
        assert_eq!(location.replace(&code, "C"), expected);
    }
}

#[tokio::test]
async fn consent_sheet_is_answered_once_by_its_own_form() {
    let bench = Bench::start().await;
    let sheet = bench.authorize(&query("snsapi_userinfo"), &[]).await;
    assert_eq!(page(&sheet), "consent");
    let html = sheet.text().await.unwrap();
    assert!(html.contains("爱丽丝") && html.contains("shop.example") && html.contains("SIMULATED"));
    let id = html.split("name=\"sheet\" value=\"").nth(1).unwrap();
    let id = id.split('"').next().unwrap();
    let press = async |answer: &str| {
        let form = format!("sheet={id}&answer={answer}");
        let request = bench
            .client
            .post(format!("{}/connect/oauth2/confirm", bench.simulator.url()));
        request.body(form).send().await.unwrap()
    };

    let allowed = press("allow").await;
    assert_eq!(allowed.status(), StatusCode::SEE_OTHER);
    let code = parameter(&location(&allowed), "code").unwrap();
    assert_eq!(bench.exchange(&code).await["scope"], "snsapi_userinfo");

    assert_eq!(page(&press("allow").await), "sheet-gone");
}

#[tokio::test]
async fn refusal_comes_back_with_state_and_without_code() {
    let bench = Bench::start().await;
    let refused = "https://shop.example/back?x=1&state=abc123";

    let headers = [("x-sim-consent", "refuse")];
    let answer = bench.authorize(&query("snsapi_userinfo"), &headers).await;
    assert_eq!(location(&answer), refused);

    bench
        .simulator
        .faults()
        .change(|switches| switches.refuse = true);
    let answer = bench.authorize(&query("snsapi_base"), &[]).await;
    assert_eq!(location(&answer), refused);
}

#[tokio::test]
async fn consent_is_remembered_only_when_switched_on() {
    let bench = Bench::start().await;
    bench.code("alice", "snsapi_userinfo").await;

    let asked = bench.authorize(&query("snsapi_userinfo"), &[]).await;
    assert_eq!(page(&asked), "consent");

    bench
        .simulator
        .faults()
        .change(|switches| switches.remember_consent = true);
    let silent = bench.authorize(&query("snsapi_userinfo"), &[]).await;
    assert_eq!(page(&silent), "back");
    let cookie = [("cookie", "a=1; sim_person=bob")];
    let other = bench.authorize(&query("snsapi_userinfo"), &cookie).await;
    assert_eq!(page(&other), "consent");
}

#[tokio::test]
async fn base_login_tells_the_openid_and_no_more() {
    let bench = Bench::start().await;
    let code = bench.code("bob", "snsapi_base").await;

    let token = bench.exchange(&code).await;

    let bob = bench.simulator.person("bob").unwrap();
    assert_eq!(token["openid"], bob.openid(APP));
    assert_eq!(token["expires_in"], 7200);
    assert_eq!(token["scope"], "snsapi_base");
    assert_eq!(token.get("unionid"), None);
    assert_eq!(token.get("errcode"), None);
    assert_eq!(token.get("is_snapshotuser"), None);
    assert_eq!(bench.user_info(&token).await["errcode"], 48001);
    assert_eq!(bench.simulator.logins(), 1);
}

#[tokio::test]
async fn userinfo_login_tells_unionid_and_profile() {
    let bench = Bench::start().await;
    let alice = bench.simulator.person("alice").unwrap();
    let code = bench.code("alice", "snsapi_userinfo").await;

    let token = bench.exchange(&code).await;
    let info = bench.user_info(&token).await;

    assert_eq!(token["unionid"], alice.unionid());
    assert_eq!(info["unionid"], alice.unionid());
    assert_eq!(info["openid"], alice.openid(APP));
    assert_eq!(info["nickname"], "爱丽丝 🌸");
    assert_eq!(info["headimgurl"], alice.avatar());
    assert_eq!(info["sex"], 0);
    // Who granted the profile once is known to later base logins too.
    let code = bench.code("alice", "snsapi_base").await;
    assert_eq!(bench.exchange(&code).await["unionid"], alice.unionid());
}

#[tokio::test]
async fn addresses_in_answers_are_written_with_escaped_slashes() {
    let bench = Bench::start().await;
    let code = bench.code("alice", "snsapi_userinfo").await;
    let token = bench.exchange(&code).await;
    let path = format!(
        "/sns/userinfo?access_token={}&openid={}",
        token["access_token"].as_str().unwrap(),
        token["openid"].as_str().unwrap()
    );

    let text = bench.get(&path, &[]).await.text().await.unwrap();

    assert!(
        text.contains("http:\\/\\/thirdwx.qlogo.cn\\/mmopen"),
        "{text}"
    );
}

#[tokio::test]
async fn unionid_goes_missing_when_told() {
    let bench = Bench::start().await;
    bench.simulator.set_has_unionid(false);
    let code = bench.code("alice", "snsapi_userinfo").await;

    let token = bench.exchange(&code).await;

    assert_eq!(token.get("unionid"), None);
    assert_eq!(bench.user_info(&token).await.get("unionid"), None);
}

#[tokio::test]
async fn every_mistake_of_an_exchange_has_its_number() {
    let bench = Bench::start().await;
    bench.simulator.add_app("wxother", SECRET, &[]);
    let code = bench.code("alice", "snsapi_base").await;
    let path = "/sns/oauth2/access_token";
    let grant = "grant_type=authorization_code";
    let cases = [
        (path.to_owned(), 41002),
        (format!("{path}?appid=&secret=x&code=x&{grant}"), 41002),
        (format!("{path}?appid={APP}&code=x&{grant}"), 41004),
        (format!("{path}?appid={APP}&secret={SECRET}&{grant}"), 41008),
        (format!("{path}?appid={APP}&secret={SECRET}&code=x"), 40002),
        (exchange_path("wxunknown", SECRET, &code), 40013),
        (exchange_path(APP, "wrong", &code), 40125),
        (exchange_path(APP, SECRET, "unknown"), 40029),
        (exchange_path("wxother", SECRET, &code), 40029),
    ];
    for (path, expected) in cases {
        let answer = bench.call(&path).await;
        assert_eq!(answer["errcode"], expected, "{path}");
        assert!(answer["errmsg"].as_str().unwrap().contains("rid: "));
    }
    assert_eq!(bench.simulator.logins(), 0);

    bench.exchange(&code).await;
    assert_eq!(bench.exchange(&code).await["errcode"], 40163);
    assert_eq!(bench.simulator.logins(), 1);
}

#[tokio::test]
async fn a_post_is_refused() {
    let bench = Bench::start().await;
    let url = format!("{}/sns/oauth2/access_token", bench.simulator.url());
    let answer = bench.client.post(url).body("appid=x").send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["errcode"], 43001);
}

#[tokio::test]
async fn codes_and_tokens_expire() {
    let bench = Bench::start().await;
    let code = bench.code("alice", "snsapi_userinfo").await;
    let token = bench.exchange(&code).await;
    let late = bench.code("alice", "snsapi_base").await;
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);

    bench.clock.advance(minutes(6));
    assert_eq!(bench.exchange(&late).await["errcode"], 42003);

    bench.clock.advance(minutes(120));
    assert_eq!(bench.user_info(&token).await["errcode"], 42001);

    let refresh = format!(
        "/sns/oauth2/refresh_token?appid={APP}&grant_type=refresh_token&refresh_token={}",
        token["refresh_token"].as_str().unwrap()
    );
    let fresh = bench.call(&refresh).await;
    assert_ne!(fresh["access_token"], token["access_token"]);
    assert_eq!(bench.user_info(&fresh).await["openid"], token["openid"]);

    bench.clock.advance(minutes(31 * 24 * 60));
    assert_eq!(bench.call(&refresh).await["errcode"], 42002);
}

#[tokio::test]
async fn refresh_extends_a_token_that_still_works() {
    let bench = Bench::start().await;
    let code = bench.code("alice", "snsapi_userinfo").await;
    let token = bench.exchange(&code).await;
    let path = |appid: &str, kind: &str, token: &str| {
        format!("/sns/oauth2/refresh_token?appid={appid}&grant_type={kind}&refresh_token={token}")
    };
    let refresh = token["refresh_token"].as_str().unwrap();

    let same = bench.call(&path(APP, "refresh_token", refresh)).await;

    assert_eq!(same["access_token"], token["access_token"]);
    for (path, expected) in [
        (path("", "refresh_token", refresh), 41002),
        (path(APP, "refresh_token", ""), 41003),
        (path(APP, "wrong", refresh), 40002),
        (path("wxunknown", "refresh_token", refresh), 40013),
        (path(APP, "refresh_token", "unknown"), 40030),
    ] {
        assert_eq!(bench.call(&path).await["errcode"], expected, "{path}");
    }
}

#[tokio::test]
async fn a_token_speaks_for_its_own_openid_only() {
    let bench = Bench::start().await;
    let code = bench.code("alice", "snsapi_userinfo").await;
    let token = bench.exchange(&code).await;
    let bob = bench.simulator.person("bob").unwrap().openid(APP);
    let (word, alice) = (
        token["access_token"].as_str().unwrap(),
        token["openid"].as_str().unwrap(),
    );
    let cases = [
        (format!("access_token={word}&openid={alice}"), None),
        (format!("access_token={word}&openid={bob}"), Some(40003)),
        (format!("access_token=x&openid={alice}"), Some(40014)),
        (format!("openid={alice}"), Some(41001)),
        (format!("access_token={word}"), Some(41009)),
    ];
    for (query, refusal) in cases {
        let info = bench.call(&format!("/sns/userinfo?{query}")).await;
        assert_eq!(
            info.get("errcode").and_then(Value::as_i64),
            refusal,
            "{query}"
        );
        let check = bench.call(&format!("/sns/auth?{query}")).await;
        assert_eq!(check["errcode"], refusal.unwrap_or(0), "{query}");
    }
}

#[tokio::test]
async fn snapshot_pages_show_a_stranger() {
    let bench = Bench::start().await;
    bench
        .simulator
        .faults()
        .change(|switches| switches.snapshot = true);
    let alice = bench.simulator.person("alice").unwrap();

    let mut seen = Vec::new();
    for _ in 0..2 {
        let code = bench.code("alice", "snsapi_userinfo").await;
        let token = bench.exchange(&code).await;
        assert_eq!(token["is_snapshotuser"], 1);
        assert_ne!(token["unionid"], alice.unionid());
        assert_eq!(bench.user_info(&token).await["nickname"], "微信用户");
        seen.push(token["openid"].as_str().unwrap().to_owned());
    }

    assert_ne!(seen[0], alice.openid(APP));
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test]
async fn switches_change_what_the_api_says() {
    let well = Switches::default();
    let cases = [
        (
            Switches {
                wrong_secret: true,
                ..well
            },
            40125,
        ),
        (
            Switches {
                used_codes: true,
                ..well
            },
            40163,
        ),
        (
            Switches {
                expired_codes: true,
                ..well
            },
            42003,
        ),
    ];
    for (wanted, expected) in cases {
        let bench = Bench::start().await;
        bench
            .simulator
            .faults()
            .change(|switches| *switches = wanted);
        let code = bench.code("alice", "snsapi_base").await;
        assert_eq!(bench.exchange(&code).await["errcode"], expected);

        bench.simulator.faults().clear();
        let code = bench.code("alice", "snsapi_base").await;
        assert_eq!(bench.exchange(&code).await.get("errcode"), None);
    }
}

#[tokio::test]
async fn numbers_come_as_strings_when_told() {
    let bench = Bench::start().await;
    bench
        .simulator
        .faults()
        .change(|switches| switches.string_numbers = true);
    let code = bench.code("alice", "snsapi_userinfo").await;

    let token = bench.exchange(&code).await;

    assert_eq!(token["expires_in"], "7200");
    assert_eq!(bench.user_info(&token).await["sex"], "0");
}

#[tokio::test]
async fn a_domain_that_was_taken_away_is_refused() {
    let bench = Bench::start().await;
    bench
        .simulator
        .faults()
        .change(|switches| switches.wrong_domain = true);
    let answer = bench.authorize(&query("snsapi_base"), &[]).await;
    assert_eq!(page(&answer), "error-10003");
}

#[tokio::test]
async fn every_trouble_breaks_the_next_answer_and_only_that() {
    let bench = Bench::start().await;
    let faults = bench.simulator.faults();
    let url = format!(
        "{}{}",
        bench.simulator.url(),
        exchange_path(APP, SECRET, "x")
    );
    let whole = bench
        .call(&exchange_path(APP, SECRET, "x"))
        .await
        .to_string()
        .len();
    for trouble in [
        Trouble::Errcode(-1),
        Trouble::Down,
        Trouble::Status(503),
        Trouble::Garbage,
        Trouble::Html,
        Trouble::Redirect,
        Trouble::Truncated,
        Trouble::Cut,
        Trouble::Huge,
    ] {
        faults.next(Endpoint::Exchange, trouble);
        let answer = bench.client.get(&url).send().await;
        match trouble {
            Trouble::Down => {
                assert!(answer.is_err());
                continue;
            }
            Trouble::Status(status) => assert_eq!(answer.as_ref().unwrap().status(), status),
            Trouble::Redirect => assert_eq!(answer.as_ref().unwrap().status(), 302),
            _ => assert_eq!(answer.as_ref().unwrap().status(), 200, "{trouble:?}"),
        }
        let body = answer.unwrap().bytes().await;
        match trouble {
            Trouble::Cut => assert!(body.is_err()),
            Trouble::Huge => {
                let body = body.unwrap();
                assert!(body.len() > 10 * 1024 * 1024 && body.ends_with(b"{}"));
            }
            Trouble::Errcode(code) => {
                let value: Value = serde_json::from_slice(&body.unwrap()).unwrap();
                assert_eq!(value["errcode"], code);
            }
            Trouble::Truncated => assert!(body.unwrap().len() < whole),
            _ => assert!(
                serde_json::from_slice::<Value>(&body.unwrap()).is_err(),
                "{trouble:?}"
            ),
        }
        // Well again.
        let next = bench.call(&exchange_path(APP, SECRET, "x")).await;
        assert_eq!(next["errcode"], 40029, "{trouble:?}");
    }
}

#[tokio::test]
async fn an_endless_body_goes_on_for_as_long_as_somebody_reads() {
    let bench = Bench::start().await;
    bench
        .simulator
        .faults()
        .next(Endpoint::UserInfo, Trouble::Endless);

    let mut answer = bench.get("/sns/userinfo", &[]).await;

    let mut read = 0;
    while read < 12 * 1024 * 1024 {
        read += answer.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn a_delayed_answer_is_the_right_one() {
    let bench = Bench::start().await;
    let code = bench.code("alice", "snsapi_base").await;
    let delay = Duration::from_millis(150);
    bench
        .simulator
        .faults()
        .next(Endpoint::Exchange, Trouble::Delay(delay));

    let started = Instant::now();
    let token = bench.exchange(&code).await;

    assert!(started.elapsed() >= delay);
    assert_eq!(token["scope"], "snsapi_base");
}

#[tokio::test]
async fn a_nickname_in_gbk_is_no_utf8() {
    let bench = Bench::start().await;
    let code = bench.code("alice", "snsapi_userinfo").await;
    let token = bench.exchange(&code).await;
    bench
        .simulator
        .faults()
        .next(Endpoint::UserInfo, Trouble::Gbk);

    let path = format!(
        "/sns/userinfo?access_token={}&openid={}",
        token["access_token"].as_str().unwrap(),
        token["openid"].as_str().unwrap()
    );
    let body = bench.get(&path, &[]).await.bytes().await.unwrap();

    assert!(std::str::from_utf8(&body).is_err());
    let gbk = b"\"nickname\":\"\xb0\xae\xc0\xf6\xcb\xbf\"";
    assert!(body.windows(gbk.len()).any(|window| window == gbk));
}

#[tokio::test]
async fn the_second_callback_has_the_same_state_and_another_code() {
    let bench = Bench::start().await;
    assert_eq!(bench.simulator.double_callback(), None);
    let first = location(&bench.authorize(&query("snsapi_base"), &[]).await);

    let second = bench.simulator.double_callback().unwrap();

    let code = |address: &str| parameter(address, "code").unwrap();
    assert_ne!(code(&first), code(&second));
    assert_eq!(
        first.replace(&code(&first), ""),
        second.replace(&code(&second), "")
    );
    for address in [first, second] {
        assert_eq!(
            bench.exchange(&code(&address)).await["scope"],
            "snsapi_base"
        );
    }
}

#[tokio::test]
async fn calls_are_remembered_with_names_in_order_and_without_values() {
    let bench = Bench::start().await;
    bench.exchange("some-code").await;

    let calls = bench.simulator.calls();

    let expected = Call {
        method: "GET".to_owned(),
        path: "/sns/oauth2/access_token".to_owned(),
        parameters: ["appid", "secret", "code", "grant_type"]
            .map(str::to_owned)
            .to_vec(),
        has_secret: true,
    };
    assert_eq!(calls, [expected]);
    let state = bench.get("/sim/state", &[]).await.text().await.unwrap();
    assert!(!state.contains(SECRET) && !state.contains("some-code"));
}

#[tokio::test]
async fn faults_are_set_over_http_but_not_by_a_form_of_another_site() {
    let bench = Bench::start().await;
    let post = async |content_type: &str, body: &str| {
        let request = bench
            .client
            .post(format!("{}/sim/faults", bench.simulator.url()));
        let request = request
            .header("content-type", content_type)
            .body(body.to_owned());
        request.send().await.unwrap().status()
    };
    let script = r#"{"clear":true,"switches":{"refuse":true}}"#;

    for foreign in ["text/plain", "application/x-www-form-urlencoded"] {
        assert_eq!(
            post(foreign, script).await,
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        );
    }
    assert!(!bench.simulator.faults().active().switches.refuse);
    assert_eq!(post("application/json", "{").await, StatusCode::BAD_REQUEST);
    assert_eq!(post("application/json", script).await, StatusCode::OK);
    assert!(bench.simulator.faults().active().switches.refuse);
}

#[tokio::test]
async fn a_foreign_name_for_this_machine_gets_nothing() {
    let bench = Bench::start().await;
    for path in [
        "/phone",
        "/sim/state",
        "/sns/auth",
        "/connect/oauth2/authorize",
    ] {
        let answer = bench.get(path, &[("host", "evil.example")]).await;
        assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn other_addresses_than_loopback_are_refused() {
    let error = Simulator::start("0.0.0.0:0".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let options = Options {
        site: Some("http://192.0.2.1/".to_owned()),
        ..Options::default()
    };
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    let error = Simulator::start_with_options(address, options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn dropping_the_simulator_frees_its_port() {
    let bench = Bench::start().await;
    let address = bench.simulator.address();
    bench.exchange("x").await;

    drop(bench.simulator);

    // The tasks end at their next turn.
    let mut tries = 0;
    while std::net::TcpStream::connect(address).is_ok() && tries < 1000 {
        tokio::task::yield_now().await;
        tries += 1;
    }
    assert!(std::net::TcpStream::connect(address).is_err());
}

/// A site that says what it was asked, and answers as its path wants.
async fn stub_site() -> (String, AbortOnDropHandle<()>) {
    let listener = server::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let own = origin.clone();
    let task = server::serve(listener, move |request: Request<Incoming>| {
        let own = own.clone();
        async move { Ok::<_, Closed>(stub_answer(&own, request).await) }
    });
    (origin, task)
}

async fn stub_answer(own: &str, request: Request<Incoming>) -> http::Response<Body> {
    let (head, body) = request.into_parts();
    let html = |page: String| server::answer(StatusCode::OK, "text/html; charset=utf-8", page);
    match head.uri.path() {
        "/page" => {
            let mut answer = html(format!(
                "<!doctype html><a href=\"{own}/a?b=1\">{own}/a</a><form action='{own}/post'></form><a href=\"https://elsewhere.example/\">x</a>"
            ));
            let headers = answer.headers_mut();
            headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
            let policy = "default-src 'none'; script-src 'nonce-abc'; frame-ancestors 'none'; form-action 'self'";
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
            headers.append(
                "set-cookie",
                HeaderValue::from_static("seen=1; Path=/; HttpOnly"),
            );
            answer
        }
        "/framed" => {
            let wechat = head.uri.query().unwrap();
            let escaped = wechat.replace('/', "&#x2f;");
            let mut answer = html(format!(
                "<iframe src=\"{escaped}&#x2f;connect/qrconnect?x=1\" sandbox=\"allow-scripts\"></iframe>"
            ));
            let policy = format!("default-src 'none'; frame-src {wechat} 'self'");
            let policy = HeaderValue::from_str(&policy).unwrap();
            answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
            answer
        }
        "/away" => server::redirect(StatusCode::FOUND, "https://elsewhere.example/x"),
        "/home" => server::redirect(StatusCode::FOUND, &format!("{own}/page?y#z")),
        "/long" => html("x".repeat(3 * 1024 * 1024)),
        _ => {
            let headers: Vec<(String, String)> = head
                .headers
                .iter()
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        value.to_str().unwrap_or_default().to_owned(),
                    )
                })
                .collect();
            let body = server::read_form(body).await.unwrap();
            let body = String::from_utf8_lossy(&body).into_owned();
            let target = head.uri.to_string();
            let seen = json!({ "method": head.method.as_str(), "target": target, "headers": headers, "body": body });
            server::json(StatusCode::OK, &seen)
        }
    }
}

/// A phone that opens the stub site.
struct PhoneBench {
    simulator: Simulator,
    client: Client,
    site: String,
    _task: AbortOnDropHandle<()>,
}

impl PhoneBench {
    async fn start() -> Self {
        let (site, _task) = stub_site().await;
        let options = Options {
            site: Some(site.clone()),
            ..Options::default()
        };
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let simulator = Simulator::start_with_options(address, options)
            .await
            .unwrap();
        simulator.add_app(APP, SECRET, &[]);
        let client = Client::builder().redirect(Policy::none()).no_proxy();
        Self {
            simulator,
            client: client.build().unwrap(),
            site,
            _task,
        }
    }

    async fn open(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = self
            .client
            .get(format!("{}{path}", self.simulator.view_url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn press(&self, control: Value) -> Response {
        let request = self
            .client
            .post(format!("{}/phone/control", self.simulator.url()));
        request.json(&control).send().await.unwrap()
    }

    /// The headers that reached the site.
    async fn seen(&self, path: &str, headers: &[(&str, &str)]) -> HeaderMap {
        headers_of(&self.open(path, headers).await.json().await.unwrap())
    }

    fn authorize(&self) -> String {
        let callback = format!("{}/cb", self.site);
        let callback: String = url::form_urlencoded::byte_serialize(callback.as_bytes()).collect();
        format!(
            "/~wechat/connect/oauth2/authorize?appid={APP}&redirect_uri={callback}&response_type=code&scope=snsapi_base&state=s"
        )
    }
}

/// What the stub site was asked with.
fn headers_of(seen: &Value) -> HeaderMap {
    let pairs = seen["headers"].as_array().unwrap().iter();
    pairs
        .map(|pair| {
            let [name, value] = [0, 1].map(|at| pair[at].as_str().unwrap());
            let name: http::HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn the_site_sees_wechats_browser_in_its_own_window() {
    let bench = PhoneBench::start().await;
    let from_frame = [
        ("user-agent", "Mozilla/5.0 Chrome/140 Safari/537.36"),
        ("sec-ch-ua", "\"Chromium\""),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "iframe"),
        ("sec-fetch-site", "same-site"),
        ("cookie", "of-the-desktop=1"),
        ("accept-encoding", "gzip"),
        ("x-sim-person", "mallory"),
        ("x-sim-consent", "allow"),
    ];

    let seen = bench.seen("/any?x=1", &from_frame).await;

    let value = |name: &str| seen.get(name).map(|value| value.to_str().unwrap());
    assert!(
        value("user-agent")
            .unwrap()
            .contains("MicroMessenger/8.0.50")
    );
    assert_eq!(value("host"), bench.site.strip_prefix("http://"));
    assert_eq!(value("sec-fetch-dest"), Some("document"));
    assert_eq!(value("sec-fetch-site"), Some("none"));
    assert_eq!(value("x-requested-with"), Some("com.tencent.mm"));
    for absent in [
        "cookie",
        "accept-encoding",
        "sec-ch-ua",
        "x-sim-person",
        "x-sim-consent",
    ] {
        assert_eq!(value(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn referer_origin_and_fetch_site_tell_the_real_places() {
    let bench = PhoneBench::start().await;
    let view = bench.simulator.view_url();
    let wechat = bench.simulator.url();
    let cases = [
        (
            format!("{view}/a?b"),
            format!("{}/a?b", bench.site),
            "same-origin",
        ),
        (
            format!("{view}/~wechat/connect/x"),
            format!("{wechat}/connect/x"),
            "cross-site",
        ),
    ];
    for (referer, expected, site) in cases {
        let headers = [
            ("referer", referer.as_str()),
            ("origin", view.as_str()),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "same-origin"),
        ];
        let seen = bench.seen("/any", &headers).await;
        assert_eq!(seen["referer"], expected.as_str());
        assert_eq!(seen["sec-fetch-site"], site);
        assert!(expected.starts_with(seen["origin"].to_str().unwrap()));
    }
    let seen = bench
        .seen("/any", &[("referer", "http://evil.example/")])
        .await;
    assert_eq!(seen.get("referer"), None);
    let script = [
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-dest", "empty"),
        ("sec-fetch-site", "same-origin"),
    ];
    let seen = bench.seen("/any", &script).await;
    assert_eq!(
        (&seen["sec-fetch-dest"], &seen["sec-fetch-mode"]),
        (&"empty".parse().unwrap(), &"cors".parse().unwrap())
    );
}

#[tokio::test]
async fn pages_can_be_framed_and_their_addresses_stay_in_the_frame() {
    let bench = PhoneBench::start().await;
    let view = bench.simulator.view_url();

    let answer = bench.open("/page", &[]).await;

    let headers = answer.headers().clone();
    assert_eq!(headers.get("x-frame-options"), None);
    assert_eq!(headers.get("set-cookie"), None);
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(!policy.contains("frame-ancestors"), "{policy}");
    assert!(
        policy.contains("script-src 'nonce-abc' 'sha256-"),
        "{policy}"
    );
    assert!(policy.contains("form-action 'self'"), "{policy}");
    let page = answer.text().await.unwrap();
    assert!(
        page.contains(&format!("href=\"{view}/a?b=1\">{}/a</a>", bench.site)),
        "{page}"
    );
    assert!(page.contains(&format!("action='{view}/post'")), "{page}");
    assert!(page.contains("href=\"https://elsewhere.example/\""));
    assert!(page.trim_end().ends_with("</script>"));
}

#[tokio::test]
async fn redirects_stay_in_the_frame() {
    let bench = PhoneBench::start().await;
    let view = bench.simulator.view_url();

    assert_eq!(
        location(&bench.open("/home", &[]).await),
        format!("{view}/page?y#z")
    );
    let away = location(&bench.open("/away", &[]).await);
    assert!(
        away.starts_with(&format!("{view}/~phone/foreign?to=https")),
        "{away}"
    );
    let told = bench.open(away.strip_prefix(&view).unwrap(), &[]).await;
    assert!(
        told.text()
            .await
            .unwrap()
            .contains("https:&#x2f;&#x2f;elsewhere.example")
    );
}

#[tokio::test]
async fn authorize_addresses_lose_the_mark_that_only_the_client_needs() {
    let bench = PhoneBench::start().await;
    let view = bench.simulator.view_url();
    let address = format!(
        "{}/connect/oauth2/authorize?appid={APP}",
        bench.simulator.url()
    );
    let expected = format!("{view}/~wechat/connect/oauth2/authorize?appid={APP}");
    let places = places::Places {
        site: SiteOrigin::parse(&bench.site).unwrap(),
        wechat: SiteOrigin::parse(&bench.simulator.url()).unwrap(),
        view,
    };
    let marked = format!("{address}#wechat_redirect");
    assert_eq!(places.to_view(places::Side::Site, &marked), expected);
    let page = places.rewrite_page(
        places::Side::Site,
        format!("<a href=\"{marked}\">").as_bytes(),
    );
    assert_eq!(
        String::from_utf8(page).unwrap(),
        format!("<a href=\"{expected}\">")
    );
}

#[tokio::test]
async fn each_person_has_cookies_of_their_own() {
    let bench = PhoneBench::start().await;
    bench.open("/page", &[]).await;
    assert_eq!(bench.seen("/any", &[]).await["cookie"], "seen=1");

    bench.press(json!({ "person": "bob" })).await;
    assert_eq!(bench.seen("/any", &[]).await.get("cookie"), None);

    bench.press(json!({ "person": "alice" })).await;
    assert_eq!(bench.seen("/any", &[]).await["cookie"], "seen=1");
    bench.press(json!({ "forget": true })).await;
    assert_eq!(bench.seen("/any", &[]).await.get("cookie"), None);
}

#[tokio::test]
async fn the_phone_logs_in_and_can_repeat_its_callback() {
    let bench = PhoneBench::start().await;
    let view = bench.simulator.view_url();
    bench.press(json!({ "person": "bob" })).await;

    let back = location(&bench.open(&bench.authorize(), &[]).await);

    assert!(back.starts_with(&format!("{view}/cb?code=")), "{back}");
    let code = parameter(&back, "code").unwrap();
    let path = exchange_path(APP, SECRET, &code);
    let token = bench
        .client
        .get(format!("{}{path}", bench.simulator.url()))
        .send()
        .await
        .unwrap();
    let token: Value = serde_json::from_str(&token.text().await.unwrap()).unwrap();
    let bob = bench.simulator.person("bob").unwrap();
    assert_eq!(token["openid"], bob.openid(APP));
    let again = location(&bench.open("/~phone/replay", &[]).await);
    assert_eq!(format!("{view}{again}"), back);
}

#[tokio::test]
async fn bodies_reach_the_site() {
    let bench = PhoneBench::start().await;
    let request = bench
        .client
        .post(format!("{}/form?q=1", bench.simulator.view_url()));
    let body = "a=1&b=".to_owned() + &"x".repeat(20_000);

    let seen: Value = request
        .body(body.clone())
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();

    assert_eq!(seen["method"], "POST");
    assert_eq!(seen["target"], "/form?q=1");
    assert_eq!(seen["body"], body);
}

#[tokio::test]
async fn the_phone_opens_nothing_but_its_site_and_the_visitors_pages_of_wechat() {
    let bench = PhoneBench::start().await;
    for closed in [
        "/~wechat/sns/auth",
        "/~wechat/sim/state",
        "/~wechat/phone/state",
        "/~wechat",
        "/~other",
    ] {
        let answer = bench.open(closed, &[]).await;
        assert!(
            answer.text().await.unwrap().contains("no such page"),
            "{closed}"
        );
    }
    for site in [
        "http://127.0.0.1:1",
        "https://shop.example",
        "http://192.168.0.1/",
        "file:///etc",
    ] {
        let answer = bench.press(json!({ "site": site })).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{site}");
    }
    let foreign = bench.open("/any", &[("host", "evil.example")]).await;
    assert_eq!(foreign.status(), StatusCode::MISDIRECTED_REQUEST);
    let missing = bench.press(json!({ "person": "nobody" })).await;
    assert_eq!(missing.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_phone_without_a_site_opens_any_site_of_this_machine() {
    let (site, _task) = stub_site().await;
    let bench = Bench::start().await;
    let press = async |control: Value| {
        let request = bench
            .client
            .post(format!("{}/phone/control", bench.simulator.url()));
        request.json(&control).send().await.unwrap().status()
    };
    let view = bench.simulator.view_url();

    let nothing = bench
        .client
        .get(format!("{view}/any"))
        .send()
        .await
        .unwrap();
    assert!(nothing.text().await.unwrap().contains("on this machine"));
    assert_eq!(
        press(json!({ "site": "http://shop.example/" })).await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        press(json!({ "site": format!("{site}/x") })).await,
        StatusCode::OK
    );
    let answer = bench
        .client
        .get(format!("{view}/any"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["target"], "/any");
}

#[tokio::test]
async fn a_site_that_is_gone_or_a_page_too_long_is_said_on_the_phone() {
    let mut bench = PhoneBench::start().await;
    let long = bench.open("/long", &[]).await.text().await.unwrap();
    assert!(long.contains("longer than 2 MiB"), "{long}");

    let (_, other) = stub_site().await;
    drop(std::mem::replace(&mut bench._task, other));
    tokio::task::yield_now().await;
    let mut gone = String::new();
    for _ in 0..1000 {
        gone = bench.open("/any", &[]).await.text().await.unwrap();
        if gone.contains("cannot be opened") {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(gone.contains("cannot be opened"), "{gone}");
}

#[tokio::test]
async fn start_pages_lead_to_one_name_and_allow_only_the_phones_frame() {
    let bench = PhoneBench::start().await;
    let url = bench.simulator.url();
    let get = async |path: &str, host: Option<&str>| {
        let mut request = bench.client.get(format!("{url}{path}"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        request.send().await.unwrap()
    };

    assert_eq!(location(&get("/", None).await), format!("{url}/phone"));
    let port = bench.simulator.address().port();
    let other = get("/phone", Some(&format!("localhost:{port}"))).await;
    assert_eq!(location(&other), format!("{url}/phone"));
    let page = get("/phone", None).await;
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.contains(&format!(
            "frame-src {} {};",
            bench.simulator.view_url(),
            bench.simulator.computer_url()
        )),
        "{policy}"
    );
    assert!(page.text().await.unwrap().contains("SIMULATED"));
    for file in ["/phone/phone.js", "/phone/phone.css", "/phone/alone.js"] {
        assert!(
            !get(file, None).await.text().await.unwrap().is_empty(),
            "{file}"
        );
    }
    assert_eq!(
        get("/phone/else", None).await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        get("/demo/else", None).await.status(),
        StatusCode::NOT_FOUND
    );
}
