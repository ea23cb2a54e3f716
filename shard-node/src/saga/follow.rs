//! Answering with a transfer that may still be open: wait for its end, but not for longer than was asked.

use crate::lane::Origin;
use crate::node::{Node, TOO_MANY_READS};
use crate::store::{QUESTION_MAX, reading};
use ledger::Transfer;
use placement::TransferId;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wire::answer::Answer;

/// Another replica may settle the saga, so the database is asked now and then,
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// a little later each time, so that many who began together do not ask together,
const LOOK_LATER: f64 = 0.5;
/// and not where so many wait for a connection already: those may be questions that nobody has asked yet.
const LOOKS_WAITING_MAX: usize = 64;

/// Answers once the transfer is terminal, or with its present state when the wait is over. `present`: what is
/// known of it; `None`: it must be read first.
pub fn follow(node: &Arc<Node>, origin: Origin, id: TransferId, present: Option<Transfer>, replayed: bool) {
    if origin.replier.is_none() {
        return;
    }
    // Before anybody can settle it.
    let settled = node.waiters.subscribe(id);
    let node = node.clone();
    tokio::spawn(async move {
        let answer = watch(&node, &origin, id, present, settled, replayed).await;
        node.waiters.forget(id);
        origin.reply(answer);
    });
}

async fn watch(
    node: &Arc<Node>,
    origin: &Origin,
    id: TransferId,
    mut present: Option<Transfer>,
    mut settled: tokio::sync::oneshot::Receiver<Transfer>,
    replayed: bool,
) -> Answer {
    let until = origin.received + Duration::from_millis(u64::from(origin.wait_ms));
    let mut looks = present.is_none();
    loop {
        if looks {
            match read(node, id, present.is_some()).await {
                Ok(Some(transfer)) => present = Some(transfer),
                Ok(None) => return Answer::NotFound,
                // It may have gone on meanwhile, as it may right after any answer.
                Err(_) if present.is_some() => {}
                Err(answer) => return answer,
            }
        }
        looks = true;
        let remaining = until.saturating_duration_since(Instant::now());
        let is_over = |transfer: &mut Transfer| {
            transfer.state.is_terminal() || remaining.is_zero() || node.shutdown.is_triggered()
        };
        if let Some(transfer) = present.take_if(is_over) {
            return Answer::Transfer { transfer, replayed };
        }
        tokio::select! {
            told = &mut settled => match told {
                Ok(transfer) => return Answer::Transfer { transfer, replayed },
                Err(_) => settled = node.waiters.subscribe(id),
            },
            () = tokio::time::sleep(remaining.min(look_after())) => {}
            () = node.shutdown.triggered() => {}
        }
    }
}

fn look_after() -> Duration {
    LOOK_AGAIN.mul_f64(1.0 + LOOK_LATER * rand::random::<f64>())
}

/// Reads it; `can_wait`: not if many others ask.
async fn read(node: &Arc<Node>, id: TransferId, can_wait: bool) -> Result<Option<Transfer>, Answer> {
    let Some(_place) = node.read_place() else { return Err(TOO_MANY_READS) };
    if can_wait && node.pool.waiting() >= LOOKS_WAITING_MAX {
        return Err(Answer::Unavailable);
    }
    let reading = node.pool.lend(QUESTION_MAX, async |client| reading::transfer(client, id, node.shard).await);
    reading.await.map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, transfer_id = %id, "a transfer was not read");
        Answer::Unavailable
    })
}
