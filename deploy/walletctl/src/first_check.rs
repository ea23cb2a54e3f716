//! The line about the invariants that `up` ends with.

use std::time::Duration;

use anyhow::Result;
use audit::{Limits, Report, ShardTarget, audit};
use local_cluster::Cluster;
use tokio::time::timeout;

use crate::shards::in_cluster;

/// Much data takes longer to read than people want to wait for a start.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the invariants hold on all shards, in words.
pub(crate) async fn verify(cluster: &Cluster) -> String {
    // The wallet runs, whether it can be checked or not.
    read_all(cluster).await.unwrap_or_else(|error| format!("not done: {error:#}"))
}

async fn read_all(cluster: &Cluster) -> Result<String> {
    let targets: Vec<ShardTarget> = in_cluster(cluster)?.into_iter().map(|at| at.target).collect();
    let limits = Limits { shards: None, slots: None, saga_age: Limits::SAGA_AGE };
    match timeout(PATIENCE, audit(&targets, &limits, &|_| ())).await {
        Ok(report) => Ok(words(&report?)),
        Err(_) => Ok(format!("not done within {} s; `walletctl verify` takes its time", PATIENCE.as_secs())),
    }
}

fn words(report: &Report) -> String {
    if report.holds {
        return format!("{} invariants hold", report.invariants());
    }
    let mut broken: Vec<&str> = report.broken().map(|check| check.invariant.as_str()).collect();
    broken.dedup();
    format!("BROKEN: {}; `walletctl verify` shows more", broken.join(", "))
}
