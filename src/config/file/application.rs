//! `[jwt]`, `[identity_headers]`, `[upstreams.*]`: what applications receive, and where they are.

use http::HeaderName;

use super::words::{Balance, Preset};
use crate::config::table::table;
use crate::config::values::{FilePath, Item, Keys, OrNone, Positive, Request, Statuses, Whole};
use crate::gateway::OptionalClaim;
use crate::jwt::Algorithm;

table! {
    /// The signed token that applications receive.
    JwtFile {
        /// Header that carries it.
        header: HeaderName = "X-Wxgate-Jwt-Assertion";
        /// What stands before it: "Bearer " together with header = "Authorization".
        prefix: String = "";
        /// ES256, EdDSA, RS256, or HS256, which needs keys of its own.
        alg: Algorithm = "ES256";
        /// The `iss` claim. Default: server.public_url.
        issuer: String;
        /// How long a token is valid.
        ttl: Positive = "300s";
        /// "auto" keeps keys in state_dir; or a list of PKCS#8 PEM keys (for HS256 secrets of at least 32 bytes), newest first.
        keys: Keys = "auto";
        /// How long an automatic key signs before the next one does.
        rotate_every: Positive = "90d";
        /// Optional claims: nickname, picture, profile_at.
        claims: Vec<Item<OptionalClaim>> = [];
    }
}

table! {
    /// The plain headers that applications receive.
    IdentityHeadersFile {
        /// Whether they are sent.
        enabled: bool = true;
        /// More names for the subject: none, remote-user, x-forwarded-user or x-auth-request.
        preset: Preset = "none";
        /// The openid.
        openid: HeaderName = "X-Wechat-Openid";
        /// The unionid; empty where unknown.
        unionid: HeaderName = "X-Wechat-Unionid";
        /// WeChat's id of the app.
        appid: HeaderName = "X-Wechat-Appid";
        /// The same as the token's `sub`.
        subject: HeaderName = "X-Wechat-Subject";
        /// snsapi_base or snsapi_userinfo.
        scope: HeaderName = "X-Wechat-Scope";
        /// Nickname, percent-encoded UTF-8.
        nickname: HeaderName = "X-Wechat-Nickname";
        /// Address of the avatar.
        avatar: HeaderName = "X-Wechat-Avatar";
    }
}

table! {
    /// One application.
    UpstreamFile {
        /// Where it listens: http://host:port, https://host:port, h2c://host:port (HTTP/2 without TLS), unix:/path, h2c+unix:/path.
        servers: Vec<Item<String>>, required;
        /// round-robin, least-requests or cookie.
        balance: Balance = "round-robin";
        /// Host that it sees: preserve, upstream, or a literal one.
        host_header: String = "preserve";
        /// Deadline for a new connection.
        connect_timeout: Positive = "3s";
        /// Deadline from the end of the request to the head of the answer.
        response_header_timeout: Positive = "60s";
        /// How long a body, an event stream or a WebSocket may make no progress.
        idle_timeout: Positive = "1h";
        /// How long an idle connection is kept.
        keep_alive: Positive = "60s";
        /// Idle connections kept per server.
        max_idle: Whole<0, 100000> = 256;
        /// Connections per server, idle ones and WebSockets included. A request that finds none free waits for connect_timeout, then gets 503.
        max_connections: Whole<1, 100000> = 10000;
        /// How often a request that may be sent twice is tried again.
        retries: Whole<0, 10> = 1;
        /// Asks each server now and then whether it is well, and sends nothing to those that are not.
        health_check: OrNone<HealthCheckFile> = "none";
        /// TLS towards the servers.
        tls: UpstreamTlsFile = {};
    }
}

table! {
    /// Asks each server whether it is well.
    HealthCheckFile {
        /// What is asked for.
        path: Request = "/";
        /// How often.
        interval: Positive = "10s";
        /// How long the answer may take.
        timeout: Positive = "2s";
        /// Which answers are good: "200-399".
        expect: Statuses = "200-399";
        /// Good answers until it counts as well.
        healthy_after: Whole<1, 100> = 2;
        /// Bad answers until it counts as ill.
        unhealthy_after: Whole<1, 100> = 3;
    }
}

table! {
    /// TLS towards the servers of one upstream.
    UpstreamTlsFile {
        /// Check the certificate.
        verify: bool = true;
        /// Certificates to trust instead of the public ones, PEM.
        ca: OrNone<FilePath> = "none";
        /// Our certificate, PEM.
        cert: OrNone<FilePath> = "none";
        /// Our key, PEM.
        key: OrNone<FilePath> = "none";
        /// Name expected in the certificate.
        server_name: OrNone<String> = "none";
        /// Let servers choose HTTP/2, whose connections all requests share. WebSockets go over HTTP/1.1 in any case.
        http2: bool = true;
    }
}
