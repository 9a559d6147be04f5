//! One connection to a server, driven by whoever holds it.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep};

use super::deadline::{Deadlines, Wait, Watch, later};
use super::interim;
use super::outgoing::{Outgoing, Upload};
use super::socket::{Socket, Traffic};
use super::transport::Transport;

/// The largest head of an answer, and the most that is read ahead of a slow client.
///
/// hyper counts at most 100 header lines by itself, on the stack; naming a larger number would cost an allocation per answer.
const BUFFER: usize = 64 * 1024;

/// A connection and everything that belongs to it. Boxed once, then only handed around.
///
/// Nobody drives it but the one who holds it: dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Wire {
    sender: SendRequest<Outgoing>,
    /// `None` after its end.
    connection: Option<Connection<TokioIo<Socket>, Outgoing>>,
    finished: bool,
    peer: Option<SocketAddr>,
    traffic: Arc<Traffic>,
    /// One timer for all deadlines: moving it further away is cheap, making a new one is not.
    timer: Pin<Box<Sleep>>,
    /// Cleared when there is any doubt about where the answer ends, or whom the connection belongs to.
    pub(super) may_be_reused: bool,
    /// When it was put into the pool.
    pub(super) idle_since: Instant,
}

/// Takes an interim answer.
pub(super) type PassOn<'a> = dyn Fn(interim::Head) + Send + Sync + 'a;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was written; here is the request again.
    Unsent(Box<Request<Outgoing>>, hyper::Error),
    /// The connection broke or the answer is no HTTP.
    Died {
        /// What hyper says.
        source: hyper::Error,
        /// At least one byte of an answer had come.
        begun: bool,
    },
    /// This deadline passed.
    Late(Duration),
}

impl Wire {
    /// Takes a connection that is idle.
    pub(super) async fn new(stream: Transport) -> io::Result<Box<Self>> {
        let traffic = Arc::<Traffic>::default();
        let peer = stream.peer();
        let socket = Socket::new(stream, Arc::clone(&traffic));
        let (sender, connection) = Builder::new()
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(io::Error::other)?;
        Ok(Box::new(Self {
            sender,
            connection: Some(connection),
            finished: false,
            peer,
            traffic,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            may_be_reused: true,
            idle_since: Instant::now(),
        }))
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// A connection that was closed while it was idle is found here: hyper looks for the end of the stream before it
    /// writes, and gives the request back. Cancelling closes the connection with the `Wire`.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Outgoing>,
        upload: Option<&Upload>,
        deadlines: Deadlines,
        pass_on: Option<&PassOn<'_>>,
    ) -> Result<Response<Incoming>, Failure> {
        let received = self.traffic.received();
        if pass_on.is_some() {
            self.traffic.interims.expect();
        }
        let mut answer = pin!(self.sender.try_send_request(request));
        let mut watch = Watch::default();
        let answered = poll_fn(|context| {
            let open = self.drive(context);
            if let Some(pass_on) = pass_on {
                self.traffic.interims.take().into_iter().for_each(pass_on);
            }
            if let Poll::Ready(answered) = answer.as_mut().poll(context) {
                return Poll::Ready(Ok(answered));
            }
            if !open {
                // What hyper still holds of the request is given back, or failed, when the connection is dropped.
                self.connection = None;
                return answer.as_mut().poll(context).map(Ok);
            }
            let stage = upload.map(Upload::stage);
            let waits_for = Wait::of(stage, self.traffic.sent());
            watch
                .poll(self.timer.as_mut(), waits_for, deadlines, context)
                .map(Err)
        })
        .await;
        match answered {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(mut error)) => Err(match error.take_message() {
                Some(request) => Failure::Unsent(Box::new(request), error.into_error()),
                None => Failure::Died {
                    source: error.into_error(),
                    begun: self.traffic.received() != received,
                },
            }),
            Err(after) => Err(Failure::Late(after)),
        }
    }

    /// Lets the connection read and write. Says whether it is still open.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) -> bool {
        if !self.finished
            && let Some(connection) = &mut self.connection
        {
            // Whatever ended it, hyper told the one who waits for the answer or its body.
            self.finished = Pin::new(connection).poll(context).is_ready();
        }
        !self.finished
    }

    /// Starts the deadline of [`poll_stalled`](Self::poll_stalled).
    pub(super) fn expect_progress(&mut self, within: Duration) {
        self.timer.as_mut().reset(later(within));
    }

    /// Ready when the deadline has passed.
    pub(super) fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().poll(context)
    }

    /// Whether both request and answer have ended, and the connection is open and in order.
    pub(super) fn is_idle(&self) -> bool {
        self.may_be_reused && !self.finished && self.sender.is_ready()
    }

    /// Lets go of the task that drove the connection last, so that neither the server nor the next request wakes it, and says
    /// whether the connection is still [idle](Self::is_idle). Must be called inside the runtime.
    pub(super) fn rest(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.is_idle()
    }

    /// The server's address, where it was found by name.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The bare connection of one that is [idle](Self::is_idle).
    pub(super) fn into_stream(self) -> Option<Transport> {
        let parts = self.connection?.into_parts();
        let nothing_came = parts.read_buf.is_empty();
        nothing_came.then(|| parts.io.into_inner().into_stream())
    }

    /// After a 101: the bare connection, and what was read after the head.
    pub(super) async fn into_tunnel(mut self: Box<Self>) -> Option<(Transport, Bytes)> {
        poll_fn(|context| match self.drive(context) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
        let parts = self.connection?.into_parts();
        Some((parts.io.into_inner().into_stream(), parts.read_buf))
    }
}
