//! What all connections share, and the answers that need nothing else.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use minijinja::Environment;
use serde::Deserialize;
use serde_json::json;

use crate::clock::Clock;

use super::Extra;
use super::device::Screen;
use super::faults::Faults;
use super::origin::SiteOrigin;
use super::phone::{self, Phone};
use super::reporter::Reporter;
use super::server::{self, Body};
use super::world::World;

/// What all connections share.
pub(super) struct Shared {
    pub(super) world: Mutex<World>,
    pub(super) phone: Mutex<Phone>,
    pub(super) faults: Faults,
    pub(super) clock: Clock,
    pub(super) wechat: SiteOrigin,
    pub(super) address: SocketAddr,
    /// The phone's browser, and the computer's.
    pub(super) views: [SocketAddr; 2],
    pub(super) reporters: [Reporter; 2],
    pub(super) templates: Environment<'static>,
    pub(super) extra: Option<Extra>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn view_origin(&self, screen: Screen) -> String {
        let [phone, computer] = self.views;
        match screen {
            Screen::Phone => format!("http://{phone}"),
            Screen::Computer => format!("http://{computer}"),
        }
    }

    pub(super) fn reporter(&self, screen: Screen) -> &Reporter {
        let [phone, computer] = &self.reporters;
        match screen {
            Screen::Phone => phone,
            Screen::Computer => computer,
        }
    }

    pub(super) fn render(
        &self,
        status: StatusCode,
        template: &str,
        values: minijinja::Value,
    ) -> Response<Body> {
        let page = self.render_text(template, &values);
        let mut answer = server::answer(status, "text/html; charset=utf-8", page);
        let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'";
        let headers = answer.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        answer
    }

    /// Empty when the template is broken, which a test rules out.
    pub(super) fn render_text(&self, template: &str, values: &minijinja::Value) -> String {
        let template = self.templates.get_template(template);
        template
            .and_then(|template| template.render(values))
            .unwrap_or_default()
    }

    /// The policy of pages that hold the phone: own files and the phone's browser, nothing from elsewhere.
    pub(super) fn allow_phone(&self, headers: &mut HeaderMap) {
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             frame-src {} {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            self.view_origin(Screen::Phone),
            self.view_origin(Screen::Computer),
        );
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    }

    /// Where a person who came by another name of this machine, or to no page, goes instead.
    pub(super) fn elsewhere(&self, request: &Parts) -> Option<String> {
        let path = request.uri.path();
        if path == "/" {
            let start = if self.extra.is_some() {
                "/demo"
            } else {
                "/phone"
            };
            return Some(format!("{}{start}", self.origin()));
        }
        // The frame reports to one origin only.
        let is_page = matches!(path, "/phone" | "/demo");
        let host = request.headers.get(HOST);
        let is_own = host.is_some_and(|host| host == self.wechat.authority().as_str());
        (is_page && !is_own).then(|| format!("{}{path}", self.origin()))
    }

    pub(super) fn extra_answer(&self, request: &Parts) -> Response<Body> {
        let answer = self.extra.as_ref().and_then(|extra| extra(request));
        let Some(mut answer) = answer else {
            return server::answer(StatusCode::NOT_FOUND, "text/plain", "not found");
        };
        let headers = answer.headers_mut();
        let is_page = headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
        if is_page && !headers.contains_key(CONTENT_SECURITY_POLICY) {
            self.allow_phone(headers);
        }
        answer.map(server::full)
    }

    pub(super) async fn script(&self, headers: &HeaderMap, body: Incoming) -> Response<Body> {
        match phone::read_json(headers, body).await {
            Ok(script) => {
                self.faults.run(script);
                server::json(StatusCode::OK, &self.faults.active())
            }
            Err(refusal) => refusal,
        }
    }

    /// A code for a client of its own, as `wx.login` gives it: `{"app_id": …, "person": …}`.
    pub(super) async fn client_code(&self, headers: &HeaderMap, body: Incoming) -> Response<Body> {
        let asked: ClientCode = match phone::read_json(headers, body).await {
            Ok(asked) => asked,
            Err(refusal) => return refusal,
        };
        let (now, switches) = (self.clock.now(), self.faults.switches());
        let ClientCode { app_id, person } = asked;
        let code = lock(&self.world).client_code(&app_id, &person, now, switches);
        match code {
            Some(code) => server::json(StatusCode::OK, &json!({ "code": code })),
            None => server::answer(StatusCode::NOT_FOUND, "text/plain", "no such app or person"),
        }
    }

    pub(super) fn state(&self) -> Response<Body> {
        let world = lock(&self.world);
        let state = json!({
            "logins": world.logins(),
            "authorizations": world.authorizations(),
            "calls": world.calls(),
        });
        drop(world);
        server::json(StatusCode::OK, &state)
    }
}

/// Who asks for a code, and at which app.
#[derive(Deserialize)]
struct ClientCode {
    app_id: String,
    person: String,
}

/// A panic elsewhere leaves nothing half done that a simulator would have to fear.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
