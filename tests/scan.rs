//! Logging a computer in by confirming on a phone, with nothing but a service account.

use std::time::Duration;

use http::Method;

use crate::support::scan::{Screen, field, id_in, poll, post, press};
use crate::support::{APP_ID, Browser, Reply, Setup, TestGateway, agents, eventually};

const SESSION: &str = "__Host-wxgate";

async fn gateway() -> TestGateway {
    with("").await
}

/// With lines of `[login]`.
async fn with(login: &str) -> TestGateway {
    TestGateway::with(|setup| {
        setup.sections = format!(
            "[login]\n{login}\n[rate_limit]\nlogin_start = \"none\"\ncallback = \"none\"\n"
        );
    })
    .await
}

/// Scans, and chooses the right number.
async fn confirm(screen: &mut Screen, phone: &mut Browser) -> Reply {
    let page = phone.get(&screen.link()).await;
    assert_eq!(page.last().reason(), "scan-confirm", "{}", page.text());
    let number = screen.number().await;
    press(phone, &page, &format!("number={number}")).await
}

#[track_caller]
fn assert_ended(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.reason(), "scan-ended", "{}", reply.text());
    assert_eq!((reply.status.as_u16(), reply.cause()), (status, code));
}

#[tokio::test]
async fn a_computer_is_logged_in_by_a_phone_and_goes_on_where_it_wanted_to() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders?id=1").await;
    let mut phone = gateway.browser_in_wechat("alice");

    let done = confirm(&mut screen, &mut phone).await;

    assert_ended(&done, 200, "");
    let news = screen.news("scanned").await;
    assert_eq!(
        (&news["state"], &news["to"]),
        (&"confirmed".into(), &"/orders?id=1".into())
    );
    screen.computer.get("/orders?id=1").await.assert_ok();
    let seen = gateway.upstream().last();
    let openid = gateway.simulator().person("alice").unwrap().openid(APP_ID);
    assert_eq!(seen.header("x-wechat-openid"), openid);
    assert_eq!(seen.header("user-agent"), agents::DESKTOP);
    assert!(!seen.header("cookie").contains("wxgate"), "{seen:?}");
    let token = seen
        .header("x-wxgate-jwt-assertion")
        .split('.')
        .nth(1)
        .unwrap();
    let claims = data_encoding::BASE64URL_NOPAD
        .decode(token.as_bytes())
        .unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["amr"], serde_json::json!(["wechat_scan"]));
}

#[tokio::test]
async fn cookies_of_the_site_that_are_no_text_stand_in_no_computers_way() {
    let gateway = gateway().await;
    let mut computer = gateway.browser(agents::DESKTOP);
    computer.set_cookie("nick", "张三");
    let mut screen = Screen::with(computer, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");

    confirm(&mut screen, &mut phone).await;

    assert_eq!(screen.news("scanned").await["state"], "confirmed");
}

#[tokio::test]
async fn whoever_reads_the_log_cannot_answer_for_the_phone() {
    let mut gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");

    confirm(&mut screen, &mut phone).await;

    let lines = gateway.access_log().await;
    let of_phone = lines.iter().filter(|line| line["path"] == "/_wxgate/x/…");
    assert!(of_phone.count() >= 2, "{lines:?}");
    for line in &lines {
        assert!(!line.to_string().contains(&screen.id), "{line}");
    }
}

#[tokio::test]
async fn without_script_the_page_itself_goes_on() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let next = |text: &str| {
        let (_, rest) = text.split_once("content=\"3;url=").expect("a meta refresh");
        rest.split_once('"')
            .unwrap()
            .0
            .replace("&#x2f;", "/")
            .replace("&amp;", "&")
    };
    let again = next(screen.page.text());
    assert_eq!(id_in(screen.computer.get(&again).await.text()), screen.id);

    let mut phone = gateway.browser_in_wechat("alice");
    let page = phone.get(&screen.link()).await;
    let scanned = screen.computer.get(&again).await;
    let (_, number) = scanned.text().split_once("id=\"match\">").unwrap();
    press(&mut phone, &page, &format!("number={}", &number[..2])).await;

    let visit = screen.computer.get(&again).await;
    visit.assert_ok();
    assert_eq!(visit.url().path(), "/orders");
}

