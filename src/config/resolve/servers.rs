//! Servers of upstreams: what they speak and where they listen.

use std::path::Path;

use url::Url;

use crate::config::code::Code;
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::proxy::{Address, TlsSettings};

/// Before the path of a socket that speaks HTTP/1.1.
const UNIX: &str = "unix:";
/// Before the path of one that speaks HTTP/2 without TLS.
const UNIX_HTTP2: &str = "h2c+unix:";

/// The longest path that the system takes for a socket.
const LONGEST_SOCKET_PATH: usize = 107;

/// A server as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrittenServer {
    pub(super) address: Address,
    pub(super) scheme: ServerScheme,
}

/// What stands before the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerScheme {
    Http,
    H2c,
    Https,
}

impl ServerScheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::H2c => "h2c",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http | Self::H2c => 80,
            Self::Https => 443,
        }
    }
}

impl WrittenServer {
    /// In canonical form: the name of an upstream that has no other.
    pub(super) fn url(&self) -> String {
        let scheme = self.scheme.as_str();
        match &self.address {
            Address::Tcp { host, port } if host.contains(':') => {
                format!("{scheme}://[{host}]:{port}")
            }
            Address::Tcp { host, port } => format!("{scheme}://{host}:{port}"),
            Address::Unix(path) if self.scheme == ServerScheme::H2c => {
                format!("{UNIX_HTTP2}{}", path.display())
            }
            Address::Unix(path) => format!("{UNIX}{}", path.display()),
        }
    }
}

/// Whether the text is an address and not the name of an upstream.
pub(super) fn is_address(text: &str) -> bool {
    text.contains("://") || text.starts_with(UNIX) || text.starts_with(UNIX_HTTP2)
}

/// `http://host[:port]`, `https://host[:port]`, `h2c://host[:port]`, `unix:/path` or `h2c+unix:/path`.
pub(super) fn read(text: &str, place: &Place, reader: &mut Reader<'_>) -> Option<WrittenServer> {
    let socket = [(UNIX, ServerScheme::Http), (UNIX_HTTP2, ServerScheme::H2c)]
        .into_iter()
        .find_map(|(start, scheme)| Some((text.strip_prefix(start)?, scheme)));
    if let Some((path, scheme)) = socket {
        let server = unix(path, scheme);
        if server.is_none() {
            let what =
                "must be \"unix:\" or \"h2c+unix:\" and an absolute path of at most 107 bytes";
            reader.report(Problem::new(Code::BadUrl, place, what));
        }
        return server;
    }
    let server = url(text);
    if server.is_none() {
        let what = "must be a URL such as \"http://10.0.0.5:8080\", without path";
        let names_socket = text.starts_with("h2c://unix:") || text.starts_with("h2c:///");
        let hint = names_socket.then(|| "HTTP/2 over a socket is \"h2c+unix:/path\"".to_owned());
        reader.report(Problem::new(Code::BadUrl, place, what).maybe_hint(hint));
        if text.contains('@') {
            // It may hold a password.
            reader.secrets.push(place.span.clone());
        }
    }
    server
}

/// Where a written server listens; `None` for a name and for what is broken.
pub(super) fn address(text: &str) -> Option<Address> {
    is_address(text)
        .then(|| url(text))
        .flatten()
        .map(|server| server.address)
}

fn unix(path: &str, scheme: ServerScheme) -> Option<WrittenServer> {
    let fits = path.starts_with('/')
        && path.len() <= LONGEST_SOCKET_PATH
        && !path.chars().any(char::is_control);
    fits.then(|| WrittenServer {
        address: Address::Unix(Path::new(path).to_path_buf()),
        scheme,
    })
}

fn url(text: &str) -> Option<WrittenServer> {
    // Hosts are read alike everywhere, but only of schemes that URLs know.
    let (url, is_h2c) = match text.strip_prefix("h2c://") {
        Some(rest) => (Url::parse(&format!("http://{rest}")).ok()?, true),
        None => (Url::parse(text).ok()?, false),
    };
    let scheme = match url.scheme() {
        "http" if is_h2c => ServerScheme::H2c,
        "http" => ServerScheme::Http,
        "https" => ServerScheme::Https,
        _ => return None,
    };
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host_str()?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // What no certificate can be for is no host either.
    let has_name = scheme != ServerScheme::Https || TlsSettings::server_name(host).is_some();
    (is_plain && has_name).then(|| WrittenServer {
        address: Address::Tcp {
            host: host.to_owned(),
            port: url.port().unwrap_or_else(|| scheme.default_port()),
        },
        scheme,
    })
}
