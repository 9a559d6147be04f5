//! What a request would get, asked by an operator: which route, which rule, which answer. Nothing is sent anywhere.

use http::{Method, StatusCode};
use minijinja::context;
use minijinja::value::Serde;
use serde_json::Value as Json;

use super::control::{Control, done, failed};
use super::page;
use super::query::Query;
use crate::message::Answer;

const TEMPLATE: &str = include_str!("explain.html");

/// A request that nobody made.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'q> {
    /// An address as a visitor types it, or only its path.
    pub url: &'q str,
    /// The method.
    pub method: &'q Method,
    /// `wechat`, `desktop`, `phone`, `mini-program` or `wecom`.
    pub browser: &'q str,
    /// Who is logged in.
    pub openid: Option<&'q str>,
    /// The same; one of them is enough.
    pub unionid: Option<&'q str>,
}

/// What it would get.
#[derive(Clone, Debug)]
pub struct Explained {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Json,
}

/// Judges such requests; the error says what cannot be understood.
pub type Explain = Box<dyn Fn(&Asked<'_>) -> Result<Explained, String> + Send + Sync>;

/// What was filled in, to be shown again.
#[derive(serde::Serialize)]
struct Form<'q> {
    url: &'q str,
    method: &'q str,
    ua: &'q str,
    openid: &'q str,
    unionid: &'q str,
}

impl Control {
    /// `GET /explain?url=…`, as a page or as JSON.
    pub(super) fn explain(&self, query: &Query<'_>, wants_page: bool) -> Answer {
        let value = |name: &str| {
            query
                .value(name)
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let form = Form {
            url: value("url").unwrap_or_default(),
            method: value("method").unwrap_or("GET"),
            ua: value("ua").unwrap_or("wechat"),
            openid: value("openid").unwrap_or_default(),
            unionid: value("unionid").unwrap_or_default(),
        };
        let explained = self.explained(&form);
        if !wants_page {
            return match explained {
                Ok(explained) => done(&explained.json),
                Err(why) => failed(StatusCode::BAD_REQUEST, &why),
            };
        }
        let status = match explained {
            Ok(_) => StatusCode::OK,
            Err(_) => StatusCode::BAD_REQUEST,
        };
        let (text, error) = match explained {
            Ok(explained) => (explained.text, None),
            Err(why) => (String::new(), Some(why)),
        };
        let mut answer = page::html(TEMPLATE, context! { form => Serde(&form), text, error });
        *answer.status_mut() = status;
        answer
    }

    fn explained(&self, form: &Form<'_>) -> Result<Explained, String> {
        if form.url.is_empty() {
            return Err("`url` is missing".to_owned());
        }
        let method = form.method.parse::<Method>();
        let method = method.map_err(|_| "`method` is no method".to_owned())?;
        (self.explain)(&Asked {
            url: form.url,
            method: &method,
            browser: form.ua,
            openid: Some(form.openid).filter(|id| !id.is_empty()),
            unionid: Some(form.unionid).filter(|id| !id.is_empty()),
        })
    }
}
