//! The browsers of phone and computer: each fetches pages as a real one would, from the site and from this WeChat, never from anywhere else.
//!
//! Both appear under one origin so that the page around can show them in a frame: the site at its own paths, WeChat below
//! `/~wechat`. Cookies stay here, in the device's jar; what the surrounding browser sends is ignored. Scripts of a page
//! therefore see no `document.cookie`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_SECURITY_POLICY;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Uri, response};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use minijinja::context;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::chat;
use super::device::{Device, Screen};
use super::origin::SiteOrigin;
use super::places::{FOREIGN, Places, REPLAY, Side};
use super::program::{self, PROGRAM_HEADER};
use super::query::Query;
use super::server::{self, Body, BodyFailure};
use super::shared::{Shared, lock};

/// How long a connection may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// How long the head of an answer may take: longer than any login may.
const HEAD_DEADLINE: Duration = Duration::from_secs(60);

/// The longest page; only pages are held, the rest streams.
const LONGEST_PAGE: usize = 2 * 1024 * 1024;

/// Why the phone has nothing to show.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    #[error("no answer within 60 seconds")]
    Slow,
    #[error("no answer: {0}")]
    Broken(#[source] hyper::Error),
    #[error("the page is longer than 2 MiB, or broke off")]
    Page(#[source] BodyFailure),
}

/// Answers one request of the frame.
pub(super) async fn answer(
    shared: &Shared,
    screen: Screen,
    request: Request<Incoming>,
) -> Response<Body> {
    if !server::is_for_loopback(request.headers()) {
        return server::answer(StatusCode::MISDIRECTED_REQUEST, "text/plain", "");
    }
    let (head, body) = request.into_parts();
    match head.uri.path() {
        REPLAY if screen == Screen::Phone => return replay(shared),
        FOREIGN => return foreign(shared, screen, head.uri.query().unwrap_or_default()),
        _ => {}
    }
    if screen == Screen::Phone
        && let Some(answer) = program::answer(shared, &head)
    {
        return answer;
    }
    let site = lock(&shared.phone).site.clone();
    let Some(site) = site else {
        return offline(
            shared,
            screen,
            "手机还没有打开网站 (type the address of a site on this machine)",
            None,
        );
    };
    let places = Places {
        site,
        wechat: shared.wechat.clone(),
        view: shared.view_origin(screen),
    };
    if screen == Screen::Phone && head.uri.path() == chat::CHAT {
        return chat::show(shared, &places);
    }
    let Some((side, target)) = places.target(&head.uri) else {
        return offline(shared, screen, "没有这个页面 (no such page)", None);
    };
    let asked = Asked {
        screen,
        side,
        target,
    };
    match fetch(shared, &places, asked, head, body).await {
        Ok(answer) => answer,
        Err(error) => offline(
            shared,
            screen,
            "无法打开网页 (the page cannot be opened)",
            Some(&error.to_string()),
        ),
    }
}

/// Opens the last callback again, as reload and back do on a real phone.
fn replay(shared: &Shared) -> Response<Body> {
    let last = lock(&shared.phone).last_callback.clone();
    match last {
        Some(path) => server::redirect(StatusCode::FOUND, &path),
        None => offline(
            shared,
            Screen::Phone,
            "还没有登录过 (nobody logged in on this phone yet)",
            None,
        ),
    }
}

fn foreign(shared: &Shared, screen: Screen, query: &str) -> Response<Body> {
    let query = Query::parse(query);
    offline(
        shared,
        screen,
        "模拟手机只打开本机的演示网站 (this phone opens the demo's own site only)",
        query.get("to"),
    )
}

/// A page of the phone itself. Status 200: the phone works, only there is nothing to show.
fn offline(shared: &Shared, screen: Screen, text: &str, address: Option<&str>) -> Response<Body> {
    let page = shared.render_text("offline.html", &context! { text, address });
    let reporter = shared.reporter(screen);
    let mut answer = server::answer(
        StatusCode::OK,
        "text/html; charset=utf-8",
        page + &reporter.tag(),
    );
    let policy = reporter.policy();
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}

/// What a frame wants.
struct Asked {
    screen: Screen,
    side: Side,
    target: Uri,
}

async fn fetch(
    shared: &Shared,
    places: &Places,
    Asked {
        screen,
        side,
        target,
    }: Asked,
    head: Parts,
    body: Incoming,
) -> Result<Response<Body>, Error> {
    let now = shared.clock.now();
    let path = target.path().to_owned();
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = target;
    let is_program = screen == Screen::Phone && head.headers.contains_key(PROGRAM_HEADER);
    let surface = lock(&shared.phone).surface;
    let app_id = program::app_id(shared, surface);
    {
        let mut phone = lock(&shared.phone);
        let cookies = phone.jar(screen).header(&path, now);
        let device = Device {
            cookies: cookies.filter(|_| side == Side::Site),
            is_program,
            ..phone.device(screen, app_id.as_deref())
        };
        *request.headers_mut() = places.request_headers(side, &head.headers, &device);
    }
    let is_head = request.method() == http::Method::HEAD;
    let (mut head, body) = send(places.origin(side), request).await?.into_parts();
    if side == Side::Site && !is_program {
        keep_cookies(shared, places, screen, &head, &path);
    }
    if screen == Screen::Phone
        && let Some(callback) = places.callback(side, &head.headers)
    {
        lock(&shared.phone).last_callback = Some(callback);
    }
    let reporter = shared.reporter(screen);
    places.answer_headers(side, &mut head.headers, reporter);
    if is_head || !is_page(&head) {
        return Ok(Response::from_parts(head, body.boxed_unsync()));
    }
    let page = Limited::new(body, LONGEST_PAGE).collect().await;
    let page = page.map_err(Error::Page)?.to_bytes();
    let mut page = places.rewrite_page(side, &page);
    page.extend_from_slice(reporter.tag().as_bytes());
    head.headers.insert("content-length", page.len().into());
    head.headers.remove("etag");
    Ok(Response::from_parts(head, server::full(page)))
}

fn keep_cookies(
    shared: &Shared,
    places: &Places,
    screen: Screen,
    head: &response::Parts,
    path: &str,
) {
    let now = shared.clock.now();
    let mut phone = lock(&shared.phone);
    for line in head.headers.get_all("set-cookie") {
        if let Ok(line) = line.to_str() {
            phone.jar(screen).store(line, places.site.host(), path, now);
        }
    }
}

fn is_page(head: &response::Parts) -> bool {
    let content_type = head.headers.get("content-type").map(HeaderValue::as_bytes);
    content_type.is_some_and(|value| value.starts_with(b"text/html"))
        && !head.headers.contains_key("content-encoding")
        && head.status != StatusCode::NOT_MODIFIED
        && head.status != StatusCode::NO_CONTENT
}

/// Sends a request to one of the origins that the phone opens.
pub(super) async fn send<B>(
    origin: &SiteOrigin,
    request: Request<B>,
) -> Result<Response<Held>, Error>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyFailure>,
{
    let connecting = tokio::time::timeout(CONNECT_DEADLINE, TcpStream::connect(origin.endpoint()));
    let stream = connecting
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(Error::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(Error::Broken)?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        // Its error also reaches whoever reads the answer.
        let _ = connection.await;
    }));
    let answer = tokio::time::timeout(HEAD_DEADLINE, sender.send_request(request))
        .await
        .map_err(|_| Error::Slow)?
        .map_err(Error::Broken)?;
    Ok(answer.map(|body| Held {
        body,
        _connection: connection,
    }))
}

/// A body that keeps the connection it comes from.
pub(super) struct Held {
    body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        Pin::new(&mut self.body)
            .poll_frame(context)
            .map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
