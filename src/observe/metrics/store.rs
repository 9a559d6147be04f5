//! What the store was asked to do, and whether it could.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::Metrics;
use super::histogram::Histogram;

/// What can be asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOperation {
    /// Reading.
    Get,
    /// Writing, whatever is there.
    Put,
    /// Writing where nothing is.
    PutNew,
    /// Reading and removing.
    Take,
    /// Counting.
    Increment,
    /// Removing what has expired.
    Sweep,
    /// Asking whether it is well.
    Check,
}

/// The handles of one store: resolved once, then only atomics.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    operations: [Handles; StoreOperation::ALL.len()],
    up: Gauge,
}

#[derive(Clone, Debug)]
struct Handles {
    worked: Counter,
    failed: Counter,
    took: Histogram,
}

impl StoreOperation {
    const ALL: [Self; 7] = [
        Self::Get,
        Self::Put,
        Self::PutNew,
        Self::Take,
        Self::Increment,
        Self::Sweep,
        Self::Check,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::PutNew => "put_new",
            Self::Take => "take",
            Self::Increment => "increment",
            Self::Sweep => "sweep",
            Self::Check => "check",
        }
    }
}

impl StoreMetrics {
    /// One operation ended.
    pub fn operation(&self, operation: StoreOperation, worked: bool, took: Duration) {
        if let Some(handles) = self.operations.get(operation as usize) {
            let counter = if worked {
                &handles.worked
            } else {
                &handles.failed
            };
            counter.inc();
            handles.took.observe_duration(took);
        }
        self.up.set(i64::from(worked));
    }
}

impl Metrics {
    /// The handles of the store.
    pub fn store(&self) -> StoreMetrics {
        let handles = |operation: StoreOperation| {
            let op = ("op", operation.label().into());
            let counter = |result: &'static str| {
                let labels = vec![op.clone(), ("result", result.into())];
                self.store_operations.get_or_create_owned(&labels)
            };
            Handles {
                worked: counter("ok"),
                failed: counter("error"),
                took: self.store_durations.get_or_create_owned(&vec![op.clone()]),
            }
        };
        StoreMetrics {
            operations: StoreOperation::ALL.map(handles),
            up: self.store_up.clone(),
        }
    }
}
