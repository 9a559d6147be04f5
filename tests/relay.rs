//! One callback domain for many hosts: only listed ones, only the browser that began, each ticket once.

use std::time::Duration;

use url::Url;
use wxgate::simulator::{AppKind, Endpoint, Trouble};

use crate::support::{APP_ID, APP_SECRET, Browser, Setup, TestGateway, agents};

const SHOP: &str = "https://shop.example.test/orders?id=1";

fn relaying(setup: &mut Setup) {
    setup.server = "extra_hosts = [\"other.example.test\"]".to_owned();
    setup.sections =
        "[relay]\nhosts = [\"shop.example.test\", \"*.sites.example.test\"]".to_owned();
}

/// WeChat knows the public host only.
async fn gateway() -> TestGateway {
    let gateway = TestGateway::with(relaying).await;
    gateway
        .simulator()
        .add_app(APP_ID, APP_SECRET, &["www.example.test"]);
    gateway
}

/// As far as the address with the ticket, which is not asked for.
async fn up_to_the_ticket(browser: &mut Browser) -> Url {
    let (_, callback) = browser.get_until(SHOP, "/_wxgate/callback/main").await;
    let reply = browser.get_once(callback.as_str()).await;
    assert_eq!(reply.reason(), "relay-hand-over", "{}", reply.text());
    callback.join(reply.header("location")).unwrap()
}

fn is_session_of(browser: &Browser, host: &str) -> bool {
    browser.cookie_of(host, "__Host-wxgate").is_some()
}

#[tokio::test]
async fn a_visitor_of_a_listed_host_is_identified_at_the_public_host() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");

    let visit = alice.get(SHOP).await;

    visit.assert_ok();
    assert_eq!(visit.url().as_str(), format!("{SHOP}#"));
    let hosts: Vec<_> = visit
        .hops
        .iter()
        .map(|hop| hop.host_str().unwrap())
        .collect();
    assert_eq!(hosts[0], "shop.example.test");
    assert_eq!(hosts[1], "www.example.test");
    assert_eq!(
        &hosts[3..],
        ["www.example.test", "shop.example.test", "shop.example.test"]
    );
    let alice_id = gateway.simulator().person("alice").unwrap().openid(APP_ID);
    assert_eq!(
        gateway.upstream().last().header("x-wechat-openid"),
        alice_id
    );
    assert!(is_session_of(&alice, "shop.example.test"));
    assert!(
        !is_session_of(&alice, "www.example.test"),
        "handed over, not kept"
    );
    // Neither code nor openid nor session is in any address of the shop.
    for hop in visit
        .hops
        .iter()
        .filter(|hop| hop.host_str() == Some("shop.example.test"))
    {
        assert!(
            !hop.as_str().contains("code=") && !hop.as_str().contains(&alice_id),
            "{hop}"
        );
    }
    alice.get(SHOP).await.assert_ok();
    assert_eq!(gateway.simulator().logins(), 1);
}

#[tokio::test]
async fn hosts_below_a_listed_one_and_profiles_work_too() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");

    let page = alice.get("https://a.sites.example.test/member").await;
    alice.press(&page).await.assert_ok();

    assert_ne!(gateway.upstream().last().header("x-wechat-nickname"), "");
    assert!(is_session_of(&alice, "a.sites.example.test"));
}

#[tokio::test]
async fn a_ticket_works_once() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let ticket = up_to_the_ticket(&mut alice).await;
    let mut copy = alice.clone();

    alice.get(ticket.as_str()).await.assert_ok();
    let again = copy.get_once(ticket.as_str()).await;

    assert_eq!(
        (again.status.as_u16(), again.cause()),
        (401, "WXG-LOGIN-STATE")
    );
    assert!(!is_session_of(&copy, "shop.example.test"));
    // Who is logged in and loads the address again just goes on.
    alice.get(ticket.as_str()).await.assert_ok();
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_session() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let ticket = up_to_the_ticket(&mut alice).await;
    let tries = (0..20).map(|_| {
        let mut copy = alice.clone();
        let ticket = ticket.to_string();
        async move {
            let reply = copy.get_once(&ticket).await;
            reply.set_cookies("__Host-wxgate").len()
        }
    });

    let sessions: usize = futures_util::future::join_all(tries)
        .await
        .into_iter()
        .sum();

    assert_eq!(sessions, 1);
}

