//! Callbacks that somebody made up, stole or sent to the wrong place: no code is ever exchanged for them.

use std::time::Duration;

use http::Method;
use url::Url;

use crate::support::{APP_ID, Browser, Reply, TestGateway};

const SESSION: &str = "__Host-wxgate";
const ATTEMPTS: &str = "__Host-wxgate-login";
const OTHER_ID: &str = "wxfedcba9876543210";

/// With a second service account, so that codes and callbacks can be mixed up.
async fn gateway() -> TestGateway {
    let gateway = TestGateway::with(|setup| {
        setup.sections = format!(
            r#"
            [wechat.other]
            kind = "service-account"
            app_id = "{OTHER_ID}"
            secret = "00000000000000000000000000000001"

            [login]
            inside_wechat = "main"

            [rate_limit]
            login_start = "none"
            callback = "none"
            "#
        );
    })
    .await;
    let simulator = gateway.simulator();
    simulator.add_app(OTHER_ID, "00000000000000000000000000000001", &[]);
    gateway
}

/// A callback that waits to be loaded.
async fn callback_of(browser: &mut Browser) -> Url {
    browser.get_until("/orders", "/callback/").await.1
}

fn parameter(url: &Url, name: &str) -> String {
    let mut pairs = url.query_pairs();
    let (_, value) = pairs.find(|(key, _)| key == name).unwrap();
    value.into_owned()
}

#[track_caller]
fn assert_nothing_came_of_it(gateway: &TestGateway, reply: &Reply, what: &str) {
    assert_eq!(gateway.simulator().calls(), [], "{what}");
    assert!(reply.set_cookies(SESSION).is_empty(), "{what}");
    assert!(gateway.upstream().seen().is_empty(), "{what}");
}

#[tokio::test]
async fn callback_without_our_cookie_starts_again_and_exchanges_nothing() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let callback = callback_of(&mut alice).await;
    alice.clear_cookies();

    let reply = alice.get_once(callback.as_str()).await;

    assert_nothing_came_of_it(&gateway, &reply, "no cookie");
    assert_eq!(reply.reason(), "login-redirect");
    assert!(
        !reply
            .header("location")
            .contains(&parameter(&callback, "state"))
    );
}

#[tokio::test]
async fn nobody_is_logged_in_as_somebody_else() {
    let gateway = gateway().await;
    let mut victim = gateway.browser_in_wechat("victim");
    let mut attacker = gateway.browser_in_wechat("attacker");
    let of_victim = callback_of(&mut victim).await;
    let of_attacker = callback_of(&mut attacker).await;

    // Login forgery: the victim is made to open the attacker's callback. The reverse: a stolen callback.
    for (browser, callback) in [(&mut victim, &of_attacker), (&mut attacker, &of_victim)] {
        let reply = browser.clone().get_once(callback.as_str()).await;
        assert_nothing_came_of_it(&gateway, &reply, "another browser's callback");
        assert_eq!(reply.reason(), "login-redirect");
    }
    // One's code with the other's state.
    let state = parameter(&of_attacker, "state");
    let code = parameter(&of_victim, "code");
    let mixed = format!("/_wxgate/callback/main?code={code}&state={state}");
    let reply = victim.clone().get_once(&mixed).await;
    assert_nothing_came_of_it(&gateway, &reply, "mixed");

    // Who goes on comes out as whoever holds the phone.
    victim.get(of_attacker.as_str()).await.assert_ok();
    let openid = gateway.simulator().person("victim").unwrap().openid(APP_ID);
    assert_eq!(gateway.upstream().last().header("x-wechat-openid"), openid);
}

#[tokio::test]
async fn code_of_one_app_is_not_exchanged_at_the_callback_of_another() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let callback = callback_of(&mut alice).await;

    for (app, status, cause) in [
        ("other", 401, "WXG-LOGIN-STATE"),
        ("nobody", 404, "WXG-NOT-FOUND"),
        ("..%2fmain", 400, "WXG-BAD-REQUEST"),
        ("Main", 404, "WXG-NOT-FOUND"),
    ] {
        let address = callback.as_str().replace("/main?", &format!("/{app}?"));
        let reply = alice.clone().get_once(&address).await;
        assert_nothing_came_of_it(&gateway, &reply, app);
        assert_eq!(
            (reply.status.as_u16(), reply.cause()),
            (status, cause),
            "{app}"
        );
    }
}

