//! Forgetting old idempotency keys.

use super::fence;
use super::reading::ReadError;
use std::time::Duration;

/// A key is kept until its transfer has been terminal for the whole time of retention, by PostgreSQL's clock, which has
/// stamped all of it; an open transfer keeps it.
pub(super) const PRUNE_KEYS: &str = "DELETE FROM idempotency WHERE (slot, key_hash) IN ( \
     SELECT slot, key_hash FROM idempotency AS old WHERE recorded_at < now() - make_interval(secs => $1) \
     AND NOT EXISTS (SELECT FROM reservations WHERE reservations.transfer_id = old.transfer_id) \
     AND NOT EXISTS (SELECT FROM transfers WHERE transfers.id = old.transfer_id AND decided_at >= now() - make_interval(secs => $1)) \
     LIMIT $2)";

/// Keys deleted in one transaction.
const BATCH: i64 = 1_000;

/// Deletes one batch of keys recorded, and decided upon, longer ago than that; how many they were. Fewer than a
/// thousand means that none is left.
pub async fn prune_keys(client: &mut deadpool_postgres::Client, retention: Duration) -> Result<(u64, bool), ReadError> {
    let statement = client.prepare_cached(PRUNE_KEYS).await?;
    let transaction = fence::begin(client).await?;
    let pruned = transaction.execute(&statement, &[&retention.as_secs_f64(), &BATCH]).await?;
    transaction.commit().await?;
    Ok((pruned, pruned >= BATCH.unsigned_abs()))
}
