//! The servers of an upstream, and which one is next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, HeaderValue};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use super::affinity::Affinity;
use super::health::Probe;
use super::names::Resolver;
use super::server::Server;
use super::settings::{Balance, Server as Place, UpstreamSettings};
use crate::drain::Drain;
use crate::observe::Metrics;

/// One upstream: its settings, servers and their state. Kept across reloads while the settings stay equal.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) settings: UpstreamSettings,
    servers: Vec<Arc<Server>>,
    turn: AtomicUsize,
    /// Only where a cookie leads back to the same server.
    affinity: Option<Affinity>,
    /// Health checks and look-ups of names; they end with the upstream.
    _tasks: JoinSet<()>,
    /// Marks count milliseconds from here.
    epoch: Instant,
}

/// Servers that one request has failed to connect to; empty costs nothing.
#[derive(Debug, Default)]
pub(super) struct Tried(Vec<usize>);

impl Upstream {
    /// All servers count as healthy until one fails. Health checks and look-ups begin at once, so where there are some this must be
    /// called inside the runtime; they end with the upstream, or when `drain` is told to stop.
    pub(super) fn new(
        settings: UpstreamSettings,
        resolver: &Resolver,
        metrics: &Metrics,
        drain: &Drain,
    ) -> Self {
        let server = |place: &Place| {
            let server = Server::new(place, &settings, resolver, metrics);
            server.metrics.set_healthy(true);
            Arc::new(server)
        };
        let servers: Vec<_> = settings.servers.iter().map(server).collect();
        let affinity = match &settings.balance {
            Balance::RoundRobin | Balance::LeastRequests => None,
            Balance::Cookie(cookie) => {
                let names = servers.iter().map(|server| &*server.name);
                Some(Affinity::new(cookie, names))
            }
        };
        let mut tasks = JoinSet::new();
        for (check, server) in settings
            .health_check
            .iter()
            .flat_map(|check| servers.iter().map(move |server| (check, server)))
        {
            let probe = Probe {
                upstream: settings.name.clone(),
                server: Arc::clone(server),
                check: check.clone(),
                host_header: settings.host_header.clone(),
            };
            tasks.spawn(probe.run(drain.guard()).in_current_span());
        }
        for server in servers.iter().filter(|server| server.addresses.is_some()) {
            let following = Arc::clone(server).follow_name(settings.name.clone(), drain.guard());
            tasks.spawn(following.in_current_span());
        }
        Self {
            servers,
            affinity,
            _tasks: tasks,
            settings,
            turn: AtomicUsize::new(0),
            epoch: Instant::now(),
        }
    }

    /// Every server.
    pub(super) fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// The next server in turn that is not skipped, or, when all are, the one whose failure is longest ago.
    ///
    /// `wanted` is taken where it is well. `None` when every server was tried, or is ill as far as active checks know. The second
    /// value says that all were skipped.
    pub(super) fn pick(
        &self,
        wanted: Option<usize>,
        tried: &Tried,
        now: Instant,
    ) -> Option<(usize, bool)> {
        let count = self.servers.len();
        let untried = |index: &usize| !tried.0.contains(index) && self.servers[*index].is_well();
        if count == 1 {
            return untried(&0).then_some((0, false));
        }
        let now = self.millis(now);
        let admits = |index: &usize| self.servers[*index].mark.admits(now);
        if let Some(wanted) = wanted.filter(untried).filter(admits) {
            return Some((wanted, false));
        }
        let start = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut in_turn = (0..count)
            .map(|step| start.wrapping_add(step) % count)
            .filter(untried);
        let admitted = match self.settings.balance {
            Balance::RoundRobin | Balance::Cookie(_) => in_turn.find(admits),
            Balance::LeastRequests => {
                let mut in_turn: Vec<_> = in_turn.collect();
                // Keeps the turn among those that are equally busy.
                in_turn.sort_by_key(|&index| self.servers[index].open());
                in_turn.into_iter().find(admits)
            }
        };
        if let Some(index) = admitted {
            return Some((index, false));
        }
        let longest_ago = |index: &usize| self.servers[*index].mark.failed();
        (0..count)
            .filter(untried)
            .min_by_key(longest_ago)
            .map(|index| (index, true))
    }

