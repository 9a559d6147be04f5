//! What a front proxy asks about: the visitor's request, rebuilt from the headers of its contract.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Method, Request};

use super::{FrontProxy, may_ask_with};
use crate::gateway::Error;
use crate::target::Target;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");

/// The visitor's request as far as the front proxy's word is needed for it.
#[derive(Debug)]
pub(in crate::gateway) struct Question<'r> {
    pub(in crate::gateway) method: Method,
    /// As the visitor wrote it.
    pub(in crate::gateway) host: &'r str,
    pub(in crate::gateway) target: Result<Target, Error>,
}

impl FrontProxy {
    /// Whether the header belongs to another contract. A front proxy that lets it through lets its clients write it.
    fn is_foreign(self, name: &HeaderName) -> bool {
        let is_forwarded = || *name == X_FORWARDED_METHOD || *name == X_FORWARDED_URI;
        let is_original = || *name == X_ORIGINAL_METHOD || *name == X_ORIGINAL_URL;
        *name == X_ORIGINAL_URI
            || match self {
                Self::Nginx => is_forwarded(),
                Self::Traefik | Self::Caddy => is_original(),
                Self::Envoy => is_forwarded() || is_original(),
            }
    }
}

impl<'r> Question<'r> {
    /// Reads it. A header of the contract that is missing, doubled or unreadable, or one of another contract, is an error that
    /// names it. A target that is refused for itself is the visitor's business and stands in [`target`](Self::target).
    pub(in crate::gateway) fn read<B>(
        front: FrontProxy,
        request: &'r Request<B>,
        path_prefix: &str,
    ) -> Result<Self, Error> {
        let headers = request.headers();
        if let Some(foreign) = headers.keys().find(|name| front.is_foreign(name)) {
            return Err(breach(foreign));
        }
        addresses(headers)?;
        let question = match front {
            FrontProxy::Nginx => Self::of_nginx(headers)?,
            FrontProxy::Traefik | FrontProxy::Caddy => {
                scheme(only(headers, &X_FORWARDED_PROTO)?, &X_FORWARDED_PROTO)?;
                Self {
                    method: method(headers, &X_FORWARDED_METHOD)?,
                    host: only(headers, &X_FORWARDED_HOST)?,
                    target: target(only(headers, &X_FORWARDED_URI)?, &X_FORWARDED_URI)?,
                }
            }
            FrontProxy::Envoy => {
                scheme(only(headers, &X_FORWARDED_PROTO)?, &X_FORWARDED_PROTO)?;
                Self {
                    method: request.method().clone(),
                    host: only(headers, &http::header::HOST)?,
                    target: target(behind_envoy(request, path_prefix), &PATH)?,
                }
            }
        };
        if may_ask_with(front, request.method(), &question.method) {
            Ok(question)
        } else {
            Err(Error::MethodNotAllowed { allowed: "GET" })
        }
    }

    fn of_nginx(headers: &'r HeaderMap) -> Result<Self, Error> {
        let method = method(headers, &X_ORIGINAL_METHOD)?;
        let url = only(headers, &X_ORIGINAL_URL)?;
        let (scheme_text, rest) = url
            .split_once("://")
            .ok_or_else(|| breach(&X_ORIGINAL_URL))?;
        scheme(scheme_text, &X_ORIGINAL_URL)?;
        let slash = rest.find('/').ok_or_else(|| breach(&X_ORIGINAL_URL))?;
        let (host, path) = rest.split_at(slash);
        Ok(Self {
            method,
            host,
            target: target(path, &X_ORIGINAL_URL)?,
        })
    }
}

/// Stands for the path in a report: Envoy says it in no header.
const PATH: HeaderName = HeaderName::from_static("path");

/// The visitor's path and query, which Envoy wrote behind the path of its endpoint.
fn behind_envoy<'r, B>(request: &'r Request<B>, path_prefix: &str) -> &'r str {
    let whole = request.uri().path_and_query();
    whole
        .and_then(|whole| whole.as_str().strip_prefix(path_prefix))
        .and_then(|below| below.strip_prefix("/auth/envoy"))
        .unwrap_or_default()
}

/// The only value of a header.
fn only<'r>(headers: &'r HeaderMap, name: &HeaderName) -> Result<&'r str, Error> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| breach(name)),
        _ => Err(breach(name)),
    }
}

/// The visitor's address and those of proxies on the way. Without it `allow_ips` would judge the front proxy.
fn addresses(headers: &HeaderMap) -> Result<(), Error> {
    let text = only(headers, &X_FORWARDED_FOR)?;
    let is_address = |address: &str| address.trim().parse::<IpAddr>().is_ok();
    match text.split(',').all(is_address) {
        true => Ok(()),
        false => Err(breach(&X_FORWARDED_FOR)),
    }
}

fn method(headers: &HeaderMap, name: &HeaderName) -> Result<Method, Error> {
    let text = only(headers, name)?;
    Method::from_bytes(text.as_bytes()).map_err(|_| breach(name))
}

/// Which of the two it is says `public_url`; anything else shows that the front proxy speaks about something else.
fn scheme(text: &str, name: &HeaderName) -> Result<(), Error> {
    match text {
        "http" | "https" => Ok(()),
        _ => Err(breach(name)),
    }
}

fn target(text: &str, name: &HeaderName) -> Result<Result<Target, Error>, Error> {
    match text.starts_with('/') {
        true => Ok(Target::parse(text).map_err(Error::Target)),
        false => Err(breach(name)),
    }
}

fn breach(name: &HeaderName) -> Error {
    Error::FrontProxy(name.clone())
}
