//! The metrics of the relay.

use prometheus::{Gauge, IntCounter};
use runtime::metrics::{MetricError, Metrics};

/// All of them.
pub struct EventsMetrics {
    /// How long the oldest batch has waited for its events to be told; every replica looks, whoever relays.
    pub lag_seconds: Gauge,
    /// Events in the stream, each as often as it was written.
    pub relayed: IntCounter,
    /// Transfers that a batch lists and the table does not have.
    pub missing: IntCounter,
}

impl EventsMetrics {
    /// Registers all.
    ///
    /// # Errors
    /// A name is taken.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricError> {
        Ok(EventsMetrics {
            lag_seconds: metrics.measure("event_relay_lag_seconds", "How long the oldest untold batch has waited")?,
            relayed: metrics.counter("events_relayed_total", "Events written to the stream")?,
            missing: metrics
                .counter("events_missing_total", "Transfers without a row, of which nothing can be told")?,
        })
    }
}
