//! `keygen`, `jwt inspect`, `jwt verify`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::jwt::{self, Algorithm};
use crate::seal;
use crate::wechat;

use super::Global;

/// Real tokens and key sets have well under 16 KiB.
const LONGEST_INPUT: usize = 256 * 1024;

/// How long a key set may take to arrive.
const FETCH_DEADLINE: Duration = Duration::from_secs(5);

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

/// Commands below `jwt`.
#[derive(Debug, Subcommand)]
pub(super) enum JwtCommand {
    /// Print header and claims without verifying
    Inspect {
        /// The token; `-` or nothing reads it from standard input, out of sight of other users
        token: Option<String>,
    },
    /// Verify a token against a key set: exit code 0 when it is valid, 1 when it is not
    Verify {
        /// The token; `-` or nothing reads it from standard input, out of sight of other users
        token: Option<String>,
        /// The key set: a file, or an address that begins with http:// or https://
        #[arg(long, value_name = "FILE|URL")]
        jwks: String,
        /// Demand this `iss`
        #[arg(long)]
        issuer: Option<String>,
        /// Demand this `aud`
        #[arg(long)]
        audience: Option<String>,
    },
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
            println!("{}", key.described("file", &path.display().to_string()));
        } else {
            eprintln!("wrote {}", path.display());
        }
    } else if global.json {
        println!("{}", key.described("key", key.text.trim_end()));
    } else {
        println!("{}", key.text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn jwt(command: JwtCommand, global: &Global) -> anyhow::Result<ExitCode> {
    match command {
        JwtCommand::Inspect { token } => inspect(&read_token(token)?, global),
        JwtCommand::Verify {
            token,
            jwks,
            issuer,
            audience,
        } => {
            let key_set = read_key_set(&jwks)?;
            let token = read_token(token)?;
            let now = SystemTime::now();
            let (issuer, audience) = (issuer.as_deref(), audience.as_deref());
            let result = jwt::verify(&token, &key_set, issuer, audience, now);
            Ok(report(result, global))
        }
    }
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

fn read_token(argument: Option<String>) -> anyhow::Result<String> {
    let token = match argument {
        Some(token) if token != "-" => token,
        Some(_) | None => {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                eprintln!("reading the token from standard input; end it with Ctrl-D");
            }
            let bytes = read_bounded(stdin.lock()).context("standard input")?;
            String::from_utf8(bytes).context("standard input")?
        }
    };
    let token = token.trim();
    ensure!(!token.is_empty(), "the token is empty");
    Ok(token.to_owned())
}

fn read_key_set(place: &str) -> anyhow::Result<Vec<u8>> {
    if place.starts_with("http://") || place.starts_with("https://") {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // Timers need the runtime, so the deadline is made inside.
        let fetched =
            runtime.block_on(async { tokio::time::timeout(FETCH_DEADLINE, fetch(place)).await });
        let seconds = FETCH_DEADLINE.as_secs();
        let fetched = fetched.with_context(|| format!("no answer within {seconds} s"));
        return fetched
            .flatten()
            .with_context(|| format!("key set at `{place}`"));
    }
    ensure!(
        !place.contains("://"),
        "`{place}` is neither a file nor an address with http:// or https://"
    );
    File::open(place)
        .and_then(read_bounded)
        .with_context(|| format!("key set in `{place}`"))
}

async fn fetch(url: &str) -> anyhow::Result<Vec<u8>> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(wechat::tls_config()?)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    let response = client.get(url).send().await;
    let mut response = response.map_err(reqwest::Error::without_url)?;
    let status = response.status();
    if status != reqwest::StatusCode::OK {
        bail!("the server answered HTTP {}", status.as_u16());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        ensure!(
            body.len() <= LONGEST_INPUT,
            "longer than {LONGEST_INPUT} bytes"
        );
    }
    Ok(body)
}

fn read_bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let bound = LONGEST_INPUT as u64 + 1;
    source.take(bound).read_to_end(&mut bytes)?;
    if bytes.len() > LONGEST_INPUT {
        return Err(io::Error::other(format!(
            "longer than {LONGEST_INPUT} bytes"
        )));
    }
    Ok(bytes)
}

fn inspect(token: &str, global: &Global) -> anyhow::Result<ExitCode> {
    let inspection = jwt::inspect(token)?;
    let (header, claims) = (&inspection.header, &inspection.claims);
    eprintln!("warning: NOT VERIFIED, anybody can write such a token; see `wxgate jwt verify`");
    if global.json {
        let document = json!({ "verified": false, "header": header, "claims": claims });
        println!("{document}");
    } else {
        println!("header (NOT VERIFIED)\n{header:#}");
        println!("claims (NOT VERIFIED)\n{claims:#}");
    }
    Ok(ExitCode::SUCCESS)
}

fn report(result: Result<Value, jwt::VerifyError>, global: &Global) -> ExitCode {
    match result {
        Ok(claims) => {
            if global.json {
                println!("{}", json!({ "valid": true, "claims": claims }));
            } else {
                println!("valid\n{claims:#}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            if global.json {
                let reason = error.to_string();
                println!("{}", json!({ "valid": false, "reason": reason }));
            } else {
                println!("not valid: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt as _;
    use std::thread;

    use super::*;

    /// Answers one request with these bytes.
    fn serve_once(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<_> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            assert!(!head.is_empty());
            // The client hangs up on an answer that is too long.
            let _ = stream.write_all(&answer);
        });
        format!("http://{address}/_wxgate/jwks")
    }

    fn answer(status: &str, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

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

    #[test]
    fn key_set_comes_from_a_file_or_an_address() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        fs::write(&path, r#"{"keys":[]}"#).unwrap();
        let url = serve_once(answer("200 OK", br#"{"keys":[1]}"#));

        assert_eq!(
            read_key_set(path.to_str().unwrap()).unwrap(),
            br#"{"keys":[]}"#
        );
        assert_eq!(read_key_set(&url).unwrap(), br#"{"keys":[1]}"#);
    }

    #[test]
    fn key_set_is_refused_when_it_is_long_moved_or_elsewhere() {
        let long = vec![b' '; LONGEST_INPUT + 1];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.json");
        fs::write(&path, &long).unwrap();
        let moved =
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n";
        let table = [
            (path.display().to_string(), "longer than 262144 bytes"),
            (
                serve_once(answer("200 OK", &long)),
                "longer than 262144 bytes",
            ),
            (serve_once(answer("404 Not Found", b"")), "HTTP 404"),
            (serve_once(moved.to_vec()), "HTTP 302"),
            ("ftp://127.0.0.1/jwks".to_owned(), "neither a file nor"),
            ("file:///etc/hostname".to_owned(), "neither a file nor"),
            (
                folder.path().join("none").display().to_string(),
                "No such file",
            ),
        ];
        for (place, expected) in table {
            let error = format!("{:#}", read_key_set(&place).unwrap_err());
            assert!(error.contains(expected), "{place}: {error}");
        }
    }

    #[test]
    fn token_of_the_command_line_is_trimmed_and_must_not_be_empty() {
        assert_eq!(read_token(Some(" a.b.c\n".to_owned())).unwrap(), "a.b.c");
        assert!(read_token(Some("  ".to_owned())).is_err());
    }
}
