//! Logging a desktop browser in by WeChat's own QR code, with a website app.

use http::Method;
use url::Url;
use wxgate::simulator::AppKind;

use crate::support::{APP_ID, Browser, Reply, TestGateway, Visit, agents};

const SESSION: &str = "__Host-wxgate";
const SITE_ID: &str = "wxfedcba9876543210";
const SITE_SECRET: &str = "00000000000000000000000000000002";
const OTHER_ID: &str = "wxfedcba9876543211";
const LOGIN: &str = "[login]\n";

/// With two website apps beside the service account; `login` has lines of `[login]`.
async fn with(login: &str) -> TestGateway {
    let gateway = TestGateway::with(|setup| {
        setup.sections = format!(
            r#"
            [wechat.site]
            kind = "website"
            app_id = "{SITE_ID}"
            secret = "{SITE_SECRET}"

            [wechat.other]
            kind = "website"
            app_id = "{OTHER_ID}"
            secret = "{SITE_SECRET}"

            {login}
            desktop = ["site", "scan", "other"]
            "#
        );
    })
    .await;
    for id in [SITE_ID, OTHER_ID] {
        let simulator = gateway.simulator();
        simulator.add_app_of_kind(AppKind::Website, id, SITE_SECRET, &["www.example.test"]);
    }
    gateway.simulator().add_person("alice");
    gateway.simulator().add_person("mallory");
    gateway
}

fn computer(gateway: &TestGateway, person: &str) -> Browser {
    Browser::new(gateway, agents::DESKTOP, person)
}

/// An attribute of the page, unescaped.
fn attribute(page: &str, before: &str) -> String {
    let (_, rest) = page
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before}: {page}"));
    let (value, _) = rest.split_once('"').unwrap();
    value.replace("&#x2f;", "/").replace("&amp;", "&")
}

fn frame_of(page: &Visit) -> String {
    attribute(
        page.text(),
        "class=\"frame\" title=\"微信登录二维码\" src=\"",
    )
}

/// Loads an address as the frame does.
async fn in_frame(browser: &mut Browser, address: &str) -> Reply {
    let headers = [
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "iframe"),
    ];
    browser.send(Method::GET, address, &headers, "").await
}

/// Somebody scans the code in the frame; the callback that the frame loads then.
async fn scan(browser: &mut Browser, page: &Visit) -> Url {
    let reply = in_frame(browser, &frame_of(page)).await;
    assert_eq!(reply.header("x-sim-page"), "back", "{}", reply.text());
    Url::parse(reply.header("location")).unwrap()
}

async fn callback(browser: &mut Browser, target: &str) -> Url {
    let page = browser.get(target).await;
    assert_eq!(page.last().reason(), "login-page", "{}", page.text());
    scan(browser, &page).await
}

#[tokio::test]
async fn a_computer_is_logged_in_by_wechats_own_code() {
    let gateway = with(LOGIN).await;
    let mut alice = computer(&gateway, "alice");
    let page = alice.get("/member?a=1&b=%2F").await;
    let callback = scan(&mut alice, &page).await;

    // In the frame our cookies are missing: the page only leads the top window to the same address.
    let mut frame = alice.clone();
    frame.clear_cookies();
    let framed = in_frame(&mut frame, callback.as_str()).await;
    assert_eq!(framed.reason(), "login-leave-frame");
    for (name, value) in callback.query_pairs().filter(|(name, _)| name != "back") {
        assert!(
            !framed.text().contains(value.as_ref()),
            "{name} stands in the page"
        );
    }
    assert_eq!(gateway.simulator().calls(), [], "nothing was exchanged");

    let visit = alice.get(callback.as_str()).await;
    visit.assert_ok();
    assert_eq!(visit.url().path(), "/member");
    assert_eq!(visit.url().query(), Some("a=1&b=%2F"));
    let seen = gateway.upstream().last();
    let person = gateway.simulator().person("alice").unwrap();
    assert_eq!(seen.header("x-wechat-openid"), person.openid(SITE_ID));
    assert_eq!(seen.header("x-wechat-unionid"), person.unionid());
    assert_eq!(seen.header("x-wechat-appid"), SITE_ID);
    assert!(!seen.header("x-wechat-nickname").is_empty());
}

