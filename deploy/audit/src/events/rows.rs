//! Reading the transfers that a stream has to tell of.

use std::collections::HashMap;

use jiff::Timestamp;
use placement::ShardId;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::judge::{Ended, Entry, Owed};
use crate::AuditError;
use crate::snapshot::Snapshot;

const ROWS: &str = "SELECT id, state, amount, debit_account, debit_entry, debit_balance, credit_account, credit_entry, \
     credit_balance, decided_at FROM transfers WHERE decided_at >= coalesce($1, '-infinity'::timestamptz)";
const PRESENT: &str = "SELECT id, state, amount, debit_account, debit_entry, debit_balance, credit_account, credit_entry, \
     credit_balance FROM transfers WHERE id = ANY($1)";
/// What is in no batch is nobody's to tell: it was written before there were any.
const SINCE: &str = "SELECT since FROM chain_start";
const WAITING: &str = "WITH RECURSIVE writers (writer) AS ( \
         SELECT min(writer) FROM batches \
         UNION ALL SELECT (SELECT min(batches.writer) FROM batches WHERE batches.writer > writers.writer) \
             FROM writers WHERE writers.writer IS NOT NULL) \
     SELECT transfers FROM writers LEFT JOIN event_relay USING (writer) CROSS JOIN LATERAL ( \
         SELECT transfers FROM batches \
         WHERE batches.writer = writers.writer AND batches.number > coalesce(event_relay.number, 0)) AS batch";

/// Rows read at a time.
const PAGE: i32 = 1_000;

/// What is owed, without what came later, and how many transfers wait.
pub(super) async fn read(snapshot: &Snapshot<'_>, since: Option<i64>) -> Result<(Owed, usize), AuditError> {
    let failed = || AuditError::asking(snapshot.shard, "what its events must tell");
    let chained = snapshot.transaction.query_one(SINCE, &[]).await.map_err(failed())?;
    let chained = chained.get::<_, Option<Timestamp>>(0).map(Timestamp::as_microsecond);
    let mut owed = Owed { since: since.max(chained), ..Owed::default() };
    let from = since.and_then(|since| Timestamp::from_microsecond(since).ok());
    let portal = snapshot.transaction.bind(ROWS, &[&from]).await.map_err(failed())?;
    loop {
        let page = snapshot.transaction.query_portal(&portal, PAGE).await.map_err(failed())?;
        if page.is_empty() {
            break;
        }
        let rows = page.iter().map(|row| (row.get(0), (one(row), row.get::<_, Timestamp>(9).as_microsecond())));
        owed.rows.extend(rows);
    }
    for row in snapshot.transaction.query(WAITING, &[]).await.map_err(failed())? {
        owed.waiting.extend(chain::listed(row.get(0)).map(|listed| Uuid::from_u128(listed.id)));
    }
    let waiting = owed.waiting.len();
    Ok((owed, waiting))
}

/// The terminal transfers among `ids`, as they are now.
pub(super) async fn ended(present: &Client, shard: ShardId, ids: &[Uuid]) -> Result<HashMap<Uuid, Ended>, AuditError> {
    let rows = present.query(PRESENT, &[&ids]).await;
    let rows = rows.map_err(AuditError::asking(shard, "what its events must tell"))?;
    Ok(rows.iter().map(|row| (row.get(0), one(row))).collect())
}

fn one(row: &Row) -> Ended {
    let entry = |column: usize| {
        let (account, number): (Option<i64>, Option<i64>) = (row.get(column), row.get(column + 1));
        let balance: Option<i64> = row.get(column + 2);
        account.zip(number).zip(balance).map(|((account, number), balance)| Entry { account, number, balance })
    };
    Ended { transfer: row.get(0), state: row.get(1), amount: row.get(2), debit: entry(3), credit: entry(6) }
}
