//! HTTP/2 frame by frame, so that a test can say what no library would.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use loona_hpack::Decoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Reply;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frame (RFC 9113, section 6).
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Whoever waits longer waits forever.
const PATIENCE: Duration = Duration::from_secs(10);

/// Name and value of one field.
pub(crate) type Field<'f> = (&'f [u8], &'f [u8]);

/// One frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// How a stream ended.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    Answer(Reply),
    /// With this error code.
    Reset(u32),
    /// The connection ended; with this code where it said one.
    Closed(Option<u32>),
}

impl Ending {
    /// The status; 0 where there was none.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Answer(reply) => reply.status.as_u16(),
            Self::Reset(_) | Self::Closed(_) => 0,
        }
    }

    pub(crate) fn reply(self) -> Reply {
        match self {
            Self::Answer(reply) => reply,
            Self::Reset(_) | Self::Closed(_) => panic!("no answer: {self:?}"),
        }
    }
}

/// The four fields every request begins with.
pub(crate) fn request_to(method: &'static str, path: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    [
        (":method", method),
        (":scheme", "https"),
        (":authority", "www.example.test"),
        (":path", path),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .to_vec()
}

/// Fields in the plainest coding: literal, never indexed, without Huffman (RFC 7541, section 6.2.3).
pub(crate) fn block<'f>(fields: impl IntoIterator<Item = Field<'f>>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0x10);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend_from_slice(text);
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541, section 5.1).
fn length(block: &mut Vec<u8>, length: usize) {
    let Ok(short @ 0..127) = u8::try_from(length) else {
        block.push(127);
        let mut rest = length - 127;
        while rest >= 128 {
            block.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        block.push(u8::try_from(rest).unwrap());
        return;
    };
    block.push(short);
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A connection.
pub(crate) struct Frames {
    stream: TcpStream,
    ahead: Vec<u8>,
    decoder: Decoder<'static>,
    next: u32,
    /// What came for streams that nobody has asked for yet.
    parts: HashMap<u32, (Option<HeaderMap>, Vec<u8>, HeaderMap)>,
}

impl Frames {
    /// With prior knowledge, and an empty SETTINGS frame.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::with_settings(address, &[]).await
    }

    /// With these settings: number and value.
    pub(crate) async fn with_settings(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut frames = Self::silent(address).await;
        frames.greet(settings).await;
        frames
    }

    /// Preface and settings.
    pub(crate) async fn greet(&mut self, settings: &[(u16, u32)]) {
        let mut payload = Vec::new();
        for (number, value) in settings {
            payload.extend_from_slice(&number.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        let settings = frame(kind::SETTINGS, 0, 0, &payload);
        self.say(&[PREFACE, &settings].concat()).await.unwrap();
    }

    /// Says what it is given until the other side has closed, and hears nothing.
    pub(crate) async fn flood(&mut self, mut more: impl FnMut() -> Vec<u8>) {
        let (mut from, mut to) = self.stream.split();
        let saying = async { while to.write_all(&more()).await.is_ok() {} };
        let mut sink = tokio::io::sink();
        let hearing = tokio::io::copy(&mut from, &mut sink);
        tokio::select! {
            () = saying => {}
            _ = hearing => {}
        }
    }

    /// Says nothing yet.
    pub(crate) async fn silent(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            ahead: Vec::new(),
            decoder: Decoder::new(),
            next: 1,
            parts: HashMap::new(),
        }
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Begins a request; the number of its stream.
    pub(crate) async fn begin(&mut self, fields: &[(Vec<u8>, Vec<u8>)], flags: u8) -> u32 {
        let stream = self.next;
        self.next += 2;
        let fields = fields.iter();
        let block = block(fields.map(|(name, value)| (name.as_slice(), value.as_slice())));
        // An answer may say what went wrong.
        let _ = self.say_block(stream, &block, flags).await;
        stream
    }

    /// A field block, in as many frames as it needs.
    async fn say_block(&mut self, stream: u32, block: &[u8], flags: u8) -> std::io::Result<()> {
        let mut pieces = block.chunks(16_000).peekable();
        let mut current = kind::HEADERS;
        while let Some(piece) = pieces.next() {
            let end = if pieces.peek().is_none() {
                END_HEADERS
            } else {
                0
            };
            let own = if current == kind::HEADERS { flags } else { 0 };
            self.say(&frame(current, own | end, stream, piece)).await?;
            current = kind::CONTINUATION;
        }
        Ok(())
    }

    /// A request without a body, and how it ended.
    pub(crate) async fn ask(&mut self, fields: &[(Vec<u8>, Vec<u8>)]) -> Ending {
        let stream = self.begin(fields, END_STREAM).await;
        self.ending(stream).await
    }

    /// A request with a body and trailers.
    pub(crate) async fn send(
        &mut self,
        fields: &[(Vec<u8>, Vec<u8>)],
        body: &[u8],
        trailers: &[(Vec<u8>, Vec<u8>)],
    ) -> Ending {
        let stream = self.begin(fields, 0).await;
        let end = if trailers.is_empty() { END_STREAM } else { 0 };
        let _ = self.say(&frame(kind::DATA, end, stream, body)).await;
        if !trailers.is_empty() {
            let trailers = trailers.iter();
            let block = block(trailers.map(|(name, value)| (name.as_slice(), value.as_slice())));
            let _ = self.say_block(stream, &block, END_STREAM).await;
        }
        self.ending(stream).await
    }

    /// Waits for the end of a stream.
    pub(crate) async fn ending(&mut self, stream: u32) -> Ending {
        loop {
            let Some(frame) = self.next().await else {
                return Ending::Closed(None);
            };
            match frame.kind {
                kind::GOAWAY if code(&frame.payload[4..]) != 0 => {
                    return Ending::Closed(Some(code(&frame.payload[4..])));
                }
                kind::RST_STREAM if frame.stream == stream => {
                    return Ending::Reset(code(&frame.payload));
                }
                kind::HEADERS | kind::DATA => {
                    self.collect(&frame);
                    if frame.stream == stream && frame.flags & END_STREAM != 0 {
                        return Ending::Answer(self.reply(stream));
                    }
                }
                _ => {}
            }
        }
    }

    fn collect(&mut self, frame: &Frame) {
        let parts = self.parts.entry(frame.stream).or_default();
        if frame.kind == kind::DATA {
            parts.1.extend_from_slice(&frame.payload);
            return;
        }
        assert!(
            frame.flags & END_HEADERS != 0,
            "an answer in several frames"
        );
        let fields = self.decoder.decode(&frame.payload).unwrap();
        let headers: HeaderMap = fields
            .into_iter()
            .map(|(name, value)| {
                // No map takes the colon.
                let name = if name == b":status" {
                    b"status".to_vec()
                } else {
                    name
                };
                (
                    HeaderName::from_bytes(&name).unwrap(),
                    HeaderValue::from_bytes(&value).unwrap(),
                )
            })
            .collect();
        match parts.0 {
            None => parts.0 = Some(headers),
            Some(_) => parts.2 = headers,
        }
    }

    fn reply(&mut self, stream: u32) -> Reply {
        let (headers, body, trailers) = self.parts.remove(&stream).unwrap();
        let mut headers = headers.unwrap();
        let status = headers.remove("status").unwrap();
        for (name, value) in &trailers {
            headers.append(
                HeaderName::try_from(format!("trailer-{name}")).unwrap(),
                value.clone(),
            );
        }
        Reply {
            status: StatusCode::from_bytes(status.as_bytes()).unwrap(),
            headers,
            body: body.into(),
        }
    }

    /// The next frame; `None` when the connection has ended. Settings and pings are acknowledged.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let frame = self.frame().await?;
        let answers = matches!(frame.kind, kind::SETTINGS | kind::PING) && frame.flags & ACK == 0;
        if answers {
            let payload: &[u8] = match frame.kind {
                kind::PING => &frame.payload,
                _ => &[],
            };
            let _ = self.say(&self::frame(frame.kind, ACK, 0, payload)).await;
        }
        Some(frame)
    }

    async fn frame(&mut self) -> Option<Frame> {
        let head = self.hear(9).await?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: code(&head[5..]) & 0x7fff_ffff,
            payload: self.hear(length).await?,
        })
    }

    async fn hear(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.ahead.len() < count {
            let mut buffer = [0; 4096];
            let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await;
            match read.expect("neither a frame nor an end") {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.ahead.extend_from_slice(&buffer[..count]),
            }
        }
        Some(self.ahead.drain(..count).collect())
    }

    /// Everything until the connection ends; the code of a GOAWAY that was no graceful one.
    pub(crate) async fn closed(&mut self) -> Option<u32> {
        let mut said = None;
        while let Some(frame) = self.frame().await {
            if frame.kind == kind::GOAWAY {
                said = Some(code(&frame.payload[4..])).filter(|code| *code != 0);
            }
        }
        said
    }
}

/// A big-endian number of four bytes.
pub(crate) fn code(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}
