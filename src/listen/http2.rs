//! One connection that speaks HTTP/2: limits, deadlines, drain.
//!
//! hyper counts some of the known floods: streams that are reset, headers without end, empty data. The rest is counted by
//! [`Frames`] on the way in, and what a client does not take by [`Streams`] on the way out.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::CONNECTION;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::activity::{Activity, Verdict};
use super::fields;
use super::frames::Frames;
use super::observed::{Observed, Observer};
use super::seldom::Seldom;
use super::serve::over;
use super::streams::{Stall, Stream, StreamBody, Streams};
use super::transport::Transport;
use super::{Handler, Peer, Settings};
use crate::drain::Guard;

/// Requests at once on one connection.
const CONCURRENT_STREAMS: u32 = 100;

/// Streams that a client may reset before we have looked at them (CVE-2023-44487).
const RESETS_BEFORE_ACCEPTED: usize = 20;

/// Streams that a client may make us reset by breaking the protocol (CVE-2025-8671).
const RESETS_BY_US: usize = 64;

/// Bytes of one request body that may wait for us.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Bytes of all request bodies that may wait for us.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Bytes of one answer that may wait for the client.
const SEND_BUFFER: usize = 64 * 1024;

/// How often a quiet client is asked whether it is there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_PATIENCE: Duration = Duration::from_secs(10);

/// Serves one connection until the client leaves, a deadline is over, or the last answer after the stop signal is sent.
pub(super) async fn connection(
    transport: Transport,
    permit: Option<OwnedSemaphorePermit>,
    peer: Peer,
    handler: impl Handler,
    settings: &Settings,
    mut guard: Guard,
) {
    let streams = Streams::new();
    let counted = Counted {
        frames: Frames::new(Instant::now()),
        streams: Arc::clone(&streams),
    };
    let io = TokioIo::new(Observed::new(transport, counted, permit));
    let begin = Arc::clone(&streams);
    let most = settings.max_headers;
    // HTTP/2 has no way for interim answers here: hyper's server writes none.
    let client = peer.address;
    let service = service_fn(move |request| {
        let stream = begin.begin();
        answer(request, peer.clone(), handler.clone(), stream, most)
    });
    let builder = builder(settings, Tasks(Arc::clone(&streams)));
    let mut connection = pin!(builder.serve_connection(io, service));
    let _cleanup = AbortOnDrop(&streams);
    let timeouts = &settings.timeouts;
    let activity = &streams.activity;
    let judge = |now| {
        let stall = streams.cut_stalled(now, timeouts.body_progress);
        match (activity.verdict(now, timeouts), stall) {
            (Verdict::Close, _) | (_, Stall::Connection) => Verdict::Close,
            (Verdict::Wait(until), Stall::None(next)) => {
                Verdict::Wait(next.map_or(until, |next| next.min(until)))
            }
        }
    };
    let mut over = pin!(over(activity, timeouts.request_header, &mut guard, judge));
    let (mut seldom, mut was_told) = (Seldom::default(), false);
    poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            if let Err(error) = ended {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(client.addr = %client, error, "connection ended early");
            }
            return Poll::Ready(());
        }
        let is_over = seldom.poll(over.as_mut(), context);
        if activity.is_stopping() && !was_told {
            was_told = true;
            connection.as_mut().graceful_shutdown();
            // It says goodbye when it is polled again.
            context.waker().wake_by_ref();
        }
        is_over
    })
    .await;
}

fn builder(settings: &Settings, tasks: Tasks) -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(CONCURRENT_STREAMS)
        .max_pending_accept_reset_streams(RESETS_BEFORE_ACCEPTED)
        .max_local_error_reset_streams(RESETS_BY_US)
        .max_header_list_size(u32::try_from(settings.max_header).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE);
    builder
}

async fn answer<H: Handler>(
    mut request: Request<Incoming>,
    peer: Peer,
    handler: H,
    stream: Arc<Stream>,
    most: usize,
) -> Result<Response<StreamBody<H::Body>>, Infallible> {
    let flaw = fields::admit(&mut request, most);
    let mut response = handler.handle(request, Peer { flaw, ..peer }).await;
    // Each request ends by itself here, so there is nothing to say about the connection.
    response.headers_mut().remove(CONNECTION);
    Ok(response.map(|body| StreamBody::new(body, stream)))
}

/// Runs each request in a task of its own, which ends with the connection.
#[derive(Clone)]
struct Tasks(Arc<Streams>);

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        // hyper asks the service for an answer and hands the answer over at once, before it reads another request.
        self.0.runs_in(tokio::spawn(future).abort_handle());
    }
}

/// Ends what a connection leaves behind, however it ends.
struct AbortOnDrop<'s>(&'s Streams);

impl Drop for AbortOnDrop<'_> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts frames.
struct Counted {
    frames: Frames,
    streams: Arc<Streams>,
}

impl Observer for Counted {
    fn activity(&self) -> &Activity {
        &self.streams.activity
    }

    fn received(&mut self, bytes: &[u8]) -> io::Result<()> {
        let earned = self.streams.earned();
        self.frames.follow(bytes, earned).map_err(io::Error::other)
    }

    fn sent(&mut self, count: usize) {
        self.frames.sent(count);
    }

    fn poll_flushing(&mut self, _: &mut Transport, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