#[tokio::test]
async fn a_page_that_needs_the_profile_gets_it_by_consent_on_the_phone() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/member").await;
    let mut phone = gateway.browser_in_wechat("alice");

    let purpose = phone.get(&screen.link()).await;
    assert_eq!(purpose.last().reason(), "login-purpose");
    let page = phone.press_action(&purpose).await;
    let number = screen.number().await;
    press(&mut phone, &page, &format!("number={number}")).await;

    assert_eq!(screen.news("scanned").await["state"], "confirmed");
    screen.computer.get("/member").await.assert_ok();
    assert!(
        !gateway
            .upstream()
            .last()
            .header("x-wechat-nickname")
            .is_empty()
    );
}

#[tokio::test]
async fn the_phone_is_told_who_asks() {
    let gateway = gateway().await;
    let screen = Screen::at(&gateway, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");

    let page = phone.get(&screen.link()).await;

    for what in ["www.example.test", "Chrome · Linux", "127.0.0.*"] {
        assert!(page.text().contains(what), "{what}: {}", page.text());
    }
    assert_eq!(page.text().matches("name=\"number\"").count(), 3);
}

#[tokio::test]
async fn the_number_is_not_known_before_the_code_was_scanned() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    assert!(screen.page.text().contains("id=\"match\"></p>"));
    assert_eq!(screen.news("").await.get("number"), None);

    let mut phone = gateway.browser_in_wechat("alice");
    phone.get(&screen.link()).await;

    assert!(screen.news("waiting").await["number"].is_u64());
}

