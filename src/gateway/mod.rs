//! One request to one response: the request path on one screen.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;
use ipnet::IpNet;

use crate::message::Site;
use crate::proxy::Forwarding;

/// What the request path needs beyond its parts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where visitors find us.
    pub site: Arc<Site>,
    /// Whose `X-Forwarded-*` we believe.
    pub trusted_proxies: Vec<IpNet>,
    /// Request ids are accepted under this name from trusted proxies and always sent upstream and back.
    pub request_id_header: HeaderName,
    /// How each route forwards, in the order of `route::Settings::routes`.
    pub forwarding: Vec<Forwarding>,
    /// Served at the root of every host before any login: name without slash, content.
    pub verification_files: Vec<(String, Bytes)>,
    /// The header that carries the JWT, and what stands before it.
    pub jwt_header: HeaderName,
    /// `Bearer ` or nothing.
    pub jwt_prefix: String,
    /// Which optional claims the JWT carries.
    pub claims: Vec<OptionalClaim>,
}

/// Optional claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionalClaim {
    /// `nickname`
    Nickname,
    /// `picture`
    Picture,
    /// `profile_at`
    ProfileAt,
}
