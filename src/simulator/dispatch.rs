//! Who answers a request: by listener, then by path.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::DATE;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use jiff::{SignedDuration, Timestamp};

use super::device::Screen;
use super::faults::Endpoint;
use super::server::{self, Body, Closed};
use super::shared::Shared;
use super::{api, deed, pages, phone, qrconnect, scene, web_view};

/// A handler that holds what is shared.
pub(super) fn with<Answering>(
    shared: &Arc<Shared>,
    answer: impl Fn(Arc<Shared>, Request<Incoming>) -> Answering + Clone + Send + 'static,
) -> impl Fn(Request<Incoming>) -> Answering + Clone + Send + 'static {
    let shared = Arc::clone(shared);
    move |request| answer(Arc::clone(&shared), request)
}

/// Answers the phone's browser.
pub(super) async fn phone_answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Closed> {
    Ok(web_view::answer(&shared, Screen::Phone, request).await)
}

/// Answers the computer's browser.
pub(super) async fn computer_answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Closed> {
    Ok(web_view::answer(&shared, Screen::Computer, request).await)
}

/// Answers everybody else: API, pages of WeChat, the phone's page, and orders to the simulator.
pub(super) async fn main_answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Closed> {
    let mut answer = answer_anybody(&shared, request).await?;
    let ahead = shared.faults.switches().seconds_ahead;
    if ahead != 0 {
        let date = date(shared.clock.now(), ahead);
        answer.headers_mut().extend(date.map(|date| (DATE, date)));
    }
    Ok(answer)
}

/// What a clock that is so far ahead shows, as HTTP writes it; `None` for a time that no calendar has.
fn date(now: SystemTime, seconds_ahead: i64) -> Option<HeaderValue> {
    let time = Timestamp::try_from(now).ok()?;
    let time = time.checked_add(SignedDuration::from_secs(seconds_ahead));
    let text = time.ok()?.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&text).ok()
}

async fn answer_anybody(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Closed> {
    if !server::is_for_loopback(request.headers()) {
        let answer = server::answer(StatusCode::MISDIRECTED_REQUEST, "text/plain", "");
        return Ok(answer);
    }
    let (request, body) = request.into_parts();
    let path = request.uri.path();
    if let Some(endpoint) = Endpoint::of(path) {
        return api::answer(shared, endpoint, &request, body).await;
    }
    Ok(match (request.method.as_str(), path) {
        ("GET", pages::AUTHORIZE) => pages::authorize(shared, &request),
        ("GET", scene::SHOW) => scene::show(shared, &request),
        ("GET", qrconnect::QRCONNECT) => qrconnect::show(shared, &request),
        ("POST", qrconnect::SCANNED) => qrconnect::scanned(shared, body).await,
        ("POST", pages::CONFIRM) => pages::confirm(shared, body).await,
        ("GET", "/sim/faults") => server::json(StatusCode::OK, &shared.faults.active()),
        ("POST", "/sim/faults") => shared.script(&request.headers, body).await,
        ("GET", "/sim/state") => shared.state(),
        ("POST", "/sim/person") => deed::act(shared, &request.headers, body).await,
        ("POST", "/sim/code") => shared.client_code(&request.headers, body).await,
        _ => match shared.elsewhere(&request) {
            Some(address) => server::redirect(StatusCode::FOUND, &address),
            None if path == "/phone" || path.starts_with("/phone/") => {
                phone::answer(shared, &request, body).await
            }
            None => shared.extra_answer(&request),
        },
    })
}
