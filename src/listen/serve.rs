//! One connection: how it opens, then HTTP/1.1 with its deadlines and its drain.

use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::activity::{Activity, Verdict};
use super::admission::Scanner;
use super::http2;
use super::opening::{self, Opened, Protocol};
use super::transport::Transport;
use super::tuning::Prepared;
use super::{Handler, Interim, Peer, Settings};
use crate::drain::Guard;
use crate::observe::ListenerMetrics;

/// How much hyper buffers; bigger buffers leave the cache without being faster. Never smaller than the largest head.
const BUFFER: usize = 32 * 1024;

/// A connection as it was accepted.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    /// Its place among those that are allowed at once.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    pub(super) peer: Peer,
    pub(super) current: Arc<Prepared>,
    pub(super) metrics: ListenerMetrics,
}

/// Serves one connection until the client leaves, a deadline is over, or the last answer after the stop signal is sent.
pub(super) async fn connection(accepted: Accepted, handler: impl Handler, guard: Guard) {
    let Accepted {
        stream,
        permit,
        peer,
        current,
        metrics,
    } = accepted;
    // Without it, the last piece of an answer waits for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let opened = if current.is_plain() {
        Some(Opened::plain(stream, peer.address))
    } else {
        Box::pin(opening::open(stream, peer.address, &current, &metrics)).await
    };
    let Some(opened) = opened else {
        return;
    };
    let peer = Peer {
        address: opened.client,
        ..peer
    };
    let (transport, settings) = (opened.transport, &current.settings);
    match opened.protocol {
        Protocol::Http1 => {
            http1_connection(transport, permit, peer, handler, settings, guard).await;
        }
        Protocol::Http2 => {
            let serving = http2::connection(transport, permit, peer, handler, settings, guard);
            // In a box, so that a connection of HTTP/1.1 does not need its memory.
            Box::pin(serving).await;
        }
    }
}

/// HTTP/1.1 until the end.
async fn http1_connection(
    transport: Transport,
    permit: Option<OwnedSemaphorePermit>,
    peer: Peer,
    handler: impl Handler,
    settings: &Settings,
    mut guard: Guard,
) {
    let watch = Arc::new(Watch::new(settings.max_header));
    let activity = &watch.activity;
    let io = TokioIo::new(WatchedStream {
        transport,
        watch: Arc::clone(&watch),
        _permit: permit,
    });
    let service = service_fn(|request| answer(request, &peer, &handler, &watch));
    let mut connection = pin!(
        builder(settings)
            .serve_connection(io, service)
            .with_upgrades()
    );
    let mut deadline = pin!(sleep_until(
        Instant::now() + settings.timeouts.request_header
    ));
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(client.addr = %peer.address, %error, "connection ended early");
                }
                return;
            }
            () = deadline.as_mut() => match activity.verdict(Instant::now(), &settings.timeouts) {
                Verdict::Wait(until) => deadline.as_mut().reset(until),
                Verdict::Close => return,
            },
            () = guard.stopping(), if !activity.is_stopping() => {
                activity.stop(Instant::now());
                deadline.as_mut().reset(Instant::now());
            }
        }
    }
}

fn builder(settings: &Settings) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(BUFFER.max(settings.max_header))
        .max_header_size(settings.max_header)
        // Our own timer tells a silent peer from an idle one; hyper's cannot.
        .header_read_timeout(None);
    // Naming hyper's own default would cost an allocation per request.
    if settings.max_headers != 100 {
        builder.max_headers(settings.max_headers);
    }
    builder
}

async fn answer<H: Handler>(
    request: Request<Incoming>,
    peer: &Peer,
    handler: &H,
    watch: &Arc<Watch>,
) -> Result<Response<WatchedBody<H::Body>>, std::convert::Infallible> {
    watch.activity.request_began();
    // Made before the answer: a handler that is dropped halfway ends the request as well.
    let ending = Ending(Arc::clone(watch));
    let peer = Peer {
        flaw: watch.next_flaw(),
        // HTTP/1.0 does not know interim answers (RFC 9110, section 15.2).
        interim: (request.version() == Version::HTTP_11).then(|| Arc::clone(&watch.interim)),
        ..*peer
    };
    let mut response = handler.handle(request, peer).await;
    if watch.interim.is_waiting() {
        watch.interim.sent().await;
    }
    if watch.activity.is_stopping() {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| WatchedBody { body, ending }))
}

/// What socket, service and timer of one connection share.
struct Watch {
    activity: Activity,
    interim: Arc<Interim>,
    /// Locked for a few lines by one task only, so never contended.
    scanner: Mutex<Scanner>,
    requests: AtomicU64,
    max_header: usize,
}

impl Watch {
    fn new(max_header: usize) -> Self {
        Self {
            activity: Activity::new(Instant::now()),
            interim: Arc::default(),
            scanner: Mutex::default(),
            requests: AtomicU64::new(0),
            max_header,
        }
    }

    fn received(&self, bytes: &[u8]) {
        self.activity.received();
        let mut scanner = self.scanner.lock().unwrap_or_else(PoisonError::into_inner);
        scanner.follow(bytes, self.max_header);
    }

    fn next_flaw(&self) -> Option<super::Flaw> {
        let index = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut scanner = self.scanner.lock().unwrap_or_else(PoisonError::into_inner);
        scanner.flaw_of(index)
    }
}

/// Notes the end of a request when dropped.
struct Ending(Arc<Watch>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.activity.request_ended();
    }
}

pin_project! {
    /// An answer's body; its end is the end of the request.
    struct WatchedBody<B> {
        #[pin]
        body: B,
        ending: Ending,
    }
}

impl<B: Body<Data = Bytes>> Body for WatchedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that notes what happens on it.
struct WatchedStream {
    transport: Transport,
    watch: Arc<Watch>,
    /// A tunnel takes the socket over, and its place with it.
    _permit: Option<OwnedSemaphorePermit>,
}

impl WatchedStream {
    fn note_write<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &written {
            Poll::Pending => self.watch.activity.write_blocked(),
            Poll::Ready(_) => self.watch.activity.write_progressed(),
        }
        written
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.transport).poll_read(context, buffer);
        if polled.is_ready() {
            match buffer.filled().get(before..) {
                None | Some([]) => {}
                Some(bytes) => self.watch.received(bytes),
            }
        }
        polled
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write(context, bytes);
        self.note_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write_vectored(context, slices);
        self.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            transport, watch, ..
        } = &mut *self;
        // hyper flushes when it has written everything it has, so nothing is cut in two here.
        if watch.interim.is_waiting() {
            let written = watch.interim.poll_write(Pin::new(&mut *transport), context);
            ready!(self.note_write(written))?;
        }
        // TLS takes bytes before the socket does, and says here that the socket does not.
        let flushed = Pin::new(&mut self.transport).poll_flush(context);
        self.note_write(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }
}
