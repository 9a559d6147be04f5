//! Servers that may speak HTTP/2: finding out, and one attempt over it.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Request, response};
use tokio::sync::MutexGuard;
use tokio::time::{Instant, timeout_at};

use super::attempt::{Failed, Message, Next, Sending};
use super::connect::{self, Offer, Opened};
use super::deadline::later;
use super::error::Error;
use super::fault::Fault;
use super::http2::{Connection, Exchange, Failure, Share};
use super::retry::Outcome;
use super::room::Entry;
use super::server::Server;
use super::source::Source;
use super::transport::Transport;

/// What came of opening a connection to a server that may speak either.
enum Found {
    Share(Share),
    Http1(Transport),
}

/// What came of waiting until a connection may be opened.
enum Ready<'s> {
    Share(Share),
    /// A connection over HTTP/1.1 has become free.
    Idle,
    Room(Permission<'s>),
}

/// To open one connection.
struct Permission<'s> {
    entry: Entry,
    /// Nobody else opens one meanwhile.
    _turn: Option<MutexGuard<'s, ()>>,
}

impl<'a> Sending<'a> {
    /// Whether the request may go over HTTP/2. A WebSocket may not, and neither may what logs in its connection.
    pub(super) fn may_share(&self, server: &Server) -> bool {
        server.place.protocol.may_be_http2() && !self.tunnel && !self.binds_connection
    }

    /// A part in a connection over HTTP/2; `None` when the server speaks HTTP/1.1. What was opened to find that out is in `next`.
    pub(super) async fn find_share(
        &self,
        next: &mut Next,
        server: &Server,
    ) -> Result<Option<Share>, Error> {
        if let Some(share) = server.shared.take(Instant::now()) {
            return Ok(Some(share));
        }
        if !next.new_connection && server.pool.has_idle() {
            return Ok(None);
        }
        let deadline = later(self.upstream.settings.connect_timeout);
        let turn = timeout_at(deadline, wait_for_turn(server)).await;
        let turn = turn.map_err(|_| self.no_turn(server))?;
        let waiting = wait_for_room(server, next.new_connection, turn);
        let waiting = timeout_at(deadline, waiting).await;
        let found = match waiting.map_err(|_| self.full(server))? {
            Ready::Share(share) => return Ok(Some(share)),
            Ready::Idle => return Ok(None),
            Ready::Room(room) => self.within_deadline(open(server, room), server).await?,
        };
        self.upstream.mark_working(next.index);
        next.new_connection = true;
        match found {
            Found::Share(share) => Ok(Some(share)),
            Found::Http1(stream) => {
                next.opened = Some(Box::new(stream));
                Ok(None)
            }
        }
    }

    /// Whoever had the turn did not open a connection in time: the server takes none, or there was no room for one.
    fn no_turn(&self, server: &Server) -> Error {
        match server.room.is_full() {
            true => self.full(server),
            false => self.not_connected_in_time(server),
        }
    }