    /// A connection could not be opened.
    pub(super) fn mark_failed(&self, index: usize, tried: &mut Tried, now: Instant) {
        tried.add(index);
        let server = &self.servers[index];
        server.mark.fail(self.millis(now));
        server.metrics.set_healthy(false);
    }

    /// The server that a visitor's cookie names.
    pub(super) fn wanted(&self, headers: &HeaderMap) -> Option<usize> {
        self.affinity.as_ref()?.read(headers)
    }

    /// The `Set-Cookie` that leads back to this server; `None` where none is needed.
    pub(super) fn affinity_cookie(&self, server: usize) -> Option<HeaderValue> {
        self.affinity.as_ref()?.set(server)
    }

    /// A connection was opened, or an old one still carried an answer.
    pub(super) fn mark_working(&self, index: usize) {
        self.servers[index].unmark();
    }

    /// Whether there is a server besides this one that was not tried.
    pub(super) fn has_other(&self, index: usize, tried: &Tried) -> bool {
        (0..self.servers.len()).any(|other| {
            other != index && !tried.0.contains(&other) && self.servers[other].is_well()
        })
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

impl Tried {
    /// One more.
    pub(super) fn add(&mut self, index: usize) {
        self.0.push(index);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::time::Duration;

    use super::super::server::Load;
    use super::super::settings::{Address, HostHeader, Protocol};
    use super::*;

    fn place(host: &str, port: u16) -> Place {
        Place {
            address: Address::Tcp {
                host: host.to_owned(),
                port,
            },
            protocol: Protocol::Http,
        }
    }

    fn upstream(servers: u16) -> Upstream {
        balanced(servers, Balance::RoundRobin)
    }

    fn balanced(servers: u16, balance: Balance) -> Upstream {
        let server = |port| place("127.0.0.1", port);
        let settings = UpstreamSettings {
            name: "app".to_owned(),
            servers: (1..=servers).map(server).collect(),
            balance,
            host_header: HostHeader::Preserve,
            connect_timeout: Duration::from_secs(1),
            response_header_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(1),
            keep_alive: Duration::from_secs(1),
            max_idle: 1,
            max_connections: 16,
            retries: 1,
            health_check: None,
        };
        Upstream::new(
            settings,
            &Resolver::system(),
            &Metrics::new(),
            &Drain::new(),
        )
    }

    fn picks(upstream: &Upstream, count: usize, now: Instant) -> Vec<(usize, bool)> {
        (0..count)
            .map(|_| upstream.pick(None, &Tried::default(), now).unwrap())
            .collect()
    }

    #[test]
    fn servers_take_turns() {
        let upstream = upstream(3);
        let now = Instant::now();

        let picked = picks(&upstream, 4, now);

        assert_eq!(picked, [(0, false), (1, false), (2, false), (0, false)]);
    }

    #[test]
    fn the_least_busy_server_is_next_and_equals_take_turns() {
        let upstream = balanced(3, Balance::LeastRequests);
        let now = Instant::now();
        let picked = picks(&upstream, 3, now);
        assert_eq!(picked, [(0, false), (1, false), (2, false)]);

        let busy = [0, 0, 2].map(|index| Load::on(&upstream.servers[index]));
        assert_eq!(picks(&upstream, 2, now), [(1, false); 2]);
        let _more = [1, 1, 1].map(|index| Load::on(&upstream.servers[index]));
        assert_eq!(picks(&upstream, 2, now), [(2, false); 2]);
        drop(busy);
        assert_eq!(
            picks(&upstream, 4, now)
                .iter()
                .filter(|pick| pick.0 == 1)
                .count(),
            0
        );
    }

    #[test]
    fn a_wanted_server_is_taken_while_it_is_well() {
        let upstream = upstream(3);
        let now = Instant::now();
        let wanted = |tried: &Tried| upstream.pick(Some(2), tried, now).unwrap().0;
        assert_eq!(
            [wanted(&Tried::default()), wanted(&Tried::default())],
            [2, 2]
        );

        let mut tried = Tried::default();
        upstream.mark_failed(2, &mut tried, now);
        assert_ne!(wanted(&tried), 2);
        assert_ne!(wanted(&Tried::default()), 2, "skipped");
        upstream.mark_working(2);
        upstream.servers[2].believe(false);
        assert_ne!(wanted(&Tried::default()), 2, "ill");
        upstream.servers[2].believe(true);
        assert_eq!(wanted(&Tried::default()), 2);
    }

    #[test]
    fn nobody_is_picked_when_active_checks_find_all_ill() {
        for servers in 1..3 {
            let upstream = upstream(servers);
            let now = Instant::now();
            for server in &upstream.servers {
                server.believe(false);
            }
            assert_eq!(upstream.pick(None, &Tried::default(), now), None);
            upstream.servers[0].believe(true);
            assert_eq!(
                upstream.pick(None, &Tried::default(), now),
                Some((0, false))
            );
        }
    }

    #[test]
    fn a_failed_server_is_skipped_for_a_growing_time() {
        let upstream = upstream(2);
        let mut now = Instant::now();
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            upstream.mark_failed(0, &mut Tried::default(), now);
            let almost = now + Duration::from_secs(pause) - Duration::from_millis(2);
            assert!(
                picks(&upstream, 4, almost).iter().all(|pick| pick.0 == 1),
                "skipped for {pause} s"
            );
            now += Duration::from_secs(pause) + Duration::from_millis(1);
            assert!(
                picks(&upstream, 2, now).iter().any(|pick| pick.0 == 0),
                "tried again after {pause} s"
            );
        }
    }

    #[test]
    fn after_a_pause_one_request_tries_and_the_others_wait() {
        let upstream = upstream(2);
        let now = Instant::now();
        upstream.mark_failed(0, &mut Tried::default(), now);

        let later = now + Duration::from_secs(1) + Duration::from_millis(1);
        let first = picks(&upstream, 6, later)
            .iter()
            .filter(|pick| pick.0 == 0)
            .count();

        assert_eq!(first, 1);
    }

    #[test]
    fn a_connection_clears_the_mark() {
        let upstream = upstream(2);
        let now = Instant::now();
        upstream.mark_failed(0, &mut Tried::default(), now);
        upstream.mark_working(0);

        let picked = picks(&upstream, 4, now);

        assert_eq!(picked.iter().filter(|pick| pick.0 == 0).count(), 2);
    }

    #[test]
    fn when_all_are_skipped_the_oldest_failure_is_tried() {
        let upstream = upstream(3);
        let now = Instant::now();
        let mut tried = Tried::default();
        for (step, index) in [1, 0, 2].into_iter().enumerate() {
            let at = now + Duration::from_millis(10 * (step as u64 + 1));
            upstream.mark_failed(index, &mut Tried::default(), at);
        }
        let now = now + Duration::from_millis(50);

        assert_eq!(upstream.pick(None, &tried, now), Some((1, true)));
        upstream.mark_failed(1, &mut tried, now);
        assert_eq!(upstream.pick(None, &tried, now), Some((0, true)));
        upstream.mark_failed(0, &mut tried, now);
        upstream.mark_failed(2, &mut tried, now);
        assert_eq!(upstream.pick(None, &tried, now), None);
    }

    #[test]
    fn a_single_server_is_always_tried() {
        let upstream = upstream(1);
        let now = Instant::now();
        upstream.mark_failed(0, &mut Tried::default(), now);

        assert_eq!(
            upstream.pick(None, &Tried::default(), now),
            Some((0, false))
        );
    }

    #[test]
    fn ipv6_servers_get_brackets_and_port_80_is_left_out_of_host() {
        let table = [
            ("10.0.0.5", 8080, "10.0.0.5:8080", "10.0.0.5:8080"),
            ("app", 80, "app:80", "app"),
            ("::1", 80, "[::1]:80", "[::1]"),
            ("::1", 8080, "[::1]:8080", "[::1]:8080"),
        ];
        let settings = upstream(1).settings;
        for (host, port, name, authority) in table {
            let server = Server::new(
                &place(host, port),
                &settings,
                &Resolver::system(),
                &Metrics::new(),
            );
            assert_eq!(&*server.name, name);
            assert_eq!(server.authority, authority);
        }
    }
}
