//! Links that open a mini program from a browser: what `wxa/generate_urllink` makes, and what WeChat's client opens.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::account;
use super::api::Moment;
use super::app::AppKind;
use super::query::Query;
use super::tokens::{Refusal, random_word};
use super::world::World;

/// The longest query of a page.
const LONGEST_QUERY: usize = 1024;

/// The most days that a link lives.
const MOST_DAYS: u64 = 30;

const DAY: Duration = Duration::from_secs(86_400);

/// The most links at once.
const MOST_LINKS: usize = 1000;

/// The page of a mini program that WeChat opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedPage {
    /// Whose.
    pub appid: String,
    /// Which page, without query.
    pub page: String,
    /// Its query, as it was given.
    pub query: String,
}

/// Links by their address.
#[derive(Debug, Default)]
pub(super) struct UrlLinks(HashMap<String, (OpenedPage, SystemTime)>);

impl World {
    /// What a link opens, as long as it is good.
    pub(super) fn opened_page(&self, link: &str, now: SystemTime) -> Option<OpenedPage> {
        let (page, expires) = self.url_links.0.get(link)?;
        (*expires > now).then(|| page.clone())
    }
}

/// `POST /wxa/generate_urllink`
pub(super) fn generate(
    world: &mut World,
    query: &Query,
    body: &Value,
    moment: &Moment,
) -> Result<Value, Refusal> {
    let appid = account::caller(world, AppKind::MiniProgram, (query, body), moment)?;
    let page = body["path"].as_str().unwrap_or_default();
    if page.is_empty() || page.starts_with('/') || page.contains('?') {
        return Err(Refusal(40165));
    }
    let carried = body["query"].as_str().unwrap_or_default();
    if carried.chars().count() > LONGEST_QUERY {
        return Err(Refusal(40212));
    }
    let days = body["expire_interval"]
        .as_u64()
        .filter(|days| body["expire_type"] == 1 && (1..=MOST_DAYS).contains(days))
        .ok_or(Refusal(85401))?;
    let links = &mut world.url_links.0;
    links.retain(|_, (_, expires)| *expires > moment.now);
    if links.len() >= MOST_LINKS {
        return Err(Refusal(45009));
    }
    let link = format!("https://wxaurl.cn/{}", random_word());
    let opened = OpenedPage {
        appid,
        page: page.to_owned(),
        query: carried.to_owned(),
    };
    let lifetime = DAY.saturating_mul(u32::try_from(days).unwrap_or(1));
    links.insert(link.clone(), (opened, moment.now + lifetime));
    Ok(json!({ "errcode": 0, "errmsg": "ok", "url_link": link }))
}
