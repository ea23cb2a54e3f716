//! Forgetting old idempotency keys.

use super::reading::ReadError;
use super::{fence, from_micros};
use ledger::Timestamp;

/// A key is kept until its transfer has been terminal for the whole time of retention; an open transfer keeps it.
pub(super) const PRUNE_KEYS: &str = "DELETE FROM idempotency WHERE (slot, key_hash) IN ( \
     SELECT slot, key_hash FROM idempotency AS old WHERE recorded_at < $1 \
     AND NOT EXISTS (SELECT FROM reservations WHERE reservations.transfer_id = old.transfer_id) \
     AND NOT EXISTS (SELECT FROM transfers WHERE transfers.id = old.transfer_id AND decided_at >= $1) \
     LIMIT $2)";

/// Keys deleted in one transaction.
const BATCH: i64 = 1_000;

/// Deletes one batch of keys recorded, and decided upon, before the time; how many they were. Fewer than a
/// thousand means that none is left.
pub async fn prune_keys(client: &mut deadpool_postgres::Client, before: Timestamp) -> Result<(u64, bool), ReadError> {
    let statement = client.prepare_cached(PRUNE_KEYS).await?;
    let transaction = fence::begin(client).await?;
    let pruned = transaction.execute(&statement, &[&from_micros(before), &BATCH]).await?;
    transaction.commit().await?;
    Ok((pruned, pruned >= BATCH.unsigned_abs()))
}
