//! `[lists.*]` and `[[routes]]`.

use http::{HeaderName, Method};

use super::words::Requirement;
use crate::config::table::table;
use crate::config::values::{
    FilePath, HostText, Item, Named, Network, OrNone, Origin, Positive, Size,
};
use crate::route::{Auth, Client, OnDeny, Unauthenticated};
use crate::target::EncodedSeparator;

table! {
    /// A list of ids for `allow` and `deny`.
    ListFile {
        /// File with one id per line, read again when it changes. `#` begins a comment.
        file: FilePath;
        /// Ids: "openid:..." or "unionid:...".
        ids: Vec<Item<String>>;
    }
}

table! {
    /// One route. The most specific host wins, then path_exact, then the longest literal path, then a route with methods.
    RouteFile {
        /// Appears in logs and metrics. Default: the pattern.
        name: String;
        /// Host, or "*.example.com" for all below. Default: every host served.
        host: HostText;
        /// This path and all below, by whole segments: /api matches /api and /api/x, not /apix.
        path: String;
        /// Only this path.
        path_exact: String;
        /// `*` stands for anything inside a segment, `**` for anything.
        path_glob: String;
        /// Only these methods. Empty means any.
        methods: Vec<Item<Method>> = [];
        /// Who may pass: public, optional, base, userinfo or deny.
        auth: Auth = "base";
        /// Without a session: auto redirects page loads only; redirect; status answers 401.
        unauthenticated: Unauthenticated = "auto";
        /// Origins that may read our 401.
        cors_origins: Vec<Item<Origin>> = [];
        /// What a person must have: unionid.
        require: Vec<Item<Requirement>> = [];
        /// Log in again when the login is older.
        max_age: Positive;
        /// Only these clients: wechat, mini-program, desktop, phone. Empty means any.
        clients: Vec<Item<Client>> = [];
        /// Only people on these lists.
        allow: ListReferences;
        /// Nobody on these lists; wins over allow.
        deny: ListReferences;
        /// Only from these addresses. Empty means any.
        allow_ips: Vec<Item<Network>> = [];
        /// What the refused see: page, 403 or 404.
        on_deny: OnDeny = "page";
        /// A name from `[upstreams]`, or `http://host:port`; "none": only judged for nginx, Traefik, Caddy or Envoy.
        upstream: String;
        /// `aud` of the token. Default: the host of the request.
        audience: String;
        /// Cut off the front of the path before forwarding.
        strip_prefix: OrNone<String> = "none";
        /// Edits of the forwarded request.
        request_headers: HeaderEditsFile = {};
        /// Edits of the application's answer.
        response_headers: HeaderEditsFile = {};
        /// Escapes that the application needs in paths: %2f, %5c, %00, %23, %3f.
        allow_encoded: Vec<Item<EncodedSeparator>> = [];
        /// The largest request body. Default: server.max_body.
        max_body: OrNone<Size>;
        /// Instead of the upstream's own.
        response_header_timeout: Positive;
    }
}

table! {
    /// Lists by name.
    ListReferences {
        /// Names from `[lists]`.
        lists: Vec<Item<String>>, required;
    }
}

table! {
    /// Headers to set and to remove.
    HeaderEditsFile {
        /// Set, replacing what is there.
        set: Named<String> = {};
        /// Removed before setting.
        remove: Vec<Item<HeaderName>> = [];
    }
}
