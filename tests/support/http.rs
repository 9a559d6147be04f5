//! One request on one connection, as raw as a test needs it.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A page's source with its character references resolved: those that templates of ours write.
    pub(crate) fn unescaped(&self) -> String {
        self.text()
            .replace("&#x2f;", "/")
            .replace("&quot;", "\"")
            .replace("&#x27;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    }

    /// The first link of a page whose address begins like this.
    pub(crate) fn link_to(&self, start: &str) -> String {
        let page = self.unescaped();
        let found = page.split_once(&format!("href=\"{start}"));
        let (_, rest) = found.unwrap_or_else(|| panic!("no link to {start} on {page}"));
        format!("{start}{}", rest.split('"').next().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A header's only value; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map_or("", |value| value.to_str().unwrap());
        assert!(values.next().is_none(), "more than one `{name}`");
        value
    }

    /// The `WXG-…` code that the page shows; empty when there is none.
    pub(crate) fn cause(&self) -> &str {
        let text = self.text();
        let start = text.find("WXG-").unwrap_or(text.len());
        let is_code = |letter: char| letter.is_ascii_uppercase() || letter == '-';
        let length = text[start..].find(|letter| !is_code(letter));
        &text[start..start + length.unwrap_or(0)]
    }

    /// Where the page's main button leads.
    #[track_caller]
    pub(crate) fn action(&self) -> String {
        self.link(r#"id="action""#).expect("no button on the page")
    }

    /// Where the first link with this attribute leads.
    pub(crate) fn link(&self, attribute: &str) -> Option<String> {
        let tags = self.text().split('<').filter(|tag| tag.starts_with("a "));
        let mut links = tags.filter(|tag| tag.contains(attribute));
        let (_, rest) = links.next()?.split_once("href=\"")?;
        let (address, _) = rest.split_once('"')?;
        Some(address.replace("&#x2f;", "/").replace("&amp;", "&"))
    }

    /// The text of every `Set-Cookie` of this name.
    pub(crate) fn set_cookies(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.get_all("set-cookie").iter();
        lines
            .map(|line| line.to_str().unwrap())
            .filter(|line| line.split('=').next() == Some(name))
            .collect()
    }

    /// Why wxgate answered by itself; empty when it did not.
    pub(crate) fn reason(&self) -> &str {
        self.header("x-wxgate-response")
    }
}

/// Sends one request on a connection of its own and reads the whole answer.
pub(crate) async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> Reply {
    let mut connection = KeepAlive::open(address).await;
    connection.send(request).await.unwrap()
}

/// A request for the public host without a body.
pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path)
        .header("host", "www.example.test")
        .body(Full::default())
        .unwrap()
}

/// A connection that is kept open between requests.
pub(crate) struct KeepAlive {
    sender: SendRequest<Full<Bytes>>,
}

impl KeepAlive {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    /// On a stream that is there already.
    pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    /// A whole answer, or why there is none.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Reply> {
        self.sender.ready().await?;
        let (parts, body) = self.sender.send_request(request).await?.into_parts();
        Ok(Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await?.to_bytes(),
        })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(get(path)).await.unwrap()
    }
}
