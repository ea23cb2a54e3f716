//! What the processes say of themselves: whether one ended unasked, whether one has seen an invariant broken, and the
//! streams of events.

use std::time::Duration;

use anyhow::{Context, Result};
use audit::{EventsTarget, ShardTarget, verify_events};
use local_cluster::{Method, Process, ProcessName, Role, call};
use placement::ShardId;
use tokio::time::{Instant, sleep};

use super::checks::Breach;
use super::logs::Log;
use crate::harm::HarmedCluster;

/// By how much the relays of events may be late after the last fault.
const RELAYED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Metrics of a shard-node that are 0 as long as it has seen nothing wrong.
const SEEN_BROKEN: [&str; 2] = ["wallet_invariant_violations", "wallet_reconcile_drift"];

/// What a shard-node writes to its log when it has seen something wrong. The metrics of one that was killed since are gone.
const SAID_BROKEN: [&str; 3] = [
    "drift between two shards",
    "the clearing accounts of two shards do not come to nothing",
    "two decisions about one transfer, or a key without a result",
];

/// What one look came to.
#[derive(Debug, Default)]
pub struct Told {
    /// What is wrong.
    pub breaches: Vec<Breach>,
    /// How much was looked at, by check.
    pub looked_at: Vec<(&'static str, u64)>,
}

/// The logs of the shard-nodes, of which nothing is read yet.
pub fn logs_of(cluster: &HarmedCluster) -> Vec<(ProcessName, Log)> {
    let names = cluster.local().processes().into_iter().map(|process| process.name);
    let nodes = names.filter(|name| name.role() == Role::ShardNode);
    nodes.map(|name| (name.clone(), Log::new(cluster.local().data_dir().log(&name)))).collect()
}

/// No program has ended but by a fault, and none has seen an invariant broken, by its metrics or by what has come to its
/// log since the last look.
///
/// # Errors
/// A shard-node does not show its metrics although all is well again, or its log cannot be read.
pub async fn by_processes(cluster: &HarmedCluster, logs: &mut [(ProcessName, Log)]) -> Result<Told> {
    let mut told = Told::default();
    let processes = cluster.local().processes();
    told.looked_at.push(("ends_by_faults", processes.len() as u64));
    told.breaches.extend(cluster.take_deaths().into_iter().map(|what| breach("ends_by_faults", what)));
    let (alive, dead): (Vec<_>, Vec<_>) = processes.iter().partition(|process| process.is_alive());
    // All are to be well, so nobody has killed them.
    let programs = dead.into_iter().filter(|process| matches!(process.name.role(), Role::Router | Role::ShardNode));
    let ended = programs.map(|process| breach("ends_by_faults", format!("{} has ended by itself", process.name)));
    told.breaches.extend(ended);
    let nodes = alive.into_iter().filter(|process| process.name.role() == Role::ShardNode);
    let mut seen = SeenBroken::default();
    for node in nodes {
        seen.by_metrics(node).await?;
    }
    for (name, log) in logs {
        seen.by_log(name, &log.news()?);
    }
    told.breaches.extend(seen.told.into_iter().map(|what| breach("none_seen_broken", what)));
    told.looked_at.push(("none_seen_broken", seen.looked_at));
    Ok(told)
}

/// What shard-nodes have seen broken.
#[derive(Default)]
struct SeenBroken {
    /// Metrics and lines of logs.
    looked_at: u64,
    told: Vec<String>,
}

impl SeenBroken {
    async fn by_metrics(&mut self, node: &Process) -> Result<()> {
        let admin = node.admin_address.with_context(|| format!("{} has no admin address", node.name))?;
        let shown = call(admin, Method::GET, "/metrics", &[], None).await?.body;
        let metrics = shown.lines().filter(|line| SEEN_BROKEN.iter().any(|metric| line.starts_with(metric)));
        for metric in metrics {
            self.looked_at += 1;
            if !is_zero(metric) {
                self.told.push(format!("{} shows {metric}", node.name));
            }
        }
        Ok(())
    }

    fn by_log(&mut self, name: &ProcessName, news: &str) {
        self.looked_at += news.lines().count() as u64;
        self.told.extend(said_broken(news).into_iter().map(|what| format!("{name} {what}")));
    }
}

/// What of a log tells of something broken, once for all lines of one kind.
fn said_broken(news: &str) -> Vec<String> {
    let said = SAID_BROKEN.iter().filter_map(|words| {
        let mut lines = news.lines().filter(|line| line.contains(words));
        let first = lines.next()?;
        Some(format!("has logged so {} times: {first}", 1 + lines.count()))
    });
    said.collect()
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

    #[test]
    fn what_was_logged_as_broken_is_told_once_for_each_kind() {
        let drift = |id| format!(r#"{{"level":"ERROR","message":"drift between two shards","transfer_id":"{id}"}}"#);
        let clearing = r#"{"level":"ERROR","message":"the clearing accounts of two shards do not come to nothing"}"#;
        let log = [drift(1), "{}".to_owned(), clearing.to_owned(), drift(2)].join("\n");
        let expected = [format!("has logged so 2 times: {}", drift(1)), format!("has logged so 1 times: {clearing}")];
        assert_eq!(said_broken(&log), expected);
        let well = r#"{"level":"INFO","message":"the clearing accounts of two shards come to nothing again"}"#;
        assert_eq!(said_broken(well), [""; 0]);
        let (mut seen, name) = (SeenBroken::default(), ProcessName::ShardNode { shard: 3, replica: 0 });
        seen.by_log(&name, &log);
        assert_eq!((seen.looked_at, seen.told.len()), (4, 2));
        assert!(seen.told.iter().all(|what| what.starts_with("shard-node-3 has logged so ")), "{:?}", seen.told);
    }

    #[test]
    fn what_is_looked_for_is_what_a_shard_node_logs() {
        let known = include_str!("../../../shard-node/src/reconcile/known.rs");
        let finish = include_str!("../../../shard-node/src/lane/finish.rs");
        for words in SAID_BROKEN {
            let message = format!("{words:?});");
            assert!([known, finish].iter().any(|code| code.contains(&message)), "nobody logs {words:?}");
        }
    }
}
