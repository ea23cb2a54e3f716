//! Reading what the stream of events has not been told yet, and noting what it has.

use super::codes::Unreadable;
use super::reading::{self, ReadError};
use super::times::to_micros;
use ledger::{Amount, Entry, Timestamp, Transfer};
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::PgLsn;
use uuid::Uuid;

/// One replica at a time. Held until its connection ends. Nothing that this connection writes needs to be on disk when it
/// is answered: what a crash of the server takes back is told twice.
pub(super) const LEAD: &str = "SELECT pg_try_advisory_lock($1), set_config('synchronous_commit', 'off', false)";
/// One statement, and so one snapshot for all writers: what it has of one writer, and what of the others, goes together.
/// The writers are found by stepping through the index.
pub(super) const NEXT: &str = "WITH RECURSIVE writers (writer) AS ( \
         (SELECT writer FROM batches WHERE writer > -2147483648 ORDER BY writer LIMIT 1) \
         UNION ALL SELECT (SELECT batches.writer FROM batches WHERE batches.writer > writers.writer \
             ORDER BY batches.writer LIMIT 1) FROM writers WHERE writers.writer IS NOT NULL) \
     SELECT batch.writer, batch.number, batch.decided_at, batch.position, batch.transfers, clock_timestamp() \
     FROM writers CROSS JOIN LATERAL (SELECT writer, number, decided_at, position, transfers FROM batches \
         WHERE batches.writer = writers.writer AND batches.number > \
             coalesce((SELECT number FROM event_relay WHERE event_relay.writer = writers.writer), 0) \
         ORDER BY batches.number LIMIT $1) AS batch";
/// The first columns are those of `reading::TERMINAL_TRANSFER`.
pub(super) const TRANSFERS: &str = "SELECT transfers.id, kind, state, reason, debit_account, credit_account, \
     amount, transfers.currency, message, reference, transfers.created_at, decided_at, \
     debit.user_id, credit.user_id, remote_user, amount_reserved, expires_at, \
     debit_entry, debit_balance, credit_entry, credit_balance \
     FROM unnest($1::uuid[]) AS wanted (id) JOIN transfers ON transfers.id = wanted.id \
     LEFT JOIN accounts debit ON debit.id = debit_account \
     LEFT JOIN accounts credit ON credit.id = credit_account";
/// Never back: whoever has lost the lead without noticing may come late.
pub(super) const TOLD: &str = "INSERT INTO event_relay AS told (writer, number) \
     SELECT writer, number FROM unnest($1::integer[], $2::bigint[]) AS new (writer, number) \
     ON CONFLICT (writer) DO UPDATE SET number = excluded.number WHERE told.number < excluded.number";

/// Any number that no other advisory lock of the schema uses.
const LEAD_LOCK: i64 = 9;

/// A batch that the stream has not been told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Who wrote it.
    pub writer: i32,
    /// Its place among the writer's.
    pub number: i64,
    /// Where the write-ahead log stood when it was written; 0 for those from before this was noted.
    pub position: u64,
    /// The time of its transfers.
    pub decided_at: Timestamp,
    /// Its transfers, in the order in which they were decided.
    pub transfers: Vec<Uuid>,
}

/// A terminal transfer and the entries that it left on this shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The transfer.
    pub transfer: Transfer,
    /// The debit side's, if it is here.
    pub debit: Option<Entry>,
    /// The credit side's, if it is here.
    pub credit: Option<Entry>,
}

/// Takes the lead among the shard's replicas, or finds that another has it. It ends with the connection.
pub async fn lead(client: &deadpool_postgres::Client) -> Result<bool, ReadError> {
    let statement = client.prepare_cached(LEAD).await?;
    Ok(client.query_one(&statement, &[&LEAD_LOCK]).await?.get(0))
}

/// The next batches of each writer, at most so many of each, and how long the oldest of them has waited.
pub async fn next(client: &deadpool_postgres::Client, of_each: i64) -> Result<(Vec<Batch>, Duration), ReadError> {
    let statement = client.prepare_cached(NEXT).await?;
    let rows = client.query(&statement, &[&of_each]).await?;
    let waited = rows.iter().map(|row| to_micros(row.get(5)).0.saturating_sub(to_micros(row.get(2)).0)).max();
    // A clock that was set back makes no waiting time.
    let waited = Duration::from_micros(waited.and_then(|micros| u64::try_from(micros).ok()).unwrap_or_default());
    Ok((rows.iter().map(batch).collect(), waited))
}

/// The transfers among `ids` that are here: all, unless rows were removed.
pub async fn ended(client: &deadpool_postgres::Client, ids: &[Uuid]) -> Result<HashMap<Uuid, Ended>, ReadError> {
    let statement = client.prepare_cached(TRANSFERS).await?;
    let rows = client.query(&statement, &[&ids]).await?;
    let ended = rows.iter().map(|row| Ok((row.get(0), one(row)?)));
    Ok(ended.collect::<Result<_, Unreadable>>()?)
}

/// Notes that the stream has been told of each writer's batches up to a number.
pub async fn told(client: &deadpool_postgres::Client, upto: &HashMap<i32, i64>) -> Result<(), ReadError> {
    let (writers, numbers): (Vec<i32>, Vec<i64>) = upto.iter().map(|(writer, number)| (*writer, *number)).unzip();
    let statement = client.prepare_cached(TOLD).await?;
    client.execute(&statement, &[&writers, &numbers]).await?;
    Ok(())
}

fn batch(row: &Row) -> Batch {
    let listed = chain::listed(row.get(4));
    Batch {
        writer: row.get(0),
        number: row.get(1),
        position: row.get::<_, Option<PgLsn>>(3).map_or(0, u64::from),
        decided_at: to_micros(row.get(2)),
        transfers: listed.map(|row| Uuid::from_u128(row.id)).collect(),
    }
}

fn one(row: &Row) -> Result<Ended, Unreadable> {
    let entry = |column: usize| {
        let (number, balance): (Option<i64>, Option<i64>) = (row.get(column), row.get(column + 1));
        number.zip(balance).map(|(number, balance)| Entry { number, balance_after: Amount(balance) })
    };
    Ok(Ended { transfer: reading::terminal(row)?, debit: entry(17), credit: entry(19) })
}
