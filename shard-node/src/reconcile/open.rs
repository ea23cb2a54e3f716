//! From the start of a process to its first command.

use super::config::ReconcileConfig;
use super::look::look;
use super::peers::Peers;
use super::verdict::{Look, Missing, Suspicions, Verdict};
use crate::gate::Opening;
use crate::node::Node;
use crate::serve::until;
use crate::store::{QUESTION_MAX, ReadError};
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Links to peers that are there are made in milliseconds. The others do not hold the start up.
const REACHED_WITHIN: Duration = Duration::from_secs(1);
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// Once something seems to be missing, there is time.
const ANSWERED_LATER: Duration = Duration::from_secs(5);
/// What is on its way from the process before has arrived after this long, as a rule.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
const LOOK_AGAIN_READ_ONLY: Duration = Duration::from_secs(2);
/// Transfers that are named; the reconciler of the peer names more.
const NAMED_MAX: usize = 20;

/// Compares with the peers, and opens the gate once nothing is missing. While a peer has more of this shard than the shard
/// itself, it stays closed: what would be written could contradict what is missing.
pub async fn open(node: Arc<Node>, config: ReconcileConfig) {
    let began = Instant::now();
    if !config.compare_at_start {
        tracing::warn!("commands are taken without comparing with other shards, as configured");
        return node.gate.set(Opening::Open);
    }
    reach_peers(&node).await;
    let reached_ms = began.elapsed().as_millis();
    let (mut suspicions, mut told) = (Suspicions::default(), BTreeSet::new());
    let mut patience = ANSWERED_WITHIN;
    while !node.shutdown.is_triggered() {
        let pause = match look(&node, patience).await {
            Ok(None) => {
                tracing::info!("another replica of the shard has compared and takes commands; this one does too");
                return node.gate.set(Opening::Open);
            }
            Ok(Some(looks)) => {
                let unasked = unasked(&looks);
                match suspicions.judge(looks, began.elapsed(), config.confirm_after) {
                    Verdict::Open => {
                        let took_ms = began.elapsed().as_millis();
                        tracing::info!(took_ms, reached_ms, unasked, "compared with other shards; commands are taken");
                        return node.gate.set(Opening::Open);
                    }
                    Verdict::LookAgain => {
                        tracing::info!(suspicion = suspicions.told(), "something seems to be missing here");
                        node.gate.set(Opening::Suspicious(suspicions.told()));
                        LOOK_AGAIN
                    }
                    Verdict::ReadOnly => {
                        tell(&suspicions, &mut told);
                        node.gate.set(Opening::ReadOnly(suspicions.told()));
                        LOOK_AGAIN_READ_ONLY
                    }
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the comparison before the first command failed"
                );
                LOOK_AGAIN
            }
        };
        patience = ANSWERED_LATER;
        until(&node.shutdown, pause).await;
    }
}

/// Waits until every peer can be asked, but not for long; the connection to the database is made meanwhile.
async fn reach_peers(node: &Node) {
    let all_reached = node.directory.until(|directory| {
        let peers = Peers::known_to(node);
        let reached = |peer| peers.place(peer).is_some_and(|(region, slot)| directory.reaches(region, slot));
        node.peers().into_iter().all(reached)
    });
    let reached = tokio::time::timeout(REACHED_WITHIN, all_reached);
    // An error comes again when the connection is needed.
    let connecting = node.reconcile_pool.lend(QUESTION_MAX, async |_| Ok::<_, ReadError>(()));
    let (reached, _connected) = tokio::join!(reached, connecting);
    if reached.is_err() {
        tracing::warn!("not all shards can be reached; the reconciler will compare with the others later");
    }
}

fn unasked(looks: &BTreeMap<ShardId, Look>) -> String {
    let unasked = looks.iter().filter(|(_, look)| **look == Look::Unasked);
    unasked.map(|(peer, _)| peer.to_string()).collect::<Vec<_>>().join(", ")
}

/// Logs what is missing, each thing once.
fn tell(suspicions: &Suspicions, told: &mut BTreeSet<(ShardId, Missing)>) {
    for (peer, missing) in suspicions.missing() {
        let named = told.iter().filter(|(_, told)| matches!(told, Missing::Transfer { .. })).count();
        let is_new = match missing {
            Missing::Transfer { .. } if named >= NAMED_MAX => false,
            _ => told.insert((peer, missing.clone())),
        };
        match missing {
            Missing::Clearing { currency, amount } if is_new => {
                tracing::error!(%peer, currency, %amount, "this shard lacks what a peer has; it is only read");
            }
            Missing::Transfer { id, wrong } if is_new => {
                tracing::error!(%peer, transfer_id = %id, wrong, "this shard lacks a transfer; it is only read");
            }
            Missing::Clearing { .. } | Missing::Transfer { .. } => {}
        }
    }
}
