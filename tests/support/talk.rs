//! Bytes on one connection, said and heard by script: as a client, or as the site.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Reply;

/// Waiting longer for the other side is a failure.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection, and what was read ahead of what was asked for.
pub(crate) struct Talk {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
    /// Where the site notes the heads it heard.
    heads: Option<Arc<Mutex<Vec<String>>>>,
}

impl Talk {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            ahead: Vec::new(),
            heads: None,
        }
    }

    /// The other end of a connection; it notes the heads it hears.
    pub(crate) fn noting(stream: TcpStream, heads: Arc<Mutex<Vec<String>>>) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
            heads: Some(heads),
        }
    }

    /// A connection on which this was said.
    pub(crate) async fn saying(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Self {
        let mut talk = Self::connect(address).await;
        talk.say(bytes).await.unwrap();
        talk
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// The next head with its blank line; empty when the other side has finished before its end.
    pub(crate) async fn head(&mut self) -> io::Result<String> {
        let Some(head) = self.hear_until("\r\n\r\n").await? else {
            return Ok(String::new());
        };
        if let Some(heads) = &self.heads {
            heads.lock().unwrap().push(head.clone());
        }
        Ok(head)
    }

    /// Everything up to and with `end`; `None` when the other side finishes before.
    pub(crate) async fn hear_until(&mut self, end: &str) -> io::Result<Option<String>> {
        loop {
            let found = self
                .ahead
                .windows(end.len())
                .position(|window| window == end.as_bytes());
            if let Some(start) = found {
                let heard = self.ahead.drain(..start + end.len()).collect();
                return Ok(Some(String::from_utf8(heard).unwrap()));
            }
            if !self.hear_more().await? {
                return Ok(None);
            }
        }
    }

    /// Exactly so many bytes.
    pub(crate) async fn hear(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < count {
            if !self.hear_more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.ahead.drain(..count).collect())
    }

    /// A whole answer whose length is announced.
    pub(crate) async fn answer(&mut self) -> String {
        let head = self.head().await.unwrap();
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            })
            .unwrap_or(0);
        let body = self.hear(length).await.unwrap();
        head + std::str::from_utf8(&body).unwrap()
    }

    /// A whole answer, taken apart. One to HEAD has no body, whatever length it announces.
    pub(crate) async fn reply(&mut self, is_head: bool) -> Reply {
        let head = self.head().await.unwrap();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.unwrap_or_else(|| panic!("no status line: {head:?}"));
        let mut headers = HeaderMap::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").expect("a header line");
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let length = match headers.get("content-length") {
            Some(length) if !is_head => length.to_str().unwrap().parse().unwrap(),
            _ => 0,
        };
        Reply {
            status: status[..3].parse().unwrap(),
            headers,
            body: self.hear(length).await.unwrap().into(),
        }
    }

    /// Everything until the other side finishes or breaks.
    pub(crate) async fn rest(&mut self) -> String {
        while self.hear_more().await.unwrap_or(false) {}
        String::from_utf8_lossy(&std::mem::take(&mut self.ahead)).into_owned()
    }

    /// Waits until the other side has closed, and fails when it does not.
    #[track_caller]
    pub(crate) fn closed(mut self) -> impl Future<Output = String> {
        let asked = std::panic::Location::caller();
        async move {
            tokio::time::timeout(Duration::from_secs(5), self.rest())
                .await
                .unwrap_or_else(|_| panic!("still open: {asked}"))
        }
    }

    /// Ends the connection with a reset instead of an orderly end.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// Counts what comes until the other side finishes, and keeps none of it.
    pub(crate) async fn drain(&mut self, most: u64) -> u64 {
        let mut buffer = vec![0; 256 * 1024];
        let mut count = self.ahead.len() as u64;
        self.ahead.clear();
        while count < most {
            match self.stream.read(&mut buffer).await.unwrap() {
                0 => break,
                more => count += more as u64,
            }
        }
        count
    }

    /// Sends so many bytes of nothing in particular.
    pub(crate) async fn pour(&mut self, mut count: u64) -> io::Result<()> {
        let chunk = vec![b'x'; 256 * 1024];
        while count > 0 {
            let size = chunk.len().min(usize::try_from(count).unwrap());
            self.stream.write_all(&chunk[..size]).await?;
            count -= size as u64;
        }
        Ok(())
    }

    /// The visitor with these cookies listens to [`super::event_stream`] behind a gateway.
    pub(crate) async fn listening(address: SocketAddr, cookies: &str) -> Self {
        let ask =
            format!("GET /live HTTP/1.1\r\nHost: www.example.test\r\nCookie: {cookies}\r\n\r\n");
        let mut stream = Self::saying(address, ask).await;
        stream.hear_until("hello").await.unwrap().expect("an event");
        stream
    }

    /// Waits for the orderly end of an event stream, and fails when it does not come within a second.
    pub(crate) async fn ends_within_a_second(mut self) {
        let end = tokio::time::timeout(Duration::from_secs(1), self.hear_until("0\r\n\r\n"));
        let end = end.await.expect("the stream goes on").unwrap();
        end.expect("an orderly end");
    }

    async fn hear_more(&mut self) -> io::Result<bool> {
        self.ahead.reserve(4096);
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.ahead));
        let count = read.await.map_err(|_| {
            let heard = String::from_utf8_lossy(&self.ahead);
            io::Error::new(io::ErrorKind::TimedOut, format!("no more after: {heard:?}"))
        })??;
        Ok(count > 0)
    }
}
