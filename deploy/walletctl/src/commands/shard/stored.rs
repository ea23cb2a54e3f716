//! What a shard holds.

use anyhow::Result;
use audit::{ShardSurvey, connect, survey};
use serde::Serialize;

use crate::shards::ShardAt;

/// Counting a hundred million accounts would take a minute, so a big table's size is PostgreSQL's own estimate.
const STORED: &str = "SELECT CASE WHEN reltuples > 1000000 THEN reltuples::bigint ELSE (SELECT count(*) FROM accounts) END, \
     pg_database_size(current_database()), \
     (SELECT extract(epoch FROM now() - min(coalesce(committed_at, created_at)))::float8 \
         FROM outbox JOIN reservations USING (transfer_id)), \
     (SELECT count(*) FROM outbox) \
     FROM pg_class WHERE oid = 'accounts'::regclass";

/// The size of a shard.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Stored {
    /// Slots that it owns.
    pub slots: usize,
    pub accounts: i64,
    pub bytes: i64,
    pub open_sagas: i64,
    pub oldest_saga_seconds: Option<f64>,
}

/// Asks a shard.
pub(super) async fn read(at: &ShardAt) -> Result<(Stored, ShardSurvey)> {
    let client = connect(&at.target).await?;
    let surveyed = survey(&client, at.target.shard).await?;
    let row = client.query_one(STORED, &[]).await?;
    let stored = Stored {
        slots: surveyed.claims.iter().filter(|claim| claim.state.is_owner()).count(),
        accounts: row.get(0),
        bytes: row.get(1),
        oldest_saga_seconds: row.get(2),
        open_sagas: row.get(3),
    };
    Ok((stored, surveyed))
}