#[tokio::test]
async fn a_poll_waits_for_news_and_hears_it_at_once() {
    let gateway = gateway().await;
    let screen = Screen::at(&gateway, "/orders").await;
    let (mut computer, id) = (screen.computer.clone(), screen.id.clone());
    let waiting = tokio::spawn(async move { poll(&mut computer, &id, "waiting").await });

    let mut phone = gateway.browser_in_wechat("alice");
    phone.get(&screen.link()).await;

    // Far less than the two seconds after which the store is asked again would be no proof on a busy machine.
    let reply = waiting.await.unwrap();
    assert!(
        reply.text().contains("\"state\":\"scanned\""),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn a_second_poll_of_a_page_ends_the_first() {
    let gateway = gateway().await;
    let screen = Screen::at(&gateway, "/orders").await;
    let (mut first, mut second) = (screen.computer.clone(), screen.computer.clone());
    let (id, same) = (screen.id.clone(), screen.id.clone());
    let first = tokio::spawn(async move { poll(&mut first, &id, "waiting").await });
    let second = tokio::spawn(async move { poll(&mut second, &same, "waiting").await });

    // Whichever came first is answered; the other one waits on until there is news.
    eventually("one of them is answered", async || {
        first.is_finished() || second.is_finished()
    })
    .await;
    let mut phone = gateway.browser_in_wechat("alice");
    phone.get(&screen.link()).await;

    let states = [first.await.unwrap(), second.await.unwrap()].map(|reply| {
        serde_json::from_str::<serde_json::Value>(reply.text()).unwrap()["state"].clone()
    });
    assert!(
        states.contains(&"waiting".into()) && states.contains(&"scanned".into()),
        "{states:?}"
    );
}

#[tokio::test]
async fn a_poll_ends_when_the_process_stops() {
    let mut gateway = gateway().await;
    let screen = Screen::at(&gateway, "/orders").await;
    let (mut computer, id) = (screen.computer.clone(), screen.id.clone());
    let waiting = tokio::spawn(async move { poll(&mut computer, &id, "waiting").await });
    let listener = gateway.address();
    let in_flight = format!("wxgate_http_requests_in_flight{{listener=\"{listener}\"}}");
    eventually("the poll has arrived", async || {
        gateway.metric(&in_flight).await > 0.5 || waiting.is_finished()
    })
    .await;

    let outcome = gateway.stop().await;

    assert!(outcome.is_clean(), "{outcome:?}");
    assert!(waiting.await.unwrap().text().contains("waiting"));
}

#[tokio::test]
async fn a_stolen_picture_is_of_no_use_without_the_number() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let mut thief = gateway.browser_in_wechat("mallory");
    let page = thief.get(&screen.link()).await;
    let right = screen.number().await;
    let wrong = (10..=99)
        .map(|number| number.to_string())
        .find(|number| *number != right)
        .unwrap();

    let reply = press(&mut thief, &page, &format!("number={wrong}")).await;

    assert_ended(&reply, 403, "WXG-SCAN-NUMBER");
    assert_eq!(screen.news("scanned").await["state"], "denied");
    // No second try with the same code.
    let again = press(&mut thief, &page, &format!("number={right}")).await;
    assert_ended(&again, 410, "WXG-SCAN-EXPIRED");
    assert_eq!(screen.computer.cookie(SESSION), None);
}

#[tokio::test]
async fn guessing_numbers_ends_after_three_wrong_ones() {
    let gateway = gateway().await;
    let mut thief = gateway.browser_in_wechat("mallory");
    for _ in 0..3 {
        let mut screen = Screen::at(&gateway, "/orders").await;
        let page = thief.get(&screen.link()).await;
        screen.number().await;
        assert_ended(
            &press(&mut thief, &page, "number=5").await,
            403,
            "WXG-SCAN-NUMBER",
        );
    }

    let mut screen = Screen::at(&gateway, "/orders").await;
    assert_ended(
        thief.get(&screen.link()).await.last(),
        429,
        "WXG-SCAN-LIMIT",
    );

    // Others are not held up, and ten minutes later neither is he.
    let mut alice = gateway.browser_in_wechat("alice");
    assert_ended(&confirm(&mut screen, &mut alice).await, 200, "");
    gateway.clock().advance(Duration::from_secs(600));
    let mut screen = Screen::at(&gateway, "/orders").await;
    assert_ended(&confirm(&mut screen, &mut thief).await, 200, "");
}

#[tokio::test]
async fn another_browser_cannot_collect() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let mut thief = gateway.browser(agents::DESKTOP);
    assert_eq!(
        poll(&mut thief, &screen.id, "").await.text(),
        "{\"state\":\"expired\"}"
    );
    let mut with_own_code = Screen::at(&gateway, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");
    confirm(&mut screen, &mut phone).await;

    for browser in [&mut thief, &mut with_own_code.computer] {
        let reply = poll(browser, &screen.id, "").await;
        assert_eq!(reply.text(), "{\"state\":\"expired\"}");
        let page = browser
            .get(&format!("/_wxgate/scan?to=%2Forders&id={}", screen.id))
            .await;
        assert!(
            page.text().contains("data-state=\"expired\""),
            "{}",
            page.text()
        );
        assert_eq!(browser.cookie(SESSION), None);
    }

    assert_eq!(
        screen.news("scanned").await["state"],
        "confirmed",
        "the right one still can"
    );
}

#[tokio::test]
async fn a_ticket_is_collected_once() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");
    confirm(&mut screen, &mut phone).await;

    let mut polls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (mut computer, id) = (screen.computer.clone(), screen.id.clone());
        polls.spawn(async move { poll(&mut computer, &id, "").await });
    }
    let replies = polls.join_all().await;

    let sessions = replies
        .iter()
        .filter(|reply| !reply.set_cookies(SESSION).is_empty());
    assert_eq!(sessions.count(), 1);
    assert_eq!(screen.news("").await["state"], "expired");
    assert_ended(
        phone.get(&screen.link()).await.last(),
        410,
        "WXG-SCAN-EXPIRED",
    );
}

