//! Codes of clients of their own: mini programs and apps for phones.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::api::Moment;
use super::app::AppKind;
use super::faults::Switches;
use super::mini_program::OpenData;
use super::person::Person;
use super::query::Query;
use super::tokens::Refusal;
use super::world::World;

/// `/sns/jscode2session`
pub(super) fn code_to_session(
    world: &mut World,
    query: &Query,
    moment: &Moment,
) -> Result<Value, Refusal> {
    let appid = query.need("appid", 41002)?;
    let secret = query.need("secret", 41004)?;
    let code = query.need("js_code", 41008)?;
    if query.get("grant_type") != Some("authorization_code") {
        return Err(Refusal(40002));
    }
    let switches = moment.switches;
    let (person, session_key) = world.code_to_session(appid, secret, code, moment.now, switches)?;
    let mut value = json!({ "openid": person.openid(appid), "session_key": session_key });
    if let (Value::Object(fields), Some(unionid)) = (&mut value, world.unionid(&person, switches)) {
        fields.insert("unionid".to_owned(), json!(unionid));
    }
    Ok(value)
}

impl World {
    /// A code for a client of its own: `wx.login` of a mini program, or the SDK in an app for phones. `None` for an unknown
    /// person, and for an app that has no such codes.
    pub(super) fn client_code(
        &mut self,
        appid: &str,
        person: &str,
        now: SystemTime,
        switches: Switches,
    ) -> Option<String> {
        let person = self.person(person)?.clone();
        match self.apps.get(appid)?.kind {
            AppKind::MiniProgram => Some(self.mini_programs.mint(appid, &person, now)),
            AppKind::MobileApp => Some(self.tokens.mint(appid, &person, true, now, switches)),
            AppKind::ServiceAccount | AppKind::Website | AppKind::SubscriptionAccount => None,
        }
    }

    /// Trades a `wx.login` code for a person and a session key, once.
    pub(super) fn code_to_session(
        &mut self,
        appid: &str,
        secret: &str,
        code: &str,
        now: SystemTime,
        switches: Switches,
    ) -> Result<(Person, String), Refusal> {
        let app = self.apps.get(appid).ok_or(Refusal(40013))?;
        if app.secret != secret || switches.wrong_secret {
            return Err(Refusal(40125));
        }
        let found = self.mini_programs.exchange(appid, code, now)?;
        self.logins += 1;
        Ok(found)
    }

    /// What WeChat's client hands to a mini program, watermarked for an app.
    pub(super) fn open_data(
        &self,
        appid: &str,
        watermark: &str,
        person: &str,
        now: SystemTime,
    ) -> Option<OpenData> {
        let person = self.person(person)?;
        self.mini_programs.open_data(appid, watermark, person, now)
    }

    pub(super) fn session_key(&self, appid: &str, person: &str) -> Option<String> {
        self.mini_programs.key(appid, person)
    }
}
