//! The expiry of two-step transfers: a sweep finds what is due and brings it into the lanes, in batches. Nothing is
//! decided here: a lane does, under the row's lock, by PostgreSQL's clock.

use crate::lane::{Refused, Task};
use crate::node::Node;
use crate::serve::until;
use crate::store::{DUTY_MAX, ReadError, expiry};
use ledger::{Command, ExpireTransfer};
use placement::TransferId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::operation::CallContext;
use wire::trace::TraceContext;

const EVERY: Duration = Duration::from_millis(100);
/// Where a lane had no place for all that is due.
const EVERY_WHEN_BEHIND: Duration = Duration::from_millis(50);
/// Reservations looked at in one sweep. How many of them may wait in a lane is for the lane to say.
const DUE_MAX: i64 = 1_024;
/// Longer than a lane takes for what waits before it; the next sweep finds what was left.
const PATIENCE_MS: u32 = 10_000;

/// What a sweep has brought into a lane is left to it for so long.
const LEFT_TO_LANE: Duration = Duration::from_secs(2);

/// Sweeps until the node stops. Replicas may do so at the same time: the first to change the row wins.
pub async fn expire(node: Arc<Node>) {
    let mut left_to_lanes = HashMap::new();
    while !node.shutdown.is_triggered() {
        if !node.gate.is_open() {
            until(&node.shutdown, EVERY).await;
            continue;
        }
        let pause = match expire_once(&node, &mut left_to_lanes).await {
            Ok(true) => EVERY_WHEN_BEHIND,
            Ok(false) => EVERY,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "expired reservations were not read");
                EVERY
            }
        };
        until(&node.shutdown, pause).await;
    }
}

/// Whether a lane had no place for all.
async fn expire_once(node: &Arc<Node>, left_to_lanes: &mut HashMap<TransferId, Instant>) -> Result<bool, ReadError> {
    let due = node.outbox_pool.lend(DUTY_MAX, async |client| expiry::due(client, DUE_MAX).await).await?;
    node.metrics.reservation_expiry_lag_seconds.set(due.lag.as_secs_f64());
    runtime::crash!("crash::expiry_found", if !due.reservations.is_empty());
    let now = Instant::now();
    left_to_lanes.retain(|_, since| now - *since < LEFT_TO_LANE);
    let mut is_behind = false;
    for expired in due.reservations {
        let id = expired.transfer_id;
        if left_to_lanes.contains_key(&id) {
            continue;
        }
        // A lane that cannot take it now leaves it to the next sweep.
        match node.lanes.submit(task(expired)) {
            Ok(()) => drop(left_to_lanes.insert(id, now)),
            Err(refused) => is_behind |= refused == Refused::Wait,
        }
    }
    Ok(is_behind)
}

fn task(expired: ExpireTransfer) -> Task {
    let id = expired.transfer_id.uuid().as_u128();
    let context = CallContext { request_id: id, trace: TraceContext::begin(id, 1), remaining_ms: PATIENCE_MS };
    Task::new(Command::Expire(expired), context, 0, None)
}
