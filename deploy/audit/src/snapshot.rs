//! One shard as it was at one moment.

use jiff::Timestamp;
use placement::{RegionCode, ShardId};
use tokio_postgres::{Client, IsolationLevel, Transaction};

use crate::{AuditError, ShardSurvey, survey};

/// A transaction that sees one moment of a shard, whatever happens meanwhile.
pub(crate) struct Snapshot<'c> {
    pub shard: ShardId,
    pub transaction: Transaction<'c>,
    pub taken_at: Timestamp,
}

impl<'c> Snapshot<'c> {
    /// Takes the snapshot, which PostgreSQL does at the first question, and reads what the shard is.
    pub async fn take(client: &'c mut Client, shard: ShardId) -> Result<(Self, ShardSurvey), AuditError> {
        let asking = AuditError::asking;
        let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let transaction = begin.start().await.map_err(asking(shard, "a snapshot"))?;
        let now = transaction.query_one("SELECT now()", &[]).await.map_err(asking(shard, "a snapshot"))?;
        let surveyed = survey(&transaction, shard).await?;
        Ok((Snapshot { shard, transaction, taken_at: now.get(0) }, surveyed))
    }
}

/// A shard to be asked: its snapshot, and a connection that sees the present.
pub(crate) struct Shard<'c> {
    pub snapshot: Snapshot<'c>,
    pub present: &'c Client,
    pub region: RegionCode,
}

impl Shard<'_> {
    pub fn id(&self) -> ShardId {
        self.snapshot.shard
    }
}
