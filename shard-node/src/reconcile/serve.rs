//! Answering the peers' questions, over connections of their own: they take nothing from customers.

use super::clearing;
use super::peers::Peers;
use crate::node::{Node, TOO_MANY_READS};
use crate::store::reconcile::{self, Wanted};
use crate::store::{ReadError, Unreadable};
use ledger::Timestamp;
use placement::ShardId;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use wire::answer::Answer;
use wire::link::Replier;
use wire::operation::Read;
use wire::pairing::PAGE_MAX;

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
        _ => Ok(Answer::Invalid("not a question of one that compares".to_owned())),
    }
}

async fn pairing(node: &Node, ids: &[Uuid]) -> Result<Answer, ReadError> {
    if ids.len() > PAGE_MAX {
        return Ok(Answer::Invalid(format!("more than {PAGE_MAX} transfers at once")));
    }
    let client = node.reconcile_pool.get().await?;
    Ok(Answer::Pairing(reconcile::look_up(&client, ids).await?))
}

async fn clearing_with(node: &Node, peer: ShardId, age_ms: u32) -> Result<Answer, ReadError> {
    let age = Duration::from_millis(age_ms.into());
    if age > clearing::SLACK {
        return Ok(Answer::Invalid(format!("an account read {age_ms} ms ago is too old to compare")));
    }
    let mut client = node.reconcile_pool.get().await?;
    let covered = clearing::AGE + clearing::SLACK + age;
    let reading = reconcile::read(&mut client, Wanted { covered, transfers: 0, further: covered }).await?;
    let peers = Peers::known_to(node);
    let before = i64::try_from((clearing::AGE + age).as_micros()).map_err(Unreadable::because)?;
    let as_of = Timestamp(reading.now.0 - before);
    let has_peer = |account| peers.of_account(account) == Some(peer);
    Ok(Answer::Clearing(clearing::books(&reading, as_of, i32::from(peer.get()), has_peer)))
}
