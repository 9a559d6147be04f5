//! Who asks for what: request id, client address, host, canonical target.

use std::net::IpAddr;
use std::time::SystemTime;

use http::header::{AUTHORIZATION, EXPECT, HOST, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use ipnet::IpNet;

use super::Error;
use super::forward_auth::{FrontProxy, Question};
use super::hosts::Hosts;
use super::request_id::RequestIds;
use crate::listen::Peer;
use crate::message::{BrowserDetector, Host, Load, RequestId, RequestInfo, Site};
use crate::target::{Refusal, Target};

/// Learns about requests before anybody judges them.
#[derive(Debug)]
pub(super) struct Inspector {
    hosts: Hosts,
    site: Site,
    trusted_proxies: Vec<IpNet>,
    request_id_header: HeaderName,
    ids: RequestIds,
    browsers: BrowserDetector,
}

impl Inspector {
    pub(super) fn new(
        site: &Site,
        trusted_proxies: Vec<IpNet>,
        request_id_header: HeaderName,
        seed: u64,
    ) -> Self {
        Self {
            hosts: Hosts::new(site),
            site: site.clone(),
            trusted_proxies,
            request_id_header,
            ids: RequestIds::new(seed),
            browsers: BrowserDetector::default(),
        }
    }

    /// Whether the peer may say where requests come from.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies
            .iter()
            .any(|net| net.contains(&address))
    }

    /// Everything known about a request, and whether it must be refused. What could not be read is the public host and `/`.
    pub(super) fn inspect<B>(
        &self,
        request: &Request<B>,
        peer: &Peer,
        now: SystemTime,
    ) -> (RequestInfo, Result<(), Error>) {
        let headers = request.headers();
        let is_trusted = self.trusts(peer.address.ip());
        let head = Head::of(headers);
        let host = self.host(&head, request.uri());
        let target = target(request);
        let judged = judge_head(&head, request, peer);
        let info = RequestInfo {
            id: self.id(headers, is_trusted),
            client: self.client(headers, peer.address.ip(), is_trusted),
            host: match &host {
                Ok(host) => host.clone(),
                Err(_) => self.site.public_host.clone(),
            },
            method: request.method().clone(),
            target: match &target {
                Ok(target) => target.clone(),
                Err(_) => root(),
            },
            browser: self.browsers.detect(head.user_agent()),
            load: Load::of(request.method(), headers),
            received: now,
            trace: None,
        };
        let judged = judged
            .and_then(|()| host.map(drop))
            .and_then(|()| target.map(drop));
        (info, judged)
    }

    /// The same for a request that a front proxy asks about: what it says the visitor asked for takes the place of its own
    /// request. Only the call's head is judged as sent.
    pub(super) fn inspect_question<B>(
        &self,
        front: FrontProxy,
        request: &Request<B>,
        peer: &Peer,
        now: SystemTime,
    ) -> (RequestInfo, Result<(), Error>) {
        let headers = request.headers();
        let is_trusted = self.trusts(peer.address.ip());
        let head = Head::of(headers);
        let question = match is_trusted {
            true => judge_head(&head, request, peer)
                .and_then(|()| Question::read(front, request, &self.site.path_prefix)),
            false => Err(Error::UntrustedProxy),
        };
        let mut info = RequestInfo {
            id: self.id(headers, is_trusted),
            client: self.client(headers, peer.address.ip(), is_trusted),
            host: self.site.public_host.clone(),
            method: request.method().clone(),
            target: root(),
            browser: self.browsers.detect(head.user_agent()),
            load: Load::Background,
            received: now,
            trace: None,
        };
        let judged = question.and_then(|question| {
            judge_method(&question.method)?;
            info.load = Load::of(&question.method, headers);
            info.method = question.method;
            info.target = question.target?;
            info.host = self.hosts.named(question.host)?;
            Ok(())
        });
        (info, judged)
    }

    fn id(&self, headers: &HeaderMap, is_trusted: bool) -> RequestId {
        let given = is_trusted
            .then(|| headers.get(&self.request_id_header).cloned())
            .flatten();
        given
            .and_then(RequestId::new)
            .unwrap_or_else(|| self.ids.next())
    }

    /// The first address from the right that is not a trusted proxy's; the peer where nobody trusted says otherwise.
    fn client(&self, headers: &HeaderMap, peer: IpAddr, is_trusted: bool) -> IpAddr {
        let peer = peer.to_canonical();
        if !is_trusted {
            return peer;
        }
        let values: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        let mut client = peer;
        for value in values.into_iter().rev() {
            let Ok(address) = value.trim().parse::<IpAddr>() else {
                break;
            };
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    /// The served host that was asked for.
    fn host(&self, head: &Head<'_>, uri: &Uri) -> Result<Host, Error> {
        let (Some(value), false) = (head.host, head.has_two_hosts) else {
            return Err(Error::BadRequest("host-header"));
        };
        let text = value
            .to_str()
            .map_err(|_| Error::BadRequest("host-header"))?;
        if let Some(authority) = uri.authority() {
            let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
            if !is_web || !authority.as_str().eq_ignore_ascii_case(text) {
                return Err(Error::BadRequest("authority"));
            }
        }
        self.hosts.named(text)
    }
}

/// The fields that are judged before anything else; of one that stands there twice, the first.
#[derive(Default)]
struct Head<'h> {
    host: Option<&'h HeaderValue>,
    has_two_hosts: bool,
    has_credentials: bool,
    has_two_credentials: bool,
    transfer_encoding: Option<&'h HeaderValue>,
    expect: Option<&'h HeaderValue>,
    user_agent: Option<&'h HeaderValue>,
}

impl<'h> Head<'h> {
    /// PERF: one pass over what is there instead of a look-up for each field that mostly is not.
    fn of(headers: &'h HeaderMap) -> Self {
        let mut head = Self::default();
        for (name, value) in headers {
            if *name == HOST {
                head.has_two_hosts = head.host.is_some();
                head.host.get_or_insert(value);
            } else if *name == USER_AGENT {
                head.user_agent.get_or_insert(value);
            } else if *name == AUTHORIZATION {
                head.has_two_credentials = head.has_credentials;
                head.has_credentials = true;
            } else if *name == TRANSFER_ENCODING {
                head.transfer_encoding.get_or_insert(value);
            } else if *name == EXPECT {
                head.expect.get_or_insert(value);
            }
        }
        head
    }

    /// Nothing where it is missing or no text.
    fn user_agent(&self) -> &'h str {
        let text = self.user_agent.and_then(|value| value.to_str().ok());
        text.unwrap_or_default()
    }
}

