//! What the processes say of themselves: whether one ended unasked, whether one has seen an invariant broken, and the
//! streams of events.

use std::time::Duration;

use anyhow::{Context, Result};
use audit::{EventsTarget, ShardTarget, verify_events};
use local_cluster::{Method, Role, call};
use placement::ShardId;
use tokio::time::{Instant, sleep};

use super::checks::Breach;
use crate::harm::HarmedCluster;

/// By how much the relays of events may be late after the last fault.
const RELAYED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Metrics of a shard-node that are 0 as long as it has seen nothing wrong.
const SEEN_BROKEN: [&str; 2] = ["wallet_invariant_violations", "wallet_reconcile_drift"];

/// What one look came to.
#[derive(Debug, Default)]
pub struct Told {
    /// What is wrong.
    pub breaches: Vec<Breach>,
    /// How much was looked at, by check.
    pub looked_at: Vec<(&'static str, u64)>,
}

/// No program has ended but by a fault, and none has seen an invariant broken.
///
/// # Errors
/// A shard-node does not show its metrics although all is well again.
pub async fn by_processes(cluster: &HarmedCluster) -> Result<Told> {
    let mut told = Told::default();
    let processes = cluster.local().processes();
    told.looked_at.push(("ends_by_faults", processes.len() as u64));
    told.breaches.extend(cluster.take_deaths().into_iter().map(|what| breach("ends_by_faults", what)));
    let (alive, dead): (Vec<_>, Vec<_>) = processes.iter().partition(|process| process.is_alive());
    // All are to be well, so nobody has killed them.
    let programs = dead.into_iter().filter(|process| matches!(process.name.role(), Role::Router | Role::ShardNode));
    let ended = programs.map(|process| breach("ends_by_faults", format!("{} has ended by itself", process.name)));
    told.breaches.extend(ended);
    let mut looked_at = 0;
    for node in alive.into_iter().filter(|process| process.name.role() == Role::ShardNode) {
        let admin = node.admin_address.with_context(|| format!("{} has no admin address", node.name))?;
        let shown = call(admin, Method::GET, "/metrics", &[], None).await?.body;
        let metrics = shown.lines().filter(|line| SEEN_BROKEN.iter().any(|metric| line.starts_with(metric)));
        for metric in metrics {
            looked_at += 1;
            if !is_zero(metric) {
                told.breaches.push(breach("none_seen_broken", format!("{} shows {metric}", node.name)));
            }
        }
    }
    told.looked_at.push(("none_seen_broken", looked_at));
    Ok(told)
}

/// Every change of a transfer is in the stream of its shard, in order: invariant 9.
///
/// # Errors
/// A shard or a Redis cannot be read.
pub async fn by_events(cluster: &HarmedCluster) -> Result<Told> {
    let mut targets = vec![];
    for shard in cluster.shards()? {
        let target = ShardTarget { shard: ShardId::try_from(shard.id)?, postgres: shard.postgres.parse()? };
        targets.push(EventsTarget { shard: target, redis: cluster.local().redis_url(&shard.region)? });
    }
    let give_up = Instant::now() + RELAYED_WITHIN;
    loop {
        let report = verify_events(&targets).await?;
        let late = report.waiting() > 0;
        if late && Instant::now() < give_up {
            sleep(LOOK_AGAIN).await;
            continue;
        }
        let broken = report.checks.iter().filter(|check| check.violations > 0);
        let mut breaches: Vec<Breach> = broken.map(|check| breach("events_told", format!("{check:?}"))).collect();
        if late {
            breaches.push(breach("events_told", format!("{} events are still untold", report.waiting())));
        }
        let told = report.shards.iter().map(|shard| shard.told).sum();
        return Ok(Told { breaches, looked_at: vec![("events_told", told)] });
    }
}

fn is_zero(metric: &str) -> bool {
    metric.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok()).is_some_and(|value| value == 0.0)
}

fn breach(check: &'static str, what: String) -> Breach {
    Breach { check, request: None, account: None, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_metric_that_is_0_shows_nothing() {
        assert!(is_zero(r#"wallet_invariant_violations{invariant="pairing"} 0"#));
        for shown in [r#"wallet_reconcile_drift{peer="2"} 1"#, "wallet_reconcile_drift", "wallet_reconcile_drift NaN"] {
            assert!(!is_zero(shown), "{shown}");
        }
    }
}
