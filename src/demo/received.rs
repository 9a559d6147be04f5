//! What reached the sample site, decoded for people. Nothing is verified here: a real application must verify.

use std::sync::{Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use http::HeaderMap;
use http::request::Parts;
use serde::Serialize;
use serde_json::Value;

/// The header that carries the JWT.
const JWT_HEADER: &str = "x-wxgate-jwt-assertion";

/// How much of a token is shown: enough to recognise it, too little to use it.
const SHOWN: usize = 24;

/// One request as the application saw it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Entry {
    /// Counts requests.
    pub(super) number: u64,
    pub(super) method: String,
    pub(super) target: String,
    /// In the order in which they came; the JWT is shortened.
    pub(super) headers: Vec<(String, String)>,
    /// Those of `headers` that say who it is.
    pub(super) identity: Vec<(String, String)>,
    pub(super) jwt: Option<Token>,
}

/// A JWT taken apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Token {
    pub(super) header: Value,
    pub(super) claims: Value,
}

/// The latest request.
#[derive(Debug, Default)]
pub(super) struct Received {
    latest: Mutex<Option<Entry>>,
}

impl Received {
    /// Remembers a request instead of the one before.
    pub(super) fn record(&self, request: &Parts) -> Entry {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let number = latest.as_ref().map_or(1, |entry| entry.number + 1);
        let entry = Entry::of(request, number);
        *latest = Some(entry.clone());
        entry
    }

    /// The latest request; `None` before the first.
    pub(super) fn latest(&self) -> Option<Entry> {
        self.latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Entry {
    fn of(request: &Parts, number: u64) -> Self {
        let headers: Vec<(String, String)> = request
            .headers
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                (name.to_string(), shown(name.as_str(), &value))
            })
            .collect();
        let says_who = |(name, _): &&(String, String)| {
            name.starts_with("x-wechat-") || name.as_str() == JWT_HEADER
        };
        Self {
            number,
            method: request.method.to_string(),
            target: request.uri.to_string(),
            identity: headers.iter().filter(says_who).cloned().collect(),
            headers,
            jwt: Token::of(&request.headers),
        }
    }

    /// The decoded text of an identity header; empty when it did not come.
    pub(super) fn identity(&self, name: &str) -> String {
        let found = self.identity.iter().find(|(known, _)| known == name);
        let value = found.map_or("", |(_, value)| value.as_str());
        percent_encoding::percent_decode_str(value)
            .decode_utf8_lossy()
            .into_owned()
    }
}

impl Token {
    /// Takes the JWT of a request apart; `None` when there is none or when it is not one.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut parts = headers.get(JWT_HEADER)?.to_str().ok()?.split('.');
        let mut json = || -> Option<Value> {
            let bytes = BASE64URL_NOPAD.decode(parts.next()?.as_bytes()).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        Some(Self {
            header: json()?,
            claims: json()?,
        })
    }
}

fn shown(name: &str, value: &str) -> String {
    let is_token = matches!(name, JWT_HEADER | "authorization");
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) if is_token => format!("{}…", value.get(..end).unwrap_or_default()),
        Some(_) | None => value.to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use http::Request;

    use super::*;

    fn request(jwt: &str) -> Parts {
        let request = Request::get("/orders?page=2")
            .header("host", "127.0.0.1:9500")
            .header("x-wechat-openid", "o123")
            .header("x-wechat-nickname", "%E7%88%B1%20%F0%9F%8C%B8")
            .header(JWT_HEADER, jwt);
        request.body(()).unwrap().into_parts().0
    }

    fn token(header: &str, claims: &str) -> String {
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        format!("{}.{}.c2lnbmF0dXJl", encode(header), encode(claims))
    }

    #[test]
    fn headers_and_token_are_taken_apart_and_the_token_is_shortened() {
        let jwt = token(r#"{"alg":"ES256"}"#, r#"{"sub":"wechat:wx1:o123"}"#);
        let received = Received::default();

        let entry = received.record(&request(&jwt));

        assert_eq!((entry.number, entry.target.as_str()), (1, "/orders?page=2"));
        assert_eq!(entry.headers.len(), 4);
        assert_eq!(entry.identity.len(), 3);
        assert_eq!(entry.identity("x-wechat-nickname"), "爱 🌸");
        assert_eq!(entry.identity("x-wechat-unionid"), "");
        assert_eq!(entry.jwt.as_ref().unwrap().claims["sub"], "wechat:wx1:o123");
        assert!(!serde_json::to_string(&entry).unwrap().contains(&jwt));
        assert_eq!(received.latest().unwrap(), entry);
    }

    #[test]
    fn what_is_no_token_is_shown_as_none() {
        for bad in ["", "a", "a.b.c", "e30", "e30.", "..", "bm8.bm8.bm8"] {
            assert_eq!(Received::default().record(&request(bad)).jwt, None, "{bad}");
        }
    }
}
