//! `[[server.listeners]]`: addresses, limits, certificates.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use ipnet::IpNet;

use crate::config::code::Code;
use crate::config::file::{
    CertificateFile, File, ListenerFile, MinimumTls, ProxyProtocol, ServerFile, TlsFile,
};
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::surroundings::explain;
use crate::config::table::Optional;
use crate::config::values::{FilePath, Item};
use crate::listen::{
    self, Certificate, CertificateError, CertificateFiles, TlsSettings, TlsVersion,
};

/// A certificate that ends sooner is worth a warning.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Every listener and where its address stands.
pub(super) fn listeners(file: &File, reader: &mut Reader<'_>) -> Vec<Item<listen::Settings>> {
    let server = &file.server.value;
    let max_header = usize::try_from(server.max_header.value.0).unwrap_or(usize::MAX);
    if !(8 << 10..=1 << 20).contains(&max_header) {
        let what = "must be from 8KiB to 1MiB";
        reader.report(Problem::new(Code::BadSize, &server.max_header.place, what));
    }
    let trusted = &server.trusted_proxies.value;
    let trusted: Vec<_> = trusted.iter().map(|item| item.value.0).collect();
    let settings = |address| plain(server, address, max_header, &trusted);
    let mut listeners: Vec<Item<listen::Settings>> = Vec::new();
    let mut add = |settings: listen::Settings, place: &_, reader: &mut Reader<'_>| {
        let address = settings.address;
        let taken = |item: &&Item<listen::Settings>| collide(item.value.address, address);
        if let Some(earlier) = listeners.iter().find(taken) {
            let what = format!("= \"{address}\" is taken by another listener");
            let problem = Problem::new(Code::AddressTwice, place, what);
            reader.report(problem.also(&earlier.place, "here"));
        }
        listeners.push(Item {
            value: settings,
            place: place.clone(),
        });
    };
    if !server.listen.is_broken && (server.listen.is_given || server.listeners.value.is_empty()) {
        let settings = settings(server.listen.value);
        add(settings, &server.listen.place, reader);
    }
    for item in &server.listeners.value {
        let file = &item.value;
        let tls = file.tls.value.as_ref();
        let tls = tls.and_then(|tls| tls_settings(tls, &file.tls.place, reader));
        let proxy_protocol = proxy_protocol(file, &trusted, reader);
        refuse_h2c_over_tls(file, reader);
        if let Some(address) = file.address.value {
            let settings = listen::Settings {
                tls,
                h2c: file.h2c.value,
                proxy_protocol,
                ..settings(address)
            };
            add(settings, &file.address.place, reader);
        }
    }
    listeners
}

/// What all listeners have in common.
fn plain(
    server: &ServerFile,
    address: SocketAddr,
    max_header: usize,
    trusted_proxies: &[IpNet],
) -> listen::Settings {
    let timeouts = &server.timeouts.value;
    listen::Settings {
        address,
        max_header,
        max_headers: server.max_headers.value.0 as usize,
        max_connections: server.max_connections.value.0 as usize,
        tls: None,
        h2c: false,
        proxy_protocol: None,
        trusted_proxies: trusted_proxies.to_vec(),
        timeouts: listen::Timeouts {
            tls_handshake: timeouts.tls_handshake.value.0,
            request_header: timeouts.request_header.value.0,
            keep_alive: timeouts.keep_alive.value.0,
            body_progress: timeouts.body_progress.value.0,
        },
    }
}

fn proxy_protocol(
    file: &ListenerFile,
    trusted: &[IpNet],
    reader: &mut Reader<'_>,
) -> Option<listen::ProxyProtocol> {
    let taken = match file.proxy_protocol.value {
        ProxyProtocol::None => return None,
        ProxyProtocol::V1 => listen::ProxyProtocol::V1,
        ProxyProtocol::V2 => listen::ProxyProtocol::V2,
        ProxyProtocol::Any => listen::ProxyProtocol::Any,
    };
    if trusted.is_empty() {
        let what = "waits for a header that nobody may send";
        let hint = "name your proxies: trusted_proxies = [\"10.0.0.0/24\"] in [server]";
        let place = &file.proxy_protocol.place;
        reader.report(Problem::new(Code::KeysContradict, place, what).hint(hint));
    }
    Some(taken)
}

fn refuse_h2c_over_tls(file: &ListenerFile, reader: &mut Reader<'_>) {
    if file.h2c.value && file.tls.is_given {
        let what = "is for plain listeners";
        let hint = "leave it out: with TLS the handshake chooses between HTTP/2 and HTTP/1.1";
        let problem = Problem::new(Code::KeysContradict, &file.h2c.place, what);
        reader.report(problem.hint(hint));
    }
}