#[tokio::test]
async fn callbacks_with_strange_parameters_exchange_nothing() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let callback = callback_of(&mut alice).await;
    let (code, state) = (parameter(&callback, "code"), parameter(&callback, "state"));
    let (long, endless) = ("a".repeat(513), "a".repeat(5000));
    let mut broken = state.clone();
    broken.replace_range(..1, if state.starts_with('a') { "b" } else { "a" });
    let cancelled = "WXG-LOGIN-CANCELLED";
    let lost = "WXG-LOGIN-STATE";
    let table = [
        (String::new(), cancelled),
        (format!("state={state}"), cancelled),
        (format!("code=&state={state}"), cancelled),
        // What some clients send for a refusal.
        (format!("code=authdeny&state={state}"), cancelled),
        (format!("code={code}&code={code}&state={state}"), cancelled),
        (format!("code={code}&code=x&state={state}"), cancelled),
        (format!("code=x&state={state}&code={code}"), cancelled),
        (format!("code={long}&state={state}"), cancelled),
        (format!("code={endless}&state={state}"), cancelled),
        (format!("code={code}%00&state={state}"), cancelled),
        (format!("code={code}%26appid=x&state={state}"), cancelled),
        (format!("code={code}/../x&state={state}"), cancelled),
        (format!("code={code}+&state={state}"), cancelled),
        (format!("CODE={code}&state={state}"), cancelled),
        (format!("code[]={code}&state={state}"), cancelled),
        (format!("code={code}"), lost),
        (format!("code={code}&state="), lost),
        (format!("code={code}&state={state}&state={state}"), lost),
        (format!("code={code}&state={state}&state=x"), lost),
        (format!("code={code}&state={state}x"), lost),
        (format!("code={code}&state={endless}"), lost),
        (format!("code={code}&state={state}%0a"), lost),
        (format!("code={code};state={state}"), cancelled),
    ];
    for (query, cause) in table {
        let reply = alice
            .clone()
            .get_once(&format!("/_wxgate/callback/main?{query}"))
            .await;
        assert_nothing_came_of_it(&gateway, &reply, &query);
        assert_eq!(
            (reply.status.as_u16(), reply.cause()),
            (401, cause),
            "{query}"
        );
        assert!(!reply.text().contains(&code), "{query}");
    }
    // A state that is of our form and that this browser does not have.
    let query = format!("code={code}&state={broken}");
    let reply = alice
        .clone()
        .get_once(&format!("/_wxgate/callback/main?{query}"))
        .await;
    assert_nothing_came_of_it(&gateway, &reply, &query);
    assert_eq!(reply.reason(), "login-redirect");

    // None of it took anything from the real one.
    alice.get(callback.as_str()).await.assert_ok();
}

#[tokio::test]
async fn callback_that_nobody_looks_at_does_nothing() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let callback = callback_of(&mut alice).await;

    let page = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];
    let purpose = [("accept", "text/html"), ("purpose", "prefetch")];
    let sec_purpose = [
        ("sec-fetch-mode", "navigate"),
        ("sec-purpose", "prefetch;prerender"),
    ];
    for (method, headers) in [
        (Method::HEAD, page),
        (Method::GET, purpose),
        (Method::GET, sec_purpose),
        (Method::POST, page),
        (Method::PUT, page),
        (Method::DELETE, page),
        (Method::OPTIONS, page),
    ] {
        let reply = alice
            .send(method.clone(), callback.as_str(), &headers, "")
            .await;
        assert_nothing_came_of_it(&gateway, &reply, method.as_str());
        assert!(!reply.status.is_redirection(), "{method}");
        assert_ne!(reply.status, 200, "{method}");
    }

    alice.get(callback.as_str()).await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 1);
}

