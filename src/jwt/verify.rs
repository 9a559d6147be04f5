//! Verifies and inspects tokens, for the command line.
//!
//! Strict on purpose: what is unclear is refused. The algorithm comes from a fixed list, and the key must be of its type.

use std::time::SystemTime;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use serde_json::{Map, Value};

use crate::clock::unix_seconds;

use super::object::Members;

/// Real tokens have well under 4 KiB.
const LONGEST: usize = 64 * 1024;

/// How far the clocks of signer and verifier may differ, in seconds.
const LEEWAY: u64 = 60;

/// Why a token is not valid. Shows nothing of the token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Longer than 64 KiB.
    #[error("token is too long")]
    TooLong,
    /// Not three parts of base64url without padding.
    #[error("token is not three parts of base64url with dots between")]
    Form,
    /// Not a JSON object with each name once.
    #[error("{0} is not a JSON object with each name once")]
    Json(&'static str),
    /// Not signed with ES256, EdDSA or RS256. HS256 has no public key to verify with.
    #[error("`alg` is not ES256, EdDSA or RS256")]
    Algorithm,
    /// A header that we do not understand but must, or a token inside the token.
    #[error("header `{0}` is not supported")]
    Header(&'static str),
    /// The key set is not a JSON Web Key Set.
    #[error("key set is not a JSON object with a list `keys`")]
    KeySet,
    /// The token does not name a key, and the set does not have exactly one.
    #[error("token has no `kid`")]
    NoKeyId,
    /// The set has no such key. Fetch it again: keys rotate.
    #[error("key set has no key with the token's `kid`")]
    UnknownKey,
    /// The key is for another algorithm or purpose, or not a key at all.
    #[error("key does not fit the token's `alg`")]
    KeyMismatch,
    /// Changed after it was signed, or signed by another key.
    #[error("signature is wrong")]
    Signature,
    /// A claim that must be there is missing, or is of the wrong type.
    #[error("claim `{0}` is missing or of the wrong type")]
    Claim(&'static str),
    /// Over, even with a minute for clocks that differ.
    #[error("token expired {0} s ago")]
    Expired(u64),
    /// From the future, even with a minute for clocks that differ.
    #[error("token is valid only in {0} s")]
    NotYetValid(u64),
    /// Another issuer than the expected one.
    #[error("`iss` is another issuer")]
    Issuer,
    /// Meant for others.
    #[error("`aud` is another audience")]
    Audience,
}

/// What a token says, without any proof.
#[derive(Debug)]
pub struct Inspection {
    /// The header.
    pub header: Value,
    /// The claims.
    pub claims: Value,
}

/// Reads a token **without verifying anything**.
pub fn inspect(token: &str) -> Result<Inspection, VerifyError> {
    let parts = Parts::split(token)?;
    Ok(Inspection {
        header: Value::Object(parts.header),
        claims: Value::Object(object(&parts.claims, "claims")?),
    })
}

/// The claims of a token that was signed with a key of the set, is valid at `now` and, where expected, comes from `issuer` and
/// is meant for `audience`.
///
/// Algorithms: ES256, EdDSA, RS256. Clocks may differ by 60 s. Only the key set says which keys to trust: `jwk`, `jku` and `x5u`
/// of the token are ignored.
pub fn verify(
    token: &str,
    jwks_json: &[u8],
    issuer: Option<&str>,
    audience: Option<&str>,
    now: SystemTime,
) -> Result<Value, VerifyError> {
    let parts = Parts::split(token)?;
    let kind = KeyKind::of(&parts.header)?;
    refuse_unsupported(&parts.header)?;
    let key = find_key(jwks_json, &parts.header, kind)?;
    let signed = parts.signed.as_bytes();
    let is_genuine = jsonwebtoken::crypto::verify(parts.signature, signed, &key, kind.algorithm());
    if !is_genuine.unwrap_or(false) {
        return Err(VerifyError::Signature);
    }
    let claims = object(&parts.claims, "claims")?;
    check_times(&claims, unix_seconds(now))?;
    check_parties(&claims, issuer, audience)?;
    Ok(Value::Object(claims))
}

struct Parts<'a> {
    /// Header and claims as they were signed.
    signed: &'a str,
    header: Map<String, Value>,
    claims: Vec<u8>,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, VerifyError> {
        if token.len() > LONGEST {
            return Err(VerifyError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(VerifyError::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(VerifyError::Form)?;
        // A further dot is in none of the alphabets.
        decode(signature)?;
        Ok(Self {
            signed,
            header: object(&decode(header)?, "header")?,
            claims: decode(claims)?,
            signature,
        })
    }
}

fn decode(part: &str) -> Result<Vec<u8>, VerifyError> {
    BASE64URL_NOPAD
        .decode(part.as_bytes())
        .map_err(|_| VerifyError::Form)
}

/// The algorithms that have a public key, with the type of it.
#[derive(Clone, Copy)]
enum KeyKind {
    EllipticCurve,
    EdwardsCurve,
    Rsa,
}

impl KeyKind {
    fn of(header: &Map<String, Value>) -> Result<Self, VerifyError> {
        match header.get("alg").and_then(Value::as_str) {
            Some("ES256") => Ok(Self::EllipticCurve),
            Some("EdDSA") => Ok(Self::EdwardsCurve),
            Some("RS256") => Ok(Self::Rsa),
            _ => Err(VerifyError::Algorithm),
        }
    }

    fn algorithm(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::EllipticCurve => jsonwebtoken::Algorithm::ES256,
            Self::EdwardsCurve => jsonwebtoken::Algorithm::EdDSA,
            Self::Rsa => jsonwebtoken::Algorithm::RS256,
        }
    }

    /// `alg`, `kty` and `crv` of a fitting key.
    fn members(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Self::EllipticCurve => ("ES256", "EC", Some("P-256")),
            Self::EdwardsCurve => ("EdDSA", "OKP", Some("Ed25519")),
            Self::Rsa => ("RS256", "RSA", None),
        }
    }
}

fn refuse_unsupported(header: &Map<String, Value>) -> Result<(), VerifyError> {
    let has_other_type = header.get("typ").is_some_and(|kind| {
        let kind = kind.as_str().unwrap_or_default();
        !kind.eq_ignore_ascii_case("JWT")
    });
    if has_other_type {
        return Err(VerifyError::Header("typ"));
    }
    for name in ["crit", "cty", "b64", "zip", "enc"] {
        if header.contains_key(name) {
            return Err(VerifyError::Header(name));
        }
    }
    Ok(())
}

fn find_key(
    jwks_json: &[u8],
    header: &Map<String, Value>,
    kind: KeyKind,
) -> Result<DecodingKey, VerifyError> {
    let set: Value = serde_json::from_slice(jwks_json).map_err(|_| VerifyError::KeySet)?;
    let keys = set.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or(VerifyError::KeySet)?;
    let key = match (header.get("kid"), keys.as_slice()) {
        (Some(Value::String(kid)), keys) => {
            let mut matching = keys.iter().filter(|key| key["kid"] == kid.as_str());
            matching.next().ok_or(VerifyError::UnknownKey)?
        }
        (None, [only]) => only,
        (None | Some(_), _) => return Err(VerifyError::NoKeyId),
    };
    let (algorithm, key_type, curve) = kind.members();
    let is_absent_or = |name: &str, wanted: &str| key[name].is_null() || key[name] == wanted;
    let fits = key["kty"] == key_type
        && key["crv"].as_str() == curve
        && is_absent_or("alg", algorithm)
        && is_absent_or("use", "sig");
    if !fits {
        return Err(VerifyError::KeyMismatch);
    }
    let key: Jwk = serde_json::from_value(key.clone()).map_err(|_| VerifyError::KeyMismatch)?;
    DecodingKey::from_jwk(&key).map_err(|_| VerifyError::KeyMismatch)
}

fn check_times(claims: &Map<String, Value>, now: u64) -> Result<(), VerifyError> {
    let expires = seconds(claims, "exp")?.ok_or(VerifyError::Claim("exp"))?;
    if now > expires.saturating_add(LEEWAY) {
        return Err(VerifyError::Expired(now - expires));
    }
    for name in ["nbf", "iat"] {
        let begins = seconds(claims, name)?.unwrap_or(0);
        if begins > now.saturating_add(LEEWAY) {
            return Err(VerifyError::NotYetValid(begins - now));
        }
    }
    Ok(())
}

/// Whole seconds and nothing that only looks like them.
fn seconds(claims: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, VerifyError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(VerifyError::Claim(name)),
    }
}

fn check_parties(
    claims: &Map<String, Value>,
    issuer: Option<&str>,
    audience: Option<&str>,
) -> Result<(), VerifyError> {
    if let Some(issuer) = issuer {
        let found = claims.get("iss").and_then(Value::as_str);
        if found.ok_or(VerifyError::Claim("iss"))? != issuer {
            return Err(VerifyError::Issuer);
        }
    }
    if let Some(audience) = audience {
        let is_meant = match claims.get("aud") {
            Some(Value::String(found)) => found == audience,
            Some(Value::Array(found)) => found.iter().any(|one| one == audience),
            _ => return Err(VerifyError::Claim("aud")),
        };
        if !is_meant {
            return Err(VerifyError::Audience);
        }
    }
    Ok(())
}

fn object(json: &[u8], what: &'static str) -> Result<Map<String, Value>, VerifyError> {
    match serde_json::from_slice(json) {
        Ok(Members(members)) => Ok(members),
        Err(_) => Err(VerifyError::Json(what)),
    }
}
