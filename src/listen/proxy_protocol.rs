//! The PROXY header: a proxy in front says whose connection it forwards (versions 1 and 2 of
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
//!
//! Exactly the header is read and nothing behind it, which may be the first bytes of a TLS handshake. Whoever may not send one is
//! not served at all: without it we would not know who the client is.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Which versions a listener takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// Text only.
    V1,
    /// Binary only.
    V2,
    /// Both.
    Any,
}

/// How long a header may take, from the beginning of the connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";

/// The longest line of version 1, by its specification.
const LONGEST_LINE: usize = 107;

/// What version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version, family and length.
const FIXED: usize = 16;

/// The most bytes of addresses and extensions behind that. Proxies in use send some hundred at most.
const MOST_EXTENSIONS: usize = 4096;

/// Why a connection has no client that we know.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It is no header of a version that is taken here, or it contradicts itself. The proxy's fault, or there is none.
    #[error("no PROXY header of the expected kind")]
    Broken,
    /// The header took too long.
    #[error("PROXY header took too long")]
    Late,
    /// The proxy went away.
    #[error("connection ended before its PROXY header")]
    Ended(#[source] io::Error),
}

impl Error {
    /// One word for metrics.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Broken | Self::Ended(_) => "broken",
            Self::Late => "timeout",
        }
    }
}

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// All of them belong to a header that has not ended.
    More,
    /// The first so many are a header.
    Header {
        length: usize,
        client: Option<SocketAddr>,
    },
}

/// Reads a header. `None` where the proxy speaks for itself (a health check) or does not know its client's address.
///
/// Cancelling may leave half a header behind, so the connection must be closed then.
pub(super) async fn read(
    stream: &mut TcpStream,
    taken: ProxyProtocol,
) -> Result<Option<SocketAddr>, Error> {
    match timeout(PATIENCE, read_header(stream, taken)).await {
        Ok(result) => result,
        Err(_) => Err(Error::Late),
    }
}

async fn read_header(
    stream: &mut TcpStream,
    taken: ProxyProtocol,
) -> Result<Option<SocketAddr>, Error> {
    let mut header = Vec::new();
    let mut ahead = [0; 512];
    loop {
        let count = stream.peek(&mut ahead).await.map_err(Error::Ended)?;
        if count == 0 {
            return Err(Error::Ended(io::ErrorKind::UnexpectedEof.into()));
        }
        let before = header.len();
        header.extend_from_slice(ahead.get(..count).unwrap_or_default());
        let (length, client) = match parse(&header, taken)? {
            Found::More => (header.len(), None),
            Found::Header { length, client } => (length, Some(client)),
        };
        let read = header.get_mut(before..length).unwrap_or_default();
        stream.read_exact(read).await.map_err(Error::Ended)?;
        if let Some(client) = client {
            return Ok(client);
        }
    }
}

fn parse(bytes: &[u8], taken: ProxyProtocol) -> Result<Found, Error> {
    let begins = |start: &[u8]| bytes.iter().zip(start).all(|(byte, start)| byte == start);
    match taken {
        ProxyProtocol::V1 | ProxyProtocol::Any if begins(WORD) => parse_line(bytes),
        ProxyProtocol::V2 | ProxyProtocol::Any if begins(SIGNATURE) => parse_binary(bytes),
        ProxyProtocol::V1 | ProxyProtocol::V2 | ProxyProtocol::Any => Err(Error::Broken),
    }
}

fn parse_line(bytes: &[u8]) -> Result<Found, Error> {
    let line = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return match line.len() < LONGEST_LINE {
            true => Ok(Found::More),
            false => Err(Error::Broken),
        };
    };
    let line = line.get(WORD.len()..end).ok_or(Error::Broken)?;
    let line = std::str::from_utf8(line).map_err(|_| Error::Broken)?;
    Ok(Found::Header {
        length: end + 2,
        client: client_of_line(line)?,
    })
}

/// `TCP4 192.0.2.1 198.51.100.1 56324 443`
fn client_of_line(line: &str) -> Result<Option<SocketAddr>, Error> {
    let mut words = line.split(' ');
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(None);
    }
    let mut word = || words.next().ok_or(Error::Broken);
    let (client, server, client_port, server_port) = (word()?, word()?, word()?, word()?);
    if words.next().is_some() {
        return Err(Error::Broken);
    }
    let address = |text: &str| match family {
        Some("TCP4") => text.parse::<Ipv4Addr>().map(IpAddr::V4).ok(),
        Some("TCP6") => text.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
        _ => None,
    };
    match (
        address(client),
        address(server),
        port(client_port),
        port(server_port),
    ) {
        (Some(client), Some(_), Some(client_port), Some(_)) => {
            Ok(Some(SocketAddr::new(client, client_port)))
        }
        _ => Err(Error::Broken),
    }
}