/// A certificate and its key as the file names them.
type NamedPair<'f> = (&'f Optional<FilePath>, &'f Optional<FilePath>);

/// `None` where nothing usable is named.
fn tls_settings(file: &TlsFile, place: &Place, reader: &mut Reader<'_>) -> Option<TlsSettings> {
    let pairs = named_pairs(file, place, reader)?;
    let certificates = pairs
        .into_iter()
        .filter_map(|pair| certificate(pair, reader))
        .collect::<Vec<_>>();
    (!certificates.is_empty()).then_some(TlsSettings {
        certificates,
        min_version: match file.min_version.value {
            MinimumTls::V12 => TlsVersion::V12,
            MinimumTls::V13 => TlsVersion::V13,
        },
    })
}

/// Either `cert` and `key`, or `certs`.
fn named_pairs<'f>(
    file: &'f TlsFile,
    place: &Place,
    reader: &mut Reader<'_>,
) -> Option<Vec<NamedPair<'f>>> {
    let several = &file.certs.value;
    let has_single = file.cert.is_given || file.key.is_given;
    if has_single && !several.is_empty() {
        let what = "names certificates beside `cert` and `key`";
        let hint = "put the single one into the list, too: the first is the default";
        reader.report(Problem::new(Code::PathChoice, &file.certs.place, what).hint(hint));
        return None;
    }
    if has_single && file.cert.is_given && file.key.is_given {
        return Some(vec![(&file.cert, &file.key)]);
    }
    if has_single || several.is_empty() {
        let what = "needs `cert` and `key`, or `certs`";
        reader.report(Problem::new(Code::MissingKey, place, what));
        return None;
    }
    let pair = |item: &'f Item<CertificateFile>| (&item.value.cert, &item.value.key);
    Some(several.iter().map(pair).collect())
}

/// Reads a pair as the listener will, and reports what is wrong with it. Opens no socket.
fn certificate((cert, key): NamedPair<'_>, reader: &mut Reader<'_>) -> Option<CertificateFiles> {
    let files = CertificateFiles {
        cert: cert.value.as_ref()?.resolve(reader),
        key: key.value.as_ref()?.resolve(reader),
    };
    let now = SystemTime::now();
    match Certificate::load(&files, now) {
        Ok(certificate) if certificate.ends() < now + SOON => {
            let what = format!("ends on {}", day(certificate.ends()));
            let hint = "get a new one; the files are watched, no reload is needed";
            reader.report(Problem::new(Code::CertificateEndsSoon, &cert.place, what).hint(hint));
            Some(files)
        }
        Ok(_) => Some(files),
        Err(error) => {
            reader.report(problem(&error, &files, cert, key));
            None
        }
    }
}

fn problem(
    error: &CertificateError,
    files: &CertificateFiles,
    cert: &Optional<FilePath>,
    key: &Optional<FilePath>,
) -> Problem {
    match error {
        CertificateError::Unreadable { path, source } => {
            let place = if *path == files.key {
                &key.place
            } else {
                &cert.place
            };
            let what = format!("cannot be read: {}", explain(path, source));
            Problem::new(Code::UnreadableFile, place, what)
        }
        CertificateError::NoCertificate { .. } => {
            let what = "holds no readable certificate in PEM form";
            Problem::new(Code::BadCertificate, &cert.place, what)
                .hint("it begins with -----BEGIN CERTIFICATE-----")
        }
        CertificateError::NoKey { .. } => {
            let what = "holds no readable private key in PEM form";
            Problem::new(Code::BadTlsKey, &key.place, what)
                .hint("it begins with -----BEGIN PRIVATE KEY-----, without a passphrase")
        }
        CertificateError::Mismatch { .. } => {
            let what = "is not the key of the first certificate in `cert`";
            Problem::new(Code::BadTlsKey, &key.place, what).also(&cert.place, "for this")
        }
        CertificateError::Expired { ended, .. } => {
            let what = format!("expired on {}", day(*ended));
            Problem::new(Code::ExpiredCertificate, &cert.place, what)
        }
    }
}

fn day(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%d").to_string()
}

/// Whether two sockets cannot both have their address.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_address = one.ip() == other.ip();
    let all_of_family = one.is_ipv4() == other.is_ipv4()
        && (one.ip().is_unspecified() || other.ip().is_unspecified());
    one.port() != 0 && one.port() == other.port() && (same_address || all_of_family)
}