#[tokio::test]
async fn a_stolen_ticket_is_useless_and_does_not_hurt_its_owner() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let ticket = up_to_the_ticket(&mut alice).await;
    // One with no cookie, and one that has begun a login of its own on the same host.
    let stranger = gateway.browser_in_wechat("mallory");
    let mut prepared = gateway.browser_in_wechat("mallory");
    up_to_the_ticket(&mut prepared).await;
    for mut thief in [stranger, prepared] {
        let reply = thief.get_once(ticket.as_str()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.cause()),
            (401, "WXG-LOGIN-STATE")
        );
        assert!(!is_session_of(&thief, "shop.example.test"));
    }

    alice.get(ticket.as_str()).await.assert_ok();
}

#[tokio::test]
async fn a_ticket_is_nothing_on_another_host() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let ticket = up_to_the_ticket(&mut alice).await;
    for host in [
        "a.sites.example.test",
        "www.example.test",
        "other.example.test",
    ] {
        let mut elsewhere = ticket.clone();
        elsewhere.set_host(Some(host)).unwrap();
        // Even with the right cookies under that name.
        let mut moved = alice.clone();
        moved.copy_cookies("shop.example.test", host);
        let reply = moved.get_once(elsewhere.as_str()).await;
        assert!(reply.status.is_client_error(), "{host}");
        assert!(!is_session_of(&moved, host), "{host}");
    }
    alice.get(ticket.as_str()).await.assert_ok();
}

#[tokio::test]
async fn a_ticket_ends_after_thirty_seconds() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let ticket = up_to_the_ticket(&mut alice).await;

    gateway.clock().advance(Duration::from_secs(31));

    let reply = alice.get_once(ticket.as_str()).await;
    assert_eq!(
        (reply.status.as_u16(), reply.cause()),
        (401, "WXG-LOGIN-STATE")
    );
    assert!(!is_session_of(&alice, "shop.example.test"));
}

#[tokio::test]
async fn an_unlisted_host_is_refused() {
    let mut gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    // It is not sent through the public host, so WeChat refuses what it does not know.
    let (visit, _) = alice
        .get_until(
            "https://other.example.test/orders",
            "/connect/oauth2/authorize",
        )
        .await;
    assert_eq!(visit.hops.len(), 1);

    // Neither words nor the token of a host that was listed once lead anywhere.
    let (_, start) = alice.get_until(SHOP, "/_wxgate/relay").await;
    let forged = [
        "https://www.example.test/_wxgate/relay?start_token=x",
        "https://www.example.test/_wxgate/relay?to=https://evil.example/",
        "https://www.example.test/_wxgate/relay?start_token=https://evil.example/",
        "https://www.example.test/_wxgate/relay",
    ];
    for address in forged {
        let reply = alice.get_once(address).await;
        assert_eq!(
            (reply.status.as_u16(), reply.reason()),
            (403, "relay-refused"),
            "{address}"
        );
    }
    // Nor does another host than the public one send anybody to WeChat.
    let mut elsewhere = start.clone();
    elsewhere.set_host(Some("shop.example.test")).unwrap();
    assert_eq!(
        alice.get_once(elsewhere.as_str()).await.reason(),
        "relay-refused"
    );

    let mut setup = Setup::default();
    relaying(&mut setup);
    setup.sections = "[relay]\nhosts = [\"*.sites.example.test\"]".to_owned();
    setup.server = "extra_hosts = [\"other.example.test\", \"shop.example.test\"]".to_owned();
    gateway.restart(&setup).await;
    alice.follow(&gateway);
    let reply = alice.get_once(start.as_str()).await;
    assert_eq!(
        (reply.status.as_u16(), reply.reason()),
        (403, "relay-unlisted")
    );
    assert!(!reply.headers.contains_key("location"));
}

#[tokio::test]
async fn an_old_start_begins_anew_and_trouble_leads_back() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let (_, start) = alice.get_until(SHOP, "/_wxgate/relay").await;
    gateway.clock().advance(Duration::from_secs(121));
    let late = alice.get(start.as_str()).await;
    late.assert_ok();
    assert_eq!(late.url().as_str(), format!("{SHOP}#"));

    for (trouble, status, cause) in [
        (Trouble::Errcode(40013), 500, "WXG-LOGIN-SETUP"),
        (Trouble::Errcode(40226), 403, "WXG-LOGIN-BLOCKED"),
        (Trouble::Status(503), 502, "WXG-WECHAT-TROUBLE"),
    ] {
        let mut bob = gateway.browser_in_wechat("bob");
        gateway
            .simulator()
            .faults()
            .next(Endpoint::Exchange, trouble);
        let page = bob.get(SHOP).await;
        page.assert_page(status, cause);
        if status == 502 {
            let visit = bob.press(&page).await;
            visit.assert_ok();
            assert_eq!(visit.url().as_str(), format!("{SHOP}#"));
        }
    }
}

