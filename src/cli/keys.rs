//! `keygen`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::jwt::{self, Algorithm};
use crate::seal;

use super::Global;

/// Arguments of `keygen`.
#[derive(Debug, Args)]
pub(super) struct KeygenArgs {
    #[command(subcommand)]
    kind: KeyKind,
}

/// What a key is for.
#[derive(Debug, Subcommand)]
enum KeyKind {
    /// A key that signs tokens for applications, for `jwt.keys`
    Jwt {
        /// Algorithm of the tokens
        #[arg(long, value_enum, default_value_t = AlgorithmName::Es256)]
        alg: AlgorithmName,
        #[command(flatten)]
        destination: Destination,
    },
    /// A key that seals session cookies, for `sessions.keys`
    Cookie(Destination),
    /// A token for the admin listener, for `admin.token`
    AdminToken(Destination),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AlgorithmName {
    #[value(name = "ES256")]
    Es256,
    #[value(name = "EdDSA")]
    EdDsa,
    #[value(name = "RS256")]
    Rs256,
    #[value(name = "HS256")]
    Hs256,
}

impl From<AlgorithmName> for Algorithm {
    fn from(name: AlgorithmName) -> Self {
        match name {
            AlgorithmName::Es256 => Self::Es256,
            AlgorithmName::EdDsa => Self::EdDsa,
            AlgorithmName::Rs256 => Self::Rs256,
            AlgorithmName::Hs256 => Self::Hs256,
        }
    }
}

#[derive(Debug, Args)]
struct Destination {
    /// Write to a new file, mode 0600, instead of standard output; never overwrites
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn keygen(args: KeygenArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let (key, destination) = match args.kind {
        KeyKind::Jwt { alg, destination } => (jwt_key(alg.into())?, destination),
        KeyKind::Cookie(destination) => (random_key("cookie"), destination),
        KeyKind::AdminToken(destination) => (random_key("admin-token"), destination),
    };
    if let Some(path) = &destination.out {
        write_new(path, &key.text)?;
        if global.json {
            say!("{}", key.described("file", &path.display().to_string()));
        } else {
            eprintln!("wrote {}", path.display());
        }
    } else if global.json {
        say!("{}", key.described("key", key.text.trim_end()));
    } else {
        say!("{}", key.text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

struct MadeKey {
    kind: &'static str,
    algorithm: Option<Algorithm>,
    kid: Option<String>,
    text: Zeroizing<String>,
}

impl MadeKey {
    /// The key, or where it is, as one JSON document.
    fn described(&self, name: &str, value: &str) -> Value {
        let mut document = json!({ "kind": self.kind, name: value });
        if let Some(algorithm) = self.algorithm {
            document["alg"] = algorithm.as_str().into();
        }
        if let Some(kid) = &self.kid {
            document["kid"] = kid.as_str().into();
        }
        document
    }
}

fn jwt_key(algorithm: Algorithm) -> anyhow::Result<MadeKey> {
    let key = jwt::generate(algorithm)?;
    Ok(MadeKey {
        kind: "jwt",
        algorithm: Some(algorithm),
        kid: key.kid,
        text: Zeroizing::new(key.text.reveal().clone()),
    })
}

/// 43 letters and digits are 256 bits.
fn random_key(kind: &'static str) -> MadeKey {
    MadeKey {
        kind,
        algorithm: None,
        kid: None,
        text: Zeroizing::new(seal::random_text(43)),
    }
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => anyhow::anyhow!(
                "`{}` exists already, and a key is never overwritten",
                path.display()
            ),
            _ => anyhow::Error::new(error).context(format!("`{}`", path.display())),
        })?;
    let line = format!("{}\n", text.trim_end());
    let written = file
        .write_all(line.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key is worse than none; the first error is the one to report.
        let _ = fs::remove_file(path);
    }
    written.with_context(|| format!("`{}`", path.display()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn key_files_are_for_the_owner_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwt.pem");

        write_new(&path, "first\n").unwrap();
        let error = write_new(&path, "second").unwrap_err();

        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\n");
        assert!(error.to_string().contains("exists already"), "{error}");
    }

    #[test]
    fn key_file_in_no_folder_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();

        let error = write_new(&folder.path().join("none/jwt.pem"), "key").unwrap_err();

        assert!(format!("{error:#}").contains("none/jwt.pem"), "{error:#}");
    }

    #[test]
    fn made_keys_are_named_and_complete() {
        let table = [
            (AlgorithmName::Es256, "-----BEGIN PRIVATE KEY-----\n", 43),
            (AlgorithmName::EdDsa, "-----BEGIN PRIVATE KEY-----\n", 43),
            (AlgorithmName::Rs256, "-----BEGIN PRIVATE KEY-----\n", 43),
            (AlgorithmName::Hs256, "", 0),
        ];
        for (name, start, kid_length) in table {
            let key = jwt_key(name.into()).unwrap();

            assert!(key.text.starts_with(start), "{name:?}");
            assert!(key.text.len() >= 43, "{name:?}");
            assert_eq!(key.kid.map_or(0, |kid| kid.len()), kid_length, "{name:?}");
        }
    }

    #[test]
    fn random_keys_are_long_and_differ() {
        let (one, two) = (random_key("cookie"), random_key("cookie"));

        assert_eq!(one.text.len(), 43);
        assert!(one.text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(one.text, two.text);
    }

    #[test]
    fn json_form_names_what_the_key_is() {
        let key = MadeKey {
            kind: "jwt",
            algorithm: Some(Algorithm::Es256),
            kid: Some("k1".to_owned()),
            text: Zeroizing::new("PEM".to_owned()),
        };

        let document = key.described("file", "jwt.pem");

        let expected = json!({ "kind": "jwt", "alg": "ES256", "kid": "k1", "file": "jwt.pem" });
        assert_eq!(document, expected);
    }
}
