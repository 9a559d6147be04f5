//! The app-wide token for `cgi-bin` calls: one for all nodes, fetched once.
//!
//! <https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken>

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::Call;
use super::fields::integer;
use super::kept::{Keeper, Kept, Turn};
use super::{App, Client, Error, TokenMode, TokenServer};
use crate::clock::Clock;
use crate::observe::Metrics;
use crate::seal::Sealer;
use crate::secret::Secret;
use crate::store::Store;

/// A token in the hands of somebody who may call WeChat as the account.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The token.
    pub value: Secret<String>,
    /// When WeChat stops taking it.
    pub expires_at: SystemTime,
}

/// The tokens of all apps; cheap to clone.
///
/// A fetch runs in a task of its own: when the one who asked goes away, the next one gets what it brings.
#[derive(Clone, Debug)]
pub struct AccessTokens {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    keeper: Keeper,
    metrics: Arc<Metrics>,
}

impl AccessTokens {
    /// With these parts. `sealer` must be the same on all nodes that share the store.
    pub fn new(
        client: Client,
        store: Store,
        sealer: Arc<Sealer>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        // A ticket may need a token first.
        let patience = client.timeout() * 3;
        Self {
            shared: Arc::new(Shared {
                keeper: Keeper::new(store, sealer, clock, patience),
                client,
                metrics,
            }),
        }
    }

    /// The app's token; fetched when there is none that lasts five minutes more.
    pub async fn access_token(&self, app: &App) -> Result<AccessToken, Error> {
        let kept = self.kept(app).await?;
        Ok(AccessToken {
            value: kept.value,
            expires_at: kept.expires_at,
        })
    }

    /// The app's token as it is kept; fetched when there is none.
    pub(super) async fn kept(&self, app: &App) -> Result<Kept, Error> {
        match self.shared.keeper.get(&name(app), None).await? {
            Some(kept) => Ok(kept),
            None => self.renew(app, None).await,
        }
    }

    /// A new token in the place of `unfit`.
    pub(super) async fn renew(&self, app: &App, unfit: Option<Kept>) -> Result<Kept, Error> {
        let (tokens, app) = (self.clone(), app.clone());
        let renewing = async move { tokens.fetch_in_turn(&app, unfit.as_ref()).await };
        self.in_a_task(renewing).await
    }

    async fn fetch_in_turn(&self, app: &App, unfit: Option<&Kept>) -> Result<Kept, Error> {
        let keeper = &self.shared.keeper;
        let lease = match keeper.turn(&name(app), unfit).await? {
            Turn::Kept(kept) => return Ok(kept),
            Turn::Yours(lease) => lease,
        };
        let fetched = self.fetch(app).await;
        let kept = keeper.finish(lease, fetched).await;
        self.count(app, "access", &kept);
        kept
    }

    async fn fetch(&self, app: &App) -> Result<(Secret<String>, Duration), Error> {
        let caller = &self.shared.client.shared.caller;
        let deadline = Instant::now() + caller.timeout();
        let answer: TokenAnswer = match &app.token {
            TokenMode::Stable => return self.shared.client.stable_token(app).await,
            TokenMode::Legacy => {
                let call = Call {
                    app,
                    endpoint: "token",
                    path: "/cgi-bin/token",
                    query: &[
                        ("grant_type", "client_credential"),
                        ("appid", app.id.as_str()),
                        ("secret", app.secret.reveal().as_str()),
                    ],
                    deadline,
                    trace: None,
                };
                caller.send(call).await?
            }
            TokenMode::External(server) => {
                return self.shared.client.token_of_server(app, server).await;
            }
        };
        answer.into_token()
    }

    /// Waits for a task that goes on when the one who asked is gone.
    pub(super) async fn in_a_task(
        &self,
        work: impl Future<Output = Result<Kept, Error>> + Send + 'static,
    ) -> Result<Kept, Error> {
        match tokio::spawn(work).await {
            Ok(kept) => kept,
            // It can only have panicked, or the program is ending.
            Err(_) => Err(Error::Timeout(self.shared.client.timeout())),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.shared.client
    }

    pub(super) fn keeper(&self) -> &Keeper {
        &self.shared.keeper
    }

    pub(super) fn count(&self, app: &App, token: &'static str, kept: &Result<Kept, Error>) {
        let expires_at = kept.as_ref().ok().map(|kept| kept.expires_at);
        self.shared
            .metrics
            .wechat_token_refreshed(app.name.as_str(), token, expires_at);
    }
}

impl Client {
    /// The app's token of the operator's own token server, and how long it is good.
    pub async fn token_of_server(
        &self,
        app: &App,
        server: &TokenServer,
    ) -> Result<(Secret<String>, Duration), Error> {
        let answer: TokenAnswer = self.shared.caller.ask_token_server(app, server).await?;
        answer.into_token()
    }

    /// The app's token by `cgi-bin/stable_token`, and how long it is good. Never forces a new one, so asking disturbs nobody.
    pub async fn stable_token(&self, app: &App) -> Result<(Secret<String>, Duration), Error> {
        let caller = &self.shared.caller;
        let call = Call {
            app,
            endpoint: "stable_token",
            path: "/cgi-bin/stable_token",
            query: &[],
            deadline: Instant::now() + caller.timeout(),
            trace: None,
        };
        // Without the optional `force_refresh` WeChat has answered that the appid was missing.
        let body = json!({
            "grant_type": "client_credential",
            "appid": app.id.as_str(),
            "secret": app.secret.reveal(),
            "force_refresh": false,
        });
        let answer: TokenAnswer = caller.send_json(call, &body).await?;
        answer.into_token()
    }
}

/// Where the token of an app is kept; another mode has another token.
fn name(app: &App) -> String {
    let mode = match app.token {
        TokenMode::Stable => "stable",
        TokenMode::Legacy => "legacy",
        TokenMode::External(_) => "external",
    };
    format!("{}:token:{mode}", app.id.as_str())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenAnswer {
    access_token: Value,
    expires_in: Value,
}

impl TokenAnswer {
    fn into_token(self) -> Result<(Secret<String>, Duration), Error> {
        value_and_lifetime(self.access_token, "access_token", &self.expires_in)
    }
}

/// A value that WeChat gives for some seconds.
pub(super) fn value_and_lifetime(
    value: Value,
    field: &'static str,
    expires_in: &Value,
) -> Result<(Secret<String>, Duration), Error> {
    let value = match value {
        Value::String(value) if is_token(&value) => Secret::new(value),
        _ => return Err(Error::Field(field)),
    };
    let seconds = integer(expires_in)
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| (1..=MOST_SECONDS).contains(seconds))
        .ok_or(Error::Field("expires_in"))?;
    Ok((value, Duration::from_secs(seconds)))
}

/// A day; real ones say two hours.
const MOST_SECONDS: u64 = 86_400;

/// At most 512 characters are promised; nothing that could leave a query or a header.
fn is_token(text: &str) -> bool {
    (1..=1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
