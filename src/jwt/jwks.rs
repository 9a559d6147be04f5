//! The public keys as a JSON Web Key Set.

use aws_lc_rs::digest;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http::HeaderValue;
use serde::Serialize;

use super::key::Key;

/// The published key set.
#[derive(Clone, Debug)]
pub struct Jwks {
    /// `application/jwk-set+json`
    pub body: Bytes,
    /// A strong tag of the body.
    pub etag: HeaderValue,
}

/// One public key. There is no form for shared secrets, so none can be published.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PublicKey {
    #[serde(flatten)]
    parts: Parts,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    /// The thumbprint of RFC 7638: every node gives a key the same name.
    pub(super) kid: String,
}

/// What each kind of key consists of (RFC 7518, section 6; RFC 8037, section 2), in base64url.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kty")]
enum Parts {
    #[serde(rename = "EC")]
    EllipticCurve {
        crv: &'static str,
        x: String,
        y: String,
    },
    #[serde(rename = "OKP")]
    EdwardsCurve { crv: &'static str, x: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

impl PublicKey {
    /// A point on P-256, 32 bytes for each coordinate.
    pub(super) fn elliptic_curve(x: &[u8], y: &[u8]) -> Self {
        let (crv, x, y) = ("P-256", encode(x), encode(y));
        let kid = thumbprint(&format!(
            r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#
        ));
        Self::new(Parts::EllipticCurve { crv, x, y }, "ES256", kid)
    }

    /// A public key of Ed25519, 32 bytes.
    pub(super) fn edwards_curve(x: &[u8]) -> Self {
        let (crv, x) = ("Ed25519", encode(x));
        let kid = thumbprint(&format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#));
        Self::new(Parts::EdwardsCurve { crv, x }, "EdDSA", kid)
    }

    /// Modulus and exponent, highest byte first, without leading zeros.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let (n, e) = (encode(modulus), encode(exponent));
        let kid = thumbprint(&format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#));
        Self::new(Parts::Rsa { n, e }, "RS256", kid)
    }

    fn new(parts: Parts, alg: &'static str, kid: String) -> Self {
        Self {
            parts,
            usage: "sig",
            alg,
            kid,
        }
    }
}

/// The key set of these keys, each once. Shared secrets are left out.
pub(super) fn publish<'a>(keys: impl Iterator<Item = &'a Key>) -> Jwks {
    let mut public: Vec<&PublicKey> = Vec::new();
    for key in keys.filter_map(Key::public) {
        if public.iter().all(|other| other.kid != key.kid) {
            public.push(key);
        }
    }
    let body = serde_json::json!({ "keys": public }).to_string();
    let hash = encode(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
    Jwks {
        etag: etag(&hash),
        body: body.into(),
    }
}

#[expect(
    clippy::expect_used,
    reason = "base64url and quotes are always allowed in a header"
)]
fn etag(hash: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{hash}\"")).expect("base64url is visible ASCII")
}

fn thumbprint(members: &str) -> String {
    encode(digest::digest(&digest::SHA256, members.as_bytes()).as_ref())
}

fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;

    #[test]
    fn thumbprints_are_those_of_the_standards() {
        // RFC 7638, section 3.1.
        let modulus = BASE64URL_NOPAD
            .decode(b"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")
            .unwrap();
        // RFC 8037, appendix A.3.
        let edwards = BASE64URL_NOPAD
            .decode(b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
            .unwrap();

        assert_eq!(
            PublicKey::rsa(&modulus, &[1, 0, 1]).kid,
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        assert_eq!(
            PublicKey::edwards_curve(&edwards).kid,
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn key_set_holds_public_parts_only() {
        let key = PublicKey::elliptic_curve(&[1; 32], &[2; 32]);

        let json = serde_json::to_value(&key).unwrap();

        let mut names: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert_eq!(json["use"], "sig");
        assert_eq!(json["alg"], "ES256");
    }
}
