//! Programs without pages on the phone: a mini program and an app with WeChat's SDK.
//!
//! Each is one screen: it logs in by a code as soon as it opens, asks the site with its token, and opens a page of the site
//! in a web-view by a ticket. What it does is written on the screen, word for word.

use http::header::CONTENT_SECURITY_POLICY;
use http::request::Parts;
use http::{Response, StatusCode};
use minijinja::context;
use serde_json::json;

use super::app::AppKind;
use super::device::{Screen, Surface};
use super::phone::Language;
use super::query::Query;
use super::server::{self, Body};
use super::shared::{Shared, lock};

/// Where the screens are in the phone's frame.
const MINI_PROGRAM: &str = "/~phone/mini-program";
const APP: &str = "/~phone/app";
const SCRIPT: &str = "/~phone/program.js";
const CODE: &str = "/~phone/code";

/// Marks what a program asks of the site itself.
pub(super) const PROGRAM_HEADER: &str = "x-sim-program";

/// Answers what belongs to a program; `None` for everything else.
pub(super) fn answer(shared: &Shared, request: &Parts) -> Option<Response<Body>> {
    match (request.method.as_str(), request.uri.path()) {
        ("GET", MINI_PROGRAM) => Some(screen(shared, Surface::MiniProgram, request)),
        ("GET", APP) => Some(screen(shared, Surface::App, request)),
        ("GET", SCRIPT) => Some(server::answer(
            StatusCode::OK,
            "text/javascript; charset=utf-8",
            include_str!("program.js"),
        )),
        ("POST", CODE) => Some(code(shared)),
        _ => None,
    }
}

/// The appid of the phone's only program of this kind.
pub(super) fn app_id(shared: &Shared, surface: Surface) -> Option<String> {
    let kind = match surface {
        Surface::Browser => return None,
        Surface::MiniProgram => AppKind::MiniProgram,
        Surface::App => AppKind::MobileApp,
    };
    lock(&shared.world).first_app(kind)
}

/// The screen of a program, and the phone shows it from now on. `?api=` and `?page=` are what it asks the site for.
fn screen(shared: &Shared, surface: Surface, request: &Parts) -> Response<Body> {
    let app_id = app_id(shared, surface);
    let (person, language) = {
        let mut phone = lock(&shared.phone);
        phone.surface = surface;
        (phone.person.clone(), phone.language)
    };
    let nickname = lock(&shared.world)
        .person(&person)
        .map(|person| person.nickname.clone());
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let path = |name| query.get(name).filter(|path| path.starts_with('/'));
    let values = context! {
        app_id,
        nickname,
        english => language == Language::English,
        mini => surface == Surface::MiniProgram,
        api => path("api").unwrap_or("/"),
        page => path("page").unwrap_or("/"),
    };
    let page = shared.render_text("program.html", &values);
    let reporter = shared.reporter(Screen::Phone);
    let page = page + &reporter.tag();
    let mut answer = server::answer(StatusCode::OK, "text/html; charset=utf-8", page);
    let policy = reporter.program_policy();
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}

/// What `wx.login`, or the SDK, gives to the program that the phone shows.
fn code(shared: &Shared) -> Response<Body> {
    let (person, surface) = {
        let phone = lock(&shared.phone);
        (phone.person.clone(), phone.surface)
    };
    let (now, switches) = (shared.clock.now(), shared.faults.switches());
    let code = app_id(shared, surface)
        .and_then(|app_id| lock(&shared.world).client_code(&app_id, &person, now, switches));
    match code {
        Some(code) => server::json(StatusCode::OK, &json!({ "code": code })),
        None => server::answer(StatusCode::NOT_FOUND, "text/plain", "no such program"),
    }
}
