//! The key file: JSON, newest secret first, for its owner only.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::ring::{RingSecret, SECRET_BYTES};
use super::{Error, random_text};
use crate::clock::{from_unix_seconds, unix_seconds};
use crate::secret::Secret;

const VERSION: u32 = 1;
const OWNER_ONLY: u32 = 0o600;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    version: u32,
    keys: Vec<KeyEntry>,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    /// Base64url of 32 bytes.
    secret: String,
    /// Unix seconds.
    created_at: u64,
}

/// The secrets in the file; `None` where there is no file. Rights that are too wide are narrowed.
pub(super) fn read(path: &Path) -> Result<Option<Vec<RingSecret>>, Error> {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(damaged(path)),
        Err(error) => return Err(file_error(path, error)),
    };
    parse(&text).map(Some).ok_or_else(|| damaged(path))
}

/// Replaces the file as a whole: after a crash there is the old one or the new one.
pub(super) fn write(path: &Path, secrets: &[RingSecret]) -> Result<(), Error> {
    let keys = secrets.iter().map(|secret| KeyEntry {
        secret: BASE64URL_NOPAD.encode(secret.bytes.reveal()),
        created_at: unix_seconds(secret.created_at),
    });
    let file = KeyFile {
        version: VERSION,
        keys: keys.collect(),
    };
    serde_json::to_vec_pretty(&file)
        .map_err(io::Error::from)
        .and_then(|text| replace(path, &Zeroizing::new(text)))
        .map_err(|error| file_error(path, error))
}

fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let text = fs::read_to_string(path)?;
    let permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY))?;
    }
    Ok(text.into())
}

fn parse(text: &str) -> Option<Vec<RingSecret>> {
    let file: KeyFile = serde_json::from_str(text).ok()?;
    if file.version != VERSION || file.keys.is_empty() {
        return None;
    }
    let secret = |entry: &KeyEntry| {
        let bytes = BASE64URL_NOPAD.decode(entry.secret.as_bytes()).ok()?;
        (bytes.len() == SECRET_BYTES).then(|| RingSecret {
            bytes: Secret::new(bytes),
            created_at: from_unix_seconds(entry.created_at),
        })
    };
    file.keys.iter().map(secret).collect()
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        None => Path::new("/"),
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
    };
    if !folder.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let temporary = path.with_extension(format!("new-{}", random_text(8)));
    let written = write_new(&temporary, text).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Secrets must not be left lying about; the first error tells more than this one.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    // The new name, too, must survive a power failure.
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn damaged(path: &Path) -> Error {
    Error::Damaged {
        file: path.to_owned(),
    }
}

fn file_error(path: &Path, source: io::Error) -> Error {
    Error::File {
        file: path.to_owned(),
        source,
    }
}
