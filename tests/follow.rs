//! Logging a computer in by the account's own code: whoever reads it follows the account, which answers with a link.

use std::time::Duration;

use serde_json::json;
use wxgate::pages::QrCode;
use wxgate::simulator::{Endpoint, Push, PushAccount, ScannedCode, Trouble};

use crate::support::scan::{Screen, id_in, poll, press};
use crate::support::{
    APP_ID, Browser, PUSH_TOKEN, Reply, TestGateway, agents, push_account, push_keys, send_push,
};

const CREATE: &str = "/cgi-bin/qrcode/create";

async fn gateway() -> TestGateway {
    with("desktop = [\"follow\"]", "").await
}

/// With lines of `[login]`, and of `push`.
async fn with(login: &str, push: &str) -> TestGateway {
    TestGateway::with(|setup| {
        setup.app = push_keys(push);
        setup.sections = format!(
            "[login]\n{login}\n[rate_limit]\nlogin_start = \"none\"\ncallback = \"none\"\n"
        );
    })
    .await
}

/// A person points the phone's camera at the code that was drawn last.
fn read_code(gateway: &TestGateway, person: &str) -> ScannedCode {
    gateway.simulator().add_person(person);
    let code = gateway.simulator().scan_code(person);
    code.expect("a code of the account")
}

fn event(gateway: &TestGateway, account: &PushAccount, code: &ScannedCode) -> Push {
    let scanned = (code.scene.as_str(), code.ticket.as_str());
    let now = gateway.clock().now();
    account.scan(&code.openid, scanned, code.is_new, now)
}

/// WeChat pushes the event; the account's message, where it answers with one.
async fn told(gateway: &TestGateway, account: &PushAccount, code: &ScannedCode) -> Option<String> {
    let reply = send_push(gateway, "main", &event(gateway, account, code)).await;
    message(&reply, account, code)
}

fn message(reply: &Reply, account: &PushAccount, code: &ScannedCode) -> Option<String> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = account.read_reply(reply.text(), &code.openid);
    assert!(
        text.is_some() || reply.text() == "success",
        "{}",
        reply.text()
    );
    text
}

/// The address in a message, as a path.
fn link(message: &str) -> String {
    let start = "https://www.example.test";
    let (_, rest) = message.split_once(start).expect("a link");
    rest.split_whitespace().next().unwrap().to_owned()
}

fn amr(gateway: &TestGateway) -> serde_json::Value {
    let seen = gateway.upstream().last();
    let token = seen.header("x-wxgate-jwt-assertion").to_owned();
    let claims = token.split('.').nth(1).unwrap();
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes());
    let claims: serde_json::Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    claims["amr"].clone()
}

