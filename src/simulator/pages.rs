//! The pages that a visitor meets at WeChat: authorization, the consent sheet, error pages. As strict as the desktop client.

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use minijinja::{Environment, context};
use url::Url;

use super::app::AppKind;
use super::faults::Switches;
use super::notice::Notice;
use super::query::Query;
use super::server::{self, Body};
use super::shared::{Shared, lock};
use super::world::{Authorization, World};

/// Where web authorization begins.
pub(super) const AUTHORIZE: &str = "/connect/oauth2/authorize";

/// Where the consent sheet's form posts.
pub(super) const CONFIRM: &str = "/connect/oauth2/confirm";

/// Answers the consent sheet at once: `allow` or `refuse`.
pub(super) const CONSENT_HEADER: &str = "x-sim-consent";

/// Who holds the phone, for one request; beats the cookie.
pub(super) const PERSON_HEADER: &str = "x-sim-person";

/// Who holds the phone.
const PERSON_COOKIE: &str = "sim_person";

/// Who holds the phone when nobody says.
pub(super) const DEFAULT_PERSON: &str = "alice";

/// Names the page on every answer, for tests.
const PAGE_HEADER: &str = "x-sim-page";

/// The parameters of the authorize page in the only order it accepts; the last one is optional.
const ORDER: [&str; 6] = [
    "appid",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "connect_redirect",
];

/// The longest `state`.
const LONGEST_STATE: usize = 128;

/// The templates, checked once.
pub(super) fn templates() -> Result<Environment<'static>, minijinja::Error> {
    let mut templates = Environment::new();
    for (name, source) in [
        ("wechat.css", include_str!("wechat.css")),
        ("notice.html", include_str!("notice.html")),
        ("consent.html", include_str!("consent.html")),
        ("qrconnect.html", include_str!("qrconnect.html")),
        ("phone.html", include_str!("phone.html")),
        ("offline.html", include_str!("offline.html")),
        ("chat.html", include_str!("chat.html")),
        ("program.html", include_str!("program.html")),
    ] {
        templates.add_template(name, source)?;
    }
    Ok(templates)
}

/// `GET /connect/oauth2/authorize`
pub(super) fn authorize(shared: &Shared, request: &Parts) -> Response<Body> {
    match judge(shared, request) {
        Ok(authorization) => decide(shared, request, authorization),
        Err(notice) => notice.show(shared),
    }
}

/// `POST /connect/oauth2/confirm`: the visitor pressed a button of the consent sheet.
pub(super) async fn confirm(shared: &Shared, body: Incoming) -> Response<Body> {
    let form = server::read_form(body).await.unwrap_or_default();
    let form = Query::parse(&String::from_utf8_lossy(&form));
    let now = shared.clock.now();
    let sheet = form
        .get("sheet")
        .and_then(|id| lock(&shared.world).close_sheet(id, now));
    match sheet {
        None => Notice::SheetGone.show(shared),
        Some(authorization) if form.get("answer") == Some("allow") => {
            go_back(shared, authorization, StatusCode::SEE_OTHER)
        }
        Some(authorization) => refuse(&authorization, StatusCode::SEE_OTHER),
    }
}

/// Who holds the phone.
pub(super) fn person(headers: &HeaderMap) -> String {
    let named = headers
        .get(PERSON_HEADER)
        .and_then(|name| name.to_str().ok());
    let cookie = || {
        let cookies = headers.get_all("cookie").into_iter();
        cookies
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == PERSON_COOKIE)
            .map(|(_, value)| value)
    };
    named.or_else(cookie).unwrap_or(DEFAULT_PERSON).to_owned()
}

fn judge(shared: &Shared, request: &Parts) -> Result<Authorization, Notice> {
    let agent = request.headers.get(USER_AGENT);
    let agent = agent
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    if !agent.contains("MicroMessenger") || agent.contains("wxwork") {
        return Err(Notice::WrongClient);
    }
    // The client takes over top-level navigations only; a frame stays white.
    if let Some(place) = request.headers.get("sec-fetch-dest")
        && (place == "iframe" || place == "frame")
    {
        return Err(Notice::Blank);
    }
    let query = request.uri.query().unwrap_or_default();
    let switches = shared.faults.switches();
    let wanted = judge_query(query, &lock(&shared.world), switches)?;
    let person = person(&request.headers);
    if lock(&shared.world).person(&person).is_none() {
        return Err(Notice::Refused(10004, "nobody has this WeChat account"));
    }
    Ok(Authorization { person, ..wanted })
}

