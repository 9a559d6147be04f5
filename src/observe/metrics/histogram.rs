//! A histogram of atomics.
//!
//! The library's own takes a lock per observation; this one is three relaxed additions, so that threads which answer
//! requests of the same route never wait for each other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds of request durations in microseconds: 1 ms to 30 s.
const DURATIONS: &[u64] = &[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];
/// Upper bounds of whole logins in microseconds: half a second to ten minutes, because a person has to act.
const LOGINS: &[u64] = &[
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
    600_000_000,
];
/// Upper bounds of bodies in bytes: 256 B to 64 MiB.
const SIZES: &[u64] = &[
    256,
    1 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
    64 << 20,
];

/// Counts observations by size. Cloning gives another handle to the same counts.
#[derive(Clone)]
pub(super) struct Histogram(Arc<Inner>);

struct Inner {
    /// Upper bounds, in the integer unit of the observations.
    bounds: &'static [u64],
    /// One more than there are bounds: the last one has no upper bound.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
    /// Integer units per unit of the exposition: 1,000,000 for seconds, 1 for bytes.
    scale: f64,
}

impl Histogram {
    /// Durations of requests.
    pub(super) fn of_durations() -> Self {
        Self::new(DURATIONS, 1_000_000.0)
    }

    /// Durations of logins.
    pub(super) fn of_logins() -> Self {
        Self::new(LOGINS, 1_000_000.0)
    }

    /// Sizes in bytes.
    pub(super) fn of_sizes() -> Self {
        Self::new(SIZES, 1.0)
    }

    fn new(bounds: &'static [u64], scale: f64) -> Self {
        Self(Arc::new(Inner {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            scale,
        }))
    }

    /// Adds a duration.
    pub(super) fn observe_duration(&self, duration: Duration) {
        self.observe(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Adds a value in the integer unit.
    pub(super) fn observe(&self, value: u64) {
        let place = self.0.bounds.partition_point(|bound| *bound < value);
        self.0.counts[place].fetch_add(1, Ordering::Relaxed);
        // PERF: most requests have no body, and an addition that all threads see takes its time even if it adds nothing.
        if value > 0 {
            self.0.sum.fetch_add(value, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Histogram").finish_non_exhaustive()
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the format has only floating point; 53 bits are exact enough"
    )]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let bounds = self
            .0
            .bounds
            .iter()
            .map(|bound| *bound as f64 / self.0.scale);
        let counts = self
            .0
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        // Counted from what was read, so that one scrape never contradicts itself.
        let total = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum.load(Ordering::Relaxed) as f64 / self.0.scale;
        encoder.encode_histogram::<NoLabelSet>(sum, total, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
