//! The JSON endpoints: `text/plain`, status 200 even for errors, and whatever the faults make of them.

use std::time::SystemTime;

use http::request::Parts;
use http::{Method, Response};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use super::account;
use super::app::AppKind;
use super::clients;
use super::damage;
use super::faults::{Endpoint, Switches, Trouble};
use super::query::Query;
use super::server::{self, Body, Closed};
use super::shared::{Shared, lock};
use super::tokens::{Grant, Issued, Refusal, TOKEN_LIFETIME};
use super::world::{Call, World};

impl Endpoint {
    /// The endpoint with this path; never [`Endpoint::Any`].
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/sns/oauth2/access_token" => Some(Self::Exchange),
            "/sns/oauth2/refresh_token" => Some(Self::Refresh),
            "/sns/auth" => Some(Self::Check),
            "/sns/userinfo" => Some(Self::UserInfo),
            "/cgi-bin/stable_token" => Some(Self::StableToken),
            "/cgi-bin/token" => Some(Self::Token),
            "/cgi-bin/ticket/getticket" => Some(Self::Ticket),
            "/sns/jscode2session" => Some(Self::CodeToSession),
            "/cgi-bin/qrcode/create" => Some(Self::CreateQr),
            "/wxa/generate_urllink" => Some(Self::UrlLink),
            _ => None,
        }
    }

    /// How it must be asked.
    fn method(self) -> Method {
        match self {
            Self::StableToken | Self::CreateQr | Self::UrlLink => Method::POST,
            Self::Any
            | Self::Exchange
            | Self::Refresh
            | Self::Check
            | Self::UserInfo
            | Self::CodeToSession
            | Self::Token
            | Self::Ticket => Method::GET,
        }
    }
}