    /// One attempt over HTTP/2. The message stays whole until the server has taken a part of its body.
    pub(super) async fn attempt_over_http2(
        &self,
        share: Share,
        message: Message<'a>,
        answer: &mut response::Parts,
        next: &mut Next,
    ) -> Result<Source, Failed<'a>> {
        let server = &self.upstream.servers()[next.index];
        let reused = !next.new_connection;
        let head = match self.head_for_http2(&message, server) {
            Ok(head) => head,
            Err(error) => return Err(self.unsendable(error)),
        };
        let body = self.upload.as_ref().and_then(|upload| {
            let body = upload.lend()?;
            Some((body, Arc::clone(upload)))
        });
        let exchange = Exchange {
            head,
            body,
            deadlines: self.deadlines,
        };
        let failure = match exchange.run(share, self.interim).await {
            Ok((parts, stream)) => {
                self.upstream.mark_working(next.index);
                *answer = parts;
                return Ok(Source::Http2(Some(stream)));
            }
            Err(failure) => failure,
        };
        next.http1_only = matches!(failure, Failure::NeedsHttp1 { .. });
        Err(self.judge_http2(failure, reused, message, server))
    }

    fn head_for_http2(
        &self,
        message: &Message<'a>,
        server: &Server,
    ) -> Result<Request<()>, http::Error> {
        let is_secure = server.place.protocol.is_secure();
        let (headers, target) = match message {
            Message::Bare(fields, target) => {
                (fields.to_map(self.host(*fields, server)), (*target).clone())
            }
            Message::Hyper(request) => {
                let mut headers = request.headers().clone();
                self.address(&mut headers, server);
                let target = request.uri().path_and_query().cloned();
                let root = || PathAndQuery::from_static("/");
                (headers, target.unwrap_or_else(root))
            }
        };
        Exchange::head(self.method, is_secure, &target, headers)
    }

    /// A `Host` that no URL can have: HTTP/2 has no place for it.
    fn unsendable(&self, error: http::Error) -> Failed<'a> {
        Failed {
            outcome: Outcome::Begun,
            reused: false,
            message: None,
            error: self.broken(Fault::Head(error)),
        }
    }

    /// Turns a failure into what `retry::next` reads, and counts it unless it is the client's.
    fn judge_http2(
        &self,
        failure: Failure,
        reused: bool,
        message: Message<'a>,
        server: &Server,
    ) -> Failed<'a> {
        let upload = self.upload.as_ref();
        if let Some(error) = upload.and_then(|upload| upload.take_failure()) {
            return Failed {
                outcome: Outcome::Begun,
                reused,
                message: None,
                error: Error::RequestBody(error),
            };
        }
        let mut reused = reused;
        let (outcome, error) = match failure {
            Failure::Unsent(error) => (Outcome::Unsent, self.broken(Fault::Http2(error))),
            Failure::Refused(error) => {
                // Asking at once on a connection of its own would not change the server's mind: it costs a retry.
                reused = false;
                server.metrics.failed("refused");
                (Outcome::Unsent, self.broken(Fault::Http2(error)))
            }
            Failure::NeedsHttp1 { error, is_unsent } => {
                // Nobody's fault: like a connection that the server closes while we write.
                reused = true;
                server.metrics.failed("refused");
                let outcome = match is_unsent {
                    true => Outcome::Unsent,
                    false => Outcome::Silent,
                };
                (outcome, self.broken(Fault::Http2(error)))
            }
            Failure::Silent(error) => self.died(Fault::Http2(error), false, server),
            Failure::Broken(error) => self.died(Fault::Http2(error), true, server),
            Failure::Interim(limit) => self.died(Fault::Interim { limit }, true, server),
            Failure::Late(after) => self.late(after, server),
        };
        Failed {
            outcome,
            reused,
            message: self.whole(message),
            error,
        }
    }

    /// The message, to be sent again; `None` when a part of its body is gone.
    fn whole(&self, message: Message<'a>) -> Option<Message<'a>> {
        match (message, &self.upload) {
            (Message::Hyper(mut request), Some(upload)) => {
                *request.body_mut() = upload.lend()?;
                Some(Message::Hyper(request))
            }
            (message, _) => Some(message),
        }
    }
}

/// Waits for the turn to open a connection; `None` where nobody needs to wait for one.
async fn wait_for_turn(server: &Server) -> Option<MutexGuard<'_, ()>> {
    // Not while it is unknown, or known to be HTTP/2: one connection serves everybody who waits here.
    let turn = match server.shared.chose_http1() {
        true => None,
        false => Some(server.shared.wait_turn().await),
    };
    // The one who had the turn before may have found out.
    turn.filter(|_| !server.shared.chose_http1())
}

/// Waits for room to open a connection, or takes a part in one that was opened meanwhile.
async fn wait_for_room<'s>(
    server: &'s Server,
    needs_new: bool,
    mut turn: Option<MutexGuard<'s, ()>>,
) -> Ready<'s> {
    let look = || {
        if let Some(share) = server.shared.take(Instant::now()) {
            return Some(Ready::Share(share));
        }
        let entry = server.room.enter().or_else(|| {
            // What must be new takes the room of an idle one.
            let idle = needs_new.then(|| server.pool.take(Instant::now()));
            drop(idle?);
            server.room.enter()
        });
        match entry {
            Some(entry) => Some(Ready::Room(Permission {
                entry,
                _turn: turn.take(),
            })),
            None => server.pool.has_idle().then_some(Ready::Idle),
        }
    };
    server.room.wait_for(look).await
}

/// Opens a connection, and finds out what the server speaks.
async fn open(server: &Server, permission: Permission<'_>) -> Result<Found, connect::Failure> {
    let Permission { entry, _turn } = permission;
    let opened = connect::open(server, Offer::Either).await?.counted(entry);
    match opened {
        Opened::Http1(stream) => {
            server.shared.note_choice(true);
            Ok(Found::Http1(stream))
        }
        Opened::Http2(stream) => {
            let connection = Connection::open(stream).await?;
            server.shared.note_choice(false);
            Ok(Found::Share(server.shared.add(connection)))
        }
    }
}
