//! `[server]`: addresses, listeners, limits.

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderName;

use super::words::{MinimumTls, ProxyProtocol};
use crate::config::table::table;
use crate::config::values::{
    FilePath, HostText, Item, Network, OrNone, Positive, Size, WebUrl, Whole,
};

table! {
    /// Public addresses, listeners and limits.
    ServerFile {
        /// What visitors type: scheme and host, and a port if there is one. Its host is WeChat's callback domain. Never guessed from headers. https; http only on loopback.
        public_url: WebUrl, required;
        /// Other hosts served here with the same scheme and port.
        extra_hosts: Vec<Item<HostText>> = [];
        /// Short form of one `[[server.listeners]]`; not used as a default when there are such.
        listen: SocketAddr = "127.0.0.1:9500";
        /// Whose `X-Forwarded-*` we believe. Empty means nobody.
        trusted_proxies: Vec<Item<Network>> = [];
        /// Our own endpoints live below this. No dot, no slash at the end.
        path_prefix: String = "/_wxgate";
        /// Header of the request id: accepted from trusted proxies, else generated.
        request_id: HeaderName = "X-Request-Id";
        /// The most bytes a request head may have, from 8KiB to 1MiB.
        max_header: Size = "32KiB";
        /// The most header fields a request may have.
        max_headers: Whole<10, 1000> = 100;
        /// The largest request body; "none" means no limit.
        max_body: OrNone<Size> = "64MiB";
        /// The most connections at once, per listener.
        max_connections: Whole<1, 1000000> = 10000;
        /// How long requests in flight may take to end when wxgate stops.
        shutdown_grace: Duration = "30s";
        /// Readiness says no this long before listeners close.
        drain_delay: Duration = "0s";
        /// How long clients may take.
        timeouts: TimeoutsFile = {};
        /// More listeners.
        listeners: Vec<Item<ListenerFile>> = [];
    }
}

table! {
    /// How long clients may take.
    TimeoutsFile {
        /// TLS handshake.
        tls_handshake: Positive = "10s";
        /// A request head, and the first request on a connection.
        request_header: Positive = "15s";
        /// Between two requests on one connection.
        keep_alive: Positive = "75s";
        /// A body that makes no progress.
        body_progress: Positive = "30s";
    }
}

table! {
    /// One listener. Comes and goes at a reload.
    ListenerFile {
        /// Where to listen.
        address: SocketAddr, required;
        /// PROXY header from trusted proxies: none, v1, v2 or any.
        proxy_protocol: ProxyProtocol = "none";
        /// HTTP/2 with prior knowledge on a plain listener.
        h2c: bool = false;
        /// Certificate and key.
        tls: TlsFile;
    }
}

table! {
    /// TLS of one listener.
    TlsFile {
        /// Certificate chain, PEM.
        cert: FilePath;
        /// Private key, PEM.
        key: FilePath;
        /// Several certificates, chosen by name.
        certs: Vec<Item<CertificateFile>> = [];
        /// The oldest version allowed: 1.2 or 1.3.
        min_version: MinimumTls = "1.2";
    }
}

table! {
    /// A certificate and its key.
    CertificateFile {
        /// Certificate chain, PEM.
        cert: FilePath, required;
        /// Private key, PEM.
        key: FilePath, required;
    }
}
