//! What the nodes of a shard are doing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use local_cluster::{Method, call};
use serde::Serialize;

use crate::metrics::{Metrics, quantile};

/// How long the nodes are watched.
const WATCHED: Duration = Duration::from_secs(1);

/// The work of a shard while it was watched, over all its nodes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Activity {
    pub transfers_per_second: f64,
    /// The share of time that the busiest lane spends on batches.
    pub lane_busy: f64,
    /// `None` if there were no batches.
    pub batch_p50_seconds: Option<f64>,
    pub batch_p99_seconds: Option<f64>,
}

/// Watches the nodes; `None` if none is known, or one does not answer.
pub(super) async fn watch(admin: &[SocketAddr]) -> Option<Activity> {
    let started = Instant::now();
    let before = look(admin).await?;
    tokio::time::sleep(WATCHED).await;
    let after = look(admin).await?;
    let transfers = after.sum("wallet_transfers_total") - before.sum("wallet_transfers_total");
    let batches = "wallet_lane_commit_seconds";
    let (earlier, later) = (before.histogram(batches), after.histogram(batches));
    Some(Activity {
        // A node that has started anew counts from 0.
        transfers_per_second: transfers.max(0.0) / started.elapsed().as_secs_f64(),
        lane_busy: after.values("wallet_lane_busy_ratio").fold(0.0, f64::max),
        batch_p50_seconds: quantile(&earlier, &later, 0.5),
        batch_p99_seconds: quantile(&earlier, &later, 0.99),
    })
}

async fn look(admin: &[SocketAddr]) -> Option<Metrics> {
    if admin.is_empty() {
        return None;
    }
    let asked = admin.iter().map(|address| call(*address, Method::GET, "/metrics", &[], None));
    let texts = try_join_all(asked).await.ok()?;
    Some(Metrics::of(texts.into_iter().map(|answer| answer.body).collect()))
}
