//! WeChat in trouble: every error code, and every way to answer badly. The visitor waits for a bounded time and gets a page.

use std::time::{Duration, Instant};

use futures_util::future::join;
use tokio::net::TcpListener;
use wxgate::simulator::faults::{Endpoint, Trouble};

use crate::support::{Browser, TestGateway, Visit};

const EXCHANGE: &str = "/sns/oauth2/access_token";

/// `wechat_api.timeout` of the test gateway.
const TIMEOUT: Duration = Duration::from_secs(1);
/// What the contract adds to it.
const ALLOWANCE: Duration = Duration::from_secs(1);

async fn gateway() -> TestGateway {
    TestGateway::with(|setup| {
        setup.sections = r#"
            [rate_limit]
            login_start = "none"
            callback = "none"
        "#
        .to_owned();
    })
    .await
}

/// What a visitor gets when WeChat answers each time like this.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    /// P6 or P10 with status and cause.
    Page(u16, &'static str),
    /// Our purpose page: the visitor must consent again.
    Purpose,
}

const RESTART: Ending = Ending::Page(401, "WXG-LOGIN-CODE");
const CONFIG: Ending = Ending::Page(500, "WXG-LOGIN-SETUP");
const USER: Ending = Ending::Page(403, "WXG-LOGIN-BLOCKED");
const LATER: Ending = Ending::Page(502, "WXG-WECHAT-TROUBLE");

/// Every code that an exchange or a profile can be answered with, and what it means for the visitor.
const CODES: [(i64, Ending); 43] = [
    (-1, LATER),
    (40001, CONFIG),
    (40002, CONFIG),
    (40003, RESTART),
    (40013, CONFIG),
    (40014, RESTART),
    (40029, RESTART),
    (40030, RESTART),
    (40066, CONFIG),
    (40125, CONFIG),
    (40163, RESTART),
    (40164, CONFIG),
    (40226, USER),
    (40243, CONFIG),
    (41001, CONFIG),
    (41002, CONFIG),
    (41003, CONFIG),
    (41004, CONFIG),
    (41008, RESTART),
    (41009, CONFIG),
    (42001, RESTART),
    (42002, RESTART),
    (42003, RESTART),
    (42007, RESTART),
    (43001, CONFIG),
    (43002, CONFIG),
    (43003, CONFIG),
    (43004, USER),
    (45009, LATER),
    (45011, LATER),
    (46004, USER),
    (47001, CONFIG),
    (48001, CONFIG),
    (48004, CONFIG),
    (50001, Ending::Purpose),
    (50002, USER),
    (50005, USER),
    (61003, CONFIG),
    (61004, CONFIG),
    (85406, LATER),
    (87008, RESTART),
    (87009, RESTART),
    (99999, LATER),
];

/// A login with profile, over the purpose page.
async fn log_in(visitor: &mut Browser) -> Visit {
    let purpose = visitor.get("/member?a=1").await;
    assert_eq!(purpose.last().reason(), "login-purpose");
    visitor.press(&purpose).await
}

#[track_caller]
fn assert_ending(visit: &Visit, expected: Ending, what: &str) {
    let reply = visit.last();
    let found = match reply.reason() {
        "login-purpose" => Ending::Purpose,
        _ => Ending::Page(
            reply.status.as_u16(),
            expected_cause(reply.cause(), expected),
        ),
    };
    assert_eq!(found, expected, "{what}: {}", reply.text());
}

/// The cause as a constant, so that it can be compared; empty when it is another one.
fn expected_cause(found: &str, expected: Ending) -> &'static str {
    match expected {
        Ending::Page(_, cause) if cause == found => cause,
        Ending::Page(..) | Ending::Purpose => "",
    }
}

