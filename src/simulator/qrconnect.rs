//! QR login for website apps: the page with the code, whole or in a frame, and what happens when somebody scans it.
//!
//! A second phone is a row of buttons on the page: who presses one scans and confirms. "Quick login" is the client on the
//! same computer, which damages addresses that hold a fragment.

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use minijinja::context;
use url::Url;

use super::app::AppKind;
use super::notice::Notice;
use super::pages::{CONSENT_HEADER, callback, named, page, person};
use super::query::Query;
use super::server::{self, Body};
use super::shared::{Shared, lock};
use super::world::Authorization;

/// Where the page is.
pub(super) const QRCONNECT: &str = "/connect/qrconnect";

/// Where its form posts.
pub(super) const SCANNED: &str = "/connect/qrconnect/scanned";

/// Every parameter that the page or WeChat's script knows.
const KNOWN: [&str; 16] = [
    "appid",
    "scope",
    "redirect_uri",
    "state",
    "response_type",
    "login_type",
    "self_redirect",
    "styletype",
    "sizetype",
    "bgcolor",
    "rst",
    "style",
    "href",
    "lang",
    "stylelite",
    "fast_login",
];

/// `GET /connect/qrconnect`
pub(super) fn show(shared: &Shared, request: &Parts) -> Response<Body> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let authorization = match judge(shared, request, &query) {
        Ok(authorization) => authorization,
        Err(notice) => return notice.show(shared),
    };
    let answer = request.headers.get(CONSENT_HEADER);
    match answer.map(HeaderValue::as_bytes) {
        Some(b"allow") => {
            let person = person(&request.headers);
            go_back(shared, authorization, person, false, StatusCode::FOUND)
        }
        // Whoever refuses on the phone leaves the page where it is.
        Some(b"refuse") => named(
            server::redirect(StatusCode::FOUND, "about:blank"),
            "refused",
        ),
        Some(_) | None => show_code(shared, authorization, &query),
    }
}

/// `POST /connect/qrconnect/scanned`: somebody scanned the code, or used the client on the same computer.
pub(super) async fn scanned(shared: &Shared, body: Incoming) -> Response<Body> {
    let form = server::read_form(body).await.unwrap_or_default();
    let form = Query::parse(&String::from_utf8_lossy(&form));
    let now = shared.clock.now();
    let sheet = form
        .get("sheet")
        .and_then(|id| lock(&shared.world).close_sheet(id, now));
    match (sheet, form.get("person"), form.get("quick")) {
        (Some(authorization), Some(person), _) => {
            let person = person.to_owned();
            go_back(shared, authorization, person, false, StatusCode::SEE_OTHER)
        }
        (Some(authorization), None, Some(person)) => {
            let person = person.to_owned();
            go_back(shared, authorization, person, true, StatusCode::SEE_OTHER)
        }
        (Some(_), None, None) | (None, _, _) => Notice::SheetGone.show(shared),
    }
}

fn judge(shared: &Shared, request: &Parts, query: &Query) -> Result<Authorization, Notice> {
    let agent = request.headers.get(USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    if agent.unwrap_or_default().contains("MicroMessenger") {
        return Err(Notice::Refused(10012, "website apps do not work in WeChat"));
    }
    if query.names().any(|name| !KNOWN.contains(&name)) {
        return Err(Notice::Blank);
    }
    let is_embedded = query.get("login_type") == Some("jssdk");
    if !is_embedded && query.get("response_type") != Some("code") {
        return Err(Notice::Blank);
    }
    if query.get("scope") != Some("snsapi_login") {
        return Err(Notice::Refused(10005, "scope is not snsapi_login"));
    }
    let need = |name, text| query.get(name).ok_or(Notice::Refused(10013, text));
    let appid = need("appid", "appid is empty")?;
    let redirect_uri = need("redirect_uri", "redirect_uri is empty")?;
    let world = lock(&shared.world);
    let app = world
        .app(appid)
        .filter(|app| app.kind == AppKind::Website)
        .ok_or(Notice::Refused(10013, "appid is not a website app's"))?;
    // An address that was escaped twice is no address.
    let is_registered = Url::parse(redirect_uri).is_ok_and(|address| {
        matches!(address.scheme(), "http" | "https") && app.allows_callback(&address)
    });
    if !is_registered || shared.faults.switches().wrong_domain {
        return Err(Notice::Refused(
            10003,
            "redirect_uri 域名与后台配置不一致 (redirect_uri is not on a registered domain)",
        ));
    }
    Ok(Authorization {
        appid: appid.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        state: query.get("state").unwrap_or_default().to_owned(),
        wants_profile: true,
        person: String::new(),
    })
}

fn show_code(shared: &Shared, authorization: Authorization, query: &Query) -> Response<Body> {
    let is_embedded = query.get("login_type") == Some("jssdk");
    // Only the words of WeChat's script count: `true` keeps the callback in the frame.
    let leaves_frame = is_embedded && query.get("self_redirect") != Some("true");
    let has_quick_login = query.get("fast_login") != Some("0");
    let now = shared.clock.now();
    let mut world = lock(&shared.world);
    let people: Vec<String> = world.people().iter().map(|one| one.name.clone()).collect();
    let sheet = world.open_sheet(authorization, now);
    drop(world);
    let english = query.get("lang") == Some("en");
    let values = context! { people, sheet, leaves_frame, has_quick_login, english };
    page(shared, "qrconnect.html", "qrconnect", values)
}

fn go_back(
    shared: &Shared,
    authorization: Authorization,
    person: String,
    is_quick: bool,
    status: StatusCode,
) -> Response<Body> {
    let authorization = Authorization {
        person,
        ..authorization
    };
    let (now, switches) = (shared.clock.now(), shared.faults.switches());
    let code = lock(&shared.world).authorize(authorization.clone(), now, switches);
    let Some(code) = code else {
        return Notice::SheetGone.show(shared);
    };
    let address = match is_quick {
        true => quick_callback(&authorization, &code),
        false => callback(&authorization, Some(&code)),
    };
    named(server::redirect(status, &address), "back")
}

/// What the quick login makes of an address: with a fragment, `code` stands before it and once more behind.
fn quick_callback(authorization: &Authorization, code: &str) -> String {
    let address = callback(authorization, Some(code));
    match address.split_once('#') {
        None => address,
        Some(_) => format!("{address}?code={code}&state={}", authorization.state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_login_damages_addresses_with_a_fragment_only() {
        let callback = |redirect_uri: &str| {
            let authorization = Authorization {
                appid: "wxsite".to_owned(),
                redirect_uri: redirect_uri.to_owned(),
                state: "s".to_owned(),
                wants_profile: true,
                person: "alice".to_owned(),
            };
            quick_callback(&authorization, "c")
        };
        assert_eq!(
            callback("https://a.test/b?back=x"),
            "https://a.test/b?back=x&code=c&state=s"
        );
        assert_eq!(
            callback("https://a.test/b#/c"),
            "https://a.test/b?code=c&state=s#/c?code=c&state=s"
        );
    }
}
