//! One signing key: made, read, and used to sign.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::secret::Secret;

use super::jwks::PublicKey;
use super::{Algorithm, Error};

/// HMAC needs as many bytes as its hash has (RFC 7518, section 3.2).
const SHORTEST_SECRET: usize = 32;

/// RFC 7518, section 3.3.
const SHORTEST_MODULUS: usize = 256;

/// A key that signs, and what others may know of it.
pub(super) struct Key {
    algorithm: Algorithm,
    pair: Pair,
    public: Option<PublicKey>,
    /// The encoded header of every token.
    header: String,
    generation: u64,
}

/// Parsed once and kept: reading an RSA key takes longer than signing with it.
enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
    Hs256(Box<hmac::Key>),
}

/// A key for an operator to keep.
#[derive(Debug)]
pub struct NewKey {
    /// PKCS#8 in PEM, or for HS256 a secret of 43 characters `[A-Za-z0-9_-]`.
    pub text: Secret<String>,
    /// Its name in tokens and key sets; a shared secret has none.
    pub kid: Option<String>,
}

/// Makes a key.
pub fn generate(algorithm: Algorithm) -> Result<NewKey, Error> {
    if algorithm == Algorithm::Hs256 {
        let secret = random_secret()?;
        return Ok(NewKey {
            text: Secret::new(BASE64URL_NOPAD.encode(secret.as_ref())),
            kid: None,
        });
    }
    let pkcs8 = new_pkcs8(algorithm)?;
    let key = from_pkcs8(&pkcs8, algorithm).ok_or(Error::Generate)?;
    Ok(NewKey {
        text: Secret::new(to_pem(&pkcs8)),
        kid: key.kid().map(str::to_owned),
    })
}

/// A key for this process only.
pub(super) fn ephemeral(algorithm: Algorithm) -> Result<Arc<Key>, Error> {
    let key = match algorithm {
        Algorithm::Hs256 => from_secret(random_secret()?.as_ref()),
        Algorithm::Es256 | Algorithm::EdDsa | Algorithm::Rs256 => {
            from_pkcs8(&new_pkcs8(algorithm)?, algorithm).ok_or(Error::Generate)?
        }
    };
    Ok(Arc::new(key))
}

/// A key that the operator gave as the one at `position`, counted from 1.
pub(super) fn from_text(
    text: &Secret<String>,
    algorithm: Algorithm,
    position: usize,
) -> Result<Key, Error> {
    let bytes = text.reveal().as_bytes();
    if algorithm == Algorithm::Hs256 {
        let length = bytes.len();
        return if length < SHORTEST_SECRET {
            Err(Error::ShortSecret { position, length })
        } else {
            Ok(from_secret(bytes))
        };
    }
    PrivatePkcs8KeyDer::from_pem_slice(bytes)
        .ok()
        .and_then(|pkcs8| from_pkcs8(pkcs8.secret_pkcs8_der(), algorithm))
        .ok_or(Error::Key {
            position,
            algorithm,
        })
}