#[tokio::test]
async fn the_frame_is_ours_and_asks_for_what_wechats_script_would() {
    let gateway = with(LOGIN).await;
    let mut alice = computer(&gateway, "alice");
    let page = alice.get("/orders").await;

    let open = gateway.simulator().url();
    let frame = frame_of(&page);
    let (address, query) = frame.split_once('?').unwrap();
    assert_eq!(address, format!("{open}/connect/qrconnect"));
    let names: Vec<&str> = query
        .split('&')
        .map(|pair| pair.split('=').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "appid",
            "scope",
            "redirect_uri",
            "state",
            "login_type",
            "self_redirect",
            "styletype",
            "sizetype",
            "bgcolor",
            "rst",
            "style"
        ]
    );
    // Escaped once: one decoding gives an address without a fragment.
    let (_, back) = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "redirect_uri")
        .unwrap();
    assert!(
        back.starts_with("https://www.example.test/_wxgate/callback/site?back="),
        "{back}"
    );
    assert!(!back.contains('#') && !back.contains('%'), "{back}");
    for part in ["allow=\"local-network-access\"", "allow-top-navigation\""] {
        assert!(page.text().contains(part), "{part}");
    }
    let policy = page.last().header("content-security-policy");
    assert!(
        policy.contains(&format!("frame-src {open} 'self';")),
        "{policy}"
    );
    assert!(
        policy.contains("script-src 'nonce-") && !policy.contains("weixin"),
        "{policy}"
    );
    assert!(!page.text().contains("<script src"));
}

#[tokio::test]
async fn the_whole_page_is_the_way_out_when_the_frame_does_not_work() {
    let gateway = with(LOGIN).await;
    let mut alice = computer(&gateway, "alice");
    let page = alice.get("/orders").await;
    let whole = attribute(page.text(), "class=\"quiet\" id=\"action\" href=\"");
    assert!(
        whole.contains("&response_type=code&scope=snsapi_login&state="),
        "{whole}"
    );
    assert!(whole.ends_with("&lang=cn#wechat_redirect"), "{whole}");

    let visit = alice.get(&whole).await;

    visit.assert_ok();
    assert_eq!(visit.url().path(), "/orders");
}

#[tokio::test]
async fn tabs_open_the_ways_that_the_operator_named_in_his_order() {
    let gateway = with(LOGIN).await;
    let mut alice = computer(&gateway, "alice");
    let page = alice.get("/orders").await;
    let links: Vec<String> = page
        .text()
        .split("<a href=\"")
        .skip(1)
        .map(|rest| {
            rest.split_once('"')
                .unwrap()
                .0
                .replace("&#x2f;", "/")
                .replace("&amp;", "&")
        })
        .filter(|link| link.contains("tab="))
        .collect();
    assert_eq!(links.len(), 3, "{links:?}");

    let scan = alice.get(&links[1]).await;
    assert!(scan.text().contains("status?id="), "{}", scan.text());
    let other = alice.get(&links[2]).await;
    assert!(frame_of(&other).contains(OTHER_ID));
    let unknown = alice.get("/_wxgate/scan?to=%2Forders&tab=main").await;
    assert!(
        frame_of(&unknown).contains(SITE_ID),
        "what is no tab opens the first one"
    );
}

#[tokio::test]
async fn no_phone_and_no_wechat_is_sent_to_a_website_app() {
    let gateway = with("[login]\nmobile_browser = \"scan\"\n").await;
    for agent in [
        agents::PHONE,
        agents::WECHAT_ANDROID,
        agents::WECHAT_WINDOWS,
        agents::WECOM,
    ] {
        let mut browser = Browser::new(&gateway, agent, "alice");
        for address in ["/orders", "/_wxgate/scan?to=%2Forders&tab=site"] {
            let visit = browser.get(address).await;
            for (hop, reply) in visit.hops.iter().zip(&visit.replies) {
                assert!(!hop.path().contains("qrconnect"), "{agent}");
                assert!(!reply.text().contains("qrconnect"), "{agent}");
            }
        }
    }
}

