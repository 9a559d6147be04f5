//! A site that knows nothing of wxgate: answers with what it saw, and remembers it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::server::Server;

/// The headers that applications learn from, in the order of the documentation.
pub(crate) const IDENTITY: [&str; 8] = [
    "x-wxgate-jwt-assertion",
    "x-wechat-openid",
    "x-wechat-unionid",
    "x-wechat-appid",
    "x-wechat-subject",
    "x-wechat-scope",
    "x-wechat-nickname",
    "x-wechat-avatar",
];

/// One request as the site saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Seen {
    /// A header's only value; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map_or("", |value| value.to_str().unwrap());
        assert!(values.next().is_none(), "more than one `{name}`");
        value
    }
}

/// The site; stops when dropped. Header `x-answer: name=value` of a request makes it answer with that header.
pub(crate) struct Upstream {
    server: Server,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let seen = Arc::default();
        let log = Arc::clone(&seen);
        let server = Server::answering(move |request| answer(request, Arc::clone(&log))).await;
        Self { server, seen }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Everything it saw, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Everything it saw since this was asked last.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// What it saw last.
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the site saw no request")
    }
}

async fn answer(request: Request<Incoming>, log: Arc<Mutex<Vec<Seen>>>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let (body, trailers) = body.collect().await.map_or_else(
        |_| Default::default(),
        |body| {
            let trailers = body.trailers().cloned().unwrap_or_default();
            (body.to_bytes(), trailers)
        },
    );
    let mut response = Response::new(Full::from(format!("site answers {}", parts.uri)));
    for answer in parts.headers.get_all("x-answer") {
        let (name, value) = answer.to_str().unwrap().split_once('=').unwrap();
        let name: http::HeaderName = name.parse().unwrap();
        response.headers_mut().append(name, value.parse().unwrap());
    }
    log.lock().unwrap().push(Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body,
        trailers,
    });
    response
}
