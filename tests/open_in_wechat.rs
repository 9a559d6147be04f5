//! From a phone's browser into WeChat, through a mini program of the operator's.

use std::time::Duration;

use http::{Method, StatusCode};
use wxgate::simulator::{Endpoint, Trouble};

use crate::support::{MINI_ID, TestGateway, agents, client_apps};

const PAGE: &str = "pages/web/index";

async fn gateway() -> TestGateway {
    let gateway = TestGateway::with(|setup| {
        let apps = client_apps();
        setup.sections = format!(
            "{apps}\n[login]\nmini_program_link = {{ app = \"mini\", page = \"{PAGE}\" }}\n"
        );
    })
    .await;
    // The simulator gets to know the mini program.
    gateway.client("alice");
    gateway
}

/// The address that the mini program's page shows in its web-view.
#[track_caller]
fn shown_by(gateway: &TestGateway, link: &str) -> String {
    let opened = gateway.simulator().opened_page(link).expect("a link");
    assert_eq!(
        (opened.appid.as_str(), opened.page.as_str()),
        (MINI_ID, PAGE)
    );
    let url = opened.query.strip_prefix("url=").unwrap();
    percent_encoding::percent_decode_str(url)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

#[tokio::test]
async fn a_phone_goes_on_in_wechat_at_the_page_it_wanted() {
    let gateway = gateway().await;
    let mut phone = gateway.browser(agents::PHONE);

    let page = phone.get("/orders?id=1&from=menu").await;
    assert_eq!(page.last().reason(), "login-elsewhere", "{}", page.text());
    let opened = phone.get_once(&page.last().action()).await;

    assert_eq!(
        (opened.status, opened.reason()),
        (StatusCode::FOUND, "wechat-link")
    );
    let address = shown_by(&gateway, opened.header("location"));
    let mut web_view = gateway.browser_in_wechat("alice");
    let arrived = web_view.get(&address).await;
    arrived.assert_ok();
    assert_eq!(
        (arrived.url().path(), arrived.url().query()),
        ("/orders", Some("id=1&from=menu"))
    );
    assert_eq!(gateway.upstream().last().target, "/orders?id=1&from=menu");
}

#[tokio::test]
async fn one_link_is_made_for_all_who_want_the_same_page() {
    let gateway = gateway().await;
    let mut phone = gateway.browser(agents::PHONE);
    let link = async |phone: &mut crate::support::Browser, to: &str| {
        let reply = phone.get_once(&format!("/_wxgate/open?to={to}")).await;
        assert_eq!(reply.reason(), "wechat-link", "{}", reply.text());
        reply.header("location").to_owned()
    };

    let first = link(&mut phone, "/orders").await;
    let mut other = gateway.browser(agents::PHONE);
    assert_eq!(link(&mut other, "/orders").await, first);
    assert_ne!(link(&mut phone, "/member").await, first);
    assert_eq!(gateway.calls("/wxa/generate_urllink"), 2);

    // Before it is over there is another one.
    gateway.clock().advance(Duration::from_secs(12 * 3600));
    let second = link(&mut phone, "/orders").await;
    assert_ne!(second, first);
    assert!(gateway.simulator().opened_page(&first).is_some());
    assert_eq!(gateway.calls("/wxa/generate_urllink"), 3);
}

#[tokio::test]
async fn a_link_leads_to_pages_of_our_own_hosts_only() {
    let gateway = gateway().await;
    let mut phone = gateway.browser(agents::PHONE);
    for to in [
        "https://evil.example/",
        "//evil.example/",
        "/%5Cevil.example",
        "/_wxgate/logout",
        "javascript:alert(1)",
    ] {
        let reply = phone.get_once(&format!("/_wxgate/open?to={to}")).await;
        let address = shown_by(&gateway, reply.header("location"));
        assert_eq!(
            address, "https://www.example.test/_wxgate/login?to=%2F",
            "{to}"
        );
    }
}

#[tokio::test]
async fn what_no_phone_asks_for_makes_no_link() {
    let gateway = gateway().await;
    let open = "/_wxgate/open?to=/orders";
    let mut phone = gateway.browser(agents::PHONE);
    let head = phone.send(Method::HEAD, open, &[], "").await;
    assert_eq!(head.status, StatusCode::NO_CONTENT);
    let ahead = [("sec-purpose", "prefetch"), ("accept", "text/html")];
    let ahead = phone.send(Method::GET, open, &ahead, "").await;
    assert_eq!(ahead.status, StatusCode::SERVICE_UNAVAILABLE);
    let post = phone.send(Method::POST, open, &[], "").await;
    assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
    // Whoever is in WeChat already, or at a computer, logs in as always.
    for mut browser in [
        gateway.browser_in_wechat("alice"),
        gateway.browser(agents::DESKTOP),
    ] {
        let reply = browser.get_once(open).await;
        assert_eq!(reply.reason(), "login-other-way");
        assert!(reply.header("location").contains("login?to=%2Forders"));
    }
    assert_eq!(gateway.calls("/wxa/generate_urllink"), 0);
}

#[tokio::test]
async fn when_wechat_makes_no_link_the_other_ways_are_left() {
    let gateway = gateway().await;
    let mut phone = gateway.browser(agents::PHONE);
    let faults = gateway.simulator().faults();
    for (trouble, cause) in [
        (Trouble::Errcode(40165), "WXG-WECHAT"),
        (Trouble::Errcode(85406), "WXG-WECHAT"),
        (Trouble::Garbage, "WXG-WECHAT"),
    ] {
        gateway.clock().advance(Duration::from_secs(11));
        faults.always(Endpoint::UrlLink, trouble);

        let refused = phone.get("/_wxgate/open?to=/orders").await;

        assert_eq!(refused.last().reason(), "login-not-finished");
        assert!(refused.last().cause().starts_with(cause), "{trouble:?}");
        let page = phone.press(&refused).await;
        assert_eq!(page.last().reason(), "login-elsewhere", "{trouble:?}");
        assert!(page.text().contains("id=\"address\""));
        faults.clear();
    }
}

#[tokio::test]
async fn links_are_limited_as_logins_are() {
    let gateway = gateway().await;
    let mut phone = gateway.browser(agents::PHONE);
    for number in 0..30 {
        let open = format!("/_wxgate/open?to=/orders/{number}");
        assert_eq!(phone.get_once(&open).await.reason(), "wechat-link");
    }

    let reply = phone.get_once("/_wxgate/open?to=/orders/30").await;
    assert_eq!(reply.reason(), "rate-limited");
    // What is there already costs nothing.
    let reply = phone.get_once("/_wxgate/open?to=/orders/0").await;
    assert_eq!(reply.reason(), "wechat-link");
}

#[tokio::test]
async fn without_a_mini_program_there_is_neither_button_nor_link() {
    let gateway = TestGateway::start().await;
    let mut phone = gateway.browser(agents::PHONE);

    let page = phone.get("/orders").await;

    assert_eq!(page.last().reason(), "login-elsewhere");
    assert!(!page.text().contains("id=\"action\""), "{}", page.text());
    let reply = phone.get_once("/_wxgate/open?to=/orders").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}
