//! A small HTTP/1.1 server for loopback: one accept loop, one task for each connection, all ended with their owner.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// A body that may stream, and may break off.
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyFailure>;

/// Why a body broke off.
pub(crate) type BodyFailure = Box<dyn Error + Send + Sync>;

/// What a handler returns to close the connection without an answer.
#[derive(Debug)]
pub(crate) struct Closed;

/// The most connections at once; more wait in the system's queue.
const MOST_CONNECTIONS: usize = 512;

/// From the first byte of a head to its last, and between two requests.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// The most bytes of a form or of a JSON document that people send us.
const LONGEST_FORM: usize = 64 * 1024;

impl fmt::Display for Closed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("closed on purpose")
    }
}

impl Error for Closed {}

/// Binds a loopback address; port 0 takes a free one. Refuses every other address.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the simulator listens on loopback addresses only",
        ));
    }
    TcpListener::bind(address).await
}

/// Serves every connection with the handler until the handle is dropped, which ends open connections too.
pub(crate) fn serve<Handler, Answering>(
    listener: TcpListener,
    handler: Handler,
) -> AbortOnDropHandle<()>
where
    Handler: Fn(Request<Incoming>) -> Answering + Clone + Send + 'static,
    Answering: Future<Output = Result<Response<Body>, Closed>> + Send + 'static,
{
    AbortOnDropHandle::new(tokio::spawn(accept(listener, handler)))
}

async fn accept<Handler, Answering>(listener: TcpListener, handler: Handler)
where
    Handler: Fn(Request<Incoming>) -> Answering + Clone + Send + 'static,
    Answering: Future<Output = Result<Response<Body>, Closed>> + Send + 'static,
{
    // The set is dropped with this task, and aborts what is in it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, handler.clone()));
                }
                // Out of descriptors, most likely: at once again would spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection<Handler, Answering>(stream: TcpStream, handler: Handler)
where
    Handler: Fn(Request<Incoming>) -> Answering + Send + 'static,
    Answering: Future<Output = Result<Response<Body>, Closed>> + Send + 'static,
{
    // An error here is a client that went away, or one that we hung up on.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(TokioIo::new(stream), service_fn(handler))
        .await;
}

/// Whether the `Host` of a request names this machine.
///
/// SECURITY: a page of some other site could point its own name at 127.0.0.1 and would then share our origin.
pub(crate) fn is_for_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.and_then(|host| host.parse::<Authority>().ok())
        .is_some_and(|authority| is_loopback_name(authority.host()))
}

/// Whether a host is `localhost` or a loopback address.
pub(crate) fn is_loopback_name(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Reads a small body whole; `None` when it is too long or breaks off.
pub(crate) async fn read_form(body: Incoming) -> Option<Bytes> {
    let limited = Limited::new(body, LONGEST_FORM);
    Some(limited.collect().await.ok()?.to_bytes())
}

/// A complete body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A complete answer that no cache keeps.
pub(crate) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut answer = Response::new(full(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    answer
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Body> {
    let body = serde_json::to_vec(value).unwrap_or_default();
    answer(status, "application/json", body)
}

/// Sends the browser elsewhere; a location that no header can carry becomes `/`.
pub(crate) fn redirect(status: StatusCode, location: &str) -> Response<Body> {
    let mut answer = answer(status, "text/plain; charset=utf-8", "");
    let location =
        HeaderValue::from_str(location).unwrap_or_else(|_| HeaderValue::from_static("/"));
    answer.headers_mut().insert("location", location);
    answer
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_loopback_addresses_are_served() {
        for refused in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
            let error = bind(refused.parse().unwrap()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{refused}");
        }
        assert!(bind("127.0.0.1:0".parse().unwrap()).await.is_ok());
    }

    #[test]
    fn a_name_that_was_pointed_at_this_machine_is_not_this_machine() {
        for (host, expected) in [
            ("127.0.0.1:9510", true),
            ("127.1.2.3", true),
            ("localhost:9510", true),
            ("[::1]:9510", true),
            ("evil.example:9510", false),
            ("127.0.0.1.evil.example", false),
            ("192.168.0.1", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_str(host).unwrap());
            assert_eq!(is_for_loopback(&headers), expected, "{host}");
        }
        assert!(!is_for_loopback(&HeaderMap::new()));
    }
}
