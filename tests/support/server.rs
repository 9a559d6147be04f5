//! A server on a port of its own: the loop that every site and service of a test is made of.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Stops when dropped, with all its connections.
pub(crate) struct Server {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Does this with each connection.
    pub(crate) async fn start<F, Served>(mut serve: F) -> Self
    where
        F: FnMut(TcpStream) -> Served + Send + 'static,
        Served: Future<Output: Send> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream));
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }

    /// Answers each request over HTTP/1.1.
    pub(crate) async fn answering<F, Answered>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Answered + Clone + Send + 'static,
        Answered: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Self::start(move |stream| answer_each(stream, answer.clone())).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Scheme, host and port.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Answers each request of a connection over HTTP/1.1, until either side ends it.
pub(crate) async fn answer_each<S, F, Answered, B>(stream: S, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request<Incoming>) -> Answered,
    Answered: Future<Output = Response<B>>,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let service = service_fn(move |request| {
        let answered = answer(request);
        async { Ok::<_, Infallible>(answered.await) }
    });
    let builder = hyper::server::conn::http1::Builder::new();
    // The gateway may leave at any time.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