#[tokio::test]
async fn looking_at_a_code_does_nothing() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");
    // Already logged in, so nothing but the confirmation is left.
    phone.get("/site").await.assert_ok();
    let link = screen.link();

    let head = phone
        .send(Method::HEAD, &link, &[("accept", "text/html")], "")
        .await;
    assert_eq!(head.reason(), "scan-head");
    let ahead = [("sec-purpose", "prefetch"), ("accept", "text/html")];
    let ahead = phone.send(Method::GET, &link, &ahead, "").await;
    assert_eq!(ahead.reason(), "scan-prefetch");
    // Tencent's re-fetcher looks like WeChat and has no cookies: it is sent to log in, and that is all.
    let refetched = gateway.browser_in_wechat("refetcher").get_once(&link).await;
    assert_eq!(refetched.reason(), "login-redirect");
    let camera = gateway.browser(agents::PHONE).get_once(&link).await;
    assert_eq!(camera.reason(), "login-elsewhere");

    assert_eq!(screen.news("").await["state"], "waiting");
}

#[tokio::test]
async fn an_approval_needs_the_page_it_comes_from() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    // Both codes are drawn before the phone logs in, so that one session may answer either.
    let mut other = Screen::at(&gateway, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");
    let page = phone.get(&screen.link()).await;
    let number = screen.number().await;
    let token = field(&page, "form_token");
    let other_page = phone.get(&other.link()).await;
    other.number().await;
    let of_other = field(&other_page, "form_token");

    for body in [
        format!("number={number}"),
        format!("form_token=&number={number}"),
        format!("form_token={of_other}&number={number}"),
        format!("form_token={token}"),
        format!("form_token={token}&answer=allow"),
    ] {
        let reply = post(&mut phone, &screen.link(), &body).await;
        assert_ended(&reply, 403, "WXG-SCAN-FORM");
    }
    // Another site's form is sent without our cookies.
    let mut stranger = gateway.browser_in_wechat("alice");
    let reply = post(
        &mut stranger,
        &screen.link(),
        &format!("form_token={token}&number={number}"),
    )
    .await;
    assert_ended(&reply, 403, "WXG-SCAN-FORM");
    assert_eq!(screen.news("").await["state"], "scanned");

    assert_ended(
        &press(&mut phone, &page, &format!("number={number}")).await,
        200,
        "",
    );
}

#[tokio::test]
async fn who_scans_first_is_the_one_who_is_asked() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let mut alice = gateway.browser_in_wechat("alice");
    let mut mallory = gateway.browser_in_wechat("mallory");
    let page = alice.get(&screen.link()).await;

    assert_ended(
        mallory.get(&screen.link()).await.last(),
        409,
        "WXG-SCAN-TAKEN",
    );

    let number = screen.number().await;
    assert_ended(
        &press(&mut alice, &page, &format!("number={number}")).await,
        200,
        "",
    );
}

#[tokio::test]
async fn saying_no_shows_on_the_screen_and_is_final() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");
    let page = phone.get(&screen.link()).await;
    let number = screen.number().await;

    assert_ended(&press(&mut phone, &page, "answer=deny").await, 200, "");

    assert_eq!(screen.news("scanned").await["state"], "denied");
    let late = press(&mut phone, &page, &format!("number={number}")).await;
    assert_ended(&late, 410, "WXG-SCAN-EXPIRED");
    assert_eq!(screen.news("").await["state"], "denied");
}

