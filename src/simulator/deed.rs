//! People who change their mind at WeChat, and the messages about it.

use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use super::chat;
use super::phone;
use super::server::{self, Body};
use super::shared::{Shared, lock};

/// What a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Deed {
    /// Takes the consent for an app back.
    Withdraw,
    /// Is called something else from now on.
    Rename,
    /// Closes the account.
    Close,
}

/// `{"app_id": …, "person": …, "deed": …}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    app_id: String,
    person: String,
    deed: Deed,
    /// For [`Deed::Rename`].
    #[serde(default)]
    nickname: Option<String>,
}

impl Deed {
    /// As WeChat calls it.
    fn event(self) -> &'static str {
        match self {
            Self::Withdraw => "user_authorization_revoke",
            Self::Rename => "user_info_modified",
            Self::Close => "user_authorization_cancellation",
        }
    }
}

/// `POST /sim/person`: a person does something, and the server of the app's operator hears of it.
pub(super) async fn act(shared: &Shared, headers: &HeaderMap, body: Incoming) -> Response<Body> {
    let order: Order = match phone::read_json(headers, body).await {
        Ok(order) => order,
        Err(refusal) => return refusal,
    };
    let refuse = |status, reason: &str| server::json(status, &json!({ "error": reason }));
    let person = lock(&shared.world).person(&order.person).cloned();
    let target = lock(&shared.world).push_target(&order.app_id).cloned();
    let (Some(person), Some(target)) = (person, target) else {
        let reason = "no such person, or no address for the messages of this app";
        return refuse(StatusCode::NOT_FOUND, reason);
    };
    if let (Deed::Rename, Some(nickname)) = (order.deed, &order.nickname) {
        lock(&shared.world).set_nickname(&person.name, nickname);
    }
    // Only closing the account is about all apps.
    let unionid = (order.deed == Deed::Close).then(|| person.unionid());
    let (event, openid) = (order.deed.event(), person.openid(&order.app_id));
    let now = shared.clock.now();
    let account = target.account();
    let push = account.consent(event, &openid, unionid.as_deref(), now);
    match chat::send(&target, &push.query, &push.body).await {
        Some(reply) => server::json(StatusCode::OK, &json!({ "event": event, "reply": reply })),
        None => refuse(
            StatusCode::BAD_GATEWAY,
            "the operator's server did not take it",
        ),
    }
}
