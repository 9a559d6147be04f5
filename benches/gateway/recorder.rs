//! An origin that says what it was sent.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::peer::Peer;

/// Waiting longer for a request is a failure.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the recorder itself says to its thread.
const END: &str = "END\r\n\r\n";

/// Answers one request per connection. Its place is free when it was dropped.
pub(crate) struct Recorder {
    address: SocketAddr,
    headers: Receiver<String>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Recorder {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (sender, headers) = channel();
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                match answer(stream).unwrap_or_default() {
                    head if head == END => break,
                    // The other side has left.
                    head if head.is_empty() => {}
                    head => {
                        let _ = sender.send(head);
                    }
                }
            }
        });
        Ok(Self {
            address,
            headers,
            thread: Some(thread),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the peer sends for a request of the load, without its first line.
    pub(crate) fn header_from(&self, peer: &Peer) -> anyhow::Result<String> {
        while self.headers.try_recv().is_ok() {}
        let mut request = format!("GET / HTTP/1.1\r\nHost: {}\r\n", peer.address);
        for (name, value) in peer.fields() {
            request += &format!("{name}: {value}\r\n");
        }
        request += "Connection: close\r\n\r\n";
        let mut stream = TcpStream::connect(peer.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(
            answer.starts_with("HTTP/1.1 204"),
            "{}: {answer}",
            peer.address
        );
        let head = self.headers.recv_timeout(PATIENCE)?;
        let (_, header) = head.split_once("\r\n").context("no header")?;
        Ok(header.to_owned())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let said = TcpStream::connect(self.address)
            .and_then(|mut stream| stream.write_all(END.as_bytes()));
        if let Some(thread) = self.thread.take()
            && said.is_ok()
        {
            let _ = thread.join();
        }
    }
}

/// The head of the request on this connection; empty where there is none.
fn answer(mut stream: TcpStream) -> std::io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(String::new()),
            count => head.extend_from_slice(&buffer[..count]),
        }
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
    Ok(String::from_utf8_lossy(&head).into_owned())
}