#[tokio::test]
async fn after_this_was_not_me_that_network_cannot_ask_again_for_an_hour() {
    let gateway = gateway().await;
    let screen = Screen::at(&gateway, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");
    let page = phone.get(&screen.link()).await;

    assert_ended(&press(&mut phone, &page, "answer=not-me").await, 200, "");

    let next = Screen::at(&gateway, "/orders").await;
    assert_ended(
        phone.get(&next.link()).await.last(),
        403,
        "WXG-SCAN-REPORTED",
    );
    gateway.clock().advance(Duration::from_secs(3600));
    let mut next = Screen::at(&gateway, "/orders").await;
    assert_ended(&confirm(&mut next, &mut phone).await, 200, "");
}

#[tokio::test]
async fn the_phone_says_anew_who_it_is() {
    let gateway = gateway().await;
    let mut phone = gateway.browser_in_wechat("alice");
    phone.get("/site").await.assert_ok();
    gateway.clock().advance(Duration::from_secs(60));
    // Somebody else holds the phone now; the old session would still say "alice".
    gateway.simulator().add_person("bob");
    phone.switch_person("bob");

    let mut screen = Screen::at(&gateway, "/orders").await;
    confirm(&mut screen, &mut phone).await;
    screen.news("scanned").await;
    screen.computer.get("/orders").await.assert_ok();

    let openid = gateway.simulator().person("bob").unwrap().openid(APP_ID);
    assert_eq!(gateway.upstream().last().header("x-wechat-openid"), openid);
}

#[tokio::test]
async fn a_code_that_nobody_scans_is_replaced_and_then_expires() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");
    for _ in 0..2 {
        gateway.clock().advance(Duration::from_secs(60));
        let news = screen.news("waiting").await;
        let link = screen.link();
        screen.id = id_in(news["code"]["status_url"].as_str().unwrap());
        assert_ended(phone.get(&link).await.last(), 410, "WXG-SCAN-EXPIRED");
        assert!(news["code"]["qr"]["path"].is_string());
    }

    gateway.clock().advance(Duration::from_secs(120));
    assert_eq!(screen.news("waiting").await["state"], "expired");
    assert_ended(
        phone.get(&screen.link()).await.last(),
        410,
        "WXG-SCAN-EXPIRED",
    );
}

#[tokio::test]
async fn codes_that_are_good_are_counted_by_what_has_become_of_them() {
    let setup = |setup: &mut Setup| setup.store = "embedded";
    let mut gateway = TestGateway::with(setup).await;
    let _shown = Screen::at(&gateway, "/orders").await;
    let scanned = Screen::at(&gateway, "/orders").await;
    gateway
        .browser_in_wechat("alice")
        .get(&scanned.link())
        .await;
    // Counted at the start, and then once a minute.
    let mut again = Setup::default();
    setup(&mut again);
    gateway.restart(&again).await;

    eventually("they are counted", async || {
        let count = async |state: &str| {
            let series = format!("wxgate_scan_tickets{{state=\"{state}\"}}");
            gateway.metric(&series).await
        };
        count("waiting").await == 1.0 && count("scanned").await == 1.0
    })
    .await;
}

#[tokio::test]
async fn a_scan_that_nobody_answers_expires_after_scan_ttl() {
    let gateway = with("scan_ttl = \"30s\"").await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");
    let page = phone.get(&screen.link()).await;
    let number = screen.number().await;

    gateway.clock().advance(Duration::from_secs(30));

    let late = press(&mut phone, &page, &format!("number={number}")).await;
    assert_ended(&late, 410, "WXG-SCAN-EXPIRED");
    assert_eq!(screen.news("scanned").await["state"], "expired");
}

#[tokio::test]
async fn a_button_is_enough_where_the_operator_says_so() {
    let gateway = with("scan_confirm = \"button\"").await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");
    let page = phone.get(&screen.link()).await;
    assert!(!page.text().contains("name=\"number\""));
    assert_eq!(
        screen.news("waiting").await,
        serde_json::json!({"state": "scanned"})
    );

    assert_ended(&press(&mut phone, &page, "answer=allow").await, 200, "");

    assert_eq!(screen.news("scanned").await["state"], "confirmed");
}

