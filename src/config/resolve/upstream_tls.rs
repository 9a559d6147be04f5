//! `[upstreams.*.tls]`

use crate::config::code::Code;
use crate::config::file::UpstreamTlsFile;
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::surroundings;
use crate::config::table::Set;
use crate::config::values::{FilePath, OrNone};
use crate::proxy::{Identity, Tls, TlsSettings, UnusableFile};

/// Reads the files. `None` means that something is broken and that a problem says so.
pub(super) fn tls(file: &UpstreamTlsFile, reader: &mut Reader<'_>) -> Option<Tls> {
    if !file.verify.value {
        let what = "is off: anybody on the way can read and change everything";
        let hint = "trust the server's authority with `ca` instead";
        reader.report(Problem::new(Code::UncheckedServer, &file.verify.place, what).hint(hint));
    }
    let authorities = match content(&file.ca, reader)? {
        None => None,
        Some(pem) => {
            let read = TlsSettings::authorities(&pem);
            Some(usable(read, &file.ca.place, reader)?)
        }
    };
    let server_name = match &file.server_name.value.0 {
        None => None,
        Some(name) => {
            let parsed = TlsSettings::server_name(name);
            if parsed.is_none() {
                let what = "must be a host name or an address, without port";
                reader.report(Problem::new(Code::BadHost, &file.server_name.place, what));
            }
            Some(parsed?)
        }
    };
    let settings = TlsSettings {
        verify: file.verify.value,
        authorities,
        identity: identity(file, reader)?,
        server_name,
        http2: file.http2.value,
    };
    usable(Tls::new(settings), &file.key.place, reader)
}

fn identity(file: &UpstreamTlsFile, reader: &mut Reader<'_>) -> Option<Option<Identity>> {
    match (content(&file.cert, reader)?, content(&file.key, reader)?) {
        (None, None) => Some(None),
        (Some(chain), Some(key)) => {
            let identity = Identity::read(&chain, &key);
            let place = match &identity {
                Err(UnusableFile::Certificate) => &file.cert.place,
                Ok(_) | Err(UnusableFile::Key | UnusableFile::OtherKey) => &file.key.place,
            };
            usable(identity, place, reader).map(Some)
        }
        (Some(_), None) => missing(&file.key.place, "must be given where `cert` is", reader),
        (None, Some(_)) => missing(&file.cert.place, "must be given where `key` is", reader),
    }
}

fn missing<T>(place: &Place, what: &str, reader: &mut Reader<'_>) -> Option<T> {
    reader.report(Problem::new(Code::MissingKey, place, what));
    None
}

/// The bytes of a file that may be named. The outer `None` means that it cannot be read.
fn content(path: &Set<OrNone<FilePath>>, reader: &mut Reader<'_>) -> Option<Option<Vec<u8>>> {
    let Some(name) = &path.value.0 else {
        return (!path.is_broken).then_some(None);
    };
    let found = name.resolve(reader);
    match std::fs::read(&found) {
        Ok(bytes) => Some(Some(bytes)),
        Err(error) => {
            let reason = surroundings::explain(&found, &error);
            let what = format!("cannot be read from {reason}");
            reader.report(Problem::new(Code::UnreadableFile, &path.place, what));
            None
        }
    }
}

fn usable<T>(read: Result<T, UnusableFile>, place: &Place, reader: &mut Reader<'_>) -> Option<T> {
    let code = |error: &UnusableFile| match error {
        UnusableFile::Certificate => Code::BadCertificate,
        UnusableFile::Key | UnusableFile::OtherKey => Code::BadTlsKey,
    };
    read.inspect_err(|error| {
        reader.report(Problem::new(code(error), place, error.to_string()));
    })
    .ok()
}