#[tokio::test]
async fn nobody_is_logged_in_as_somebody_else_by_a_website_callback() {
    let gateway = with(LOGIN).await;
    let mut victim = computer(&gateway, "alice");
    let mut attacker = computer(&gateway, "mallory");
    let of_victim = callback(&mut victim, "/orders").await;
    let of_attacker = callback(&mut attacker, "/orders").await;

    for (browser, callback) in [(&mut victim, &of_attacker), (&mut attacker, &of_victim)] {
        let visit = browser.clone().get(callback.as_str()).await;
        assert_eq!(visit.last().reason(), "login-page", "{}", visit.text());
        assert_eq!(visit.replies[0].set_cookies(SESSION), [""; 0]);
    }
    assert_eq!(gateway.simulator().calls(), []);

    victim.get(of_victim.as_str()).await.assert_ok();
    let openid = gateway.simulator().person("alice").unwrap().openid(SITE_ID);
    assert_eq!(gateway.upstream().last().header("x-wechat-openid"), openid);
}

#[tokio::test]
async fn code_of_one_website_app_is_nothing_at_the_callback_of_another() {
    let gateway = with(LOGIN).await;
    let mut alice = computer(&gateway, "alice");
    let callback = callback(&mut alice, "/orders").await;

    for app in ["other", "main"] {
        let address = callback.as_str().replace("/site?", &format!("/{app}?"));
        let reply = alice.clone().get_once(&address).await;
        assert_eq!(
            (reply.status.as_u16(), reply.cause()),
            (401, "WXG-LOGIN-STATE"),
            "{app}"
        );
    }
    assert_eq!(gateway.simulator().calls(), []);
}

#[tokio::test]
async fn a_website_and_a_service_account_know_one_person_by_two_openids() {
    let gateway = with(LOGIN).await;
    let mut on_computer = computer(&gateway, "alice");
    let callback = callback(&mut on_computer, "/member").await;
    on_computer.get(callback.as_str()).await.assert_ok();
    let by_site = gateway.upstream().last();

    let mut on_phone = Browser::new(&gateway, agents::WECHAT_ANDROID, "alice");
    let purpose = on_phone.get("/member").await;
    on_phone.press_action(&purpose).await.assert_ok();
    let by_account = gateway.upstream().last();

    assert_eq!(
        by_site.header("x-wechat-unionid"),
        by_account.header("x-wechat-unionid")
    );
    assert_ne!(
        by_site.header("x-wechat-openid"),
        by_account.header("x-wechat-openid")
    );
    assert_eq!(by_account.header("x-wechat-appid"), APP_ID);
}

#[tokio::test]
async fn q20_quick_login_brings_its_code_to_an_address_without_a_fragment() {
    let gateway = with(LOGIN).await;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    for target in ["/orders?a=1", "/orders?a=%23cart"] {
        let mut alice = computer(&gateway, "alice");
        let page = alice.get(target).await;
        let frame = Url::parse(&frame_of(&page)).unwrap();
        let (_, back) = frame
            .query_pairs()
            .find(|(name, _)| name == "redirect_uri")
            .unwrap();
        assert!(!back.contains('#'), "{back}");
        // WeChat's client on the same computer answers; nobody scans.
        let shown = client.get(frame).header("user-agent", agents::DESKTOP);
        let shown = shown.send().await.unwrap().text().await.unwrap();
        let sheet = attribute(&shown, "name=\"sheet\" value=\"");
        let pressed = format!("{}/connect/qrconnect/scanned", gateway.simulator().url());
        let form = format!("sheet={sheet}&quick=alice");
        let moved = client.post(pressed).body(form).send().await.unwrap();
        let callback = moved.headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(callback.matches("code=").count(), 1, "{callback}");

        let visit = alice.get(&callback).await;

        visit.assert_ok();
        assert_eq!(gateway.upstream().last().target, target);
    }
    let page = computer(&gateway, "alice").get("/orders").await;
    assert!(page.text().contains("allow=\"local-network-access\""));
}
