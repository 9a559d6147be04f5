//! Every error to status, page or JSON; the only place that knows status codes.

use http::header::{ALLOW, CACHE_CONTROL, CONNECTION};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::error::{Error, Refused};
use super::parts::Parts;
use crate::message::{self, Answer, BodyError, RequestInfo};
use crate::observe::Chain;
use crate::observe::IdentityMask;
use crate::pages::{Cause, NeededClient, Page};
use crate::route::policy::Reason;
use crate::route::{Client, OnDeny};
use crate::{login, proxy};

/// Whose fault an error is: sets the log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Client,
    /// Of whoever set up the proxy in front of us.
    FrontProxy,
    Upstream,
    Gateway,
}

/// Status, word and page of an error.
struct Story {
    status: StatusCode,
    reason: &'static str,
    page: Page,
    fault: Fault,
}

/// Turns an error into an answer. Logs it, unless the client is at fault.
pub(super) fn to_answer(
    error: &Error,
    info: &RequestInfo,
    headers: &HeaderMap,
    parts: &Parts,
) -> Answer {
    let story = story(error, info, parts);
    log(error, &story, info);
    if matches!(error, Error::Refused(refused) if refused.on_deny == OnDeny::Forbidden) {
        return message::empty(StatusCode::FORBIDDEN, story.reason);
    }
    let mut answer = parts
        .pages
        .render(story.status, story.reason, &story.page, info, headers);
    if let Error::MethodNotAllowed { allowed } = error {
        let allowed = HeaderValue::from_static(allowed);
        answer.headers_mut().insert(ALLOW, allowed);
    }
    if error.is_in_doubt() {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
    }
    answer
}

/// What every answer of ours carries.
pub(super) fn finish(answer: &mut Answer) {
    answer
        .headers_mut()
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

fn story(error: &Error, info: &RequestInfo, parts: &Parts) -> Story {
    let refused = |status: StatusCode, reason, cause| Story {
        status,
        reason,
        page: Page::Refused {
            cause,
            retry_after: None,
        },
        fault: Fault::Client,
    };
    let trouble = |status: StatusCode, reason, cause, fault| Story {
        status,
        reason,
        page: Page::Trouble { cause },
        fault,
    };
    let set_up = |status: StatusCode, reason, cause| Story {
        fault: Fault::FrontProxy,
        ..refused(status, reason, cause)
    };
    match error {
        Error::Target(_) => refused(StatusCode::BAD_REQUEST, "bad-target", Cause::BadRequest),
        Error::BadRequest(_) => refused(StatusCode::BAD_REQUEST, "bad-request", Cause::BadRequest),
        Error::MethodNotAllowed { .. } => refused(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            Cause::MethodNotAllowed,
        ),
        Error::Expectation => refused(
            StatusCode::EXPECTATION_FAILED,
            "expectation",
            Cause::NotSupported,
        ),
        Error::UnknownHost => refused(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown-host",
            Cause::UnknownHost,
        ),
        Error::NotFound => no_route(info, parts),
        Error::NoUpstream => refused(StatusCode::NOT_FOUND, "no-upstream", Cause::NotFound),
        // Strangers learn no more than at any address that nobody serves.
        Error::UntrustedProxy => Story {
            fault: Fault::FrontProxy,
            ..no_route(info, parts)
        },
        Error::FrontProxy(_) => set_up(StatusCode::BAD_REQUEST, "front-proxy", Cause::BadRequest),
        Error::ForgedHeader => refused(StatusCode::BAD_REQUEST, "forged-header", Cause::BadRequest),
        Error::Refused(refused) => denied(refused, info, parts),
        Error::AnnouncedTooLarge => refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            Cause::TooLarge,
        ),
        Error::Store(_) | Error::Login(login::Error::Store(_)) => trouble(
            StatusCode::SERVICE_UNAVAILABLE,
            "store-unavailable",
            Cause::StoreTrouble,
            Fault::Gateway,
        ),
        Error::Login(login::Error::Body(error)) => body(error),
        Error::Token(_) | Error::TokenHeader | Error::NoSubject => trouble(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            Cause::Internal,
            Fault::Gateway,
        ),
        Error::Upstream(error) => upstream(error),
    }
}

