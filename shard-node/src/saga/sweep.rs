//! The retry path: claims what is due in the outbox and sends it again, without end. After a restart it is also
//! what brings the open sagas back to life.

use super::deliver;
use crate::node::Node;
use crate::serve::until;
use crate::store::{DUTY_MAX, ReadError, outbox};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(200);
/// Messages claimed at once.
const CLAIM_MAX: i64 = 512;

/// Sweeps until the node stops.
pub async fn sweep(node: Arc<Node>) {
    while !node.shutdown.is_triggered() {
        if !node.gate.is_open() {
            until(&node.shutdown, EVERY).await;
            continue;
        }
        match sweep_once(&node).await {
            Ok(claimed) if claimed == CLAIM_MAX => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the outbox was not read"),
        }
        until(&node.shutdown, EVERY).await;
    }
}

/// How many were claimed.
async fn sweep_once(node: &Arc<Node>) -> Result<i64, ReadError> {
    let claiming = node.outbox_pool.lend(DUTY_MAX, async |client| {
        let failures = std::mem::take(&mut *node.failures.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some((id, error)) = failures.first() {
            tracing::warn!(count = failures.len(), transfer_id = %id, error, "messages will be sent again");
            outbox::note_failures(client, &failures).await?;
        }
        outbox::claim(client, CLAIM_MAX, node.shard, &node.saga).await
    });
    let due = claiming.await?;
    let claimed = i64::try_from(due.len()).unwrap_or(i64::MAX);
    runtime::crash!("crash::outbox_claimed", if claimed > 0);
    for message in due {
        deliver(node, message.reservation, message.trace);
    }
    Ok(claimed)
}
