//! Somebody who is logged in, without a word to the site.

use http::{Method, Request};
use http_body_util::Full;

use super::{APP_ID, Browser, TestGateway, exchange};

/// A browser in WeChat whose person is logged in.
pub(crate) async fn logged_in(gateway: &TestGateway, person: &str) -> Browser {
    let mut browser = gateway.browser_in_wechat(person);
    browser.get_until("/_wxgate/login?to=/site", "/site").await;
    browser
}

/// The same for a site whose answers never end: it is not asked.
pub(crate) async fn logged_in_at_the_door(gateway: &TestGateway, person: &str) -> Browser {
    let mut browser = gateway.browser_in_wechat(person);
    let (_, back) = browser
        .get_until("/_wxgate/login?to=/live", "/_wxgate/callback/main")
        .await;
    let reply = browser.get_once(back.as_str()).await;
    assert!(reply.status.is_redirection(), "{}", reply.text());
    browser
}

/// Logs out as our own page does, on this device.
pub(crate) async fn log_out(gateway: &TestGateway, browser: &mut Browser) {
    leave(gateway, browser, "/_wxgate/logout").await;
}

/// The same on every device of the person.
pub(crate) async fn log_out_everywhere(gateway: &TestGateway, browser: &mut Browser) {
    leave(gateway, browser, "/_wxgate/logout?everywhere=1").await;
}

async fn leave(gateway: &TestGateway, browser: &mut Browser, address: &str) {
    let origin = [
        ("origin", gateway.public_url()),
        ("accept", "application/json"),
    ];
    let reply = browser.send(Method::POST, address, &origin, "").await;
    assert_eq!(reply.reason(), "logged-out", "{}", reply.text());
}

/// Ends a person's sessions as an operator does.
pub(crate) async fn end_sessions(gateway: &TestGateway, person: &str) {
    let openid = gateway.simulator().person(person).unwrap().openid(APP_ID);
    let order = Request::post(format!("/sessions/revoke?openid={openid}"))
        .header("host", "localhost")
        .header("x-wxgate-admin", "1")
        .body(Full::default())
        .unwrap();
    let reply = exchange(gateway.admin_address(), order).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}
