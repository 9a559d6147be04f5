//! What troubles make of an answer of the API.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;

use super::bodies::{Broken, Spaces};
use super::faults::Trouble;
use super::server::{self, Body, BodyFailure, Closed};
use super::tokens::Refusal;

/// The nickname of [`Trouble::Gbk`], in UTF-8 and in GBK.
const GBK_NICKNAME: (&str, &[u8]) = ("爱丽丝", b"\xb0\xae\xc0\xf6\xcb\xbf");

/// Troubles that need no right answer.
pub(super) fn without_asking(trouble: Trouble) -> Result<Option<Response<Body>>, Closed> {
    let answer = match trouble {
        Trouble::Errcode(code) => plain(text_of(&Refusal(code).to_json())),
        Trouble::Down => return Err(Closed),
        Trouble::Status(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            server::answer(status, "text/plain", "")
        }
        Trouble::Garbage => plain(vec![0, 159, 146, 150, 255, 254, 10, 13, 0]),
        Trouble::Html => server::answer(
            StatusCode::OK,
            "text/html",
            "<html><body><h1>Service unavailable</h1></body></html>",
        ),
        Trouble::Redirect => server::redirect(StatusCode::FOUND, "/somewhere/else"),
        Trouble::Endless => streamed(Spaces::without_end()),
        Trouble::Huge => streamed(Spaces::of(11 * 1024 * 1024)),
        Trouble::Delay(_) | Trouble::Truncated | Trouble::Cut | Trouble::Gbk => return Ok(None),
    };
    Ok(Some(answer))
}

/// The right answer, or what is left of it.
pub(super) fn damaged(trouble: Option<Trouble>, right: &Value) -> Response<Body> {
    let right = text_of(right);
    let half = Bytes::copy_from_slice(right.as_bytes().get(..right.len() / 2).unwrap_or_default());
    match trouble {
        Some(Trouble::Truncated) => plain(half),
        Some(Trouble::Cut) => {
            let mut answer = streamed(Broken::after(half));
            answer
                .headers_mut()
                .insert("content-length", right.len().into());
            answer
        }
        Some(Trouble::Gbk) => plain(in_gbk(&right)),
        Some(_) | None => plain(right),
    }
}

/// The JSON text with every `/` written as `\/`, which is how the real one looks.
fn text_of(value: &Value) -> String {
    value.to_string().replace('/', "\\/")
}

fn in_gbk(text: &str) -> Vec<u8> {
    let nickname = serde_json::from_str::<Value>(text)
        .ok()
        .and_then(|value| Some(value.get("nickname")?.as_str()?.to_owned()))
        .unwrap_or_else(|| GBK_NICKNAME.0.to_owned());
    let mut bytes = Vec::new();
    for (index, part) in text.split(&nickname).enumerate() {
        if index > 0 {
            bytes.extend_from_slice(GBK_NICKNAME.1);
        }
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

fn plain(body: impl Into<Bytes>) -> Response<Body> {
    server::answer(StatusCode::OK, "text/plain", body)
}

fn streamed<B>(body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyFailure>,
{
    plain("").map(|_| body.map_err(Into::into).boxed_unsync())
}