fn target<B>(request: &Request<B>) -> Result<Target, Error> {
    let uri = request.uri();
    let target = match uri.path_and_query() {
        Some(target) => Target::from_path_and_query(target),
        // An absolute form without a path asks for the root.
        None if uri.authority().is_some() => return Ok(root()),
        None => Err(Refusal::NotAPath),
    };
    target.map_err(Error::Target)
}

#[expect(clippy::expect_used, reason = "the root is a valid target")]
fn root() -> Target {
    Target::parse("/").expect("`/` is a target")
}

/// Refuses what hyper let through although two programs may read it differently.
fn judge_head<B>(head: &Head<'_>, request: &Request<B>, peer: &Peer) -> Result<(), Error> {
    if peer.flaw.is_some() {
        return Err(Error::BadRequest("framing"));
    }
    judge_method(request.method())?;
    if request.version() > Version::HTTP_2 {
        return Err(Error::BadRequest("version"));
    }
    if let Some(encoding) = head.transfer_encoding
        && !encoding.as_bytes().eq_ignore_ascii_case(b"chunked")
    {
        return Err(Error::BadRequest("framing"));
    }
    if head.has_two_credentials {
        // Which of them counts is each program's own guess.
        return Err(Error::BadRequest("authorization"));
    }
    match head.expect {
        Some(expected) if !expected.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(Error::Expectation)
        }
        _ => Ok(()),
    }
}

fn judge_method(method: &Method) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    if matches!(*method, Method::CONNECT | Method::TRACE) || !method.as_str().bytes().all(plain) {
        return Err(Error::MethodNotAllowed {
            allowed: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        });
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_found_from_the_right() {
        let site = Site {
            scheme: crate::message::Scheme::Https,
            public_host: Host::from_canonical("www.example.com"),
            port: None,
            path_prefix: "/_wxgate".to_owned(),
            hosts: vec![Host::from_canonical("www.example.com")],
            wildcard_hosts: Vec::new(),
        };
        let trusted = vec!["10.0.0.0/8".parse().unwrap()];
        let inspector = Inspector::new(&site, trusted, HeaderName::from_static("x-request-id"), 1);
        let client = |peer: &str, forwarded: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", HeaderValue::from_static(forwarded));
            let peer: IpAddr = peer.parse().unwrap();
            let found = inspector.client(&headers, peer, inspector.trusts(peer));
            found.to_string()
        };
        assert_eq!(
            client("192.0.2.1", "1.2.3.4"),
            "192.0.2.1",
            "untrusted peer"
        );
        assert_eq!(client("10.0.0.1", "6.6.6.6, 1.2.3.4"), "1.2.3.4");
        assert_eq!(client("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.9"), "1.2.3.4");
        assert_eq!(client("10.0.0.1", "garbage"), "10.0.0.1");
        assert_eq!(client("::ffff:10.0.0.1", "1.2.3.4"), "1.2.3.4");
    }
}
