//! Why a request gets no answer from the application.

use http::HeaderName;

use crate::route::policy::Reason;
use crate::route::{Client, OnDeny, Rule};
use crate::session::Session;
use crate::target::Refusal;
use crate::wechat::OpenId;
use crate::{jwt, login, proxy, store};

/// Why a request gets no answer from the application.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The request line is refused. The client's fault.
    #[error("{0}")]
    Target(Refusal),
    /// The message is refused: the word says which part. The client's fault.
    #[error("malformed request: {0}")]
    BadRequest(&'static str),
    /// `CONNECT`, `TRACE`, a method in lower case, or one that an endpoint of ours does not have.
    #[error("method not allowed")]
    MethodNotAllowed {
        /// What is.
        allowed: &'static str,
    },
    /// An `Expect` that nobody meets.
    #[error("unknown expectation")]
    Expectation,
    /// No route serves this host.
    #[error("host is not served here")]
    UnknownHost,
    /// Somebody who is no trusted proxy asks for decisions, or hands on what clients wrote.
    #[error("only addresses in `server.trusted_proxies` may ask for decisions")]
    UntrustedProxy,
    /// A front proxy broke its contract: this header is missing, doubled or unreadable, or belongs to another contract. The
    /// operator's fault.
    #[error(
        "the front proxy must send one readable `{0}`, or none where it belongs to another proxy"
    )]
    FrontProxy(HeaderName),
    /// A client sent a header that an application behind a front proxy could take for one of ours.
    #[error("forged identity header")]
    ForgedHeader,
    /// The route has nowhere to forward to: it is only judged for front proxies.
    #[error("route has no upstream")]
    NoUpstream,
    /// No route serves this path.
    #[error("no route")]
    NotFound,
    /// The policy says no.
    #[error("refused: {}", .0.reason.as_str())]
    Refused(Refused),
    /// The client announced more than the limit.
    #[error("announced body is larger than the limit")]
    AnnouncedTooLarge,
    /// The store did not answer: nobody gets in, nobody is logged out.
    #[error("store")]
    Store(#[from] store::Error),
    /// Login cannot answer.
    #[error("login")]
    Login(#[from] login::Error),
    /// No token could be signed: nothing goes upstream without one.
    #[error("signing")]
    Token(#[source] jwt::Error),
    /// The token fits no header.
    #[error("token fits no header")]
    TokenHeader,
    /// The subject needs a unionid that the policy let pass without one.
    #[error("session has no subject")]
    NoSubject,
    /// The upstream.
    #[error("upstream")]
    Upstream(#[from] proxy::Error),
}

/// A "no" of the policy.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) on_deny: OnDeny,
    /// Which client the route wants.
    pub(super) client: Option<Client>,
    /// The refused person.
    pub(super) openid: Option<OpenId>,
}

impl Error {
    /// A "no" of the policy, to whoever is logged in.
    pub(super) fn refused(reason: Reason, rule: &Rule, session: Option<&Session>) -> Self {
        Self::Refused(Refused {
            reason,
            on_deny: rule.on_deny,
            client: rule.clients.first().copied(),
            openid: session.map(|session| session.person.openid.clone()),
        })
    }
}

impl Error {
    /// Whether what follows on this connection may be the rest of what was refused, so that nobody should read on.
    pub(super) fn is_in_doubt(&self) -> bool {
        match self {
            Self::Target(_)
            | Self::BadRequest(_)
            | Self::MethodNotAllowed { .. }
            | Self::Expectation
            | Self::AnnouncedTooLarge
            | Self::Login(login::Error::Body(_))
            | Self::Upstream(proxy::Error::RequestBody(_)) => true,
            Self::UnknownHost
            | Self::NotFound
            | Self::NoUpstream
            | Self::UntrustedProxy
            | Self::FrontProxy(_)
            | Self::ForgedHeader
            | Self::Refused(_)
            | Self::Store(_)
            | Self::Login(login::Error::Store(_))
            | Self::Token(_)
            | Self::TokenHeader
            | Self::NoSubject
            | Self::Upstream(_) => false,
        }
    }

    /// One word for logs.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Target(_) => "bad-target",
            Self::BadRequest(word) => word,
            Self::MethodNotAllowed { .. } => "method-not-allowed",
            Self::Expectation => "expectation",
            Self::UnknownHost => "unknown-host",
            Self::NotFound => "no-route",
            Self::NoUpstream => "no-upstream",
            Self::UntrustedProxy => "untrusted-proxy",
            Self::FrontProxy(_) => "front-proxy",
            Self::ForgedHeader => "forged-header",
            Self::Refused(refused) => refused.reason.as_str(),
            Self::AnnouncedTooLarge => "body",
            Self::Store(_) => "store",
            Self::Login(_) => "login",
            Self::Token(_) | Self::TokenHeader | Self::NoSubject => "token",
            Self::Upstream(proxy::Error::RequestBody(_)) => "body",
            Self::Upstream(_) => "upstream",
        }
    }
}
