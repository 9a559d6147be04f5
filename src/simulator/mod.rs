//! A WeChat to develop and test against, with wire types of its own: it shares none with the client, so that a mistake
//! there cannot cancel out.

use std::net::SocketAddr;

/// A running simulator; stops when dropped.
#[derive(Debug)]
pub struct Simulator {}

impl Simulator {
    /// Starts it on a loopback address; port 0 takes a free one. Refuses any other address.
    #[expect(clippy::unused_async, reason = "written below the interface")]
    pub async fn start(_address: SocketAddr) -> std::io::Result<Self> {
        todo!()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        todo!()
    }

    /// Serves both as `wechat_api.base_url` and as `wechat_api.open_url`: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        todo!()
    }
}
