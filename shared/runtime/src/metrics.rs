//! Prometheus metrics with the prefix `wallet_`, registered once, at the start.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use thiserror::Error;

use crate::process::ProcessCollector;

/// Upper bounds of latency buckets: 100 microseconds to 10 seconds, in seconds.
pub const LATENCY_SECONDS: &[f64] =
    &[0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds of buckets for how many things came together, such as the operations of a batch.
pub const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];

/// A metric could not be registered: its name or a label is malformed, or is taken. A defect.
#[derive(Debug, Error)]
#[error("the metric {name} cannot be registered")]
pub struct MetricError {
    name: String,
    #[source]
    source: prometheus::Error,
}

/// The metrics of one process. Clones are the same registry.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// A registry with `wallet_build_info{version}` and the process's CPU, memory and descriptors.
    ///
    /// # Errors
    /// Never in practice; see [`MetricError`].
    pub fn new(version: &str) -> Result<Self, MetricError> {
        let metrics = Self { registry: Registry::new() };
        let build = metrics.gauge_by("build_info", "Always 1; which version runs", &["version"])?;
        build.with_label_values(&[version]).set(1);
        let process = ProcessCollector::new().map_err(|source| MetricError { name: "process".to_owned(), source })?;
        metrics.register("process", process)?;
        Ok(metrics)
    }

    /// The registry itself, for a collector of the caller's own.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Everything, in Prometheus's text format.
    ///
    /// # Errors
    /// A collector gave something that the format cannot express. A defect.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Registers `wallet_{name}`, which only grows; `name` ends in `_total`.
    ///
    /// # Errors
    /// See [`MetricError`].
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricError> {
        self.registered(name, |name| IntCounter::with_opts(Opts::new(name, help)))
    }

    /// As [`Metrics::counter`], one for each combination of label values.
    ///
    /// # Errors
    /// See [`MetricError`].
    pub fn counter_by(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, MetricError> {
        self.registered(name, |name| IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// Registers `wallet_{name}`, a whole number that goes up and down.
    ///
    /// # Errors
    /// See [`MetricError`].
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricError> {
        self.registered(name, |name| IntGauge::with_opts(Opts::new(name, help)))
    }

    /// As [`Metrics::gauge`], one for each combination of label values.
    ///
    /// # Errors
    /// See [`MetricError`].
    pub fn gauge_by(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, MetricError> {
        self.registered(name, |name| IntGaugeVec::new(Opts::new(name, help), labels))
    }

    /// Registers `wallet_{name}`, a measure that goes up and down: seconds, a ratio.
    ///
    /// # Errors
    /// See [`MetricError`].
    pub fn measure(&self, name: &str, help: &str) -> Result<Gauge, MetricError> {
        self.registered(name, |name| Gauge::with_opts(Opts::new(name, help)))
    }

    /// As [`Metrics::measure`], one for each combination of label values.
    ///
    /// # Errors
    /// See [`MetricError`].
    pub fn measure_by(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, MetricError> {
        self.registered(name, |name| GaugeVec::new(Opts::new(name, help), labels))
    }

    /// Registers `wallet_{name}`, a distribution over `buckets` ([`LATENCY_SECONDS`], [`COUNTS`]).
    ///
    /// # Errors
    /// See [`MetricError`].
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, MetricError> {
        self.registered(name, |name| Histogram::with_opts(distribution(name, help, buckets)))
    }

    /// As [`Metrics::histogram`], one for each combination of label values.
    ///
    /// # Errors
    /// See [`MetricError`].
    pub fn histogram_by(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> Result<HistogramVec, MetricError> {
        self.registered(name, |name| HistogramVec::new(distribution(name, help, buckets), labels))
    }

    fn registered<M: Collector + Clone + 'static>(
        &self,
        name: &str,
        make: impl FnOnce(String) -> Result<M, prometheus::Error>,
    ) -> Result<M, MetricError> {
        let name = format!("wallet_{name}");
        match make(name.clone()) {
            Ok(metric) => self.register(&name, metric.clone()).map(|()| metric),
            Err(source) => Err(MetricError { name, source }),
        }
    }

    fn register(&self, name: &str, metric: impl Collector + 'static) -> Result<(), MetricError> {
        self.registry.register(Box::new(metric)).map_err(|source| MetricError { name: name.to_owned(), source })
    }
}

fn distribution(name: String, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(buckets.to_vec())
}
