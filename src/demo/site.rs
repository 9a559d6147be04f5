//! The sample site: an application that knows nothing of WeChat and reads headers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::header::{ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use minijinja::value::Serde;
use minijinja::{Environment, context};
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use crate::simulator::server::{self, Body, Closed};

use super::received::{Entry, Received};

/// The running site; stops when dropped.
#[derive(Debug)]
pub(super) struct SampleSite {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

/// What its pages are made of.
struct Shop {
    received: Arc<Received>,
    templates: Environment<'static>,
    /// Where visitors find it: the gateway.
    public_url: String,
}

impl SampleSite {
    /// Starts it on a free port of loopback.
    pub(super) async fn start(received: Arc<Received>, public_url: &str) -> io::Result<Self> {
        let listener = server::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let address = listener.local_addr()?;
        let shop = Arc::new(Shop {
            received,
            templates: templates().map_err(io::Error::other)?,
            public_url: public_url.to_owned(),
        });
        let answer = move |request: Request<Incoming>| {
            let shop = Arc::clone(&shop);
            async move { Ok::<_, Closed>(shop.answer(request)) }
        };
        Ok(Self {
            address,
            _task: server::serve(listener, answer),
        })
    }

    /// For the gateway: `http://127.0.0.1:<port>`.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn templates() -> Result<Environment<'static>, minijinja::Error> {
    let mut templates = Environment::new();
    for (name, source) in [
        ("layout.html", include_str!("site/layout.html")),
        ("home.html", include_str!("site/home.html")),
        ("orders.html", include_str!("site/orders.html")),
        ("member.html", include_str!("site/member.html")),
        ("debug.html", include_str!("site/debug.html")),
    ] {
        templates.add_template(name, source)?;
    }
    Ok(templates)
}

impl Shop {
    fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (request, _) = request.into_parts();
        let language = language(&request.headers);
        let static_file =
            |content_type, body: &'static str| server::answer(StatusCode::OK, content_type, body);
        let template = match request.uri.path() {
            "/shop.css" => {
                return static_file("text/css; charset=utf-8", include_str!("site/shop.css"));
            }
            "/shop.js" => {
                let script = include_str!("site/shop.js");
                return static_file("text/javascript; charset=utf-8", script);
            }
            "/favicon.ico" => return server::answer(StatusCode::NO_CONTENT, "text/plain", ""),
            "/api/me" => return me(&self.received.record(&request)),
            "/" => "home.html",
            "/orders" => "orders.html",
            "/member" => "member.html",
            "/debug" => "debug.html",
            _ => return server::answer(StatusCode::NOT_FOUND, "text/plain", "not found"),
        };
        self.page(template, language, &self.received.record(&request))
    }

    fn page(&self, template: &str, language: &str, entry: &Entry) -> Response<Body> {
        let pretty = |value| serde_json::to_string_pretty(value).unwrap_or_default();
        let values = context! {
            zh => language == "zh-CN",
            language,
            template,
            openid => entry.identity("x-wechat-openid"),
            nickname => entry.identity("x-wechat-nickname"),
            avatar => entry.identity("x-wechat-avatar"),
            unionid => entry.identity("x-wechat-unionid"),
            entry => Serde(entry),
            jwt_header => entry.jwt.as_ref().map(|jwt| pretty(&jwt.header)),
            jwt_claims => entry.jwt.as_ref().map(|jwt| pretty(&jwt.claims)),
            issuer => self.public_url.as_str(),
            audience => audience(entry),
            jwks => format!("{}/_wxgate/jwks", self.public_url),
        };
        let page = self.templates.get_template(template);
        let page = page.and_then(|page| page.render(values));
        let (status, page) = match page {
            Ok(page) => (StatusCode::OK, page),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        };
        let mut answer = server::answer(status, "text/html; charset=utf-8", page);
        let policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'";
        answer
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        answer
    }
}

/// What a script of the page asks for.
fn me(entry: &Entry) -> Response<Body> {
    let answer = json!({
        "openid": entry.identity("x-wechat-openid"),
        "unionid": entry.identity("x-wechat-unionid"),
        "subject": entry.identity("x-wechat-subject"),
        "scope": entry.identity("x-wechat-scope"),
        "nickname": entry.identity("x-wechat-nickname"),
    });
    server::json(StatusCode::OK, &answer)
}

/// The audience of the token that came, for the code samples.
fn audience(entry: &Entry) -> String {
    let audience = entry.jwt.as_ref().and_then(|jwt| jwt.claims.get("aud"));
    let audience = audience.and_then(|audience| audience.as_str());
    audience.unwrap_or("127.0.0.1").to_owned()
}

/// The phone's own language, else the browser's.
fn language(headers: &HeaderMap) -> &'static str {
    let text = |name| {
        let value = headers.get(name);
        value.and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let phone = text(USER_AGENT)
        .and_then(|agent| agent.split_once("Language/"))
        .map(|(_, language)| language);
    match phone.or_else(|| text(ACCEPT_LANGUAGE)) {
        Some(wanted) if wanted.starts_with("zh") => "zh-CN",
        Some(_) | None => "en",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_follows_the_phone_before_the_browser() {
        let cases = [
            ("x Language/zh_CN ABI/arm64", "en", "zh-CN"),
            ("x Language/en ABI/arm64", "zh-CN", "en"),
            ("Mozilla/5.0", "zh-CN,zh;q=0.9", "zh-CN"),
            ("Mozilla/5.0", "de", "en"),
        ];
        for (agent, accepted, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, HeaderValue::from_static(agent));
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(accepted));
            assert_eq!(language(&headers), expected, "{agent} {accepted}");
        }
        assert_eq!(language(&HeaderMap::new()), "en");
    }
}