/// Answers a call, or breaks the answer as the faults say.
pub(super) async fn answer(
    shared: &Shared,
    endpoint: Endpoint,
    request: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Closed> {
    let body = server::read_form(body).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let query = Query::parse(request.uri.query().unwrap_or_default());
    lock(&shared.world).record(Call {
        method: request.method.to_string(),
        path: request.uri.path().to_owned(),
        parameters: query.names().map(str::to_owned).collect(),
        has_secret: query.get("secret").is_some() || body.get("secret").is_some(),
    });
    let trouble = shared.faults.take(endpoint);
    if let Some(Trouble::Delay(delay)) = trouble {
        tokio::time::sleep(delay).await;
    }
    if let Some(broken) = trouble.map(damage::without_asking).transpose()?.flatten() {
        return Ok(broken);
    }
    let moment = Moment {
        now: shared.clock.now(),
        switches: shared.faults.switches(),
    };
    let result = if request.method == endpoint.method() {
        let asked = (&query, &body);
        respond(&mut lock(&shared.world), endpoint, asked, &moment)
    } else if endpoint == Endpoint::CodeToSession {
        // WeChat does not find the parameters of a POST.
        Err(Refusal(41002))
    } else if endpoint.method() == Method::GET {
        Err(Refusal(43001))
    } else {
        Err(Refusal(43002))
    };
    let body = result.unwrap_or_else(Refusal::to_json);
    Ok(damage::damaged(trouble, &body))
}

/// What every answer depends on.
pub(super) struct Moment {
    pub(super) now: SystemTime,
    pub(super) switches: Switches,
}

fn respond(
    world: &mut World,
    endpoint: Endpoint,
    (query, body): (&Query, &Value),
    moment: &Moment,
) -> Result<Value, Refusal> {
    match endpoint {
        Endpoint::Any => Err(Refusal(40066)),
        Endpoint::Exchange => exchange(world, query, moment),
        Endpoint::Refresh => refresh(world, query, moment),
        Endpoint::Check => {
            let (token, openid) = (
                query.need("access_token", 41001)?,
                query.need("openid", 41009)?,
            );
            world.check(token, openid, moment.now)?;
            Ok(json!({ "errcode": 0, "errmsg": "ok" }))
        }
        Endpoint::UserInfo => user_info(world, query, moment),
        Endpoint::StableToken
        | Endpoint::Token
        | Endpoint::Ticket
        | Endpoint::CreateQr
        | Endpoint::UrlLink => account::respond(world, endpoint, (query, body), moment),
        Endpoint::CodeToSession => clients::code_to_session(world, query, moment),
    }
}

fn exchange(world: &mut World, query: &Query, moment: &Moment) -> Result<Value, Refusal> {
    let appid = query.need("appid", 41002)?;
    let secret = query.need("secret", 41004)?;
    let code = query.need("code", 41008)?;
    if query.get("grant_type") != Some("authorization_code") {
        return Err(Refusal(40002));
    }
    let issued = world.exchange(appid, secret, code, moment.now, moment.switches)?;
    Ok(token_json(world, &issued, moment.switches))
}

fn refresh(world: &mut World, query: &Query, moment: &Moment) -> Result<Value, Refusal> {
    let appid = query.need("appid", 41002)?;
    let token = query.need("refresh_token", 41003)?;
    if query.get("grant_type") != Some("refresh_token") {
        return Err(Refusal(40002));
    }
    let issued = world.refresh(appid, token, moment.now)?;
    Ok(token_json(world, &issued, moment.switches))
}

fn token_json(world: &World, issued: &Issued, switches: Switches) -> Value {
    let grant = &issued.grant;
    let app = world.app(&grant.appid);
    let is_website = app.is_some_and(|app| app.kind == AppKind::Website);
    let scope = match grant.wants_profile {
        true if is_website => "snsapi_login",
        true => "snsapi_userinfo",
        false => "snsapi_base",
    };
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    add("access_token", json!(issued.access_token));
    add("expires_in", number(TOKEN_LIFETIME.as_secs(), switches));
    add("refresh_token", json!(issued.refresh_token));
    add("openid", json!(grant.person.openid(&grant.appid)));
    add("scope", json!(scope));
    if grant.is_snapshot {
        add("is_snapshotuser", number(1, switches));
    }
    let knows_unionid = issued.knows_unionid || world.base_has_unionid;
    if let Some(unionid) = unionid(world, grant, knows_unionid, switches) {
        add("unionid", json!(unionid));
    }
    Value::Object(fields)
}

fn user_info(world: &World, query: &Query, moment: &Moment) -> Result<Value, Refusal> {
    let token = query.need("access_token", 41001)?;
    let openid = query.need("openid", 41009)?;
    let grant = world.check(token, openid, moment.now)?;
    if !grant.wants_profile {
        return Err(Refusal(48001));
    }
    // As the person is called now, and not when the grant was given.
    let shown = world.person(&grant.person.name).unwrap_or(&grant.person);
    let mut value = json!({
        "openid": openid,
        "nickname": shown.nickname,
        "sex": number(0, moment.switches),
        "language": "",
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": grant.person.avatar(),
        "privilege": [],
    });
    if let (Value::Object(fields), Some(unionid)) =
        (&mut value, unionid(world, grant, true, moment.switches))
    {
        fields.insert("unionid".to_owned(), json!(unionid));
    }
    Ok(value)
}

fn unionid(world: &World, grant: &Grant, knows: bool, switches: Switches) -> Option<String> {
    knows
        .then(|| world.unionid(&grant.person, switches))
        .flatten()
}

pub(super) fn number(value: u64, switches: Switches) -> Value {
    match switches.string_numbers {
        true => json!(value.to_string()),
        false => json!(value),
    }
}

impl Refusal {
    /// As WeChat writes it: the text changes between calls and ends with an id of the request.
    pub(super) fn to_json(self) -> Value {
        let text = match self.0 {
            -1 => "system error",
            40001 => "invalid credential, access_token is invalid or not latest",
            40002 => "invalid grant_type",
            40003 => "invalid openid",
            40013 => "invalid appid",
            40014 => "invalid access_token",
            40029 => "invalid code",
            40030 => "invalid refresh_token",
            40097 => "invalid args",
            40125 => "invalid appsecret",
            40163 => "code been used",
            40164 => "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist",
            41001 => "access_token missing",
            41002 => "appid missing",
            41003 => "refresh_token missing",
            41004 => "appsecret missing",
            41008 => "missing code",
            41009 => "missing openid",
            42001 => "access_token expired",
            42002 => "refresh_token expired",
            42003 => "oauth_code expired",
            43001 => "require GET method",
            43002 => "require POST method",
            45009 => "reach max api daily quota limit",
            45011 => "api minute-quota reach limit, must slower, retry next minute",
            47001 => "data format error",
            48001 => "api unauthorized",
            _ => "refused",
        };
        json!({ "errcode": self.0, "errmsg": format!("{text}, rid: 65f2a1b0-51c2d3e4-7a8b9c0d") })
    }
}

impl Query {
    /// A parameter that must be there and not empty.
    pub(super) fn need(&self, name: &str, missing: i64) -> Result<&str, Refusal> {
        self.get(name).ok_or(Refusal(missing))
    }
}