async fn every_code_has_its_reaction_at(endpoint: Endpoint) {
    let gateway = gateway().await;
    let faults = gateway.simulator().faults();
    for (code, expected) in CODES {
        let what = format!("{code} at {endpoint:?}");
        let mut visitor = gateway.browser_in_wechat("alice");
        faults.always(endpoint, Trouble::Errcode(code));
        let authorizations = gateway.simulator().authorizations();

        let visit = log_in(&mut visitor).await;

        assert_ending(&visit, expected, &what);
        assert_eq!(visitor.cookie("__Host-wxgate"), None, "{what}");
        assert!(gateway.upstream().seen().is_empty(), "{what}");
        // A new round is begun once where that can help, and never elsewhere.
        let rounds = gateway.simulator().authorizations() - authorizations;
        assert_eq!(rounds, if expected == RESTART { 2 } else { 1 }, "{what}");
        let text = visit.text();
        assert!(code == -1 || !text.contains(&code.to_string()), "{what}");
        faults.clear();
    }
}

#[tokio::test]
async fn every_error_code_of_the_exchange_has_its_reaction() {
    every_code_has_its_reaction_at(Endpoint::Exchange).await;
}

#[tokio::test]
async fn every_error_code_of_the_profile_has_its_reaction() {
    every_code_has_its_reaction_at(Endpoint::UserInfo).await;
}

#[tokio::test]
async fn code_that_was_refused_once_leads_in_by_itself() {
    let gateway = gateway().await;
    for (code, expected) in CODES {
        if expected != RESTART {
            continue;
        }
        let mut visitor = gateway.browser_in_wechat("alice");
        let fault = Trouble::Errcode(code);
        gateway.simulator().faults().next(Endpoint::Exchange, fault);

        let visit = visitor.get("/orders?a=1").await;

        visit.assert_ok();
        assert_eq!(gateway.upstream().last().target, "/orders?a=1");
        // Application, WeChat, callback, WeChat again, callback, application.
        assert_eq!(visit.hops.len(), 6, "{code}");
    }
}

#[tokio::test]
async fn page_of_every_trouble_leads_in_once_the_trouble_is_over() {
    let gateway = gateway().await;
    for (code, expected) in CODES {
        let can_help = matches!(expected, RESTART | LATER | Ending::Purpose);
        let mut visitor = gateway.browser_in_wechat("alice");
        let fault = Trouble::Errcode(code);
        gateway
            .simulator()
            .faults()
            .always(Endpoint::Exchange, fault);
        let visit = visitor.get("/orders?a=1").await;
        gateway.simulator().faults().clear();

        let visit = visitor.press(&visit).await;

        visit.assert_ok();
        let expected = if can_help { "/orders?a=1" } else { "/" };
        assert_eq!(gateway.upstream().last().target, expected, "{code}");
    }
}

#[tokio::test]
async fn busy_wechat_is_asked_again() {
    let gateway = gateway().await;
    let busy = Trouble::Errcode(-1);
    for endpoint in [Endpoint::Exchange, Endpoint::UserInfo] {
        let mut visitor = gateway.browser_in_wechat("alice");
        gateway.simulator().faults().next(endpoint, busy);
        let calls = gateway.simulator().calls().len();

        log_in(&mut visitor).await.assert_ok();

        assert_eq!(gateway.simulator().calls().len(), calls + 3);
        assert_eq!(gateway.simulator().faults().active().faults, []);
    }
}

#[tokio::test]
async fn code_whose_answer_got_lost_is_not_sent_again() {
    let gateway = gateway().await;
    for trouble in [
        Trouble::Down,
        Trouble::Cut,
        Trouble::Status(500),
        Trouble::Status(502),
        Trouble::Status(429),
        Trouble::Truncated,
        Trouble::Garbage,
        Trouble::Html,
        Trouble::Huge,
        Trouble::Endless,
    ] {
        let mut visitor = gateway.browser_in_wechat("alice");
        let calls = gateway.calls(EXCHANGE);
        gateway
            .simulator()
            .faults()
            .next(Endpoint::Exchange, trouble);
        let began = Instant::now();

        let visit = visitor.get("/orders?a=1").await;

        assert!(began.elapsed() < TIMEOUT + ALLOWANCE, "{trouble:?}");
        visit.assert_page(502, "WXG-WECHAT-TROUBLE");
        assert_eq!(visit.last().reason(), "login-not-finished");
        assert_eq!(gateway.calls(EXCHANGE), calls + 1, "{trouble:?}");
        assert_eq!(visitor.cookie("__Host-wxgate"), None);
        visitor.press(&visit).await.assert_ok();
        assert_eq!(gateway.upstream().last().target, "/orders?a=1");
    }
}

