//! Active health checks: each server is asked now and then whether it is well, by a task of its own.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};

use super::connect::{self, Offer, Opened};
use super::deadline::Deadlines;
use super::fault::Fault;
use super::http2::{self, Connection, Exchange, Share};
use super::outgoing::Outgoing;
use super::server::Server;
use super::settings::{HealthCheck, HostHeader};
use super::tls::TlsFault;
use super::transport::Transport;
use super::wire::{Failure, Wire};
use crate::drain;

/// The deadline is around the whole exchange.
const NEVER: Deadlines = Deadlines {
    head: Duration::MAX,
    idle: Duration::MAX,
};

/// Asks one server, on connections of its own, until it is told to stop. It says nothing of any visitor.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) upstream: String,
    pub(super) server: Arc<Server>,
    pub(super) check: HealthCheck,
    pub(super) host_header: HostHeader,
}

/// Why an answer is a bad one.
#[derive(Debug, thiserror::Error)]
enum Complaint {
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("no TLS: {0}")]
    Tls(TlsFault),
    #[error("no answer: {0}")]
    Broken(Fault),
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    #[error("status {0}")]
    Status(u16),
}

/// Answers in a row that contradict what is believed.
#[derive(Debug, Default)]
struct Streak(u32);

impl Probe {
    /// Asks at once, then once in each interval. Cancelling loses nothing.
    pub(super) async fn run(self, mut guard: drain::Guard) {
        let mut streak = Streak::default();
        // So that many servers, and many nodes, do not ask in the same moment.
        let jitter = RandomState::new();
        for round in 0_u64.. {
            tokio::select! {
                outcome = self.ask() => self.note(outcome, &mut streak),
                () = guard.stopping() => return,
            }
            let pause = jittered(self.check.interval, jitter.hash_one(round));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = guard.stopping() => return,
            }
        }
    }

    fn note(&self, outcome: Result<(), Complaint>, streak: &mut Streak) {
        let is_good = outcome.is_ok();
        self.server.metrics.probed(is_good);
        let believed = self.server.is_well();
        let after = match believed {
            true => self.check.unhealthy_after,
            false => self.check.healthy_after,
        };
        let has_changed = streak.note(is_good != believed, after);
        if has_changed {
            self.server.believe(is_good);
        } else if is_good && believed {
            // Where a connection failed by chance, nobody has to wait.
            self.server.unmark();
        }
        let (upstream, server) = (&self.upstream, &self.server.name);
        match outcome {
            Err(complaint) if has_changed => {
                tracing::warn!(upstream, %server, %complaint, "server is ill");
            }
            Err(complaint) => tracing::debug!(upstream, %server, %complaint, "bad health check"),
            Ok(()) if has_changed => tracing::info!(upstream, %server, "server is well again"),
            Ok(()) => {}
        }
    }

    async fn ask(&self) -> Result<(), Complaint> {
        let within = self.check.timeout;
        let asked = tokio::time::timeout(within, self.exchange()).await;
        let status = asked.map_err(|_| Complaint::Late(within))??;
        let is_expected = self
            .check
            .expect
            .iter()
            .any(|range| range.contains(&status));
        is_expected.then_some(()).ok_or(Complaint::Status(status))
    }

    async fn exchange(&self) -> Result<u16, Complaint> {
        let opened = connect::open(&self.server, Offer::Either).await;
        let opened = opened.map_err(|failure| match failure {
            connect::Failure::Connect(error) => Complaint::Connect(error),
            connect::Failure::Tls(fault, _) => Complaint::Tls(fault),
        })?;
        match opened {
            Opened::Http1(stream) => self.exchange_over_http1(stream).await,
            Opened::Http2(stream) => self.exchange_over_http2(stream).await,
        }
    }

    async fn exchange_over_http1(&self, stream: Transport) -> Result<u16, Complaint> {
        let mut wire = Wire::new(stream).await.map_err(Complaint::Connect)?;
        let answer = wire.exchange(self.request(), None, NEVER, None).await;
        match answer {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(Failure::Unsent(_, error) | Failure::Died { source: error, .. }) => {
                Err(Complaint::Broken(error.into()))
            }
            Err(Failure::Late(after)) => Err(Complaint::Late(after)),
        }
    }

    async fn exchange_over_http2(&self, stream: Transport) -> Result<u16, Complaint> {
        let connection = Connection::open(stream).await;
        let connection = connection.map_err(|refusal| {
            let error = io::Error::other(refusal);
            Complaint::Connect(error)
        })?;
        let (head, _) = self.request().into_parts();
        let is_secure = self.server.place.protocol.is_secure();
        let path = &self.check.path;
        let head = Exchange::head(&Method::GET, is_secure, path, head.headers);
        let exchange = Exchange {
            head: head.map_err(|error| Complaint::Broken(Fault::Head(error)))?,
            body: None,
            deadlines: NEVER,
        };
        match exchange.run(Share::alone(connection), None).await {
            Ok((parts, _)) => Ok(parts.status.as_u16()),
            Err(failure) => Err(match failure {
                http2::Failure::Unsent(error)
                | http2::Failure::Refused(error)
                | http2::Failure::NeedsHttp1 { error, .. }
                | http2::Failure::Silent(error)
                | http2::Failure::Broken(error) => Complaint::Broken(Fault::Http2(error)),
                http2::Failure::Interim(limit) => Complaint::Broken(Fault::Interim { limit }),
                http2::Failure::Late(after) => Complaint::Late(after),
            }),
        }
    }

    fn request(&self) -> Request<Outgoing> {
        let mut request = Request::new(Outgoing::empty());
        *request.uri_mut() = Uri::from(self.check.path.clone());
        let host = match &self.host_header {
            HostHeader::Literal(host) => host.clone(),
            HostHeader::Preserve | HostHeader::Upstream => self.server.authority.clone(),
        };
        let headers = request.headers_mut();
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, HeaderValue::from_static("wxgate-health"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        request
    }
}

impl Streak {
    /// Says whether so many answers in a row have contradicted.
    fn note(&mut self, contradicts: bool, after: u32) -> bool {
        self.0 = if contradicts { self.0 + 1 } else { 0 };
        let is_enough = self.0 >= after;
        if is_enough {
            self.0 = 0;
        }
        is_enough
    }
}

/// Between nine and eleven tenths.
fn jittered(interval: Duration, random: u64) -> Duration {
    let permille = u32::try_from(900 + random % 201).unwrap_or(1000);
    interval / 1000 * permille
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_row_changes_what_is_believed() {
        let mut streak = Streak::default();
        let answers = [true, true, false, true, true, true, true];

        let changes: Vec<_> = answers.map(|answer| streak.note(answer, 3)).into();

        let expected = [false, false, false, false, false, true, false];
        assert_eq!(changes, expected);
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        let interval = Duration::from_secs(10);
        for random in 0..500 {
            let pause = jittered(interval, random);
            assert!(pause >= interval * 9 / 10, "{pause:?}");
            assert!(pause <= interval * 11 / 10, "{pause:?}");
        }
    }
}
