//! Bytes on one connection, said and heard by script: as a client, or as the site.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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

    async fn hear_more(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; 16 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer));
        let count = read.await.map_err(|_| {
            let heard = String::from_utf8_lossy(&self.ahead);
            io::Error::new(io::ErrorKind::TimedOut, format!("no more after: {heard:?}"))
        })??;
        self.ahead.extend_from_slice(&buffer[..count]);
        Ok(count > 0)
    }
}

/// A site that plays a script on each connection.
pub(crate) struct ScriptedSite {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ScriptedSite {
    /// Starts one. The script gets the connection's number, counted from 0.
    pub(crate) async fn start<F, Played>(script: F) -> Self
    where
        F: Fn(usize, Talk) -> Played + Send + 'static,
        Played: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            heads: Arc::default(),
        };
        let connections = Arc::clone(&site.connections);
        let heads = Arc::clone(&site.heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let talk = Talk {
                    stream,
                    ahead: Vec::new(),
                    heads: Some(Arc::clone(&heads)),
                };
                let number = connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(script(number, talk));
            }
        });
        site
    }

    /// One that says the same after each request head, until the connection ends.
    pub(crate) async fn answering(answer: &'static str) -> Self {
        Self::start(move |_, mut talk| async move {
            while !talk.head().await?.is_empty() {
                talk.say(answer).await?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Every request head heard so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// A site that sends one event, and then nothing for as long as somebody listens.
pub(crate) async fn event_stream() -> ScriptedSite {
    let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: hello\n\n";
    ScriptedSite::start(move |_, mut talk| async move {
        talk.head().await?;
        talk.say(events).await?;
        talk.rest().await;
        Ok(())
    })
    .await
}

impl Talk {
    /// The visitor with these cookies listens to [`event_stream`] behind a gateway.
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
}
