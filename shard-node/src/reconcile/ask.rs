//! Asking a peer.

use super::peers::Peers;
use crate::node::Node;
use crate::store::{ReadError, reconcile};
use placement::{RegionCode, ShardId, Slot};
use std::time::{Duration, Instant};
use uuid::Uuid;
use wire::answer::Answer;
use wire::link::CallError;
use wire::operation::{CallContext, Operation, Read};
use wire::pairing::{ClearingBooks, Halves, PAGE_MAX, RecentBooks};
use wire::trace::TraceContext;

/// How long an answer may take.
const PATIENCE_MS: u32 = 5_000;
/// Pages are asked for with pauses as long as they took, but none longer than this.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Nothing could be compared; the next pass tries again.
#[derive(Debug, thiserror::Error)]
pub enum Unasked {
    /// No node of the peer can be called.
    #[error("no shard-node of it can be reached")]
    Unreachable,
    /// No answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The slot that was to lead there has moved.
    #[error("shard {0} answered in its place")]
    Elsewhere(ShardId),
    /// An answer, but not to the question.
    #[error("it cannot tell now")]
    CannotTell,
    /// This shard's own rows could not be read.
    #[error(transparent)]
    Own(#[from] ReadError),
}

/// What a shard has of the transfers, in their order; of this one too. Read page by page, each of one moment.
pub async fn look_up(
    node: &Node,
    client: &deadpool_postgres::Client,
    peers: &Peers,
    shard: ShardId,
    ids: &[Uuid],
) -> Result<Vec<Halves>, Unasked> {
    let mut found = Vec::with_capacity(ids.len());
    for (number, page) in ids.chunks(PAGE_MAX).enumerate() {
        let began = Instant::now();
        found.extend(match shard == node.shard {
            true => reconcile::look_up(client, page).await?,
            false => look_up_there(node, peers, shard, page).await?,
        });
        if number > 0 {
            // Nobody waits for this: whoever does goes first, on this shard and on the other one.
            tokio::time::sleep(began.elapsed().min(PAUSE_MAX)).await;
        }
    }
    Ok(found)
}

async fn look_up_there(node: &Node, peers: &Peers, peer: ShardId, ids: &[Uuid]) -> Result<Vec<Halves>, Unasked> {
    let question = |(region, slot)| Read::Pairing { region, slot, ids: ids.to_vec() };
    match ask(node, peers, peer, question).await? {
        Answer::Pairing(found) if found.len() == ids.len() => Ok(found),
        _ => Err(Unasked::CannotTell),
    }
}

/// The peer's clearing account with this shard, whose own was read `age` ago.
pub async fn clearing(node: &Node, peers: &Peers, peer: ShardId, age: Duration) -> Result<ClearingBooks, Unasked> {
    let age_ms = u32::try_from(age.as_millis()).unwrap_or(u32::MAX);
    let question = |(region, slot)| Read::Clearing { region, slot, peer: node.shard, age_ms };
    match ask(node, peers, peer, question).await? {
        Answer::Clearing(books) => Ok(books),
        _ => Err(Unasked::CannotTell),
    }
}

/// What the peer has of this shard, which writes nothing.
pub async fn recent(node: &Node, peers: &Peers, peer: ShardId) -> Result<RecentBooks, Unasked> {
    let question = |(region, slot)| Read::Recent { region, slot, peer: node.shard };
    match ask(node, peers, peer, question).await? {
        Answer::Recent(books) => Ok(books),
        _ => Err(Unasked::CannotTell),
    }
}

async fn ask(
    node: &Node,
    peers: &Peers,
    peer: ShardId,
    question: impl FnOnce((RegionCode, Slot)) -> Read,
) -> Result<Answer, Unasked> {
    let place = peers.place(peer).ok_or(Unasked::Unreachable)?;
    if !node.directory.reaches(place.0, place.1) {
        return Err(Unasked::Unreachable);
    }
    let id = Uuid::new_v4();
    let trace = TraceContext::begin(id.as_u128(), id.as_u64_pair().1);
    let context = CallContext { request_id: id.as_u128(), trace, remaining_ms: PATIENCE_MS };
    let routed = node.directory.call(context, Operation::Read(question(place))).await?;
    match routed.shard == peer {
        true => Ok(routed.answer),
        false => Err(Unasked::Elsewhere(routed.shard)),
    }
}
