//! What WeChat gives to an app as a whole: tokens for `cgi-bin`, tickets for pages.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::api::{Moment, number};
use super::app::AppKind;
use super::faults::Endpoint;
use super::query::Query;
use super::scene;
use super::tokens::{Refusal, random_token, random_word};
use super::url_link;
use super::world::World;

/// How long tokens and tickets live.
const LIFETIME: Duration = Duration::from_secs(7200);

/// So long before the end of a stable token there is a new one; both work until then.
const OVERLAP: Duration = Duration::from_secs(300);

/// Tokens and tickets of all apps.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// By token: whose, and until when.
    tokens: HashMap<String, (String, SystemTime)>,
    /// By appid: the latest one of `stable_token`.
    stable: HashMap<String, String>,
    /// By appid: the only one of `token`.
    legacy: HashMap<String, String>,
    /// By appid.
    tickets: HashMap<String, (String, SystemTime)>,
}

impl Account {
    fn issue(&mut self, appid: &str, now: SystemTime) -> String {
        self.tokens
            .retain(|_, (_, expires)| *expires + LIFETIME > now);
        let token = random_token();
        self.tokens
            .insert(token.clone(), (appid.to_owned(), now + LIFETIME));
        token
    }

    /// The token that lasts longest and how many seconds are left of it.
    fn stable(&mut self, appid: &str, now: SystemTime) -> (String, u64) {
        let known = self.stable.get(appid).and_then(|token| {
            let (_, expires) = self.tokens.get(token)?;
            let left = expires.duration_since(now).ok()?;
            (left > OVERLAP).then(|| (token.clone(), left.as_secs()))
        });
        known.unwrap_or_else(|| {
            let token = self.issue(appid, now);
            self.stable.insert(appid.to_owned(), token.clone());
            (token, LIFETIME.as_secs())
        })
    }

    /// A new token; the one before is void.
    fn legacy(&mut self, appid: &str, now: SystemTime) -> String {
        let token = self.issue(appid, now);
        if let Some(void) = self.legacy.insert(appid.to_owned(), token.clone()) {
            self.tokens.remove(&void);
        }
        token
    }

    /// Every token of an app is void from now on.
    pub(super) fn void_tokens(&mut self, appid: &str) {
        self.tokens.retain(|_, (owner, _)| owner != appid);
    }

    /// Whose token it is.
    pub(super) fn owner(&self, token: &str, now: SystemTime) -> Result<&str, Refusal> {
        let (owner, expires) = self.tokens.get(token).ok_or(Refusal(40001))?;
        match *expires > now {
            true => Ok(owner),
            false => Err(Refusal(42001)),
        }
    }

    fn ticket(&mut self, appid: &str, now: SystemTime) -> (String, u64) {
        let known = self.tickets.get(appid).and_then(|(ticket, expires)| {
            let left = expires.duration_since(now).ok()?;
            (left > OVERLAP).then(|| (ticket.clone(), left.as_secs()))
        });
        known.unwrap_or_else(|| {
            let ticket = format!("{}-{}", random_word(), random_word());
            self.tickets
                .insert(appid.to_owned(), (ticket.clone(), now + LIFETIME));
            (ticket, LIFETIME.as_secs())
        })
    }

    /// Whether WeChat's client would take what a page gives to `wx.config`.
    pub(super) fn accepts(
        &self,
        appid: &str,
        (nonce, timestamp, signature): (&str, u64, &str),
        url: &str,
    ) -> bool {
        self.tickets.get(appid).is_some_and(|(ticket, _)| {
            let parts = [
                ("jsapi_ticket", ticket.as_str()),
                ("noncestr", nonce),
                ("timestamp", &timestamp.to_string()),
                ("url", url),
            ];
            let pairs = parts.map(|(name, value)| [name, value].join("="));
            let text = pairs.join("&");
            HEXLOWER.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
                == signature
        })
    }
}

/// Answers an endpoint of `cgi-bin`. `body` is the JSON of a POST.
pub(super) fn respond(
    world: &mut World,
    endpoint: Endpoint,
    (query, body): (&Query, &Value),
    moment: &Moment,
) -> Result<Value, Refusal> {
    // The list of addresses is looked at before anything else.
    if moment.switches.wrong_ip {
        return Err(Refusal(40164));
    }
    match endpoint {
        Endpoint::StableToken => stable_token(world, body, moment),
        Endpoint::Token => token(world, query, moment),
        Endpoint::Ticket => ticket(world, query, moment),
        Endpoint::CreateQr => scene::create(world, query, body, moment),
        Endpoint::UrlLink => url_link::generate(world, query, body, moment),
        Endpoint::Any
        | Endpoint::Exchange
        | Endpoint::Refresh
        | Endpoint::Check
        | Endpoint::UserInfo
        | Endpoint::CodeToSession => Err(Refusal(40066)),
    }
}

/// The appid of whoever posts with an app-wide token of an app of this kind.
pub(super) fn caller(
    world: &mut World,
    kind: AppKind,
    (query, body): (&Query, &Value),
    moment: &Moment,
) -> Result<String, Refusal> {
    let token = query.need("access_token", 41001)?;
    let appid = world.account().owner(token, moment.now)?.to_owned();
    let app = world.app(&appid).ok_or(Refusal(40013))?;
    if app.kind != kind {
        return Err(Refusal(48001));
    }
    if !body.is_object() {
        return Err(Refusal(47001));
    }
    Ok(appid)
}

fn stable_token(world: &mut World, body: &Value, moment: &Moment) -> Result<Value, Refusal> {
    let field = |name: &str, missing| {
        let text = body.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).ok_or(Refusal(missing))
    };
    let (appid, secret) = (field("appid", 41002)?, field("secret", 41004)?);
    if body["grant_type"] != "client_credential" {
        return Err(Refusal(40002));
    }
    // Optional by the documentation; developers got "appid missing" without it.
    if !body["force_refresh"].is_boolean() {
        return Err(Refusal(41002));
    }
    world.check_secret(appid, secret, moment.switches)?;
    let (token, left) = world.account().stable(appid, moment.now);
    Ok(token_json(&token, left, moment))
}

fn token(world: &mut World, query: &Query, moment: &Moment) -> Result<Value, Refusal> {
    let appid = query.need("appid", 41002)?;
    let secret = query.need("secret", 41004)?;
    if query.get("grant_type") != Some("client_credential") {
        return Err(Refusal(40002));
    }
    world.check_secret(appid, secret, moment.switches)?;
    let token = world.account().legacy(appid, moment.now);
    Ok(token_json(&token, LIFETIME.as_secs(), moment))
}

fn token_json(token: &str, left: u64, moment: &Moment) -> Value {
    json!({
        "access_token": token,
        "expires_in": number(left, moment.switches),
    })
}

fn ticket(world: &mut World, query: &Query, moment: &Moment) -> Result<Value, Refusal> {
    let token = query.need("access_token", 41001)?;
    if query.get("type") != Some("jsapi") {
        return Err(Refusal(40097));
    }
    let appid = world.account().owner(token, moment.now)?.to_owned();
    let (ticket, left) = world.account().ticket(&appid, moment.now);
    Ok(json!({
        "errcode": number(0, moment.switches),
        "errmsg": "ok",
        "ticket": ticket,
        "expires_in": number(left, moment.switches),
    }))
}
