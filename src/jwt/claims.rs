//! What a token says.

use serde::Serialize;

/// What a token says.
#[derive(Clone, Debug, Serialize)]
pub struct Claims {
    /// The public URL.
    pub iss: String,
    /// The route's audience.
    pub aud: String,
    /// The person.
    pub sub: String,
    /// Issued at, Unix seconds; also `nbf`.
    pub iat: u64,
    /// Not before.
    pub nbf: u64,
    /// Expiry.
    pub exp: u64,
    /// Unique per minted token.
    pub jti: String,
    /// Names the session without giving it away.
    pub sid: String,
    /// When the visitor logged in.
    pub auth_time: u64,
    /// How.
    pub amr: Vec<&'static str>,
    /// The openid.
    pub openid: String,
    /// The unionid, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unionid: Option<String>,
    /// WeChat's id of the app.
    pub appid: String,
    /// The operator's name of the app.
    pub app: String,
    /// `snsapi_base` or `snsapi_userinfo`.
    pub scope: &'static str,
    /// Optional claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// Optional claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// Optional claim: when nickname and picture were fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_at: Option<u64>,
    /// Subjects that the same person had before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aka: Vec<String>,
}
