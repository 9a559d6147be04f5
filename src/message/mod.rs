//! HTTP request, response and body types of the whole program; small constructors.
//!
//! Knows nothing of routes, sessions or upstreams. [`RequestInfo`] is what the request path learned about a request
//! before anybody judged it.

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::observe::Trace;
use crate::target::Target;

mod body;
mod browser;
mod cookies;
mod head;
mod host;
mod load;
mod site;

pub use body::{BodyError, RequestBody, TrailerFilter};
pub use browser::{Browser, KnownBrowsers, agent_text};
pub use cookies::{cookie_parts, cookie_values};
pub use head::{Head, Present};
pub use host::Host;
pub use load::Load;
pub use site::{Scheme, Site};

/// A request whose body streams from the client.
pub type Request = http::Request<RequestBody>;

/// An answer that wxgate makes itself: always small and complete.
pub type Answer = http::Response<Bytes>;

/// Extension of an answer that was given before, to the same callback; for the access log.
#[derive(Clone, Copy, Debug)]
pub struct Replayed;

/// Extension of the answer to whoever came back from WeChat as the virtual person of a snapshot page; for metrics and access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// Let on without identity.
    Anonymous,
    /// Shown why that is nobody.
    Refused,
}

impl Snapshot {
    /// As a reason in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Refused => "refused",
        }
    }
}

/// Names why wxgate answered by itself; on every such answer.
pub const REASON_HEADER: HeaderName = HeaderName::from_static("x-wxgate-response");

/// What is known about a request before it is judged.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// Names this request in the log, on pages and towards the upstream.
    pub id: RequestId,
    /// The visitor's address: the peer's, or the one a trusted proxy named.
    pub client: IpAddr,
    /// The host asked for: lower-case, without port and trailing dot; always one that [`Site`] serves.
    pub host: Host,
    /// The method, any token.
    pub method: Method,
    /// The one canonical target.
    pub target: Target,
    /// What kind of browser says it is asking. Decides which login to offer, never access.
    pub browser: Browser,
    /// Whether a person is waiting for a page.
    pub load: Load,
    /// When the head of the request was complete.
    pub received: SystemTime,
    /// The trace it belongs to; `None` where tracing is off.
    pub trace: Option<Trace>,
}

/// A request id: a header value that is also text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Takes a value of 1 to 128 visible ASCII characters without quotes or backslash; `None` for anything else.
    pub fn new(value: HeaderValue) -> Option<Self> {
        let fits = (1..=128).contains(&value.len())
            && value
                .as_bytes()
                .iter()
                .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'<' | b'>'));
        fits.then_some(Self(value))
    }

    /// Takes a value of our own making, which fits.
    pub fn of_ours(value: HeaderValue) -> Self {
        Self(value)
    }

    /// Stands where no id could be made.
    pub fn unknown() -> Self {
        Self(HeaderValue::from_static("unknown"))
    }

    /// As a header value; cheap to clone.
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// An empty answer. `reason` is one of a closed set of lower-case words joined by `-`.
pub fn empty(status: StatusCode, reason: &'static str) -> Answer {
    answer(status, reason, None, Bytes::new())
}

/// A JSON answer.
pub fn json(status: StatusCode, reason: &'static str, value: &impl serde::Serialize) -> Answer {
    let body = serde_json::to_vec(value).unwrap_or_default();
    answer(status, reason, Some("application/json"), body.into())
}

/// An HTML answer.
pub fn html(status: StatusCode, reason: &'static str, page: String) -> Answer {
    answer(
        status,
        reason,
        Some("text/html; charset=utf-8"),
        page.into(),
    )
}

/// A plain text answer.
pub fn text(status: StatusCode, reason: &'static str, body: impl Into<Bytes>) -> Answer {
    answer(
        status,
        reason,
        Some("text/plain; charset=utf-8"),
        body.into(),
    )
}

/// Sends the browser elsewhere with 302, or 303 when the request was neither GET nor HEAD; never a status that is kept.
///
/// A location that no header can carry becomes `/`.
pub fn redirect(method: &Method, reason: &'static str, location: &str) -> Answer {
    let status = match *method {
        Method::GET | Method::HEAD => StatusCode::FOUND,
        _ => StatusCode::SEE_OTHER,
    };
    let mut answer = empty(status, reason);
    let location =
        HeaderValue::from_str(location).unwrap_or_else(|_| HeaderValue::from_static("/"));
    answer.headers_mut().insert(LOCATION, location);
    answer
}

fn answer(
    status: StatusCode,
    reason: &'static str,
    content_type: Option<&'static str>,
    body: Bytes,
) -> Answer {
    let mut answer = http::Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(REASON_HEADER, HeaderValue::from_static(reason));
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    answer
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn request_id_refuses_what_could_break_a_log_line_or_a_page() {
        for bad in ["", "a b", "a\"b", "<b>", "a\\b", &"x".repeat(129)] {
            let value = HeaderValue::from_str(bad).unwrap();
            assert_eq!(RequestId::new(value), None, "{bad:?}");
        }
        let id = RequestId::new(HeaderValue::from_static("abc-123")).unwrap();
        assert_eq!(id.as_str(), "abc-123");
    }

    #[test]
    fn a_redirect_after_post_turns_into_get_and_is_never_permanent() {
        assert_eq!(redirect(&Method::GET, "x", "/a").status(), 302);
        assert_eq!(redirect(&Method::POST, "x", "/a").status(), 303);
    }
}
