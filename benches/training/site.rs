//! The site behind the gateway: pages of several sizes, with and without an announced length.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Stops when dropped.
pub(crate) struct Site {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Site {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream));
            }
        });
        Ok(Self {
            address,
            _tasks: tasks,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(stream: TcpStream) {
    // Answers are written in one piece; waiting for more would only slow the training.
    let _ = stream.set_nodelay(true);
    // The gateway may leave at any time.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn answer(request: Request<Incoming>) -> http::Result<Answer> {
    let builder = Response::builder().header("server", "site");
    let path = request.uri().path().to_owned();
    if request.method() == Method::POST {
        // What cannot be read is answered with nothing, which the training finds.
        let body = request.into_body().collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let builder = builder.header(CONTENT_TYPE, "application/json");
        return builder.body(Full::new(body).boxed());
    }
    if path.starts_with("/static/") {
        let builder = builder
            .header(ETAG, "\"6a1f-5c\"")
            .header(CACHE_CONTROL, "public, max-age=3600")
            .header("last-modified", "Thu, 05 Nov 2026 08:00:00 GMT");
        if request.headers().contains_key(IF_NONE_MATCH) {
            let builder = builder.status(StatusCode::NOT_MODIFIED);
            return builder.body(Full::default().boxed());
        }
        let builder = builder.header(CONTENT_TYPE, "text/css");
        return builder.body(page(8 * 1024));
    }
    let builder = builder.header(CONTENT_TYPE, "text/html; charset=utf-8");
    match path.as_str() {
        "/large" => builder.body(page(100 * 1024)),
        // As scripts write it: piece by piece, without a length.
        "/pieces" => {
            let piece = Bytes::from("<li>piece</li>".repeat(100));
            let pieces = (0..4).map(move |_| Ok(Frame::data(piece.clone())));
            builder.body(StreamBody::new(stream::iter(pieces)).boxed())
        }
        "/cart" => builder
            .header(SET_COOKIE, "site=cart; Path=/; HttpOnly")
            .header(CACHE_CONTROL, "no-store")
            .body(page(2 * 1024)),
        _ => builder.body(page(1024)),
    }
}

fn page(size: usize) -> BoxBody<Bytes, Infallible> {
    Full::from("x".repeat(size)).boxed()
}
