//! Codes of an account with a scene in them: what `qrcode/create` makes, who reads them, and who follows whom.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use fast_qr::QRBuilder;
use fast_qr::convert::svg::SvgBuilder;
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::account;
use super::api::{Moment, number};
use super::app::AppKind;
use super::query::Query;
use super::server::{self, Body};
use super::shared::{Shared, lock};
use super::tokens::{Refusal, random_token, random_word};
use super::world::World;

/// Where the picture of a code is, for everybody who knows its ticket.
pub(super) const SHOW: &str = "/cgi-bin/showqrcode";

/// How long a code lives when nobody says.
const DEFAULT_SECONDS: u64 = 60;

/// How long a temporary code may live: 30 days.
const MOST_SECONDS: u64 = 2_592_000;

/// Characters of a scene.
const LONGEST_SCENE: usize = 64;

/// The most codes at once; the oldest one goes.
const MOST_CODES: usize = 1000;

/// A code that somebody read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedCode {
    /// The account that made it.
    pub appid: String,
    /// Who read it, as that account knows the person.
    pub openid: String,
    /// What the code holds.
    pub url: String,
    /// What the account put into it.
    pub scene: String,
    /// Names it.
    pub ticket: String,
    /// Whether the person follows the account only since now.
    pub is_new: bool,
}

#[derive(Clone, Debug)]
struct Code {
    appid: String,
    scene: String,
    ticket: String,
    url: String,
    expires: SystemTime,
}

/// Codes and followers of all accounts.
#[derive(Debug, Default)]
pub(super) struct Scenes {
    codes: Vec<Code>,
    /// App and person.
    followers: HashSet<(String, String)>,
}

impl Scenes {
    fn add(&mut self, appid: &str, scene: &str, lifetime: Duration, now: SystemTime) -> &Code {
        self.codes.retain(|code| code.expires > now);
        if self.codes.len() >= MOST_CODES {
            self.codes.remove(0);
        }
        self.codes.push(Code {
            appid: appid.to_owned(),
            scene: scene.to_owned(),
            ticket: format!("gQ{}==", random_token()),
            url: format!("http://weixin.qq.com/q/{}", random_word()),
            expires: now + lifetime,
        });
        &self.codes[self.codes.len() - 1]
    }

    /// The code that was made last and is still good.
    fn latest(&self, now: SystemTime) -> Option<&Code> {
        self.codes.iter().rev().find(|code| code.expires > now)
    }
}

impl World {
    /// A person reads the code that was made last, and follows its account from now on.
    pub(super) fn scan(&mut self, person: &str, now: SystemTime) -> Option<ScannedCode> {
        let code = self.scenes.latest(now)?.clone();
        let openid = self.person(person)?.openid(&code.appid);
        let follower = (code.appid.clone(), person.to_owned());
        Some(ScannedCode {
            is_new: self.scenes.followers.insert(follower),
            appid: code.appid,
            openid,
            url: code.url,
            scene: code.scene,
            ticket: code.ticket,
        })
    }
}

/// `POST /cgi-bin/qrcode/create`
pub(super) fn create(
    world: &mut World,
    query: &Query,
    body: &Value,
    moment: &Moment,
) -> Result<Value, Refusal> {
    let appid = account::caller(world, AppKind::ServiceAccount, (query, body), moment)?;
    let scene = body["action_info"]["scene"]["scene_str"].as_str();
    let scene = scene.filter(|scene| (1..=LONGEST_SCENE).contains(&scene.chars().count()));
    // Permanent codes are few; nobody should use them up by logging in.
    let scene = scene.filter(|_| body["action_name"] == "QR_STR_SCENE");
    let seconds = match &body["expire_seconds"] {
        Value::Null => Some(DEFAULT_SECONDS),
        seconds => seconds.as_u64(),
    };
    let seconds = seconds.filter(|seconds| (1..=MOST_SECONDS).contains(seconds));
    let (Some(scene), Some(seconds)) = (scene, seconds) else {
        return Err(Refusal(40097));
    };
    let lifetime = Duration::from_secs(seconds);
    let code = world.scenes.add(&appid, scene, lifetime, moment.now);
    Ok(json!({
        "ticket": code.ticket,
        "expire_seconds": number(seconds, moment.switches),
        "url": code.url,
    }))
}

/// `GET /cgi-bin/showqrcode?ticket=`: the picture, here as SVG.
pub(super) fn show(shared: &Shared, request: &Parts) -> Response<Body> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let ticket = query.get("ticket").unwrap_or_default();
    let now = shared.clock.now();
    let world = lock(&shared.world);
    let code = world.scenes.codes.iter().find(|code| code.ticket == ticket);
    let url = code
        .filter(|code| code.expires > now)
        .map(|code| code.url.clone());
    drop(world);
    match url.as_deref().and_then(picture) {
        Some(picture) => server::answer(StatusCode::OK, "image/svg+xml", picture),
        None => server::answer(StatusCode::NOT_FOUND, "text/plain", "no such code"),
    }
}

fn picture(text: &str) -> Option<String> {
    let code = QRBuilder::new(text).build().ok()?;
    Some(SvgBuilder::default().to_str(&code))
}
