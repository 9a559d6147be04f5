//! Certificates that visitors and we ourselves must trust: of the public address, of own listeners, of upstreams.

use std::time::{Duration, SystemTime};

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::finding::Finding;
use super::{PATIENCE, Patient};
use crate::clock::from_unix_seconds;
use crate::listen::reachable;
use crate::message::Scheme;
use crate::proxy::{Address, Protocol, Server, Tls, TlsSettings, UpstreamSettings};

/// Less is worth a warning: whoever renews by hand needs some days.
const SOON: Duration = Duration::from_secs(14 * 86_400);

const DAY: u64 = 86_400;

/// The public address, and own listeners as a visitor's browser would judge them.
pub(super) async fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let site = &patient.config.gateway.site;
    let host = site.public_host.as_str();
    let now = patient.clock.now();
    let Ok(browser) = Tls::new(TlsSettings::default()) else {
        let said = "this system has no list of authorities";
        findings.push(Finding::skip("certificates", said));
        return;
    };
    let Some(name) = browser.name(host) else {
        return;
    };
    if site.scheme == Scheme::Https {
        let place = (host.to_owned(), site.port.unwrap_or(443));
        let what = format!("certificate of {host}");
        findings.push(look(what, &place, &browser, &name, now).await);
    }
    let secure = patient.config.listeners.iter();
    for listener in secure.filter(|listener| listener.tls.is_some()) {
        let address = reachable(listener.address);
        let place = (address.ip().to_string(), address.port());
        let what = format!("certificate of listener {}", listener.address);
        findings.push(look(what, &place, &browser, &name, now).await);
    }
}

/// The certificate of a server, judged as the gateway will; `None` for a server without.
pub(super) async fn of_upstream(
    upstream: &UpstreamSettings,
    server: &Server,
    now: SystemTime,
) -> Option<Finding> {
    let (Protocol::Https { tls, name }, Address::Tcp { host, port }) =
        (&server.protocol, &server.address)
    else {
        return None;
    };
    let what = format!("certificate of upstream {}", upstream.name);
    Some(look(what, &(host.clone(), *port), tls, name, now).await)
}

async fn look(
    what: String,
    (host, port): &(String, u16),
    tls: &Tls,
    name: &ServerName<'static>,
    now: SystemTime,
) -> Finding {
    let shown = async {
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        tls.certificate(name.clone(), stream).await
    };
    match tokio::time::timeout(PATIENCE, shown).await {
        Ok(Ok(certificate)) => match end_of(&certificate) {
            Some(ends) => judge(what, ends, now),
            None => Finding::warn(what, "cannot be read"),
        },
        Ok(Err(error)) => refused(what, &error.to_string()),
        Err(_) => Finding::skip(what, "nobody answers"),
    }
}

fn end_of(certificate: &[u8]) -> Option<SystemTime> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    Some(from_unix_seconds(u64::try_from(seconds).ok()?))
}

fn judge(what: String, ends: SystemTime, now: SystemTime) -> Finding {
    let left = ends.duration_since(now).unwrap_or_default();
    let days = left.as_secs() / DAY;
    let said = format!("is trusted, and ends in {days} days");
    match left < SOON {
        true => {
            Finding::warn(what, said).fix("renew it now, and look why nobody did so automatically")
        }
        false => Finding::ok(what, said),
    }
}

/// By what the TLS library says. Not every refusal is the certificate's.
fn refused(what: String, error: &str) -> Finding {
    let has = |word: &str| error.contains(word);
    let (said, fix) = if has("expired") || has("Expired") {
        ("has expired", "renew it")
    } else if has("UnknownIssuer") || has("BadSignature") {
        // The second one where another authority has the same name.
        (
            "is not trusted: its authority is unknown, or the certificates in between are missing",
            "put the whole chain into the file (fullchain.pem, not cert.pem); for an authority of your own, upstreams take tls.ca",
        )
    } else if has("NotValidForName") || has("not valid for name") {
        (
            "is for another name",
            "get one for this name; upstreams take tls.server_name",
        )
    } else {
        return Finding::fail(what, format!("no TLS: {error}"))
            .fix("look whether a server with TLS listens there");
    };
    Finding::fail(what, said).fix(fix)
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn two_weeks_before_the_end_somebody_is_told() {
        let now = from_unix_seconds(1_800_000_000);
        for (days, state) in [
            (400, State::Ok),
            (14, State::Ok),
            (13, State::Warn),
            (0, State::Warn),
        ] {
            let ends = now + Duration::from_secs(days * DAY);
            let finding = judge("x".to_owned(), ends, now);
            assert_eq!(finding.state, state, "{finding}");
            assert!(finding.said.contains(&format!("{days} days")), "{finding}");
        }
    }
}