async fn state(screen: &mut Screen) -> String {
    let news = screen.news("").await;
    news["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn whoever_reads_the_code_gets_a_link_and_confirms_there() {
    for (account, mode) in [
        (push_account(APP_ID, true, false), "safe"),
        (push_account(APP_ID, true, true), "safe"),
        (push_account(APP_ID, false, false), "plain"),
        (push_account(APP_ID, false, true), "plain"),
    ] {
        let gateway = with(
            "desktop = [\"follow\", \"scan\"]",
            &format!("mode = \"{mode}\""),
        )
        .await;
        let mut screen = Screen::at(&gateway, "/orders?id=1").await;
        let code = read_code(&gateway, "alice");
        let drawn = serde_json::to_value(QrCode::new(&code.url)).unwrap();
        let path = drawn["path"].as_str().unwrap();
        assert!(screen.page.text().contains(path), "another code is drawn");
        assert_eq!(
            (code.scene.as_str(), code.is_new),
            (screen.id.as_str(), true)
        );

        let message = told(&gateway, &account, &code).await.unwrap();

        assert!(message.contains("Chrome · Linux") && message.contains("127.0.0.*"));
        let number = screen.number().await;
        let mut phone = gateway.browser_in_wechat("alice");
        let page = phone.get(&link(&message)).await;
        assert_eq!(page.last().reason(), "scan-confirm", "{}", page.text());
        press(&mut phone, &page, &format!("number={number}")).await;
        let news = screen.news("scanned").await;
        assert_eq!(
            (&news["state"], &news["to"]),
            (&json!("confirmed"), &json!("/orders?id=1"))
        );
        screen.computer.get("/orders?id=1").await.assert_ok();
        let seen = gateway.upstream().last();
        assert_eq!(seen.header("x-wechat-openid"), code.openid);
        assert_eq!(amr(&gateway), json!(["wechat_follow"]));
    }
}

#[tokio::test]
async fn who_follows_already_is_known_by_another_event() {
    let gateway = gateway().await;
    let account = push_account(APP_ID, true, false);
    let _first = Screen::at(&gateway, "/orders").await;
    read_code(&gateway, "alice");
    let mut screen = Screen::at(&gateway, "/orders").await;

    let code = read_code(&gateway, "alice");

    assert!(!code.is_new);
    assert!(told(&gateway, &account, &code).await.is_some());
    assert_eq!(state(&mut screen).await, "scanned");
}

#[tokio::test]
async fn the_message_is_in_the_language_of_the_page() {
    let gateway = gateway().await;
    let account = push_account(APP_ID, true, false);
    for (language, expected) in [
        ("zh-CN", "秒内打开链接确认"),
        ("zh-TW", "秒內開啟連結確認"),
        ("en", "Open this link within"),
    ] {
        let mut computer = gateway.browser(agents::DESKTOP);
        let page = computer
            .get(&format!("/_wxgate/scan?to=%2Forders&lang={language}"))
            .await;
        assert_eq!(page.last().reason(), "login-page");

        let message = told(&gateway, &account, &read_code(&gateway, "alice")).await;

        let message = message.unwrap();
        assert!(message.contains(expected), "{message}");
        assert!(message.contains(&id_in(page.text())), "{message}");
    }
}

#[tokio::test]
async fn reading_the_code_is_enough_where_the_operator_says_so() {
    let gateway = with("desktop = [\"follow\"]\nfollow_consent = \"scan\"", "").await;
    let account = push_account(APP_ID, true, false);
    let mut screen = Screen::at(&gateway, "/orders").await;

    let code = read_code(&gateway, "alice");
    let message = told(&gateway, &account, &code).await.unwrap();

    assert_eq!(link(&message), "/_wxgate/me");
    assert_eq!(state(&mut screen).await, "confirmed");
    screen.computer.get("/orders").await.assert_ok();
    assert_eq!(amr(&gateway), json!(["wechat_follow"]));
    assert_eq!(
        gateway.upstream().last().header("x-wechat-openid"),
        code.openid
    );
    // WeChat asks again when our answer got lost; nobody else is logged in by that.
    assert_eq!(told(&gateway, &account, &code).await, None);
    assert_eq!(state(&mut screen).await, "expired");
}

#[tokio::test]
async fn a_page_that_needs_the_profile_is_confirmed_even_so() {
    let gateway = with("desktop = [\"follow\"]\nfollow_consent = \"scan\"", "").await;
    let account = push_account(APP_ID, true, false);
    let mut screen = Screen::at(&gateway, "/member").await;

    let message = told(&gateway, &account, &read_code(&gateway, "alice")).await;

    assert_eq!(state(&mut screen).await, "scanned");
    assert_eq!(link(&message.unwrap()), screen.link());
}

#[tokio::test]
async fn whoever_said_not_me_is_not_logged_in_from_that_network() {
    let gateway = with(
        "desktop = [\"follow\", \"scan\"]\nfollow_consent = \"scan\"",
        "",
    )
    .await;
    let account = push_account(APP_ID, true, false);
    let mut computer = gateway.browser(agents::DESKTOP);
    let page = computer.get("/_wxgate/scan?to=%2Forders&tab=scan").await;
    let mut phone = gateway.browser_in_wechat("alice");
    let asked = phone
        .get(&format!("/_wxgate/x/{}", id_in(page.text())))
        .await;
    press(&mut phone, &asked, "answer=not-me").await;
    let mut screen = Screen::at(&gateway, "/orders").await;

    let message = told(&gateway, &account, &read_code(&gateway, "alice")).await;

    assert!(message.unwrap().contains("不是我在登录"));
    assert_eq!(state(&mut screen).await, "waiting");
}

#[tokio::test]
async fn retries_of_wechat_get_the_same_answer_and_log_in_once() {
    let gateway = with("desktop = [\"follow\"]\nfollow_consent = \"scan\"", "").await;
    let account = push_account(APP_ID, true, false);
    let mut screen = Screen::at(&gateway, "/orders").await;
    let code = read_code(&gateway, "alice");
    let first = event(&gateway, &account, &code);

    let mut answers = Vec::new();
    for push in [&first, &first, &event(&gateway, &account, &code), &first] {
        let reply = send_push(&gateway, "main", push).await;
        answers.push(message(&reply, &account, &code).unwrap());
    }

    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(state(&mut screen).await, "confirmed");
    assert_eq!(
        gateway
            .metric("wxgate_logins_finished_total{app=\"main\",method=\"follow\",result=\"ok\"}")
            .await,
        1.0
    );
}

#[tokio::test]
async fn only_wechat_is_believed() {
    let gateway = with("desktop = [\"follow\"]\nfollow_consent = \"scan\"", "").await;
    let account = push_account(APP_ID, true, false);
    let mut screen = Screen::at(&gateway, "/orders").await;
    let code = read_code(&gateway, "alice");
    let right = event(&gateway, &account, &code);
    let stranger = PushAccount {
        token: PUSH_TOKEN.to_uppercase(),
        ..account.clone()
    };
    let plain = push_account(APP_ID, false, false);
    let other_app = push_account("wxffffffffffffffff", true, false);

    for (push, status) in [
        (event(&gateway, &stranger, &code), 403),
        (event(&gateway, &plain, &code), 400),
        (event(&gateway, &other_app, &code), 400),
        (
            Push {
                query: right.query.replace("signature=", "signature=0"),
                ..right.clone()
            },
            403,
        ),
    ] {
        let reply = send_push(&gateway, "main", &push).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (status, ""));
    }
    gateway.clock().advance(Duration::from_secs(301));
    assert_eq!(send_push(&gateway, "main", &right).await.status, 403);
    assert_eq!(state(&mut screen).await, "expired");
}