/// A new private key in PKCS#8 version 1, which every tool reads. Not for HS256.
pub(super) fn new_pkcs8(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, Error> {
    let document = match algorithm {
        Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .and_then(|pair| pair.to_pkcs8v1())
            .map(|document| document.as_ref().to_vec()),
        Algorithm::EdDsa => Ed25519KeyPair::generate()
            .and_then(|pair| pair.to_pkcs8v1())
            .map(|document| document.as_ref().to_vec()),
        Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048)
            .and_then(|pair| AsDer::<Pkcs8V1Der<'_>>::as_der(&pair))
            .map(|document| document.as_ref().to_vec()),
        Algorithm::Hs256 => return Err(Error::NoSecret),
    };
    document.map(Zeroizing::new).map_err(|_| Error::Generate)
}

/// Reads a private key; `None` when it does not fit the algorithm, is too weak, or is HS256's.
pub(super) fn from_pkcs8(pkcs8: &[u8], algorithm: Algorithm) -> Option<Key> {
    let (pair, public) = match algorithm {
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?;
            // An uncompressed point: 4, x, y.
            let (x, y) = pair.public_key().as_ref().get(1..65)?.split_at(32);
            let public = PublicKey::elliptic_curve(x, y);
            (Pair::Es256(pair), public)
        }
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::from_pkcs8(pkcs8).ok()?;
            let public = PublicKey::edwards_curve(pair.public_key().as_ref());
            (Pair::EdDsa(pair), public)
        }
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
            if pair.public_modulus_len() < SHORTEST_MODULUS {
                return None;
            }
            let modulus = pair.public_key().modulus();
            let exponent = pair.public_key().exponent();
            let public = PublicKey::rsa(
                modulus.big_endian_without_leading_zero(),
                exponent.big_endian_without_leading_zero(),
            );
            (Pair::Rs256(pair), public)
        }
        Algorithm::Hs256 => return None,
    };
    let generation = generation_of(public.kid.as_bytes());
    Some(Key {
        algorithm,
        pair,
        header: header(algorithm, Some(&public.kid)),
        public: Some(public),
        generation,
    })
}

fn from_secret(secret: &[u8]) -> Key {
    let pair = hmac::Key::new(hmac::HMAC_SHA256, secret);
    // Not a plain hash of the secret, since the number is for everybody.
    let tag = hmac::sign(&pair, b"generation");
    Key {
        algorithm: Algorithm::Hs256,
        generation: generation_of(tag.as_ref()),
        pair: Pair::Hs256(Box::new(pair)),
        public: None,
        header: header(Algorithm::Hs256, None),
    }
}

impl Key {
    /// What it signs with.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The thumbprint of the public key; a shared secret has none, since it would help to guess the secret.
    pub(super) fn kid(&self) -> Option<&str> {
        self.public.as_ref().map(|public| public.kid.as_str())
    }

    /// What may be published; nothing for a shared secret.
    pub(super) fn public(&self) -> Option<&PublicKey> {
        self.public.as_ref()
    }

    /// The encoded header of every token.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// A number of this key.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The raw signature as JWS wants it: r and s in a row for ES256.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => match pair.sign(&random, message) {
                Ok(signature) => Ok(signature.as_ref().to_vec()),
                Err(_) => Err(Error::Sign),
            },
            Pair::EdDsa(pair) => match pair.try_sign(message) {
                Ok(signature) => Ok(signature.as_ref().to_vec()),
                Err(_) => Err(Error::Sign),
            },
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                match pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature) {
                    Ok(()) => Ok(signature),
                    Err(_) => Err(Error::Sign),
                }
            }
            Pair::Hs256(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Key")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

fn header(algorithm: Algorithm, kid: Option<&str>) -> String {
    // Names and thumbprints need no escaping.
    let kid = kid.map_or_else(String::new, |kid| format!(r#","kid":"{kid}""#));
    let header = format!(r#"{{"alg":"{algorithm}"{kid},"typ":"JWT"}}"#);
    BASE64URL_NOPAD.encode(header.as_bytes())
}

fn generation_of(name: &[u8]) -> u64 {
    let hash = digest::digest(&digest::SHA256, name);
    hash.as_ref()
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn random_secret() -> Result<Zeroizing<[u8; SHORTEST_SECRET]>, Error> {
    let mut secret = Zeroizing::new([0; SHORTEST_SECRET]);
    rand::fill(secret.as_mut()).map_err(|_| Error::Generate)?;
    Ok(secret)
}

/// RFC 7468.
fn to_pem(pkcs8: &[u8]) -> String {
    let base64 = Zeroizing::new(BASE64.encode(pkcs8));
    let mut pem = String::with_capacity(base64.len() + base64.len() / 64 + 64);
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    for (index, letter) in base64.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push_str("\n-----END PRIVATE KEY-----\n");
    pem
}
