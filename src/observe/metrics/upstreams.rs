//! The families of all upstreams.

use prometheus_client::registry::Unit;

use super::handles::{Slots, UpstreamMetrics};
use super::histogram::Histogram;
use super::{Counters, Families, Gauges, Histograms, Metrics, label};

/// What is counted per server, or per upstream where that is enough.
#[derive(Debug)]
pub(super) struct UpstreamFamilies {
    requests: Counters,
    durations: Histograms,
    errors: Counters,
    healthy: Gauges,
    probes: Counters,
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
            healthy: families.healthy.clone(),
            probes: families.probes.clone(),
            statuses_seen: Slots::default(),
        }
    }
}