#[tokio::test]
async fn a_code_that_is_none_of_ours_means_nothing() {
    let gateway = with(
        "desktop = [\"follow\", \"scan\"]\nfollow_consent = \"scan\"",
        "",
    )
    .await;
    let account = push_account(APP_ID, true, false);
    let mut screen = Screen::at(&gateway, "/orders").await;
    let code = read_code(&gateway, "alice");
    let mut computer = gateway.browser(agents::DESKTOP);
    let scan = computer.get("/_wxgate/scan?to=%2Forders&tab=scan").await;
    let of_scan = id_in(scan.text());

    for (scene, ticket) in [
        ("a-poster-in-the-shop", code.ticket.as_str()),
        ("aaaaaaaaaaaaaaaaaaaaaa", &code.ticket),
        (&code.scene, "gQanother=="),
        // The public id of our own code is read by a camera, and cannot be pushed.
        (&of_scan, &code.ticket),
    ] {
        let forged = ScannedCode {
            scene: scene.to_owned(),
            ticket: ticket.to_owned(),
            ..code.clone()
        };
        assert_eq!(told(&gateway, &account, &forged).await, None, "{scene}");
    }
    assert_eq!(state(&mut screen).await, "waiting");
    let reply = poll(&mut computer, &of_scan, "").await;
    assert!(reply.text().contains("waiting"), "{}", reply.text());
}

#[tokio::test]
async fn an_event_of_another_account_means_nothing() {
    let gateway = TestGateway::with(|setup| {
        setup.app = push_keys("");
        let keys = push_keys("");
        setup.sections = format!(
            "[wechat.other]\nkind = \"service-account\"\napp_id = \"wx00000000000000bb\"\nsecret = \"env:HOME\"\n{keys}\n\
             [login]\ninside_wechat = \"main\"\ndesktop = [\"follow\"]\nfollow_consent = \"scan\"\n"
        );
    })
    .await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let code = read_code(&gateway, "alice");
    let account = push_account("wx00000000000000bb", true, false);

    let reply = send_push(&gateway, "other", &event(&gateway, &account, &code)).await;

    assert_eq!((reply.status.as_u16(), reply.text()), (200, "success"));
    assert_eq!(state(&mut screen).await, "waiting");
}

#[tokio::test]
async fn an_expired_code_is_told_and_logs_nobody_in() {
    let gateway = with("desktop = [\"follow\"]\nfollow_consent = \"scan\"", "").await;
    let account = push_account(APP_ID, true, false);
    let mut screen = Screen::at(&gateway, "/orders").await;
    let code = read_code(&gateway, "alice");

    gateway.clock().advance(Duration::from_secs(121));

    let message = told(&gateway, &account, &code).await.unwrap();
    assert!(message.starts_with("二维码已失效"), "{message}");
    assert_eq!(state(&mut screen).await, "expired");
    gateway.clock().advance(Duration::from_secs(30));
    assert_eq!(told(&gateway, &account, &code).await, None);
}

