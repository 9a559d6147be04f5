//! One connection that speaks HTTP/2: limits, deadlines, drain.
//!
//! hyper counts some of the known floods: streams that are reset, headers without end, empty data. The rest is counted by
//! [`Frames`] on the way in, and what a client does not take by [`Streams`] on the way out.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::CONNECTION;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::activity::Verdict;
use super::fields;
use super::frames::Frames;
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
    let io = TokioIo::new(CountedStream {
        transport,
        frames: Frames::new(Instant::now()),
        streams: Arc::clone(&streams),
        _permit: permit,
    });
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
    let mut deadline = pin!(sleep_until(Instant::now() + timeouts.request_header));
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    let error: &dyn std::error::Error = &error;
                    tracing::debug!(client.addr = %client, error, "connection ended early");
                }
                return;
            }
            () = deadline.as_mut() => {
                let now = Instant::now();
                let stall = streams.cut_stalled(now, timeouts.body_progress);
                match (streams.activity.verdict(now, timeouts), stall) {
                    (Verdict::Close, _) | (_, Stall::Connection) => return,
                    (Verdict::Wait(until), Stall::None(next)) => {
                        deadline.as_mut().reset(next.map_or(until, |next| next.min(until)));
                    }
                }
            }
            () = guard.stopping(), if !streams.activity.is_stopping() => {
                streams.activity.stop(Instant::now());
                connection.as_mut().graceful_shutdown();
                deadline.as_mut().reset(Instant::now());
            }
        }
    }
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

/// A socket that counts frames, and notes when the client does not read.
struct CountedStream {
    transport: Transport,
    frames: Frames,
    streams: Arc<Streams>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl CountedStream {
    fn note_write<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &written {
            Poll::Pending => self.streams.activity.write_blocked(),
            Poll::Ready(_) => self.streams.activity.write_progressed(),
        }
        written
    }

    fn note_sent(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.frames.sent(*count);
        }
        self.note_write(written)
    }
}

impl AsyncRead for CountedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.transport).poll_read(context, buffer))?;
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        let earned = self.streams.earned();
        Poll::Ready(self.frames.follow(bytes, earned).map_err(io::Error::other))
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write(context, bytes);
        self.note_sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write_vectored(context, slices);
        self.note_sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.transport).poll_flush(context);
        self.note_write(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }
}
