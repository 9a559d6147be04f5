//! WebSocket: bytes in both directions, unchanged. Of what passes only the ends of frames are noted.
//!
//! Only `Upgrade: websocket` over HTTP/1.1 becomes a tunnel (RFC 6455, section 4.1); `h2c` and the rest are stripped and the
//! request goes up as an ordinary one. No byte of the client's goes up before the server has agreed: hyper keeps them until
//! the 101 is on its way to the client.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{Method, Version, request};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::EndSignal;
use super::frames::{self, Frames};
use super::hop;
use super::server::Load;
use super::transport::Transport;
use crate::drain::{Drain, Guard};
use crate::message::RequestBody;

/// Bytes read at once in each direction.
const BUFFER: usize = 8 * 1024;

/// Takes the client's side out of a request that asks for a WebSocket; `None` for any other request.
pub(super) fn asked(parts: &mut request::Parts, body: &RequestBody) -> Option<OnUpgrade> {
    let asks = parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && body.is_empty()
        && parts.headers.contains_key(UPGRADE)
        && hop::has_token(&parts.headers, &UPGRADE, "websocket")
        && hop::has_token(&parts.headers, &CONNECTION, "upgrade");
    if asks {
        parts.extensions.remove::<OnUpgrade>()
    } else {
        None
    }
}

/// A server that has agreed, and its client.
pub(super) struct Tunnel {
    /// Ready when the client has got the 101.
    pub(super) client: OnUpgrade,
    pub(super) server: Transport,
    /// What the server sent right behind its 101.
    pub(super) first: Bytes,
    /// How long neither side may say anything.
    pub(super) idle: Duration,
    /// Ends the tunnel from outside.
    pub(super) end: Option<EndSignal>,
    /// Counts the tunnel as open. When it says stop, both sides get a close frame, between two frames of theirs.
    pub(super) guard: Guard,
    /// Counts the tunnel at its server.
    pub(super) load: Load,
}

impl Tunnel {
    /// Relays until one side breaks, both have finished, nothing moves, or [`end`](Self::end) says so; when everything stops, until
    /// both sides have answered our close frame. Both connections are closed then.
    pub(super) async fn run(self) {
        let Self {
            client,
            server,
            first,
            idle,
            end,
            mut guard,
            load,
        } = self;
        // The client's connection is gone when this fails.
        let Ok(Ok(client)) = tokio::time::timeout(idle, client).await else {
            return;
        };
        let activity = Activity::new();
        // Its own, so that a tunnel counts once however many listen.
        let closing = Drain::new();
        let pass_on_stop = async {
            guard.stopping().await;
            closing.stop();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            // How a tunnel ended is between its two ends.
            _ = relay(TokioIo::new(client), server, first, &closing, &activity) => {}
            () = pass_on_stop => {}
            () = activity.ceased(idle) => {}
            () = until(end) => {}
        }
        drop((guard, load));
    }
}

async fn until(end: Option<EndSignal>) {
    match end {
        Some(end) => end.await,
        None => std::future::pending().await,
    }
}

async fn relay(
    client: impl AsyncRead + AsyncWrite,
    server: Transport,
    first: Bytes,
    closing: &Drain,
    activity: &Activity,
) -> io::Result<()> {
    let (from_client, mut to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let to_the_server = Way::new(&frames::CLOSE_SERVER, closing);
    let mut to_the_client = Way::new(&frames::CLOSE_CLIENT, closing);
    if !first.is_empty() {
        to_the_client.frames.follow(&first);
        to_client.write_all(&first).await?;
        to_client.flush().await?;
    }
    tokio::try_join!(
        pump(from_client, to_server, to_the_server, activity),
        pump(from_server, to_client, to_the_client, activity),
    )?;
    Ok(())
}

/// One direction of a tunnel.
struct Way {
    frames: Frames,
    /// What ends it.
    close: &'static [u8],
    closing: Guard,
}

impl Way {
    fn new(close: &'static [u8], closing: &Drain) -> Self {
        Self {
            frames: Frames::default(),
            close,
            closing: closing.guard(),
        }
    }
}

/// Copies one direction; its end is passed on, while the other direction goes on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut way: Way,
    activity: &Activity,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let may_close = way.frames.is_between() && !way.frames.is_closed();
        let count = tokio::select! {
            count = from.read(&mut buffer) => count?,
            () = way.closing.stopping(), if may_close => {
                to.write_all(way.close).await?;
                to.flush().await?;
                return hear_out(from, way.frames, buffer).await;
            }
        };
        if count == 0 {
            return to.shutdown().await;
        }
        way.frames.follow(&buffer[..count]);
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
        activity.note();
    }
}

/// Waits for a side's own close after the other one was told that it is over. What comes until then nobody gets: nothing may
/// follow a close frame.
async fn hear_out(
    mut from: impl AsyncRead + Unpin,
    mut frames: Frames,
    mut buffer: Vec<u8>,
) -> io::Result<()> {
    while !frames.is_closed() {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        frames.follow(&buffer[..count]);
    }
    Ok(())
}

/// When something moved last, in milliseconds since the tunnel began.
struct Activity {
    began: Instant,
    last: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    fn note(&self) {
        let since = self.began.elapsed().as_millis();
        self.last
            .store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Waits until nothing has moved for `idle`.
    async fn ceased(&self, idle: Duration) {
        loop {
            let quiet_since = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let silent = self.began.elapsed().saturating_sub(quiet_since);
            match idle.checked_sub(silent) {
                None | Some(Duration::ZERO) => return,
                Some(left) => tokio::time::sleep(left).await,
            }
        }
    }
}