#[tokio::test]
async fn another_browser_cannot_collect() {
    let gateway = with("desktop = [\"follow\"]\nfollow_consent = \"scan\"", "").await;
    let account = push_account(APP_ID, true, false);
    let mut screen = Screen::at(&gateway, "/orders").await;
    let mut thief = Screen::at(&gateway, "/orders").await;
    let address = format!("/_wxgate/scan?to=%2Forders&tab=follow&id={}", screen.id);
    let code = read_code(&gateway, "alice");
    assert_eq!(code.scene, thief.id);
    let code = ScannedCode {
        scene: screen.id.clone(),
        ..code
    };

    // The thief's own code does not do for the other scene either.
    assert_eq!(told(&gateway, &account, &code).await, None);
    let reply = poll(&mut thief.computer, &screen.id, "").await;
    assert!(reply.text().contains("expired"), "{}", reply.text());
    let page = thief.computer.get(&address).await;
    assert!(page.text().contains("data-state=\"expired\""));
    assert_eq!(state(&mut screen).await, "waiting");
}

#[tokio::test]
async fn the_second_reader_of_a_code_gets_nothing() {
    let gateway = gateway().await;
    let account = push_account(APP_ID, true, false);
    let mut screen = Screen::at(&gateway, "/orders").await;
    let (alice, bob) = (read_code(&gateway, "alice"), read_code(&gateway, "bob"));
    let link = link(&told(&gateway, &account, &alice).await.unwrap());

    let message = told(&gateway, &account, &bob).await.unwrap();

    assert!(message.starts_with("二维码已被别人扫描"), "{message}");
    // Nor does the first one's link help.
    let mut phone = gateway.browser_in_wechat("bob");
    let page = phone.get(&link).await;
    assert_eq!(page.last().cause(), "WXG-SCAN-TAKEN");
    assert_eq!(state(&mut screen).await, "scanned");
}

#[tokio::test]
async fn the_signature_of_a_plain_message_is_good_for_one_message() {
    let gateway = with("desktop = [\"follow\"]", "mode = \"plain\"").await;
    let account = push_account(APP_ID, false, false);
    let mut screen = Screen::at(&gateway, "/orders").await;
    let code = read_code(&gateway, "alice");
    let other = ScannedCode {
        scene: "a-poster-in-the-shop".to_owned(),
        ..code.clone()
    };
    let seen = event(&gateway, &account, &other);
    assert_eq!(send_push(&gateway, "main", &seen).await.text(), "success");

    let forged = Push {
        query: seen.query,
        body: event(&gateway, &account, &code).body,
    };
    let reply = send_push(&gateway, "main", &forged).await;

    assert_eq!((reply.text(), reply.reason()), ("success", "push-again"));
    assert_eq!(state(&mut screen).await, "waiting");
}

#[tokio::test]
async fn without_a_code_of_the_account_the_other_tab_is_shown() {
    for errcode in [48001, 45009, 45011, 40164, 40013, -1, 99999] {
        let gateway = with("desktop = [\"follow\", \"scan\"]", "").await;
        let faults = gateway.simulator().faults();
        faults.always(Endpoint::CreateQr, Trouble::Errcode(errcode));

        let mut screen = Screen::at(&gateway, "/orders").await;

        assert!(screen.page.text().contains("id=\"address\""), "{errcode}");
        assert!(
            screen.page.text().contains("tab=scan\" aria-current"),
            "{errcode}"
        );
        let mut phone = gateway.browser_in_wechat("alice");
        let page = phone.get(&screen.link()).await;
        let number = screen.number().await;
        press(&mut phone, &page, &format!("number={number}")).await;
        assert_eq!(screen.news("scanned").await["state"], "confirmed");
    }
}

#[tokio::test]
async fn without_any_other_tab_the_page_says_why() {
    for (trouble, status, cause) in [
        (Trouble::Errcode(48001), 500, "WXG-LOGIN-SETUP"),
        (Trouble::Errcode(40164), 500, "WXG-LOGIN-SETUP"),
        (Trouble::Errcode(45009), 502, "WXG-WECHAT-TROUBLE"),
        (Trouble::Errcode(-1), 502, "WXG-WECHAT-TROUBLE"),
        (Trouble::Garbage, 502, "WXG-WECHAT-TROUBLE"),
        (
            Trouble::Delay(Duration::from_secs(30)),
            504,
            "WXG-WECHAT-TIMEOUT",
        ),
    ] {
        let gateway = gateway().await;
        let faults = gateway.simulator().faults();
        faults.always(Endpoint::CreateQr, trouble);
        let mut computer = gateway.browser(agents::DESKTOP);

        let page = computer.get("/_wxgate/scan?to=%2Forders").await;

        let last = page.last();
        assert_eq!(
            (last.status.as_u16(), last.cause()),
            (status, cause),
            "{trouble:?}"
        );
        faults.clear();
        gateway.clock().advance(Duration::from_secs(11));
        Screen::with(computer, "/orders").await;
    }
}

