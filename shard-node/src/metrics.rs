//! The metrics of a shard-node, as the operators' table names them, with their handles kept.

use placement::ShardId;
use prometheus::{Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec};
use runtime::metrics::{COUNTS, LATENCY_SECONDS, MetricError, Metrics};
use std::time::Duration;

/// All of them.
pub struct NodeMetrics {
    queue_depth: IntGaugeVec,
    queue_wait_seconds: HistogramVec,
    batch_operations: HistogramVec,
    commit_seconds: HistogramVec,
    busy_us: IntCounterVec,
    busy_ratio: GaugeVec,
    commits_unknown: IntCounter,
    outbox_attempts: IntCounterVec,
    delivery_seconds: HistogramVec,
    /// Transfers by kind, state and reason.
    pub transfers: IntCounterVec,
    /// Keys seen again, by what they led to.
    pub replays: IntCounterVec,
    /// Work refused, by queue.
    pub overloaded: IntCounterVec,
    /// Invariants seen broken.
    pub violations: IntCounterVec,
    /// Open sagas by the credit account's region.
    pub saga_open: IntGaugeVec,
    /// The age of the oldest.
    pub saga_oldest_seconds: GaugeVec,
    /// How long the oldest due reservation has waited to be expired.
    pub reservation_expiry_lag_seconds: Gauge,
    /// Clearing totals.
    pub clearing: GaugeVec,
    /// Slots by state.
    pub slots: IntGaugeVec,
    /// The topology's version.
    pub topology_version: prometheus::IntGauge,
    /// The age of what is known of other shards.
    pub topology_age_seconds: Gauge,
    /// 1 while the database is known to lack what it once had, and is only read.
    pub read_only: prometheus::IntGauge,
    readers_stopped: IntCounter,
}

/// The handles of one lane.
pub struct LaneMetrics {
    /// From arrival to batch.
    pub queue_wait_seconds: Histogram,
    /// Commands in a batch.
    pub batch_operations: Histogram,
    /// Writing and committing a batch.
    pub commit_seconds: Histogram,
    /// Time spent on batches, in microseconds.
    pub busy_us: IntCounter,
    /// Connections that broke with a batch on them.
    pub commits_unknown: IntCounter,
}

impl NodeMetrics {
    /// Registers all.
    ///
    /// # Errors
    /// A name is taken.
    pub fn new(metrics: &Metrics) -> Result<NodeMetrics, MetricError> {
        let by_lane = ["lane"].as_slice();
        Ok(NodeMetrics {
            queue_depth: metrics.gauge_by("lane_queue_depth", "Commands waiting for a lane", by_lane)?,
            queue_wait_seconds: metrics.histogram_by(
                "lane_queue_wait_seconds",
                "From a command's arrival to its batch",
                LATENCY_SECONDS,
                by_lane,
            )?,
            batch_operations: metrics.histogram_by("lane_batch_operations", "Commands in a batch", COUNTS, by_lane)?,
            commit_seconds: metrics.histogram_by(
                "lane_commit_seconds",
                "Writing and committing a batch",
                LATENCY_SECONDS,
                by_lane,
            )?,
            busy_us: metrics.counter_by("lane_busy_microseconds_total", "Time a lane has spent on batches", by_lane)?,
            busy_ratio: metrics.measure_by("lane_busy_ratio", "Share of the last seconds spent on batches", by_lane)?,
            commits_unknown: metrics
                .counter("lane_commit_unknown_total", "Connections that broke with a batch on them")?,
            outbox_attempts: metrics.counter_by(
                "outbox_attempts_total",
                "Messages sent to other shards",
                &["peer", "result"],
            )?,
            delivery_seconds: metrics.histogram_by(
                "outbox_delivery_seconds",
                "From sending a message to its decision",
                LATENCY_SECONDS,
                &["peer"],
            )?,
            transfers: metrics.counter_by("transfers_total", "Transfers decided", &["kind", "state", "reason"])?,
            replays: metrics.counter_by("idempotency_replays_total", "Keys seen again", &["result"])?,
            overloaded: metrics.counter_by("overloaded_total", "Work refused at once", &["queue"])?,
            violations: metrics.counter_by("invariant_violations", "Invariants seen broken", &["invariant"])?,
            saga_open: metrics.gauge_by("saga_open", "Open sagas, by the credit account's region", &["peer"])?,
            saga_oldest_seconds: metrics.measure_by("saga_oldest_seconds", "Age of the oldest open saga", &["peer"])?,
            reservation_expiry_lag_seconds: metrics
                .measure("reservation_expiry_lag_seconds", "How long the oldest due reservation has waited")?,
            clearing: metrics.measure_by("clearing_balance", "Clearing totals", &["peer", "currency"])?,
            slots: metrics.gauge_by("slots", "Slots by state", &["state"])?,
            topology_version: metrics.gauge("topology_version", "The newest topology's version")?,
            topology_age_seconds: metrics.measure("topology_age_seconds", "Since other shards were last heard of")?,
            read_only: metrics.gauge("read_only", "Whether the shard has gone back in time and is only read")?,
            readers_stopped: metrics.counter("readers_stopped_total", "Readers of accounts that have ended")?,
        })
    }

    /// The handles of a lane.
    pub fn lane(&self, number: u16) -> LaneMetrics {
        let label = number.to_string();
        let lane = [label.as_str()];
        LaneMetrics {
            queue_wait_seconds: self.queue_wait_seconds.with_label_values(&lane),
            batch_operations: self.batch_operations.with_label_values(&lane),
            commit_seconds: self.commit_seconds.with_label_values(&lane),
            busy_us: self.busy_us.with_label_values(&lane),
            commits_unknown: self.commits_unknown.clone(),
        }
    }

    /// How many commands wait in each lane.
    pub fn set_depths(&self, depths: impl Iterator<Item = usize>) {
        for (lane, depth) in depths.enumerate() {
            let depth = i64::try_from(depth).unwrap_or(i64::MAX);
            self.queue_depth.with_label_values(&[lane.to_string().as_str()]).set(depth);
        }
    }

    /// Sets how busy each lane was since the last time, `before` being what it had counted then.
    pub fn set_busy(&self, before: &mut [u64], elapsed: Duration) {
        for (lane, before) in before.iter_mut().enumerate() {
            let label = lane.to_string();
            let now = self.busy_us.with_label_values(&[label.as_str()]).get();
            let busy_us = now.saturating_sub(std::mem::replace(before, now)) as f64;
            let ratio = busy_us / (elapsed.as_micros() as f64).max(1.0);
            self.busy_ratio.with_label_values(&[label.as_str()]).set(ratio.min(1.0));
        }
    }

    /// A message got an answer from the peer.
    pub fn delivered(&self, peer: ShardId, result: &str, took: Duration) {
        let peer = peer.to_string();
        self.outbox_attempts.with_label_values(&[peer.as_str(), result]).inc();
        self.delivery_seconds.with_label_values(&[peer.as_str()]).observe(took.as_secs_f64());
    }

    /// A message got no answer.
    pub fn undelivered(&self) {
        self.outbox_attempts.with_label_values(&["", "unanswered"]).inc();
    }

    /// The reader of accounts has ended.
    pub fn reader_stopped(&self) {
        self.readers_stopped.inc();
    }
}