/// Judges the parameters; the person is left empty.
fn judge_query(text: &str, world: &World, switches: Switches) -> Result<Authorization, Notice> {
    let query = Query::parse(text);
    let names: Vec<&str> = query.names().collect();
    let in_order = names == ORDER || Some(names.as_slice()) == ORDER.get(..5);
    if !in_order {
        return Err(Notice::Blank);
    }
    let need = |name, number, text| query.get(name).ok_or(Notice::Refused(number, text));
    let appid = need("appid", 10012, "appid is empty")?;
    let redirect_uri = need("redirect_uri", 10011, "redirect_uri is empty")?;
    let scope = need("scope", 10010, "scope is empty")?;
    let state = need("state", 10013, "state is empty")?;
    if query.get("response_type") != Some("code") {
        return Err(Notice::Blank);
    }
    if state.len() > LONGEST_STATE {
        return Err(Notice::LongState);
    }
    if !state.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Notice::Refused(
            10013,
            "state holds other characters than a-zA-Z0-9",
        ));
    }
    let app = world
        .app(appid)
        .ok_or(Notice::Refused(10013, "appid is unknown"))?;
    match app.kind {
        AppKind::ServiceAccount => {}
        AppKind::Website | AppKind::MiniProgram | AppKind::MobileApp => {
            return Err(Notice::Refused(10016, "appid is not a service account's"));
        }
        AppKind::SubscriptionAccount => return Err(NO_RIGHT),
    }
    let wants_profile = match scope {
        "snsapi_base" => false,
        "snsapi_userinfo" => true,
        _ => return Err(NO_RIGHT),
    };
    let address = Url::parse(redirect_uri).ok();
    let registered = address.is_some_and(|address| {
        matches!(address.scheme(), "http" | "https")
            && app.allows_callback(&address)
            && !switches.wrong_domain
    });
    if !registered {
        return Err(Notice::Refused(
            10003,
            "redirect_uri 域名与后台配置不一致 (redirect_uri is not on a registered domain)",
        ));
    }
    Ok(Authorization {
        appid: appid.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        state: state.to_owned(),
        wants_profile,
        person: String::new(),
    })
}

const NO_RIGHT: Notice = Notice::Refused(
    10005,
    "该公众号没有这些 scope 的权限 (this account has no right to this scope)",
);

fn decide(shared: &Shared, request: &Parts, authorization: Authorization) -> Response<Body> {
    let switches = shared.faults.switches();
    if switches.refuse {
        return refuse(&authorization, StatusCode::FOUND);
    }
    let remembered = switches.remember_consent
        && lock(&shared.world).has_consented(&authorization.appid, &authorization.person);
    if !authorization.wants_profile || remembered {
        return go_back(shared, authorization, StatusCode::FOUND);
    }
    let answer = request.headers.get(CONSENT_HEADER);
    match answer.map(HeaderValue::as_bytes) {
        Some(b"allow") => go_back(shared, authorization, StatusCode::FOUND),
        Some(b"refuse") => refuse(&authorization, StatusCode::FOUND),
        Some(_) | None => show_sheet(shared, authorization),
    }
}

fn show_sheet(shared: &Shared, authorization: Authorization) -> Response<Body> {
    let site = Url::parse(&authorization.redirect_uri).ok();
    let site = site
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default();
    let now = shared.clock.now();
    let mut world = lock(&shared.world);
    let nickname = world
        .person(&authorization.person)
        .map(|person| person.nickname.clone());
    let sheet = world.open_sheet(authorization, now);
    drop(world);
    let values = context! { site, nickname, sheet };
    page(shared, "consent.html", "consent", values)
}

fn go_back(shared: &Shared, authorization: Authorization, status: StatusCode) -> Response<Body> {
    let (now, switches) = (shared.clock.now(), shared.faults.switches());
    let code = lock(&shared.world).authorize(authorization.clone(), now, switches);
    match code {
        Some(code) => named(
            server::redirect(status, &callback(&authorization, Some(&code))),
            "back",
        ),
        None => Notice::SheetGone.show(shared),
    }
}

fn refuse(authorization: &Authorization, status: StatusCode) -> Response<Body> {
    let location = callback(authorization, None);
    named(server::redirect(status, &location), "refused")
}

/// The callback's address: `/` after a bare host, its own query kept, `code` and `state` at the end but before a fragment.
pub(super) fn callback(authorization: &Authorization, code: Option<&str>) -> String {
    let (address, fragment) = match authorization.redirect_uri.split_once('#') {
        Some((address, fragment)) => (address, format!("#{fragment}")),
        None => (authorization.redirect_uri.as_str(), String::new()),
    };
    let (path, query) = match address.split_once('?') {
        Some((path, query)) => (path, format!("{query}&")),
        None => (address, String::new()),
    };
    let is_bare = path
        .split_once("://")
        .is_some_and(|(_, rest)| !rest.contains('/'));
    let slash = if is_bare { "/" } else { "" };
    let code = code.map_or_else(String::new, |code| format!("code={code}&"));
    let state = &authorization.state;
    format!("{path}{slash}?{query}{code}state={state}{fragment}")
}

/// A page under the name that tests know it by.
pub(super) fn page(
    shared: &Shared,
    template: &str,
    name: &str,
    values: minijinja::Value,
) -> Response<Body> {
    named(shared.render(StatusCode::OK, template, values), name)
}

/// Names an answer for tests.
pub(super) fn named(mut answer: Response<Body>, name: &str) -> Response<Body> {
    if let Ok(name) = HeaderValue::from_str(name) {
        answer.headers_mut().insert(PAGE_HEADER, name);
    }
    answer
}