#[tokio::test]
async fn answer_that_leads_elsewhere_is_the_operators_to_fix() {
    let gateway = gateway().await;
    let mut visitor = gateway.browser_in_wechat("alice");
    gateway
        .simulator()
        .faults()
        .next(Endpoint::Exchange, Trouble::Redirect);

    let visit = visitor.get("/orders").await;

    visit.assert_page(500, "WXG-LOGIN-SETUP");
    assert_eq!(
        gateway.simulator().calls().len(),
        1,
        "the redirect was not followed"
    );
}

#[tokio::test]
async fn profile_that_comes_broken_ends_at_a_page() {
    let gateway = gateway().await;
    for trouble in [
        Trouble::Down,
        Trouble::Cut,
        Trouble::Status(503),
        Trouble::Truncated,
        Trouble::Garbage,
        Trouble::Html,
        Trouble::Huge,
        Trouble::Endless,
    ] {
        let mut visitor = gateway.browser_in_wechat("alice");
        gateway
            .simulator()
            .faults()
            .next(Endpoint::UserInfo, trouble);
        let began = Instant::now();

        let visit = log_in(&mut visitor).await;

        assert!(began.elapsed() < TIMEOUT + ALLOWANCE, "{trouble:?}");
        visit.assert_page(502, "WXG-WECHAT-TROUBLE");
        assert_eq!(visitor.cookie("__Host-wxgate"), None);
    }
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn loose_answers_are_understood() {
    let gateway = gateway().await;
    let faults = gateway.simulator().faults();
    faults.change(|switches| switches.string_numbers = true);
    let mut visitor = gateway.browser_in_wechat("alice");
    log_in(&mut visitor).await.assert_ok();

    // A snapshot says so with a string, too.
    faults.change(|switches| switches.snapshot = true);
    let mut visitor = gateway.browser_in_wechat("alice");
    let visit = visitor.get("/orders").await;
    assert_eq!(visit.last().reason(), "snapshot");
    faults.clear();

    // Bytes that are no UTF-8 in a nickname keep nobody out.
    faults.next(Endpoint::UserInfo, Trouble::Gbk);
    let mut visitor = gateway.browser_in_wechat("alice");
    log_in(&mut visitor).await.assert_ok();
    let seen = gateway.upstream().last();
    assert!(seen.header("x-wechat-nickname").contains("%EF%BF%BD"));
}

#[tokio::test]
async fn slow_wechat_holds_up_only_who_logs_in_and_not_for_long() {
    let gateway = gateway().await;
    let mut member = gateway.browser_in_wechat("bob");
    member.get("/orders").await.assert_ok();
    let mut visitor = gateway.browser_in_wechat("alice");
    let slow = Trouble::Delay(Duration::from_secs(30));
    gateway.simulator().faults().next(Endpoint::Exchange, slow);

    let began = Instant::now();
    let login = async {
        let visit = visitor.get("/orders").await;
        (visit, began.elapsed())
    };
    let others = async {
        let mut slowest = Duration::ZERO;
        while gateway.calls(EXCHANGE) < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..20 {
            let asked = Instant::now();
            member.get("/orders").await.assert_ok();
            gateway
                .browser_in_wechat("carol")
                .get("/orders")
                .await
                .assert_ok();
            slowest = slowest.max(asked.elapsed());
        }
        (slowest, began.elapsed())
    };
    let ((visit, took), (slowest, all)) = join(login, others).await;

    visit.assert_page(504, "WXG-WECHAT-TIMEOUT");
    assert!(took >= TIMEOUT && took < TIMEOUT + ALLOWANCE, "{took:?}");
    assert!(slowest < TIMEOUT, "{slowest:?}");
    assert!(all < Duration::from_secs(15), "{all:?}");
    visitor.press(&visit).await.assert_ok();
}

#[tokio::test]
async fn exchange_and_profile_together_stay_within_one_timeout() {
    let gateway = gateway().await;
    let mut visitor = gateway.browser_in_wechat("alice");
    let slow = Trouble::Delay(TIMEOUT * 7 / 10);
    gateway.simulator().faults().next(Endpoint::Exchange, slow);
    gateway.simulator().faults().next(Endpoint::UserInfo, slow);
    let purpose = visitor.get("/member").await;
    let began = Instant::now();

    let visit = visitor.press(&purpose).await;

    let took = began.elapsed();
    visit.assert_page(504, "WXG-WECHAT-TIMEOUT");
    assert!(took >= TIMEOUT && took < TIMEOUT + ALLOWANCE, "{took:?}");
}

#[tokio::test]
async fn reload_of_a_page_of_trouble_begins_a_new_login() {
    let gateway = gateway().await;
    let mut visitor = gateway.browser_in_wechat("alice");
    let down = Trouble::Status(500);
    gateway.simulator().faults().next(Endpoint::Exchange, down);
    let visit = visitor.get("/orders?a=1").await;
    visit.assert_page(502, "WXG-WECHAT-TROUBLE");

    let visit = visitor.get(visit.url().as_str()).await;

    visit.assert_ok();
    assert_eq!(gateway.upstream().last().target, "/orders?a=1");
}

#[tokio::test]
async fn wechat_that_is_gone_leaves_members_alone() {
    let gateway = gateway().await;
    let mut member = gateway.browser_in_wechat("bob");
    member.get("/orders").await.assert_ok();
    gateway
        .simulator()
        .faults()
        .always(Endpoint::Any, Trouble::Down);

    member.get("/orders").await.assert_ok();

    let mut visitor = gateway.browser_in_wechat("alice");
    let visit = visitor.get("/orders").await;
    visit.assert_page(502, "WXG-WECHAT-TROUBLE");
    let series = r#"wxgate_logins_finished_total{app="main",method="base",result="wechat_error"}"#;
    assert_eq!(gateway.metric(series).await, 1.0);
}

#[tokio::test]
async fn wechat_that_cannot_be_reached_ends_at_a_page_in_time() {
    // One port where nobody listens, and one where nobody answers.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed_address = closed.local_addr().unwrap();
    drop(closed);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_address = silent.local_addr().unwrap();
    for (address, status, cause) in [
        (closed_address, 502, "WXG-WECHAT-TROUBLE"),
        (silent_address, 504, "WXG-WECHAT-TIMEOUT"),
    ] {
        let gateway = TestGateway::with(|setup| {
            setup.api_url = Some(format!("http://{address}"));
        })
        .await;
        let mut visitor = gateway.browser_in_wechat("alice");
        let began = Instant::now();

        let visit = visitor.get("/orders").await;

        visit.assert_page(status, cause);
        assert!(
            began.elapsed() < TIMEOUT + ALLOWANCE,
            "{:?}",
            began.elapsed()
        );
        assert!(
            visit
                .last()
                .action()
                .contains("/_wxgate/login?to=%2Forders")
        );
    }
}

#[tokio::test]
async fn used_code_is_never_shown_to_who_has_a_session() {
    let gateway = gateway().await;
    for code in [40163, 40029] {
        let mut alice = gateway.browser_in_wechat("alice");
        alice.get("/orders").await.assert_ok();
        let purpose = alice.get("/member").await;
        let fault = Trouble::Errcode(code);
        gateway.simulator().faults().next(Endpoint::Exchange, fault);

        let again = alice.press(&purpose).await;

        // The session stands; the page that wants more asks once more.
        assert_eq!(again.last().reason(), "login-purpose", "{code}");
        alice.clone().get("/orders").await.assert_ok();
        alice.press(&again).await.assert_ok();
        assert_eq!(gateway.upstream().last().target, "/member");
    }
}

#[tokio::test]
async fn wrong_secret_is_counted_with_its_code() {
    let gateway = gateway().await;
    gateway
        .simulator()
        .faults()
        .change(|s| s.wrong_secret = true);
    let mut visitor = gateway.browser_in_wechat("alice");

    visitor
        .get("/orders")
        .await
        .assert_page(500, "WXG-LOGIN-SETUP");

    let series = r#"wxgate_wechat_requests_total{app="main",endpoint="access_token",result="errcode",errcode="40125"}"#;
    assert_eq!(gateway.metric(series).await, 1.0);
}
