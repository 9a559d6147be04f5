//! A connection on which a test sends bytes exactly as they are.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Reply;

/// Whoever waits longer waits forever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends bytes and reads answers one by one. Opens another connection when the gateway closed the last one.
pub(crate) struct Wire {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    connections: usize,
}

impl Wire {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
            connections: 0,
        }
    }

    /// How many connections it took so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    /// Sends one request and reads its answer, whose body must have a length.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Reply {
        let request = request.as_ref();
        timeout(PATIENCE, self.exchange(request))
            .await
            .unwrap_or_else(|_| panic!("no answer to {:?}", String::from_utf8_lossy(request)))
    }

    async fn exchange(&mut self, request: &[u8]) -> Reply {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                self.connections += 1;
                BufReader::new(TcpStream::connect(self.address).await.unwrap())
            }
        };
        stream.write_all(request).await.unwrap();
        let reply = read_reply(&mut stream, request.starts_with(b"HEAD ")).await;
        let is_closed = reply
            .headers
            .get("connection")
            .is_some_and(|value| value == "close");
        self.stream = (!is_closed).then_some(stream);
        reply
    }
}

/// Sends bytes and everything that comes back until the other end closes, which it must.
pub(crate) async fn until_closed(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has said no already may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(
        ended.is_ok(),
        "still open after {:?}, which was answered with {:?}",
        String::from_utf8_lossy(&bytes[..bytes.len().min(300)]),
        String::from_utf8_lossy(&answer)
    );
    String::from_utf8_lossy(&answer).into_owned()
}

async fn read_reply(stream: &mut BufReader<TcpStream>, is_head: bool) -> Reply {
    let status = line(stream).await;
    let status = status
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .unwrap_or_else(|| panic!("no status line: {status:?}"))
        .parse::<StatusCode>()
        .unwrap();
    let mut headers = HeaderMap::new();
    loop {
        let line = line(stream).await;
        let Some((name, value)) = line.split_once(": ") else {
            assert_eq!(line, "", "no header line");
            break;
        };
        headers.append(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    let length = match headers.get("content-length") {
        Some(length) if !is_head => length.to_str().unwrap().parse().unwrap(),
        _ => 0,
    };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Reply {
        status,
        headers,
        body: body.into(),
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await.unwrap();
    assert!(line.ends_with(b"\r\n"), "closed in {line:?}");
    line.truncate(line.len() - 2);
    String::from_utf8(line).unwrap()
}