#[tokio::test]
async fn a_refused_consent_and_a_used_code_end_well() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    gateway
        .simulator()
        .faults()
        .change(|switches| switches.refuse = true);
    let page = alice.get(SHOP).await;
    page.assert_page(401, "WXG-LOGIN-CANCELLED");
    gateway.simulator().faults().clear();
    let visit = alice.press(&page).await;
    visit.assert_ok();

    let mut bob = gateway.browser_in_wechat("bob");
    gateway
        .simulator()
        .faults()
        .next(Endpoint::Exchange, Trouble::Errcode(40163));
    bob.get(SHOP).await.assert_ok();
    // And for ever used codes end at a page, not in a loop.
    let mut carol = gateway.browser_in_wechat("carol");
    gateway
        .simulator()
        .faults()
        .always(Endpoint::Exchange, Trouble::Errcode(40163));
    let end = carol.get(SHOP).await;
    assert!(end.last().cause().starts_with("WXG-"), "{}", end.text());
}

#[tokio::test]
async fn a_callback_that_comes_twice_still_ends_at_the_target() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let (_, callback) = alice.get_until(SHOP, "/_wxgate/callback/main").await;
    let mut second = alice.clone();
    alice.get(callback.as_str()).await.assert_ok();

    second.get(callback.as_str()).await.assert_ok();

    assert_eq!(gateway.simulator().logins(), 1, "exchanged once");
}

#[tokio::test]
async fn nobody_without_the_cookie_gets_a_ticket_out_of_a_callback() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let (_, callback) = alice.get_until(SHOP, "/_wxgate/callback/main").await;

    let mut refetcher = gateway.browser_in_wechat("alice");
    let reply = refetcher.get_once(callback.as_str()).await;

    assert_eq!(reply.reason(), "relay-again");
    assert!(!reply.header("location").contains("ticket="));
    assert_eq!(gateway.simulator().logins(), 0, "the code is not burnt");
    alice.get(callback.as_str()).await.assert_ok();
}

const SITE_ID: &str = "wxfedcba9876543210";

/// The same with a website app, whose callback domain is the public host.
async fn with_website() -> TestGateway {
    let gateway = TestGateway::with(|setup| {
        relaying(setup);
        setup.sections.push_str(&format!(
            "\n[wechat.site]\nkind = \"website\"\napp_id = \"{SITE_ID}\"\nsecret = \"{APP_SECRET}\"\n"
        ));
    })
    .await;
    let simulator = gateway.simulator();
    simulator.add_app_of_kind(AppKind::Website, SITE_ID, APP_SECRET, &["www.example.test"]);
    simulator.add_person("alice");
    gateway
}

#[tokio::test]
async fn a_desktop_visitor_of_a_listed_host_uses_the_website_app_of_the_public_host() {
    let gateway = with_website().await;
    let mut alice = Browser::new(&gateway, agents::DESKTOP, "alice");
    let page = alice.get(SHOP).await;
    assert_eq!(page.last().reason(), "login-page", "{}", page.text());
    // A frame would bring no cookie of the public host.
    assert!(!page.text().contains("<iframe"), "{}", page.text());

    let visit = alice.press(&page).await;

    visit.assert_ok();
    assert_eq!(visit.url().as_str(), format!("{SHOP}#"));
    let person = gateway.simulator().person("alice").unwrap();
    let seen = gateway.upstream().last();
    assert_eq!(seen.header("x-wechat-openid"), person.openid(SITE_ID));
    assert!(!seen.header("x-wechat-nickname").is_empty());
    assert!(is_session_of(&alice, "shop.example.test"));
    assert!(!is_session_of(&alice, "www.example.test"));
    let at_shop = |hop: &&Url| hop.host_str() == Some("shop.example.test");
    for hop in visit.hops.iter().filter(at_shop) {
        assert!(!hop.as_str().contains("code="), "{hop}");
    }
}

#[tokio::test]
async fn a_stolen_ticket_of_a_website_app_is_useless() {
    let gateway = with_website().await;
    let mut alice = Browser::new(&gateway, agents::DESKTOP, "alice");
    let page = alice.get(SHOP).await;
    let (_, callback) = alice
        .get_until(&page.last().action(), "/_wxgate/callback/site")
        .await;
    let reply = alice.get_once(callback.as_str()).await;
    assert_eq!(reply.reason(), "relay-hand-over", "{}", reply.text());
    let ticket = reply.header("location").to_owned();
    let mut mallory = Browser::new(&gateway, agents::DESKTOP, "mallory");
    mallory.get(SHOP).await;

    let stolen = mallory.get_once(&ticket).await;

    assert_eq!(stolen.cause(), "WXG-LOGIN-STATE");
    assert!(!is_session_of(&mallory, "shop.example.test"));
    alice.get(&ticket).await.assert_ok();
}