#[tokio::test]
async fn a_refusal_and_a_used_up_quota_are_not_asked_for_again_at_once() {
    for errcode in [48001, 45009] {
        let gateway = gateway().await;
        let faults = gateway.simulator().faults();
        faults.always(Endpoint::CreateQr, Trouble::Errcode(errcode));
        let mut computer = gateway.browser(agents::DESKTOP);
        for _ in 0..5 {
            computer.get("/_wxgate/scan?to=%2Forders").await;
        }
        assert_eq!(gateway.calls(CREATE), 1, "{errcode}");

        gateway.clock().advance(Duration::from_secs(11));
        computer.get("/_wxgate/scan?to=%2Forders").await;

        assert_eq!(gateway.calls(CREATE), 2, "{errcode}");
    }
}

#[tokio::test]
async fn a_void_token_is_replaced_once() {
    let gateway = gateway().await;
    Screen::at(&gateway, "/orders").await;
    gateway.clock().advance(Duration::from_secs(60));
    gateway.simulator().void_app_tokens(APP_ID);

    Screen::at(&gateway, "/orders").await;

    assert_eq!(gateway.calls(CREATE), 3);
    assert_eq!(gateway.calls("/cgi-bin/stable_token"), 2);
}

#[tokio::test]
async fn a_code_that_nobody_reads_is_replaced_by_another_of_the_account() {
    let gateway = gateway().await;
    let account = push_account(APP_ID, true, false);
    let mut screen = Screen::at(&gateway, "/orders").await;
    let old = read_code(&gateway, "alice");
    gateway.clock().advance(Duration::from_secs(61));

    let news = screen.news("").await;

    assert_eq!(news["code"].get("address"), None, "{news}");
    let code = read_code(&gateway, "alice");
    let drawn = serde_json::to_value(QrCode::new(&code.url)).unwrap();
    assert_eq!(news["code"]["qr"], drawn);
    assert_ne!(code.scene, screen.id);
    assert_eq!(told(&gateway, &account, &old).await, None);
    assert!(told(&gateway, &account, &code).await.is_some());
    screen.id = code.scene;
    assert_eq!(state(&mut screen).await, "scanned");
}

#[tokio::test]
async fn a_code_that_cannot_be_replaced_has_expired() {
    let gateway = gateway().await;
    let mut screen = Screen::at(&gateway, "/orders").await;
    let faults = gateway.simulator().faults();
    faults.always(Endpoint::CreateQr, Trouble::Errcode(45009));
    gateway.clock().advance(Duration::from_secs(61));

    assert_eq!(state(&mut screen).await, "expired");
}

#[tokio::test]
async fn without_script_the_page_shows_the_same_code_and_goes_on() {
    let gateway = gateway().await;
    let account = push_account(APP_ID, true, false);
    let mut screen = Screen::at(&gateway, "/orders").await;
    let again = format!("/_wxgate/scan?to=%2Forders&id={}", screen.id);
    let page = screen.computer.get(&again).await;
    let code = read_code(&gateway, "alice");
    let drawn = serde_json::to_value(QrCode::new(&code.url)).unwrap();
    assert!(page.text().contains(drawn["path"].as_str().unwrap()));
    assert_eq!(gateway.calls(CREATE), 1);

    let message = told(&gateway, &account, &code).await.unwrap();
    let scanned = screen.computer.get(&again).await;
    let (_, number) = scanned.text().split_once("id=\"match\">").unwrap();
    let mut phone = gateway.browser_in_wechat("alice");
    let asked = phone.get(&link(&message)).await;
    press(&mut phone, &asked, &format!("number={}", &number[..2])).await;

    let visit = screen.computer.get(&again).await;
    assert_eq!(visit.url().path(), "/orders");
}

#[tokio::test]
async fn phones_outside_wechat_are_not_asked_to_read_their_own_screen() {
    let gateway = with("desktop = [\"follow\"]\nmobile_browser = \"scan\"", "").await;
    let mut phone: Browser = gateway.browser(agents::PHONE);

    let page = phone.get("/_wxgate/scan?to=%2Forders&tab=follow").await;

    assert!(page.text().contains("id=\"address\""), "{}", page.text());
    assert_eq!(gateway.calls(CREATE), 0);
}
