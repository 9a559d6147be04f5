//! A scripted origin, a small server around [`Proxy::forward`], and a client.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::drain::Drain;
use crate::message::{BodyError, Head, RequestBody, RequestId, Scheme};
use crate::observe::Metrics;
use crate::proxy::{
    Additions, Address, Balance, EndSignal, Error, Forwarding, HeaderEdits, HostHeader,
    IdentityFields, Origin, PrivateNames, Protocol, Proxy, Resolver, Server, Settings, UpstreamId,
    UpstreamSettings,
};

/// Longer than any test may take: waiting this long is a failure.
pub(super) const NEVER: Duration = Duration::from_secs(20);
/// A deadline that a test wants to pass.
pub(super) const SOON: Duration = Duration::from_millis(80);

/// An origin that plays a script on each connection.
pub(super) struct ScriptedOrigin {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

/// One connection as the origin sees it.
pub(super) struct Conversation {
    pub(super) stream: TcpStream,
    heads: Arc<Mutex<Vec<String>>>,
    ahead: Vec<u8>,
}

impl ScriptedOrigin {
    /// Starts one. The script gets the connection's number, counted from 0.
    pub(super) async fn start<F, Played>(script: F) -> Self
    where
        F: Fn(usize, Conversation) -> Played + Send + 'static,
        Played: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            heads: Arc::default(),
        };
        let connections = Arc::clone(&origin.connections);
        let heads = Arc::clone(&origin.heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let conversation = Conversation {
                    stream,
                    heads: Arc::clone(&heads),
                    ahead: Vec::new(),
                };
                tokio::spawn(script(number, conversation));
            }
        });
        origin
    }

    /// One that says the same after each request head, until the connection ends.
    pub(super) async fn answering(answer: &'static str) -> Self {
        Self::start(move |_, mut talk| async move {
            while talk.head().await?.is_some() {
                talk.say(answer).await?;
            }
            Ok(())
        })
        .await
    }

    /// Connections accepted so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Every request head seen so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Conversation {
    /// The next request head with its blank line; `None` when the other side has finished.
    pub(super) async fn head(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
                let head = String::from_utf8(head).unwrap();
                self.heads.lock().unwrap().push(head.clone());
                return Ok(Some(head));
            }
            if !self.read_more().await? {
                return Ok(None);
            }
        }
    }

    /// Reads exactly this much of a body.
    pub(super) async fn body(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < length {
            if !self.read_more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.ahead.drain(..length).collect())
    }

    /// Reads until a client of HTTP/2 has said hello.
    pub(super) async fn rest_until_preface(&mut self) -> io::Result<()> {
        self.body(24).await.map(|_| ())
    }

    /// Everything until the other side finishes or breaks.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        while self.read_more().await.unwrap_or(false) {}
        std::mem::take(&mut self.ahead)
    }

    /// Sends.
    pub(super) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Ends the connection with a reset instead of an orderly end.
    pub(super) fn reset(self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    async fn read_more(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.ahead).await? > 0)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// The proxy behind a real HTTP server.
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    pub(super) proxy: Arc<Proxy>,
    pub(super) drain: Arc<Drain>,
}

/// What differs between tests.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) forwarding: Forwarding,
    /// How long a client may pause in its body.
    pub(super) patience: Duration,
    pub(super) end: Option<Arc<dyn Fn() -> EndSignal + Send + Sync>>,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            forwarding: Forwarding {
                upstream: UpstreamId(0),
                strip_prefix: None,
                request_headers: HeaderEdits::default(),
                response_headers: HeaderEdits::default(),
                response_header_timeout: None,
                max_body: None,
            },
            patience: NEVER,
            end: None,
        }
    }
}

/// An upstream of these servers with deadlines that never pass.
pub(super) fn upstream(servers: &[SocketAddr]) -> UpstreamSettings {
    let server = |address: &SocketAddr| Server {
        address: Address::Tcp {
            host: address.ip().to_string(),
            port: address.port(),
        },
        protocol: Protocol::Http,
    };
    UpstreamSettings {
        name: "app".to_owned(),
        servers: servers.iter().map(server).collect(),
        balance: Balance::RoundRobin,
        host_header: HostHeader::Preserve,
        connect_timeout: NEVER,
        response_header_timeout: NEVER,
        idle_timeout: NEVER,
        keep_alive: NEVER,
        max_idle: 16,
        max_connections: 1000,
        retries: 1,
        health_check: None,
    }
}

/// A proxy for one upstream.
pub(super) fn proxy(settings: UpstreamSettings, drain: &Arc<Drain>) -> Proxy {
    resolving(settings, Resolver::system(), drain)
}

/// The same, where names mean what this says.
pub(super) fn resolving(
    settings: UpstreamSettings,
    resolver: Resolver,
    drain: &Arc<Drain>,
) -> Proxy {
    let settings = Settings {
        upstreams: vec![settings],
        resolver,
    };
    Proxy::new(settings, None, &Metrics::new(), Arc::clone(drain))
}

/// Where test requests come from.
pub(super) fn visitor() -> Origin {
    Origin {
        client: "203.0.113.7".parse().unwrap(),
        trusted_peer: None,
        scheme: Scheme::Https,
        request_id: RequestId::new(HeaderValue::from_static("request-1")).unwrap(),
        request_id_header: HeaderName::from_static("x-request-id"),
    }
}

/// The identity that is added to test requests.
pub(super) fn identity() -> IdentityFields {
    IdentityFields::new(vec![(
        HeaderName::from_static("x-wechat-openid"),
        HeaderValue::from_static("ours"),
    )])
}

