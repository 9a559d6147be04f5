//! Who asks for what: request id, client address, host, canonical target.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, Method, Request, Uri, Version};
use ipnet::IpNet;

use super::Error;
use super::forward_auth::{FrontProxy, Question};
use super::hosts::Hosts;
use super::request_id::RequestIds;
use super::unnamed_proxy::UnnamedProxy;
use crate::listen::Peer;
use crate::message::{Head, Host, KnownBrowsers, Load, Present};
use crate::message::{RequestId, RequestInfo, Site};
use crate::target::{Refusal, Target};

/// What was learned about a request, whether it is refused or not.
pub(super) struct Inspected {
    pub(super) info: RequestInfo,
    pub(super) present: Present,
    /// Why it must be.
    pub(super) refused: Option<Error>,
}

/// What is asked for; where it could not be read, the public host and `/`.
struct Wish {
    host: Host,
    method: Method,
    target: Target,
    load: Load,
}

/// Learns about requests before anybody judges them.
#[derive(Debug)]
pub(super) struct Inspector {
    hosts: Hosts,
    site: Site,
    trusted_proxies: Vec<IpNet>,
    request_id_header: HeaderName,
    ids: RequestIds,
    browsers: KnownBrowsers,
    unnamed_proxy: UnnamedProxy,
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
            browsers: KnownBrowsers::default(),
            unnamed_proxy: UnnamedProxy::default(),
        }
    }

    /// Whether the peer may say where requests come from.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies
            .iter()
            .any(|net| net.contains(&address))
    }

    /// Everything known about a request, and whether it must be refused.
    ///
    /// Where a front proxy asks, what it says the visitor asked for takes the place of its own request. Only the call's head is
    /// judged as sent.
    pub(super) fn inspect<B>(
        &self,
        request: &Request<B>,
        front: Option<FrontProxy>,
        (peer, is_trusted): (&Peer, bool),
        now: SystemTime,
    ) -> Inspected {
        let headers = request.headers();
        let head = Head::of(headers);
        if !is_trusted {
            let address = peer.address.ip().to_canonical();
            self.unnamed_proxy.look_at(address, head.present);
        }
        let (wish, refused) = match front {
            None => self.wish(&head, request, peer),
            Some(front) => self.wish_of_visitor(front, &head, request, (peer, is_trusted)),
        };
        let info = RequestInfo {
            id: self.id(headers, is_trusted),
            client: self.client(headers, peer.address.ip(), is_trusted),
            host: wish.host,
            method: wish.method,
            target: wish.target,
            browser: self.browsers.detect(head.user_agent),
            load: wish.load,
            received: now,
            trace: None,
        };
        Inspected {
            info,
            present: head.present,
            refused,
        }
    }

    /// What a request asks for.
    fn wish<B>(&self, head: &Head<'_>, request: &Request<B>, peer: &Peer) -> (Wish, Option<Error>) {
        // The first reason counts.
        let mut refused = judge_head(head, request, peer).err();
        let host = self.host(head, request.uri()).unwrap_or_else(|error| {
            refused.get_or_insert(error);
            self.site.public_host.clone()
        });
        let target = target(request).unwrap_or_else(|error| {
            refused.get_or_insert(error);
            root()
        });
        let method = request.method().clone();
        let load = Load::of(&method, head);
        let wish = Wish {
            host,
            method,
            target,
            load,
        };
        (wish, refused)
    }

    /// What the visitor asks for about whom a front proxy asks.
    fn wish_of_visitor<B>(
        &self,
        front: FrontProxy,
        head: &Head<'_>,
        request: &Request<B>,
        (peer, is_trusted): (&Peer, bool),
    ) -> (Wish, Option<Error>) {
        let mut wish = Wish {
            host: self.site.public_host.clone(),
            method: request.method().clone(),
            target: root(),
            load: Load::Background,
        };
        let question = match is_trusted {
            true => judge_head(head, request, peer)
                .and_then(|()| Question::read(front, request, &self.site.path_prefix)),
            false => Err(Error::UntrustedProxy),
        };
        let judged = question.and_then(|question| {
            judge_method(&question.method)?;
            wish.load = Load::of(&question.method, head);
            wish.method = question.method;
            wish.target = question.target?;
            wish.host = self.hosts.named(question.host)?;
            Ok(())
        });
        (wish, judged.err())
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
        // SECURITY: by bytes. A proxy that appends puts its own word behind whatever the client sent, and a field that was left
        // out for that would make the client the proxy.
        let values: Vec<&[u8]> = headers
            .get_all("x-forwarded-for")
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .collect();
        let mut client = peer;
        for value in values.into_iter().rev() {
            let Some(address) = address_in(value) else {
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

/// An address, with a port behind it where a proxy writes one.
fn address_in(value: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(value.trim_ascii()).ok()?;
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    text.parse().or_else(|_| with_port()).ok()
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
    use http::HeaderValue;

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
        let client_of = |peer: &str, forwarded: &[u8]| {
            let mut headers = HeaderMap::new();
            let forwarded = HeaderValue::from_bytes(forwarded).unwrap();
            headers.insert("x-forwarded-for", forwarded);
            let peer: IpAddr = peer.parse().unwrap();
            let found = inspector.client(&headers, peer, inspector.trusts(peer));
            found.to_string()
        };
        let client = |peer: &str, forwarded: &str| client_of(peer, forwarded.as_bytes());
        // What a client sent before a proxy appended its own word.
        assert_eq!(client_of("10.0.0.1", b"\xff, 1.2.3.4"), "1.2.3.4");
        assert_eq!(client("10.0.0.1", "一, 1.2.3.4"), "1.2.3.4");
        assert_eq!(client("10.0.0.1", "6.6.6.6, 1.2.3.4:5678"), "1.2.3.4");
        assert_eq!(client("10.0.0.1", "[2001:db8::1]:443"), "2001:db8::1");
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
