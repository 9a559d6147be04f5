//! What routes counted in the last five minutes: differences between samples of the counters.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::series::Series;
use crate::observe::Metrics;

/// How far the status page looks back.
const WINDOW: Duration = Duration::from_secs(5 * 60);

/// Samples of every route's counters; whoever has it must note one now and then.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Sample>>);

#[derive(Debug)]
struct Sample {
    at: Instant,
    routes: BTreeMap<String, Counts>,
}

/// Requests, and those refused to people who are logged in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) denied: u64,
}

impl Recent {
    /// Reads the counters as they are. Blocking for as long as a scrape takes, so not on the way of a request.
    pub fn note(&self, metrics: &Metrics, now: Instant) {
        let page = metrics.encode();
        let series = Series::read(&page);
        let routes = series.values_of("wxgate_http_requests_total", "route");
        let counts = routes.into_iter().map(|name| {
            let counts = Counts::of(&series, &name);
            (name, counts)
        });
        let sample = Sample {
            at: now,
            routes: counts.collect(),
        };
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.push_back(sample);
        // The newest of those that are old enough is what the present is compared with.
        while samples.get(1).is_some_and(|next| is_old(next, now)) {
            samples.pop_front();
        }
    }

    /// What a route counted within the window; since the start where that is shorter ago.
    pub(super) fn of(&self, route: &str, present: Counts, now: Instant) -> Counts {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = samples.front().filter(|oldest| is_old(oldest, now));
        let before = before.and_then(|sample| sample.routes.get(route).copied());
        let before = before.unwrap_or_default();
        Counts {
            requests: present.requests.saturating_sub(before.requests),
            denied: present.denied.saturating_sub(before.denied),
        }
    }
}

impl Counts {
    /// Since the start of the process.
    pub(super) fn of(series: &Series<'_>, route: &str) -> Self {
        let name = ("route", route);
        let denied = [name, ("decision", "denied")];
        Self {
            requests: series.sum("wxgate_http_requests_total", &[name]),
            denied: series.sum("wxgate_auth_decisions_total", &denied),
        }
    }
}

fn is_old(sample: &Sample, now: Instant) -> bool {
    now.saturating_duration_since(sample.at) >= WINDOW
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;

    #[test]
    fn only_the_last_five_minutes_count() {
        let (metrics, recent, start) = (Metrics::new(), Recent::default(), Instant::now());
        let (listener, route) = (metrics.listener("0.0.0.0:443"), metrics.route("shop"));
        let ask = |times: u32| {
            for _ in 0..times {
                route.request_finished(
                    &listener,
                    &Method::GET,
                    StatusCode::OK,
                    Duration::ZERO,
                    0,
                    0,
                );
                route.decision("denied", "route");
            }
        };
        let seen = |seconds: u64| {
            let page = metrics.encode();
            let present = Counts::of(&Series::read(&page), "shop");
            let counts = recent.of("shop", present, start + Duration::from_secs(seconds));
            (counts.requests, counts.denied)
        };

        ask(5);
        recent.note(&metrics, start);
        assert_eq!(seen(10), (5, 5), "since the start");

        ask(2);
        for round in 1..=40 {
            recent.note(&metrics, start + Duration::from_secs(15 * round));
        }
        assert_eq!(seen(600), (0, 0));
        ask(3);
        assert_eq!(seen(600), (3, 3));
        assert!(
            recent
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .len()
                <= 22
        );
    }
}
