//! Which of the operator's paths was asked, whether it may be, and what it answers.

use std::net::IpAddr;

use data_encoding::BASE64;
use http::header::{ACCEPT, AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::json;

use super::control::{Control, done, failed};
use super::operator::Operator;
use super::query::Query;
use super::status::Status;
use super::{Admin, is_same, method_not_allowed, unauthorized};
use crate::message::{self, Answer};

/// Every order carries it.
pub(super) const ORDER_HEADER: HeaderName = HeaderName::from_static("x-wxgate-admin");

/// What an operator can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    Status,
    StatusJson,
    Explain,
    Doctor,
    Sessions,
    Revoke,
    Reload,
    Drain,
    LogLevel,
    RotateKey,
}

/// A request for one of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'r> {
    pub(super) method: &'r Method,
    pub(super) target: &'r PathAndQuery,
    pub(super) headers: &'r HeaderMap,
    pub(super) peer: IpAddr,
}

impl Place {
    const ALL: [Self; 11] = [
        Self::Root,
        Self::Status,
        Self::StatusJson,
        Self::Explain,
        Self::Doctor,
        Self::Sessions,
        Self::Revoke,
        Self::Reload,
        Self::Drain,
        Self::LogLevel,
        Self::RotateKey,
    ];

    pub(super) fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.path() == path)
    }

    fn path(self) -> &'static str {
        match self {
            Self::Root => "/",
            Self::Status => "/status",
            Self::StatusJson => "/status.json",
            Self::Explain => "/explain",
            Self::Doctor => "/doctor",
            Self::Sessions => "/sessions",
            Self::Revoke => "/sessions/revoke",
            Self::Reload => "/reload",
            Self::Drain => "/drain",
            Self::LogLevel => "/log-level",
            Self::RotateKey => "/jwt/rotate",
        }
    }

    /// Whether it changes something, or makes calls to others.
    fn is_order(self, method: &Method) -> bool {
        match self {
            // Asking for its page shows the button.
            Self::Doctor => !is_reading(method),
            Self::Revoke | Self::Reload | Self::Drain | Self::LogLevel | Self::RotateKey => true,
            Self::Root | Self::Status | Self::StatusJson | Self::Explain | Self::Sessions => false,
        }
    }

    fn is_page(self) -> bool {
        matches!(
            self,
            Self::Root | Self::Status | Self::Explain | Self::Doctor | Self::Sessions
        )
    }
}

impl Admin {
    /// Answers a request for one of the operator's paths.
    pub(super) async fn operate(
        &self,
        control: &Control,
        place: Place,
        asked: &Asked<'_>,
    ) -> Answer {
        let admitted_by = match self.judge(place, asked) {
            Ok(admitted_by) => admitted_by,
            Err(answer) => {
                if *asked.method == Method::POST {
                    let operator = Operator::new(asked.peer, "", asked.headers);
                    operator.refused(place.path(), reason(&answer));
                }
                return *answer;
            }
        };
        let operator = Operator::new(asked.peer, admitted_by, asked.headers);
        let query = Query::of(asked.target);
        match place {
            Place::Root => message::redirect(asked.method, "admin", "/status"),
            Place::Status if wants_page(asked.headers) => self.status(control).await.html(),
            Place::Status | Place::StatusJson => self.status(control).await.json(),
            Place::Explain => control.explain(&query, wants_page(asked.headers)),
            Place::Doctor if *asked.method == Method::POST => {
                control.doctor(&operator, wants_page(asked.headers)).await
            }
            Place::Doctor if wants_page(asked.headers) => control.doctors_door(),
            Place::Doctor => method_not_allowed("POST"),
            Place::Sessions => {
                control
                    .list_sessions(&query, wants_page(asked.headers))
                    .await
            }
            Place::Revoke => {
                let answer = control.revoke_sessions(&query, &operator).await;
                if answer.status().is_success() {
                    self.metrics.session_ended("revoked");
                }
                answer
            }
            Place::Reload => control.reload(&operator).await,
            Place::LogLevel => control.log_level(&query, &operator),
            Place::RotateKey => control.rotate_key(&query, &operator, &self.metrics).await,
            Place::Drain => {
                self.readiness.set_draining();
                operator.ordered("drain", "");
                done(&json!({ "draining": true }))
            }
        }
    }

