//! One look at what all peers have of this shard, while it writes nothing.

use super::ask::{self, Unasked};
use super::clearing::{self, books_of_now};
use super::pass::credited;
use super::peers::Peers;
use super::verdict::{Look, missing};
use crate::node::Node;
use crate::store::reconcile::{self, Reading, Wanted};
use crate::store::{ReadError, UPKEEP_MAX, admitted};
use futures_util::future::join_all;
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use uuid::Uuid;

/// What is compared is read by id; only the totals and what is open are read beforehand.
const NO_TRANSFERS: Wanted = Wanted { covered: Duration::ZERO, transfers: 0, further: Duration::ZERO };

/// Compares with every peer, each for so long at most; `None` if another replica over the same database takes commands
/// already, having compared before it did.
///
/// # Errors
/// This shard's own database cannot be read.
pub async fn look(node: &Node, patience: Duration) -> Result<Option<BTreeMap<ShardId, Look>>, ReadError> {
    node.reconcile_pool.lend(UPKEEP_MAX, async |client| look_with(node, client, patience).await).await
}

async fn look_with(
    node: &Node,
    client: &mut deadpool_postgres::Client,
    patience: Duration,
) -> Result<Option<BTreeMap<ShardId, Look>>, ReadError> {
    if admitted::is_shown(client).await? {
        return Ok(None);
    }
    let peers = Peers::known_to(node);
    // First: whatever the peers have of it later is here now, if nothing is missing.
    let own = reconcile::read(client, NO_TRANSFERS).await?;
    let client = &*client;
    let looks = node.peers().into_iter().map(|peer| {
        let (own, peers) = (&own, &peers);
        async move {
            let compared = tokio::time::timeout(patience, compare_with(node, client, own, peers, peer)).await;
            let error = match compared {
                Ok(Ok(look)) => return (peer, look),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it did not answer in time".to_owned(),
            };
            tracing::info!(%peer, error, "a peer was not compared with");
            (peer, Look::Unasked)
        }
    });
    Ok(Some(join_all(looks).await.into_iter().collect()))
}

async fn compare_with(
    node: &Node,
    client: &deadpool_postgres::Client,
    own: &Reading,
    peers: &Peers,
    peer: ShardId,
) -> Result<Look, Unasked> {
    let mine = books_of_now(own, i32::from(peer.get()), |account| peers.of_account(account) == Some(peer));
    let theirs = ask::recent(node, peers, peer).await?;
    if !mine.is_whole || !theirs.clearing.is_whole {
        return Err(Unasked::CannotTell);
    }
    let there = credited(node, client, peer, &mine.settling, peers).await?;
    let here = credited(node, client, node.shard, &theirs.clearing.settling, peers).await?;
    let difference = clearing::difference(&mine, &theirs.clearing, &there, &here);
    let ids: Vec<Uuid> = theirs.decided.iter().map(|half| half.id).collect();
    let halves = ask::look_up(node, client, peers, node.shard, &ids).await?;
    let missing: BTreeSet<_> = missing(difference, theirs.decided.iter().zip(&halves));
    Ok(Look::Compared(missing))
}
