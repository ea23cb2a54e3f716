//! Answering with a transfer that may still be open: wait for its end, but not for longer than was asked.

use crate::lane::Origin;
use crate::node::Node;
use crate::store::reading;
use ledger::Transfer;
use placement::TransferId;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wire::answer::Answer;

/// Another replica may settle the saga, so the database is asked now and then.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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
    loop {
        if present.is_none() {
            present = match read(node, id).await {
                Ok(Some(transfer)) => Some(transfer),
                Ok(None) => return Answer::NotFound,
                Err(answer) => return answer,
            };
        }
        let remaining = until.saturating_duration_since(Instant::now());
        match present.take() {
            Some(transfer) if transfer.state.is_terminal() || remaining.is_zero() || node.shutdown.is_triggered() => {
                return Answer::Transfer { transfer, replayed };
            }
            Some(_) | None => {}
        }
        tokio::select! {
            told = &mut settled => match told {
                Ok(transfer) => return Answer::Transfer { transfer, replayed },
                Err(_) => settled = node.waiters.subscribe(id),
            },
            () = tokio::time::sleep(remaining.min(LOOK_AGAIN)) => {}
            () = node.shutdown.triggered() => {}
        }
    }
}

async fn read(node: &Arc<Node>, id: TransferId) -> Result<Option<Transfer>, Answer> {
    let read = async {
        let client = node.pool.get().await?;
        reading::transfer(&client, id, node.shard).await
    };
    read.await.map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, transfer_id = %id, "a transfer was not read");
        Answer::Unavailable
    })
}
