//! Login inside WeChat, through the whole gateway and the simulator.

use crate::support::TestGateway;

#[tokio::test]
async fn returning_visitor_is_not_sent_to_wechat_again() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");

    alice.get("/orders").await.assert_ok();
    let logins = gateway.simulator().logins();

    alice.get("/orders").await.assert_ok();
    assert_eq!(logins, 1);
    assert_eq!(gateway.simulator().logins(), logins);
}
