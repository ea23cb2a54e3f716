//! The metrics of the comparison. Of a shard's replicas only the one that compares shows them.

use placement::ShardId;
use prometheus::{GaugeVec, Histogram, IntCounterVec, IntGaugeVec};
use runtime::metrics::{LATENCY_SECONDS, MetricError, Metrics};

/// All of them.
pub struct ReconcileMetrics {
    drift: IntGaugeVec,
    clearing_drift: GaugeVec,
    last_success: GaugeVec,
    compared: IntCounterVec,
    /// From reading this shard to the last peer's answer.
    pub pass_seconds: Histogram,
}

impl ReconcileMetrics {
    /// Registers all.
    ///
    /// # Errors
    /// A name is taken.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricError> {
        let by_peer = ["peer"].as_slice();
        Ok(Self {
            drift: metrics.gauge_by("reconcile_drift", "Transfers whose two halves do not go together", by_peer)?,
            clearing_drift: metrics.measure_by(
                "reconcile_clearing_drift",
                "What the clearing accounts with a peer do not explain",
                &["peer", "currency"],
            )?,
            last_success: metrics.measure_by(
                "reconcile_last_success_timestamp_seconds",
                "When everything was last compared with a peer, or was first to be",
                by_peer,
            )?,
            compared: metrics.counter_by("reconcile_transfers_total", "Transfers compared with a peer", by_peer)?,
            pass_seconds: metrics.histogram("reconcile_pass_seconds", "Comparing with all peers", LATENCY_SECONDS)?,
        })
    }

    /// Another replica compares.
    pub fn stand_by(&self) {
        self.drift.reset();
        self.clearing_drift.reset();
        self.last_success.reset();
    }

    /// Nothing is unexplained, as long as nothing else is said.
    pub fn forget_clearing(&self) {
        self.clearing_drift.reset();
    }

    /// What is in drift with a peer; of two amounts of one currency, the later one.
    pub fn set_drift<'a>(&self, peer: ShardId, transfers: usize, clearing: impl Iterator<Item = (&'a str, i128)>) {
        let label = peer.to_string();
        self.drift.with_label_values(&[label.as_str()]).set(i64::try_from(transfers).unwrap_or(i64::MAX));
        for (currency, amount) in clearing {
            self.clearing_drift.with_label_values(&[label.as_str(), currency]).set(amount as f64);
        }
    }

    /// Everything was compared with the peer, the last of it now; or is from now on.
    pub fn succeeded(&self, peer: ShardId, now: jiff::Timestamp) {
        self.last_success.with_label_values(&[peer.to_string().as_str()]).set(now.as_millisecond() as f64 / 1e3);
    }

    /// So many transfers were compared.
    pub fn compared(&self, peer: ShardId, transfers: usize) {
        let count = u64::try_from(transfers).unwrap_or(u64::MAX);
        self.compared.with_label_values(&[peer.to_string().as_str()]).inc_by(count);
    }
}
