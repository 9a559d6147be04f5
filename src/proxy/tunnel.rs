//! WebSocket: bytes in both directions, without looking into them.
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
use super::hop;
use super::transport::Transport;
use crate::drain;
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
    /// Counts the tunnel as open. It does not listen to the stop signal: a close frame of ours might land inside a frame of
    /// the server's, so the tunnel lives until one side ends it, or until the process does.
    pub(super) guard: drain::Guard,
}

impl Tunnel {
    /// Relays until one side breaks, both have finished, nothing moves, or [`end`](Self::end) says so. Both connections are
    /// closed then.
    pub(super) async fn run(self) {
        let Self {
            client,
            server,
            first,
            idle,
            end,
            guard,
        } = self;
        // The client's connection is gone when this fails.
        let Ok(Ok(client)) = tokio::time::timeout(idle, client).await else {
            return;
        };
        let activity = Activity::new();
        tokio::select! {
            // How a tunnel ended is between its two ends.
            _ = relay(TokioIo::new(client), server, first, &activity) => {}
            () = activity.ceased(idle) => {}
            () = until(end) => {}
        }
        drop(guard);
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
    activity: &Activity,
) -> io::Result<()> {
    let (from_client, mut to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    if !first.is_empty() {
        to_client.write_all(&first).await?;
        to_client.flush().await?;
    }
    tokio::try_join!(
        pump(from_client, to_server, activity),
        pump(from_server, to_client, activity),
    )?;
    Ok(())
}

/// Copies one direction; its end is passed on, while the other direction goes on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    activity: &Activity,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
        activity.note();
    }
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
