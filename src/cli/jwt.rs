//! `jwt inspect`, `jwt verify`, `jwt rotate`.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::jwt;
use crate::wechat;

use super::{Global, remote};

/// Real tokens and key sets have well under 16 KiB.
const LONGEST_INPUT: usize = 256 * 1024;

/// How long a key set may take to arrive.
const FETCH_DEADLINE: Duration = Duration::from_secs(5);

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
    /// Let the next key of the running gateway sign from now on
    Rotate {
        /// Publish no key that signed before: somebody else may have it
        #[arg(long)]
        forget_previous: bool,
    },
}

pub(super) fn jwt(command: JwtCommand, global: &Global) -> anyhow::Result<ExitCode> {
    match command {
        JwtCommand::Inspect { token } => inspect(&read_token(token)?, global),
        JwtCommand::Rotate { forget_previous } => remote::rotate_key(forget_previous, global),
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
        say!("{document}");
    } else {
        say!("header (NOT VERIFIED)\n{header:#}");
        say!("claims (NOT VERIFIED)\n{claims:#}");
    }
    Ok(ExitCode::SUCCESS)
}

fn report(result: Result<Value, jwt::VerifyError>, global: &Global) -> ExitCode {
    match result {
        Ok(claims) => {
            if global.json {
                say!("{}", json!({ "valid": true, "claims": claims }));
            } else {
                say!("valid\n{claims:#}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            if global.json {
                let reason = error.to_string();
                say!("{}", json!({ "valid": false, "reason": reason }));
            } else {
                say!("not valid: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::fs;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
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
