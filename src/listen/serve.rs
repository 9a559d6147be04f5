//! One connection: how it opens, then HTTP/1.1 with its deadlines and its drain.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::activity::{Activity, Verdict};
use super::http2;
use super::opening::{self, Opened, Protocol};
use super::seldom::Seldom;
use super::transport::Transport;
use super::tuning::Prepared;
use super::watched::{Watch, WatchedStream, notices_leaving};
use super::{Handler, Peer, Settings};
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
    let mut builder = builder(settings);
    builder.half_close(notices_leaving(&transport));
    let stream = WatchedStream::new(transport, Arc::clone(&watch), permit);
    let service = service_fn(|request| answer(request, &peer, &handler, &watch));
    let mut connection = pin!(
        builder
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    let timeouts = &settings.timeouts;
    let activity = &watch.activity;
    let judge = |now| activity.verdict(now, timeouts);
    let mut over = pin!(over(activity, timeouts.request_header, &mut guard, judge));
    let mut seldom = Seldom::default();
    poll_fn(|context| {
        // The stop signal first: an answer that became ready with it says that it is the last.
        if seldom.poll(over.as_mut(), context).is_ready() {
            return Poll::Ready(());
        }
        connection.as_mut().poll(context).map(|ended| {
            if let Err(error) = ended {
                tracing::debug!(client.addr = %peer.address, %error, "connection ended early");
            }
        })
    })
    .await;
}

/// Waits until a deadline is over, as `judge` says, who is first asked after `patience`; passes the stop signal on meanwhile.
pub(super) async fn over(
    activity: &Activity,
    patience: Duration,
    guard: &mut Guard,
    mut judge: impl FnMut(Instant) -> Verdict,
) {
    let mut deadline = pin!(sleep_until(Instant::now() + patience));
    loop {
        tokio::select! {
            () = deadline.as_mut() => match judge(Instant::now()) {
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

/// PERF: the request goes into the handler's future before this one is made, which would carry it around otherwise.
fn answer<H: Handler>(
    request: Request<Incoming>,
    peer: &Peer,
    handler: &H,
    watch: &Arc<Watch>,
) -> impl Future<Output = Result<Response<WatchedBody<H::Body>>, Infallible>> + Send {
    watch.activity.request_began();
    // Made before the answer: a handler that is dropped halfway ends the request as well.
    let ending = Ending(Arc::clone(watch));
    let peer = Peer {
        flaw: watch.next_flaw(),
        // HTTP/1.0 does not know interim answers (RFC 9110, section 15.2).
        interim: (request.version() == Version::HTTP_11).then(|| Arc::clone(&watch.interim)),
        ..*peer
    };
    let handling = handler.handle(request, peer);
    async move {
        let mut response = handling.await;
        let watch = &ending.0;
        if watch.interim.is_waiting() {
            watch.interim.sent().await;
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            watch.tunnel_begins();
        }
        if watch.activity.is_stopping() {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| WatchedBody { body, ending }))
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