#[tokio::test]
async fn changed_attempts_cookie_is_no_cookie() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let callback = callback_of(&mut alice).await;
    let sound = alice.cookie(ATTEMPTS).unwrap().to_owned();
    let mut bob = gateway.browser_in_wechat("bob");
    bob.get("/orders").await.assert_ok();
    let session_of_bob = bob.cookie(SESSION).unwrap().to_owned();
    let seen = gateway.upstream().seen().len();

    let mut changed: Vec<String> = (0..sound.len())
        .step_by(7)
        .map(|place| {
            let mut bytes = sound.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        })
        .filter(|text| *text != sound)
        .collect();
    changed.extend([
        sound[..sound.len() - 1].to_owned(),
        format!("{sound}A"),
        session_of_bob,
        "null".to_owned(),
        "A".repeat(3000),
    ]);
    for value in changed {
        let mut tampered = alice.clone();
        tampered.set_cookie(ATTEMPTS, &value);
        let reply = tampered.get_once(callback.as_str()).await;
        assert_eq!(reply.reason(), "login-redirect", "{value}");
        assert!(reply.set_cookies(SESSION).is_empty(), "{value}");
    }

    assert_eq!(gateway.simulator().calls().len(), 1, "only bob's login");
    assert_eq!(gateway.upstream().seen().len(), seen);
    alice.get(callback.as_str()).await.assert_ok();
}

#[tokio::test]
async fn flood_of_logins_and_callbacks_is_held_back_and_members_are_not() {
    let gateway = TestGateway::with(|setup| {
        setup.sections = r#"
            [rate_limit]
            login_start = { limit = 3, window = "1m" }
            callback = { limit = 4, window = "1m" }
        "#
        .to_owned();
    })
    .await;
    let mut member = gateway.browser_in_wechat("member");
    member.get("/orders").await.assert_ok();
    let mut alice = gateway.browser_in_wechat("alice");
    let callback = callback_of(&mut alice).await;
    callback_of(&mut alice).await;

    let limited = |reply: &Reply| {
        assert_eq!(reply.status, 429);
        assert_eq!(reply.cause(), "WXG-TOO-MANY-REQUESTS");
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(reply.header("location"), "");
    };
    limited(&alice.get_once("/orders").await);
    for _ in 0..3 {
        let reply = alice.get_once("/_wxgate/callback/main?code=x").await;
        assert_eq!(reply.cause(), "WXG-LOGIN-STATE");
    }
    limited(&alice.get_once(callback.as_str()).await);
    assert_eq!(gateway.simulator().calls().len(), 1, "the member's");

    member.get("/orders").await.assert_ok();
    gateway.clock().advance(Duration::from_secs(61));
    alice.get(callback.as_str()).await.assert_ok();
    for rule in ["login_start", "callback"] {
        let series = format!(r#"wxgate_rate_limited_total{{rule="{rule}"}}"#);
        assert_eq!(gateway.metric(&series).await, 1.0, "{rule}");
    }
}

#[tokio::test]
async fn a_way_back_of_somebody_elses_making_leads_home() {
    let gateway = TestGateway::start().await;
    for back in [
        "%2Forders",
        "https%3A%2F%2Fevil.example",
        "AAAA",
        "x".repeat(5000).as_str(),
    ] {
        let mut alice = gateway.browser_in_wechat("alice");
        let state = format!("{}1", "a".repeat(24));

        let visit = alice
            .get(&format!(
                "/_wxgate/callback/main?back={back}&code=c1&state={state}"
            ))
            .await;

        visit.assert_ok();
        assert_eq!(visit.url().host_str(), Some("www.example.test"), "{back}");
        assert_eq!(visit.url().path(), "/", "{back}");
    }
}

#[tokio::test]
async fn wechats_fragment_does_not_stick_to_the_page() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");

    let visit = alice.get("/orders").await;

    // A browser carries `#wechat_redirect` along unless the last location has a fragment of its own.
    let last = &visit.replies[visit.replies.len() - 2];
    assert_eq!(last.header("location"), "/orders#");
}
