//! Who asks, over which connection, how often.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::header::{ACCEPT, COOKIE, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::try_join;

use super::asks::{self, Ask};
use super::common::{AGENT, log_in};
use super::secure::{Certificate, Client};
use super::wire::Wire;
use super::{HOST, PROXY};

const VISITORS: usize = 16;
/// What a browser opens for one page.
const CONNECTIONS: usize = 2;
const STREAMS: usize = 10;
/// Of so many visitors one is nobody yet. More would make the drawing of QR codes the hottest code of all.
const ONE_STRANGER_IN: usize = 4;
/// Of the requests of a visit, how many are repeated over TLS.
const OVER_TLS: usize = 10;

/// The gateway as clients see it.
#[derive(Clone)]
pub(crate) struct Gateway {
    plain: SocketAddr,
    tls: SocketAddr,
    http1: Arc<Client>,
    http2: Arc<Client>,
}

/// Somebody who is logged in, with what one round asks.
pub(crate) struct Visitor {
    cookie: String,
    visit: Vec<Ask>,
    proxied: Vec<Ask>,
    single: Vec<Ask>,
    /// Of somebody else, without a session.
    strangers: Vec<Ask>,
}

impl Gateway {
    pub(crate) fn new(
        plain: SocketAddr,
        tls: SocketAddr,
        certificate: &Certificate,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            plain,
            tls,
            http1: Arc::new(certificate.client("http/1.1")?),
            http2: Arc::new(certificate.client("h2")?),
        })
    }

    /// A whole login for each visitor.
    pub(crate) async fn log_everybody_in(&self) -> anyhow::Result<Vec<Arc<Visitor>>> {
        let mut visitors = Vec::new();
        for number in 0..VISITORS {
            let is_with_stranger = number % ONE_STRANGER_IN == 0;
            let cookie = log_in(self.plain, &format!("https://{HOST}")).await?;
            visitors.push(Arc::new(Visitor {
                visit: asks::visit(&cookie),
                proxied: asks::proxied_visit(&cookie),
                single: asks::single(&cookie),
                strangers: match is_with_stranger {
                    true => asks::strangers(),
                    false => Vec::new(),
                },
                cookie,
            }));
        }
        Ok(visitors)
    }

    /// Everybody at once asks everything once, and one more logs in; how many answers that were.
    pub(crate) async fn round(&self, visitors: &[Arc<Visitor>]) -> anyhow::Result<usize> {
        let mut tasks = JoinSet::new();
        for visitor in visitors {
            let (gateway, visitor) = (self.clone(), Arc::clone(visitor));
            tasks.spawn(async move { gateway.serve(&visitor).await });
        }
        log_in(self.plain, &format!("https://{HOST}")).await?;
        let mut answers = 0;
        while let Some(served) = tasks.join_next().await {
            answers += served??;
        }
        Ok(answers)
    }

    async fn serve(&self, visitor: &Visitor) -> anyhow::Result<usize> {
        let visits = (0..CONNECTIONS).map(|_| self.kept(&visitor.visit));
        try_join!(
            try_join_all(visits),
            self.kept(&visitor.strangers),
            self.through_proxy(&visitor.proxied),
            self.one_by_one(&visitor.single),
            self.over_tls(&visitor.visit[..OVER_TLS]),
            self.over_http2(&visitor.cookie),
        )?;
        Ok(CONNECTIONS * visitor.visit.len()
            + visitor.strangers.len()
            + visitor.proxied.len()
            + visitor.single.len()
            + OVER_TLS
            + STREAMS)
    }

    /// One connection for all.
    async fn kept(&self, asks: &[Ask]) -> anyhow::Result<()> {
        Wire::new(TcpStream::connect(self.plain).await?)
            .ask_all(asks)
            .await
    }

    /// One connection for each.
    async fn one_by_one(&self, asks: &[Ask]) -> anyhow::Result<()> {
        for ask in asks {
            self.kept(std::slice::from_ref(ask)).await?;
        }
        Ok(())
    }

    /// From the address that the gateway believes.
    async fn through_proxy(&self, asks: &[Ask]) -> anyhow::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((PROXY, 0).into())?;
        Wire::new(socket.connect(self.plain).await?)
            .ask_all(asks)
            .await
    }

    async fn over_tls(&self, asks: &[Ask]) -> anyhow::Result<()> {
        Wire::new(self.http1.connect(self.tls).await?)
            .ask_all(asks)
            .await
    }

    /// All at the same time on one connection.
    async fn over_http2(&self, cookie: &str) -> anyhow::Result<()> {
        let stream = TokioIo::new(self.http2.connect(self.tls).await?);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
        let connection = tokio::spawn(connection);
        let streams = (0..STREAMS).map(|number| {
            let mut sender = sender.clone();
            async move {
                let request = Request::get(format!("https://{HOST}/orders/{number}"))
                    .header(USER_AGENT, AGENT)
                    .header(ACCEPT, "text/html,*/*;q=0.8")
                    .header(COOKIE, cookie);
                let request = request.body(Empty::<Bytes>::new())?;
                let answer = sender.send_request(request).await?;
                ensure!(
                    answer.status() == StatusCode::OK,
                    "HTTP/2: {}",
                    answer.status()
                );
                answer.into_body().collect().await.context("HTTP/2")?;
                Ok(())
            }
        });
        try_join_all(streams).await?;
        drop(sender);
        connection.await??;
        Ok(())
    }
}
