//! What goes on beside the work: noticing changes of ownership, making partitions ahead, forgetting old keys,
//! and taking sums for the metrics.

use crate::node::{Node, RefreshError};
use crate::serve::until;
use crate::store::{DUTY_MAX, ReadError, UPKEEP_MAX, maintenance, partitions, sums, to_micros};
use placement::SlotState;
use std::sync::Arc;
use std::time::{Duration, Instant};

const OWNERSHIP_EVERY: Duration = Duration::from_secs(1);
const SUMS_EVERY: Duration = Duration::from_secs(5);
const PARTITIONS_EVERY: Duration = Duration::from_secs(3_600);
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// Another node of the shard, or an operator, may have changed the ownership or the topology.
pub async fn watch_ownership(node: Arc<Node>) {
    while !node.shutdown.is_triggered() {
        if let Err(error) = node.refresh_standing().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the ownership was not read");
            // Nothing is asked more often and is less work: the server is silent, and may not be the right one when it
            // speaks again.
            if matches!(error, RefreshError::Read(ReadError::Silent)) {
                node.renew_connections();
            }
        }
        until(&node.shutdown, OWNERSHIP_EVERY).await;
    }
}

/// The partitions of the months to come.
pub async fn keep_partitions(node: Arc<Node>) {
    while !node.shutdown.is_triggered() {
        let now = to_micros(jiff::Timestamp::now());
        let making = node.pool.lend(UPKEEP_MAX, async |client| {
            partitions::ensure(client, now.unix_ms(), partitions::USUAL_MONTHS).await.map_err(ReadError::from)
        });
        let pause = match making.await {
            Ok(()) => PARTITIONS_EVERY,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "partitions were not made");
                PRUNE_EVERY
            }
        };
        until(&node.shutdown, pause).await;
    }
}

/// Old idempotency keys, a batch at a time.
pub async fn prune_keys(node: Arc<Node>, retention: Duration) {
    while !node.shutdown.is_triggered() {
        // Where lanes cannot commit, this could not either, and would hold a connection that reads need.
        if !node.gate.is_open() || !node.lanes.are_up() {
            until(&node.shutdown, SUMS_EVERY).await;
            continue;
        }
        let pruning = node.pool.lend(UPKEEP_MAX, async |client| maintenance::prune_keys(client, retention).await);
        match pruning.await {
            Ok((pruned, true)) => {
                tracing::debug!(pruned, "old keys forgotten");
                continue;
            }
            Ok((_, false)) => {}
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "old keys were not forgotten"),
        }
        until(&node.shutdown, PRUNE_EVERY).await;
    }
}

/// Sums and states for the metrics.
pub async fn take_sums(node: Arc<Node>) {
    let (mut busy_before, mut last) = (vec![0; node.lanes.depths().count()], Instant::now());
    while !node.shutdown.is_triggered() {
        node.metrics.set_depths(node.lanes.depths());
        node.metrics.set_busy(&mut busy_before, last.elapsed());
        last = Instant::now();
        set_standing(&node);
        if let Err(error) = set_sums(&node).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the sums were not taken");
        }
        until(&node.shutdown, SUMS_EVERY).await;
    }
}

fn set_standing(node: &Node) {
    let standing = node.standing.load();
    let states = [
        ("active", SlotState::Active),
        ("frozen", SlotState::Frozen),
        ("importing", SlotState::Importing),
        ("moved", SlotState::Moved),
    ];
    for (name, state) in states {
        let count = standing.claims.iter().filter(|claim| claim.state == state).count();
        node.metrics.slots.with_label_values(&[name]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    node.metrics.topology_version.set(standing.topology.version.cast_signed());
    node.metrics.topology_age_seconds.set(node.directory.age().map_or(f64::INFINITY, |age| age.as_secs_f64()));
}

async fn set_sums(node: &Node) -> Result<(), ReadError> {
    let taking = node.pool.lend(DUTY_MAX, async |client| {
        Ok::<_, ReadError>((sums::open_sagas(client).await?, sums::clearing(client).await?))
    });
    let (open, clearing) = taking.await?;
    let topology = &node.standing.load().topology;
    // Only now: what was shown last stays while the database cannot be asked.
    node.metrics.saga_open.reset();
    node.metrics.saga_oldest_seconds.reset();
    for sums in open {
        let region = topology.regions.iter().find(|region| i32::from(region.code.get()) == sums.region);
        let peer = [region.map_or("unknown", |region| region.name.as_str())];
        node.metrics.saga_open.with_label_values(&peer).set(sums.count);
        node.metrics.saga_oldest_seconds.with_label_values(&peer).set(sums.oldest_seconds);
    }
    for (peer, currency, total) in clearing {
        node.metrics.clearing.with_label_values(&[peer.to_string().as_str(), currency.as_str()]).set(total);
    }
    Ok(())
}
