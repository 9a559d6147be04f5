//! Reads an answer as far as real answers go, and judges it by its content.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fields::integer;
use super::{Error, error};

/// Real answers have well under 2 KiB.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Sends a request and reads its answer, as far as real answers go.
pub(super) async fn read(request: reqwest::RequestBuilder) -> Result<Vec<u8>, Error> {
    let mut response = request.send().await.map_err(transport)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(Error::Status(response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(Error::TooLong(LONGEST_ANSWER));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The part of an answer that says whether it is one.
#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    errcode: Value,
    #[serde(default)]
    errmsg: Value,
}

/// Judges an answer by its content: WeChat calls JSON `text/plain` and sends errors with HTTP 200.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let text = printable(body);
    let outcome: Outcome = object(&text)?;
    let code = match &outcome.errcode {
        Value::Null => 0,
        code => integer(code).ok_or(Error::Field("errcode"))?,
    };
    if code == 0 {
        return object(&text);
    }
    Err(error::refusal(
        code,
        outcome.errmsg.as_str().unwrap_or_default(),
    ))
}

/// The answer as text that a strict parser takes.
///
/// Nicknames have come with raw control characters and with half an emoji. A control character becomes a space, which JSON
/// allows wherever one can stand; ids do not survive either change.
fn printable(body: &[u8]) -> String {
    String::from_utf8_lossy(body)
        .chars()
        .map(|letter| if letter < ' ' { ' ' } else { letter })
        .collect()
}

fn object<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    // A struct could be read from a list as well.
    if !text.trim_start().starts_with('{') {
        return Err(Error::NotJson { line: 1, column: 1 });
    }
    serde_json::from_str(text).map_err(|error| Error::NotJson {
        line: error.line(),
        column: error.column(),
    })
}

// SECURITY: the URL holds the secret and the code.
fn transport(error: reqwest::Error) -> Error {
    let error = error.without_url();
    if error.is_connect() {
        Error::Unreachable(error)
    } else {
        Error::Broken(error)
    }
}
