//! Calls of `cgi-bin` and its like as the account: with the app-wide token, which is replaced when WeChat takes it no more.

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::access_token::AccessTokens;
use super::call::Call;
use super::kept::Kept;
use super::{App, Error};

/// WeChat's codes for an app-wide token that works no more: not the latest, malformed or void, expired.
const STALE_TOKEN: [i64; 3] = [40001, 40014, 42001];

/// A call as the account. The token is put in front of the query.
pub(super) struct AppCall<'a> {
    pub(super) endpoint: &'static str,
    pub(super) path: &'static str,
    pub(super) query: &'a [(&'static str, &'a str)],
    /// `None` is a GET.
    pub(super) body: Option<Value>,
}

impl AccessTokens {
    /// Calls WeChat as the account. A token that WeChat takes no more is replaced once, by whoever comes first.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        app: &App,
        call: &AppCall<'_>,
    ) -> Result<T, Error> {
        let token = self.kept(app).await?;
        let error = match self.call_with(app, &token, call).await {
            Err(error) if error.code().is_some_and(|code| STALE_TOKEN.contains(&code)) => error,
            answered => return answered,
        };
        if token.is_too_young_to_replace(self.keeper().now()) {
            return Err(error);
        }
        let renewed = self.renew(app, Some(token.clone())).await?;
        if renewed.value == token.value {
            return Err(error);
        }
        self.call_with(app, &renewed, call).await
    }

    /// [`call`](Self::call) for what is made anew each time. What only the operator can mend, and a quota that is used up, is not asked
    /// for again within ten seconds.
    pub(super) async fn call_unless_refused<T: DeserializeOwned>(
        &self,
        app: &App,
        call: &AppCall<'_>,
    ) -> Result<T, Error> {
        let name = format!("{}:{}", app.id.as_str(), call.endpoint);
        self.keeper().recall_refusal(&name)?;
        let answer = self.call(app, call).await;
        if let Err(error) = &answer {
            self.keeper().note_refusal(&name, error);
        }
        answer
    }

    async fn call_with<T: DeserializeOwned>(
        &self,
        app: &App,
        token: &Kept,
        call: &AppCall<'_>,
    ) -> Result<T, Error> {
        let mut query = vec![("access_token", token.value.reveal().as_str())];
        query.extend_from_slice(call.query);
        let caller = &self.client().shared.caller;
        let sent = Call {
            app,
            endpoint: call.endpoint,
            path: call.path,
            query: &query,
            deadline: Instant::now() + caller.timeout(),
            trace: None,
        };
        match &call.body {
            None => caller.send(sent).await,
            Some(body) => caller.send_json(sent, body).await,
        }
    }
}
