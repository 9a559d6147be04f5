//! The chat between a person and an account: what WeChat pushes when a code was read, and the account's answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use serde_json::json;

use super::device::Screen;
use super::origin::SiteOrigin;
use super::places::{Places, Side};
use super::push::PushAccount;
use super::scene::ScannedCode;
use super::server::{self, Body};
use super::shared::{Shared, lock};
use super::web_view;

/// The chat in the phone's browser.
pub(super) const CHAT: &str = "/~phone/chat";

/// WeChat waits that long for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// WeChat sends a push again that often when nobody answers.
const RETRIES: usize = 3;

/// Longer than any answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The most messages of a chat; the oldest one goes.
const MOST_MESSAGES: usize = 50;

/// Where an account's messages are pushed: the address that its operator entered at WeChat.
#[derive(Clone, Debug)]
pub(super) struct PushTarget {
    site: SiteOrigin,
    /// Without query.
    path: String,
    account: PushAccount,
}

impl PushTarget {
    /// An `http` address on loopback; `None` for every other place.
    pub(super) fn new(address: &str, account: PushAccount) -> Option<Self> {
        let url = url::Url::parse(address).ok()?;
        Some(Self {
            site: SiteOrigin::parse(address)?,
            path: url.path().to_owned(),
            account,
        })
    }

    /// Signs and seals what is pushed there.
    pub(super) fn account(&self) -> &PushAccount {
        &self.account
    }
}

/// `POST /phone/scan`: whoever holds the phone reads the code that an account made last, as if it were before the camera.
pub(super) async fn scan(shared: &Shared) -> Response<Body> {
    let (person, now) = (lock(&shared.phone).person.clone(), shared.clock.now());
    let code = lock(&shared.world).scan(&person, now);
    let Some(code) = code else {
        let reason = json!({ "error": "no account has made a code that is still good" });
        return server::json(StatusCode::NOT_FOUND, &reason);
    };
    if let Some(text) = tell(shared, &code).await {
        let mut phone = lock(&shared.phone);
        let chat = phone.chat();
        if chat.len() >= MOST_MESSAGES {
            chat.remove(0);
        }
        chat.push(text);
    }
    server::json(StatusCode::OK, &json!({ "open": CHAT }))
}

/// Pushes the event, again when nobody answers; the text of the account's answer, where it has something to say.
async fn tell(shared: &Shared, code: &ScannedCode) -> Option<String> {
    let target = lock(&shared.world).push_target(&code.appid)?.clone();
    let scanned = (code.scene.as_str(), code.ticket.as_str());
    let now = shared.clock.now();
    let push = target.account.scan(&code.openid, scanned, code.is_new, now);
    for _ in 0..=RETRIES {
        let answer = tokio::time::timeout(PATIENCE, send(&target, &push.query, &push.body)).await;
        if let Ok(Some(answer)) = answer {
            return target.account.read_reply(&answer, &code.openid);
        }
    }
    None
}

/// The body of an answer with status 200.
pub(super) async fn send(target: &PushTarget, query: &str, body: &str) -> Option<String> {
    let address: Uri = format!("{}?{query}", target.path).parse().ok()?;
    let request = Request::post(address)
        .header(HOST, target.site.authority())
        .header(CONTENT_TYPE, "text/xml")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .ok()?;
    let answer = web_view::send(&target.site, request).await.ok()?;
    let is_good = answer.status() == StatusCode::OK;
    let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect();
    let body = body.await.ok()?.to_bytes();
    let text = String::from_utf8(body.to_vec()).ok();
    text.filter(|_| is_good)
}

/// A piece of a message; what is an address can be tapped.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Piece {
    text: String,
    link: Option<String>,
}

/// `GET /~phone/chat` in the phone's browser.
pub(super) fn show(shared: &Shared, places: &Places) -> Response<Body> {
    let messages: Vec<Vec<Piece>> = lock(&shared.phone)
        .chat()
        .iter()
        .map(|message| pieces(message, places))
        .collect();
    let page = shared.render_text("chat.html", &context! { messages => Serde(messages) });
    let reporter = shared.reporter(Screen::Phone);
    let page = page + &reporter.tag();
    let mut answer = server::answer(StatusCode::OK, "text/html; charset=utf-8", page);
    let headers = answer.headers_mut();
    headers.insert("content-security-policy", reporter.policy());
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    answer
}

/// WeChat makes a link of every address in a text.
fn pieces(message: &str, places: &Places) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for word in message.split_inclusive(char::is_whitespace) {
        let address = word.trim_end();
        let is_address = address.starts_with("http://") || address.starts_with("https://");
        pieces.push(Piece {
            text: word.to_owned(),
            link: is_address.then(|| places.to_view(Side::Site, address)),
        });
    }
    pieces
}
