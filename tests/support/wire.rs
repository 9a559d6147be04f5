//! Requests sent byte by byte, whatever happens to the connection.

use std::net::SocketAddr;

use super::{Reply, Talk};

/// Sends bytes and reads answers one by one. Opens another connection when the gateway closed the last one.
pub(crate) struct Wire {
    address: SocketAddr,
    talk: Option<Talk>,
    connections: usize,
}

impl Wire {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            talk: None,
            connections: 0,
        }
    }

    /// How many connections it took so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    /// Sends one request and reads its answer, whose body must have a length.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Reply {
        let request = request.as_ref();
        let mut talk = match self.talk.take() {
            Some(talk) => talk,
            None => {
                self.connections += 1;
                Talk::connect(self.address).await
            }
        };
        talk.say(request).await.unwrap();
        let reply = talk.reply(request.starts_with(b"HEAD ")).await;
        if reply.header("connection") != "close" {
            self.talk = Some(talk);
        }
        reply
    }
}

/// Sends bytes; everything that comes back until the other end closes, which it must.
pub(crate) async fn until_closed(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut talk = Talk::connect(address).await;
    // A server that has said no already may close before it has read everything.
    let _ = talk.say(bytes).await;
    talk.closed().await
}