/// Everything below `x-wechat-` and `x-wxgate-`.
pub(super) fn private() -> PrivateNames {
    Arc::new(|name| {
        name.as_str().starts_with("x-wechat-") || name.as_str().starts_with("x-wxgate-")
    })
}

impl Gateway {
    /// In front of one origin, with the given changes.
    pub(super) async fn start(
        servers: &[SocketAddr],
        change: impl FnOnce(&mut UpstreamSettings, &mut Route),
    ) -> Self {
        let mut settings = upstream(servers);
        let mut route = Route::default();
        change(&mut settings, &mut route);
        let drain = Arc::new(Drain::new());
        let proxy = Arc::new(proxy(settings, &drain));
        Self::serve(proxy, route, drain).await
    }

    /// In front of one origin.
    pub(super) async fn to(origin: &ScriptedOrigin) -> Self {
        Self::start(&[origin.address], |_, _| {}).await
    }

    /// Around an existing proxy.
    pub(super) async fn serve(proxy: Arc<Proxy>, route: Route, drain: Arc<Drain>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&proxy);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = Arc::clone(&shared);
                let route = route.clone();
                let service = service_fn(move |request| {
                    let proxy = Arc::clone(&proxy);
                    let route = route.clone();
                    async move { Ok::<_, Infallible>(answer(&proxy, &route, request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades();
                tokio::spawn(connection);
            }
        });
        Self {
            address,
            proxy,
            drain,
        }
    }

    /// Sends a request on a connection of its own and reads the whole answer.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Reply {
        let (head, body) = self.begin(request).await;
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        Reply {
            status: head.status.as_u16(),
            head,
            body: body.map_err(|_| Cut),
        }
    }

    /// Sends a GET.
    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send(request("GET", path, "")).await
    }

    /// Sends a POST.
    pub(super) async fn post(&self, path: &str, body: &'static str) -> Reply {
        self.send(request("POST", path, body)).await
    }

    /// Sends a request and waits only for the head.
    pub(super) async fn begin(&self, request: Request<Full<Bytes>>) -> (response::Parts, Incoming) {
        let stream = self.connect().await;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let sent = timeout(NEVER, sender.send_request(request));
        sent.await.unwrap().unwrap().into_parts()
    }

    /// A bare connection.
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Asks for a WebSocket on a new connection; the connection, and the answer as far as its status.
    pub(super) async fn ask_for_websocket(&self) -> (TcpStream, [u8; 12]) {
        let mut stream = self.connect().await;
        let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        let read = timeout(NEVER, stream.read_exact(&mut answer)).await;
        read.unwrap().unwrap();
        (stream, answer)
    }

    /// Sends these bytes, finishes, and reads all that comes back.
    pub(super) async fn raw(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let reading = timeout(NEVER, stream.read_to_end(&mut answer));
        // A reset after the answer is the server's right when it does not want the rest.
        let _ = reading.await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// The transfer broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut;

/// An answer as the client saw it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: response::Parts,
    pub(super) body: Result<Bytes, Cut>,
}

impl Reply {
    /// A header field as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap())
    }
}

/// A request as the test's client sends it.
pub(super) fn request(method: &str, path: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "shop.example")
        .body(Full::from(body))
        .unwrap()
}

/// What the gateway does around `forward`.
async fn answer(
    proxy: &Proxy,
    route: &Route,
    request: Request<Incoming>,
) -> Response<UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>> {
    let target = request.uri().path_and_query().unwrap().clone();
    let (mut parts, body) = request.into_parts();
    let mut body = RequestBody::new(body, route.patience);
    let additions = Additions {
        origin: &visitor(),
        present: Head::of(&parts.headers).present,
        identity: Some(&identity()),
        private: &private(),
        wanted: None,
        end: route.end.as_deref(),
        interim: None,
        traceparent: None,
        span: None,
    };
    match proxy
        .forward(
            &route.forwarding,
            (&mut parts, &mut body),
            &target,
            &additions,
        )
        .await
    {
        Ok(forwarded) => {
            let attempts = forwarded.attempts;
            let mut response = forwarded
                .response
                .map(|body| UnsyncBoxBody::new(body.map_err(Into::into)));
            response
                .headers_mut()
                .insert("test-attempts", HeaderValue::from(attempts));
            response
        }
        Err(error) => {
            let body = Full::from(error.to_string()).map_err(|never| match never {});
            let mut response = Response::new(UnsyncBoxBody::new(body));
            *response.status_mut() = status(&error);
            response
        }
    }
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::NoServer { .. } | Error::AllIll { .. } | Error::Full { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Error::Connect { .. }
        | Error::Tls { .. }
        | Error::Broken { .. }
        | Error::Unusable { .. } => StatusCode::BAD_GATEWAY,
        Error::ConnectTimeout { .. } | Error::HeadTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        Error::RequestBody(BodyError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        Error::RequestBody(BodyError::Stalled(_)) => StatusCode::REQUEST_TIMEOUT,
        Error::RequestBody(BodyError::Broken(_)) => StatusCode::BAD_REQUEST,
    }
}

/// An address on which nobody listens.
pub(super) async fn refusing_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// A server that takes no connection and refuses none, like a host that is gone.
pub(super) struct DeadServer {
    pub(super) address: SocketAddr,
    /// A full backlog drops what knocks.
    _backlog: (socket2::Socket, Vec<TcpStream>),
}

impl DeadServer {
    pub(super) async fn start() -> Self {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let anywhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&anywhere.into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) = timeout(SOON, TcpStream::connect(address)).await {
            waiting.push(stream);
        }
        Self {
            address,
            _backlog: (socket, waiting),
        }
    }
}
