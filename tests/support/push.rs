//! WeChat's side of message push: an account, and what it sends.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use wxgate::simulator::{Push, PushAccount};

use super::{Reply, TestGateway, exchange};

pub(crate) const PUSH_TOKEN: &str = "pushtoken";
pub(crate) const PUSH_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

/// The line of an app whose messages come to the gateway; `more` are keys of `push`.
pub(crate) fn push_keys(more: &str) -> String {
    format!("push = {{ token = \"{PUSH_TOKEN}\", aes_key = \"{PUSH_KEY}\", {more} }}")
}

/// An account that seals its messages, or pushes plain ones.
pub(crate) fn push_account(appid: &str, is_sealed: bool, is_json: bool) -> PushAccount {
    let key = is_sealed.then(|| {
        let mut lenient = data_encoding::BASE64.specification();
        lenient.check_trailing_bits = false;
        let lenient = lenient.encoding().unwrap();
        let bytes = lenient.decode(format!("{PUSH_KEY}=").as_bytes());
        bytes.unwrap().try_into().unwrap()
    });
    PushAccount {
        appid: appid.to_owned(),
        token: PUSH_TOKEN.to_owned(),
        key,
        is_json,
    }
}

/// Sends a push to the endpoint of the app with this name.
pub(crate) async fn send_push(gateway: &TestGateway, app: &str, push: &Push) -> Reply {
    let request = Request::post(format!("/_wxgate/push/{app}?{}", push.query))
        .header("host", "www.example.test")
        .body(Full::from(Bytes::from(push.body.clone())))
        .unwrap();
    exchange(gateway.address(), request).await
}
