//! What reached the sample site, decoded for people. Nothing is verified here: a real application must verify.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use http::HeaderMap;
use http::request::Parts;
use serde::Serialize;
use serde_json::Value;

/// The header that carries the JWT.
const JWT_HEADER: &str = "x-wxgate-jwt-assertion";

/// How much of a token is shown: enough to recognise it, too little to use it.
const SHOWN: usize = 24;

/// The most people that are remembered; the demo has a handful.
const MOST_PEOPLE: usize = 50;

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

/// Whom the application knows by one subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Known {
    pub(super) subject: String,
    /// The app of the latest request: its name and its appid.
    pub(super) app: String,
    pub(super) app_id: String,
    /// By app: what the person is called there.
    pub(super) openids: BTreeMap<String, String>,
}

/// The latest request, and the people who came, the latest one first.
#[derive(Debug, Default)]
pub(super) struct Received {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    latest: Option<Entry>,
    people: VecDeque<Known>,
}

impl Received {
    /// Remembers a request instead of the one before.
    pub(super) fn record(&self, request: &Parts) -> Entry {
        let mut state = self.state();
        let number = state.latest.as_ref().map_or(1, |entry| entry.number + 1);
        let entry = Entry::of(request, number);
        if let Some(known) = entry.jwt.as_ref().and_then(Known::of) {
            state.remember(known);
        }
        state.latest = Some(entry.clone());
        entry
    }

    /// The latest request; `None` before the first.
    pub(super) fn latest(&self) -> Option<Entry> {
        self.state().latest.clone()
    }

    /// Who came last with an identity.
    pub(super) fn person(&self) -> Option<Known> {
        self.state().people.front().cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, mut known: Known) {
        let place = self
            .people
            .iter()
            .position(|other| other.subject == known.subject);
        if let Some(before) = place.and_then(|place| self.people.remove(place)) {
            for (app, openid) in before.openids {
                known.openids.entry(app).or_insert(openid);
            }
        }
        self.people.truncate(MOST_PEOPLE - 1);
        self.people.push_front(known);
    }
}

impl Known {
    /// `None` for a token without the claims of ours.
    fn of(token: &Token) -> Option<Self> {
        let claim = |name: &str| Some(token.claims.get(name)?.as_str()?.to_owned());
        let app = claim("app")?;
        Some(Self {
            subject: claim("sub")?,
            app_id: claim("appid")?,
            openids: BTreeMap::from([(app.clone(), claim("openid")?)]),
            app,
        })
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
    fn one_subject_is_one_person_at_every_app() {
        let received = Received::default();
        let come = |app: &str, openid: &str, subject: &str| {
            let claims = format!(
                r#"{{"app":"{app}","appid":"wx-{app}","openid":"{openid}","sub":"{subject}"}}"#
            );
            received.record(&request(&token("{}", &claims)));
        };
        come("main", "o1", "alice");
        come("main", "o9", "bob");
        come("mini", "o2", "alice");
        received.record(&request("nothing"));

        let person = received.person().unwrap();

        assert_eq!(person.subject, "alice");
        assert_eq!(
            (person.app.as_str(), person.app_id.as_str()),
            ("mini", "wx-mini")
        );
        let openids = [("main", "o1"), ("mini", "o2")];
        let openids = openids.map(|(app, openid)| (app.to_owned(), openid.to_owned()));
        assert_eq!(person.openids, BTreeMap::from(openids));
        assert_eq!(received.latest().unwrap().jwt, None);
    }

    #[test]
    fn what_is_no_token_is_shown_as_none() {
        for bad in ["", "a", "a.b.c", "e30", "e30.", "..", "bm8.bm8.bm8"] {
            assert_eq!(Received::default().record(&request(bad)).jwt, None, "{bad}");
        }
    }
}
