//! Registers families under their names.

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::Histogram;
use super::{Gauges, Histograms};

/// Registers families and hands them out.
#[derive(Debug)]
pub(super) struct Families(Registry);

impl Families {
    /// None yet; what is registered is named `wxgate_…`.
    pub(super) fn new() -> Self {
        Self(Registry::with_prefix("wxgate"))
    }

    /// All that were registered.
    pub(super) fn into_registry(self) -> Registry {
        self.0
    }

    pub(super) fn add<M>(&mut self, name: &str, help: &str) -> M
    where
        M: Default + Clone + EncodeMetric + Send + Sync + std::fmt::Debug + 'static,
    {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }

    pub(super) fn add_with_unit<M>(&mut self, name: &str, help: &str, unit: Unit) -> M
    where
        M: Default + Clone + EncodeMetric + Send + Sync + std::fmt::Debug + 'static,
    {
        let metric = M::default();
        self.0.register_with_unit(name, help, unit, metric.clone());
        metric
    }

    pub(super) fn add_all_with_unit(&mut self, name: &str, help: &str, unit: Unit) -> Gauges {
        let gauges = Gauges::default();
        self.0.register_with_unit(name, help, unit, gauges.clone());
        gauges
    }

    pub(super) fn add_histograms(
        &mut self,
        name: &str,
        help: &str,
        unit: Unit,
        kind: fn() -> Histogram,
    ) -> Histograms {
        let family = Family::new_with_constructor(kind);
        self.0.register_with_unit(name, help, unit, family.clone());
        family
    }

    pub(super) fn add_build(&mut self) {
        let revision = option_env!("WXGATE_REVISION").unwrap_or("unknown");
        let build = Info::new(vec![
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", revision),
        ]);
        self.0.register("build", "What is running", build);
    }
}