/// Digits without a sign and without zeros in front.
fn port(text: &str) -> Option<u16> {
    let is_usual =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_usual.then(|| text.parse().ok()).flatten()
}

fn parse_binary(bytes: &[u8]) -> Result<Found, Error> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Found::More);
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Error::Broken),
    };
    if length > MOST_EXTENSIONS {
        return Err(Error::Broken);
    }
    let Some(addresses) = rest.get(..length) else {
        return Ok(Found::More);
    };
    let client = match (is_local, family) {
        (true, _) => None,
        // Unspecified, and two kinds of unix socket.
        (false, 0x00 | 0x31 | 0x32) => None,
        (false, 0x11) => Some(client_of_bytes::<4, 12>(addresses)?),
        (false, 0x21) => Some(client_of_bytes::<16, 36>(addresses)?),
        (false, _) => return Err(Error::Broken),
    };
    Ok(Found::Header {
        length: FIXED + length,
        client,
    })
}

/// Client and server address, then both ports; extensions behind that say nothing that we need.
fn client_of_bytes<const ADDRESS: usize, const ALL: usize>(
    bytes: &[u8],
) -> Result<SocketAddr, Error>
where
    IpAddr: From<[u8; ADDRESS]>,
{
    let all = bytes.first_chunk::<ALL>().ok_or(Error::Broken)?;
    let client = all.first_chunk::<ADDRESS>().ok_or(Error::Broken)?;
    let ports = all.last_chunk::<4>().ok_or(Error::Broken)?;
    let [high, low, ..] = *ports;
    let port = u16::from_be_bytes([high, low]);
    Ok(SocketAddr::new(IpAddr::from(*client), port))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    fn ipv4() -> Vec<u8> {
        vec![192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 1, 0xbb]
    }

    fn ipv6() -> Vec<u8> {
        let client = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets();
        let server = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets();
        [&client[..], &server, &[0xdc, 0x04, 1, 0xbb]].concat()
    }

    /// The header's client as text; `-` for nobody, `broken` for none, `more` for half of one.
    fn client(bytes: &[u8], taken: ProxyProtocol) -> String {
        match parse(bytes, taken) {
            Err(_) => "broken".to_owned(),
            Ok(Found::More) => "more".to_owned(),
            Ok(Found::Header { length, client }) => {
                assert_eq!(length, bytes.len());
                client.map_or_else(|| "-".to_owned(), |client| client.to_string())
            }
        }
    }

    #[test]
    fn a_line_of_version_1_names_the_client() {
        for (line, expected) in [
            (
                "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n",
                "192.0.2.7:56324",
            ),
            (
                "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
                "255.255.255.255:65535",
            ),
            (
                "PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n",
                "[2001:db8::7]:56324",
            ),
            ("PROXY UNKNOWN\r\n", "-"),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "-"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r", "more"),
            ("PRO", "more"),
            ("", "more"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n", "broken"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 \r\n", "broken"),
            ("PROXY TCP4  192.0.2.7 198.51.100.1 56324 443\r\n", "broken"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 056 443\r\n", "broken"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 +56 443\r\n", "broken"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n", "broken"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n", "broken"),
            ("PROXY TCP4 192.0.2.300 198.51.100.1 1 443\r\n", "broken"),
            ("PROXY TCP4 2001:db8::7 2001:db8::1 1 443\r\n", "broken"),
            ("PROXY TCP6 192.0.2.7 198.51.100.1 1 443\r\n", "broken"),
            ("PROXY UDP4 192.0.2.7 198.51.100.1 1 443\r\n", "broken"),
            ("PROXY \r\n", "broken"),
            ("proxy TCP4 192.0.2.7 198.51.100.1 1 443\r\n", "broken"),
            ("GET / HTTP/1.1\r\n", "broken"),
            ("\u{16}\u{3}\u{1}", "broken"),
        ] {
            assert_eq!(
                client(line.as_bytes(), ProxyProtocol::V1),
                expected,
                "{line:?}"
            );
            assert_eq!(
                client(line.as_bytes(), ProxyProtocol::Any),
                expected,
                "{line:?}"
            );
        }
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(100));
        assert_eq!(client(endless.as_bytes(), ProxyProtocol::V1), "broken");
        let wrong_kind = "PROXY UNKNOWN\r\n".as_bytes();
        assert_eq!(client(wrong_kind, ProxyProtocol::V2), "broken");
    }

    #[test]
    fn a_header_of_version_2_names_the_client() {
        let with_extensions = [ipv4(), vec![0x03, 0, 4, 1, 2, 3, 4]].concat();
        for (header, expected) in [
            (binary(0x21, 0x11, &ipv4()), "192.0.2.7:56324"),
            (binary(0x21, 0x11, &with_extensions), "192.0.2.7:56324"),
            (binary(0x21, 0x21, &ipv6()), "[2001:db8::7]:56324"),
            (binary(0x20, 0x00, &[]), "-"),
            (binary(0x20, 0x11, &ipv4()), "-"),
            (binary(0x21, 0x00, &[1, 2, 3]), "-"),
            (binary(0x21, 0x31, &[0; 216]), "-"),
            (binary(0x21, 0x11, &ipv4()[..11]), "broken"),
            (binary(0x21, 0x21, &ipv4()), "broken"),
            (binary(0x21, 0x12, &ipv4()), "broken"),
            (binary(0x22, 0x11, &ipv4()), "broken"),
            (binary(0x11, 0x11, &ipv4()), "broken"),
            (binary(0x21, 0x11, &[0; 4097]), "broken"),
            (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), "broken"),
            (b"\r\n\r\n\0\r\nQUI".to_vec(), "more"),
        ] {
            assert_eq!(client(&header, ProxyProtocol::V2), expected, "{header:?}");
            assert_eq!(client(&header, ProxyProtocol::Any), expected, "{header:?}");
        }
        assert_eq!(client(&binary(0x20, 0, &[]), ProxyProtocol::V1), "broken");
    }

    #[tokio::test]
    async fn exactly_the_header_is_read_however_it_arrives() {
        let long = [ipv4(), vec![9; 3000]].concat();
        for (header, expected) in [
            (
                b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n".to_vec(),
                "192.0.2.7:56324",
            ),
            (binary(0x21, 0x11, &long), "192.0.2.7:56324"),
        ] {
            for piece in [1, 7, 5000] {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let header = header.clone();
                let sending = async move {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    for piece in [&header, b"GET".as_slice()].concat().chunks(piece) {
                        stream.write_all(piece).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                };
                let reading = async {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let client = read(&mut stream, ProxyProtocol::Any).await.unwrap();
                    let mut rest = String::new();
                    stream.read_to_string(&mut rest).await.unwrap();
                    (client.unwrap().to_string(), rest)
                };

                let ((), found) = tokio::join!(sending, reading);

                assert_eq!(found, (expected.to_owned(), "GET".to_owned()));
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_take_more_than_there_is(bytes in prop::collection::vec(any::<u8>(), 0..200), start in 0..3_usize) {
            let start: &[u8] = [&b""[..], WORD, SIGNATURE][start];
            let bytes = [start, &bytes].concat();
            if let Ok(Found::Header { length, .. }) = parse(&bytes, ProxyProtocol::Any) {
                prop_assert!(length <= bytes.len());
            }
        }

        #[test]
        fn what_is_written_is_read(client_address: Ipv4Addr, client_port: u16, behind in prop::collection::vec(any::<u8>(), 0..50)) {
            let client = SocketAddr::from((client_address, client_port));
            let line = format!("PROXY TCP4 {client_address} 198.51.100.1 {client_port} 443\r\n");
            let mut addresses = ipv4();
            addresses[..4].copy_from_slice(&client_address.octets());
            addresses[8..10].copy_from_slice(&client_port.to_be_bytes());
            for header in [line.into_bytes(), binary(0x21, 0x11, &addresses)] {
                let all = [header.clone(), behind.clone()].concat();
                let expected = Found::Header { length: header.len(), client: Some(client) };
                prop_assert_eq!(parse(&all, ProxyProtocol::Any).unwrap(), expected);
                // Every beginning of it is not enough, and is nothing else.
                for end in 0..header.len() {
                    prop_assert_eq!(parse(&header[..end], ProxyProtocol::Any).unwrap(), Found::More);
                }
            }
        }
    }
}
