//! The families of all upstreams.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::registry::Unit;

use super::handles::{Slots, UpstreamMetrics};
use super::histogram::Histogram;
use super::{Counters, Families, Gauges, Histograms, Labels, Metrics, label};

/// What is counted per server, or per upstream where that is enough.
#[derive(Debug)]
pub(super) struct UpstreamFamilies {
    requests: Counters,
    durations: Histograms,
    errors: Counters,
    healthy: Gauges,
    holders: Holders,
    probes: Counters,
}

/// How many hold handles of a server: after a reload two may for a while.
type Holders = Arc<Mutex<HashMap<Labels, usize>>>;

/// One of those who hold handles of a server. With the last one its state disappears: a server that is not asked any more is neither
/// well nor ill.
#[derive(Debug)]
pub(super) struct Holder {
    labels: Labels,
    healthy: Gauges,
    holders: Holders,
}

impl Holder {
    fn new(labels: Labels, healthy: Gauges, holders: Holders) -> Self {
        *lock(&holders).entry(labels.clone()).or_default() += 1;
        Self {
            labels,
            healthy,
            holders,
        }
    }

    /// Whether requests are sent to this server.
    pub(super) fn set_healthy(&self, healthy: bool) {
        self.healthy
            .get_or_create_owned(&self.labels)
            .set(i64::from(healthy));
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let mut holders = lock(&self.holders);
        let Some(count) = holders.get_mut(&self.labels) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            holders.remove(&self.labels);
            self.healthy.remove(&self.labels);
        }
    }
}

fn lock(holders: &Holders) -> MutexGuard<'_, HashMap<Labels, usize>> {
    holders.lock().unwrap_or_else(PoisonError::into_inner)
}

impl UpstreamFamilies {
    pub(super) fn register(families: &mut Families) -> Self {
        Self {
            requests: families.add("upstream_requests", "Answers of upstream servers"),
            durations: families.add_histograms(
                "upstream_request_duration",
                "From the beginning of sending to the head of the answer",
                Unit::Seconds,
                Histogram::of_durations,
            ),
            errors: families.add("upstream_errors", "Requests without an answer"),
            healthy: families.add("upstream_healthy", "1 where requests are sent to it"),
            holders: Holders::default(),
            probes: families.add("upstream_health_checks", "Health checks, by result"),
        }
    }
}

impl Metrics {
    /// The handles of one server (`host:port`) of an upstream.
    pub fn upstream(&self, name: &str, server: &str) -> UpstreamMetrics {
        let families = &self.upstreams;
        UpstreamMetrics {
            name: name.to_owned(),
            server: server.to_owned(),
            requests: families.requests.clone(),
            errors: families.errors.clone(),
            durations: families
                .durations
                .get_or_create_owned(&vec![label("upstream", name)]),
            holder: Holder::new(
                vec![label("upstream", name), label("server", server)],
                families.healthy.clone(),
                Arc::clone(&families.holders),
            ),
            probes: families.probes.clone(),
            statuses_seen: Slots::default(),
        }
    }
}