#[tokio::test]
async fn a_phone_browser_logs_in_by_wechat_on_the_same_phone() {
    let gateway = with("mobile_browser = \"scan\"").await;
    let mut screen = Screen::with(gateway.browser(agents::PHONE), "/orders").await;
    let link = format!("https://www.example.test{}", screen.link());
    let shown = screen.page.text().replace("&#x2f;", "/");
    assert!(shown.contains(&format!("href=\"{link}\"")), "{shown}");

    let mut wechat = gateway.browser_in_wechat("alice");
    assert_ended(&confirm(&mut screen, &mut wechat).await, 200, "");

    assert_eq!(screen.news("scanned").await["state"], "confirmed");
    screen.computer.get("/orders").await.assert_ok();
}

#[tokio::test]
async fn polls_are_limited_per_code() {
    let gateway = TestGateway::with(|setup| {
        setup.sections =
            "[rate_limit]\nscan_poll = { per = \"ticket\", limit = 3, window = \"1m\" }".to_owned();
    })
    .await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    for _ in 0..3 {
        assert_eq!(screen.news("").await["state"], "waiting");
    }

    let reply = screen.poll("").await;

    assert_eq!(
        (reply.status.as_u16(), reply.reason()),
        (429, "rate-limited")
    );
    let news: serde_json::Value = serde_json::from_str(reply.text()).unwrap();
    assert_eq!(news["state"], "limited");
    assert_eq!(reply.header("retry-after"), news["seconds"].to_string());
    let mut other = Screen::at(&gateway, "/orders").await;
    assert_eq!(other.news("").await["state"], "waiting");
}

#[tokio::test]
async fn drawing_codes_is_limited_per_address() {
    let gateway = TestGateway::with(|setup| {
        setup.sections =
            "[rate_limit]\nlogin_start = { per = \"ip\", limit = 2, window = \"1m\" }".to_owned();
    })
    .await;
    let mut computer = gateway.browser(agents::DESKTOP);
    for _ in 0..2 {
        assert_eq!(computer.get("/orders").await.last().reason(), "login-page");
    }
    assert_eq!(
        computer.get("/orders").await.last().reason(),
        "rate-limited"
    );
}

#[tokio::test]
async fn two_tabs_of_a_browser_have_a_code_each() {
    let gateway = gateway().await;
    let mut first = Screen::at(&gateway, "/orders").await;
    let mut second = Screen::with(first.computer.clone(), "/site").await;
    let mut phone = gateway.browser_in_wechat("alice");

    confirm(&mut first, &mut phone).await;
    assert_eq!(first.news("scanned").await["state"], "confirmed");
    confirm(&mut second, &mut phone).await;
    assert_eq!(second.news("scanned").await["to"], "/site");
}

#[tokio::test]
async fn nobody_is_logged_in_when_the_screen_has_gone() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let mut phone = gateway.browser_in_wechat("alice");
    let page = phone.get(&screen.link()).await;
    let number = screen.number().await;
    screen.computer.clear_cookies();

    press(&mut phone, &page, &format!("number={number}")).await;

    assert_eq!(screen.news("").await["state"], "expired");
    // The one session is the phone's own.
    let sessions = "wxgate_sessions_created_total{app=\"main\"}";
    assert!((gateway.metric(sessions).await - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn a_browser_without_a_login_of_ours_is_not_given_codes() {
    let gateway = with("desktop = []").await;
    let mut computer = gateway.browser(agents::DESKTOP);
    assert_eq!(
        computer.get("/orders").await.last().reason(),
        "login-elsewhere"
    );
    assert_eq!(
        computer
            .get("/_wxgate/scan?to=/orders")
            .await
            .last()
            .reason(),
        "login-elsewhere"
    );
    let mut phone = gateway.browser(agents::PHONE);
    assert_eq!(
        phone.get("/_wxgate/scan?to=/orders").await.last().reason(),
        "login-elsewhere"
    );
}