    async fn status(&self, control: &Control) -> Status {
        Status::new(control, &self.readiness.checks().await, &self.metrics)
    }

    /// What lets the request in.
    fn judge(&self, place: Place, asked: &Asked<'_>) -> Result<&'static str, Box<Answer>> {
        let admitted_by = match &self.token {
            None => Some("loopback"),
            Some(_) if self.admits(asked.headers) => Some("token"),
            Some(_) if place.is_page() && self.admits_browser(asked.headers) => Some("password"),
            Some(_) => None,
        };
        let Some(admitted_by) = admitted_by else {
            let mut answer = unauthorized();
            if place.is_page() {
                // A browser asks for the token then: any name, and the token as the password.
                let scheme = HeaderValue::from_static("Basic realm=\"wxgate\"");
                answer.headers_mut().append(WWW_AUTHENTICATE, scheme);
            }
            return Err(Box::new(answer));
        };
        if self.token.is_none() && !names_this_machine(asked.headers) {
            let why = "without a token, ask by address or as `localhost`";
            return Err(Box::new(failed(StatusCode::MISDIRECTED_REQUEST, why)));
        }
        let is_order = place.is_order(asked.method);
        let is_right = match is_order {
            true => *asked.method == Method::POST,
            false => is_reading(asked.method),
        };
        let is_meant = asked.headers.contains_key(ORDER_HEADER)
            || (place == Place::Doctor && comes_from_our_page(asked.headers));
        match is_right {
            false if place == Place::Doctor => Err(Box::new(method_not_allowed("GET, HEAD, POST"))),
            false if is_order => Err(Box::new(method_not_allowed("POST"))),
            false => Err(Box::new(method_not_allowed("GET, HEAD"))),
            true if is_order && !is_meant => {
                let why = "an order needs the header `X-Wxgate-Admin: 1`";
                Err(Box::new(failed(StatusCode::FORBIDDEN, why)))
            }
            true => Ok(admitted_by),
        }
    }

    /// Whether the password of `Authorization: Basic` is the token.
    fn admits_browser(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None, Some(token)) = (values.next(), values.next(), &self.token) else {
            return false;
        };
        let given = value.to_str().ok().and_then(|value| {
            let (scheme, credentials) = value.split_once(' ')?;
            let credentials = BASE64.decode(credentials.trim_ascii().as_bytes()).ok()?;
            let credentials = String::from_utf8(credentials).ok()?;
            let (_, password) = credentials.split_once(':')?;
            scheme
                .eq_ignore_ascii_case("basic")
                .then(|| password.to_owned())
        });
        given.is_some_and(|given| is_same(&given, token))
    }
}

/// Why an order was not taken, for the log.
fn reason(answer: &Answer) -> &'static str {
    match answer.status() {
        StatusCode::UNAUTHORIZED => "token",
        StatusCode::MISDIRECTED_REQUEST => "host",
        StatusCode::FORBIDDEN => "header",
        _ => "method",
    }
}

/// Whether `Host` is an address or `localhost`: a name of somebody else's could be made to lead here.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
    })
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether a form was sent by a page of this listener: browsers name the page's origin, and no page can name another.
fn comes_from_our_page(headers: &HeaderMap) -> bool {
    let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = value(ORIGIN).and_then(|origin| {
        let rest = origin.strip_prefix("http://");
        rest.or_else(|| origin.strip_prefix("https://"))
    });
    origin.is_some_and(|origin| value(HOST).is_some_and(|host| origin.eq_ignore_ascii_case(host)))
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accepts.is_some_and(|accept| accept.contains("text/html"))
}
