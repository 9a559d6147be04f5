//! Sites that say exactly what a test tells them to.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::Talk;
use super::server::Server;

/// A site that plays a script on each connection.
pub(crate) struct ScriptedSite {
    server: Server,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ScriptedSite {
    /// Starts one. The script gets the connection's number, counted from 0.
    pub(crate) async fn start<F, Played>(script: F) -> Self
    where
        F: Fn(usize, Talk) -> Played + Send + 'static,
        Played: Future<Output = io::Result<()>> + Send + 'static,
    {
        let (connections, heads) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let (count, log) = (Arc::clone(&connections), Arc::clone(&heads));
        let server = Server::start(move |stream| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            script(number, Talk::noting(stream, Arc::clone(&log)))
        });
        Self {
            server: server.await,
            connections,
            heads,
        }
    }

    /// One that says the same after each request head, until the connection ends.
    pub(crate) async fn answering(answer: &'static str) -> Self {
        Self::start(move |_, mut talk| async move {
            while !talk.head().await?.is_empty() {
                talk.say(answer).await?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Every request head heard so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// A site that sends one event, and then nothing for as long as somebody listens.
pub(crate) async fn event_stream() -> ScriptedSite {
    let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: hello\n\n";
    ScriptedSite::start(move |_, mut talk| async move {
        talk.head().await?;
        talk.say(events).await?;
        talk.rest().await;
        Ok(())
    })
    .await
}

/// A site that sends every message back, and what it was asked with.
pub(crate) async fn echo() -> (ScriptedSite, Arc<Mutex<Vec<HeaderMap>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let site = ScriptedSite::start(move |_, talk| {
        let log = Arc::clone(&log);
        async move {
            #[expect(clippy::result_large_err, reason = "the library's signature")]
            let note = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
                log.lock().unwrap().push(request.headers().clone());
                Ok(response)
            };
            let Ok(mut socket) = accept_hdr_async(talk.stream, note).await else {
                return Ok(());
            };
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() || message.is_binary() {
                    let _ = socket.send(message).await;
                }
            }
            Ok(())
        }
    })
    .await;
    (site, asked)
}