/// P11, or P14 for an operator who wants to know what to do next.
fn no_route(info: &RequestInfo, parts: &Parts) -> Story {
    let page = match parts.pages.shows_details() {
        true => Page::FirstRun {
            asked: format!("{}{}", parts.site.origin(&info.host), info.target.path()),
        },
        false => Page::Refused {
            cause: Cause::NotFound,
            retry_after: None,
        },
    };
    Story {
        status: StatusCode::NOT_FOUND,
        reason: "no-route",
        page,
        fault: Fault::Client,
    }
}

fn denied(refused: &Refused, info: &RequestInfo, parts: &Parts) -> Story {
    let page = match (refused.on_deny, refused.reason, refused.client) {
        (OnDeny::NotFound, _, _) => {
            return no_route(info, parts);
        }
        (_, Reason::Client, Some(client)) => Page::WrongClient {
            needs: match client {
                Client::Wechat => NeededClient::Wechat,
                Client::MiniProgram => NeededClient::MiniProgram,
                Client::Desktop => NeededClient::Desktop,
                Client::Phone => NeededClient::Phone,
            },
            address: format!("{}{}", parts.site.origin(&info.host), info.target.as_str()),
            open_url: None,
        },
        _ => {
            let is_somebody = refused.openid.is_some();
            Page::Denied {
                account: refused
                    .openid
                    .as_ref()
                    .map(|openid| IdentityMask::Masked.apply(openid.as_str())),
                switch_url: is_somebody.then(|| parts.site.endpoint_path("logout")),
            }
        }
    };
    Story {
        status: StatusCode::FORBIDDEN,
        reason: "denied",
        page,
        fault: Fault::Client,
    }
}

fn body(error: &BodyError) -> Story {
    let (status, reason, cause) = match error {
        BodyError::TooLarge { .. } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            Cause::TooLarge,
        ),
        BodyError::Stalled(_) => (StatusCode::REQUEST_TIMEOUT, "body-stalled", Cause::TooSlow),
        BodyError::Broken(_) => (StatusCode::BAD_REQUEST, "bad-body", Cause::BadRequest),
    };
    Story {
        status,
        reason,
        page: Page::Refused {
            cause,
            retry_after: None,
        },
        fault: Fault::Client,
    }
}

fn upstream(error: &proxy::Error) -> Story {
    let (status, reason, cause) = match error {
        proxy::Error::NoServer { .. } | proxy::Error::AllIll { .. } | proxy::Error::Full { .. } => {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "upstream-unavailable",
                Cause::UpstreamUnavailable,
            )
        }
        proxy::Error::Connect { .. }
        | proxy::Error::Tls { .. }
        | proxy::Error::Broken { .. }
        | proxy::Error::Unusable { .. } => (
            StatusCode::BAD_GATEWAY,
            "upstream-broken",
            Cause::UpstreamBroken,
        ),
        proxy::Error::ConnectTimeout { .. } | proxy::Error::HeadTimeout { .. } => (
            StatusCode::GATEWAY_TIMEOUT,
            "upstream-timeout",
            Cause::UpstreamTimeout,
        ),
        proxy::Error::RequestBody(error) => return body(error),
    };
    Story {
        status,
        reason,
        page: Page::Trouble { cause },
        fault: Fault::Upstream,
    }
}

fn log(error: &Error, story: &Story, info: &RequestInfo) {
    let error = Chain(error);
    match story.fault {
        Fault::Client => {}
        Fault::FrontProxy => {
            tracing::warn!(request.id = %info.id, client.addr = %info.client, %error, "forward-auth request refused");
        }
        Fault::Upstream => tracing::warn!(request.id = %info.id, %error, "upstream failed"),
        Fault::Gateway => tracing::error!(request.id = %info.id, %error, "request failed"),
    }
}
