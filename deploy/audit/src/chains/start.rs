//! From when on rows stand in batches.

use ::chain::Batch;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use super::rows::Micros;
use super::{Breach, Table};
use crate::AuditError;
use crate::snapshot::Snapshot;

const SINCE: &str = "SELECT since, whole_since FROM chain_start";

/// Shard-nodes of two versions may have run beside each other when the chains began, but for no longer.
const LATE: SignedDuration = SignedDuration::from_hours(24);

/// The starts of a shard's chains. What was made before then may stand in no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// For `transfers` and `inbox`. `None`: every row stands in a batch.
    pub since: Option<Timestamp>,
    /// The same for the other tables; `None` of what was kept before there was such a start.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub whole_since: Option<Option<Timestamp>>,
}

fn known<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Option<Timestamp>>, D::Error> {
    Option::deserialize(json).map(Some)
}

impl Since {
    pub(super) async fn read(snapshot: &Snapshot<'_>) -> Result<Since, AuditError> {
        let row = snapshot.transaction.query_one(SINCE, &[]).await;
        let row = row.map_err(AuditError::asking(snapshot.shard, "the start of its chains"))?;
        let start = |column: usize| {
            let read = row.try_get::<_, Option<Micros>>(column);
            read.map_err(|_| AuditError::unreadable(snapshot.shard, "a start of its chains"))
        };
        let (since, whole_since) = (start(0)?.map(Micros::time), start(1)?.map(Micros::time));
        Ok(Since { since, whole_since: Some(whole_since) })
    }

    /// The start for a table.
    pub(super) fn of(&self, table: Table) -> Option<Timestamp> {
        match table {
            Table::Transfers | Table::Inbox => self.since,
            Table::Keys | Table::Accounts | Table::Reservations => self.whole_since.flatten(),
        }
    }

    /// Whether the starts are those that were kept.
    pub(super) fn is_as_kept(&self, kept: &Since) -> bool {
        self.since == kept.since && (kept.whole_since.is_none() || self.whole_since == kept.whole_since)
    }
}

/// The times of the first batches.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    /// Of all.
    any: Option<i64>,
    /// Of those that list what is in all tables.
    whole: Option<i64>,
}

impl Firsts {
    /// A batch of whatever writer.
    pub fn see(&mut self, batch: &Batch<'_>) {
        let earlier = |first: Option<i64>| Some(first.map_or(batch.decided_at, |first| first.min(batch.decided_at)));
        self.any = earlier(self.any);
        if batch.format > 1 {
            self.whole = earlier(self.whole);
        }
    }

    /// The starts that are too late for them.
    pub fn late(&self, since: &Since) -> impl Iterator<Item = Breach> {
        let pairs = [(since.since, self.any), (since.whole_since.flatten(), self.whole)];
        pairs.into_iter().filter_map(|(since, first)| {
            let (since, first) = (since?, Micros(first?).time());
            (since.duration_since(first) > LATE).then_some(Breach::StartLate { since, first })
        })
    }
}
