//! How an attempt comes to its connection: from the pool, a new one, or one that becomes free.

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use super::attempt::{Next, Sending};
use super::connect::{self, Offer};
use super::error::Error;
use super::pool::Idle;
use super::room::Entry;
use super::server::Server;
use super::transport::Transport;
use super::wire::Wire;

/// What one who waits for a connection may get.
enum Free {
    /// One that was used before.
    Connection(Transport),
    /// Room for a new one.
    Room(Entry),
}

impl Sending<'_> {
    pub(super) fn pooled(&self, next: &Next, now: Instant) -> Option<Idle> {
        match next.new_connection {
            true => None,
            false => self.upstream.servers()[next.index].pool.take(now),
        }
    }

    pub(super) async fn connected_for_hyper(
        &self,
        next: &mut Next,
        server: &Server,
    ) -> Result<(Box<Wire>, bool), Error> {
        let (stream, reused) = self.connected(next, server).await?;
        let wire = Wire::new(stream).await.map_err(|source| Error::Connect {
            upstream: self.upstream.settings.name.clone(),
            source,
        })?;
        Ok((wire, reused))
    }

    /// A connection that speaks HTTP/1.1: a new one, or, where the server has as many as it may, one that becomes free. Says
    /// whether it was used before.
    pub(super) async fn connected(
        &self,
        next: &mut Next,
        server: &Server,
    ) -> Result<(Transport, bool), Error> {
        if let Some(opened) = next.opened.take() {
            return Ok((*opened, false));
        }
        let free = match server.room.enter() {
            Some(entry) => Free::Room(entry),
            None => self.wait_for_free(next.new_connection, server).await?,
        };
        let entry = match free {
            Free::Connection(stream) => return Ok((stream, true)),
            Free::Room(entry) => entry,
        };
        let opening = connect::open(server, Offer::Http1);
        let opened = self.within_deadline(opening, server).await?;
        self.upstream.mark_working(next.index);
        Ok((opened.counted(entry).into_transport(), false))
    }

    async fn wait_for_free(&self, needs_new: bool, server: &Server) -> Result<Free, Error> {
        let look = || {
            let idle = server.pool.take(Instant::now());
            // What must be new takes the room of an idle one.
            let stream = idle.filter(|_| !needs_new).and_then(Idle::into_transport);
            let stream = stream.map(Free::Connection);
            let free = stream.or_else(|| server.room.enter().map(Free::Room));
            if free.is_none() {
                server.shared.give_up_idle();
            }
            free
        };
        let after = self.upstream.settings.connect_timeout;
        let found = tokio::time::timeout(after, server.room.wait_for(look)).await;
        found.map_err(|_| self.full(server))
    }

    /// Nothing became free in time.
    pub(super) fn full(&self, server: &Server) -> Error {
        server.metrics.failed("full");
        Error::Full {
            upstream: self.upstream.settings.name.clone(),
            after: self.upstream.settings.connect_timeout,
        }
    }

    /// Waits for a connection, for as long as this upstream may take, and counts what fails.
    pub(super) async fn within_deadline<T>(
        &self,
        opening: impl Future<Output = Result<T, connect::Failure>>,
        server: &Server,
    ) -> Result<T, Error> {
        let after = self.upstream.settings.connect_timeout;
        let upstream = || self.upstream.settings.name.clone();
        let opened = tokio::time::timeout(after, opening).await;
        if !matches!(opened, Ok(Ok(_))) {
            server.doubt_addresses();
        }
        match opened {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(connect::Failure::Connect(source))) => {
                server.metrics.failed("connect");
                Err(Error::Connect {
                    upstream: upstream(),
                    source,
                })
            }
            Ok(Err(connect::Failure::Tls(fault, source))) => {
                server.metrics.failed("tls");
                Err(Error::Tls {
                    upstream: upstream(),
                    server: Arc::clone(&server.name),
                    fault,
                    source,
                })
            }
            Err(_) => Err(self.not_connected_in_time(server)),
        }
    }

    pub(super) fn not_connected_in_time(&self, server: &Server) -> Error {
        server.metrics.failed("timeout");
        Error::ConnectTimeout {
            upstream: self.upstream.settings.name.clone(),
            after: self.upstream.settings.connect_timeout,
        }
    }
}
