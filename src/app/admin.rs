//! The admin listener: who answers on it, and its limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::admin::Admin;
use crate::listen::{Handler, Peer, Settings, Timeouts};

/// Answers on the admin listener, with the present generation's token.
#[derive(Clone, Debug)]
pub(super) struct AdminHandler(pub(super) Arc<ArcSwap<Admin>>);

impl Handler for AdminHandler {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Response<Full<Bytes>> {
        let root = PathAndQuery::from_static("/");
        let target = request.uri().path_and_query().unwrap_or(&root);
        let admin = self.0.load_full();
        let from = peer.address.ip();
        let answer = admin.handle(request.method(), target, request.headers(), from);
        answer.await.map(Full::new)
    }
}

/// The admin listener has limits of its own: it must answer when the public one is full.
pub(super) fn settings(address: SocketAddr) -> Settings {
    Settings {
        address,
        max_header: 16 * 1024,
        max_headers: 100,
        max_connections: 100,
        tls: None,
        h2c: false,
        proxy_protocol: None,
        trusted_proxies: Vec::new(),
        timeouts: Timeouts {
            tls_handshake: Duration::from_secs(5),
            request_header: Duration::from_secs(5),
            keep_alive: Duration::from_secs(75),
            body_progress: Duration::from_secs(5),
        },
    }
}
