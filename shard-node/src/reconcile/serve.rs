//! Answering the peers' questions, over connections of their own: they take nothing from customers.

use super::clearing;
use super::halves::{self, Half};
use super::judge::Part;
use super::pass::peer_of;
use super::peers::Peers;
use super::recent::{self, CLEARING_ONLY, Snapshot};
use crate::node::{Node, TOO_MANY_READS};
use crate::store::reconcile::{self, Wanted};
use crate::store::{DUTY_MAX, ReadError, Unreadable};
use ledger::Timestamp;
use placement::ShardId;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;
use wire::answer::Answer;
use wire::link::Replier;
use wire::operation::Read;
use wire::pairing::{DecidedHalf, Ending, PAGE_MAX, RecentBooks};

/// How old the asker's own reading may be: a reading that covers [`CLEARING_ONLY`] has what happened by then.
const AGE_MAX: Duration = Duration::from_secs(10);
/// Of the newest transfers, for one that has just been started: everything decided within this time,
const NEWEST: Duration = Duration::from_secs(1);
/// and further back, up to so many,
const NEWEST_MAX: i64 = 5_000;
/// and so far.
const FURTHER: Duration = Duration::from_secs(3_600);

/// Answers in the background.
pub fn answer(node: &Arc<Node>, read: Read, wait_over: Duration, replier: Replier) {
    let Some(place) = node.read_place() else { return replier.reply(TOO_MANY_READS) };
    let node = node.clone();
    tokio::spawn(async move {
        let _place = place;
        let told = tokio::time::timeout(wait_over, tell(&node, read)).await;
        replier.reply(match told {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a peer that compares was not answered");
                Answer::Unavailable
            }
            Err(_) => Answer::Unavailable,
        });
    });
}

async fn tell(node: &Node, read: Read) -> Result<Answer, ReadError> {
    match read {
        Read::Pairing { ids, .. } => pairing(node, &ids).await,
        Read::Clearing { peer, age_ms, .. } => clearing_with(node, peer, age_ms).await,
        Read::Recent { peer, .. } => recent_with(node, peer).await,
        _ => Ok(Answer::Invalid("not a question of one that compares".to_owned())),
    }
}

async fn pairing(node: &Node, ids: &[Uuid]) -> Result<Answer, ReadError> {
    if ids.len() > PAGE_MAX {
        return Ok(Answer::Invalid(format!("more than {PAGE_MAX} transfers at once")));
    }
    let known = node.recent.told_from(node.renewals());
    let looking = recent::look_up(known.as_deref(), ids, async |unknown| {
        node.reconcile_pool.lend(DUTY_MAX, async |client| reconcile::look_up(client, unknown).await).await
    });
    Ok(Answer::Pairing(looking.await?))
}

async fn clearing_with(node: &Node, peer: ShardId, age_ms: u32) -> Result<Answer, ReadError> {
    let (asked, age) = (Instant::now(), Duration::from_millis(age_ms.into()));
    if age > AGE_MAX {
        return Ok(Answer::Invalid(format!("an account read {age_ms} ms ago is too old to compare")));
    }
    let snapshot = node.recent.get(
        CLEARING_ONLY,
        || node.renewals(),
        async |wanted| node.reconcile_pool.lend(DUTY_MAX, async |client| Snapshot::read(client, wanted).await).await,
    );
    let snapshot = snapshot.await?;
    // The reading may be older than the question, or younger.
    let (since, before) =
        (asked.saturating_duration_since(snapshot.began), snapshot.began.saturating_duration_since(asked));
    let as_of = snapshot.reading.now.0 + micros(since)? - micros(before + clearing::AGE + age)?;
    let peers = Peers::known_to(node);
    let has_peer = |account| peers.of_account(account) == Some(peer);
    let mut books = clearing::books(&snapshot.reading, Timestamp(as_of), i32::from(peer.get()), has_peer);
    books.is_whole &= !node.renewed_within(clearing::SAME_SERVER);
    Ok(Answer::Clearing(books))
}

async fn recent_with(node: &Node, peer: ShardId) -> Result<Answer, ReadError> {
    let wanted = Wanted { covered: NEWEST, transfers: NEWEST_MAX, further: FURTHER };
    let reading = node.reconcile_pool.lend(DUTY_MAX, async |client| reconcile::read(client, wanted).await).await?;
    let peers = Peers::known_to(node);
    let has_peer = |account| peers.of_account(account) == Some(peer);
    let clearing = clearing::books_of_now(&reading, i32::from(peer.get()), has_peer);
    let of_peer = halves::of(&reading).into_iter().filter(|half| peer_of(half, &peers) == Some(peer));
    let mut decided: Vec<(Timestamp, DecidedHalf)> = of_peer.filter_map(decided).collect();
    decided.sort_unstable_by_key(|(at, half)| (std::cmp::Reverse(*at), half.id));
    let decided = decided.into_iter().map(|(_, half)| half).take(PAGE_MAX).collect();
    Ok(Answer::Recent(RecentBooks { clearing, decided }))
}

fn micros(duration: Duration) -> Result<i64, Unreadable> {
    i64::try_from(duration.as_micros()).map_err(Unreadable::because)
}

/// When it was decided, if it was, and not before another shard was asked.
fn decided(half: Half) -> Option<(Timestamp, DecidedHalf)> {
    let Half { id, part, halves } = half;
    let ended = halves.terminal.as_ref().filter(|ended| ended.ending != Ending::NeverAsked);
    let at = halves.decision.map(|decision| decision.decided_at).or(ended.map(|ended| ended.decided_at))?;
    Some((at, DecidedHalf { id, is_credit: part == Part::Credit, halves }))
}
